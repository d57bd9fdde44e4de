"""A fingerprint of each exercise: equal as long as nothing changed on which the fate of its mutants depends.

That is its judge with all that it uses of the lessons' modules, the machinery in checks/core.py, the solution with the
earlier ones of its lesson, which it may call, and the mutator with its table of harmless changes.
"""

import ast
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import harmless
import mutation
from planted import RIGHT

from recsys_helpers import checks
from recsys_helpers.checks import EXERCISES, core


def modules() -> dict[str, str]:
    """The text of every module of the checks, by its whole name."""
    folder = Path(checks.__file__).parent
    return {f"{checks.__name__}.{path.stem}": path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}


@cache
def definitions(source: str) -> dict[str, list[ast.stmt]]:
    """The statements at the top of a module that give each of its names a meaning."""
    found: dict[str, list[ast.stmt]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = {node.name}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = {alias.asname or alias.name for alias in node.names}
        else:
            names = {
                part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
        for name in names:
            found.setdefault(name, []).append(node)
    return found


def used(judge: str, module: str, texts: Mapping[str, str]) -> list[str]:
    """The text of a judge and of whatever it uses that the lessons' modules define, without its title and hints."""
    waiting, found = [(module, judge)], {}
    while waiting:
        place = module, name = waiting.pop()
        if place in found:
            continue
        lines, found[place] = texts[module].splitlines(), ""
        for node in definitions(texts[module]).get(name, ()):
            if isinstance(node, ast.ImportFrom):
                sources = {alias.asname or alias.name: alias.name for alias in node.names}
                waiting += [(node.module, sources[name])] if ".lesson" in node.module else []
                continue
            found[place] += "\n".join(lines[node.lineno - 1 : node.end_lineno])
            waiting += [(module, part.id) for part in ast.walk(node) if isinstance(part, ast.Name)]
    return [text for _, text in sorted(found.items()) if text]


def fingerprint(name: str, texts: Mapping[str, str] | None = None) -> str:
    """Of one exercise; `texts` are the modules of the checks, as they are on the disk if not given."""
    texts = texts or modules()
    judge, lesson = EXERCISES[name].judge, name.partition(".")[0]
    solutions = [source for other, source in solution_cells() if other.startswith(lesson) and other <= name]
    answer = RIGHT[name][0][0]
    choices = [] if callable(answer) else sorted(mutation.other_answers(name, answer))
    mutator = Path(mutation.__file__).read_text(encoding="utf-8")
    excused = [f"{reason}: {each.get(name)}" for reason, each in harmless.HARMLESS.items() if name in each]
    parts = [
        *used(judge.__name__, judge.__module__, texts),
        texts[core.__name__],
        *solutions,
        *choices,
        mutator,
        *excused,
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@cache
def solution_cells() -> tuple[tuple[str, str], ...]:
    return tuple(mutation.solution_cells())
