"""Grades a class: a folder of submissions goes in, points, feedback for each student and an overview come out.

What the student may not edit is put back from the released notebook, then every notebook runs in the sandbox, and each
check speaks its verdict. One bad submission never stops the rest.

The check runs in the same process as the student's code, so a determined student can deceive it. The remedy is not a
tighter cage but a person: whatever in a submission looks like reaching for the check is noted, never punished here.
"""

import ast
import codecs
import copy
import csv
import os
import re
import shutil
import tempfile
import urllib.parse
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

import jinja2
import nbformat
from nbgrader.utils import is_grade, is_locked, is_solution, is_task
from rich.progress import track

from course_tools.grading import sandbox
from course_tools.grading.sandbox import CellRun, Limits
from recsys_helpers.checks import EXERCISES
from recsys_helpers.checks.core import TICK
from recsys_helpers.course import notebooks
from recsys_helpers.course.reset import release
from recsys_helpers.errors import CourseError

WORKERS = 2  # notebooks at a time; each may take the sandbox's memory
TEMPLATES = Path(__file__).parent / "templates"
OUR_FILES = {"index.html", "points.csv", "points_by_exercise.csv"}
LARGEST = 20 * 2**20  # bytes of a submitted notebook
CORRECT, WRONG, CRASHED = "correct", "wrong", "crashed"
NOT_ATTEMPTED, NOT_REACHED, BY_PERSON = "not attempted", "not reached", "to be given by a person"
VERDICTS = {CORRECT: "✓", WRONG: "✗", CRASHED: "!", NOT_ATTEMPTED: "○", NOT_REACHED: "…", BY_PERSON: "☞"}
CHECK_FAILED = {"NotAttempted": NOT_ATTEMPTED, "Wrong": WRONG, "Crashed": CRASHED}  # the check's own exceptions
NO_VERDICT = "the check ended without a verdict"
STOPPED = {
    "time": "endless loop, or too long",
    "stuck": "endless loop that would not be interrupted",
    "output": "prints without end",
    "dead": "the kernel ended",
}  # else it says itself why the sandbox was ended
LOOK = "a person should look: "

# Before each check: throw away what the student may have put in its place or done to its modules.
RESTORE = """
for _name in [name for name in __import__("sys").modules if name.startswith("recsys_helpers.checks")]:
    del __import__("sys").modules[_name]
from recsys_helpers.checks import check
"""

# What in a student's own code a person should see: what it looks like, and a pattern over what `_words` finds.
SUSPICIOUS = {
    "replaces the check or a function of a library": r".* =|setattr",
    "reaches into the checks": r".*\bsys\.modules|import .*\.checks\.(core|lesson).*|.*\b(EXERCISES|judge_.*)",
    "looks into running code": r"import (inspect|gc|ctypes|builtins)\b.*|.*\b__(globals|code|builtins)__|text /proc/.*",
    "tried the network": r"import (socket|urllib3?|requests|httpx?|ftplib|aiohttp)\b.*",
    "starts or ends processes": r"import (subprocess|multiprocessing)\b.*|os\.(system|popen|fork|kill|_exit|exec.*)",
    "drives the notebook itself": r"get_ipython|import IPython\.core.*|[%!].*",
    "names the solutions": r"text (.*/)?solutions(/.*)?|text .*recsys_helpers/checks.*",
}


@dataclass(frozen=True)
class Exercise:
    """One exercise of one student: `name` as "01.3", the check's message, and the student's own code."""

    name: str
    possible: float
    verdict: str
    message: str = ""
    code: str = ""

    @property
    def points(self) -> float:
        return self.possible if self.verdict == CORRECT else 0


@dataclass(frozen=True)
class Graded:
    """One notebook of one student. `points` and `possible` leave out what a person gives."""

    name: str
    exercises: tuple[Exercise, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        return sum(exercise.points for exercise in self.exercises)

    @property
    def possible(self) -> float:
        return sum(exercise.possible for exercise in self.exercises if exercise.verdict != BY_PERSON)


@dataclass
class Student:
    """One student: the folder's name as given, the safe name of the folder of feedback, and what was handed in."""

    name: str
    folder: str
    handed_in: dict[str, Path] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)  # by notebook; "" holds those of the whole submission
    graded: list[Graded] = field(default_factory=list)

    def note(self, notebook: str, text: str) -> None:
        self.notes.setdefault(notebook, []).append(text)


