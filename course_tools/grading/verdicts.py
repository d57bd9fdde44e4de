"""What grading finds: verdicts, points and notes, and the limits under which it looks."""

import re
from dataclasses import dataclass, field
from pathlib import Path

CORRECT, WRONG, CRASHED = "correct", "wrong", "crashed"
NOT_ATTEMPTED, NOT_REACHED, BY_PERSON = "not attempted", "not reached", "to be given by a person"
VERDICTS = {CORRECT: "✓", WRONG: "✗", CRASHED: "!", NOT_ATTEMPTED: "○", NOT_REACHED: "…", BY_PERSON: "☞"}
LOOK = "a person should look: "
OPEN_FILES = 256  # of one process


@dataclass(frozen=True)
class Limits:
    """What one notebook may use. Seconds, bytes and numbers of processes.

    The slowest cell of our own solutions takes 4 seconds.
    """

    cell: int = 60
    notebook: int = 1200
    memory: int = 4 * 2**30
    processes: int = 64
    file: int = 64 * 2**20
    folder: int = 256 * 2**20
    output: int = 2**20


@dataclass(frozen=True)
class Exercise:
    """One exercise of one student: `name` as "01.3", the check's message, and the student's own code."""

    name: str
    possible: float
    verdict: str
    message: str = ""
    code: str = ""

    @property
    def points(self) -> float:
        return self.possible if self.verdict == CORRECT else 0


@dataclass(frozen=True)
class Graded:
    """One notebook of one student. `points` and `possible` leave out what a person gives."""

    name: str
    exercises: tuple[Exercise, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    @property
    def possible(self) -> float:
        return sum(exercise.possible for exercise in self.exercises if exercise.verdict != BY_PERSON)


@dataclass
class Student:
    """One student: the folder's name as given, the safe name of the folder of feedback, and what was handed in."""

    name: str
    folder: str
    handed_in: dict[str, Path] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)  # by notebook; "" holds those of the whole submission
    graded: list[Graded] = field(default_factory=list)

    def note(self, notebook: str, text: str) -> None:
        self.notes.setdefault(notebook, []).append(text)


UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# signs that turn the direction of what follows, or take no room
INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def printable(text: str) -> str:
    """Text without the characters that no page, table or kernel can take."""
    return UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def clean(text: str) -> str:
    """Text of a student as it can be shown, also without characters that make it look like another."""
    return INVISIBLE.sub("\ufffd", printable(text))
