"""Helpers of the course on user-interest modelling: one module a concept, named as the lesson names it."""

import os

# Set before TensorFlow is imported anywhere, or its C++ log lines land in the outputs of the lessons.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
