"""Checks under attack: mutated solutions, odd and arbitrary answers, and one verdict whatever library an answer is of.

`PYTHONPATH=tests/support .venv/bin/python tests/checks/test_attack.py` judges the mutants of the exercises that changed
since the report in docs/measured was written, and writes what became of them there; with `--all` all of them.
"""

import functools
import gc
import itertools
import json
import operator
import re
import sys
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from fingerprints import fingerprint, modules
from harmless import HARMLESS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from mutation import judge
from planted import RIGHT, WRONG
from scipy import sparse

from recsys_helpers.checks import EXERCISES, CheckFailed, Crashed, Wrong, check
from recsys_helpers.files import write_json
from recsys_helpers.paths import MEASURED

LESSONS = sorted({name[:2] for name in EXERCISES})
REPORT = MEASURED / "check_mutants.json"

# --- Mutants: every small change of a solution is noticed, unless it changes no answer --------------------------------


def explained(name: str) -> dict[str, str]:
    """The changes of an exercise's solution that no check can notice, with the reason."""
    return {change: reason for reason, those in HARMLESS.items() for change in those.get(name, ())}


def stored() -> dict[str, dict]:
    """What became of the mutants when the report was written, exercise by exercise."""
    return json.loads(REPORT.read_text(encoding="utf-8"))["exercises"]


def changed(lesson: str = "") -> list[str]:
    """The exercises (of a lesson) of which the report does not know what becomes of their mutants now."""
    known = stored()
    return [n for n in EXERCISES if n.startswith(lesson) and known.get(n, {}).get("fingerprint") != fingerprint(n)]


def report(names: list[str]) -> dict[str, dict]:
    """What becomes of the mutants of exercises of one lesson, exercise by exercise."""
    found = {}
    for name, mutants in itertools.groupby(judge(names), operator.itemgetter(0)):
        outcomes = {change: outcome for _, change, outcome, _ in mutants}
        survivors = [change for change, outcome in outcomes.items() if outcome in ("survived", "stopped")]
        count, reasons = Counter(outcomes.values()), explained(name)
        found[name] = {
            "mutants": len(outcomes),
            "noticed": len(outcomes) - len(survivors),
            "noticed by a message of its own": count["named"],
            "noticed by the first difference": count["generic"],
            "stopped by an exception": count[Crashed.outcome],
            "equivalent": {change: reasons[change] for change in survivors if change in reasons},
            "to be noticed": [change for change in survivors if change not in reasons],
            "unknown to the table": sorted(reasons.keys() - outcomes),
            "fingerprint": fingerprint(name),
        }
    return found


def are_noticed(names: list[str]) -> None:
    found = report(names)
    assert list(found) == names
    assert all(each["mutants"] >= 10 for each in found.values())
    assert not any(each["to be noticed"] or each["unknown to the table"] for each in found.values()), found


@pytest.mark.parametrize("lesson", LESSONS)
def test_mutants_of_changed_exercises_are_noticed(lesson):
    if names := changed(lesson):
        are_noticed(names)


@pytest.mark.thorough
@pytest.mark.parametrize("lesson", LESSONS)
def test_mutants_are_noticed(lesson):
    are_noticed([name for name in EXERCISES if name.startswith(lesson)])


def test_stored_report_is_of_these_exercises():
    assert stored().keys() == EXERCISES.keys()
    assert not any(each["to be noticed"] or each["unknown to the table"] for each in stored().values())


def test_a_fingerprint_changes_with_what_the_mutants_depend_on():
    texts = modules()

    def different(module, old, new):
        """Which exercises another text of a module concerns."""
        name = f"recsys_helpers.checks.{module}"
        assert texts[name].count(old) == 1
        after = texts | {name: texts[name].replace(old, new)}
        return {name for name in EXERCISES if fingerprint(name, after) != fingerprint(name, texts)}

    assert different("lesson03", "def _judge_net(", "def _judge_net( ") == {"03.2"}, "a helper of one judge"
    assert {"01.1", "02.3", "05.1"} <= different("lesson01", "def softmax(", "def softmax( "), "of other lessons"
    assert different("lesson03", "Mend the article's backpropagation", "Mend it") == set(), "a title"
    assert different("core", "_hints_shown: dict", "_shown: dict") == set(EXERCISES), "the machinery"


# --- Odd answers: refused in words, whatever they are -----------------------------------------------------------------


def told(name, *answers):
    """The refusal of an answer, which is short, names the exercise and shows no machinery."""
    with pytest.raises(CheckFailed) as failure:
        check(name, *answers)
    return clean(name, failure.value)


