"""What proves the course: the steps of `make test`, `make test-all` and `make check`."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from course_tools.author.imports import imports, module_name
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

CODE = ("recsys_helpers", "course_tools", "tests", "docs", "notebooks", "solutions")
STYLE = {"style": ["ruff", "check", *CODE], "layout": ["ruff", "format", "--check", *CODE]}
# what a file sets up, such as the site or a hub, is set up once; the files with few and long tests come first
WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
FAST = ("-m", "not slow and not thorough")
OUTPUTS = ("--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval.cfg", "--nbval-cell-timeout", "600")
GUARDS = (
    "tests/unit/test_floors.py",
    "tests/notebooks/test_notebooks.py",
    "tests/notebooks/test_exercises.py::test_exercises_are_in_sync",
    "tests/notebooks/test_chinese.py::test_every_text_has_a_current_translation_that_lost_nothing",
    "tests/notebooks/test_chinese.py::test_only_prose_differs",
    "tests/notebooks/test_chinese.py::test_a_term_is_called_as_in_the_glossary",
)
QUICK = ("tests/unit", "tests/checks", "tests/notebooks")  # rooms of tests that build no site and start no hub
BESIDE = ("tests/support/", "tests/benchmarks/")  # folders from which tests import


def whole(thorough: bool = False) -> dict[str, list[str]]:
    """Every step of the proof, as arguments of Python's -m; `thorough` adds what seldom changes its answer."""
    depth = ["-m", ""] if thorough else []
    return STYLE | {
        "tests, lessons with other parameters, exercises": ["pytest", "-q", *WORKERS, *depth, "tests"],
        "stored outputs": ["pytest", "-q", *WORKERS, *OUTPUTS, "notebooks", "solutions"],
    }


def check(outputs: bool = False) -> None:
    """Style, guards, and the tests of what changed since the last commit; says first what it runs and what it leaves.

    Args:
        outputs: execute the changed lessons and solutions, too, and compare what they print with what is stored.
    """
    changed = changed_since_head()
    chosen, left = selection(changed, programs("tests"))
    notebooks = [path for path in changed if path.endswith(".ipynb") and path.startswith(("notebooks/", "solutions/"))]
    notebooks = [path for path in notebooks if (ROOT / path).exists()]
    listed = {"changed": changed, "runs": chosen + notebooks * outputs, "leaves to make test": left}
    listed["leaves to --outputs"] = notebooks * (not outputs)
    for title, paths in listed.items():
        if paths:
            print(title, *paths, sep="\n  ")
    steps = STYLE | {"guards, and tests of what changed": ["pytest", "-q", *WORKERS, *FAST, *chosen]}
    if outputs and notebooks:
        steps["stored outputs"] = ["pytest", "-q", *WORKERS, *OUTPUTS, *notebooks]
    take(steps)


def selection(changed: Iterable[str], tests: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Which tests `check` runs, the guards before those of the changed files, and which files of tests it leaves.

    Args:
        changed: paths of files, relative to the course's folder.
        tests: the text of every program of the tests, by its path.
    """
    changed = set(changed)
    concerned = concerned_by(changed, tests)
    ours = [path for path in concerned if path.startswith(QUICK) or path in changed]
    guards = [guard for guard in GUARDS if guard.partition("::")[0] not in ours]
    return guards + ours, [path for path in concerned if path not in ours]


def concerned_by(changed: set[str], tests: Mapping[str, str]) -> list[str]:
    """The files of tests that changed, or that import, by themselves, a changed module or the package it lies in."""
    modules_of = {path: imported_as(path) for path in {*changed, *tests, *programs("recsys_helpers", "course_tools")}}
    known = {part for module in modules_of.values() for part in around(module)}
    touched = {part for path in changed if path.endswith(".py") for part in around(modules_of[path])}
    touched -= {"recsys_helpers", "course_tools"}  # everything imports these
    files = {path: source for path, source in tests.items() if Path(path).name.startswith("test_")}
    return sorted(path for path, source in files.items() if path in changed or imports(source, known) & touched)


def imported_as(path: str) -> str:
    """The name under which a program is imported; tests reach those beside them without naming their folder."""
    beside = next((folder for folder in BESIDE if path.startswith(folder)), "")
    return module_name(Path(path.removeprefix(beside)))


def around(module: str) -> set[str]:
    """A module and the packages that it lies in."""
    parts = module.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def programs(*folders: str) -> dict[str, str]:
    """The text of every program below these folders, by its path in the course."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def changed_since_head() -> list[str]:
    """The files that are not as in the last commit, new ones and those that are gone included."""
    asked = ("diff --name-only --no-renames -z HEAD", "ls-files --others --exclude-standard -z")
    found: set[str] = set()
    for command in asked:
        done = subprocess.run(["git", *command.split()], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise CourseError(f"what changed is asked of git, which says: {done.stderr.strip()}")
        found |= set(filter(None, done.stdout.split("\0")))
    return sorted(found)


def take(steps: Mapping[str, list[str]]) -> None:
    """Take every step, also behind one that fails; CourseError with the names of those that failed."""
    failed = []
    alone = os.environ | {"RECSYS_PROGRESS": "off"}  # a test's answers are no progress of yours
    for name, command in steps.items():
        print(f"--- {name}", flush=True)
        if subprocess.call([sys.executable, "-m", *command], cwd=ROOT, env=alone):
            failed.append(name)
    if failed:
        raise CourseError(f"not in order: {'; '.join(failed)} (see above)")
