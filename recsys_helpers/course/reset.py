"""Exercises as they were handed out: made from their solutions, and put back for a student."""

import itertools
import shutil
from pathlib import Path

from recsys_helpers.course import notebooks
from recsys_helpers.course.chinese import in_chinese
from recsys_helpers.errors import CourseError
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

    Everything else in the student's notebook stays: other answers, cells of her own. Returns the notebook and the
    backup of what was there, which is None if nothing was. Raises CourseError for what does not exist.
    """
    found = [path for path in notebooks.solutions() if path.stem.startswith(lesson)]
    if len(found) != 1:
        known = ", ".join(path.stem[:2] for path in notebooks.solutions())
        raise CourseError(f"lesson {lesson!r} has no exercises to put back; choose from {known}")
    target, fresh = (folder or ROOT / "exercises") / found[0].name, release(found[0])
    if target.exists() and "language" in notebooks.read(target).metadata.get("recsys", {}):
        in_chinese(fresh, "exercises", target.stem)
    if exercise is not None:
        mark = f"ex-{found[0].stem[:2]}-{exercise}-"
        if not any(cell.id.startswith(mark) for cell in fresh.cells):
            raise CourseError(f"{target.name} has no exercise {exercise}")
        if target.exists():
            fresh = _put_back(notebooks.read(target), fresh, mark)
    backup = None
    if target.exists():
        backups = (target.with_suffix(f".backup-{number}.ipynb") for number in itertools.count(1))
        backup = next(path for path in backups if not path.exists())
        shutil.copy2(target, backup)
    notebooks.write(fresh, target)
    return target, backup


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
