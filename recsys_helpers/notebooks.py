"""Lessons and exercises as files: normalise, execute and store, release exercises, refuse wrong parameters.

Plain .ipynb is the only source. Lessons are stored with the outputs of one clean run of the quick profile.
"""

import difflib
import hashlib
import itertools
import math
import os
import shutil
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill import inspect_notebook

from recsys_helpers.errors import CourseError
from recsys_helpers.profiles import check_profile

ROOT = Path(__file__).resolve().parents[1]
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_TIMEOUT = 600  # seconds
QUIET = ["--log-level=ERROR"]  # or each kernel warns about its local port
RELEASE_STEPS = (
    "LockCells ClearSolutions ClearOutput CheckCellMetadata "
    "ClearHiddenTests ClearMarkScheme ComputeChecksums CheckCellMetadata"
)


def lessons() -> list[Path]:
    """The lessons in their order."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def solutions() -> list[Path]:
    """The solved exercises in their order: the source of the exercises."""
    return sorted((ROOT / "solutions").glob("[0-9][0-9]_*.ipynb"))


def find_lesson(name: str) -> Path:
    """The lesson whose name starts with `name` ("01", "01_self", ...), or a CourseError with the names that exist."""
    found = [path for path in lessons() if path.stem.startswith(name)]
    if len(found) != 1:
        raise CourseError(f"lesson {name!r} does not exist; choose from {', '.join(path.stem for path in lessons())}")
    return found[0]


def read(path: Path):
    """The notebook at a path; a CourseError names the file if it is not a notebook."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise CourseError(
            f"{path} cannot be read as a notebook ({error}); git checkout {path.name} restores it"
        ) from error


def write(notebook, path: Path) -> None:
    """Write a notebook in normal form, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_text(nbformat.writes(normalise(notebook)) + "\n", encoding="utf-8")
    os.replace(scratch, path)


def normalise(notebook):
    """Keep what a reader or a grader needs, drop what differs from run to run: two runs then give the same bytes."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
        | {key: notebook.metadata[key] for key in ("recsys",) if key in notebook.metadata}
    )
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in ("tags", "nbgrader") if key in cell.metadata}
        )
        for output in cell.get("outputs", []):
            if "metadata" in output:
                alt = output["metadata"].get("image/png", {}).get("alt")  # a picture in words
                output["metadata"] = nbformat.from_dict({"image/png": {"alt": alt}} if alt else {})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def check_parameters(path: Path, parameters: dict) -> None:
    """Refuse parameters that the notebook does not have, and values it cannot take; papermill only warns."""
    known = inspect_notebook(str(path))
    for name, value in parameters.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
            raise CourseError(f"{path.stem} has no parameter {name!r}; {hint}")
        if name == "seed" and not (isinstance(value, int) and value >= 0):
            raise CourseError(f"seed is {value!r}; it has to be a whole number from 0 up")
    if "profile" in parameters:
        check_profile(parameters["profile"])


def store(path: Path) -> float:
    """Execute a notebook in a fresh kernel and store it with its outputs; returns the seconds it took.

    A failing cell leaves the stored notebook as it was. A lesson keeps the time of the fastest run of its code, since
    a machine that does other work too can only add to it.
    """
    notebook = read(path)
    before, code = notebook.metadata.get("recsys", {}), digest(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    try:
        client.execute(env=os.environ | {"RECSYS_PROGRESS": "off"})  # an author's own progress is no part of a lesson
    except CellExecutionError as error:
        raise CourseError(f"{path.name} was not stored, a cell failed:\n{error}") from error
    seconds = time.perf_counter() - start
    if path.parent.name == "notebooks":
        known = before["seconds"] if before.get("code") == code else math.inf
        notebook.metadata["recsys"] = {"seconds": min(round(seconds), known), "cores": os.cpu_count(), "code": code}
    write(notebook, path)
    return seconds


def digest(notebook) -> str:
    """A fingerprint of a notebook's code."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def release(path: Path):
    """The exercise that belongs to a solved notebook: nbgrader's own steps, one after the other, without a database."""
    from nbgrader import preprocessors

    notebook, resources = read(path), {}
    for name in RELEASE_STEPS.split():
        notebook, resources = getattr(preprocessors, name)().preprocess(notebook, resources)
    return normalise(notebook)


def release_all() -> list[Path]:
    """Write every exercise anew from its solution; returns the paths written."""
    targets = []
    for path in solutions():
        target = ROOT / "exercises" / path.name
        write(release(path), target)
        targets.append(target)
    return targets


def reset(lesson: str, exercise: int | None = None, folder: Path | None = None) -> tuple[Path, Path | None]:
    """Put the exercises of a lesson, or only number `exercise`, back as they were handed out.

    `folder` is where the student works, the course's own folder `exercises` by default.

    Everything else in the student's notebook stays: other answers, cells of her own. Returns the notebook and the
    backup of what was there, which is None if nothing was. Raises CourseError for what does not exist.
    """
    found = [path for path in solutions() if path.stem.startswith(lesson)]
    if len(found) != 1:
        known = ", ".join(path.stem[:2] for path in solutions())
        raise CourseError(f"lesson {lesson!r} has no exercises to put back; choose from {known}")
    target, fresh = (folder or ROOT / "exercises") / found[0].name, release(found[0])
    if target.exists() and "language" in read(target).metadata.get("recsys", {}):
        from recsys_helpers.translation import in_chinese

        in_chinese(fresh, "exercises", target.stem)
    if exercise is not None:
        mark = f"ex-{found[0].stem[:2]}-{exercise}-"
        if not any(cell.id.startswith(mark) for cell in fresh.cells):
            raise CourseError(f"{target.name} has no exercise {exercise}")
        if target.exists():
            fresh = _put_back(read(target), fresh, mark)
    backup = None
    if target.exists():
        backups = (target.with_suffix(f".backup-{number}.ipynb") for number in itertools.count(1))
        backup = next(path for path in backups if not path.exists())
        shutil.copy2(target, backup)
    write(fresh, target)
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
