"""The framework: four outcomes, hints, and what a notebook and nbgrader see of them."""

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbgrader.utils import determine_grade

from recsys_helpers.checks import (
    CheckFailed,
    Crashed,
    NotAttempted,
    Wrong,
    check,
    core,
    hint,
    journal,
    language,
    progress,
    solution,
)
from recsys_helpers.checks.core import TICK, Question, compare, describe, exercise, quiz
from recsys_helpers.errors import CourseError


@pytest.fixture(autouse=True)
def tasks(monkeypatch):
    """Two small exercises in place of the course's."""
    monkeypatch.setattr(core, "EXERCISES", {})
    monkeypatch.setattr(core, "_hints_shown", {})
    monkeypatch.setattr(journal, "_remembered", {})
    monkeypatch.setattr(language, "_said", set())

    @exercise("99.1", "Double", points=1, why="doubling is half of halving.", hints=("think of two", "2 * x"))
    def judge_double(double):
        x = np.arange(3.0)
        compare(double(x), 2 * x, "the double", (x**2, "you squared; doubling adds a number to itself."))

    @exercise("99.2", "Predict", points=1, why="so it is.", hints=("look",))
    def judge_prediction(double, prediction):
        quiz(
            prediction, {"sum": Question(6, {3: "not doubled."}, "add up."), "sign": Question("plus", {"minus": "no."})}
        )


def test_correct_prints_why(capsys):
    assert check("99.1", lambda x: 2 * x) is None  # nbgrader would take a number for partial credit
    assert capsys.readouterr().out == f"{TICK} 99.1 correct: doubling is half of halving.\n"


def stub(x):
    raise NotImplementedError()


def calls_a_stub(x):
    return stub(x)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "`double` is still None."),
        (..., "`double` is still Ellipsis."),
        (stub, "`stub` still raises NotImplementedError; put your code in its place."),
        (calls_a_stub, "`stub` still raises NotImplementedError; put your code in its place."),
        (lambda x: None, "`double` returned None; let it return its result."),
        (lambda x: ..., "`double` returned Ellipsis; let it return its result."),
    ],
)
def test_not_attempted(answer, text):
    with pytest.raises(NotAttempted) as failure:
        check("99.1", answer)
    assert str(failure.value) == f"99.1 not attempted yet: {text}"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda x: x**2, "you squared; doubling adds a number to itself."),
        (
            lambda x: x,
            "the double: 2 is expected at position (1,), yours is 1; all of yours is 0.5 times what is expected.",
        ),
        (lambda x: 2 * x + [0, 0, 1], "the double: 4 is expected at position (2,), yours is 5."),
        (lambda x: x[:2], "the double should have shape (3,); yours has (2,)."),
        (
            lambda x: [0, np.nan, 4],
            "the double: 2 is expected at position (1,), yours is nan; look for a division by 0, or a logarithm of 0.",
        ),
        (lambda x: "two", "the double should be numbers in one regular array; you gave 'two'."),
        (np.arange(3) * 2, "give the function itself, `double`, not what it returns."),
    ],
)
def test_wrong(answer, text):
    with pytest.raises(Wrong) as failure:
        check("99.1", answer)
    assert str(failure.value) == f"99.1 not right yet: {text}"


