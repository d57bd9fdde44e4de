"""The requirement sets: what students, instructors and authors need, each pinned in a file of `requirements/`.

The student's lock is complete; that of another set holds what comes on top of it.
"""

import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

STUDENT = "student"
TENSORFLOWS = ("tensorflow", "tensorflow-cpu")


class Extra(NamedTuple):
    """A set beyond the student's: what it is for, and the command that adds it."""

    purpose: str
    command: str


EXTRAS = {
    "instructor": Extra("grading, slides and a hub", "make instructor"),
    "site": Extra("the site", "make site"),
    "scale": Extra("two processes on JAX in lesson 09", "make scale"),
    "gpu": Extra("TensorFlow on a GPU", "make gpu"),
    "test": Extra("the tests, and all of the above but gpu", "make test"),
}


def lock_file(name: str) -> Path:
    """The lock of a set."""
    return ROOT / "requirements" / f"{name}.lock"


def install(*names: str) -> str:
    """The command that installs sets, by default the student's, in the course's folder."""
    files = " ".join(f"-r requirements/{name}.lock" for name in names or [STUDENT])
    return f"python -m pip install --no-deps {files}"


def locked(name: str) -> list[Requirement]:
    """The lines of a set's lock that apply to this platform and this Python.

    Raises OSError if the course's folder does not have the file.
    """
    lines = lock_file(name).read_text("utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [package for package in wanted if package.marker is None or package.marker.evaluate()]


def version(package: str) -> str | None:
    """The installed version of a package, None if it is not there; tensorflow and tensorflow-cpu stand for each other.

    The student's set has the one or the other, by platform, and the gpu set replaces tensorflow-cpu.
    """
    names = TENSORFLOWS if package in TENSORFLOWS else (package,)
    return next((found for name in names if (found := _installed(name))), None)


def two_tensorflows() -> bool:
    """Whether both are installed: their files are in each other's place, and what then runs is anybody's guess."""
    return all(_installed(name) for name in TENSORFLOWS)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def missing(name: str) -> list[str]:
    """The packages of a set that are not installed, in any version."""
    return [package.name for package in locked(name) if version(package.name) is None]


def added(name: str) -> bool:
    """Whether `make` has added this set to this environment: it then leaves a stamp there."""
    return (Path(sys.prefix) / f".{name}").exists()


def require(name: str) -> None:
    """Raises CourseError, which names the command that adds the set, unless all of the set is installed."""
    if lost := missing(name):
        more = f" and {len(lost) - 2} more" if len(lost) > 2 else ""
        fix = install(name) if added(name) else f"{EXTRAS[name].command}   (or: {install(name)})"
        raise CourseError(f"{', '.join(lost[:2])}{more} not installed, of the set for {EXTRAS[name].purpose}: {fix}")
