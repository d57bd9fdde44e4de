"""Grades a class: a folder of submissions goes in, points, feedback for each student and an overview come out.

What the student may not edit is put back from the released notebook. The notebook runs in one sandbox, its exercises
are judged from another one, and what comes back is taken field by field. One bad submission never stops the rest; what
was graded is kept as it comes, and the same command goes on after a stop.
"""

import base64
import hashlib
import json
import os
import re
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from nbgrader.utils import is_grade, is_locked, is_solution, is_task
from rich.progress import track

from course_tools.grading import sandbox
from course_tools.grading.pages import OUR_FILES, write
from course_tools.grading.reading import LARGEST, exercise_of
from course_tools.grading.verdicts import (
    BY_PERSON,
    LOOK,
    NOT_ATTEMPTED,
    NOT_REACHED,
    VERDICTS,
    Exercise,
    Graded,
    Limits,
    Student,
    clean,
    printable,
)
from recsys_helpers.course import notebooks
from recsys_helpers.course.reset import release
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

WORKERS = 2  # notebooks at a time; each may take the sandbox's memory
LONGEST = 4000  # characters of a message
LOOKED_INTO = 20  # notebooks of one student with other names than the given ones
NO_VERDICT = "the check ended without a verdict"
NOT_TAKEN = {".DS_Store", ".git", ".ipynb_checkpoints"}


def grade(submissions: Path, out: Path, limits: Limits | None = None) -> Path:
    """Grade every submission; returns the page of the class overview.

    What is graded is kept beside `out` until all is done. Stopped in between, the same call goes on from there.

    Args:
        submissions: a folder with a folder for each student, in it (at any depth) notebooks named as in exercises/.
        out: the folder to write: points.csv, points_by_exercise.csv, index.html, and a folder of feedback for each
            student. It is replaced as a whole when everything is graded.
        limits: what one notebook may use in the sandbox.

    Raises:
        CourseError: no submissions, no bubblewrap, `out` holds something else, or grading was stopped.
    """
    limits = limits or Limits()
    submissions, out = Path(submissions).resolve(), Path(out).resolve()
    given = released()
    _require_folders(submissions, out)
    sandbox.require()
    kept = Kept(out, limits)
    if kept.found:
        print(f"{len(kept.found)} notebooks were graded before grading was stopped; they are not run again")
    try:
        students = collect(submissions, given)
        if not students:
            raise CourseError(f"{submissions} has no folder of a student; it should hold one folder for each")
        _grade_all(students, given, limits, kept)
        page = write(students, out)
    except KeyboardInterrupt:
        raise CourseError(
            f"stopped: {len(kept.found)} notebooks are graded and kept; the same command goes on from there"
        ) from None
    kept.forget()
    return page


def _grade_all(students: list[Student], given: dict[str, list[dict]], limits: Limits, kept: "Kept") -> None:
    """Give each student what came of each notebook that anybody has handed in."""
    ending = threading.Event()
    pool, jobs = ThreadPoolExecutor(WORKERS), {}
    try:
        for student in students:
            for name, path in student.handed_in.items():
                jobs[pool.submit(_grade_or_recall, path, name, given[name], limits, kept, ending)] = student
        for job in track(as_completed(jobs), "grading", len(jobs)):
            jobs[job].graded.append(job.result())
    finally:
        ending.set()
        pool.shutdown(cancel_futures=True)
    everyone = sorted({name for student in students for name in student.handed_in})
    for student in students:
        absent = [name for name in everyone if name not in student.handed_in]
        student.graded += [_nothing(name, given[name], NOT_ATTEMPTED, "not handed in") for name in absent]
        student.graded = sorted((_with_notes(one, student.notes) for one in student.graded), key=lambda one: one.name)


def released() -> dict[str, list[dict]]:
    """The cells of the exercises as handed out, by name, as dicts as in `reading`.

    They are made from the solutions, since somebody may work in exercises/.
    """
    return {path.stem: [_as_dict(cell) for cell in release(path).cells] for path in notebooks.solutions()}


def _as_dict(cell) -> dict:
    entry = cell.metadata.get("nbgrader", {})
    return {
        "id": entry.get("grade_id", ""),
        "source": cell.source,
        "points": entry.get("points", 0),
        "is_code": cell.cell_type == "code",
        "check": is_grade(cell) and not is_task(cell) and cell.cell_type == "code",
        "solution": is_solution(cell),
        "locked": is_locked(cell),
        "task": is_task(cell),
    }


def _require_folders(submissions: Path, out: Path) -> None:
    if not submissions.is_dir():
        raise CourseError(f"{submissions} is not a folder; give the folder that holds one folder for each student")
    if out == submissions or out in submissions.parents or submissions in out.parents:
        raise CourseError(f"{out} and the submissions lie within each other; choose another folder with --out")
    if out.exists() and not (out.is_dir() and ((out / "points.csv").is_file() or not any(out.iterdir()))):
        raise CourseError(f"{out} holds something else than an earlier grading; choose another folder with --out")


