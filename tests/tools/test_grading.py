"""A class of made-up submissions is graded as it should be, and nothing but the folder of results changes."""

import codecs
import csv
import hashlib
import shutil
import socket
from pathlib import Path

import needs
import pytest
from classroom import L01, NAMES, Submission, class_of, exercise, mark, write_class
from hypothesis import given
from hypothesis import strategies as st

from course_tools.grading import grade, pages, reading, sandbox, verdicts
from course_tools.grading.verdicts import Limits
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

bubblewrap = needs.program("bwrap", "apt install bubblewrap")
SMALL = Limits(cell=12, notebook=120, memory=2**30, processes=64)
RELEASED = grade.released()[L01]
KEPT = ("recsys_helpers", "datasets", "solutions", "exercises")


def state(folder: Path) -> dict[str, str]:
    """Every file below a folder, with its hash; links by their target."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file()) and "__pycache__" not in path.parts
    }


def rows(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shown(student: str) -> str:
    return pages.table_text(" ".join(student.split()))


def faults(out: Path, submission: Submission) -> list[str]:
    """What differs from what a submission should get; empty if nothing does."""
    name = shown(submission.student)
    points = {row["notebook"]: row for row in rows(out / "points.csv") if row["student"] == name}
    exercises = {row["exercise"]: row for row in rows(out / "points_by_exercise.csv") if row["student"] == name}
    verdicts = {k: row["verdict"] for k, row in exercises.items() if k in NAMES}
    notes = "; ".join(row["notes"] for row in points.values() if row["notes"] and row["notebook"] in submission.points)
    told = "\n".join(row["message"] for row in exercises.values())
    expected = dict.fromkeys(NAMES, "correct") | submission.verdicts
    found = {notebook: float(points[notebook]["points"]) for notebook in submission.points}
    wrong = [f"{name}: points {found}, notes {notes}"] if found != submission.points else []
    wrong += [f"{name}: verdicts {verdicts}, notes {notes}"] if verdicts != expected else []
    wrong += [f"{name}: no {phrase!r} in the notes: {notes}" for phrase in submission.notes if phrase not in notes]
    wrong += [f"{name}: no {phrase!r} in: {told}" for phrase in submission.messages if phrase not in told]
    wrong += [f"{name}: should have no notes: {notes}"] if submission.quiet and notes else []
    return wrong


def pages_are_safe_and_private(out: Path, submissions: list[Submission]) -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in out.rglob("*.html")}
    assert len(pages) == 1 + (len(submissions) + 1) * 3
    assert not [page for page, text in pages.items() if "<script" in text or "<img" in text or '="http' in text]
    for number, submission in enumerate(submissions):
        own = [page for page, text in pages.items() if mark(number) in text]
        assert [page.name for page in own] in ([], [f"{L01}.html"]), submission.student
    overview = (out / "index.html").read_text(encoding="utf-8")
    assert "<h3>Exercise 01.3: Causal and padding mask of a batch of histories</h3>" in overview
    assert "<li>2 × wrong: padding is hidden" in overview and "down each column (over the queries)" in overview


@bubblewrap
def test_a_whole_class(tmp_path):
    """All at once, since the sandbox's start is what costs time."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "bird").write_text("sings")
    collected, out = tmp_path / "submissions", tmp_path / "out"
    with socket.create_server(("127.0.0.1", 0)) as server:
        submissions = class_of(canary, server.getsockname()[1])
        write_class(collected, submissions)
        kept = [*(ROOT / name for name in KEPT), collected, canary]
        earlier = [state(folder) for folder in kept]
        index = grade.grade(collected, out, SMALL)
        assert [state(folder) for folder in kept] == earlier
    assert len(submissions) >= 30
    assert index == out / "index.html" and sorted(p.name for p in tmp_path.iterdir()) == [
        "canary",
        "out",
        "submissions",
    ]
    wrong = [fault for submission in submissions for fault in faults(out, submission)]
    assert not wrong, "\n".join(wrong)
    by_student = {row["student"]: row for row in rows(out / "points.csv") if row["notebook"] == L01}
    assert "not followed" in by_student["linked"]["notes"] and float(by_student["linked"]["points"]) == 0
    assert float(by_student["ada"]["possible"]) == 14

    pages_are_safe_and_private(out, submissions)

    again = tmp_path / "again"
    for name in ("ada", "lea", "zoe", "xena"):
        shutil.copytree(collected / name, again / name)
    grade.grade(again, out, SMALL)
    second = {row["student"]: row for row in rows(out / "points.csv") if row["notebook"] == L01}
    assert second == {name: by_student[name] for name in ("ada", "lea", "xena", "zoe")}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_a_notebook_is_read_in_the_encoding_that_an_editor_gave_it(tmp_path, encoding):
    original = ROOT / "exercises" / f"{L01}.ipynb"
    marks = {"utf-16-be": codecs.BOM_UTF16_BE, "utf-16-le": codecs.BOM_UTF16_LE}
    path = tmp_path / original.name
    path.write_bytes(marks.get(encoding, b"") + original.read_text("utf-8").encode(encoding))
    assert reading.load(path.read_bytes()) == reading.load(original.read_bytes()) != []


