"""What a student has tried and done: a line a step in a small text file, never an answer; shown as a map of the course.

The file is `.progress` in the course's folder, or what the environment variable RECSYS_PROGRESS names. With "off" the
steps are remembered only as long as the kernel lives: so are stored, tested and graded notebooks run. Nothing about the
file stops a student: what can be read of it counts, and what cannot be written is remembered like that.
"""

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

from recsys_helpers.checks.language import say_once
from recsys_helpers.paths import ROOT

NOT_TRIED, TRIED, DONE = "not tried", "tried", "done"
MARKS = {NOT_TRIED: "·", TRIED: "~", DONE: "✓"}
STEP = re.compile(rf"\s*(\d+\.\d+) +({'|'.join(MARKS)})\s*")
MOST = 2**20  # bytes that are read of the file, from its end: the last word counts
_remembered: dict[tuple[Path | None, str], str] = {}  # by the file that it does not stand in, and by name


def states() -> dict[str, str]:
    """The state of each exercise that was tried. What cannot be read is left out, and said once."""
    path = _file()
    kept = {name: state for (place, name), state in _remembered.items() if place == path}
    return (_read(path) if path else {}) | kept


def _read(path: Path) -> dict[str, str]:
    try:
        with _open(path, "rb") as file:
            before = max(0, file.seek(0, os.SEEK_END) - MOST)
            file.seek(before)
            lines = file.read(MOST).decode("utf-8-sig", errors="replace").splitlines()[before > 0 :]  # one may be torn
    except FileNotFoundError:
        return {}
    except OSError as error:
        say_once(f"Your progress in {path} cannot be read: {error.strerror}.")
        return {}
    steps = {number: STEP.fullmatch(line) for number, line in enumerate(lines, 1) if line.strip()}
    numbers = [str(number) for number, step in steps.items() if not step]
    bad = "…" if before else ", ".join(numbers[:9] + ["…"] * (len(numbers) > 9))  # of a part nobody knows the numbers
    if numbers:
        say_once(f"Left out of {path}, because it is no exercise with its state: line {bad}. Your other steps count.")
    return dict(step.groups() for step in steps.values() if step)  # the last word counts


def record(name: str, state: str) -> None:
    """Note a step: what is done stays done, unless it is put back to NOT_TRIED.

    One short line is appended, so that several kernels can write at once and a killed one breaks nothing. Where that
    fails, this process remembers the step, and says so once.
    """
    before = states().get(name, NOT_TRIED)
    if state == before or (state, before) == (TRIED, DONE):
        return
    path = _file()
    try:
        if path:
            _append(path, f"{name} {state}\n")
            _remembered.pop((path, name), None)
            return
    except OSError as error:
        say_once(
            f"{path} cannot be written ({error.strerror}): your progress is lost when this kernel ends. "
            "To keep it, set RECSYS_PROGRESS to a file of yours before you start JupyterLab."
        )
    _remembered[path, name] = state


def _append(path: Path, line: str) -> None:
    """A line of its own, also where an editor or a killed kernel left the last one without its end."""
    with _open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else f"\n{line}"
        file.write(line.encode())


def _open(path: Path, mode: str):
    """The file; OSError for what is none, which might never end or never begin."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return path.open(mode)


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
    return None if place == "off" else Path(os.path.expanduser(place)) if place else ROOT / ".progress"
