"""How an exercise is judged: four outcomes, each told in the words of the concept.

Correct prints one sentence on why it matters. The other three are exceptions, so that a notebook stops there and
nbgrader gives no points: not attempted, wrong (what was taken for what), and crashed (in which line, called with what).

A lesson registers a judge for each exercise; its parameters are named as the student's answers are in the notebook:

    @exercise("01.1", "Softmax over the keys", points=2, why="...", hints=("...", "..."))
    def judge_softmax(softmax_over_keys):
        compare(softmax_over_keys(scores), right, "the weights", (over_queries, "you normalise over the queries"))
"""

import contextlib
import copy
import inspect
import io
import json
import math
import operator
import re
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np

from recsys_helpers.checks.journal import DONE, NOT_TRIED, TRIED, course_map, record, states
from recsys_helpers.checks.language import say
from recsys_helpers.errors import CourseError, did_you_mean
from recsys_helpers.paths import ROOT


class CheckFailed(AssertionError):
    """The answer is not right yet."""

    outcome, sign, colour = "", "✗", "1;31"  # red

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback: sign and outcome stand out, for each outcome its own."""
        head, colon, told = str(self).partition(": ")
        return [f"\x1b[{self.colour}m{self.sign} {head}\x1b[0m{colon}{told}"]


class NotAttempted(CheckFailed):
    """The stub is still there, or the answer is None or `...`."""

    outcome, sign, colour = "not attempted yet", "○", "1;34"  # blue: nothing is wrong so far


class Wrong(CheckFailed):
    """The code ran and gave something else than asked."""

    outcome = "not right yet"


class Crashed(CheckFailed):
    """The student's code raised an exception."""

    outcome, sign = "your code stopped", "!"


@dataclass(frozen=True)
class Exercise:
    """One exercise: what it is called and worth, why it matters, its hints, and the judge of its answers.

    `builds_on` has a right version of each earlier answer that this one may call, by its name in the notebook.
    """

    name: str
    title: str
    points: int
    why: str
    hints: tuple[str, ...]
    judge: Callable[..., None]
    builds_on: Mapping[str, Callable] = field(default_factory=dict)

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of the answers that the judge takes, in order."""
        return tuple(inspect.signature(self.judge).parameters)


EXERCISES: dict[str, Exercise] = {}
TICK = "\x1b[1;32m✓\x1b[0m"  # green, in notebooks and terminals
_hints_shown: dict[str, int] = {}


def exercise(
    name: str,
    title: str,
    *,
    points: int,
    why: str,
    hints: tuple[str, ...],
    builds_on: Mapping[str, Callable] | None = None,
) -> Callable:
    """Register the decorated judge, a function that raises `Wrong` unless the answers given to it are right."""

    def register(judge: Callable[..., None]) -> Callable[..., None]:
        EXERCISES[name] = Exercise(name, title, points, why, hints, judge, builds_on or {})
        return judge

    return register


def check(name: str, *answers: Any) -> None:
    """Judge the answers to one exercise: print why it matters, or raise NotAttempted, Wrong or Crashed.

    Give functions themselves, not what they return: `check("01.2", attend)`.
    """
    task = _find(name)
    if len(answers) != len(task.answers):
        raise CourseError(say(f'Exercise {name} is checked with: check("{name}", {", ".join(task.answers)})'))
    try:
        # nbgrader takes anything on stderr for a failure, so a harmless overflow warning would cost the points
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            lent = _judge_by_itself(task, answers)
    except CheckFailed as failure:
        if not isinstance(failure, NotAttempted):
            _note(name, TRIED)
        raise type(failure)(f"{name} {say(failure.outcome)}: {brief(say(str(failure)), 900)}") from None
    print(say(f"{TICK} {name} correct: {task.why}"))
    for earlier in lent:
        print(
            say(f"This was judged with a right `{earlier}`: with yours, of exercise {_home(earlier)}, it goes wrong.")
        )
    _note(name, DONE)


def _judge_by_itself(task: Exercise, answers: tuple) -> list[str]:
    """Judge the answers; if they fail, once more with right versions of the earlier answers that they may call.

    A mistake in an earlier exercise is told and charged there, not again here. Returns the names of those lent. Where
    the answers stop with what was lent, since they call it in a way of their own, the first verdict holds.
    """
    try:
        _judge(task, answers)
        return []
    except CheckFailed as failure:
        scopes = [answer.__globals__ for answer in answers if isinstance(answer, FunctionType | Elsewhere)]
        own = [(scope, name, scope[name]) for scope in scopes for name in task.builds_on if name in scope]
        if not own:
            raise
        try:
            for scope, name, _ in own:
                scope[name] = task.builds_on[name]
            _judge(task, answers)
        except Crashed:
            raise failure from None
        finally:
            for scope, name, answer in own:
                scope[name] = answer
        return sorted({name for _, name, _ in own})


class Elsewhere:
    """A function of the student's that lives in another process, with what it calls by name in `__globals__`."""

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.__globals__, self.drew_globally = scope, False