def test_a_working_folder_is_not_taken_for_what_was_released(monkeypatch):
    read = notebooks.read
    monkeypatch.setattr(
        notebooks, "read", lambda path: pytest.fail(f"read {path}") if path.parent.name == "exercises" else read(path)
    )
    found = grade.released()
    assert found.keys() == {path.stem for path in notebooks.solutions()}
    assert not any("BEGIN SOLUTION" in cell["source"] for cells in found.values() for cell in cells)


def test_what_stands_in_the_way_is_said(tmp_path, monkeypatch):
    collected, out = tmp_path / "submissions", tmp_path / "out"
    with pytest.raises(CourseError, match="is not a folder"):
        grade.grade(collected, out)
    collected.mkdir()
    with pytest.raises(CourseError, match="within each other"):
        grade.grade(collected, collected / "out")
    with pytest.raises(CourseError, match="something else"):
        grade.grade(collected, ROOT / "datasets")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CourseError, match="apt install bubblewrap"):
        grade.grade(collected, out)
    monkeypatch.setattr(sandbox, "require", lambda: None)
    with pytest.raises(CourseError, match="no folder of a student"):
        grade.grade(collected, out)
    assert not out.exists()


@bubblewrap
def test_a_project_is_left_to_a_person(tmp_path):
    stem = "08_capstone_recommender"
    notebook = notebooks.read(ROOT / "exercises" / f"{stem}.ipynb")
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    notebooks.write(notebook, tmp_path / "kim" / f"{stem}.ipynb")
    graded = grade.grade_notebook(tmp_path / "kim" / f"{stem}.ipynb", stem, grade.released()[stem], SMALL)
    assert {e.name: e.verdict for e in graded.exercises}["08.4 project"] == verdicts.BY_PERSON
    assert (graded.points, graded.possible) == (0, 8)
    assert any("20 more points for 08.4 project" in note for note in graded.notes)


def test_what_solutions_and_exercises_do_is_not_suspicious():
    for stem in (path.stem for path in notebooks.solutions()):
        assert reading.suspicious(cell.source for cell in exercise(stem=stem).cells if cell.cell_type == "code") == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("check = print", "replaces"),
        ("from mine import check", "replaces"),
        ("import numpy as np\nnp.allclose = lambda *a: True", "replaces"),
        ("import sys\nsys.modules.clear()", "reaches into the checks"),
        ("from recsys_helpers.checks.lesson01 import judge_softmax", "reaches into the checks"),
        ("from recsys_helpers import checks\nchecks.EXERCISES", "reaches into the checks"),
        ("import inspect", "looks into"),
        ("f.__globals__", "looks into"),
        ("from urllib.request import urlopen", "tried the network"),
        ("x = 1\n!ls", "drives the notebook"),
        ("%%bash\nls", "drives the notebook"),
        ("get_ipython().events", "drives the notebook"),
        ("open('../solutions/01_self_attention.ipynb')", "names the solutions"),
        ("import os\nos.fork()", "starts or ends"),
    ],
)
def test_a_person_is_told_what_to_look_at(source, kind):
    assert any(note.startswith(f"{verdicts.LOOK}{kind}") for note in reading.suspicious([source]))


@pytest.mark.parametrize("source", ["%matplotlib inline\nx = 1", "%timeit 1", "requests = 3", "a.check(1)", "x = ("])
def test_what_students_usually_do_is_not_noted(source):
    assert reading.suspicious([source]) == []


@given(st.text())
def test_no_cell_of_a_table_is_a_formula(text):
    assert pages.table_text(text).lstrip()[:1] not in ("=", "+", "-", "@")


@given(st.lists(st.text(), max_size=8))
def test_folders_of_feedback_are_safe_and_different(names):
    taken: set[str] = set(pages.OUR_FILES)
    for name in names:
        safe = grade.safe_name(name, taken)
        assert safe not in ("", ".", "..") and "/" not in safe and "\\" not in safe and not safe.startswith(("-", "."))
        assert safe.casefold() not in taken and len(safe) < 80
        safe.encode("utf-8")
        taken.add(safe.casefold())


@given(st.one_of(st.integers(), st.floats()), st.one_of(st.integers(), st.floats()))
def test_equal_mistakes_group_whatever_the_numbers(one, other):
    first, second = (pages.mistake(f"01.3 not right yet: expected 4, yours is {x}.\nmore") for x in (one, other))
    assert first == second == "expected #, yours is #."


@given(st.permutations(range(26)), st.sets(st.integers(0, 25)))
def test_every_check_is_run_once_and_as_released_whatever_is_moved_or_deleted(order, gone):
    submitted = [cell | {"source": cell["source"] + " # mine"} for cell in RELEASED]
    cells, _ = reading.merge([submitted[place] for place in order if place not in gone], RELEASED)
    checks = sorted(cell["source"] for cell in cells if cell["check"])
    assert checks == sorted(cell["source"] for cell in RELEASED if cell["check"])