@pytest.mark.parametrize(
    ("answer", "likeness"),
    [
        (lambda a: -a, "; every sign is turned."),
        (lambda a: a**2, "; all of yours is the square of what is expected."),
        (np.sqrt, "; all of yours is the root of what is expected."),
        (lambda a: 1 - a, "; all of yours is 1 minus what is expected."),
        (lambda a: a.T, "; rows and columns are swapped."),
        (lambda a: 3 * a, "; all of yours is 3 times what is expected."),
        (lambda a: a - 0.5, "; all of yours is 0.5 too low."),
        (lambda a: a[::-1], "; the numbers are right, in another order."),
        (lambda a: a + np.eye(3), "yours is 2."),
        (lambda a: np.zeros((3, 3)), "yours is 0."),
        (lambda a: a / (a - 1), "; look for a division by 0, or a logarithm of 0."),
        (lambda a: a[:, :2].T, "should have shape (3, 3); yours has (2, 3)."),
        (lambda a: np.roll(a, 1, axis=0), "; along axis 0 yours is one place off."),
        (lambda a: np.roll(a, -1, axis=1), "; along axis 1 yours is one place off."),
    ],
)
def test_an_unnamed_mistake_tells_what_it_still_shares(answer, likeness):
    right = np.arange(1.0, 10).reshape(3, 3)
    with np.errstate(all="ignore"), pytest.raises(Wrong) as failure:
        compare(answer(right), right, "the answer")
    assert str(failure.value).endswith(likeness)
    with pytest.raises(Wrong, match=r"should have shape \(2, 3\); yours has \(3, 2\), with the axes swapped"):
        compare(right[:2].T, right[:2], "the answer")
    with pytest.raises(Wrong, match=r"2 is expected, yours is 4\.$"):
        compare(4, 2, "the answer")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda a: np.where(a == a.max(), a + 2e-3, a), "3.162 is expected at position (2, 2), yours is 3.164."),
        (lambda a: np.where(a == a.max(), a - 3.4e-4, a), "3.1623 is expected at position (2, 2), yours is 3.1619."),
        (lambda a: np.round(a, 1), "; yours is rounded to 1 decimals: keep all digits."),
        (lambda a: np.round(a), "; yours is rounded to 0 decimals: keep all digits."),
        (lambda a: a.astype(int), "; yours are whole numbers: an integer array drops what stands behind the point."),
    ],
)
def test_a_difference_in_the_last_digits_is_seen(answer, told):
    right = np.sqrt(np.arange(2.0, 11)).reshape(3, 3)
    with pytest.raises(Wrong) as failure:
        compare(answer(right), right, "the answer")
    assert str(failure.value).endswith(told)


# --- A mistake is named where all data sets bear it out ---------------------------------------------------------------


@pytest.fixture
def pairs():
    """An exercise with three data sets and two results, on the first of which a sum looks like a product."""

    @exercise("99.3", "Sum and size", points=1, why="so it is.", hints=("add",))
    def judge_sum(both):
        for pair in ((2.0, 2.0), (3.0, 7.0), (1.5, 4.0)):
            total, size = both(np.array(pair))
            compare(total, sum(pair), "the sum", (pair[0] * pair[1], "you multiplied."), (max(pair), "the larger one."))
            compare(size, sum(pair) / 2 + 1, "the size")

    def judged(total, size=lambda x: x.sum() / 2 + 1):
        with pytest.raises(Wrong) as failure:
            check("99.3", lambda x: (total(x), size(x)))
        return str(failure.value).removeprefix("99.3 not right yet: ")

    return judged


@pytest.mark.parametrize(
    ("total", "told"),
    [
        (max, "the larger one."),
        (lambda x: x.sum() if x[0] == 2 else x[0] * x[1], "you multiplied."),  # seen on two, hidden on the first
        (lambda x: x[0] if x[0] == 2 else 20, "the sum: 4 is expected, yours is 2."),  # the larger one, by chance
        (lambda x: max(x) if x[0] == 3 else x.sum(), "the sum: 10 is expected, yours is 7."),  # only there
        (lambda x: max(x) if x[0] == 2 else np.nan, "the larger one."),  # then it broke, which contradicts nothing
        (lambda x: 3 * x.sum(), "the sum: 4 is expected, yours is 12; all of yours is 3 times what is expected."),
        (lambda x: x.sum() + 1, "the sum: 4 is expected, yours is 5; all of yours is 1 too high."),
    ],
)
def test_chance_is_not_told_as_a_mistake(total, told, pairs):
    assert pairs(total) == told


def test_results_that_have_changed_places_are_told(pairs):
    told = "you give the size in the place of the sum: return the results in the order asked for."
    assert pairs(lambda x: x.sum() / 2 + 1, lambda x: x.sum()) == told
    assert pairs(lambda x: x.sum() / 2 + 1) == "the sum: 4 is expected, yours is 3."  # twice the same


def test_the_second_look_is_quiet_and_asks_for_no_answer_twice_if_right(pairs, capsys):
    def chatty(x):
        print("called")
        return x.max() if x.ndim and x[0] == 3 else x.sum()

    pairs(chatty)
    assert capsys.readouterr().out == "called\n" * 2


# --- An answer that calls an earlier one is judged by itself ----------------------------------------------------------


NOTEBOOK = """
def double(x, how=0):
    {double}

def plus(x):
    {plus}
"""