class Kept:
    """What is graded already, a line of JSON each, in a file beside the folder to write; a torn line is not there.

    A notebook is known by its bytes, so that one handed in anew is graded anew, and by the programs that graded it.
    """

    def __init__(self, out: Path, limits: Limits) -> None:
        self.path, self.lock, self.found = out.with_name(f".{out.name}.graded"), threading.Lock(), {}
        programs = [*sorted((ROOT / "course_tools" / "grading").glob("*.py")), *sorted(sandbox.CHECKS.glob("*.py"))]
        self.start = hashlib.sha256(repr(limits).encode() + b"".join(map(Path.read_bytes, programs)))
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        for line in filter(None, lines):
            try:
                entry = json.loads(line)
                self.found[entry["key"]] = entry["judged"], entry["ended"]
            except (ValueError, TypeError, KeyError):
                print(f"a line of {self.path} cannot be read; that notebook is graded again")

    def key(self, name: str, content: bytes, cells: list[dict]) -> str:
        known = self.start.copy()
        known.update(repr((name, hashlib.sha256(content).hexdigest(), cells)).encode())
        return known.hexdigest()

    def keep(self, key: str, judged: dict | None, ended: str) -> None:
        line = json.dumps({"key": key, "judged": judged, "ended": ended})
        with self.lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(f"\n{line}\n".encode())  # the line before may be torn
                file.flush()
                os.fsync(file.fileno())
            self.found[key] = judged, ended

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


# --- What was handed in -----------------------------------------------------------------------------------------------


def collect(submissions: Path, released: dict) -> list[Student]:
    """The students by name, with the notebook to grade for each exercise. Links are never followed."""
    students: list[Student] = []
    loose = []
    for place in sorted(submissions.iterdir()):
        if place.name.startswith(".") or not (place.is_dir() or place.is_symlink()):
            loose += [place.name] if place.name not in NOT_TAKEN else []
            continue
        taken = {student.folder.casefold() for student in students} | OUR_FILES
        student = Student(" ".join(clean(place.name).split()), safe_name(place.name, taken))
        students.append(student)
        if place.is_symlink():
            student.note("", "the folder is a link; it was not followed")
            continue
        if "\ufffd" in student.name:
            student.note("", f"{LOOK}the folder's name has signs that cannot be seen")
        _take(student, place, released)
    if loose:
        print(f"not graded, as no student's folder: {', '.join(clean(name) for name in loose)}")
    by_look: dict[str, list[Student]] = {}
    for student in students:
        by_look.setdefault(look_of(student.name), []).append(student)
    for alike in by_look.values():
        for student in alike if len(alike) > 1 else ():
            others = ", ".join(other.folder for other in alike if other is not student)
            student.note("", f"{LOOK}the folder's name looks like another's ({others})")
    return students


def look_of(name: str) -> str:
    """What a name looks like: without case, spaces and signs that cannot be seen, full-width letters as others."""
    plain = unicodedata.normalize("NFKC", name.replace("\ufffd", "")).casefold()
    return re.sub(r"[\W_]+", "", plain)


def _take(student: Student, place: Path, released: dict) -> None:
    """Find the notebook to grade for each exercise in a student's folder, and note what else lies there."""
    paths, closed = _notebooks_below(place)
    for folder in closed:
        student.note("", f"{LOOK}the folder {_below(place, folder)} cannot be read")
    renamed = [path for path in paths if path.stem not in released]
    left = set(renamed[LOOKED_INTO:])  # to look into one takes a sandbox
    if left:
        student.note("", f"{LOOK}{len(renamed)} notebooks with other names; {LOOKED_INTO} of them were looked into")
    for path in (path for path in paths if path not in left):
        shown, name = _below(place, path), path.stem if path.stem in released else None
        try:
            if path.is_symlink() or not path.is_file():
                student.note(name or "", f"{shown} is a link or no file; not followed")
                continue
            name = name or identify(path, released)
        except OSError:
            student.note(name or "", f"{LOOK}{shown} cannot be read")
            continue
        if name is None:
            student.note("", f"{shown} is no notebook of this course, or cannot be read")
        elif name in student.handed_in:
            student.note(name, f"handed in more than once; {shown} was not graded")
        else:
            student.handed_in[name] = path
            if path.stem != name:
                student.note(name, f"handed in as {shown}")


def _below(place: Path, path: Path) -> str:
    return " ".join(clean(str(path.relative_to(place))).split())


def _notebooks_below(place: Path) -> tuple[list[Path], list[Path]]:
    """All .ipynb below a student's folder, the given names first, then the highest; and folders that cannot be read."""
    found, unreadable, folders = [], [], [place]
    while folders:  # os.walk calls itself, and gives up on a very deep folder
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders += [Path(entry)] if entry.name != ".ipynb_checkpoints" else []
                    elif entry.name.endswith(".ipynb"):
                        found.append(Path(entry))
        except OSError:
            unreadable.append(folder)
    found.sort(key=lambda path: (not re.match(r"\d\d_[a-z_]+$", path.stem), len(path.parts), str(path)))
    return found, unreadable