def _home(answer: str) -> str:
    """The exercise that asks for this answer."""
    return next(name for name, task in EXERCISES.items() if answer in task.answers)


def _judge(task: Exercise, answers: tuple) -> None:
    def judged():
        task.judge(*(Attempt(label, answer) for label, answer in zip(task.answers, answers, strict=True)))

    try:
        judged()
    except Differs as difference:
        raise Wrong(_explained(difference.comparison, _second_look(judged))) from None
    except CheckFailed:
        raise
    except (Exception, SystemExit) as error:  # such as an object whose own methods raise when it is looked at
        fault = f"{type(error).__name__}: {brief(shown(error, str), 200)}"
        raise Wrong(f"what you gave cannot be read ({fault}); give plain numbers, lists, arrays or dicts.") from None


def hint(name: str, number: int | None = None) -> None:
    """Print the next hint of an exercise, or the one with this number (counted from 1)."""
    hints = _find(name).hints
    if number is None:
        number = min(_hints_shown.get(name, 0) + 1, len(hints))
    try:
        known = 1 <= operator.index(number) <= len(hints)
    except TypeError:
        known = False
    if not known:
        raise CourseError(say(f"Exercise {name} has {len(hints)} hints; ask for a number from 1 to {len(hints)}."))
    _hints_shown[name] = number
    print(say(f"{name} hint {number} of {len(hints)}: {hints[number - 1]}"))