def grade(submissions: Path, out: Path, limits: Limits | None = None) -> Path:
    """Grade every submission; returns the page of the class overview.

    Args:
        submissions: a folder with a folder for each student, in it (at any depth) notebooks named as in exercises/.
        out: the folder to write: points.csv, points_by_exercise.csv, index.html, and a folder of feedback for each
            student. It is replaced as a whole when everything is graded.
        limits: what one notebook may use in the sandbox.

    Raises:
        CourseError: no submissions, no bubblewrap, or `out` holds something else.
    """
    limits = limits or Limits()
    submissions, out = Path(submissions).resolve(), Path(out).resolve()
    given = released()
    _require_folders(submissions, out)
    sandbox.require()
    students = collect(submissions, given)
    if not students:
        raise CourseError(f"{submissions} has no folder of a student; it should hold one folder for each")

    if loose := sorted(path.name for path in submissions.glob("*.ipynb")):
        print(f"not graded, as in no student's folder: {', '.join(map(clean, loose))}")
    jobs = {}
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(WORKERS) as pool:  # warnings of students' code
        for student in students:
            for name, path in student.handed_in.items():
                jobs[pool.submit(grade_notebook, path, name, given[name], limits)] = student, name
        try:
            for job in track(as_completed(jobs), "grading", len(jobs)):
                student, name = jobs[job]
                try:
                    student.graded.append(job.result())
                except Exception as error:  # a fault of ours must not cost the class its grading; it is shown
                    told = f"{LOOK}not graded, {type(error).__name__}: {clean(str(error))}"
                    student.graded.append(_nothing(name, given[name], NOT_REACHED, told))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    everyone = sorted({name for student in students for name in student.handed_in})
    for student in students:
        absent = [name for name in everyone if name not in student.handed_in]
        student.graded += [_nothing(name, given[name], NOT_ATTEMPTED, "not handed in") for name in absent]
        student.graded = sorted((_with_notes(one, student.notes) for one in student.graded), key=lambda one: one.name)
    return write(students, out)


def released() -> dict:
    """The exercises as handed out, by name: made from the solutions, since somebody may work in exercises/."""
    return {path.stem: release(path) for path in notebooks.solutions()}


def _require_folders(submissions: Path, out: Path) -> None:
    if not submissions.is_dir():
        raise CourseError(f"{submissions} is not a folder; give the folder that holds one folder for each student")
    if out == submissions or out in submissions.parents or submissions in out.parents:
        raise CourseError(f"{out} and the submissions lie within each other; choose another folder with --out")
    if out.exists() and not (out.is_dir() and ((out / "points.csv").is_file() or not any(out.iterdir()))):
        raise CourseError(f"{out} holds something else than an earlier grading; choose another folder with --out")


# --- What was handed in -----------------------------------------------------------------------------------------------


def collect(submissions: Path, released: dict) -> list[Student]:
    """The students by name, with the notebook to grade for each exercise. Links are never followed."""
    students: list[Student] = []
    for place in sorted(submissions.iterdir()):
        if place.name.startswith(".") or not (place.is_dir() or place.is_symlink()):
            continue
        taken = {student.folder.casefold() for student in students} | OUR_FILES
        student = Student(" ".join(clean(place.name).split()), safe_name(place.name, taken))
        students.append(student)
        if place.is_symlink():
            student.note("", "the folder is a link; it was not followed")
            continue
        for path in _notebooks_below(place):
            shown = " ".join(clean(str(path.relative_to(place))).split())
            if path.is_symlink() or not path.is_file():
                student.note(path.stem if path.stem in released else "", f"{shown} is a link or no file; not followed")
                continue
            name = path.stem if path.stem in released else identify(path, released)
            if name is None:
                student.note("", f"{shown} is no notebook of this course, or cannot be read")
            elif name in student.handed_in:
                student.note(name, f"handed in more than once; {shown} was not graded")
            else:
                student.handed_in[name] = path
                if path.stem != name:
                    student.note(name, f"handed in as {shown}")
    return students


def _notebooks_below(place: Path) -> list[Path]:
    """All .ipynb below a student's folder; the given names first, then the highest."""
    found = [Path(folder) / name for folder, _, names in os.walk(place) for name in names if name.endswith(".ipynb")]
    found = [path for path in found if ".ipynb_checkpoints" not in path.parts]
    return sorted(found, key=lambda path: (not re.match(r"\d\d_[a-z_]+$", path.stem), len(path.parts), str(path)))


