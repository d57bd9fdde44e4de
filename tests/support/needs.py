"""Marks for tests that need a program which a newcomer may lack: skipped there, never in continuous integration."""

import os
import shutil

import pytest


def absent(name: str) -> bool:
    """Whether a test that needs this program is to be skipped."""
    return shutil.which(name) is None and not os.environ.get("CI")


def program(name: str, install: str) -> pytest.MarkDecorator:
    """Skip unless the program is there; `install` is the command that brings it."""
    return pytest.mark.skipif(absent(name), reason=f"needs {name}: {install}")