def identify(path: Path, released: dict) -> str | None:
    """Which exercise notebook a renamed file is, by the names of its cells; None if it is none."""
    if path.stat().st_size > LARGEST:
        return None
    content = base64.b64encode(path.read_bytes()).decode()
    found, _ = sandbox.run({"submission": content, "names": sorted(released)}, Limits())
    name = (found or {}).get("name")
    return name if name in released else None


def safe_name(name: str, taken: set[str]) -> str:
    """A folder's name for a student: letters, digits, dots and dashes; none that is taken (in small letters)."""
    stem = re.sub(r"[^\w.-]+", "_", clean(name)).strip("._-")[:60] or "student"
    unique, number = stem, 2
    while unique.casefold() in taken:
        unique, number = f"{stem}-{number}", number + 1
    return unique


# --- Running and judging ----------------------------------------------------------------------------------------------


def _grade_or_recall(path, name, cells, limits, kept, ending) -> Graded:
    try:
        return grade_notebook(path, name, cells, limits, kept, ending)
    except sandbox.Interrupted:
        raise
    except Exception as error:  # a fault of ours must not cost the class its grading; it is shown
        told = f"{LOOK}not graded, {type(error).__name__}: {clean(str(error))[:LONGEST]}"
        return _nothing(name, cells, NOT_REACHED, told)


def grade_notebook(
    path: Path,
    name: str,
    released: list[dict],
    limits: Limits,
    kept: Kept | None = None,
    ending: threading.Event | None = None,
) -> Graded:
    """Run one submission and judge each of its exercises. Whatever it does, a Graded comes back.

    `kept` remembers what was found; `ending`, once set, ends it with `sandbox.Interrupted`.
    """
    if path.stat().st_size > LARGEST:
        return _nothing(name, released, NOT_REACHED, f"is larger than {LARGEST // 2**20} MiB")
    content = path.read_bytes()
    key = kept.key(name, content, released) if kept else ""
    if kept and key in kept.found:
        judged, ended = kept.found[key]
    else:
        job = {"submission": base64.b64encode(content).decode(), "released": released}
        judged, ended = sandbox.run(job, limits, ending)
        if kept and judged is not None:  # what failed may do better when grading goes on
            kept.keep(key, judged, ended)
    return graded(name, released, judged, ended)


def graded(name: str, released: list[dict], judged: dict | None, ended: str) -> Graded:
    """What the judge found, field by field: of what is not as it should be, nothing counts."""
    if judged is None:
        return _nothing(name, released, NOT_REACHED, f"{LOOK}not graded: {_text(ended)}")
    if "unreadable" in judged:
        return _nothing(name, released, NOT_REACHED, _text(judged["unreadable"]))
    found, notes = judged.get("exercises"), judged.get("notes")
    found, notes = found if isinstance(found, dict) else {}, notes if isinstance(notes, list) else []
    notes = [_text(note) for note in notes[:100]]
    exercises = []
    for cell in released:
        if cell["task"]:
            exercises.append(Exercise(f"{exercise_of(cell['id'])} project", cell["points"], BY_PERSON))
            notes.append(f"{cell['points']:g} more points for {exercises[-1].name}, {BY_PERSON}")
        elif cell["check"]:
            one = found.get(exercise_of(cell["id"]))
            one = one if isinstance(one, dict) else {}
            verdict = one.get("verdict")
            known = verdict in VERDICTS and verdict != BY_PERSON if isinstance(verdict, str) else False
            if not known:
                notes.append(f"{LOOK}no verdict from the check of {exercise_of(cell['id'])}")
                one = {"message": NO_VERDICT}
            verdict = verdict if known else NOT_REACHED
            message, code = _text(one.get("message", "")), printable(str(one.get("code", "")))
            exercises.append(Exercise(exercise_of(cell["id"]), cell["points"], verdict, message, code))
    return Graded(name, tuple(exercises), tuple(dict.fromkeys(notes)))


def _text(found: object) -> str:
    return clean(found if isinstance(found, str) else "")[:LONGEST]


def _nothing(name: str, released: list[dict], verdict: str, note: str) -> Graded:
    """A notebook of which nothing ran."""
    exercises = []
    for cell in released:
        number = exercise_of(cell["id"])
        if cell["task"]:
            exercises.append(Exercise(f"{number} project", cell["points"], BY_PERSON))
        elif cell["check"]:
            exercises.append(Exercise(number, cell["points"], verdict, note))
    return Graded(name, tuple(exercises), (note,))


def _with_notes(graded: Graded, notes: dict[str, list[str]]) -> Graded:
    return Graded(graded.name, graded.exercises, (*notes.get(graded.name, ()), *graded.notes))
