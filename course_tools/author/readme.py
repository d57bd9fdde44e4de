"""The measured parts of README and of docs/results.md, written from files that runs wrote."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

from course_tools.author import store
from recsys_helpers.course import notebooks
from recsys_helpers.course.run import headline
from recsys_helpers.data.layouts import LAYOUTS
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.ranks import PROTOCOL
from recsys_helpers.evaluation.results import as_text, read_results
from recsys_helpers.files import write_bytes, write_text
from recsys_helpers.paths import MEASURED, ROOT

SPEED = MEASURED / "recbole_speed.json"
LEADERBOARD = MEASURED / "leaderboard.json"
REFERENCE = MEASURED / "recbole_reference.json"
PICTURES = {"attention.png": ("01", "look-code")}  # of README, by lesson and cell
SHOWN = (
    "popularity",
    "item-kNN",
    "recent neighbours",
    "GRU",
    "self-attention",
    "capstone",
)  # README's rows that matter


def course_map() -> str:
    """README's table of lessons: measured minutes, and each headline result beside its baseline."""
    lines = ["| Lesson | Minutes, two CPU cores | You build and measure |", "|---|---|---|"]
    for path in notebooks.lessons():
        notebook = _stored(path)
        minutes = max(notebook.metadata["recsys"]["seconds"] / 60, 0.1)
        title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
        lines.append(f"| [{title}](notebooks/{path.name}) | {minutes:.1f} | {headline(read_results(notebook))} |")
    return "\n".join(lines)


def setup() -> str:
    """What the student's set costs, in README's first screen."""
    costs = _read(MEASURED / "setup.json")["sets"]["student"]
    return (
        f"Set-up, measured: {costs['packages']} packages, {costs['fetch_mb'] / 1000:.1f} GB to fetch, "
        f"{costs['disk_gb']:.1f} GB on disk ({costs['disk_compiled_gb']:.1f} with bytecode)."
    )


def six_rows() -> str:
    """README's part of the leaderboard: the rows that matter, a data set a column."""
    board = _read(LEADERBOARD)
    if not board:
        return "No leaderboard was measured: `python -m recsys_helpers leaderboard --profile full`."
    found = {(row["data"], row["model"]): row for row in board["rows"]}
    data = list(dict.fromkeys(row["data"] for row in board["rows"]))
    lines = [f"| NDCG@10, with 95% interval | {' | '.join(data)} |", "|---" * (1 + len(data)) + "|"]
    for model in SHOWN:
        lines.append(f"| {' | '.join([model, *(as_text(found[name, model]['NDCG@10']) for name in data)])} |")
    return "\n".join(lines)


def results_page() -> str:
    """The tables of docs/results.md: leaderboard, every lesson's figures, the full profile, the speed beside a peer."""
    header = ["| Lesson | Data | Model | Value, with 95% interval |", "|---|---|---|---|"]
    lessons = [line for path in notebooks.lessons() for line in _figures(path.stem, read_results(_stored(path)))]
    parts = [*_leaderboard(_read(LEADERBOARD)), "## Results of every lesson", "", *header, *lessons]
    if full := _read(store.FULL_PROFILE):
        minutes = ", ".join(f"{name[:2]}: {run['seconds'] / 60:.0f}" for name, run in full.items())
        rows = [line for name, run in full.items() for line in _figures(name, run["rows"])]
        parts += ["", f"## The full profile (minutes by lesson, two CPU cores: {minutes})", "", *header, *rows]
    if speed := _read(SPEED):
        parts += [
            "",
            "## Training to the same validation NDCG@10, two CPU cores (`make bench-recbole`)",
            "",
            "| Model | Library | Validation NDCG@10 | Seconds (CPU) | Epochs | Times as fast (CPU) |",
            "|---|---|---|---|---|---|",
        ]
        line = "| {model} | {library} | {NDCG@10 validation:.3f} | {seconds:.0f} ({cpu:.0f}) | {epochs} "
        line += "| {ratio:.1f} ({CPU ratio:.1f}) |"
        parts += [line.format(**row) for row in speed]
        parts += ["", "The middle one of our three seeds against one of RecBole's, which had not converged."]
    return "\n".join(parts)


