"""What grading writes: tables of points, a page of feedback for each notebook, and an overview of the class."""

import csv
import re
import urllib.parse
from collections import Counter, defaultdict
from pathlib import Path

import jinja2

from course_tools.grading.verdicts import BY_PERSON, CRASHED, LOOK, VERDICTS, WRONG, Graded, Student, clean
from recsys_helpers import files
from recsys_helpers.checks import EXERCISES

TEMPLATES = Path(__file__).parent / "templates"
OUR_FILES = {"index.html", "points.csv", "points_by_exercise.csv"}


def table_text(text: str) -> str:
    """Text for a cell of a CSV file that no spreadsheet takes for a formula."""
    text = clean(text)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def mistake(message: str) -> str:
    """What a message says, without the exercise's name and with every number as #, so that equal mistakes group."""
    said = re.sub(r"^\d\d\.\d+ (not right yet|your code stopped): ", "", message).partition("\n")[0]
    return re.sub(r"[-+]?\d*\.?\d+(e[-+]?\d+)?|[-+]?\b(nan|inf)\b", "#", said[:1000])[:300]


def write(students: list[Student], out: Path) -> Path:
    """Write tables and pages into a new folder, then put it in the place of the old one at once."""
    with files.scratch_folder(out) as scratch:
        made = scratch / out.name
        made.mkdir()
        _write_tables(students, made)
        _write_pages(students, made)
        files.replace_folder(made, out)
    return out / "index.html"


def _write_tables(students: list[Student], folder: Path) -> None:
    with (folder / "points.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["student", "notebook", "points", "possible", "notes"])
        for student in students:
            whole = student.notes.get("", [])
            for graded in student.graded or [Graded("")]:
                notes = table_text("; ".join((*whole, *graded.notes)))
                rows.writerow([table_text(student.name), graded.name, graded.points, graded.possible, notes])
    with (folder / "points_by_exercise.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["student", "exercise", "points", "possible", "verdict", "message"])
        for student in students:
            for exercise in (exercise for graded in student.graded for exercise in graded.exercises):
                points = "" if exercise.verdict == BY_PERSON else exercise.points
                known = [exercise.name, points, exercise.possible, exercise.verdict]
                rows.writerow([table_text(student.name), *known, table_text(exercise.message)])


def _write_pages(students: list[Student], folder: Path) -> None:
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    pages.trim_blocks = pages.lstrip_blocks = True
    pages.filters["url"] = urllib.parse.quote
    titles = defaultdict(str, {name: f": {task.title}" for name, task in EXERCISES.items()})
    pages.globals |= {
        "symbol": VERDICTS,
        "style": (TEMPLATES / "style.css").read_text("utf-8"),
        "look": LOOK,
        "titles": titles,
    }
    for student in students:
        home = folder / student.folder
        home.mkdir()
        _write_page(home / "index.html", pages.get_template("student.html"), student=student)
        for graded in student.graded:
            _write_page(
                home / f"{graded.name}.html", pages.get_template("notebook.html"), student=student, graded=graded
            )
    names = sorted({graded.name for student in students for graded in student.graded})
    counts: dict[str, Counter] = {}
    mistakes: dict[str, Counter] = {}
    for exercise in (exercise for student in students for graded in student.graded for exercise in graded.exercises):
        counts.setdefault(exercise.name, Counter())[exercise.verdict] += 1
        if exercise.verdict in (WRONG, CRASHED):
            mistakes.setdefault(exercise.name, Counter())[exercise.verdict, mistake(exercise.message)] += 1
    by_exercise = {"counts": dict(sorted(counts.items())), "mistakes": dict(sorted(mistakes.items()))}
    _write_page(
        folder / "index.html", pages.get_template("overview.html"), students=students, names=names, **by_exercise
    )


def _write_page(path: Path, template: jinja2.Template, **content) -> None:
    """Write one page; what a student wrote into it must not cost the others theirs, so that a fault is told on it."""
    try:
        page = template.render(**content).encode("utf-8")
    except (jinja2.TemplateError, UnicodeError, ValueError, RecursionError) as error:
        print(f"{path.parent.name}/{path.name} could not be written: {type(error).__name__}: {clean(str(error))}")
        page = f"This page could not be written ({type(error).__name__}); the points stand in points.csv.".encode()
    path.write_bytes(page)
