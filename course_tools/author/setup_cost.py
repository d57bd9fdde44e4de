"""What each requirement set costs, measured in environments made for it: `python -m course_tools setup`."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recsys_helpers import sets
from recsys_helpers.errors import CourseError
from recsys_helpers.files import write_json
from recsys_helpers.paths import MEASURED, ROOT

SETUP = MEASURED / "setup.json"
COURSE = ("Makefile", "pyproject.toml", "README.md", "requirements", "recsys_helpers", "course_tools", "docs/measured")


def measure(names: list[str] | None = None) -> None:
    """Fetch and install each set by its lock, and write docs/measured/setup.json; sets left out keep their figures.

    The student's set is installed as `make` does it, in a copy of the course; the figures of another set are what comes
    on top. MB to fetch are those of the files that pip downloads. GB on disk are counted twice: as installed, and
    after Python has compiled every module, which is the most that the set can take.

    Raises CourseError: an unknown set; pip or make failed, with the last line.
    """
    names = names or [sets.STUDENT, *(name for name in sets.EXTRAS if name != "gpu")]
    for name in names:
        if name not in (sets.STUDENT, *sets.EXTRAS):
            raise CourseError(f"set {name!r} does not exist; choose from {', '.join((sets.STUDENT, *sets.EXTRAS))}")
    measured = json.loads(SETUP.read_text("utf-8")) if SETUP.exists() else {"sets": {}}
    measured["machine"] = {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": os.cpu_count(),
    }
    for name in names:
        with tempfile.TemporaryDirectory(prefix="recsys-setup-") as folder:
            measured["sets"][name] = _cost(name, Path(folder))
        print(f"{name}: {measured['sets'][name]}", flush=True)
        write_json(SETUP, measured)


def _cost(name: str, folder: Path) -> dict:
    files, course = folder / "files", folder / "course"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    start = time.monotonic()
    _call([*pip, "wheel", "--no-deps", "-w", str(files), "-r", str(sets.lock_file(name))])
    fetched = time.monotonic()
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(files), "PIP_CONFIG_FILE": os.devnull}
    if name == sets.STUDENT:
        for part in COURSE:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            (course / part).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / part, course / part)
        environment = course / ".venv"
        _call(["make", "-C", str(course), ".venv/.student", f"PYTHON={sys.executable}"], **offline)
    else:
        environment = folder / "environment"
        lock = ["-r", str(sets.lock_file(name))]
        _call([*pip, "install", "--no-deps", "--no-compile", "--target", str(environment), *lock], **offline)
    installed = time.monotonic()
    disk = _bytes(environment)
    # a template of a package need not be Python: what cannot be compiled is told and left
    subprocess.run([sys.executable, "-m", "compileall", "-qq", str(environment)], stdout=subprocess.DEVNULL)
    return {
        "packages": len(sets.locked(name)),
        "fetch_mb": round(_bytes(files) / 1e6),
        "disk_gb": round(disk / 1e9, 2),
        "disk_compiled_gb": round(_bytes(environment) / 1e9, 2),
        "fetch_seconds": round(fetched - start),
        "install_seconds": round(installed - fetched),
    }


def _call(command: list[str], **environment: str) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise CourseError(f"{' '.join(command[:4])} failed: {said[-1]}")


def _bytes(folder: Path) -> int:
    """What the files of a folder take on the disk, in whole blocks."""
    found = (path.lstat() for path in folder.rglob("*"))
    return sum(status.st_blocks * 512 for status in found)
