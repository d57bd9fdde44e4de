"""The student's set alone is enough: installed by `make` in a clone, then everything that a student does."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from recsys_helpers import sets
from recsys_helpers.course import notebooks
from recsys_helpers.paths import ROOT, home

pytestmark = pytest.mark.slow
IMPORTS = """
import importlib, pkgutil, sys
import recsys_helpers
for module in pkgutil.walk_packages(recsys_helpers.__path__, "recsys_helpers."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert not {"jax", "sphinx", "pytest"} & set(sys.modules)
from recsys_helpers.models.bert import load_encoder
print(load_encoder().pieces("the godfather"))
from recsys_helpers.scale.data_parallel import possible
print(possible())
"""
CHECK = """
from recsys_helpers.checks import check
import numpy as np
{answer}
check("01.1", softmax_over_keys)
check("01.1", lambda scores: np.exp(scores) / np.exp(scores).sum(axis=-2, keepdims=True))
"""


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A clone with the student's set and nothing else: `course`, and `python(*arguments)`, which runs its Python."""
    course = tmp_path_factory.mktemp("student") / "course"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            (course / name).write_bytes((ROOT / name).read_bytes())
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "RECSYS_PROGRESS")}
    clean |= {"RECSYS_HOME": str(home())}

    def run(*command: str, **environment: str) -> SimpleNamespace:
        return subprocess.run(command, cwd=course, env=clean | environment, capture_output=True, text=True)

    probe = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(course.parent), "six"]
    if not os.environ.get("CI") and run(*probe, PIP_NO_CACHE_DIR="1").returncode:
        pytest.skip("needs the network: packages are fetched")
    made = run("make", ".venv/.student", f"PYTHON={sys.executable}")
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    python = str(course / ".venv" / "bin" / "python")
    return SimpleNamespace(course=course, python=lambda *arguments, **env: run(python, *arguments, **env))


def test_it_is_what_the_lock_says_and_no_more(student):
    listed = student.python("-m", "pip", "list", "--format", "json", "--disable-pip-version-check")
    names = {package["name"].lower().replace("_", "-").replace(".", "-") for package in json.loads(listed.stdout)}
    assert names - {"pip"} == {line.name for line in sets.locked(sets.STUDENT)} | {"recsys-helpers"}


def test_every_module_of_the_helpers_can_be_imported(student):
    run = student.python("-c", IMPORTS)
    assert run.returncode == 0, run.stderr
    pieces, left_out, settings = run.stdout.splitlines()[-3:]
    assert "godfather" in pieces and "two devices" in settings and "two processes" not in settings
    assert left_out == (
        "two processes are left out, since they need JAX: make scale   "
        "(or: python -m pip install --no-deps -r requirements/scale.lock)"
    )


def test_the_doctor_is_content_and_names_the_other_sets(student):
    run = student.python("-m", "recsys_helpers", "doctor", COLUMNS="200")
    assert run.returncode == 0, run.stdout
    assert "All is well." in run.stdout
    for extra in sets.EXTRAS.values():
        assert extra.command in run.stdout


def test_a_lesson_runs(student):
    run = student.python("-m", "recsys_helpers", "course", "--lesson", "00", "-p", "profile=smoke")
    assert run.returncode == 0, run.stderr
    assert (student.course / "build" / "results.json").exists()


def test_an_exercise_is_checked_recorded_and_put_back_in_two_languages(student):
    solved = notebooks.read(ROOT / "solutions" / "01_self_attention.ipynb")
    answer = next(cell.source for cell in solved.cells if cell.id == "ex-01-1-solution")
    for language, words in (("en", "over the queries"), ("zh_CN", "查询")):
        run = student.python("-c", CHECK.format(answer=answer), RECSYS_LANGUAGE=language)
        assert "✓" in run.stdout and words in run.stdout + run.stderr, run.stdout + run.stderr
    told = student.python("-m", "recsys_helpers", "progress")
    assert told.returncode == 0 and "next: 01.2" in told.stdout, told.stdout + told.stderr
    exercise = student.course / "exercises" / "01_self_attention.ipynb"
    released = exercise.read_bytes()
    exercise.write_bytes(released.replace(b"raise NotImplementedError()", b"return 42", 1))
    assert exercise.read_bytes() != released
    run = student.python("-m", "recsys_helpers", "reset", "01", "--exercise", "1")
    assert run.returncode == 0, run.stderr
    assert exercise.read_bytes() == released and list(exercise.parent.glob("01_self_attention.backup-1.ipynb"))


def test_the_chinese_notebooks_are_made(student):
    run = student.python("-m", "recsys_helpers", "chinese")
    assert run.returncode == 0, run.stderr
    assert (student.course / "build" / "zh" / "notebooks" / "00_orientation.ipynb").exists()


@pytest.mark.parametrize(("tool", "command"), [("site", "make site"), ("slides", "make instructor")])
def test_another_persons_tool_says_in_one_line_what_adds_it(student, tool, command):
    run = student.python("-m", "course_tools", tool)
    assert run.returncode == 2 and run.stdout == ""
    assert len(run.stderr.splitlines()) == 1 and f": {command}   (or: python -m pip install" in run.stderr
