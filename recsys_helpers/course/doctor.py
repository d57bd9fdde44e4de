"""`python -m recsys_helpers doctor`: is this machine ready for the course, and if not, which command mends it?"""

import json
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from recsys_helpers import sets
from recsys_helpers.course.preflight import Check, check_python
from recsys_helpers.data.assets import verify
from recsys_helpers.errors import CourseError
from recsys_helpers.files import write_text
from recsys_helpers.paths import BUILD, datasets_dir, home

if TYPE_CHECKING:
    import pandas as pd

GB = 1e9  # bytes
ENOUGH_MEMORY, ENOUGH_DISK, BUILD_NEEDS = 4 * GB, 2 * GB, 0.1 * GB
KERAS_SECONDS = 180  # the import takes 10 s, and more from a cold disk
KERAS = """
import json
from recsys_helpers.training.backend import keras
print(json.dumps([keras.backend.backend(), keras.config.floatx(), keras.distribution.list_devices("gpu")]))
"""
COURSE_ERROR = f"{CourseError.__module__}.{CourseError.__name__}: "
SECONDS = "seconds to examine, import of Keras included"
BUNDLES = {  # files that must be in each folder of `datasets`
    "interest_world": ["*.csv*"],
    "tiny_bert": ["config.json", "model.weights.h5", "assets/tokenizer/vocabulary.txt"],
}


def diagnose() -> list[Check]:
    """Look at everything the course needs. Takes about 10 s, nearly all for the import of Keras."""
    checks = [check_python(), check_packages(), check_more(), *check_keras(), check_memory(), check_disk()]
    checks += [check_build(), check_kernel(), check_language()]
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


def check_packages() -> Check:
    """Compare what is installed with the locks: the student's set, and every other set that is there as a whole."""
    try:
        here = [sets.STUDENT, *(name for name in sets.EXTRAS if sets.added(name) or not sets.missing(name))]
        wanted = {name: sets.locked(name) for name in here}
    except OSError as error:
        return Check("packages", False, f"no lock to compare with: {error}", "git checkout requirements")
    if sets.two_tensorflows():
        found = "tensorflow and tensorflow-cpu are both installed, and each has overwritten files of the other"
        return Check("packages", False, found, "make clean, then make lab (with a GPU: make gpu)")
    wrong = {name: [said for package in wanted[name] if (said := _differs(package))] for name in here}
    said = [line for lines in wrong.values() for line in lines]
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    count = len({package.name for packages in wanted.values() for package in packages})
    found = ", ".join(said[:3]) + more if said else f"{count} at the locked versions of: {', '.join(here)}"
    return Check("packages", not said, found, sets.install(*[name for name in here if wrong[name]] or [sets.STUDENT]))


def check_more() -> Check:
    """The sets that are not installed, and how to add them; never a fault, since lessons need none of them."""
    try:
        absent = [name for name in sets.EXTRAS if sets.missing(name) and not sets.added(name)]
    except OSError:  # `check_packages` says so
        absent = list(sets.EXTRAS)
    said = "; ".join(f"{sets.EXTRAS[name].command} adds {name} ({sets.EXTRAS[name].purpose})" for name in absent)
    return Check("more", True, said or "every set is installed", "")


def _differs(package: Requirement) -> str:
    """What is wrong with an installed package, if anything."""
    found = sets.version(package.name)
    if found is not None and package.specifier.contains(found, prereleases=True):
        return ""
    return f"{package.name} is {found or 'missing'}, not {package.specifier}"


def check_keras() -> list[Check]:
    """Import Keras in a process of its own, so that not even a crash of the backend ends the doctor."""
    settings = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"), "keras.json")
    fix = f"unset KERAS_BACKEND TF_USE_LEGACY_KERAS; rm -f '{settings}'; {sets.install()}"
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
        return [Check("Keras", False, f"cannot be imported: {reason[0].removeprefix(COURSE_ERROR)}", fix)]
    gpu = f"{len(gpus)} in use by {backend}" if gpus else "none; the lessons are measured on the CPU"
    if not gpus and shutil.which("nvidia-smi"):
        gpu = f"there is one that {backend} cannot use; `make gpu` may help"
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


def check_build() -> Check:
    """The folder that `course` writes into; it need not be there yet."""
    folder = next(path for path in (BUILD, *BUILD.parents) if path.is_dir())
    if not os.access(folder, os.W_OK):
        fix = "python -m recsys_helpers course --out /a/folder/of/yours"
        return Check("build", False, f"{folder} cannot be written", fix)
    free = shutil.disk_usage(folder).free
    fix = "free some space, or python -m recsys_helpers course --out /a/folder/on/a/larger/disk"
    return Check("build", free >= BUILD_NEEDS, f"{free / GB:.1f} GB free in {folder} (needs {BUILD_NEEDS / GB})", fix)


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


