"""The framework: four outcomes, hints, and what a notebook and nbgrader see of them."""

import subprocess
import sys
import warnings

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbgrader.utils import determine_grade

from recsys_helpers.checks import CheckFailed, Crashed, NotAttempted, Wrong, check, core, hint
from recsys_helpers.checks.core import Question, compare, describe, exercise, quiz
from recsys_helpers.errors import CourseError


@pytest.fixture(autouse=True)
def tasks(monkeypatch):
    """Two small exercises in place of the course's."""
    monkeypatch.setattr(core, "EXERCISES", {})
    monkeypatch.setattr(core, "_hints_shown", {})

    @exercise("09.1", "Double", points=1, why="doubling is half of halving.", hints=("think of two", "2 * x"))
    def judge_double(double):
        x = np.arange(3.0)
        compare(double(x), 2 * x, "the double", (x**2, "you squared; doubling adds a number to itself."))

    @exercise("09.2", "Predict", points=1, why="so it is.", hints=("look",))
    def judge_prediction(double, prediction):
        quiz(
            prediction, {"sum": Question(6, {3: "not doubled."}, "add up."), "sign": Question("plus", {"minus": "no."})}
        )


def test_correct_prints_why(capsys):
    assert check("09.1", lambda x: 2 * x) is None  # nbgrader would take a number for partial credit
    assert capsys.readouterr().out == "09.1 correct: doubling is half of halving.\n"


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
        check("09.1", answer)
    assert str(failure.value) == f"09.1 not attempted yet: {text}"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda x: x**2, "you squared; doubling adds a number to itself."),
        (lambda x: x, "the double: 2 is expected at position (1,), yours is 1."),
        (lambda x: x[:2], "the double should have shape (3,); yours has (2,)."),
        (lambda x: [0, np.nan, 4], "the double: 2 is expected at position (1,), yours is nan."),
        (lambda x: "two", "the double should be numbers in one regular array; you gave 'two'."),
        (np.arange(3) * 2, "give the function itself, `double`, not what it returns."),
    ],
)
def test_wrong(answer, text):
    with pytest.raises(Wrong) as failure:
        check("09.1", answer)
    assert str(failure.value) == f"09.1 not right yet: {text}"


def test_crashed_tells_exception_line_and_call():
    def halve(x):
        return x / missing  # noqa: F821

    with pytest.raises(Crashed) as failure:
        check("09.1", lambda x: halve(x))
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("09.1 your code stopped: NameError: name 'missing' is not defined")
    assert lines[1].endswith("of halve: return x / missing  # noqa: F821")
    assert lines[2] == "  called as double(array([0., 1., 2.]))"


def test_crash_in_a_library_points_at_the_students_line():
    def double(x):
        return np.linalg.inv(x)  # raises deep inside NumPy's own Python

    with pytest.raises(Crashed, match=r"(?s)LinAlgError.*of double: return np.linalg.inv"):
        check("09.1", double)


def test_wrong_number_of_arguments_is_a_crash_without_a_line():
    with pytest.raises(Crashed) as failure:
        check("09.1", lambda: 0)
    assert "takes 0 positional arguments but 1 was given\n  called as double(" in str(failure.value)


def test_answers_work_on_copies_and_without_warnings(recwarn, capsys):
    def in_place(x):
        warnings.warn("harmless", stacklevel=1)
        x *= 2
        return x

    check("09.1", in_place)
    check("09.1", lambda x: np.where(x == 0, 0, 2 / (1 / x)))  # divides by 0 on the way
    assert not recwarn
    assert not capsys.readouterr().err


def test_students_keyboard_interrupt_is_not_swallowed():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("09.1", interrupted)


def test_quiz():
    def answer(**given):
        check("09.2", abs, given)

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
        check("09.2", abs, [6, "plus"])


def test_unknown_exercise_and_missing_answer_say_what_to_do():
    with pytest.raises(CourseError, match=r"no exercise '9.1'; known are 09.1, 09.2"):
        check("9.1", abs)
    with pytest.raises(CourseError, match=r"no exercise '09'"):
        hint("09")
    with pytest.raises(CourseError, match=r'check\("09.2", double, prediction\)'):
        check("09.2", abs)


def test_hints_grow_stronger_and_end_with_the_last(capsys):
    for _ in range(3):
        hint("09.1")
    hint("09.1", 1)
    hint("09.1")
    first, second = "09.1 hint 1 of 2: think of two", "09.1 hint 2 of 2: 2 * x"
    assert capsys.readouterr().out.splitlines() == [first, second, second, first, second]
    for number in (0, 3):
        with pytest.raises(CourseError, match="a number from 1 to 2"):
            hint("09.1", number)


def test_values_are_described_briefly():
    assert describe(np.zeros((3, 4))) == "<float64 array of shape (3, 4)>"
    assert describe(np.array([[1, 2], [3, 4]])) == "array([[1, 2], [3, 4]])"
    assert describe(len) == "len"
    assert len(describe(["text"] * 100)) < 100


def test_failures_are_assertions_and_draw_no_traceback():
    for kind in (NotAttempted, Wrong, Crashed):
        assert issubclass(kind, CheckFailed) and issubclass(kind, AssertionError)
        assert kind("what to do")._render_traceback_() == ["what to do"]


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