@pytest.fixture
def notebook():
    @exercise("99.4", "Plus", points=1, why="so it is.", hints=("add",), builds_on={"double": lambda x: 2 * x})
    def judge_plus(plus):
        compare(plus(np.arange(3.0)), 2 * np.arange(3.0) + 1, "the sum", (np.arange(3.0) ** 2 + 1, "you squared."))

    def run(double, plus):
        scope = {}
        exec(NOTEBOOK.format(double=double, plus=plus), scope)
        before = dict(scope)
        try:
            check("99.4", scope["plus"])
        finally:
            assert scope == before  # what was lent is taken back
        return scope

    return run


@pytest.mark.parametrize("double", ["return x ** 2", "raise NotImplementedError()", "return None"])
def test_a_wrong_earlier_answer_costs_a_right_one_nothing(double, notebook, capsys):
    notebook(double, "return double(x) + 1")
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{TICK} 99.4 correct: so it is."
    assert second == "This was judged with a right `double`: with yours, of exercise 99.1, it goes wrong."


def test_what_is_right_with_its_own_helper_needs_none_lent(notebook, capsys):
    notebook("return [2 * a for a in x], None", "return [a + 1 for a in double(x)[0]]")
    assert capsys.readouterr().out == f"{TICK} 99.4 correct: so it is.\n"


@pytest.mark.parametrize(
    ("double", "plus", "told"),
    [
        (
            "return x ** 2",
            "return double(x) + 3",
            "1 is expected at position (0,), yours is 3; all of yours is 2 too high",
        ),
        ("return x ** 2", "raise NotImplementedError()", "`plus` still raises"),
        ("return x ** 2", "return double(x, how=1) + 1", "you squared."),  # what is lent has no such argument
    ],
)
def test_a_wrong_answer_is_told_what_is_its_own(double, plus, told, notebook):
    with pytest.raises(CheckFailed) as failure:
        notebook(double, plus)
    assert told in str(failure.value)


def test_crashed_tells_exception_line_and_call():
    def halve(x):
        return x / missing  # noqa: F821

    with pytest.raises(Crashed) as failure:
        check("99.1", lambda x: halve(x))
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("99.1 your code stopped: NameError: name 'missing' is not defined")
    assert lines[1].endswith("of halve: return x / missing  # noqa: F821")
    assert lines[2] == "  called as double(array([0., 1., 2.]))"


def test_crash_in_a_library_points_at_the_students_line():
    def double(x):
        return np.linalg.inv(x)  # raises deep inside NumPy's own Python

    with pytest.raises(Crashed, match=r"(?s)LinAlgError.*of double: return np.linalg.inv"):
        check("99.1", double)


def test_wrong_number_of_arguments_is_a_crash_without_a_line():
    with pytest.raises(Crashed) as failure:
        check("99.1", lambda: 0)
    assert "takes 0 positional arguments but 1 was given\n  called as double(" in str(failure.value)


def test_answers_work_on_copies_and_without_warnings(recwarn, capsys):
    def in_place(x):
        warnings.warn("harmless", stacklevel=1)
        x *= 2
        return x

    check("99.1", in_place)
    check("99.1", lambda x: np.where(x == 0, 0, 2 / (1 / x)))  # divides by 0 on the way
    assert not recwarn
    assert not capsys.readouterr().err


def test_students_keyboard_interrupt_is_not_swallowed():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("99.1", interrupted)


def test_quiz():
    def answer(**given):
        check("99.2", abs, given)

    answer(sum=6, sign="plus")
    answer(sum="6.05", sign=" Plus")
    with pytest.raises(NotAttempted, match="no answer yet to 'sum', 'sign'"):
        answer(sum=...)
    with pytest.raises(Wrong, match=r"'sum' = 3: not doubled."):
        answer(sum=3, sign="minus")
    with pytest.raises(Wrong, match=r"'sum' = 6.5: add up."):
        answer(sum=6.5, sign="plus")
    with pytest.raises(Wrong, match=r"'sign' = 'both': choose one of minus, plus."):
        answer(sum=6, sign="both")
    with pytest.raises(Wrong, match="should be a dict with the keys 'sum', 'sign'"):
        check("99.2", abs, [6, "plus"])


def test_a_wrong_number_is_refused_without_a_message_of_its_own():
    question = Question(6, {3: "not doubled."})
    assert question.fault(6) is None
    assert question.fault(3) == "not doubled."
    assert question.fault(7) == "that is not the number: work it out once more."


