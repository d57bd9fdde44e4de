"""Settings of every test."""

import os

from hypothesis import settings

# seconds are measured where they are the claim, not by the clock of a machine that does other work too
settings.register_profile("course", deadline=None)
settings.load_profile("course")
os.environ["RECSYS_PROGRESS"] = "off"  # a test's answers are no progress of anyone's