def solution(name: str) -> None:
    """Print the course's own answer to an exercise, once you have tried one of yours.

    Raises NotAttempted before that, CourseError where the folder `solutions` is not at hand.
    """
    hints = _find(name).hints
    if states().get(name, NOT_TRIED) == NOT_TRIED:
        helped = _hints_shown.get(name, 0) >= len(hints)
        raise NotAttempted(
            say(f"{name} opens after an attempt: you know all its hints, so let its check judge what you have.")
            if helped
            else say(f'{name} opens after an attempt: let its check judge an answer; hint("{name}") helps you to one.')
        )
    lesson, _, number = name.partition(".")
    paths = sorted((ROOT / "solutions").glob(f"{lesson}_*.ipynb"))
    if not paths:
        raise CourseError(say("The folder solutions is not here; ask your instructor."))
    cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if cell["id"] == f"ex-{lesson}-{number}-solution")
    whole = re.search(r"^### BEGIN SOLUTION\n(.*)^### END SOLUTION", source, re.S | re.M)  # the stub above is not shown
    print(whole[1].rstrip() if whole else re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", source).rstrip())


def progress() -> None:
    """Print the map of the course: what you have done and tried, and which exercise is next."""
    print(say(course_map({name: task.title for name, task in EXERCISES.items()})))


def _note(name: str, state: str) -> None:
    """Keep a step; a file that cannot be read or written costs no one the verdict."""
    try:
        record(name, state)
    except CourseError as error:
        print(say(f"Your progress was not kept: {error}"))


def _find(name: str) -> Exercise:
    if str(name) not in EXERCISES:
        raise CourseError(say(f"There is no exercise {name!r}; {did_you_mean(str(name), EXERCISES)}"))
    return EXERCISES[str(name)]


class Attempt:
    """One answer of the student; a function is called on copies, without warnings, and its failures are told apart."""

    def __init__(self, name: str, answer: Any) -> None:
        if answer is None or answer is ...:
            raise NotAttempted(f"`{name}` is still {answer}.")
        self.name, self.answer = name, answer
        self.drew_globally = False  # whether the last call took numbers from NumPy's one global generator

    def __call__(self, *arguments: Any) -> Any:
        if not callable(self.answer):
            raise Wrong(f"give the function itself, `{self.name}`, not what it returns.")
        before = _global_state()
        try:
            returned = self.answer(*copy.deepcopy(arguments))
        except NotImplementedError as stub:
            name = traceback.extract_tb(stub.__traceback__)[-1].name  # an earlier exercise's, if this answer calls it
            raise NotAttempted(f"`{name}` still raises NotImplementedError; put your code in its place.") from None
        except (Exception, SystemExit) as error:  # sys.exit() ends the answer, not the notebook
            if isinstance(self.answer, Elsewhere) and isinstance(error, CheckFailed):
                raise  # it was told in words already, in the process where the answer lives
            raise Crashed(self._story(error, arguments)) from error
        self.drew_globally = getattr(self.answer, "drew_globally", False) is True or _global_state() != before
        if returned is None or returned is ...:
            raise NotAttempted(f"`{self.name}` returned {returned}; let it return its result.")
        if isinstance(returned, Iterator | Coroutine):  # it holds no values yet, and may never end
            if isinstance(returned, Coroutine):
                returned.close()  # or Python warns, at some later time, that nobody awaited it
            raise Wrong(f"`{self.name}` returned a {type(returned).__name__}, not values: return a list or an array.")
        return returned

    def _story(self, error: BaseException, arguments: tuple) -> str:
        """Which exception, in which line of the student's, called with what."""
        frames = traceback.extract_tb(error.__traceback__)[1:]  # the first frame is our own call
        own = [frame for frame in frames if frame.filename == frames[0].filename]
        told = [f"{type(error).__name__}: {brief(shown(error, str), 300)}"]
        told += [f"  in line {own[-1].lineno} of {own[-1].name}: {own[-1].line}"] if own else []
        return "\n".join([*told, f"  called as {self.name}({', '.join(map(describe, arguments))})"])


def _global_state() -> tuple:
    _, keys, position, *_ = np.random.get_state()
    return keys.tobytes(), position


def describe(value: Any) -> str:
    """A value in a few words: small ones in full, large ones by their kind and shape."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"<{value.dtype} array of shape {value.shape}>"
    if callable(value):
        return brief(str(getattr(value, "__name__", type(value).__name__)), 60)
    text = brief(" ".join(shown(value).split()), 10_000)
    return text if len(text) <= 80 else f"<{type(value).__name__}: {text[:60]}...>"


def shown(value: Any, how: Callable[[Any], str] = repr) -> str:
    """A value as text; one that fails to show itself by the name of its type."""
    try:
        return how(value)
    except Exception:  # a student's own __repr__ or __str__
        return f"<{type(value).__name__}>"


def brief(text: str, most: int) -> str:
    """A text without addresses in memory, which tell nobody anything, and cut where it gets too long to read."""
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", text)
    return text if len(text) <= most else f"{text[:most]} ..."


def numbers(value: Any, what: str) -> np.ndarray:
    """An answer as an array of floats, whatever it was: list, NumPy array, tensor, single number."""
    try:
        array = np.asarray(value.filled(np.nan) if isinstance(value, np.ma.MaskedArray) else value)
        if array.dtype.kind not in "biufO" or array.size > 10**7:  # NumPy reads "1" as 1 and drops what is imaginary
            raise TypeError
        return array.astype(float, copy=False)
    except Exception:  # each array library refuses in its own way
        raise Wrong(f"{what} should be numbers in one regular array; you gave {describe(value)}.") from None


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal in shape, and in value up to float32 rounding."""
    return first.shape == second.shape and np.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True)


@dataclass(frozen=True)
class Comparison:
    """What was asked on one data set, what came, and pairs of (what a mistake gives there, its message)."""

    got: np.ndarray
    expected: np.ndarray
    what: str
    mistakes: tuple[tuple[Any, str], ...] = ()

    @property
    def right(self) -> bool:
        return same(self.got, self.expected)

    @property
    def question(self) -> str:
        """What is the same on each data set."""
        return _kind(self.mistakes[0][1] if self.mistakes else self.what)

    def shows(self, variant: Any) -> bool:
        """Whether it is what this mistake gives."""
        return same(self.got, np.asarray(variant, dtype=float))


class Differs(Wrong):
    """What was compared is not the same; the words come from this data set alone, until others were looked at."""

    def __init__(self, comparison: Comparison) -> None:
        super().__init__(_explained(comparison, [comparison]))
        self.comparison = comparison


