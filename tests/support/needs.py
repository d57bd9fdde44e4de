"""Marks for tests that need a program which a newcomer may lack: skipped there, never in continuous integration."""

import os
import shutil

import pytest


def program(name: str, install: str) -> pytest.MarkDecorator:
    """Skip unless the program is there; `install` is the command that brings it."""
    absent = shutil.which(name) is None and not os.environ.get("CI")
    return pytest.mark.skipif(absent, reason=f"needs {name}: {install}")
