"""Every right answer passes; every planted mistake is caught, named and told apart, in English, Chinese and on a page.

Each answer is judged once, for all of that: there are a thousand of them, and some checks take half a second.
"""

import contextlib
import io
import os
from unittest import mock

import numpy as np
import pytest
from chinese import is_chinese
from planted import RIGHT, WRONG, lesson08

from course_tools.author import instructors
from recsys_helpers.checks import EXERCISES, CheckFailed, Wrong, check
from recsys_helpers.checks.core import TICK
from recsys_helpers.checks.language import say

CHINESE = {"RECSYS_LANGUAGE": "zh_CN"}
_, *_parts = (instructors.DOCS / "mistakes.md").read_text(encoding="utf-8").split("\n\n## ")
PAGE = {part.split()[0]: f"## {part}".strip() for part in _parts}  # what the instructors' page says, by exercise


def verdict(name, answers):
    """What a check prints, or what it raises with."""
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            check(name, *answers)
    except CheckFailed as failure:
        return str(failure)
    except Exception as error:  # a fault of the check, told with the other rows
        return f"{type(error).__name__}: {error}"
    return printed.getvalue()


def faults(name, right, wrong):
    """Every row of the tables that does not get what it should, with what it got; and the messages of the mistakes."""
    found, said = [], {}
    for place, answers in enumerate(right):
        if (text := verdict(name, answers)) != f"{TICK} {name} correct: {EXERCISES[name].why}\n":
            found.append(f"right answer {place} does not pass: {text}")
    for place, (answers, phrase) in enumerate(wrong):
        row, text, due = f"mistake {place} ({phrase!r})", verdict(name, answers), f"{name} not right yet: "
        if not text.startswith(due):
            found.append(f"{row} is not caught: {text}")
            continue
        if phrase not in text:
            found.append(f"{row} is not named: {text}")
        if text in said:
            found.append(f"{row} is told as mistake {said[text]} is: {text}")
        with mock.patch.dict(os.environ, CHINESE):
            if not is_chinese(chinese := say(text.removeprefix(due))):
                found.append(f"{row} is not told in Chinese: {chinese}")
        said.setdefault(text, place)
    return found, [text.removeprefix(f"{name} not right yet: ") for text in said]


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_planted_answers_get_their_verdicts(name):
    assert len(RIGHT[name]) >= 2 and len(WRONG[name]) >= 4
    found, said = faults(name, RIGHT[name], WRONG[name])
    assert not found, "\n".join(found)
    page = instructors.mistakes_of(name, [text.splitlines()[0] for text in said])
    assert PAGE[name] == "\n".join(page).strip(), "run: make store"


def test_all_faults_of_a_table_are_told():
    (right, *_), (over_queries, *_) = RIGHT["01.1"], WRONG["01.1"]
    wrong = [
        over_queries,
        (right, "passes"),
        over_queries,
        ((np.exp,), "nobody says this"),
        ((abs, abs), "two answers"),
    ]
    found, said = faults("01.1", [right, (np.exp,)], wrong)
    assert [fault.partition(":")[0] for fault in found] == [
        "right answer 1 does not pass",
        "mistake 1 ('passes') is not caught",
        "mistake 2 ('over the queries') is told as mistake 0 is",
        "mistake 3 ('nobody says this') is not named",
        "mistake 4 ('two answers') is not caught",
    ]
    assert len(said) == 2


def test_a_message_without_a_translation_is_told(monkeypatch):
    monkeypatch.setitem(faults.__globals__, "say", lambda text: text)
    (found,), _ = faults("01.1", [], WRONG["01.1"][:1])
    assert found.startswith("mistake 0 ('over the queries') is not told in Chinese: ")


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
    assert "over the queries" in verdict("01.1", (scope["softmax_over_keys"],))
    check("01.2", scope["attend"])
    assert "judged with a right `softmax_over_keys`" in capsys.readouterr().out
    scope["np"] = mock.Mock(wraps=np, sqrt=lambda d: d)  # a mistake of its own as well
    assert "you divided by d;" in verdict("01.2", (scope["attend"],))