def test_a_refusal_of_ones_own_is_told_by_its_kind():
    class TooBig(ValueError):
        pass

    def refuses(x):
        raise TooBig

    with pytest.raises(Crashed) as stop:
        core.Attempt("double", refuses)(np.arange(3))
    assert isinstance(stop.value.__cause__, ValueError)


def test_unknown_exercise_and_missing_answer_say_what_to_do():
    with pytest.raises(CourseError, match=r"no exercise '9.1'; did you mean '99.1'\?"):
        check("9.1", abs)
    with pytest.raises(CourseError, match=r"no exercise 9.2; did you mean '99.2'\?"):
        hint(9.2)
    with pytest.raises(CourseError, match=r"no exercise 'double'; known are 99.1, 99.2\."):
        hint("double")
    with pytest.raises(CourseError, match=r'check\("99.2", double, prediction\)'):
        check("99.2", abs)


def test_hints_grow_stronger_and_end_with_the_last(capsys):
    for _ in range(3):
        hint("99.1")
    hint("99.1", 1)
    hint("99.1")
    first, second = "99.1 hint 1 of 2: think of two", "99.1 hint 2 of 2: 2 * x"
    assert capsys.readouterr().out.splitlines() == [first, second, second, first, second]
    for number in (0, 3, "1", 1.5):
        with pytest.raises(CourseError, match="a number from 1 to 2"):
            hint("99.1", number)


# --- Progress: what was tried and done is kept, never an answer -------------------------------------------------------


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_PROGRESS", str(tmp_path / "progress"))
    return tmp_path / "progress"


def attempt(name, *answers):
    with pytest.raises(CheckFailed):
        check(name, *answers)


def test_states_go_up_and_hold_no_answer(kept, capsys):
    attempt("99.1", stub)
    assert not kept.exists() and journal.states() == {}
    attempt("99.1", lambda x: x + 12345)
    attempt("99.1", lambda x: 1 / 0)
    assert kept.read_text() == "99.1 tried\n"
    check("99.1", lambda x: 2 * x)
    check("99.1", lambda x: 2 * x)
    attempt("99.1", lambda x: x)
    assert kept.read_text() == "99.1 tried\n99.1 done\n"
    journal.record("99.1", journal.NOT_TRIED)
    assert journal.states() == {"99.1": "not tried"}
    attempt("99.1", lambda x: x)
    assert journal.states() == {"99.1": "tried"}
    capsys.readouterr()


def test_the_map_shows_states_by_sign_and_what_is_next(kept, capsys):
    check("99.1", lambda x: 2 * x)
    capsys.readouterr()
    progress()
    head, row, following = capsys.readouterr().out.splitlines()
    assert head == "exercises: ✓ done   ~ tried   · not tried"
    assert row.split() == ["99", "✓", "·", "1/2"] and following == "next: 99.2 Predict"
    attempt("99.2", abs, {"sum": 3, "sign": "plus"})
    capsys.readouterr()
    progress()
    assert "✓ ~" in capsys.readouterr().out
    check("99.2", abs, {"sum": 6, "sign": "plus"})
    capsys.readouterr()
    progress()
    assert capsys.readouterr().out.splitlines()[-1] == "all done"


def test_without_a_file_the_kernel_remembers(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "ROOT", tmp_path)
    check("99.1", lambda x: 2 * x)
    assert journal.states() == {"99.1": "done"} and not list(tmp_path.iterdir())


def test_the_file_lies_in_the_courses_folder_by_default(tmp_path, monkeypatch):
    monkeypatch.delenv("RECSYS_PROGRESS")
    monkeypatch.setattr(journal, "ROOT", tmp_path)
    journal.record("99.1", journal.TRIED)
    assert (tmp_path / ".progress").read_text() == "99.1 tried\n"


