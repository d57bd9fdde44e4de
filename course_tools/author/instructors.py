"""What docs/instructors.md and docs/mistakes.md take from the notebooks and the checks, written by `store`."""

import json
import re
import sys
from pathlib import Path

from course_tools.author.readme import write_regions
from recsys_helpers.checks import EXERCISES, Wrong, check
from recsys_helpers.course import notebooks
from recsys_helpers.errors import CourseError
from recsys_helpers.files import write_text
from recsys_helpers.paths import MEASURED, ROOT

DOCS = ROOT / "docs"
MUTANTS = MEASURED / "check_mutants.json"
MISTAKES = (
    "# What the checks tell",
    "",
    "The mistakes that each check knows by name, in the words that students read. All else is told by the first",
    "number that differs. Written from the planted answers that test the checks.",
)
UNNAMED = re.compile(r"is expected at|is expected, yours|should have shape|should be numbers|has no answer yet")


def minutes() -> str:
    """A table of minutes by lesson: its measured run, and what lesson and exercises tell a student to allow."""
    lines = ["| Lesson | Run | Work through | Exercises |", "|---|---|---|---|"]
    for path in notebooks.lessons():
        lesson = notebooks.read(path)
        title = lesson.cells[0].source
        solved = ROOT / "solutions" / path.name
        allowed = _allowed(notebooks.read(solved).cells[0].source) if solved.exists() else "none"
        (through,) = re.findall(r"(\d+ minutes|about two hours) to work through", title)
        run = max(lesson.metadata["recsys"]["seconds"] / 60, 0.1)
        name = title.splitlines()[0].removeprefix("# ")
        lines.append(f"| {name} | {run:.1f} | {through.replace('about two hours', '120 minutes')} | {allowed} |")
    return "\n".join(lines)


def _allowed(text: str) -> str:
    (allowed,) = re.findall(r"Allow (\d+[^;.]*?minutes[^;.]*)", " ".join(text.split()))
    return allowed


def mistakes() -> str:
    """A page of what the checks tell, from the planted answers of the tests: every mistake that has a message."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from planted import WRONG

    lines = [*MISTAKES]
    for name in EXERCISES:
        lines += ["", *mistakes_of(name, [_message(name, answers) for answers, _ in WRONG[name]])]
    return "\n".join(lines) + "\n"


def mistakes_of(name: str, messages: list[str]) -> list[str]:
    """The lines of an exercise on that page, from the first line of each message that its planted answers get."""
    named = [f"- {text}" for text in dict.fromkeys(messages) if not UNNAMED.search(text)]
    return [f"## {name} {EXERCISES[name].title}", "", *named]


def _message(name: str, answers: tuple) -> str:
    try:
        check(name, *answers)
    except Wrong as told:
        return str(told).removeprefix(f"{name} {told.outcome}: ").splitlines()[0]
    raise CourseError(f"a planted mistake of {name} passes its check; run the tests")


def mutants() -> str:
    """A table of what became of the mutated solutions, lesson by lesson."""
    judged = json.loads(MUTANTS.read_text(encoding="utf-8"))["exercises"]
    lines = [
        "| Lesson | Changes tried | Change no answer | Noticed | Survive | Told by name |",
        "|---|---|---|---|---|---|",
    ]
    lessons = sorted({name[:2] for name in judged})
    for label, start in [*zip(lessons, lessons, strict=True), ("all", "")]:
        those = [found for name, found in judged.items() if name.startswith(start)]
        tried, noticed, named = (
            sum(each[key] for each in those) for key in ("mutants", "noticed", "noticed by a message of its own")
        )
        harmless, survive = (sum(len(each[key]) for each in those) for key in ("equivalent", "to be noticed"))
        lines.append(f"| {label} | {tried:,} | {harmless} | {noticed:,} | {survive} | {named} |")
    return "\n".join(lines)


def write(docs: Path = DOCS) -> None:
    """Write both pages anew; of instructors.md only what lies between its marks."""
    write_regions(docs / "instructors.md", minutes, mutants)
    write_text(docs / "mistakes.md", mistakes())
