"""A made-up class: thirty-odd submissions, each with the points and verdicts that it should get.

Most hand in lesson 01, which needs NumPy only. What a student wrote is put into the released exercise, as JupyterLab
would; what an attacker wrote reports by the message of its own crash what it could reach.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from planted import lesson01

from course_tools.grading.reading import exercise_of
from recsys_helpers.checks.core import TICK
from recsys_helpers.course import notebooks
from recsys_helpers.paths import ROOT

L01, L03 = "01_self_attention", "03_interest_strength"
NAMES = [f"01.{k}" for k in range(1, 8)]
STUB = None  # in a list of answers: the exercise as released


def grade_id(cell) -> str:
    """The name that nbgrader gave a cell, or ""."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def solved(name: str, stem: str) -> str:
    """The solution of an exercise, as the solved notebook has it."""
    cells = notebooks.read(ROOT / "solutions" / f"{stem}.ipynb").cells
    return next(c.source for c in cells if grade_id(c).endswith("-solution") and exercise_of(grade_id(c)) == name)


def exercise(answers: dict[str, str | None] | None = None, stem: str = L01):
    """The released notebook with everything solved, but for `answers`: other code, or STUB."""
    notebook = notebooks.read(ROOT / "exercises" / f"{stem}.ipynb")
    for cell in notebook.cells:
        if grade_id(cell).endswith("-solution"):
            name = exercise_of(grade_id(cell))
            answer = (answers or {}).get(name, solved(name, stem))
            cell.source = cell.source if answer is STUB else answer
    return notebook


def cell(notebook, name: str):
    return next(c for c in notebook.cells if grade_id(c) == name)


def without(notebook, *names: str):
    notebook.cells = [c for c in notebook.cells if grade_id(c) not in names]
    return notebook


def before(notebook, name: str, source: str):
    """The notebook with a cell of the student's own before the named one."""
    place = next(i for i, c in enumerate(notebook.cells) if grade_id(c) == name)
    notebook.cells.insert(place, nbformat.v4.new_code_cell(source))
    return notebook


def planted(function: Callable, name: str, *also: Callable) -> str:
    sources = [inspect.getsource(f) for f in (lesson01.softmax, *also, function)]
    return "\n".join(["import math", *sources, f"{name} = {function.__name__}"])


def says(code: str, name: str = "transformer_block") -> str:
    """An answer that crashes with the value of `found`, which the code fills."""
    return f"found = []\n{code}\ndef {name}(*a):\n    raise RuntimeError('found %s' % found)"


@dataclass(frozen=True)
class Submission:
    """What a student hands in, and what should come of it.

    files: by path below the student's folder, a notebook, or text, or the target of a link. points: by notebook.
    verdicts: those of lesson 01 that are not "correct". notes, messages: phrases that have to be told.
    """

    student: str
    files: dict[str, object]
    points: dict[str, float]
    verdicts: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    quiet: bool = False  # nothing at all should be noted


@dataclass(frozen=True)
class Link:
    target: str


def one(student: str, notebook, points: float, verdicts=None, notes=(), messages=(), quiet=False) -> Submission:
    return Submission(student, {f"{L01}.ipynb": notebook}, {L01: points}, verdicts or {}, notes, messages, quiet)


def from_on(first: str, verdict: str = "not reached") -> dict[str, str]:
    return {name: verdict for name in NAMES if name >= first}


BLOCK = "transformer_block"
CRASH5 = {"01.5": "crashed"}
READING = """reading = {{"aliens looks most at": {!r}, "upper right is dark because": "future",
"column of alien sums to": 1.5, "bright cell proves": "mixing"}}"""
CAUSAL = """def history_mask(lengths, max_length):
    real = np.arange(max_length)[None, :] < lengths[:, None]
    return np.broadcast_to(real[:, None, :], (len(lengths), max_length, max_length))"""
OVER_QUERIES = """def softmax_over_keys(s):
    e = np.exp(s - s.max({axis}, keepdims=True))
    return e / e.sum({axis}, keepdims=True)"""
FOREVER = "def split_heads(x, heads):\n    while True:\n        pass\ndef merge_heads(x): return x"
STUBBORN = "import itertools\nsum(itertools.repeat(0))"  # a loop in C, which looks at no signal
NO_CHECK = f"def check(name, *answers):\n    print({TICK!r}, name, 'correct: of course')\nhint = check"
UNDONE = """import recsys_helpers.checks.core as core
core.compare = core.quiz = lambda *a, **k: None
for task in core.EXERCISES.values():
    object.__setattr__(task, "judge", lambda *answers: None)
core.check.__code__ = (lambda name, *answers: print(TICK + " " + name + " correct: by magic")).__code__"""