def _stored(path: Path):
    """A lesson with its stored run; CourseError where it has none."""
    notebook = notebooks.read(path)
    if "recsys" not in notebook.metadata:
        raise CourseError(f"{path.stem} has no stored run; execute it first: python -m course_tools store {path}")
    return notebook


def _read(path: Path):
    """What a run wrote, or nothing where it has not run."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _leaderboard(board: dict) -> list[str]:
    """What `python -m recsys_helpers leaderboard` measured: a table for each data set."""
    if not board:
        return []
    minutes = sum(row["cpu"] for row in board["rows"]) / 60
    parts = [f"## Leaderboard: every model, one protocol, full profile ({minutes:.0f} CPU minutes)"]
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
    if reference := _read(REFERENCE):
        parts += ["", f"Reference: {reference['library']} on MovieLens-100K, which counts without the validation film"]
        parts += ["", "| Model | NDCG@10 | HR@10 | Ours, counted likewise: NDCG@10 | HR@10 |", "|---|---|---|---|---|"]
        for row in reference["rows"]:
            figures = [row.get(key) for key in ("NDCG@10", "HR@10", "ours NDCG@10", "ours HR@10")]
            shown = ["" if value is None else f"{value:.3f}" for value in figures]
            parts.append(f"| {' | '.join([row['model'], *shown])} |")
        parts += ["", "Its Pop adds 1 a batch, however often the film is in it; counted one by one, only ties differ."]
    return [*parts, ""]


def _figures(lesson: str, rows: list[dict]) -> list[str]:
    """One line of the results table for each model on each data set and protocol."""
    models = {}
    for row in rows:
        band = "" if row["low"] is None else f" ({row['low']:.3f} to {row['high']:.3f})"
        data = row["dataset"] if row["protocol"] == PROTOCOL else f"{row['dataset']}, {row['protocol']}"
        models.setdefault((data, row["model"]), []).append(f"{row['metric']} {row['value']:.3f}{band}")
    return [f"| {lesson[:2]} | {data} | {model} | {', '.join(values)} |" for (data, model), values in models.items()]


def known_layouts() -> str:
    """The public data sets of docs/your-own-data.md, and by which files they are known."""
    files: dict[str, list[str]] = {}
    for layout in LAYOUTS:
        names = [layout.file, *([layout.item_file] if layout.item_file else [])]
        files.setdefault(layout.name, []).append(" with ".join(f"`{name}`" for name in names))
    return "\n".join(
        ["| Data set | Files |", "|---|---|", *(f"| {name} | {', '.join(f)} |" for name, f in files.items())]
    )


def pictures() -> dict[str, bytes]:
    """README's pictures, as PNG, from the outputs of the stored lessons."""
    found = {}
    for name, (lesson, cell_id) in PICTURES.items():
        cell = next(c for c in notebooks.read(notebooks.find_lesson(lesson)).cells if c.id == cell_id)
        data = next(output["data"]["image/png"] for output in cell.outputs if "image/png" in output.get("data", {}))
        found[name] = base64.b64decode(data)
    return found


def write_readme(readme: Path = ROOT / "README.md") -> None:
    """Put what was measured into README.md and docs/results.md, between their marks, and the pictures into docs/."""
    docs = readme.parent / "docs"
    write_regions(readme, setup, course_map, six_rows)
    write_regions(docs / "results.md", results_page)
    write_regions(docs / "your-own-data.md", known_layouts)
    for name, picture in pictures().items():
        write_bytes(docs / name, picture)


def write_regions(page: Path, *regions: Callable[[], str]) -> None:
    """Put what these functions return between the marks of their names in a Markdown page, all at once.

    Raises CourseError if each mark is not there once.
    """
    text = page.read_text(encoding="utf-8")
    for region in regions:
        text = with_region(text, region.__name__, region(), page)
    write_text(page, text)


def write_region(page: Path, region: str, content: str) -> None:
    """Put this between the two marks of a region of a Markdown page; CourseError if each is not there once."""
    write_text(page, with_region(page.read_text(encoding="utf-8"), region, content, page))


def with_region(text: str, region: str, content: str, page: Path) -> str:
    """The text of a page with this between the two marks of a region; CourseError if each is not there once."""
    begin, end = f"<!-- {region}: begin -->", f"<!-- {region}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise CourseError(f"{page} has lost the marks {begin} and {end}; put them back around the {region} part")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"
