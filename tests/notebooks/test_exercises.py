"""Exercises are generated from solutions; nbgrader itself gives solutions full marks and released exercises none."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbgrader import preprocessors, utils

from recsys_helpers.course import notebooks, reset
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT


def names(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def autograde(notebook):
    """Run a notebook as nbgrader's autograder does: every cell, errors allowed."""
    preprocessors.ClearOutput().preprocess(notebook, {})
    NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True).execute()


def score(notebook):
    """What nbgrader gives for the outputs of a notebook: points, possible points, how many cells are graded."""
    graded = [cell for cell in notebook.cells if utils.is_grade(cell)]
    points = [utils.determine_grade(cell) for cell in graded]
    return sum(got for got, _ in points), sum(possible for _, possible in points), len(graded)


def test_exercises_and_solutions_belong_together():
    exercises = sorted((ROOT / "exercises").glob("*.ipynb"))
    assert (
        [path.name for path in exercises if ".backup-" not in path.name]
        == [path.name for path in notebooks.solutions()]
        != []
    )


@names(notebooks.solutions())
def test_exercises_are_in_sync(path):
    released = nbformat.writes(reset.release(path)) + "\n"
    given = (ROOT / "exercises" / path.name).read_text(encoding="utf-8")
    assert given == released, (
        f"authors: make store; students, to hand it back: python -m recsys_helpers reset {path.stem[:2]}"
    )
    assert "BEGIN SOLUTION" not in released and "NotImplementedError" in released
    assert "MARK SCHEME" not in released


# --- Putting exercises back -------------------------------------------------------------------------------------------


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """A copy of the exercises of lesson 01 in which a student has worked."""
    monkeypatch.setattr(reset, "ROOT", tmp_path)
    solved = ROOT / "solutions" / "01_self_attention.ipynb"
    monkeypatch.setattr(notebooks, "solutions", lambda: [solved])
    path, backup = reset.reset("01")
    assert backup is None
    notebook = notebooks.read(path)
    for cell in notebook.cells:
        if cell.id.endswith("-solution"):
            cell.source = f"mine = '{cell.id}'"
    notebook.cells.insert(5, nbformat.v4.new_code_cell("of_my_own = 1", id="own"))
    notebooks.write(notebook, path)
    return path


def sources(path):
    return {cell.id: cell.source for cell in notebooks.read(path).cells}


def test_one_exercise_is_put_back_and_the_others_stay(worked):
    before, fresh = (
        sources(worked),
        {cell.id: cell.source for cell in reset.release(notebooks.solutions()[0]).cells},
    )
    path, backup = reset.reset("01", 3)
    after = sources(path)
    assert path == worked and list(after) == list(before)
    assert after["ex-01-3-solution"] == fresh["ex-01-3-solution"] != before["ex-01-3-solution"]
    assert {**after, "ex-01-3-solution": 0} == {**before, "ex-01-3-solution": 0}
    assert sources(backup) == before and backup.name == "01_self_attention.backup-1.ipynb"
    assert reset.reset("01", 2)[1].name == "01_self_attention.backup-2.ipynb" and sources(backup) == before


def test_lost_cells_return_to_their_place(worked):
    notebook, whole = notebooks.read(worked), list(sources(worked))
    notebook.cells = [cell for cell in notebook.cells if not cell.id.startswith("ex-01-3-")]
    notebooks.write(notebook, worked)
    reset.reset("01", 3)
    assert list(sources(worked)) == whole


def test_all_exercises_are_put_back(worked):
    before = sources(worked)
    path, backup = reset.reset("01")
    assert path.read_text() == nbformat.writes(reset.release(notebooks.solutions()[0])) + "\n"
    assert sources(backup) == before


def test_exercises_of_another_folder_are_put_back_there(worked, tmp_path):
    mine = tmp_path / "mine"
    path, backup = reset.reset("01", folder=mine)
    assert path == mine / worked.name and backup is None and "mine" in sources(worked)["ex-01-3-solution"]


def test_what_cannot_be_put_back_is_named_and_nothing_is_written(worked):
    before = sorted(worked.parent.iterdir()), worked.read_bytes()
    for arguments, message in [(("42",), "choose from 01"), (("01", 9), "has no exercise 9")]:
        with pytest.raises(CourseError, match=message):
            reset.reset(*arguments)
    assert (sorted(worked.parent.iterdir()), worked.read_bytes()) == before


def test_what_a_person_grades_keeps_its_points_and_hides_its_mark_scheme():
    solved = notebooks.read(ROOT / "solutions" / "08_capstone_recommender.ipynb")
    given = notebooks.read(ROOT / "exercises" / "08_capstone_recommender.ipynb")
    (task,), (shown,) = ([cell for cell in notebook.cells if utils.is_task(cell)] for notebook in (solved, given))
    public, scheme = task.source.split("=== BEGIN MARK SCHEME ===")
    rubric = [row.split("|") for row in scheme.splitlines() if row.startswith("| ")][1:]
    assert sum(int(row[1]) for row in rubric) == task.metadata.nbgrader.points == shown.metadata.nbgrader.points == 20
    assert shown.source.strip() == public.strip() and utils.is_locked(shown) and not utils.is_grade(shown)
    everything = "\n".join(cell.source for cell in given.cells)
    assert not [row for row in rubric if row[3].strip() in everything]


@names(notebooks.solutions())
def test_solutions_get_full_marks(path):
    """For their stored outputs: that an execution gives these, and nothing on stderr, is what nbval proves."""
    got, possible, graded = score(notebooks.read(path))
    assert graded >= 4 and got == possible > 0


@pytest.mark.parametrize(
    "output",
    [
        nbformat.v4.new_output("error", ename="Wrong", evalue="01.1 not right yet"),
        nbformat.v4.new_output("stream", name="stderr", text="RuntimeWarning: overflow"),
    ],
)
def test_a_stored_error_or_warning_would_cost_the_marks(output):
    notebook = notebooks.read(notebooks.solutions()[0])
    cell = next(cell for cell in notebook.cells if utils.is_grade(cell))
    cell.outputs.append(output)
    got, possible, _ = score(notebook)
    assert got == possible - cell.metadata.nbgrader.points


@names(notebooks.solutions())
def test_released_exercises_get_none(path):
    notebook = notebooks.read(ROOT / "exercises" / path.name)
    autograde(notebook)
    got, possible, graded = score(notebook)
    assert graded >= 4 and possible > 0 and got == 0
    messages = [o.evalue for c in notebook.cells if utils.is_grade(c) for o in c.outputs if o.output_type == "error"]
    assert len(messages) == graded and all("not attempted" in message for message in messages)
