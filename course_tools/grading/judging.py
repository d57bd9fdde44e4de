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
import signal
import sys
from collections.abc import Callable, Iterator, MutableMapping
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
from recsys_helpers.checks.core import TICK, Elsewhere, Exercise

GRACE = 5  # seconds that an interrupted cell has to end
JUDGED = 30  # seconds for judging an exercise, beside the student's
LONGEST = 4000  # characters of a text
REASON = 2  # seconds to wait for the word on why the other end is gone
PROJECT = 10  # times as long as other cells, since a project trains models
FAILURES = {failure.__name__: failure for failure in (NotAttempted, Wrong, Crashed)}
VERDICTS = {NotAttempted: NOT_ATTEMPTED, Wrong: WRONG, Crashed: CRASHED}
STOPPED = {
    "time": "endless loop, or too long",
    "stuck": "endless loop, or values too slow to judge, that would not be interrupted",
    "output": "prints without end",
    "dead": "the kernel ended",
}  # else it says itself why the sandbox was ended
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

    def __init__(self, end: socket, limits: Limits, why_gone: Callable[[float], str] = lambda wait: "") -> None:
        self.link, self.ended, self.why_gone, self.patience = Link(end), "", why_gone, limits.cell + GRACE
        self.link.send(asdict(limits))

    def ask(self, question: dict) -> dict:
        """The answer; Stopped if there is none, now or ever."""
        try:
            self.link.send(question)
            return self.link.receive()
        except (EOFError, OSError):
            self.ended = self.why_gone(REASON) or "dead"
        except Broken:
            self.ended = "the student's process sent what is no answer"
        raise Stopped(self.ended)

    def run(self, source: str) -> CellRun | None:
        """Run a cell; None where nothing runs any more."""
        if self.ended:
            return None
        try:
            with self._within(self.patience):
                found = self.ask({"cell": source})
        except Stopped as stopped:
            return CellRun(stopped=str(stopped))
        return CellRun(*(_text(found, name) for name in ("ename", "evalue", "stopped")))

    def judge(self, name: str) -> tuple[str, str] | CellRun | None:
        """Verdict and message of an exercise; a CellRun if the answers are not there or had to be stopped."""
        if self.ended:
            return None
        try:
            with self._within(self.patience + JUDGED):
                return self._judged(name, EXERCISES[name])
        except CheckFailed as failure:
            return VERDICTS[type(failure)], str(failure)
        except Stopped as stopped:
            return CellRun(stopped=str(stopped))
        except Exception:  # it sent what has another form; that costs nobody but the sender
            self.ended = self.ended or "the student's process sent what is no answer"
            return CellRun(stopped=self.ended)

    def _judged(self, name: str, task: Exercise) -> tuple[str, str] | CellRun:
        found = self.ask({"names": task.answers, "lendable": list(task.builds_on)})
        if "missing" in found:
            return CellRun("NameError", f"name {_text(found, 'missing')!r} is not defined")
        answers = self._answers(task, found)
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                check(name, *answers)
        finally:
            self.link.send({"done": True})
        spoken = [line for line in printed.getvalue().splitlines() if line.startswith(TICK)]
        return CORRECT, spoken[-1].removeprefix(f"{TICK} ")

    @contextlib.contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Stop the block after so many seconds, and again until it gives up; nothing is asked any more then.

        The time is that of the whole question: one who sends a byte now and then, or values that take long to read or
        to compare, does not get more.
        """

        def stop(*_) -> None:
            self.ended = self.ended or self.why_gone(0) or "stuck"
            raise Stopped(self.ended)

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _answers(self, task: Exercise, found: dict) -> list:
        scope = Scope(self, [name for name in found["own"] if name in task.builds_on])
        return [
            Function(self, name, scope) if given.get("callable") else self.value(given)
            for name, given in zip(task.answers, found["answers"], strict=True)
        ]

    def value(self, reply: dict) -> Any:
        """What the student's code gave; what it failed with is raised."""
        if "stopped" in reply:
            raise Stopped(_text(reply, "stopped"))
        if "failed" in reply:
            cause = builtin_error(reply.get("because", ()))
            raise FAILURES.get(_text(reply, "failed"), Wrong)(_text(reply, "text")) from cause.__new__(cause)
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


def _text(message: dict, name: str) -> str:
    """A text of a message, of a length that can be told; "" if there is none."""
    text = message.get(name)
    return text[:LONGEST] if isinstance(text, str) else ""


def _reason(wait: float) -> str:
    """What the grader says why the other end is gone: a line, empty if it ended by itself, or is there."""
    ready, _, _ = select.select([sys.stdin], [], [], wait)
    return sys.stdin.readline().strip() if ready else ""


def graded(submitted: list[dict], job: dict, student: socket) -> dict:
    """Run one submission and judge each of its exercises; returns verdicts, messages, code and notes."""
    released = job["released"]
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
        submitted = load(base64.b64decode(job["submission"]))
    except ValueError as error:  # it is no notebook
        found = {"unreadable": str(error)}
    else:
        if "names" in job:
            found = {"name": identify(submitted, job["names"])}
        else:
            found = graded(submitted, job, socket(fileno=int(sys.argv[2])))
    print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
