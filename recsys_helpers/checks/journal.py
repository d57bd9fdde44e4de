"""What a student has tried and done: a line a step in a small text file, never an answer; shown as a map of the course.

The file is `.progress` in the course's folder, or what the environment variable RECSYS_PROGRESS names. With "off" the
steps are remembered only as long as the kernel lives: so are stored, tested and graded notebooks run.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

NOT_TRIED, TRIED, DONE = "not tried", "tried", "done"
MARKS = {NOT_TRIED: "·", TRIED: "~", DONE: "✓"}
_remembered: dict[str, str] = {}


def states() -> dict[str, str]:
    """The state of each exercise that was tried. A line that says nothing known is a CourseError."""
    path = _file()
    if path is None:
        return dict(_remembered)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CourseError(f"{path} cannot be read ({error}); remove it, and your progress starts anew") from error
    found = {}
    for number, line in enumerate(lines, 1):
        name, _, state = line.partition(" ")
        if state not in MARKS:
            raise CourseError(f"{path}, line {number}: {line[:40]!r} is no exercise with its state; remove that line")
        found[name] = state  # the last word counts
    return found


def record(name: str, state: str) -> None:
    """Note a step: what is done stays done, unless it is put back to NOT_TRIED.

    One short line is appended, so that several kernels can write at once and a killed one breaks nothing.
    """
    before = states().get(name, NOT_TRIED)
    if state == before or (state, before) == (TRIED, DONE):
        return
    path = _file()
    if path is None:
        _remembered[name] = state
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{name} {state}\n")
    except OSError as error:
        raise CourseError(f"{path} cannot be written ({error}); export RECSYS_PROGRESS=/a/file/of/yours") from error


def course_map(exercises: Mapping[str, str]) -> str:
    """The exercises, given as name and title, as a map: a line a lesson, and what to go to next."""
    known = states()
    lessons: dict[str, list[str]] = {}
    for name in sorted(exercises):
        lessons.setdefault(name.partition(".")[0], []).append(name)
    titles = {path.stem[:2]: path.stem[3:].replace("_", " ") for path in (ROOT / "solutions").glob("??_*.ipynb")}
    lines = ["exercises: ✓ done   ~ tried   · not tried"]
    for lesson, members in lessons.items():
        reached = [known.get(name, NOT_TRIED) for name in members]
        marks = " ".join(MARKS[state] for state in reached)
        lines.append(f"{lesson} {titles.get(lesson, ''):24} {marks:16} {reached.count(DONE)}/{len(members)}")
    left = [name for name in sorted(exercises) if known.get(name) != DONE]
    lines.append(f"next: {left[0]} {exercises[left[0]]}" if left else "all done")
    return "\n".join(lines)


def _file() -> Path | None:
    place = os.environ.get("RECSYS_PROGRESS", "")
    return None if place == "off" else Path(place).expanduser() if place else ROOT / ".progress"
