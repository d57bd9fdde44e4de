"""Every right answer passes within two seconds, every planted mistake gets its own message."""

import time

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
