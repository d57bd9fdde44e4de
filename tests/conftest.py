"""Settings of every test."""

import os

os.environ["RECSYS_PROGRESS"] = "off"  # a test's answers are no progress of anyone's