def identify(path: Path, released: dict) -> str | None:
    """Which exercise notebook a renamed file is, by the names of its cells; None if it is none."""
    try:
        submitted = load(path)
    except ValueError:
        return None
    lessons = Counter(match[1] for cell in submitted.cells if (match := re.match(r"ex-(\d\d)-", grade_id(cell))))
    names = [name for name in released if lessons and name.startswith(lessons.most_common(1)[0][0])]
    return names[0] if names else None


def load(path: Path):
    """A submitted notebook in today's format; ValueError if it is none. Nothing in it is trusted."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"is larger than {LARGEST // 2**20} MiB")
    try:
        read = nbformat.convert(nbformat.reader.reads(path.read_bytes().decode(_encoding(path))), 4)
        cells = []
        for cell in read.cells:
            make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
            entry = cell.metadata.get("nbgrader")
            kept = {"nbgrader": entry} if isinstance(entry, dict) and isinstance(entry.get("grade_id"), str) else {}
            cells.append(make(clean("".join(cell.source)), metadata=kept))
    except Exception as error:  # the reader and its upgrades fail in many ways on what is no notebook
        raise ValueError("does not parse as a notebook") from error
    return nbformat.v4.new_notebook(cells=cells)


def _encoding(path: Path) -> str:
    """Of a notebook that some editor has written: what its byte order mark says, else UTF-8."""
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def grade_id(cell) -> str:
    """The name that nbgrader gave a cell, or ""."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def merge(submitted, released) -> tuple[list, list[str]]:
    """The cells to run: the student's own, and the released ones as they were. Returns them with notes.

    A locked cell that is missing goes before the next released cell that is there, or to the end, so that all the
    student wrote for it comes before it.
    """
    known = {grade_id(cell): cell for cell in released.cells if grade_id(cell)}
    cells, notes = [], []
    for cell in submitted.cells:
        name = grade_id(cell)
        if name in known:
            given = copy.deepcopy(known[name])
            if is_solution(given):
                given.source = cell.source
            elif cell.source.strip() != given.source.strip():
                notes.append(f"edited {_called(name, given)}; the original was run")
            if cell.metadata.nbgrader.get("points", 0) != given.metadata.nbgrader.get("points", 0):
                notes.append(f"edited the points of {exercise_of(name)}; the original ones count")
            cells.append(given)
        elif cell.cell_type == "code":
            cells.append(nbformat.v4.new_code_cell(cell.source))
    counts = Counter(map(grade_id, cells))
    several = [name for name, number in counts.items() if name and number > 1]
    last = {grade_id(cell): cell for cell in cells}
    for cell in cells:
        if last[grade_id(cell)] is not cell:
            cell.metadata.pop("nbgrader", None)  # now a cell of the student's own
    following, put_back, absent = len(cells), [], []
    for name, given in reversed(known.items()):
        if name in counts:
            following = next(place for place, cell in enumerate(cells) if grade_id(cell) == name)
        elif is_locked(given):
            cells.insert(following, copy.deepcopy(given))
            put_back.insert(0, _called(name, given))
        else:
            absent.insert(0, name)
    told = {"more than once, the last counts": several, "missing, put back": put_back, "no exercise cell": absent}
    notes += [f"{what}: {', '.join(names)}" for what, names in told.items() if names]
    return [cell for cell in cells if cell.cell_type == "code"], notes


def exercise_of(name: str) -> str:
    """ "ex-01-3-check" belongs to exercise "01.3"."""
    return ".".join(name.split("-")[1:3])


def _called(name: str, cell) -> str:
    return f"the check of {exercise_of(name)}" if is_grade(cell) else f"the cell {name}"


# --- Running and judging ----------------------------------------------------------------------------------------------