def check_language() -> Check:
    """What the checks of exercises speak."""
    from recsys_helpers.checks import language

    chosen, known = os.environ.get("RECSYS_LANGUAGE"), " or ".join(sorted(set(language.SPOKEN.values())))
    if not chosen:
        return Check("language", True, f"that of the notebooks; RECSYS_LANGUAGE may say {known}", "")
    spoken = language.language_called(chosen)
    found = spoken or f"RECSYS_LANGUAGE is {chosen!r}, which the checks do not speak ({known})"
    return Check("language", bool(spoken), found, "unset RECSYS_LANGUAGE")


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


def class_report(folder: Path | None = None, host: bool = False) -> int:
    """Print a page about this machine and write it to class_report_<id>.txt in `folder`, by default the current one.

    The page is YAML: plain to read, and `summarise` reads many. It holds no user name, no host name unless `host`, and
    no path with either; the id is drawn anew for each report. Returns 0 if all is well, else 1.
    """
    report = {"course class report": secrets.token_hex(3)} | ({"host": socket.gethostname()} if host else {})
    start = time.perf_counter()
    checks = diagnose()
    free = shutil.disk_usage(next(path for path in (home(), *home().parents) if path.is_dir())).free
    report |= {
        "date": time.strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": {
            name: sets.version(name) or "missing"
            for name in ("recsys-helpers", "tensorflow", "keras", "numpy", "jupyterlab")
        },
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "threads": os.cpu_count(),
        "memory in GB": round(psutil.virtual_memory().total / GB, 1),
        "free disk in GB": round(free / GB, 1),
        SECONDS: round(time.perf_counter() - start, 1),
        "matrix product, GFLOP/s": round(matrix_rate() / 1e9, 1),
        "checks": {check.name: ("ok: " if check.ok else "FAULT: ") + _anonymous(check.found) for check in checks},
    }
    text = yaml.safe_dump(report, sort_keys=False, allow_unicode=True, width=110)
    path = (folder or Path.cwd()) / f"class_report_{report['course class report']}.txt"
    try:
        write_text(path, text)
    except OSError as error:
        reason = error.strerror or error
        raise CourseError(f"{path} cannot be written ({reason}): go to a folder of your own and call again.") from error
    named = "" if host else "; it names neither you nor your machine"
    print(f"{text}\nWritten to {path.name}{named}. Give it to your instructor.")
    return int(not all(check.ok for check in checks))


def summarise(folder: Path | str) -> tuple["pd.DataFrame", "pd.Series"]:
    """The reports of a class in a folder: (one row a laptop, sorted by its number of faults; how often each fault is).

    Raises CourseError if there is no report, or a file is not one.
    """
    import pandas as pd

    rows, faults = {}, []
    for path in sorted(Path(folder).glob("class_report_*.txt")):
        try:
            report = yaml.safe_load(path.read_text("utf-8"))
            bad = [name for name, found in report["checks"].items() if found.startswith("FAULT")]
            columns = ("memory in GB", "free disk in GB", "matrix product, GFLOP/s")
            row = {"system": report["system"], "cores": report["cores"]} | {name: report[name] for name in columns}
            rows[report["course class report"]] = row | {"seconds": report[SECONDS], "faults": ", ".join(bad)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            raise CourseError(f"{path} is not a whole class report: ask for it again, or take it away.") from error
        faults += bad
    if not rows:
        raise CourseError(f"{folder} has no class_report_*.txt: collect what `doctor --class` wrote on each laptop.")
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("laptop")
    order = table["faults"].str.split(", ").map(lambda names: -len([name for name in names if name]))
    return table.loc[order.sort_values(kind="stable").index], pd.Series(faults, dtype=object).value_counts()


def matrix_rate(size: int = 1024) -> float:
    """Floating-point operations a second in products of float32 matrices: the best of five, after one to warm up."""
    import numpy as np

    matrix = np.random.default_rng(7).normal(size=(size, size)).astype("float32")
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds[1:])


def _anonymous(text: str) -> str:
    """Text without the home folder, and without user and host name as parts of a path."""
    folder = os.path.expanduser("~")  # which a user need not have
    text = text.replace(folder, "~")
    users = {os.environ.get(key) for key in ("USER", "LOGNAME", "USERNAME")}
    for name in {*users, Path(folder).name, socket.gethostname()} - {None, ""}:
        text = re.sub(rf"(?<=[/\\-]){re.escape(name)}\b", "...", text)
    return text
