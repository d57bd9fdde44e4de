"""Judged from another process, an answer gets the verdict that it gets in a notebook; nothing but values comes back."""

import contextlib
import io
import json
import math
import os
import signal
import socket
import sys
import traceback

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import RIGHT, WRONG

import recsys_helpers.checks
from course_tools.grading import student as inside
from course_tools.grading.judging import CellRun, Student
from course_tools.grading.values import Broken, Link, Other, packed, unpacked
from course_tools.grading.verdicts import CORRECT, Limits
from recsys_helpers.checks import EXERCISES, CheckFailed, check
from recsys_helpers.checks.core import TICK

SAMPLE = 3  # of each exercise's mistakes; test-all takes them all


@contextlib.contextmanager
def the_other_side():
    """The judge's hold on a process that has the planted answers, and takes over those it is told by number."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        try:
            serve(theirs)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(0)
    theirs.close()
    try:
        yield Student(ours, Limits())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def serve(end):
    link = Link(end)
    runner = inside.Runner(link, link.receive())
    for name in [name for name in sys.modules if name.startswith("recsys_helpers.checks.lesson")]:
        del sys.modules[name]  # as in the sandbox, where there are none
    recsys_helpers.checks.__path__ = []
    while True:
        match link.receive():
            case {"planted": name, "right": right, "place": place}:
                answers = RIGHT[name][place] if right else WRONG[name][place][0]
                for key in [*EXERCISES[name].answers, *EXERCISES[name].builds_on]:
                    runner.shell.user_ns.pop(key, None)
                runner.shell.user_ns.update(zip(EXERCISES[name].answers, answers, strict=True))
                link.send({})
            case {"cell": source}:
                link.send(runner.cell(source))
            case {"names": names, "lendable": lendable}:
                runner.serve(names, lendable)


def here(name, answers):
    """What a check says in the same process: a tick and its first line, or the failure."""
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            check(name, *answers)
    except CheckFailed as failure:
        return str(failure)
    return printed.getvalue().splitlines()[0].removeprefix(f"{TICK} ")


@pytest.mark.parametrize("most", [SAMPLE, pytest.param(None, marks=pytest.mark.thorough)], ids=["some", "all"])
def test_a_verdict_is_the_same_from_outside(most):
    differ, seen = [], 0
    with the_other_side() as student:
        for name in sorted(EXERCISES):
            rows = [(True, place, answers) for place, answers in enumerate(RIGHT[name][:most])]
            rows += [(False, place, answers) for place, (answers, _) in enumerate(WRONG[name][:most])]
            for right, place, answers in rows:
                student.ask({"planted": name, "right": right, "place": place})
                judged, seen = student.judge(name), seen + 1
                told = judged[1] if isinstance(judged, tuple) else str(judged)
                if isinstance(judged, CellRun) or (judged[0] == CORRECT) != right or told != here(name, answers):
                    differ.append(
                        f"{name} {'right' if right else 'wrong'} {place}: {told}\n   here: {here(name, answers)}"
                    )
    assert seen > 200
    assert not differ, "\n".join(differ)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


def alike(one, other):
    if isinstance(one, float):
        return type(other) is float and (one == other or (math.isnan(one) and math.isnan(other)))
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@given(VALUES)
def test_values_arrive_as_they_were(value):
    assert alike(value, unpacked(json.loads(json.dumps(packed(value)))))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.array(7),
        np.float32(0.5),
        np.zeros((0, 4), np.int8),
        np.array(["a", "漢字"]),
        np.array([1 + 2j]),
        np.array([True, False]),
        np.array([1, "a", None], object),
    ],
    ids=repr,
)
def test_arrays_arrive_with_shape_and_type(array):
    found = unpacked(json.loads(json.dumps(packed(array))))
    assert type(found) is type(array) and found.dtype == array.dtype and found.shape == array.shape
    assert np.array_equal(found, array)


def test_what_is_no_value_arrives_as_its_looks():
    class Hostile:
        def __reduce__(self):
            return os.system, ("exit 1",)

    for value in (Hostile(), open, Limits, np.array(["2026"], "M8[Y]")):
        assert isinstance(unpacked(json.loads(json.dumps(packed(value)))), Other)


@pytest.mark.parametrize(
    "sent",
    [
        {"array": "AAAA", "dtype": "<f8", "shape": [1]},
        {"array": "", "dtype": "O", "shape": [0]},
        {"array": "AAAAAAAAAAA=", "dtype": "<f8", "shape": [-1]},
        {"array": "AAAAAAAAAAA=", "dtype": "<f8", "shape": [10**12]},
        {"array": "AAAAAAAAAAA=", "dtype": "f8, f8", "shape": [1]},
        {"array": "?", "dtype": "<f8", "shape": [1]},
        {"objects": [1], "shape": [2]},
        {"set": [{"list": []}]},
        {"dict": [[1]]},
        {"dict": [[{"list": []}, 1]]},
        {"scalar": 1},
        {"unknown": 1},
        [1, 2],
        {"list": [{"tuple": [[]]}]},
    ],
    ids=str,
)
def test_what_nobody_packed_is_broken(sent):
    with pytest.raises(Broken):
        unpacked(sent)


@pytest.mark.parametrize("line", [b"{", b"1\n", b"[]\n", b'{"a": ' + b"[" * 10**5 + b"\n", b"\xff\xfe\n"])
def test_a_line_that_is_no_message_is_broken(line):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(line)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Broken):
            Link(ours).receive()


@pytest.mark.parametrize(
    "reply",
    [
        {"answers": []},
        {"answers": [{"callable": True}]},
        {"own": 3, "answers": [{"callable": True}]},
        {"answers": [{"value": {"array": 1}}], "own": []},
        {"answers": 7, "own": []},
        {"missing": ["softmax"]},
        {"answers": [{"callable": True}], "own": []},
        {},
    ],
    ids=str,
)
def test_a_forged_reply_costs_the_forger_only(reply):
    """Whatever comes back to the first question, and the same again to each that follows, gives no points."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall((json.dumps(reply) + "\n").encode() * 50)
        judged = Student(ours, Limits()).judge("01.1")
        assert isinstance(judged, CellRun) or judged[0] != CORRECT
