"""Exercises are generated from solutions; nbgrader itself gives solutions full marks and released exercises none."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader import preprocessors, utils

from recsys_helpers import notebooks


def names(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def score(notebook):
    """Run a notebook as nbgrader's autograder does: every cell, errors allowed; then its own points."""
    preprocessors.ClearOutput().preprocess(notebook, {})
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True)
    client.execute()
    graded = [cell for cell in notebook.cells if utils.is_grade(cell)]
    points = [utils.determine_grade(cell) for cell in graded]
    return sum(got for got, _ in points), sum(possible for _, possible in points), len(graded)


def test_exercises_and_solutions_belong_together():
    exercises = sorted((notebooks.ROOT / "exercises").glob("*.ipynb"))
    assert [path.name for path in exercises] == [path.name for path in notebooks.solutions()] != []


@names(notebooks.solutions())
def test_exercises_are_in_sync(path):
    released = nbformat.writes(notebooks.release(path)) + "\n"
    assert (notebooks.ROOT / "exercises" / path.name).read_text(encoding="utf-8") == released, "run: make store"
    assert "BEGIN SOLUTION" not in released and "NotImplementedError" in released
    assert "MARK SCHEME" not in released


def test_what_a_person_grades_keeps_its_points_and_hides_its_mark_scheme():
    solved = notebooks.read(notebooks.ROOT / "solutions" / "08_capstone_recommender.ipynb")
    given = notebooks.read(notebooks.ROOT / "exercises" / "08_capstone_recommender.ipynb")
    (task,), (shown,) = ([cell for cell in notebook.cells if utils.is_task(cell)] for notebook in (solved, given))
    public, scheme = task.source.split("=== BEGIN MARK SCHEME ===")
    rubric = [row.split("|") for row in scheme.splitlines() if row.startswith("| ")][1:]
    assert sum(int(row[1]) for row in rubric) == task.metadata.nbgrader.points == shown.metadata.nbgrader.points == 20
    assert shown.source.strip() == public.strip() and utils.is_locked(shown) and not utils.is_grade(shown)
    everything = "\n".join(cell.source for cell in given.cells)
    assert not [row for row in rubric if row[3].strip() in everything]


@names(notebooks.solutions())
def test_solutions_get_full_marks(path):
    got, possible, graded = score(notebooks.read(path))
    assert graded >= 4 and got == possible > 0


@names(notebooks.solutions())
def test_released_exercises_get_none(path):
    notebook = notebooks.read(notebooks.ROOT / "exercises" / path.name)
    got, possible, graded = score(notebook)
    assert graded >= 4 and possible > 0 and got == 0
    messages = [o.evalue for c in notebook.cells if utils.is_grade(c) for o in c.outputs if o.output_type == "error"]
    assert len(messages) == graded and all("not attempted" in message for message in messages)
