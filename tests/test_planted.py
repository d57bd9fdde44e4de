"""Every right answer passes within two seconds, every planted mistake gets its own message."""

import time
from unittest import mock

import numpy as np
import pytest
from planted import RIGHT, WRONG, lesson08

from recsys_helpers.checks import EXERCISES, Wrong, check
from recsys_helpers.checks.core import TICK


def message(name, answers):
    with pytest.raises(Wrong) as failure:
        check(name, *answers)
    return str(failure.value)


@pytest.mark.parametrize(("name", "place"), [(name, i) for name in RIGHT for i in range(len(RIGHT[name]))])
def test_right_answers_pass(name, place, capsys):
    start = time.process_time()  # a busy machine takes none of it
    check(name, *RIGHT[name][place])
    assert time.process_time() - start < 2
    assert capsys.readouterr().out == f"{TICK} {name} correct: {EXERCISES[name].why}\n"


@pytest.mark.parametrize(("name", "place"), [(name, i) for name in WRONG for i in range(len(WRONG[name]))])
def test_mistakes_are_named(name, place):
    answers, phrase = WRONG[name][place]
    text = message(name, answers)
    assert text.startswith(f"{name} not right yet: ")
    assert phrase in text


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_every_exercise_is_planted_with_distinct_messages(name):
    assert len(RIGHT.get(name, [])) >= 2
    messages = [message(name, answers) for answers, _ in WRONG.get(name, [])]
    assert len(messages) >= 4
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"question": "遗忘得快一些对历史很长的用户有帮助"}, "asks nothing"),
        ({"protocol": "留一法，衰减系数在验证集上选定，测试集只用一次"}, "tell luck from gain"),
    ],
)
def test_a_report_in_chinese_is_read_as_one_in_english(change, told):
    with pytest.raises(Wrong, match=told):
        check("08.4", lesson08.IN_CHINESE | change)


def test_a_wrong_softmax_costs_attention_nothing(capsys):
    """It is told and charged in exercise 01.1, and attention is judged with a right one."""
    scope = {"np": np}
    exec(
        "def softmax_over_keys(s):\n"
        "    return np.exp(s) / np.exp(s).sum(axis=-2, keepdims=True)\n"
        "def attend(q, k, v, mask=None):\n"
        "    s = q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])\n"
        "    return softmax_over_keys(s if mask is None else np.where(mask, s, -np.inf)) @ v\n",
        scope,
    )
    assert "over the queries" in message("01.1", (scope["softmax_over_keys"],))
    check("01.2", scope["attend"])
    assert "judged with a right `softmax_over_keys`" in capsys.readouterr().out
    scope["np"] = mock.Mock(wraps=np, sqrt=lambda d: d)  # a mistake of its own as well
    assert "you divided by d;" in message("01.2", (scope["attend"],))
