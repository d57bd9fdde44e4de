"""What can be looked at before anything is installed: `make` calls it with the Python that a person has.

It needs the standard library only, and runs on old Pythons too, to tell that they are too old. Without an argument it
says what is there and what to do next; with "install" it is silent unless the set-up cannot succeed.
"""

from __future__ import annotations  # an old Python does not know list[Check]

import importlib.util
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GB = 1e9  # bytes
SETUP = ROOT / "docs" / "measured" / "setup.json"


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and the command that mends it if it is not ok."""

    name: str
    ok: bool
    found: str
    fix: str


def check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    fix = "make clean, then name another one: make course PYTHON=python3.12"
    return Check("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), f"{version} (needs 3.11, 3.12 or 3.13)", fix)


def check_venv() -> Check:
    """Debian and Ubuntu leave out what fills a new environment with pip."""
    there = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    found = "environments can be made" if there else "the module venv is not whole"
    return Check("venv", there, found, "on Debian and Ubuntu: sudo apt install python3-venv")


def check_room() -> Check:
    """Room for what a student installs, and for pip's copy of what it fetched."""
    student = json.loads(SETUP.read_text(encoding="utf-8"))["sets"]["student"]
    needed = (student["fetch_mb"] / 1000 + student["disk_compiled_gb"]) * GB
    free = shutil.disk_usage(str(ROOT)).free
    found = f"{free / GB:.1f} GB free in {ROOT} (needs {needed / GB:.1f})"
    return Check("disk", free >= needed, found, "free some space, or clone the course to a larger disk")


def check_installed() -> Check:
    """The environment itself; its stamp is written last."""
    if (ROOT / ".venv" / ".student").exists():
        return Check("packages", True, "installed in .venv", "")
    found = ".venv was not finished" if (ROOT / ".venv").exists() else "nothing is installed yet"
    return Check("packages", False, found, "make course   (or make lab: it installs without running all lessons)")


def main(before_install: bool = False) -> int:
    """Print the checks, only the failed ones before an installation; returns 0 if all is well, else 1."""
    checks = [check_python(), check_venv(), check_room()]
    if not before_install:
        checks.append(check_installed())
    faults = [check for check in checks if not check.ok]
    for check in faults if before_install else checks:
        print("{:10}{:7}{}".format(check.name, "ok" if check.ok else "FAULT", check.found))
    for check in faults:
        print(f"To mend {check.name}:  {check.fix}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["install"]))