def test_kernels_that_write_at_once_lose_nothing(kept):
    names = [f"99.{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(journal.record, names, ["done"] * len(names)))
    assert journal.states() == dict.fromkeys(names, "done")


DAMAGE = {  # a journal in which 99.1 is done, and the lines that are left out
    "no last newline": (b"99.1 tried\n99.1 done", ""),
    "a blank line": (b"99.1 tried\n\n99.1 done\n", ""),
    "bad lines": (b"99.1 done\n99.2 perhaps\n99.1 done99.2 tried\n", "2, 3"),
    "a byte order mark": (b"\xef\xbb\xbf99.1 done\n", ""),
    "no UTF-8": (b"99.1 done\n99.2 \xff\xe9\n", "2"),
    "lines of Windows": (b"99.1 tried\r\n99.1 done\r\n", ""),
    "zeros, as after a power cut": (b"99.1 tried\n99.1 done\n" + bytes(4096), "3"),
    "UTF-16": (b"99.1 done\n" + "99.2 done\n".encode("utf-16"), "2, 3"),
    "many foreign lines": (b"99.1 done\n" + b"<html>\n" * 50, "2, 3, 4, 5, 6, 7, 8, 9, 10, …"),
    "a torn line": (b"99.1 done\n99.2 do", "2"),
}
HUGE = {  # longer than what is read of it
    "one line without end": b"x" * 3 * journal.MOST + b"\n99.1 done\n",
    "many lines": b"99.2 done, or so\n" * 200_000 + b"99.1 tried\n99.1 done\n",
    "a step torn where the reading begins": b"x\n199.1 done\n" + b"\n" * (journal.MOST - 10),
}


@pytest.mark.parametrize(("content", "left_out"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_costs_no_step_that_can_be_read(kept, solved, capsys, content, left_out):
    kept.write_bytes(content)
    assert journal.states() == {"99.1": "done"}
    attempt("99.2", abs, {"sum": 3, "sign": "plus"})
    assert kept.read_bytes().startswith(content) and journal.states() == {"99.1": "done", "99.2": "tried"}
    progress()
    shown = capsys.readouterr().out.splitlines()
    assert "✓ ~" in shown[-2]
    told = [line for line in shown if "Left out" in line]
    assert len(told) == bool(left_out), "it is said once"
    assert not told or (f"Left out of {kept}" in told[0] and f"line {left_out}." in told[0])
    solution("99.2")


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE)
def test_of_a_huge_file_the_end_is_read(kept, capsys, content):
    kept.write_bytes(content)
    states = journal.states()
    assert states == ({"99.1": "done"} if b"\n99.1 done" in content else {})  # not "199.1"
    told = capsys.readouterr().out
    assert len(told) < len(str(kept)) + 200
    journal.record("99.2", journal.TRIED)
    assert journal.states() == states | {"99.2": "tried"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_in_its_place_hangs_no_check(tmp_path, kept, capsys):
    os.mkfifo(kept)
    assert journal.states() == {}
    check("99.1", lambda x: 2 * x)
    told = capsys.readouterr().out
    assert journal.states() == {"99.1": "done"} and "cannot be written (Invalid argument)" in told


def refused(*args, **options):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("place", ["missing/progress", "a_folder", "a_file"])
def test_where_nothing_can_be_written_the_kernel_remembers_and_says_so_once(
    tmp_path, monkeypatch, solved, capsys, place
):
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "a_file").write_text("99.1 done\n")
    monkeypatch.setenv("RECSYS_PROGRESS", str(tmp_path / place))
    if place == "a_file":  # of somebody else
        monkeypatch.setattr(journal, "_append", refused)
    attempt("99.2", abs, {"sum": 3, "sign": "plus"})
    check("99.2", abs, {"sum": 6, "sign": "plus"})
    solution("99.2")
    told = capsys.readouterr().out
    assert told.count(f"{tmp_path / place} cannot be written (") == 1 and "set RECSYS_PROGRESS to a file" in told
    assert journal.states() == ({"99.1": "done"} if place == "a_file" else {}) | {"99.2": "done"}
    assert (tmp_path / "a_file").read_text() == "99.1 done\n"


def test_a_file_that_cannot_be_read_is_said_once(kept, monkeypatch, capsys):
    monkeypatch.setattr(type(kept), "open", refused)
    assert journal.states() == journal.states() == {}
    assert capsys.readouterr().out == f"Your progress in {kept} cannot be read: Permission denied.\n"


def test_what_was_remembered_gives_way_to_the_file_as_soon_as_it_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_PROGRESS", str(tmp_path / "folder" / "progress"))
    journal.record("99.1", journal.TRIED)
    (tmp_path / "folder").mkdir()
    journal.record("99.1", journal.DONE)
    assert (tmp_path / "folder" / "progress").read_text() == "99.1 done\n"
    (tmp_path / "folder" / "progress").unlink()
    assert journal.states() == {}


def test_a_language_that_is_not_spoken_is_said_once_and_stops_no_check(monkeypatch, capsys):
    monkeypatch.setenv("RECSYS_LANGUAGE", "fr")
    attempt("99.1", lambda x: x)
    check("99.1", lambda x: 2 * x)
    told, judged = capsys.readouterr().out.splitlines()
    assert told.startswith("RECSYS_LANGUAGE is 'fr'") and "en or zh_CN" in told
    assert judged == f"{TICK} 99.1 correct: doubling is half of halving."


# --- Solutions open after an attempt ----------------------------------------------------------------------------------


@pytest.fixture
def solved(tmp_path, monkeypatch):
    cells = {
        "ex-99-1-solution": "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
        "ex-99-2-solution": "answers = {'sum': ...}\n### BEGIN SOLUTION\nanswers = {'sum': 6}\n### END SOLUTION",
    }
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c, id=i) for i, c in cells.items()])
    (tmp_path / "solutions").mkdir()
    nbformat.write(notebook, tmp_path / "solutions" / "99_small.ipynb")
    monkeypatch.setattr(core, "ROOT", tmp_path)