_looked: ContextVar[list[Comparison] | None] = ContextVar("looked", default=None)  # by a second look, else None


def compare(got: Any, expected: Any, what: str, *mistakes: tuple[Any, str]) -> None:
    """Raise Wrong unless `got` is `expected`.

    A mistake is a pair: what it would give on the same input, and the message for it. One that gives the same as `got`
    is told if the judge's other data sets bear it out; else the shapes are told apart, or the first difference.
    """
    comparison = Comparison(numbers(got, what), np.asarray(expected, dtype=float), what, mistakes)
    looked = _looked.get()
    if looked is not None:
        looked.append(comparison)
    elif not comparison.right:
        raise Differs(comparison)


def _second_look(judged: Callable[[], None]) -> list[Comparison]:
    """Everything that a judge compares, on all its data sets, whether right or wrong."""
    token = _looked.set([])
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception, SystemExit):
            judged()  # what stops it leaves the comparisons so far
        return _looked.get()
    finally:
        _looked.reset(token)


def _explained(found: Comparison, looked: list[Comparison]) -> str:
    """The message for a difference, given all comparisons of its judge."""
    for variant, message in found.mistakes:
        if found.shows(variant) and _borne_out(message, looked):
            return message
    got, expected, what = found.got, found.expected, found.what
    if other := _other_part(found, looked):
        return f"you give {other} in the place of {what}: return the results in the order asked for."
    if got.shape != expected.shape:
        swapped = ", with the axes swapped" if expected.ndim > 1 and got.shape == expected.T.shape else ""
        return f"{what} should have shape {expected.shape}; yours has {got.shape}{swapped}."
    near = np.isclose(got, expected, rtol=1e-4, atol=1e-6, equal_nan=True)
    place = tuple(int(i) for i in np.argwhere(~near)[0])
    at = f" at position {place}" if place else ""
    right, yours = _told_apart(expected[place], got[place])
    return f"{what}: {right} is expected{at}, yours is {yours}{_likeness(*_alike(found, looked))}."


def _kind(text: str) -> str:
    """A text without its numbers: the same on each data set."""
    return re.sub(r"[\d.,\s\[\]]+", " ", text)


def _borne_out(message: str, looked: list[Comparison]) -> bool:
    """Whether an answer makes this mistake, and does not only agree with it by chance on one data set.

    Two data sets have to agree. One will do if no other contradicts it: by another wrong number, or by a right one
    where the mistake would be seen. (Of NaN or 0 it may be that only one data set calls for it.)
    """
    agree, otherwise, spared, telling = 0, False, False, False
    for one in looked:
        variants = [variant for variant, other in one.mistakes if _kind(other) == _kind(message)]
        agrees = any(one.shows(variant) for variant in variants)
        if not variants or (one.right and agrees):
            continue
        if one.right:
            spared = True
        elif agrees:
            agree += 1
            telling = telling or bool(np.any(~np.isnan(one.got) & (one.got != 0)))
        elif np.isfinite(one.got).all():
            otherwise = True
    return agree > 1 or (agree == 1 and not otherwise and not (spared and telling))


def _other_part(found: Comparison, looked: list[Comparison]) -> str:
    """Which other result of the same call stands in the place of this one, if the results have only changed places."""
    start = next((i for i, one in enumerate(looked) if one.what == found.what), 0)
    parts: dict[str, Comparison] = {}
    for one in looked[start:]:
        if _kind(one.what) in parts:
            break
        parts[_kind(one.what)] = one
    moved = {
        one.what: [o.what for o in parts.values() if o is not one and one.shows(o.expected)] for one in parts.values()
    }
    wrong = [one for one in parts.values() if not one.right]
    if len(wrong) > 1 and all(moved[one.what] for one in wrong) and found.what in moved:
        return moved[found.what][0] if moved[found.what] else ""
    return ""


def _told_apart(right: float, yours: float) -> tuple[str, str]:
    """Two numbers with four digits, or with as many as it takes to see that they differ."""
    texts = [(f"{right:.{digits}g}", f"{yours:.{digits}g}") for digits in range(4, 18)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[-1])


