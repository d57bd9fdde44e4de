"""Exercises as they were handed out: made from their solutions, and put back for a student."""

import itertools
import os
from pathlib import Path

import nbformat

from recsys_helpers.course import notebooks
from recsys_helpers.course.chinese import in_chinese
from recsys_helpers.errors import CourseError
from recsys_helpers.files import set_aside
from recsys_helpers.paths import ROOT

RELEASE_STEPS = (
    "LockCells ClearSolutions ClearOutput CheckCellMetadata "
    "ClearHiddenTests ClearMarkScheme ComputeChecksums CheckCellMetadata"
)


def release(path: Path):
    """The exercise that belongs to a solved notebook: nbgrader's own steps, one after the other, without a database."""
    from nbgrader import preprocessors

    notebook, resources = notebooks.read(path), {}
    for name in RELEASE_STEPS.split():
        notebook, resources = getattr(preprocessors, name)().preprocess(notebook, resources)
    return notebooks.normalise(notebook)


def reset(lesson: str, exercise: int | None = None, folder: Path | None = None) -> tuple[Path, Path | None]:
    """Put the exercises of a lesson, or only number `exercise`, back as they were handed out.

    `folder` is where the student works, the course's own folder `exercises` by default.

    With a number everything else in the student's notebook stays: other answers, cells of her own. Returns the notebook
    and the backup of what was there, byte for byte, which is None if nothing was.

    Raises:
        CourseError: the lesson or exercise does not exist; one exercise alone cannot be put back, since the notebook is
            damaged; the folder cannot be written. What was there is as it was, or in the backup that is named.
    """
    found = [path for path in notebooks.solutions() if path.stem.startswith(lesson)]
    if len(found) != 1:
        known = ", ".join(path.stem[:2] for path in notebooks.solutions())
        raise CourseError(f"lesson {lesson!r} has no exercises to put back; choose from {known}")
    target, fresh = (folder or ROOT / "exercises") / found[0].name, release(found[0])
    there = os.path.lexists(target)
    mine = _readable(target) if there else None
    if there and _is_chinese(mine, target.parent):
        in_chinese(fresh, "exercises", target.stem)
    if exercise is not None:
        mark = f"ex-{found[0].stem[:2]}-{exercise}-"
        if not any(cell.id.startswith(mark) for cell in fresh.cells):
            raise CourseError(f"{target.name} has no exercise {exercise}")
        if there and mine is None:
            raise CourseError(
                f"{target} is damaged, so exercise {exercise} alone cannot be put back; "
                f"python -m recsys_helpers reset {target.stem[:2]} puts the whole lesson back and keeps what is there"
            )
        fresh = _put_back(mine, fresh, mark) if there else fresh
    backup = None
    try:
        if there:
            backup = set_aside(target, (target.with_suffix(f".backup-{n}.ipynb") for n in itertools.count(1)))
        notebooks.write(fresh, target)
    except OSError as error:
        kept = f"what was there is in {backup.name}" if backup else "nothing was changed"
        raise CourseError(f"{target} could not be put back ({error.strerror or error}); {kept}") from error
    return target, backup


def _readable(path: Path):
    """The notebook at a path, None if there is none that could be written again."""
    try:
        if not path.is_file():
            return None
        notebook = notebooks.read(path)
        nbformat.writes(notebooks.normalise(notebook))
        return notebook
    except Exception:  # of whatever kind: it can be put back, however it is damaged
        return None


def _is_chinese(mine, folder: Path) -> bool:
    """Whether this notebook is in Chinese; of one that cannot be read its neighbours tell."""
    neighbours = map(_readable, sorted(folder.glob("[0-9][0-9]_*.ipynb")))
    known = mine or next((notebook for notebook in neighbours if notebook), None)
    marked = known.metadata.get("recsys") if known else None
    return isinstance(marked, dict) and "language" in marked


def _put_back(mine, fresh, mark: str):
    """My notebook with the cells whose id begins with `mark` as in the fresh one; a lost cell returns to its place."""
    place = 0
    for cell in fresh.cells:
        known = [i for i, other in enumerate(mine.cells) if other.get("id") == cell.id]
        start = known[0] if known else place
        if cell.id.startswith(mark):
            mine.cells[start : start + len(known)] = [cell]
        if known or cell.id.startswith(mark):
            place = start + 1
    return mine