def grade_notebook(path: Path, name: str, released, limits: Limits) -> Graded:
    """Run one submission in the sandbox and judge each of its exercises. Whatever it does, a Graded comes back."""
    try:
        submitted = load(path)
    except ValueError as error:
        return _nothing(name, released, NOT_REACHED, str(error))
    cells, notes = merge(submitted, released)
    given = {cell.source for cell in released.cells}
    notes += suspicious(cell.source for cell in cells if not is_locked(cell) and cell.source not in given)
    if any(map(is_task, released.cells)):  # a project trains models, so its cells get ten times as long
        limits = replace(limits, cell=10 * limits.cell)
    program, places = [], []
    for cell in cells:
        program += [RESTORE] * is_grade(cell)
        places.append(len(program))
        program.append(cell.source)
    runs, ended = sandbox.run(program, limits)
    results = [runs[place] if place < len(runs) else None for place in places]
    if ended:
        killed = next((i for i, place in enumerate(places) if place >= len(runs)), len(places) - 1)
        results[killed] = CellRun(stopped=ended)
    for cell, result in zip(cells, results, strict=True):
        if result and result.stopped:
            where = grade_id(cell) or "a cell of the student's own"
            notes.append(f"{STOPPED.get(result.stopped, result.stopped)}, in {where}")
        if result and "Read-only file system" in result.evalue:
            notes.append(f"{LOOK}tried to write outside its folder")
    exercises = [_exercise(cell, cells, results) for cell in released.cells if is_grade(cell) or is_task(cell)]
    notes += [f"{e.possible:g} more points for {e.name}, {BY_PERSON}" for e in exercises if e.verdict == BY_PERSON]
    notes += [f"{LOOK}no verdict from the check of {e.name}" for e in exercises if e.message == NO_VERDICT]
    return Graded(name, tuple(exercises), tuple(dict.fromkeys(notes)))


def _exercise(graded, cells: list, results: list[CellRun | None]) -> Exercise:
    """The exercise that a released graded cell stands for, judged by what came back of it and of its solution."""
    name, points = exercise_of(grade_id(graded)), graded.metadata.nbgrader.points
    if is_task(graded):
        return Exercise(f"{name} project", points, BY_PERSON)
    own = {grade_id(cell): result for cell, result in zip(cells, results, strict=True)}
    answers = [cell for cell in cells if is_solution(cell) and exercise_of(grade_id(cell)) == name]
    code = "\n\n".join(cell.source for cell in answers)
    answered = [own[grade_id(cell)] for cell in answers]
    return Exercise(name, points, *judge(name, own[grade_id(graded)], answered), code)


def judge(name: str, checked: CellRun | None, answered: list[CellRun | None]) -> tuple[str, str]:
    """Verdict and message, from the run of the check and those of the exercise's own cells."""
    if checked is None or checked.ename == "NameError":  # the answer's own cell did not get to its end, or is missing
        broken = [run for run in answered if run and (run.stopped or run.ename not in ("", "NotImplementedError"))]
        if not broken and checked is None:
            return NOT_REACHED, "an earlier cell stopped the notebook"
        if not broken:
            return NOT_ATTEMPTED, f"{name} not attempted yet: {clean(checked.evalue)}"
        checked = broken[0]
    if checked.ename in CHECK_FAILED and not checked.stopped:
        return CHECK_FAILED[checked.ename], clean(checked.evalue)
    if checked.stopped:
        return CRASHED, f"{name} your code stopped: {STOPPED.get(checked.stopped, checked.stopped)}"
    if checked.ename:
        return CRASHED, f"{name} your code stopped: {clean(checked.ename)}: {clean(checked.evalue)}"
    spoken = [line for line in checked.stdout.splitlines() if line.startswith(f"{TICK} {name} correct: ")]
    return (CORRECT, clean(spoken[-1].removeprefix(f"{TICK} "))) if spoken else (WRONG, NO_VERDICT)


def _nothing(name: str, released, verdict: str, note: str) -> Graded:
    """A notebook of which nothing ran."""
    exercises = []
    for cell in released.cells:
        number, points = exercise_of(grade_id(cell)), cell.metadata.get("nbgrader", {}).get("points", 0)
        if is_task(cell):
            exercises.append(Exercise(f"{number} project", points, BY_PERSON))
        elif is_grade(cell):
            exercises.append(Exercise(number, points, verdict, note))
    return Graded(name, tuple(exercises), (note,))


def _with_notes(graded: Graded, notes: dict[str, list[str]]) -> Graded:
    return Graded(graded.name, graded.exercises, (*notes.get(graded.name, ()), *graded.notes))


# --- What a person should look at -------------------------------------------------------------------------------------


def suspicious(sources: Iterable[str]) -> list[str]:
    """Notes on a student's own cells, one of each kind, from their syntax trees. Simple on purpose, see the module."""
    found: dict[str, str] = {}
    for source in sources:
        for word in _words(source):
            for what, pattern in SUSPICIOUS.items():
                if re.fullmatch(pattern, word, re.DOTALL):
                    found.setdefault(what, clean(word))
    return [f"{LOOK}{what} ({word[:60]})" for what, word in found.items()]


