"""Helpers of the course on user-interest modelling: a folder a subject, one module a concept."""

import os

# Set before TensorFlow is imported anywhere, or its C++ log lines land in the outputs of the lessons.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
