"""The judge's end of grading, in a sandbox of its own: reads what was handed in, and judges what the other end answers.

    python -m course_tools.grading.judging JOB FD

JOB is the file with the work to do, FD the socket to the process that runs the student's code. The verdicts are made
here and go out by stdout, which that process cannot reach. What it can do is give values; they are compared, never run.
"""

import base64
import contextlib
import io
import json
import pickle
import select
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass, replace
from socket import socket
from types import FunctionType
from typing import Any

from course_tools.grading.reading import exercise_of, identify, load, merge, suspicious
from course_tools.grading.values import Broken, Link, builtin_error, packed, unpacked
from course_tools.grading.verdicts import (
    CORRECT,
    CRASHED,
    LOOK,
    NOT_ATTEMPTED,
    NOT_REACHED,
    WRONG,
    Limits,
    clean,
)
from recsys_helpers.checks import EXERCISES, CheckFailed, Crashed, NotAttempted, Wrong, check
from recsys_helpers.checks.core import TICK, Elsewhere

GRACE = 5  # seconds that an interrupted cell has to end
REASON = 2  # seconds to wait for the word on why the other end is gone
PROJECT = 10  # times as long as other cells, since a project trains models
FAILURES = {failure.__name__: failure for failure in (NotAttempted, Wrong, Crashed)}
VERDICTS = {NotAttempted: NOT_ATTEMPTED, Wrong: WRONG, Crashed: CRASHED}
STOPPED = {
    "time": "endless loop, or too long",
    "stuck": "endless loop that would not be interrupted",
    "output": "prints without end",
    "dead": "the kernel ended",
}  # else it says itself why the sandbox was ended
FINAL = ("stuck", "dead")
OWN = object()  # in a scope: the student's own


class Stopped(BaseException):
    """The student's code had to be stopped: "time", "output", or, for good, what `Student.ended` says."""


@dataclass(frozen=True)
class CellRun:
    """What came back of a cell: its error, and how it was stopped: "", "time" or "output" (the next cells ran), or why
    nothing ran behind it."""

    ename: str = ""
    evalue: str = ""
    stopped: str = ""


class Student:
    """The other end, asked over a socket; once it is gone or out of step, nothing more is asked."""

    def __init__(self, end: socket, limits: Limits, why_gone: Callable[[], str] = str) -> None:
        end.settimeout(limits.cell + GRACE)
        self.link, self.ended, self.why_gone = Link(end), "", why_gone
        self.link.send(asdict(limits))

    def ask(self, question: dict) -> dict:
        """The answer; Stopped if there is none, now or ever."""
        try:
            self.link.send(question)
            return self.link.receive()
        except TimeoutError:
            self.ended = "stuck"
        except (EOFError, OSError):
            self.ended = self.why_gone() or "dead"
        except Broken:
            self.ended = "the student's process sent what is no answer"
        raise Stopped(self.ended)

    def run(self, source: str) -> CellRun | None:
        """Run a cell; None where nothing runs any more."""
        if self.ended:
            return None
        try:
            found = self.ask({"cell": source})
        except Stopped as stopped:
            return CellRun(stopped=str(stopped))
        return CellRun(*(str(found.get(name, "")) for name in ("ename", "evalue", "stopped")))

    def judge(self, name: str) -> tuple[str, str] | CellRun | None:
        """Verdict and message of an exercise; a CellRun if the answers are not there or had to be stopped."""
        if self.ended:
            return None
        task = EXERCISES[name]
        try:
            found = self.ask({"names": task.answers, "lendable": list(task.builds_on)})
            if "missing" in found:
                return CellRun("NameError", f"name {str(found['missing'])!r} is not defined")
            answers = self._answers(task, found)
            try:
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    check(name, *answers)
            finally:
                self.link.send({"done": True})
        except CheckFailed as failure:
            return VERDICTS[type(failure)], str(failure)
        except Stopped as stopped:
            return CellRun(stopped=str(stopped))
        except (Broken, OSError, LookupError, TypeError):
            self.ended = self.ended or "the student's process sent what is no answer"
            return CellRun(stopped=self.ended)
        spoken = [line for line in printed.getvalue().splitlines() if line.startswith(TICK)]
        return CORRECT, spoken[-1].removeprefix(f"{TICK} ")

    def _answers(self, task, found: dict) -> list:
        scope = Scope(self, [name for name in found["own"] if name in task.builds_on])
        return [
            Function(self, name, scope) if given.get("callable") else self.value(given)
            for name, given in zip(task.answers, found["answers"], strict=True)
        ]

    def value(self, reply: dict) -> Any:
        """What the student's code gave; what it failed with is raised."""
        if "stopped" in reply:
            raise Stopped(str(reply["stopped"]))
        if "failed" in reply:
            cause = builtin_error(reply.get("because", ()))
            raise FAILURES.get(str(reply["failed"]), Wrong)(str(reply.get("text", ""))) from cause()
        return unpacked(reply["value"])


