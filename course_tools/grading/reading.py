"""Reads what a student handed in: which notebook it is, the cells to run, and what a person should look at.

Nothing in it is trusted, and reading takes a time that grows with its length only; it is done in the judge's sandbox.
A cell is a dict: id (the name that nbgrader gave it, or ""), source, points; a released one says also whether it is a
check, a solution, locked, or a task for a person.
"""

import ast
import codecs
import copy
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator

from course_tools.grading.verdicts import LOOK, clean, printable

LARGEST = 20 * 2**20  # bytes of a submitted notebook
LARGEST_CELL = 100_000  # characters; the longest of the course has 2,000
LONGEST_WORD = 1000  # characters of a name or text that is compared with what is suspicious
USUAL = r"%%?(matplotlib|time|timeit|capture)\b"
MAGIC = re.compile(r"^([ \t]*)([%!].*)$", re.MULTILINE)
MODULES = {"np", "pd", "plt"}

# What in a student's own code a person should see: what it looks like, and a pattern over what `_words` finds.
SUSPICIOUS = {
    what: re.compile(pattern, re.DOTALL)
    for what, pattern in {
        "replaces the check or a function of a library": r".* =|setattr|delattr",
        "reaches into the checks": r".*\bsys\.(modules|meta_path|path_hooks|settrace|setprofile)"
        r"|import .*\.checks\.(core|lesson).*|import course_tools.*|.*\b(EXERCISES|judge_.*)",
        "looks into running code": r"import (inspect|gc|ctypes|builtins|pickle|importlib|sys)\b.*|text /proc/.*"
        r"|.*\b(__(globals|code|builtins|dict|path|loader|spec|closure|subclasses|import)__|_getframe|f_back|f_globals)"
        r"|vars|globals",
        "makes code out of text": r"exec|eval|compile|builtins\.(exec|eval|compile)",
        "tried the network": r"import (socket|urllib3?|requests|httpx?|ftplib|aiohttp)\b.*",
        "starts or ends processes": r"import (subprocess|multiprocessing|signal)\b.*"
        r"|os\.(system|popen|fork|kill|_exit|exec.*|posix_spawn.*)",
        "drives the notebook itself": r"get_ipython|import IPython\.core.*|[%!].*",
        "names the solutions": r"text (.*/)?solutions(/.*)?|text .*recsys_helpers/checks.*",
    }.items()
}


def load(content: bytes) -> list[dict]:
    """The cells of a submitted notebook, of any format; ValueError says what is wrong with it."""
    import nbformat

    if len(content) > LARGEST:
        raise ValueError(f"is larger than {LARGEST // 2**20} MiB")
    try:
        with warnings.catch_warnings(action="ignore"):
            read = nbformat.convert(nbformat.reader.reads(content.decode(_encoding(content))), 4)
        cells = []
        for cell in read.cells:
            entry = cell.metadata.get("nbgrader")
            entry = entry if isinstance(entry, dict) and isinstance(entry.get("grade_id"), str) else {}
            found = {"id": entry.get("grade_id", ""), "points": entry.get("points", 0)}
            cells.append(found | {"source": printable("".join(cell.source)), "is_code": cell.cell_type == "code"})
    except Exception as error:  # the reader and its upgrades fail in many ways on what is no notebook
        raise ValueError("does not parse as a notebook") from error
    return cells


def _encoding(content: bytes) -> str:
    """Of a notebook that some editor has written: what its byte order mark says, else UTF-8."""
    return "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def identify(submitted: list[dict], names: Iterable[str]) -> str | None:
    """Which exercise notebook a renamed file is, by the names of its cells; None if it is none."""
    lessons = Counter(match[1] for cell in submitted if (match := re.match(r"ex-(\d\d)-", cell["id"])))
    found = [name for name in names if lessons and name.startswith(lessons.most_common(1)[0][0])]
    return found[0] if found else None


def exercise_of(name: str) -> str:
    """ "ex-01-3-check" belongs to exercise "01.3"."""
    return ".".join(name.split("-")[1:3])