def clean(name, failure):
    text = str(failure)
    assert text.startswith(f"{name} {failure.outcome}: ")
    assert len(text) <= 1000
    assert "Traceback" not in text and not re.search(r"0x[0-9a-fA-F]{4}", text)
    return text


def fails(*_, **__):
    raise RuntimeError("as this one always does")


class Hostile:
    """Raises at whatever is asked of it, even at being shown."""

    __array__ = __eq__ = __repr__ = __str__ = __len__ = __bool__ = __iter__ = __getitem__ = __float__ = fails
    __hash__ = object.__hash__


class Wordy:
    def __repr__(self):
        return "word " * 10**4


class NoWords(Exception):
    def __str__(self):
        fails()


class Leaves:
    """An array that ends the program when it is read."""

    def __array__(self, dtype=None, copy=None):
        sys.exit("I was read")


async def later(*_):
    return 1.0


def one_by_one(*_):
    yield 1.0


def without_end(*_):
    while True:
        yield 1.0


def deeper(*arguments):
    return deeper(*arguments)


def raising(error):
    def answer(*_):
        raise error

    return answer


def by_keyword(*, scores):
    return scores


def many(a, b, c, d, e, f, g, h, i, j, k, l, m):  # noqa: E741
    return a


VALUES = {
    "nan": np.nan,
    "infinity": np.inf,
    "minus zero": -0.0,
    "complex": 1 + 2j,
    "complex array": np.full((2, 2), 1j),
    "huge number": 10**400,
    "text": "text",
    "number as text": "1.0",
    "bytes": b"bytes",
    "empty list": [],
    "empty array": np.zeros(0),
    "ragged": [[1, 2], [3]],
    "nested": functools.reduce(lambda inner, _: [inner], range(200), 1.0),
    "tuple": (1, 2, 3),
    "pair": (1, 2),
    "NaN array": np.full((2, 2), np.nan),
    "objects": np.array([object(), None, "x"], dtype=object),
    "words": np.array(["one", "two"]),
    "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
    "records": np.zeros(3, dtype=[("a", int), ("b", float)]),
    "huge": np.broadcast_to(0.0, (10**6, 10**6)),
    "huge whole": np.broadcast_to(0, (10**6, 10**6)),
    "long text": "long " * 10**4,
    "masked": np.ma.masked_all((3, 3)),
    "frame": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    "series": pd.Series([1.0, 2.0], index=["x", "y"]),
    "sparse": sparse.eye_array(3),
    "dict": {"plain": 1},
    "odd keys": {None: 1, (1, 2): 2, 3.5: 3, frozenset(): 4},
    "set": {1, 2},
    "unhashable": [{}, []],
    "type": int,
    "function": len,
    "module": np,
    "object": object(),
    "hostile": Hostile(),
    "hostile parts": [Hostile(), Hostile()],
    "leaves": Leaves(),
    "wordy": Wordy(),
    "keys": {key: [[]] for answers in RIGHT.values() for each in answers[0] if isinstance(each, dict) for key in each},
}
ANSWERS = {
    **VALUES,
    "None": None,
    "dots": ...,
    "generator": one_by_one(),
    "returns None": lambda *_: None,
    "no argument": lambda: 0,
    "too many": many,
    "by keyword": by_keyword,
    "its argument": lambda *arguments: arguments[0],
    "its arguments": lambda *arguments: arguments,
    "generator function": one_by_one,
    "endless generator": without_end,
    "endless iterator": lambda *_: itertools.count(),
    "map": lambda *arguments: map(str, arguments),
    "coroutine function": later,
    "class": type("Answer", (), {}),
    "no end of calls": deeper,
    "exits": lambda *_: sys.exit(0),
    "SystemExit": raising(SystemExit),
    "stops iteration": raising(StopIteration()),
    "memory": raising(MemoryError()),
    "error without words": raising(NoWords()),
    "wordy error": raising(ValueError("much " * 10**4)),
    "group": raising(ExceptionGroup("two", [ValueError(), TypeError()])),
    "assertion": raising(AssertionError()),
    "a check's own": raising(Wrong("I say so")),
    **{f"returns {what}": functools.partial(lambda value, *_: value, value) for what, value in VALUES.items()},
}


@pytest.mark.parametrize("name", sorted(EXERCISES))
@pytest.mark.filterwarnings("error")
def test_odd_answers_are_refused_in_words(name):
    for what, odd in ANSWERS.items():
        text = told(name, *[odd] * len(EXERCISES[name].answers))
        assert len(text) > len(name) + 30, what


@pytest.mark.parametrize("name", [name for name in sorted(EXERCISES) if callable(RIGHT[name][0][-1])])
def test_odd_second_function_is_refused_in_words(name):
    *first, _ = RIGHT[name][0]
    for odd in ANSWERS.values():
        told(name, *first, odd)