class Scope(MutableMapping):
    """Which earlier answers of the student's there are, and in whose place right ones were lent."""

    def __init__(self, student: Student, own: list[str]) -> None:
        self.student, self.lent = student, dict.fromkeys(own, OWN)

    def __getitem__(self, name: str) -> Any:
        return self.lent[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.lent[name] = value
        self.student.link.send({"restore": name} if value is OWN else {"lend": [name]})

    def __delitem__(self, name: str) -> None:
        raise TypeError("an answer is lent or given back, never taken away")

    def __iter__(self):
        return iter(self.lent)

    def __len__(self) -> int:
        return len(self.lent)


class Function(Elsewhere):
    """A function of the student's; called here, it runs there."""

    def __init__(self, student: Student, name: str, scope: Scope) -> None:
        super().__init__(scope)
        self.student, self.name, self.scope = student, name, scope

    def __call__(self, *arguments: Any) -> Any:
        written = io.BytesIO()
        pickler = Pickler(written)
        pickler.dump(arguments)
        sent = base64.b64encode(written.getvalue()).decode()
        reply = self.student.ask({"call": self.name, "arguments": sent})
        while "lent" in reply:
            reply = self.student.ask(self._lent(reply, pickler.kept))
        self.drew_globally = reply.get("drew_globally") is True
        return self.student.value(reply)

    def _lent(self, asked: dict, kept: list[FunctionType]) -> dict:
        """What a function of ours gives for what the student's code calls it with."""
        key = asked["lent"]
        answer = kept[key] if isinstance(key, int) else self.scope[str(key)]
        try:
            return {"value": packed(answer(*unpacked(asked["arguments"]), **unpacked(asked["named"])))}
        except Broken:
            raise
        except Exception as error:  # it was called with what it cannot take
            return {"raised": type(error).__name__, "text": str(error)[:1000]}


class Pickler(pickle.Pickler):
    """Functions of the judge's stay here, in `kept`; the other side gets their places in it."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.kept: list[FunctionType] = []

    def persistent_id(self, value: Any) -> tuple[int, str] | None:
        if not isinstance(value, FunctionType) or not value.__module__.startswith("recsys_helpers."):
            return None
        self.kept.append(value)
        return len(self.kept) - 1, value.__name__


def _reason() -> str:
    """What the grader says why the other end is gone: a line, empty if it ended by itself."""
    ready, _, _ = select.select([sys.stdin], [], [], REASON)
    return sys.stdin.readline().strip() if ready else ""


def graded(job: dict, student: socket) -> dict:
    """Run one submission and judge each of its exercises; returns verdicts, messages, code and notes."""
    released = job["released"]
    submitted = load(base64.b64decode(job["submission"]))
    limits = Limits(**job["limits"])
    if any(cell["task"] for cell in released):
        limits = replace(limits, cell=PROJECT * limits.cell)
    cells, notes = merge(submitted, released)
    given = {cell["source"] for cell in released}
    notes += suspicious(cell["source"] for cell in cells if not cell["locked"] and cell["source"] not in given)
    other = Student(student, limits, _reason)
    results: list = []
    for cell in cells:
        result = other.judge(exercise_of(cell["id"])) if cell["check"] else other.run(cell["source"])
        results.append(result)
        if isinstance(result, CellRun) and result.stopped:
            where = cell["id"] or "a cell of the student's own"
            notes.append(f"{STOPPED.get(result.stopped, result.stopped)}, in {where}")
        if isinstance(result, CellRun) and "Read-only file system" in result.evalue:
            notes.append(f"{LOOK}tried to write outside its folder")
    exercises = {}
    for cell in released:
        name = exercise_of(cell["id"])
        if cell["check"]:
            answers = [place for place, own in enumerate(cells) if own["solution"] and exercise_of(own["id"]) == name]
            checked = next(result for own, result in zip(cells, results, strict=True) if own["id"] == cell["id"])
            verdict, message = verdict_of(name, checked, [results[place] for place in answers])
            code = "\n\n".join(cells[place]["source"] for place in answers)
            exercises[name] = {"verdict": verdict, "message": clean(message), "code": code}
    return {"exercises": exercises, "notes": list(dict.fromkeys(notes))}


def verdict_of(name: str, checked: tuple | CellRun | None, answered: list[CellRun | None]) -> tuple[str, str]:
    """Verdict and message, from what came of the check and of the exercise's own cells."""
    if isinstance(checked, tuple):
        return checked
    if checked is None or checked.ename == "NameError":  # the answer's own cell did not get to its end, or is missing
        broken = [run for run in answered if run and (run.stopped or run.ename not in ("", "NotImplementedError"))]
        if not broken and checked is None:
            return NOT_REACHED, "an earlier cell stopped the notebook"
        if not broken:
            return NOT_ATTEMPTED, f"{name} not attempted yet: {checked.evalue}"
        checked = broken[0]
    told = STOPPED.get(checked.stopped, checked.stopped) or f"{checked.ename}: {checked.evalue}"
    return CRASHED, f"{name} your code stopped: {told}"


def main() -> None:
    """Do the job, and print what came of it as one line of JSON."""
    with open(int(sys.argv[1]), encoding="utf-8") as file:
        job = json.load(file)
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        if "identify" in job:
            found = {"name": identify(load(base64.b64decode(job["identify"])), job["names"])}
        else:
            found = graded(job, socket(fileno=int(sys.argv[2])))
    except ValueError as error:  # of `load`: what was handed in is no notebook
        found = {"unreadable": str(error)}
    print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
