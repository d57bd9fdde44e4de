"""For authors: execute and store notebooks, release exercises, measure the full profile."""

import hashlib
import json
import math
import os
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from recsys_helpers.course import notebooks
from recsys_helpers.course.reset import release
from recsys_helpers.course.run import run_lesson
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.results import read_results
from recsys_helpers.files import write_json
from recsys_helpers.paths import MEASURED, ROOT


def store(path: Path) -> float:
    """Execute a notebook in a fresh kernel and store it with its outputs; returns the seconds it took.

    A failing cell leaves the stored notebook as it was. A lesson keeps the time of the fastest run of its code, since
    a machine that does other work too can only add to it.
    """
    notebook = notebooks.read(path)
    before, code = notebook.metadata.get("recsys", {}), digest(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=notebooks.CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=notebooks.QUIET,
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    try:
        client.execute(env=os.environ | {"RECSYS_PROGRESS": "off"})  # an author's own progress is no part of a lesson
    except CellExecutionError as error:
        raise CourseError(f"{path.name} was not stored, a cell failed:\n{error}") from error
    except (DeadKernelError, AssertionError) as error:  # nbclient's own, when it is told to end
        raise CourseError(f"{path.name} was not stored: its kernel has ended") from error
    seconds = time.perf_counter() - start
    if path.parent.name == "notebooks":
        known = before["seconds"] if before.get("code") == code else math.inf
        notebook.metadata["recsys"] = {"seconds": min(round(seconds), known), "cores": os.cpu_count(), "code": code}
    notebooks.write(notebook, path)
    return seconds


def digest(notebook) -> str:
    """A fingerprint of a notebook's code."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def release_all() -> list[Path]:
    """Write every exercise anew from its solution; returns the paths written."""
    targets = []
    for path in notebooks.solutions():
        target = ROOT / "exercises" / path.name
        notebooks.write(release(path), target)
        targets.append(target)
    return targets


FULL_PROFILE = MEASURED / "full_profile.json"


def measure_full(names: list[str], seed: int = 7) -> None:
    """Run lessons in the full profile, and put what they measured into docs/measured/full_profile.json, by lesson."""
    for name in names:
        path = notebooks.find_lesson(name)
        output = ROOT / "build" / "full" / path.name
        seconds = run_lesson(path, output, {"profile": "full", "seed": seed})
        rows = read_results(notebooks.read(output))
        measured = json.loads(FULL_PROFILE.read_text(encoding="utf-8")) if FULL_PROFILE.exists() else {}
        measured[path.stem] = {"seconds": round(seconds), "seed": seed, "rows": rows}
        write_json(FULL_PROFILE, dict(sorted(measured.items())))