def class_of(canary: Path, port: int) -> list[Submission]:
    """The class. `canary` is a folder that nobody may see or change, `port` a port of this machine that listens."""
    root = str(ROOT)
    peek = says(f"""import os
for place in ["../solutions", "../../solutions", "{root}/solutions", "{root}/exercises", "{root}/notebooks",
              "{root}/tests", "{root}/.git", "/proc/1/root{root}/solutions", "{canary}"]:
    if os.path.exists(place): found.append(place)""")
    write = says(f"""import os
for place in ["{root}/recsys_helpers/x", "{root}/datasets/x", "{root}/x", "{canary}/x", "/x", "/usr/x",
              "/dev/x", "/etc/x", os.path.dirname(os.__file__) + "/x"]:
    try:
        open(place, "w").write("here")
        found.append(place)
    except OSError: pass
open("mine.txt", "w").write("allowed")""")
    reach = says(f"""import socket
for address in [("127.0.0.1", {port}), ("1.1.1.1", 53)]:
    try:
        found.append(socket.create_connection(address, 1))
    except OSError: pass""")
    forks = """import os, time
for _ in range(400):
    if os.fork() == 0:
        time.sleep(100)
        os._exit(0)
predictions = {}"""
    hungry = """import os, time
for _ in range(8):
    if os.fork() == 0:
        eaten = b"1" * 300 * 2**20
        time.sleep(100)
time.sleep(20)
predictions = {}"""
    partly = {name: STUB for name in NAMES[4:]}
    other = exercise()
    edited = exercise({"01.5": STUB})
    cell(edited, "ex-01-5-check").source = f'print({TICK!r}, "01.5 correct: yes")'
    cell(edited, "ex-01-5-check").metadata.nbgrader.points = 200
    redefined = before(exercise(dict.fromkeys(NAMES, STUB)), "ex-01-1-check", NO_CHECK)
    undone = before(exercise(dict.fromkeys(NAMES, STUB)), "ex-01-1-check", UNDONE)
    twice = exercise()
    twice.cells += [nbformat.from_dict(json.loads(json.dumps(c))) for c in twice.cells]
    bare = exercise()
    for c in bare.cells:
        c.metadata = nbformat.from_dict({})
    weird = exercise()
    cell(weird, "ex-01-2-solution").metadata.nbgrader |= {"grade": "yes", "points": [1], "locked": 7}
    cell(weird, "ex-01-3-solution").source += "\n# \ud800 \x00 \x1b[31m"
    weird.cells[1].metadata = nbformat.from_dict({"nbgrader": "x"})
    old = nbformat.convert(exercise(), 3)
    link = Link(f"../ada/{L01}.ipynb")
    mail = before(exercise({"01.5": STUB}), "ex-01-5-check", "!curl http://example.org\nimport requests")
    return [
        one("ada", exercise(), 14, quiet=True),
        one("ben", exercise({"01.1": planted(lesson01.softmax_by_logarithms, "softmax_over_keys")}), 14, quiet=True),
        one("cleo", exercise({"01.2": planted(lesson01.attend_with_loops, "attend")}), 14, quiet=True),
        Submission(
            "dora",
            {f"{L01}/{L01}.ipynb": exercise(), f"{L03}/{L03}.ipynb": exercise(stem=L03)},
            {L01: 14, L03: 14},
            quiet=True,
        ),
        one("emil", exercise(partly), 8, from_on("01.5", "not attempted"), quiet=True),
        one("fritz", exercise({"01.1": OVER_QUERIES.format(axis=-2)}), 12, {"01.1": "wrong"}, (),
            ("down each column (over the queries)",)),  # 01.2 builds on it, and the mistake is charged once
        one("gus", exercise({"01.3": CAUSAL}), 12, {"01.3": "wrong"}, (), ("01.3 not right yet",)),
        one("hana", exercise({"01.3": CAUSAL}), 12, {"01.3": "wrong"}, (), ("01.3 not right yet",)),
        one("ida", exercise(dict.fromkeys(NAMES, STUB)), 0, from_on("01.1", "not attempted"), quiet=True),
        one("jan", exercise({"01.5": f"def {BLOCK}(*a): return 1 / 0"}), 12, CRASH5, (), ("ZeroDivisionError",)),
        one("kim", exercise({"01.5": f"def {BLOCK}(*a) return"}), 12, CRASH5, (), ("SyntaxError",)),
        one("lea", exercise({"01.5": f"while True: pass\ndef {BLOCK}(*a): return"}), 12, CRASH5,
            ("endless loop, or too long, in ex-01-5-solution",), ("endless loop",)),
        one("max", exercise({"01.6": FOREVER}), 12, {"01.6": "crashed"}, ("in ex-01-6-check",), ("endless loop",)),
        one("nia", exercise({"01.4": STUBBORN}), 6, from_on("01.5") | {"01.4": "crashed"},
            ("would not be interrupted, in ex-01-4-solution",)),
        one("otto", edited, 12, {"01.5": "not attempted"},
            ("edited the check of 01.5; the original was run", "edited the points of 01.5")),
        one("pia", without(exercise(), "ex-01-3-check"), 14, {}, ("missing, put back: the check of 01.3",)),
        one("quinn", without(exercise(), "ex-01-3-check", "ex-01-3-solution"), 12, {"01.3": "not attempted"},
            ("no exercise cell: ex-01-3-solution",)),
        one("rosa", redefined, 0, from_on("01.1", "not attempted"),
            ("a person should look: replaces the check or a function of a library (check =)",)),
        one("sam", undone, 0, from_on("01.1", "not attempted"), ("a person should look: reaches into the checks",)),
        one("tom", exercise({"01.5": peek}), 12, CRASH5, ("a person should look: names the solutions",), ("found []",)),
        one("uma", exercise({"01.5": write}), 12, CRASH5, (), ("found []",)),
        one("vera", exercise({"01.5": reach}), 12, CRASH5, ("a person should look: tried the network",), ("found []",)),
        one("will", exercise({"01.4": "huge = bytearray(9 * 2**30)"}), 12, {"01.4": "crashed"}, (), ("MemoryError",)),
        one("xena", exercise({"01.4": hungry}), 6, from_on("01.5") | {"01.4": "crashed"}, ("of memory, in ex-01-4",)),
        one("yuri", exercise({"01.4": forks}), 6, from_on("01.5") | {"01.4": "crashed"},
            ("started more than", "a person should look: starts or ends processes")),
        one("zoe", exercise({"01.3": "import os\nos._exit(1)"}), 4, from_on("01.4") | {"01.3": "crashed"},
            ("the kernel ended, in ex-01-3",)),
        one("abel", exercise({"01.5": f"def {BLOCK}(*a):\n    while True: print('spam ' * 99)"}), 12, CRASH5,
            ("prints without end, in ex-01-5-check",), ("prints without end",)),
        one("bella", "this is no notebook", 0, from_on("01.1"), ("does not parse as a notebook",)),
        one("carl", "", 0, from_on("01.1"), ("does not parse as a notebook",)),
        one("dana", link, 0, from_on("01.1", "not attempted"), ("not followed", "not handed in")),
        one("\"<img src=x onerror=alert(1)>,\n=1+1' 漢字 Zoë", exercise({"01.7": READING.format("<script>alert(1)")}),
            12, {"01.7": "wrong"}),
        one("=HYPERLINK(1)", twice, 14, {}, ("more than once, the last counts: ex-01-1-solution",)),
        Submission("-ellen ..", {"home work/my (final) copy.ipynb": other}, {L01: 14}, {},
                   ("handed in as home work/my (final) copy.ipynb",)),
        one("finn", json.dumps(old), 14),
        one("gina", bare, 14, {}, ("no exercise cell: ex-01-1-solution, ex-01-2",)),
        one("hugo", weird, 14, {}, ("edited the points of 01.2",)),
        one("ines", exercise({"01.5": f"import sys\ndef {BLOCK}(*a): sys.exit()"}), 12, CRASH5),
        one("jill", mail, 12, {"01.5": "not attempted"}, ("a person should look: tried the network",)),
        Submission("kurt", {"readme.txt": "sorry"}, {L01: 0}, from_on("01.1", "not attempted"), ("not handed in",)),
    ]  # fmt: skip


def write_class(folder: Path, submissions: list[Submission]) -> None:
    """Write the submissions as an instructor would have collected them; each student's code carries a mark."""
    for number, submission in enumerate(submissions):
        for name, content in submission.files.items():
            path = folder / submission.student / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Link):
                path.symlink_to(content.target)
            elif isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                first = next(
                    (c for c in content.cells if c.cell_type == "code" and "softmax_over_keys" in c.source), None
                )
                if first:
                    first.source += f"\n# {mark(number)}"
                path.write_text(json.dumps(content), encoding="utf-8")
    (folder / "linked").symlink_to("ada", target_is_directory=True)


def mark(number: int) -> str:
    return f"mark-{number:03}-only"
