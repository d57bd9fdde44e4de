"""What the checks say, in the student's language: English as written here, or Chinese from a catalogue.

The checks' code knows nothing of it. Their messages are read from it as templates, such as "{what} should have shape
{expected.shape}"; a message that was said is recognised by its template, and what fills the gaps is looked up as well.
"""

import ast
import json
import os
import re
from functools import cache
from pathlib import Path

from recsys_helpers import errors
from recsys_helpers.errors import CourseError

ENGLISH, CHINESE = "en", "zh_CN"
CATALOGUE = "checks"
GAP = re.compile(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")


def language() -> str:
    """Of the environment variable RECSYS_LANGUAGE, or else of the notebooks in this folder (the kernel's)."""
    if chosen := os.environ.get("RECSYS_LANGUAGE"):
        if chosen not in (ENGLISH, CHINESE):
            raise CourseError(f"RECSYS_LANGUAGE is {chosen!r}; set it to {ENGLISH} or {CHINESE}")
        return chosen
    return _language_of(Path.cwd())


@cache
def _language_of(folder: Path) -> str:
    try:
        first = next(iter(sorted(folder.glob("[0-9][0-9]_*.ipynb"))))
        return json.loads(first.read_text("utf-8"))["metadata"]["recsys"]["language"]
    except (StopIteration, OSError, ValueError, KeyError, TypeError):
        return ENGLISH  # no notebook of ours that says another


def say(message: str) -> str:
    """A message of the checks in the student's language; where there is no translation, as it is."""
    if language() != CHINESE:
        return message
    return "\n".join(_best(line, depth=3)[1] for line in message.split("\n"))


def _best(text: str, depth: int) -> tuple[int, str]:
    """(how many of its letters are known, the translation), by the template that knows the most."""
    whole, patterns = _catalogue()
    if text in whole:
        return _letters(text), whole[text]
    found = [(0, text)]
    if not depth or not re.search("[A-Za-z]{2}", text):
        return found[0]
    for pieces, pattern, translation in patterns:
        if all(piece in text for piece in pieces) and (match := pattern.fullmatch(text)):  # the first test is quick
            gaps = [_best(filling, depth - 1) for filling in match.groups()]
            told = "".join(part if isinstance(part, str) else gaps[part][1] for part in translation)
            found.append((_letters("".join(pieces)) + sum(known for known, _ in gaps), told))
    parts = [_best(part, depth - 1) for part in text.split(", ")] if ", " in text else []
    if all(known or " " not in part for known, part in parts):  # a list; what is not known in it are names
        found.append((sum(known for known, _ in parts), "、".join(part for _, part in parts)))
    return max(found, key=lambda one: one[0])


def _letters(text: str) -> int:
    return len(re.findall("[A-Za-z]", text))


@cache
def _catalogue() -> tuple[dict[str, str], list[tuple[list[str], re.Pattern, list[str | int]]]]:
    """Texts without a gap, with their translation; and those with gaps.

    These as (pieces between the gaps, pattern of the whole, translation: pieces, and numbers of the gaps between them).
    """
    from recsys_helpers.translation import read_catalogue

    whole, patterns = {}, []
    for message in read_catalogue(CATALOGUE):
        if not message.id or not message.string or message.fuzzy or message.string == message.id:
            continue
        first, *rest = GAP.split(message.id)
        gaps = GAP.findall(message.id)
        if gaps:
            # a gap right behind another is an afterthought: nothing, or it begins with a comma or a semicolon
            kinds = ["(.*?)", *("(.*?)" if piece else "([,;] [a-z].*?|)" for piece in rest[:-1])]
            pattern = re.escape(first) + "".join(
                kind + re.escape(piece) for kind, piece in zip(kinds, rest, strict=True)
            )
            translation: list[str | int] = []
            for part in re.split(f"({GAP.pattern})", message.string):
                if part in gaps:
                    translation.append(gaps.index(part))
                    gaps[gaps.index(part)] = None  # one that comes twice is filled in the same order in both languages
                else:
                    translation.append(part)
            patterns.append(([first, *rest], re.compile(pattern), translation))
        else:
            whole[message.id] = message.string
    return whole, patterns


def templates() -> list[tuple[str, str]]:
    """(module, template) of every text in the checks' code that has two words, or a word and a gap, once each."""
    found: dict[str, str] = {}
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(errors.__file__)):
        if path.name == Path(__file__).name:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        parts = {id(part) for whole in ast.walk(tree) for part in _inside(whole)}
        for node in ast.walk(tree):
            text = None if id(node) in parts else _template(node)
            if text and (" " in text.strip() or GAP.search(text)) and re.search("[A-Za-z]{2}|[:;,]", GAP.sub("", text)):
                found.setdefault(text, path.stem)
    return [(module, text) for text, module in found.items()]


def _inside(node: ast.AST) -> list[ast.AST]:
    """The texts that are no messages: docstrings, how numbers are written, and pieces of a longer text."""
    if isinstance(node, ast.Expr):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return [*node.values, *(value.format_spec for value in node.values if getattr(value, "format_spec", None))]
    if isinstance(node, ast.BinOp) and _template(node) is not None:
        return [node.left, node.right]
    return []


def _template(node: ast.AST) -> str | None:
    """A text with a gap `{expression}` for whatever is filled in; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}" for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = {side: _template(side) for side in (node.left, node.right)}
        if any(text is not None for text in sides.values()):
            return "".join(f"{{{ast.unparse(side)}}}" if text is None else text for side, text in sides.items())
    return None
