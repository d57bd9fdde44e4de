"""The student's end of grading, inside the sandbox: runs her cells and answers what the judge asks her functions.

    python -m course_tools.grading.student FD

FD is the socket to the judge, which is all that this process and what it starts can write to. Whatever the student's
code does here, it can spoil her own answers and no verdict.
"""

import base64
import contextlib
import io
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import numpy as np

from course_tools.grading.values import Link, builtin_error, packed, unpacked
from course_tools.grading.verdicts import OPEN_FILES
from recsys_helpers.checks.core import Attempt, CheckFailed, shown

LONGEST = 4000  # characters of a message


class Stopped(BaseException):
    """Ends a student's cell: it took too long, or printed without end."""


class Sink(io.TextIOBase):
    """What is printed is counted and forgotten."""

    def __init__(self, clock: "Clock", most: int) -> None:
        self.clock, self.most, self.printed = clock, most, 0

    def write(self, text: str) -> int:
        self.printed += len(text)
        if self.printed > self.most:
            self.clock.stop("output")
        return len(text)


class Clock:
    """Stops what runs too long, again and again until it gives up."""

    def __init__(self) -> None:
        self.running, self.stopped, self.ends = False, "", 0.0
        signal.signal(signal.SIGALRM, lambda *_: self.stop("time"))

    def stop(self, why: str) -> None:
        if self.running:
            self.stopped = self.stopped or why
            raise Stopped

    @contextlib.contextmanager
    def until(self, ends: float) -> Iterator[None]:
        """Let the block run until this moment of time.monotonic()."""
        self.ends, self.running = ends, True
        signal.setitimer(signal.ITIMER_REAL, max(ends - time.monotonic(), 0.001), 0.5)
        try:
            yield
        finally:
            self.running = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Within `until`: the judge works, so that nothing may be stopped."""
        self.running = False
        try:
            yield
        finally:
            self.running = True


class Runner:
    """An IPython shell without a kernel around it, and the socket to the judge."""

    def __init__(self, link: Link, limits: dict) -> None:
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        settings = Config()
        settings.HistoryManager.enabled = False
        self.shell = InteractiveShell.instance(config=settings)
        self.shell.showtraceback = self.shell.showsyntaxerror = lambda *_, **__: None
        self.link, self.limits, self.clock, self.left = link, limits, Clock(), 0.0
        self.sink = Sink(self.clock, limits["output"])
        sys.stdout, sys.stderr = self.sink, io.StringIO()

    def cell(self, source: str) -> dict[str, str]:
        """Run one cell; returns its error, and how it was stopped, if it was."""
        self.clock.stopped, self.sink.printed, error = "", 0, None
        sys.stdout, sys.stderr = self.sink, io.StringIO()
        try:
            with self.clock.until(time.monotonic() + self.limits["cell"]):
                result = self.shell.run_cell(source, store_history=False)
                error = result.error_before_exec or result.error_in_exec
        except BaseException as stopped:  # the alarm, after the cell had ended
            error = stopped
        return _told(error) | {"stopped": self.clock.stopped}

    def serve(self, names: list[str], lendable: list[str]) -> None:
        """Answer the judge's questions about these names, until he has no more. He may lend right earlier answers."""
        space, kept = self.shell.user_ns, {}
        self.clock.stopped, self.sink.printed, self.left = "", 0, float(self.limits["cell"])
        sys.stdout, sys.stderr = self.sink, io.StringIO()
        missing = next((name for name in names if name not in space), None)
        if missing:
            self.link.send({"missing": missing})
            return
        answers = {name: space[name] for name in names}
        given = [{"callable": True} if callable(one) else self._safe(_given, one) for one in answers.values()]
        self.link.send({"answers": given, "own": [name for name in lendable if name in space]})
        while True:
            match self.link.receive():
                case {"call": name, "arguments": arguments}:
                    self.link.send(self._safe(_called, name, answers[name], self._read(arguments)))
                case {"lend": lent}:
                    kept = {name: space[name] for name in lent} | kept  # lent again, her own is still the first
                    space.update({name: Lent(name, name, self.link, self.clock) for name in lent})
                case {"restore": name}:
                    space[name] = kept[name]
                case _:
                    return

    def _read(self, sent: str) -> tuple:
        """What the judge calls a function with; functions of his own stay with him."""
        reader = pickle.Unpickler(io.BytesIO(base64.b64decode(sent)))
        reader.persistent_load = lambda key: Lent(*key, self.link, self.clock)
        return reader.load()

    def _safe(self, work: Any, *arguments: Any) -> dict:
        """What the student's code gives in the time that it has left for this check, or how it failed."""
        started = time.monotonic()
        try:
            quiet = warnings.catch_warnings(action="ignore"), np.errstate(all="ignore")
            with quiet[0], quiet[1], self.clock.until(started + self.left):
                return work(*arguments)
        except CheckFailed as failure:
            kinds = [kind.__name__ for kind in type(failure.__cause__).__mro__]
            return {"failed": type(failure).__name__, "text": str(failure)[:LONGEST], "because": kinds}
        except Stopped:
            return {"stopped": self.clock.stopped}
        except BaseException as error:
            told = _told(error)
            return {"failed": "Wrong", "text": f"what you gave cannot be read ({told['ename']}: {told['evalue']})."}
        finally:
            self.left -= time.monotonic() - started


class Lent:
    """A function of the judge's: one that he calls hers with, or a right earlier answer. He is asked for each value."""

    def __init__(self, key: str | int, name: str, link: Link, clock: Clock) -> None:
        self.key, self.__name__, self.link, self.clock = key, name, link, clock

    def __deepcopy__(self, memo: dict) -> "Lent":
        return self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        sent = {"lent": self.key, "arguments": packed(arguments), "named": packed(named)}
        with self.clock.paused():
            self.link.send(sent)
            reply = self.link.receive()
        if "raised" in reply:
            raise builtin_error([reply["raised"]])(reply["text"])
        return unpacked(reply.get("value"))


def _given(answer: Any) -> dict:
    return {"value": packed(answer)}


def _called(name: str, answer: Any, arguments: tuple) -> dict:
    attempt = Attempt(name, answer)
    return {"value": packed(attempt(*arguments)), "drew_globally": attempt.drew_globally}


def _told(error: BaseException | None) -> dict[str, str]:
    if error is None:
        return {"ename": "", "evalue": ""}
    return {"ename": str(type(error).__name__)[:100] or "nameless", "evalue": shown(error, str)[:LONGEST]}


def _limit(limits: dict) -> None:
    """What the operating system enforces by itself, for this process and all that it starts."""
    import resource

    bounds = {
        resource.RLIMIT_DATA: limits["memory"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NPROC: 8 * limits["processes"],  # counts threads, too
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))


def main() -> None:
    link = Link(socket(fileno=int(sys.argv[1])))
    limits = link.receive()
    _limit(limits)
    Path.home().mkdir(parents=True, exist_ok=True)
    os.set_inheritable(int(sys.argv[1]), False)
    runner = Runner(link, limits)
    while True:
        try:
            asked = link.receive()
        except EOFError:
            return
        match asked:
            case {"cell": source}:
                link.send(runner.cell(source))
            case {"names": names, "lendable": lendable}:
                runner.serve(names, lendable)


if __name__ == "__main__":
    main()
