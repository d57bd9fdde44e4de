"""The course's main job: run the lessons in order, collect what they measured, show it."""

import time
from contextlib import contextmanager
from pathlib import Path

import papermill
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from rich.table import Table

from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.results import CEILINGS, LOWER_IS_BETTER, VARIANTS, read_results
from recsys_helpers.files import scratch_folder, write_bytes, write_json
from recsys_helpers.paths import BUILD


@contextmanager
def _writing(folder: Path):
    """A block that writes into a folder; where that fails it gives one CourseError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CourseError(f"{folder} cannot be written ({reason}): free it, or add --out /another/folder") from error


@contextmanager
def _executed(output: Path):
    """A place for a notebook that papermill writes again and again; it goes to `output` at the end, or at a failure."""
    with scratch_folder(output) as scratch:
        place = scratch / output.name
        try:
            yield place
        except PapermillExecutionError:
            write_bytes(output, place.read_bytes())
            raise
        write_bytes(output, place.read_bytes())


def run_lesson(path: Path, output: Path, parameters: dict, progress: bool = True) -> float:
    """Execute one lesson with papermill into `output`; returns seconds.

    A failing cell, a folder that cannot be written and a full disk give one CourseError each. The executed notebook is
    written even when a cell fails, so that the student can look at it; an earlier one stays until then.
    """
    notebooks.check_parameters(path, parameters)
    start = time.perf_counter()
    try:
        with _writing(output.parent), _executed(output) as executed:
            papermill.execute_notebook(
                str(path),
                str(executed),
                parameters=parameters,
                kernel_name="python3",
                progress_bar={"desc": path.stem} if progress else False,
                cwd=str(path.parent),
                execution_timeout=None if parameters.get("profile") == "full" else notebooks.CELL_TIMEOUT,
                extra_arguments=notebooks.QUIET,
            )
    except PapermillExecutionError as error:
        raise CourseError(
            f"{path.stem} stopped in cell [{error.exec_count}]: {error.ename}: {error.evalue}; see {output}"
        ) from error
    return time.perf_counter() - start


def run_course(parameters: dict, only: list[str] | None = None, build: Path = BUILD) -> list[dict]:
    """Run the lessons in order; leaves `build/course/NN_*.ipynb` and `build/results.json`, returns the table's rows.

    CourseError as for `run_lesson`.
    """
    paths = [notebooks.find_lesson(name) for name in only] if only else notebooks.lessons()
    for path in paths:
        notebooks.check_parameters(path, parameters)  # before the first minute is spent
    summary, rows = [], []
    for path in paths:
        output = build / "course" / path.name
        seconds = run_lesson(path, output, parameters)
        measured = read_results(notebooks.read(output))
        rows += measured
        summary.append({"lesson": path.stem, "seconds": seconds, "headline": headline(measured)})
        with _writing(build):
            write_json(build / "results.json", rows)
    return summary


def headline(rows: list[dict]) -> str:
    """The lesson's last model beside the best of the others, on the first metric and data set that it reports."""
    rows = [row for row in rows if row["model"] not in CEILINGS + VARIANTS]
    if not rows:
        return ""
    *others, last = [row for row in rows if all(row[key] == rows[0][key] for key in ("metric", "dataset", "protocol"))]
    best = (min if last["metric"] in LOWER_IS_BETTER else max)(others, key=lambda row: row["value"], default=last)
    return f"{last['metric']}: {last['model']} {last['value']:.3f}, {best['model']} {best['value']:.3f}"


def show(summary: list[dict], console: Console | None = None) -> None:
    """Print the table at the end of `make course`."""
    table = Table("lesson", "minutes", "headline result, beside its baseline")
    for row in summary:
        table.add_row(row["lesson"], f"{row['seconds'] / 60:.1f}", row["headline"])
    (console or Console()).print(table)
