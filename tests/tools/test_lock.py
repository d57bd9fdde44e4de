"""The locks of the sets are cut out of one resolution, and what they cost has been measured."""

import importlib.util
import json

import pytest

from course_tools.author import lock, setup_cost
from recsys_helpers import sets
from recsys_helpers.errors import CourseError

STUDENT = ["keras==3", "libclang==18", "numpy==2 ; python_full_version < '3.12'", "tensorflow==2.21.0"]


def test_each_lock_has_what_comes_on_top_of_the_students(tmp_path, monkeypatch):
    asked = []

    def resolve(*options):
        asked.append(options)
        extra = options[-1] if "--extra" in options else None
        return [
            *STUDENT,
            *{None: [], "gpu": ["nvidia-nccl==2"], "site": ["sphinx==9", "numpy==2"]}.get(extra, ["x==1"]),
        ]

    monkeypatch.setattr(sets, "ROOT", tmp_path)
    monkeypatch.setattr(lock, "_resolve", resolve)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert lock.write_locks(["keras"]) == [sets.lock_file(name) for name in (sets.STUDENT, *sets.EXTRAS)]
    assert sets.lock_file("student").read_text().splitlines() == [
        *STUDENT[:1],
        STUDENT[2],
        f"tensorflow==2.21.0 ; {lock.NOT_CPU}",
        f"tensorflow-cpu==2.21.0 ; {lock.CPU}",
    ]
    assert sets.lock_file("site").read_text() == "sphinx==9\nnumpy==2\n", "needed where the student's set has no need"
    assert sets.lock_file("gpu").read_text() == "tensorflow==2.21.0\nnvidia-nccl==2\n", "it replaces tensorflow-cpu"
    first, *others = asked
    assert first[:3] == ("--all-extras", "-P", "keras")
    assert all(options[:2] == ("-c", first[-1]) for options in others), "within the versions of the first"


def test_without_uv_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="python -m pip install uv"):
        lock.write_locks()


def test_the_students_set_stays_within_its_goals():
    measured = json.loads(setup_cost.SETUP.read_text("utf-8"))["sets"]
    assert measured["student"]["fetch_mb"] <= 700 and measured["student"]["disk_compiled_gb"] <= 2.5
    assert measured.keys() >= {sets.STUDENT, *sets.EXTRAS} - {"gpu"}, "python -m course_tools setup"


def test_only_sets_that_exist_are_measured():
    with pytest.raises(CourseError, match="set 'pupil' does not exist; choose from student, instructor"):
        setup_cost.measure(["pupil"])