@pytest.mark.parametrize("name", [name for name in sorted(EXERCISES) if isinstance(RIGHT[name][0][0], dict)])
def test_odd_values_of_a_dict_are_refused_in_words(name):
    (right,) = RIGHT[name][0]
    for key, (what, odd) in itertools.product(right, VALUES.items()):
        if key in ("question", "change", "protocol") or (key == "seeds" and what in SEEDS):
            continue  # any words will do there, and any whole numbers
        if (what, right[key]) not in (("minus zero", 0), ("number as text", 1)):
            told(name, {**right, key: odd})


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_coroutine_leaves_no_warning_behind(name, monkeypatch):
    late = []
    monkeypatch.setattr(sys, "unraisablehook", late.append)
    gc.freeze()  # what was there before is not searched: all of it takes a third of a second
    with warnings.catch_warnings(action="error"):
        told(name, *[later] * len(EXERCISES[name].answers))
        gc.collect()
    gc.unfreeze()
    assert not late


SEEDS = ("tuple", "pair", "set", "series")


@pytest.mark.parametrize(("odd", "said"), [
    (None, "is still None"),
    ("text", "give the function itself"),
    (later, "returned a coroutine, not values"),
    (one_by_one, "returned a generator, not values"),
    (lambda s: "text", "should be numbers in one regular array; you gave 'text'"),
    (lambda s: s.astype(complex), "should be numbers in one regular array"),
    (lambda s: Hostile(), "should be numbers in one regular array; you gave <Hostile>"),
    (lambda s: np.ma.masked_greater(RIGHT["01.1"][0][0](s), 0.5), "is expected"),
    (lambda: 0, "takes 0 positional arguments but 1 was given\n  called as softmax_over_keys("),
    (by_keyword, "takes 0 positional arguments but 1 was given"),
    (lambda s: sys.exit("enough"), "SystemExit: enough\n  in line"),
    (deeper, "RecursionError: maximum recursion depth exceeded"),
    (raising(NoWords()), "NoWords: <NoWords>\n  in line"),
    (lambda s: Leaves(), "cannot be read (SystemExit: I was read); give plain numbers"),
])  # fmt: skip
def test_odd_answers_are_told_what_was_expected(odd, said):
    assert said in told("01.1", odd)


def functions(name):
    return all(callable(answer) for answer in RIGHT[name][0])


@pytest.mark.parametrize("name", [name for name in sorted(EXERCISES) if functions(name)])
def test_habits_that_do_no_harm_are_let_pass(name, capsys):
    def noisy(answer):
        def other_name(*other_arguments):
            print("so far so good " * 1000)
            returned = answer(*other_arguments)
            for argument in other_arguments:
                if isinstance(argument, np.ndarray):
                    argument[...] = 0  # spoiled afterwards, if this is not the student's own copy
            return returned

        return other_name

    def safe(answer):
        return lambda *arguments: (
            np.copy(returned) if isinstance(returned := answer(*arguments), np.ndarray) else returned
        )

    check(name, *(noisy(safe(answer)) for answer in RIGHT[name][0]))
    assert capsys.readouterr().out.endswith(f"{name} correct: {EXERCISES[name].why}\n")


@pytest.mark.parametrize("name", [name for name in sorted(EXERCISES) if functions(name)])
def test_the_keyboard_still_interrupts(name):
    with pytest.raises(KeyboardInterrupt):
        check(name, *[raising(KeyboardInterrupt())] * len(EXERCISES[name].answers))