def _alike(found: Comparison, looked: list[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """What was given and what was expected; of single numbers, those of all data sets side by side."""
    if found.expected.size > 1:
        return found.got, found.expected
    alike = [one for one in looked if one.question == found.question and one.got.shape == one.expected.shape == ()]
    got, expected = (np.array([getattr(one, part) for one in alike]) for part in ("got", "expected"))
    return (got, expected) if np.isfinite(got).all() else (found.got, found.expected)


def _likeness(got: np.ndarray, expected: np.ndarray) -> str:
    """What a wrong array still shares with the right one: where to look next. Nothing if nothing is seen."""
    if not np.isfinite(expected).all():  # NaN is like everything
        return ""
    if not np.isfinite(got).all():
        return "; look for a division by 0, or a logarithm of 0"
    if same(got, -expected):
        return "; every sign is turned" if got.size > 1 else "; the sign is turned"
    if np.ptp(expected) == 0 or got.size < 3:  # too little to tell chance from likeness
        return ""
    for likeness, variant in (
        ("the square of", expected**2),
        ("the root of", np.sqrt(abs(expected))),
        ("1 minus", 1 - expected),
    ):
        if same(got, variant):
            return f"; all of yours is {likeness} what is expected"
    if got.ndim > 1 and same(got, np.swapaxes(expected, -1, -2)):
        return "; rows and columns are swapped"
    factor, step = (got * expected).sum() / (expected**2).sum(), (got - expected).mean()
    far = not np.allclose(got, expected, rtol=1e-3, atol=1e-5)  # else any number near 1 will do for a factor
    if far and factor and same(got, factor * expected):
        return f"; all of yours is {factor:.4g} times what is expected"
    if far and same(got, expected + step):
        return f"; all of yours is {step:.4g} too high" if step > 0 else f"; all of yours is {-step:.4g} too low"
    if np.ptp(got) > 0:
        large = np.abs(got).max() > 1  # else whole numbers may be choices, such as the largest of a row
        if large and np.array_equal(got, np.trunc(expected)):
            return "; yours are whole numbers: an integer array drops what stands behind the point"
        for decimals in range(not large, 7):
            if np.allclose(got, np.round(expected, decimals), rtol=1e-7, atol=1e-9):
                return f"; yours is rounded to {decimals} decimals: keep all digits"
        for axis in range(got.ndim):
            here, there = np.moveaxis(got, axis, 0), np.moveaxis(expected, axis, 0)
            for one, other in ((here[1:], there[:-1]), (here[:-1], there[1:])):
                if len(one) > 1 and np.ptp(other) > 0 and same(one, other):
                    return f"; along axis {axis} yours is one place off"
    return (
        "; the numbers are right, in another order"
        if same(np.sort(got, axis=None), np.sort(expected, axis=None))
        else ""
    )


@dataclass(frozen=True)
class Question:
    """A prediction or a choice: the right answer, and for each wrong one what it overlooks."""

    right: str | float
    wrong: Mapping[str | float, str] = field(default_factory=dict)
    otherwise: str = ""

    def fault(self, given: Any) -> str | None:
        """What is wrong with the given answer; None if nothing is."""
        if isinstance(self.right, str):
            given = str(given).strip().lower()
            known = sorted([self.right, *self.wrong])
            return None if given == self.right else self.wrong.get(given, f"choose one of {', '.join(known)}.")
        try:
            given = float(given)
        except Exception:  # each type refuses in its own way
            return f"give a number; {describe(given)} is none."
        if math.isclose(given, self.right, rel_tol=0.02):
            return None
        near = [text for value, text in self.wrong.items() if math.isclose(given, value, rel_tol=0.02)]
        return near[0] if near else self.otherwise or "that is not the number: work it out once more."


def quiz(attempt: Attempt, questions: Mapping[str, Question]) -> None:
    """Raise NotAttempted while a question is open, Wrong with the explanation of the first wrong choice."""
    given = attempt.answer
    if not isinstance(given, Mapping):
        raise Wrong(f"`{attempt.name}` should be a dict with the keys {', '.join(map(repr, questions))}.")
    open_questions = [repr(key) for key in questions if given.get(key) is None or given[key] is ...]
    if open_questions:
        raise NotAttempted(f"`{attempt.name}` has no answer yet to {', '.join(open_questions)}.")
    for key, question in questions.items():
        if fault := question.fault(given[key]):
            raise Wrong(f"{key!r} = {describe(given[key])}: {fault}")
