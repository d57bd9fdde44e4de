"""`python -m recsys_helpers doctor`: is this machine ready for the course, and if not, which command mends it?"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpecManager
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from recsys_helpers.assets import datasets_dir, home, verify
from recsys_helpers.errors import CourseError

GB = 1e9  # bytes
ENOUGH_MEMORY, ENOUGH_DISK = 4 * GB, 2 * GB
INSTALL = "python -m pip install -r requirements.lock"
KERAS_SECONDS = 180  # the import takes 10 s, and more from a cold disk
KERAS = """
import json, keras
print(json.dumps([keras.backend.backend(), keras.config.floatx(), keras.distribution.list_devices("gpu")]))
"""
BUNDLES = {  # files that must be in each folder of `datasets`
    "interest_world": ["*.csv*"],
    "tiny_bert": ["config.json", "model.weights.h5", "assets/tokenizer/vocabulary.txt"],
}


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and the command that mends it if it is not ok."""

    name: str
    ok: bool
    found: str
    fix: str


def diagnose() -> list[Check]:
    """Look at everything the course needs. Takes about 10 s, nearly all for the import of Keras."""
    checks = [check_python(), check_packages(), *check_keras(), check_memory(), check_disk(), check_kernel()]
    return checks + [check_asset(name) for name in ("movielens", "minilm")] + [check_bundle(name) for name in BUNDLES]


def doctor() -> int:
    """Print what `diagnose` found as a table, and the fixes under it. Returns 0 if all is well, else 1."""
    console = Console(markup=False, highlight=False)
    with console.status("Looking; the import of Keras takes about 10 seconds"):
        checks = diagnose()
    table = Table("check", "", "found")
    for check in checks:
        table.add_row(check.name, "ok" if check.ok else "FAULT", check.found, style="" if check.ok else "bold red")
    console.print(table)
    faults = [check for check in checks if not check.ok]
    for check in faults:
        console.print(f"To mend {check.name}:  {check.fix}", soft_wrap=True)  # unbroken, to be copied
    if not faults:
        console.print("All is well.")
    return int(bool(faults))


def check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    fix = "conda env create -f environment.yml"
    return Check("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), f"{version} (needs 3.11, 3.12 or 3.13)", fix)


def check_packages() -> Check:
    """Compare what is installed with the lock, as far as the lock's lines apply to this platform."""
    try:
        lines = (datasets_dir().parent / "requirements.lock").read_text("utf-8").splitlines()
    except (CourseError, OSError) as error:
        return Check(
            "packages", False, f"no requirements.lock to compare with: {error}", "git checkout requirements.lock"
        )
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    wanted = [package for package in wanted if package.marker is None or package.marker.evaluate()]
    wrong = [
        f"{package.name} is {found}, not {package.specifier}" for package in wanted if (found := _differs(package))
    ]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    found = ", ".join(wrong[:3]) + more if wrong else f"{len(wanted)} at the versions of requirements.lock"
    return Check("packages", not wrong, found, INSTALL)


def _differs(package: Requirement) -> str:
    """The installed version if it is not the wanted one, else nothing."""
    try:
        version = metadata.version(package.name)
    except metadata.PackageNotFoundError:
        return "missing"
    return "" if package.specifier.contains(version, prereleases=True) else version


def check_keras() -> list[Check]:
    """Import Keras in a process of its own, so that not even a crash of the backend ends the doctor."""
    settings = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    fix = f"unset KERAS_BACKEND; rm -f '{settings}'; {INSTALL}"
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        run = subprocess.run(
            [sys.executable, "-c", KERAS], env=quiet, capture_output=True, text=True, timeout=KERAS_SECONDS
        )
        backend, floats, gpus = json.loads(run.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return [Check("Keras", False, f"the import did not end within {KERAS_SECONDS} s", fix)]
    except (IndexError, ValueError):  # it printed nothing, because it failed
        reason = run.stderr.strip().splitlines()[-1:] or [f"exit code {run.returncode}"]
        return [Check("Keras", False, f"cannot be imported: {reason[0]}", fix)]
    gpu = f"{len(gpus)} in use by {backend}" if gpus else "none; the lessons are measured on the CPU"
    if not gpus and shutil.which("nvidia-smi"):
        gpu = f"there is one that {backend} cannot use; `python -m pip install 'tensorflow[and-cuda]'` may help"
    found = f"backend {backend}, {floats}" + (" (the lessons need float32)" if floats != "float32" else "")
    return [Check("Keras", floats == "float32", found, fix), Check("GPU", True, gpu, "")]


def check_memory() -> Check:
    free = psutil.virtual_memory().available
    fix = "close other programs, then `python -m recsys_helpers doctor`"
    return Check("memory", free >= ENOUGH_MEMORY, f"{free / GB:.1f} GB free (needs {ENOUGH_MEMORY / GB:.0f})", fix)


def check_disk() -> Check:
    folder = next(path for path in (home(), *home().parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    found = f"{free / GB:.1f} GB free in {folder} (needs {ENOUGH_DISK / GB:.0f})"
    return Check("disk", free >= ENOUGH_DISK, found, "export RECSYS_HOME=/a/folder/on/a/larger/disk")


def check_kernel() -> Check:
    """Notebooks ask for the kernel "python3"; it must be the Python that the course is installed in."""
    fix = f"{sys.executable} -m ipykernel install --sys-prefix"
    try:
        python = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except (LookupError, ValueError, OSError):  # not there, or its kernel.json is broken
        return Check("Jupyter kernel", False, "there is no kernel python3 that works", fix)
    # Jupyter itself puts its own interpreter in the place of a bare "python"
    same = os.sep not in python or Path(python).parent.resolve() == Path(sys.executable).parent.resolve()
    found = f"python3 runs {sys.executable}" if same else f"python3 runs {python}, not {sys.executable}"
    return Check("Jupyter kernel", same, found, fix)


def check_asset(name: str) -> Check:
    fix = "python -m recsys_helpers fetch"
    try:
        return Check(name, True, f"every sha256 is right in {verify(name)}", fix)
    except CourseError as error:
        return Check(name, False, str(error), fix)


def check_bundle(name: str) -> Check:
    """The data that comes with the repository."""
    fix = "git checkout -- datasets"
    try:
        folder = datasets_dir() / name
    except CourseError as error:
        return Check(name, False, str(error), fix)
    missing = [form for form in BUNDLES[name] if not any(file.stat().st_size for file in folder.glob(form))]
    return Check(name, not missing, f"{folder} lacks {', '.join(missing)}" if missing else f"in {folder}", fix)