def test_a_solution_opens_after_an_attempt(solved, capsys):
    with pytest.raises(NotAttempted, match=r'99.1 opens after an attempt.*hint\("99.1"\)'):
        solution("99.1")
    hint("99.1", 2)
    with pytest.raises(NotAttempted, match=r"99.1 opens after an attempt: you know all its hints, so let its check"):
        solution("99.1")
    capsys.readouterr()
    attempt("99.1", stub)
    with pytest.raises(NotAttempted):
        solution("99.1")
    attempt("99.1", lambda x: x)
    solution("99.1")
    assert capsys.readouterr().out == "def double(x):\n    return 2 * x\n"
    attempt("99.2", abs, {"sum": 3, "sign": "plus"})
    solution("99.2")
    assert capsys.readouterr().out == "answers = {'sum': 6}\n"  # without the stub


def test_without_the_folder_a_solution_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(core, "ROOT", tmp_path)
    check("99.1", lambda x: 2 * x)
    with pytest.raises(CourseError, match="ask your instructor"):
        solution("99.1")
    with pytest.raises(CourseError, match="no exercise"):
        solution("99.9")


def test_values_are_described_briefly():
    assert describe(np.zeros((3, 4))) == "<float64 array of shape (3, 4)>"
    assert describe(np.array([[1, 2], [3, 4]])) == "array([[1, 2], [3, 4]])"
    assert describe(len) == "len"
    assert describe(np.random.default_rng(1)) == "Generator(PCG64)"
    assert len(describe(["text"] * 100)) < 100


def test_failures_are_assertions_and_draw_no_traceback():
    looks = set()
    for kind in (NotAttempted, Wrong, Crashed):
        assert issubclass(kind, CheckFailed) and issubclass(kind, AssertionError)
        (drawn,) = kind("99.1 so it is: what to do")._render_traceback_()
        look, told = drawn.split(" 99.1 so it is")
        assert told == "\x1b[0m: what to do"
        looks.add(look)
    assert looks == {"\x1b[1;34m○", "\x1b[1;31m✗", "\x1b[1;31m!"}  # not attempted is no mistake, and not red


def test_in_a_notebook_the_message_stands_alone_and_scores_nothing():
    cells = {
        "right": 'check("01.1", lambda s: np.exp(s - np.logaddexp.reduce(s, axis=-1, keepdims=True)))',
        "wrong": 'check("01.1", lambda s: np.exp(s))',
        "crash": 'def softmax(s):\n    scores = s\n    return score\ncheck("01.1", softmax)',
        "stub": 'def softmax(s):\n    raise NotImplementedError()\ncheck("01.1", softmax)',
        "unknown": 'check("1.1", None)',
    }
    setup = "import numpy as np\nfrom recsys_helpers.checks import check"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in (setup, *cells.values())])
    for cell in notebook.cells:
        cell.metadata["nbgrader"] = {"grade": True, "solution": False, "points": 2}
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    right, *failed = notebook.cells[1:]
    assert [output.output_type for output in right.outputs] == ["stream"]
    assert determine_grade(right) == (2, 2)
    for cell, name in zip(failed, ("Wrong", "Crashed", "NotAttempted", "CourseError"), strict=True):
        (output,) = cell.outputs
        assert output.ename == name
        assert len(output.traceback) == 1 and "Traceback" not in output.traceback[0]
        assert determine_grade(cell) == (0, 2)
    assert "in line 3 of softmax: return score" in failed[1].outputs[0].traceback[0]


def test_checks_need_no_deep_learning_library():
    program = "import sys, recsys_helpers.checks; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
