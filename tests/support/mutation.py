"""Small changes of the solutions, and whether the checks notice them. Run by tests/checks/test_attack.py.

A mutant is a solution with one change: another operator, axis, sign, constant or variable, a mask, argument, statement
or call left out, two arguments swapped, a slice or range shifted by one, another choice in a quiz.
As a program of its own this file judges the mutants of exercises, so that an endless one or one that eats memory can
be stopped: `python tests/support/mutation.py 03.1 03.2` prints a JSON list.
"""

import ast
import builtins
import contextlib
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from types import CodeType
from unittest import mock

import numpy as np
from planted import RIGHT, WRONG

from recsys_helpers.checks import EXERCISES, CheckFailed, Wrong, check
from recsys_helpers.checks.core import Attempt, Question
from recsys_helpers.paths import ROOT

OPERATORS = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.And: [ast.Or],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}
_PAIRS = (
    "max min,argmax argmin,maximum minimum,sum mean,exp square,sqrt square,log log2,std var,any all,zeros ones,"
    "nanmean mean,percentile quantile,floor ceil,zeros_like ones_like,cumsum sum,inv pinv,cdf sf"
)
RENAMED: dict[str, str] = {}
for _pair in _PAIRS.split(","):
    _one, _other = _pair.split()
    RENAMED |= {_one: _other, **({} if _other in RENAMED else {_other: _one})}
SYMMETRIC = {"max", "min", "maximum", "minimum", "logaddexp"}  # calls whose arguments may change places
COUNTED = {"range", "arange"}  # calls whose arguments are bounds


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, Callable]]:
    """Every node, with a function that puts another one into its place."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                yield value, partial(setattr, parent, field)
            elif isinstance(value, list):
                for i, node in enumerate(value):
                    if isinstance(node, ast.AST):
                        yield node, partial(value.__setitem__, i)


def with_field(node: ast.AST, **fields) -> ast.AST:
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def without(items: list) -> Iterator[list]:
    for i in range(len(items)):
        yield items[:i] + items[i + 1 :]


def swapped(items: list) -> Iterator[list]:
    for i in range(len(items) - 1):
        if not any(isinstance(item, ast.Starred) for item in items[i : i + 2]):
            yield [*items[:i], items[i + 1], items[i], *items[i + 2 :]]


def shifted(node: ast.expr) -> Iterator[ast.expr]:
    if not isinstance(node, ast.Constant):  # constants are changed by themselves
        for operator in (ast.Add, ast.Sub):
            yield ast.BinOp(node, operator(), ast.Constant(1))


def changes(node: ast.AST, names: set[str], strings: set[str]) -> Iterator[ast.AST]:
    """What may stand in the place of a node, given the variables and the strings of its program."""
    match node:
        case ast.Name(name, ast.Load()) if name in names:
            yield from (ast.Name(other, ast.Load()) for other in sorted(names - {name}))
        case ast.BinOp(left, op, right):
            yield from (with_field(node, op=new()) for new in OPERATORS.get(type(op), ()))
            yield from (left, right)  # a mask, factor or summand left out
            if not isinstance(op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
                yield ast.BinOp(right, op, left)
        case ast.BoolOp(op, values):
            yield from (with_field(node, op=new()) for new in OPERATORS.get(type(op), ()))
            yield from (values[0], values[-1])
        case ast.Compare(left, [op], [right]):
            yield from (with_field(node, ops=[new()]) for new in OPERATORS.get(type(op), ()))
            if not isinstance(op, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
                yield ast.Compare(right, [op], [left])
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Constant(float(value)):
            yield from (ast.Constant(value * 2), ast.Constant(value / 2))
        case ast.Constant(str(value)):
            yield from map(ast.Constant, sorted(strings - {value}))
        case ast.Attribute(value, name):
            if name == "T":
                yield value
            if name in RENAMED:
                yield with_field(node, attr=RENAMED[name])
        case ast.Call(function, arguments, keywords):
            yield from (with_field(node, keywords=fewer) for fewer in without(keywords))
            name = getattr(function, "attr", getattr(function, "id", ""))
            yield from (with_field(node, args=other) for other in swapped(arguments) if name not in SYMMETRIC)
            yield from (argument for argument in arguments if not isinstance(argument, ast.Starred))
            if isinstance(function, ast.Attribute) and ast.unparse(function.value) not in ("np", "np.random"):
                yield function.value
            if name in COUNTED:
                for i, argument in enumerate(arguments):
                    yield from (
                        with_field(node, args=[*arguments[:i], moved, *arguments[i + 1 :]])
                        for moved in shifted(argument)
                    )
        case ast.keyword("axis", ast.Constant() | ast.UnaryOp() as axis):
            others = {0, 1, -1} - {ast.literal_eval(axis)}
            yield from (ast.keyword("axis", ast.Constant(other)) for other in sorted(others))
        case ast.Subscript(value):
            yield value
        case ast.Slice(lower, upper):
            for name, bound in (("lower", lower), ("upper", upper)):
                if bound:
                    yield with_field(node, **{name: None})
                    yield from (with_field(node, **{name: moved}) for moved in shifted(bound))
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.comprehension(ifs=[_, *_]):
            yield with_field(node, ifs=[])
        case ast.Return(ast.Tuple(parts)):
            yield from (ast.Return(ast.Tuple(other, ast.Load())) for other in swapped(parts))
        case ast.If():
            yield from (with_field(node, test=ast.Constant(forced)) for forced in (True, False))
        case ast.Assign() | ast.AugAssign() | ast.Expr() | ast.For():
            yield ast.Pass()


def plain(source: str) -> ast.Module:
    """The program without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            node.body.pop(0)
    return tree


