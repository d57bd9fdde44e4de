"""Every right answer passes, every planted mistake gets its own message, every mutated solution is caught."""

import ast
import itertools
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from planted import RIGHT, WRONG

from recsys_helpers.checks import EXERCISES, CheckFailed, Wrong, check


def message(name, answers):
    with pytest.raises(Wrong) as failure:
        check(name, *answers)
    return str(failure.value)


@pytest.mark.parametrize(("name", "place"), [(name, i) for name in RIGHT for i in range(len(RIGHT[name]))])
def test_right_answers_pass(name, place, capsys):
    start = time.perf_counter()
    check(name, *RIGHT[name][place])
    assert time.perf_counter() - start < 2
    assert capsys.readouterr().out == f"{name} correct: {EXERCISES[name].why}\n"


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


ODD = [
    lambda *args: 1.0,
    lambda *args: "text",
    lambda *args: [[1, 2], [3]],
    lambda *args: args[0],
    lambda *args: {},
    lambda *args: {"plain": 1},
    lambda *args: (1, 2, 3),
    lambda *args: np.full((2, 2), np.nan),
    lambda *args: np.zeros(0),
    lambda *args: 1 + 2j,
    lambda *args: object(),
    lambda: 0,
    3,
    "text",
    {},
    {key: [[]] for answers in RIGHT.values() for answer in answers[0] if isinstance(answer, dict) for key in answer},
    np.zeros((3, 3)),
    type,
]


@pytest.mark.parametrize("name", sorted(EXERCISES))
@pytest.mark.parametrize("odd", range(len(ODD)))
def test_nonsense_is_refused_in_words(name, odd):
    with pytest.raises(CheckFailed):
        check(name, *[ODD[odd]] * len(EXERCISES[name].answers))


# --- Mutated solutions: every small change of a solution is noticed, unless it changes no result ----------------------

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.IsNot: ast.Is,
}
METHODS = {"max": "min", "argmax": "argmin", "sum": "mean", "mean": "sum", "exp": "square", "sqrt": "square"}
HARMLESS = {
    "01.3": {"no index in causal[None, :, :]", "no index in position[None, :]"},  # broadcasting adds the axis by itself
    "02.3": {"no minus in -1"},  # the last of two axes is also axis 1
    "03.7": {"1002 for 1001 in 1001", "sum for mean in np.mean"},  # a finer grid; the least sum has the least mean
    "08.3": {"Div for Mult in np.linalg.norm(texts, axis=1) * np.linalg.norm(text)"},  # its own length cancels
}


class Mutation(ast.NodeTransformer):
    """Changes the place number `target` of a program; `change` tells how, or is empty if there are fewer places."""

    def __init__(self, target):
        self.left, self.change = target, ""

    def hit(self, node, change):
        self.left -= 1
        if self.left == -1:
            self.change = f"{change} in {ast.unparse(node)}"
        return self.left == -1

    def visit_BinOp(self, node):
        self.generic_visit(node)
        new = OPERATORS.get(type(node.op))
        if new and self.hit(node, f"{new.__name__} for {type(node.op).__name__}"):
            node.op = new()
        return node

    def visit_Compare(self, node):
        self.generic_visit(node)
        new = OPERATORS.get(type(node.ops[0]))
        if new and self.hit(node, f"{new.__name__} for {type(node.ops[0]).__name__}"):
            node.ops[0] = new()
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        new = METHODS.get(node.attr)
        if new and self.hit(node, f"{new} for {node.attr}"):
            node.attr = new
        return node

    def visit_Constant(self, node):
        new = (
            not node.value if isinstance(node.value, bool) else node.value + 1 if isinstance(node.value, int) else None
        )
        if new is not None and self.hit(node, f"{new} for {node.value}"):
            return ast.Constant(new)
        return node

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.USub) and self.hit(node, "no minus") else node

    def visit_Subscript(self, node):
        self.generic_visit(node)
        return node.value if self.hit(node, "no index") else node

    def visit_IfExp(self, node):
        self.generic_visit(node)
        return node.orelse if self.hit(node, "no case") else node


def solution_cells():
    for path in sorted(Path(__file__).parents[1].glob("solutions/*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if cell.id.endswith("-solution") and "def " in cell.source:
                yield path.stem, cell.id.removeprefix("ex-").removesuffix("-solution").replace("-", "."), cell.source


def survivors(name, source, namespace):
    """The changes of a solution that its check does not notice."""
    for target in itertools.count():
        mutation = Mutation(target)
        program = ast.unparse(ast.fix_missing_locations(mutation.visit(ast.parse(source))))
        if not mutation.change:
            return
        scope = dict(namespace)
        exec(program, scope)
        try:
            check(name, *(scope[answer] for answer in EXERCISES[name].answers))
        except CheckFailed:
            continue
        yield mutation.change


def test_mutated_solutions_are_noticed():
    scopes = {}
    missed = {}
    for notebook, name, source in solution_cells():
        scope = scopes.setdefault(notebook, {"np": np})  # an exercise may call an earlier one's function
        exec(source, scope)
        check(name, *(scope[answer] for answer in EXERCISES[name].answers))
        missed[name] = set(survivors(name, source, scope)) - HARMLESS.get(name, set())
    assert len(missed) >= 10
    assert not any(missed.values()), missed
