"""The course's main job: run the lessons in order, collect what they measured, show it."""

import base64
import json
import os
import time
from pathlib import Path

import papermill
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from rich.table import Table

from recsys_helpers import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation import PROTOCOL
from recsys_helpers.results import CEILINGS, LOWER_IS_BETTER, VARIANTS, as_text, read_results

FULL_PROFILE = notebooks.ROOT / "datasets" / "full_profile.json"
SPEED = notebooks.ROOT / "datasets" / "recbole_speed.json"
LEADERBOARD = notebooks.ROOT / "datasets" / "leaderboard.json"
REFERENCE = notebooks.ROOT / "datasets" / "recbole_reference.json"
PICTURES = {"attention.png": ("01", "look-code"), "traps.png": ("02", "trap-plot")}  # of README, by lesson and cell


def run_lesson(path: Path, output: Path, parameters: dict, progress: bool = True) -> float:
    """Execute one lesson with papermill into `output`; returns seconds. A failing cell gives one CourseError.

    The executed notebook is written even when a cell fails, so that the student can look at it.
    """
    notebooks.check_parameters(path, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    try:
        papermill.execute_notebook(
            str(path),
            str(output),
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


def run_course(parameters: dict, only: list[str] | None = None, build: Path = notebooks.ROOT / "build") -> list[dict]:
    """Run the lessons in order; leaves `build/course/NN_*.ipynb` and `build/results.json`, returns the table's rows."""
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
        write_json(build / "results.json", rows)
    return summary


def measure_full(names: list[str], seed: int = 7) -> None:
    """Run lessons in the full profile, and put what they measured into datasets/full_profile.json, by lesson."""
    for name in names:
        path = notebooks.find_lesson(name)
        output = notebooks.ROOT / "build" / "full" / path.name
        seconds = run_lesson(path, output, {"profile": "full", "seed": seed})
        rows = read_results(notebooks.read(output))
        measured = json.loads(FULL_PROFILE.read_text(encoding="utf-8")) if FULL_PROFILE.exists() else {}
        measured[path.stem] = {"seconds": round(seconds), "seed": seed, "rows": rows}
        write_json(FULL_PROFILE, dict(sorted(measured.items())))


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


def measured_markdown() -> str:
    """Course map and results, in Markdown, from what the stored lessons measured."""
    course_map = ["| Lesson | Minutes, two CPU cores | You build and measure |", "|---|---|---|"]
    figures = []
    for path in notebooks.lessons():
        notebook = notebooks.read(path)
        if "recsys" not in notebook.metadata:
            raise CourseError(f"{path.stem} has no stored run; execute it first: python -m recsys_helpers store {path}")
        seconds, rows = notebook.metadata["recsys"]["seconds"], read_results(notebook)
        title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        course_map.append(f"| [{title}](notebooks/{path.name}) | {max(seconds / 60, 0.1):.1f} | {headline(rows)} |")
        figures += _figures(path.stem, rows)
    header = ["| Lesson | Data | Model | Value, with 95% interval |", "|---|---|---|---|"]
    full = json.loads(FULL_PROFILE.read_text(encoding="utf-8")) if FULL_PROFILE.exists() else {}
    parts = [*course_map, *(_leaderboard(json.loads(LEADERBOARD.read_text("utf-8"))) if LEADERBOARD.exists() else [])]
    parts += ["", "### Results of every lesson", "", *_folded("Models beside their baselines", [*header, *figures])]
    if full:
        minutes = ", ".join(f"{name[:2]}: {run['seconds'] / 60:.0f}" for name, run in full.items())
        rows = [line for name, run in full.items() for line in _figures(name, run["rows"])]
        parts += _folded(f"The full profile (minutes by lesson, two CPU cores: {minutes})", [*header, *rows])
    if SPEED.exists():
        parts += ["### Training to the same validation NDCG@10, two CPU cores (`make bench-recbole`)", ""]
        parts += [
            "| Model | Library | Validation NDCG@10 | Seconds | CPU seconds | Epochs | Times as fast | In CPU |",
            "|---|---|---|---|---|---|---|---|",
        ]
        line = "| {model} | {library} | {NDCG@10 validation:.3f} | {seconds:.0f} | {cpu:.0f} | {epochs} "
        line += "| {ratio:.1f} | {CPU ratio:.1f} |"
        parts += [line.format(**row) for row in json.loads(SPEED.read_text(encoding="utf-8"))]
        parts += [
            "",
            "The middle one of our three seeds against one of RecBole's, which had not converged.",
        ]
    return "\n".join(parts)


def _folded(summary: str, lines: list[str]) -> list[str]:
    """Lines of Markdown that a reader opens by a click."""
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>", ""]


def _leaderboard(board: dict) -> list[str]:
    """README's section on what `python -m recsys_helpers leaderboard` measured: a table for each data set."""
    minutes = sum(row["cpu"] for row in board["rows"]) / 60
    parts = ["", f"### Leaderboard: every model, one protocol, full profile ({minutes:.0f} CPU minutes)"]
    for data in dict.fromkeys(row["data"] for row in board["rows"]):
        parts += ["", f"{data}, {PROTOCOL}, seed {board['seed']}", ""]
        parts += ["| Model | NDCG@10 | HR@10 | Gain in NDCG@10 over popularity | CPU s | Parameters | Memory, MB |"]
        parts += ["|---|---|---|---|---|---|---|"]
        for row in board["rows"]:
            if row["data"] == data:
                figures = [as_text(row["NDCG@10"]), as_text(row["HR@10"]), as_text(row["gain over popularity"], "+")]
                cost = [f"{row['cpu']:.0f}", f"{row['parameters']:,}", f"{row['MB']:.0f}"]
                parts.append(f"| {' | '.join([row['model'], *figures, *cost])} |")
    parts += ["", "Memory is the peak of the whole process; Python, TensorFlow and the data are about 1,000 MB of it."]
    if REFERENCE.exists():
        reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
        parts += [
            "",
            f"Reference: {reference['library']} on MovieLens-100K, which counts without the validation film",
            "",
        ]
        parts += ["| Model | NDCG@10 | HR@10 | Ours, counted likewise: NDCG@10 | HR@10 |", "|---|---|---|---|---|"]
        for row in reference["rows"]:
            figures = [row.get(key) for key in ("NDCG@10", "HR@10", "ours NDCG@10", "ours HR@10")]
            shown = ["" if value is None else f"{value:.3f}" for value in figures]
            parts.append(f"| {' | '.join([row['model'], *shown])} |")
        parts += ["", "Its Pop adds 1 a batch, however often the film is in it; counted one by one, only ties differ."]
    return parts


def _figures(lesson: str, rows: list[dict]) -> list[str]:
    """One line of the results table for each model on each data set and protocol."""
    models = {}
    for row in rows:
        band = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
        data = row["dataset"] if row["protocol"] == PROTOCOL else f"{row['dataset']}, {row['protocol']}"
        models.setdefault((data, row["model"]), []).append(f"{row['metric']} {row['value']:.3f}{band}")
    return [f"| {lesson[:2]} | {data} | {model} | {', '.join(values)} |" for (data, model), values in models.items()]


def pictures() -> dict[str, bytes]:
    """README's pictures, as PNG, from the outputs of the stored lessons."""
    found = {}
    for name, (lesson, cell_id) in PICTURES.items():
        cell = next(c for c in notebooks.read(notebooks.find_lesson(lesson)).cells if c.id == cell_id)
        data = next(output["data"]["image/png"] for output in cell.outputs if "image/png" in output.get("data", {}))
        found[name] = base64.b64decode(data)
    return found


def write_readme(readme: Path = notebooks.ROOT / "README.md") -> None:
    """Put the measured part into README.md, between its two marks, and the pictures beside it into docs/."""
    write_region(readme, "measured", measured_markdown())
    for name, picture in pictures().items():
        path = readme.parent / "docs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)


def write_region(page: Path, region: str, content: str) -> None:
    """Put this between the two marks of a region of a Markdown page; CourseError if each is not there once."""
    begin, end = f"<!-- {region}: begin -->", f"<!-- {region}: end -->"
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1:
        raise CourseError(f"{page} has lost the marks {begin} and {end}; put them back around the {region} part")
    head, rest = text.split(begin)
    page.write_text(f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def write_json(path: Path, rows: list | dict) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(scratch, path)
