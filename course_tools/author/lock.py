"""The lock files of `requirements/`, made from pyproject.toml: `python -m course_tools lock`.

One resolution of everything for every platform comes first; each set is then resolved again within its versions, so
that all sets agree. `student.lock` is complete, the other files hold what a set needs beyond it. They are installed
with `--no-deps`, since they say more than the packages do: where there is a tensorflow-cpu it stands for tensorflow,
which tensorflow-text asks for by name; it is the same without the code for GPUs, and half the size.
"""

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from recsys_helpers.errors import CourseError
from recsys_helpers.files import write_text
from recsys_helpers.paths import ROOT
from recsys_helpers.sets import EXTRAS, STUDENT, lock_file

# the platforms that have wheels of tensorflow-cpu 2.21
CPU = "platform_machine == 'x86_64' and sys_platform == 'linux'"
NOT_CPU = "platform_machine != 'x86_64' or sys_platform != 'linux'"
UNUSED = ("libclang",)  # TensorFlow names it and imports it nowhere; 25 MB to fetch


def write_locks(upgrade: list[str] | None = None) -> list[Path]:
    """Write every lock anew; a package keeps its version unless pyproject.toml or `upgrade` asks for another.

    Raises CourseError: uv is not installed; nothing satisfies pyproject.toml.
    """
    if importlib.util.find_spec("uv") is None:
        raise CourseError("uv makes the locks and belongs to no set: python -m pip install uv")
    with tempfile.TemporaryDirectory() as folder:
        everything = Path(folder) / "everything.txt"
        known = [lock_file(name) for name in (STUDENT, *EXTRAS)]
        write_text(everything, "".join(path.read_text("utf-8") for path in known if path.exists()))
        wanted = [word for name in upgrade or [] for word in ("-P", name)]
        _resolve("--all-extras", *wanted, "-o", str(everything))  # uv prefers the versions that this file has
        student = _resolve("-c", str(everything))
        content = {STUDENT: [line for known in student for line in _for_processors(known)]}
        for extra in EXTRAS:
            lines = _resolve("-c", str(everything), "--extra", extra)
            more = [line for line in lines if line not in student]
            content[extra] = [line for line in lines if line in more or (extra == "gpu" and _is_tensorflow(line))]
    for name, lines in content.items():
        used = [line for line in lines if line.partition("==")[0] not in UNUSED]
        write_text(lock_file(name), "\n".join(used) + "\n")
    return [lock_file(name) for name in content]


def _resolve(*options: str) -> list[str]:
    """The lines that uv pins for pyproject.toml, for every platform and Python, without the address of an index."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--no-header", "--no-annotate", "-q"]
    uv = subprocess.run([*command, *options, "pyproject.toml"], cwd=ROOT, capture_output=True, text=True)
    if uv.returncode:
        raise CourseError(f"uv could not resolve pyproject.toml: {' '.join(uv.stderr.split())}")
    return uv.stdout.splitlines()


def _for_processors(line: str) -> list[str]:
    """A line of the student's lock, with tensorflow-cpu for the platforms that have it."""
    if not _is_tensorflow(line):
        return [line]
    if ";" in line:
        raise CourseError(f"tensorflow is no longer one version for all ({line}): course_tools/author/lock.py")
    return [f"{line} ; {NOT_CPU}", f"{line.replace('tensorflow', 'tensorflow-cpu')} ; {CPU}"]


def _is_tensorflow(line: str) -> bool:
    return re.match(r"tensorflow==", line) is not None