def _words(source: str) -> Iterator[str]:
    """Names, `import ...`, `text ...`, lines of shell and magic, and `... =` for what is not to be assigned to."""
    magic = r"(?m)^(\s*)([%!].*)$"
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        lines = [match[2] for match in re.finditer(magic, source)]
        yield from (line for line in lines if not re.match(r"%%?(matplotlib|time|timeit|capture)\b", line))
        try:
            tree = ast.parse(re.sub(magic, r"\1pass", source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return  # it cannot run either
    modules = {"np", "pd", "plt"}
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


# --- What comes out ---------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text of a student without characters that no page, table or kernel can take."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text.replace("\r\n", "\n"))


def safe_name(name: str, taken: set[str]) -> str:
    """A folder's name for a student: letters, digits, dots and dashes; none that is taken (in small letters)."""
    stem = re.sub(r"[^\w.-]+", "_", clean(name)).strip("._-")[:60] or "student"
    unique, number = stem, 2
    while unique.casefold() in taken:
        unique, number = f"{stem}-{number}", number + 1
    return unique


def table_text(text: str) -> str:
    """Text for a cell of a CSV file that no spreadsheet takes for a formula."""
    text = clean(text)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def mistake(message: str) -> str:
    """What a message says, without the exercise's name and with every number as #, so that equal mistakes group."""
    said = re.sub(r"^\d\d\.\d+ (not right yet|your code stopped): ", "", message).partition("\n")[0]
    return re.sub(r"[-+]?\d*\.?\d+(e[-+]?\d+)?|[-+]?\b(nan|inf)\b", "#", said)[:300]


def write(students: list[Student], out: Path) -> Path:
    """Write tables and pages into a new folder, then put it in the place of the old one."""
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    old = scratch.with_name(f"{scratch.name}-old")
    try:
        _write_tables(students, scratch)
        _write_pages(students, scratch)
        scratch.chmod(0o755)
        if out.exists():
            os.replace(out, old)
        os.replace(scratch, out)
    finally:
        for folder in (scratch, old):
            shutil.rmtree(folder, ignore_errors=True)  # the first is there only if something failed
    return out / "index.html"


def _write_tables(students: list[Student], folder: Path) -> None:
    with (folder / "points.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["student", "notebook", "points", "possible", "notes"])
        for student in students:
            whole = student.notes.get("", [])
            for graded in student.graded or [Graded("")]:
                notes = table_text("; ".join((*whole, *graded.notes)))
                rows.writerow([table_text(student.name), graded.name, graded.points, graded.possible, notes])
    with (folder / "points_by_exercise.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["student", "exercise", "points", "possible", "verdict", "message"])
        for student in students:
            for exercise in (exercise for graded in student.graded for exercise in graded.exercises):
                points = "" if exercise.verdict == BY_PERSON else exercise.points
                known = [exercise.name, points, exercise.possible, exercise.verdict]
                rows.writerow([table_text(student.name), *known, table_text(exercise.message)])


def _write_pages(students: list[Student], folder: Path) -> None:
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    pages.trim_blocks = pages.lstrip_blocks = True
    pages.filters["url"] = urllib.parse.quote
    titles = defaultdict(str, {name: f": {task.title}" for name, task in EXERCISES.items()})
    pages.globals |= {
        "symbol": VERDICTS,
        "style": (TEMPLATES / "style.css").read_text("utf-8"),
        "look": LOOK,
        "titles": titles,
    }
    for student in students:
        home = folder / student.folder
        home.mkdir()
        (home / "index.html").write_text(pages.get_template("student.html").render(student=student), encoding="utf-8")
        for graded in student.graded:
            page = pages.get_template("notebook.html").render(student=student, graded=graded)
            (home / f"{graded.name}.html").write_text(page, encoding="utf-8")
    names = sorted({graded.name for student in students for graded in student.graded})
    counts: dict[str, Counter] = {}
    mistakes: dict[str, Counter] = {}
    for exercise in (exercise for student in students for graded in student.graded for exercise in graded.exercises):
        counts.setdefault(exercise.name, Counter())[exercise.verdict] += 1
        if exercise.verdict in (WRONG, CRASHED):
            mistakes.setdefault(exercise.name, Counter())[exercise.verdict, mistake(exercise.message)] += 1
    overview = pages.get_template("overview.html").render(
        students=students, names=names, counts=dict(sorted(counts.items())), mistakes=dict(sorted(mistakes.items()))
    )
    (folder / "index.html").write_text(overview, encoding="utf-8")