def merge(submitted: list[dict], released: list[dict]) -> tuple[list[dict], list[str]]:
    """The cells to run: the student's own, and the released ones as they were. Returns them with notes.

    A locked cell that is missing goes before the next released cell that is there, or to the end, so that all the
    student wrote for it comes before it.
    """
    own = {"id": "", "points": 0, "is_code": True, "check": False, "solution": False, "locked": False, "task": False}
    known = {cell["id"]: cell for cell in released if cell["id"]}
    cells, notes = [], []
    for cell in submitted:
        source, given = cell["source"], known.get(cell["id"])
        if len(source) > LARGEST_CELL and (given or cell["is_code"]):
            notes.append(f"{LOOK}a cell of {len(source):,} characters was not run")
            source = "raise SystemExit('this cell is too long to be run')"
        if given:
            given = copy.deepcopy(given)
            if given["solution"]:
                given["source"] = source
            elif source.strip() != given["source"].strip():
                notes.append(f"edited {_called(given)}; the original was run")
            if cell["points"] != given["points"]:
                notes.append(f"edited the points of {exercise_of(cell['id'])}; the original ones count")
            cells.append(given)
        elif cell["is_code"]:
            cells.append(own | {"source": source})
    last = {cell["id"]: cell for cell in cells}
    counts = Counter(cell["id"] for cell in cells if cell["id"])
    several = [name for name, number in counts.items() if number > 1]
    cells = [cell if not cell["id"] or last[cell["id"]] is cell else own | {"source": cell["source"]} for cell in cells]
    following, put_back, absent = len(cells), [], []
    for name, given in reversed(known.items()):
        if name in counts:
            following = next(place for place, cell in enumerate(cells) if cell["id"] == name)
        elif given["locked"]:
            cells.insert(following, copy.deepcopy(given))
            put_back.insert(0, _called(given))
        else:
            absent.insert(0, name)
    told = {"more than once, the last counts": several, "missing, put back": put_back, "no exercise cell": absent}
    notes += [f"{what}: {', '.join(names)}" for what, names in told.items() if names]
    return [cell for cell in cells if cell["is_code"]], notes


def _called(cell: dict) -> str:
    return f"the check of {exercise_of(cell['id'])}" if cell["check"] else f"the cell {cell['id']}"


def suspicious(sources: Iterable[str]) -> list[str]:
    """Notes on a student's own cells, one of each kind, from their syntax trees; simple, since a person decides."""
    found: dict[str, str] = {}
    for source in sources:
        for word in _words(source):
            if len(word) > LONGEST_WORD and not word.startswith("text "):
                found.setdefault("has very long names", word)
            for what, pattern in SUSPICIOUS.items():
                if what not in found and pattern.fullmatch(word[:LONGEST_WORD]):
                    found[what] = word
    return [f"{LOOK}{what} ({clean(word[:60])})" for what, word in found.items()]


def _words(source: str) -> Iterator[str]:
    """Names, `import ...`, `text ...`, lines of shell and magic, and `... =` for what is not to be assigned to."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from (match[2] for match in MAGIC.finditer(source) if not re.match(USUAL, match[2]))
        try:
            tree = ast.parse(MAGIC.sub(r"\1pass", source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return  # it cannot run either
    modules = set(MODULES)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names) | ast.ImportFrom(names=names):
                origin = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
                for alias in names:
                    yield f"import {origin}{alias.name}"
                    modules.add(alias.asname or alias.name.split(".")[0])
                    if (alias.asname or alias.name) == "check" and origin + alias.name != "recsys_helpers.checks.check":
                        yield f"{origin}{alias.name} as check ="
            case ast.FunctionDef(name="check") | ast.ClassDef(name="check") | ast.Name("check", ast.Store()):
                yield "check ="
            case ast.Attribute(ast.Name(owner), name, context):
                yield f"{owner}.{name}" + " =" * (isinstance(context, ast.Store) and owner in modules)
            case ast.Attribute(_, name):
                yield f"....{name}"
            case ast.Name(name):
                yield name
            case ast.Constant(str(text)):
                yield f"text {text}"