# --- Arbitrary answers ------------------------------------------------------------------------------------------------

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text(max_size=5) | st.binary()
)
ARRAYS = stnp.arrays(
    st.one_of(stnp.boolean_dtypes(), stnp.integer_dtypes(), stnp.floating_dtypes(), stnp.unicode_string_dtypes()),
    stnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
ARBITRARY = st.recursive(
    LEAVES | ARRAYS,
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.tuples(inside, inside)
        | st.tuples(inside, inside, inside)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inside, max_size=3)
    ),
    max_leaves=6,
)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e300, 5e-324])
DISTORTIONS = [
    lambda x, number: np.full_like(x, number),
    lambda x, number: x * number,
    lambda x, number: x + number,
    lambda x, number: x.T,
    lambda x, number: x.ravel()[::-1],
    lambda x, number: x[None],
    lambda x, number: x.astype(object),
    lambda x, number: np.where(np.arange(x.size).reshape(x.shape) == 0, number, x),
    lambda x, number: x[..., :-1] if x.ndim else x.reshape(1),
    lambda x, number: x.astype(np.float16),
]
bounded = settings(max_examples=10, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def judged(name, *answers):
    """Either verdict will do, told in due form."""
    try:
        check(name, *answers)
    except CheckFailed as failure:
        clean(name, failure)


def leaves(change, value):
    """The value with each array or number in it changed; words stay."""
    if isinstance(value, tuple):
        return tuple(leaves(change, part) for part in value)
    if isinstance(value, dict):
        return {key: leaves(change, part) for key, part in value.items()}
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # a list of rows of several lengths, or of tensors
        return [leaves(change, part) for part in value]
    return change(array) if array.dtype.kind in "biuf" else value


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_arbitrary_answers_are_judged(name):
    count = len(EXERCISES[name].answers)

    @bounded
    @given(st.data())
    def attack(data):
        if functions(name):
            values = data.draw(st.lists(ARBITRARY, min_size=count, max_size=count))
            judged(name, *(functools.partial(lambda value, *_: value, value) for value in values))
        elif isinstance(RIGHT[name][0][0], dict):
            keys = st.sampled_from(sorted(RIGHT[name][0][0])) | st.text(max_size=3)
            judged(name, {**RIGHT[name][0][0], **data.draw(st.dictionaries(keys, ARBITRARY, max_size=3))})
        else:
            judged(name, data.draw(st.sets(st.text(max_size=3) | st.sampled_from(sorted(RIGHT[name][0][0])))))

    attack()


@pytest.mark.parametrize("name", [name for name in sorted(EXERCISES) if functions(name)])
def test_distorted_right_answers_are_judged(name):
    @bounded
    @given(st.integers(0, len(RIGHT[name][0]) - 1), st.sampled_from(DISTORTIONS), NUMBERS)
    def attack(place, distort, number):
        answers = list(RIGHT[name][0])
        right = answers[place]
        answers[place] = lambda *arguments: leaves(lambda x: distort(x, number), right(*arguments))
        judged(name, *answers)

    with np.errstate(all="ignore"):
        attack()


# --- One verdict, whatever library the answer is of -------------------------------------------------------------------

NO_ARRAYS = {
    "03.3": "a set of names",
    "08.4": "a form of words and figures",
    **{name: "words and numbers in a dict" for name in RIGHT if isinstance(RIGHT[name][0][0], dict)},
}


EXCEPT = {("02.1", "pandas")}  # three rows: whoever goes through a frame gets its columns


def verdict(name, answers):
    try:
        check(name, *answers)
    except CheckFailed as failure:
        return type(failure).__name__
    return "right"


def framed(array):
    return {1: pd.Series, 2: pd.DataFrame}.get(array.ndim, np.array)(array)


@pytest.mark.thorough
@pytest.mark.parametrize("kinds_a_mistake", [1, 4])
def test_same_verdict_on_arrays_of_every_kind(kinds_a_mistake, monkeypatch):
    """Right answers in every kind; mistakes by turns in one of them, or in all."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # ten seconds, for this test only

    kinds = {
        "list": np.ndarray.tolist,
        "float32": lambda x: x.astype("float32"),
        "tensor": tf.constant,
        "pandas": framed,
    }
    exercises = [name for name in RIGHT if name not in NO_ARRAYS]
    table = [(name, answers, "right", list(kinds)) for name in exercises for answers in RIGHT[name]]
    turns = itertools.cycle(kinds)
    for name in exercises:
        table += [
            (name, answers, "Wrong", list(itertools.islice(turns, kinds_a_mistake))) for answers, _ in WRONG[name]
        ]
    differ = []
    for name, answers, due, chosen in table:  # test_planted.py proves that plain arrays get the verdict that is due
        for kind in chosen:
            if (name, kind) in EXCEPT:
                continue
            turned = (
                (lambda *arguments, answer=answer, made=kinds[kind]: leaves(made, answer(*arguments)))
                if callable(answer)
                else answer
                for answer in answers
            )
            if (found := verdict(name, tuple(turned))) != due:
                differ.append((name, kind, due, found))
    assert len(table) > 600
    assert not differ


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--all"]):
        sys.exit("usage: python tests/checks/test_attack.py [--all]")
    exercises = stored()
    for _lesson in LESSONS:
        names = [name for name in EXERCISES if name.startswith(_lesson)] if sys.argv[1:] else changed(_lesson)
        exercises |= report(names) if names else {}
    exercises = {name: exercises[name] for name in EXERCISES}  # those that are gone go
    numeric = [key for key, value in exercises["01.1"].items() if isinstance(value, int)]
    total = {key: sum(each[key] for each in exercises.values()) for key in numeric}
    total |= {key: sum(len(each[key]) for each in exercises.values()) for key in ("equivalent", "to be noticed")}
    write_json(REPORT, {"total": total, "exercises": exercises})
    print(json.dumps(total, indent=1))
