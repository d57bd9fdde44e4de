"""Lessons and exercises as files: find, read and write them in normal form, refuse wrong parameters.

Plain .ipynb is the only source. Lessons are stored with the outputs of one clean run of the quick profile.
"""

from pathlib import Path

import nbformat
from papermill import inspect_notebook

from recsys_helpers.errors import CourseError, did_you_mean
from recsys_helpers.files import write_text
from recsys_helpers.paths import ROOT
from recsys_helpers.training.profiles import check_profile

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_TIMEOUT = 600  # seconds
QUIET = ["--log-level=ERROR"]  # or each kernel warns about its local port


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
        notebook = nbformat.reads(path.read_bytes().decode("utf-8-sig"), as_version=4)
        if not all(isinstance(cell.source, str) and isinstance(cell.metadata, dict) for cell in notebook.cells):
            raise ValueError("a cell has no text")
        return notebook
    except Exception as error:  # nbformat takes what it reads for a notebook, and fails in many ways if it is none
        told = str(error).partition("\n")[0]
        raise CourseError(
            f"{path} cannot be read as a notebook ({told}); git checkout {path.name} restores it"
        ) from error


def write(notebook, path: Path) -> None:
    """Write a notebook in normal form, whole or not at all."""
    write_text(path, nbformat.writes(normalise(notebook)) + "\n")


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
            raise CourseError(f"{path.stem} has no parameter {name!r}; {did_you_mean(name, known)}")
        if name == "seed" and not (isinstance(value, int) and value >= 0):
            raise CourseError(f"seed is {value!r}; it has to be a whole number from 0 up")
    if "profile" in parameters:
        check_profile(parameters["profile"])