def meaning(code: CodeType) -> tuple:
    """What Python runs, constants folded and places in the text left out: equal for programs that are the same."""
    parts = tuple(meaning(part) if isinstance(part, CodeType) else (type(part), part) for part in code.co_consts)
    return code.co_code, parts, code.co_names, code.co_varnames


def undefined(tree: ast.Module) -> bool:
    """Whether a function reads a name of its own that nothing defines: such a mutant is caught by Python itself."""
    outside = {*dir(builtins), "np", "softmax_over_keys"}
    outside |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for function in tree.body:
        nodes = list(ast.walk(function))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        known = {node.arg for node in nodes if isinstance(node, ast.arg)}
        known |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        known |= {node.name for node in nodes if isinstance(node, ast.alias)}
        if {node.id for node in names} - known - outside:
            return True
    return False


def difference(before: str, after: str) -> str:
    """The lines of `after` that `before` has not, or what is missing there."""
    old, new = before.splitlines(), after.splitlines()
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    end = next((i for i, (a, b) in enumerate(zip(old[::-1], new[::-1], strict=False)) if a != b), 0)
    lines = " / ".join(line.strip() for line in new[start : len(new) - end])
    return f"no: {old[start].strip()}" if lines == "pass" else lines


def programs(source: str) -> dict[str, str]:
    """The mutants of a program: what is changed, and the whole text."""
    tree = plain(source)
    before = ast.unparse(tree)
    seen = {meaning(compile(before, "", "exec"))}
    found = {}
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    hushed = {id(node) for stop in ast.walk(tree) if isinstance(stop, ast.Raise) for node in ast.walk(stop)}
    strings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hushed
    }
    for node, put in list(places(tree)):
        if id(node) in hushed:
            continue
        for other in changes(node, names, strings):
            put(other)
            after = ast.unparse(ast.fix_missing_locations(tree))
            put(node)
            try:
                same = meaning(compile(after, "", "exec"))
            except SyntaxError:  # such as a number on the left of an equals sign
                continue
            if same not in seen and not undefined(ast.parse(after)):
                seen.add(same)
                change = difference(before, after)
                found[f"{change} (another)" if change in found else change] = after
    return found


def solution_cells() -> Iterator[tuple[str, str]]:
    """Name and text of each solution."""
    for path in sorted(ROOT.glob("solutions/*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:  # nbformat takes seconds to import
            if cell["id"].endswith("-solution"):
                name = cell["id"].removeprefix("ex-").removesuffix("-solution").replace("-", ".")
                yield name, "".join(cell["source"])


def asked(name: str) -> Mapping[str, Question]:
    """The questions of a quiz, caught as its judge asks them; none if the exercise is no quiz."""
    judge, caught = EXERCISES[name].judge, {}
    if "quiz" in judge.__globals__:
        with mock.patch.dict(judge.__globals__, quiz=lambda attempt, questions: caught.update(questions)):
            judge(*(Attempt(label, {}) for label in EXERCISES[name].answers))
    return caught


def other_answers(name: str, right: dict | set) -> dict[str, dict | set]:
    """What may be answered in the place of the right answers: each other choice, each number 10% off."""
    if isinstance(right, set):
        known = {feature for (answer,), _ in WRONG[name] if isinstance(answer, set) for feature in answer}
        return {f"{feature} {'kept' if feature in right else 'dropped'}": right ^ {feature} for feature in known}
    found, questions = {}, asked(name)
    for key, value in right.items():
        if isinstance(value, str):
            others = questions[key].wrong if key in questions else OTHER_WORDS.get(key, ("", value.split()[0]))
        elif isinstance(value, tuple):
            others = [(*value[:i], other, *value[i + 1 :]) for i in range(3) for other in off(value[i])]
            others += map(tuple, swapped(list(value)))
        elif isinstance(value, list):
            others = [[], value[:1], value * 2]
        else:
            others = off(value)
        found |= {f"{key!r}: {other!r}": {**right, key: other} for other in others if other != value}
    return found


OTHER_WORDS = {"conclusion": ("better", "worse", "no difference shown")}  # of the report, which is no quiz


def off(number: float) -> tuple[float, ...]:
    return (number * 0.9, number * 1.1, -number) if number else (-0.1, 0.1)


def outcome(name: str, answers: Callable[[], tuple], seconds: float = 2) -> tuple[str, str]:
    """What the check makes of the answers, and its message; it gets so many seconds of processor time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check(name, *answers())
        return "survived", ""
    except CheckFailed as failure:
        text = str(failure)
        kind = "named" if isinstance(failure, Wrong) and not GENERIC.search(text) else "generic"
        return kind if isinstance(failure, Wrong) else failure.outcome, text
    except Endless:
        return "stopped", f"ran for more than {seconds} seconds"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


GENERIC = re.compile(r"should have shape|is expected( at position .*)?, yours|in one regular array|cannot be read")


class Endless(BaseException):
    """The mutant had its time; no `except Exception` may hold it."""


def stop(*_):
    raise Endless


def judged(names: Collection[str]) -> Iterator[tuple[str, str, str, str]]:
    """Exercise, change, outcome and message of each mutant of these exercises, which are of one lesson."""
    scope = {"np": np}  # an exercise may call an earlier one's function
    lessons = {name.partition(".")[0] for name in names}
    for name, source in solution_cells():
        if name.partition(".")[0] not in lessons:
            continue
        if "def " in source:
            exec(source, scope)
        if name not in names:
            continue
        if "def " in source:
            tried = {
                change: partial(run, program, scope, EXERCISES[name].answers)
                for change, program in programs(source).items()
            }
        else:
            (right,) = RIGHT[name][0]
            tried = {change: partial(tuple, [answer]) for change, answer in other_answers(name, right).items()}
        for change, answers in tried.items():
            yield name, change, *outcome(name, answers)


def run(program: str, scope: dict, answers: tuple[str, ...]) -> tuple:
    scope = dict(scope)
    exec(compile(program, "<solution>", "exec"), scope)
    return tuple(scope[answer] for answer in answers)


def judge(names: Collection[str]) -> list[tuple[str, str, str, str]]:
    """Exercise, change, outcome and message of each mutant of one lesson's exercises, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *names], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [tuple(each) for each in json.loads(done.stdout)]


if __name__ == "__main__":
    os.environ["RECSYS_PROGRESS"] = "off"
    signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    print(json.dumps(list(judged(sys.argv[1:]))))
