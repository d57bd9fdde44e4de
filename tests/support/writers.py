"""What the course writes, each as a function of a folder and of the version to put there, for the axe.

Everything around the writing is made small: the index of pip, Sphinx, kernels and training are stand-ins.
"""

import errno
import gc
import json
import os
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import axe
import nbformat

from recsys_helpers import files
from recsys_helpers.course import notebooks

LESSON = "00_small.ipynb"
NOTHING, OLD, NEW = "nothing", "old", "new"
DOUBLED = "doubled"  # a blow: the same writer, from beginning to end
Found = dict[str, bytes]  # what is in the files of a folder, by name


def whole(found: Found, before: Found, after: Found) -> bool:
    """Either all is as before or all is new."""
    return found in (before, after)


def each(found: Found, before: Found, after: Found) -> bool:
    """Each file is as before, or new, or not there yet; there is no other."""
    states = [{name: one.get(name) for name in {*found, *before, *after}} for one in (found, before, after)]
    return all(states[0][name] in (states[1][name], states[2][name]) for name in states[0])


def appended(found: Found, before: Found, after: Found) -> bool:
    """Each file begins as before, and each line behind that is one that it will have."""
    return found.keys() <= after.keys() and all(
        text.startswith(before.get(name, b"")) and {*text.splitlines(True)} <= {*after[name].splitlines(True)}
        for name, text in found.items()
    )


def ended(found: Found, after: Found) -> bool:
    """What is there in the end."""
    return found == after


def lines(found: Found, after: Found) -> bool:
    """Every line is there; two who write at once may both write it."""
    return all({*found[name].splitlines(True)} == {*text.splitlines(True)} for name, text in after.items())


@dataclass(frozen=True)
class Writer:
    """A writer, from which states of its folder it can start, and what may be there during and after it."""

    write: Callable[[Path, str], object]
    starts: tuple[str, ...] = (NOTHING, OLD)
    holds: Callable[[Found, Found, Found], bool] = whole
    ends: Callable[[Found, Found], bool] = ended


def content(version: str) -> bytes:
    return f"{version}\n".encode() * 2000


def notebook(version: str, folder: Path, name: str = LESSON) -> Path:
    """A small solved notebook in a folder; one that is there stays."""
    if (folder / name).exists():
        return folder / name
    code = nbformat.v4.new_code_cell(
        f"### BEGIN SOLUTION\nanswer = '{version}'\n### END SOLUTION",
        id="ex-00-1-solution",
        metadata={
            "nbgrader": {"grade": False, "grade_id": "ex", "locked": False, "schema_version": 3, "solution": True}
        },
    )
    cells = [nbformat.v4.new_markdown_cell(f"# 00 Small: {version}", id="title"), code]
    notebooks.write(nbformat.v4.new_notebook(cells=cells), folder / name)
    return folder / name


def aside(folder: Path, *parts: str) -> Path:
    """A folder beside the one that is written, for what a writer reads."""
    place = folder.with_name(f"{folder.name}-sources").joinpath(*parts)
    place.mkdir(parents=True, exist_ok=True)
    return place


# --- What students' commands write ------------------------------------------------------------------------------------


def one_file(folder: Path, version: str) -> None:
    files.write_bytes(folder / "file", content(version))


def fetch(folder: Path, version: str) -> None:
    from recsys_helpers.data import assets

    members = {name: content(f"{version} {name}") for name in ("a.txt", "b.bin")}
    wheel = aside(folder, version) / "toy-1.0-py3-none-any.whl"
    if not wheel.exists():
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(f"toy/{name}"), data)
    asset = {
        "requirement": "toy==1.0",
        "wheel": {"size": wheel.stat().st_size, "sha256": sha256(wheel.read_bytes()).hexdigest()},
        "members": {
            name: {"path": f"toy/{name}", "size": len(data), "sha256": sha256(data).hexdigest()}
            for name, data in members.items()
        },
    }

    def pip(command, env, **options):
        for name in ("unpacking.tmp", wheel.name):  # pip's own file, and where it was asked to put the wheel
            shutil.copy(wheel, Path(env["TMPDIR"], name))
        return SimpleNamespace(returncode=0, stderr="")

    os.environ["RECSYS_HOME"] = str(folder)
    assets.registry, assets.subprocess = (lambda: {"toy": asset}), SimpleNamespace(run=pip, PIPE=-1)
    assets.fetch("toy", quiet=True)


def reset(folder: Path, version: str) -> None:
    from recsys_helpers.course import reset as module

    exercise = folder / LESSON
    if version == OLD:
        return notebook("the student's work", folder)
    source = notebook("as handed out", aside(folder, "solutions"))
    module.notebooks.solutions = lambda: [source]
    return module.reset("00", folder=exercise.parent)


def reset_holds(found: Found, before: Found, after: Found) -> bool:
    """The student's work is whole in its place or in a backup, and every file there is it, or the exercise."""
    known = {before[LESSON], after[LESSON]}
    return LESSON in found and before[LESSON] in found.values() and set(found.values()) <= known


def reset_ends(found: Found, after: Found) -> bool:
    return found[LESSON] == after[LESSON] and set(found.values()) == set(after.values())


def progress(folder: Path, version: str) -> None:
    from recsys_helpers.checks import journal

    os.environ["RECSYS_PROGRESS"] = str(folder / "progress")
    journal.record("01.1", {OLD: journal.TRIED, NEW: journal.DONE}[version])


def chinese(folder: Path, version: str, keep: bool = False) -> None:
    from recsys_helpers.course import chinese as module

    root = aside(folder, version)
    for kind in module.KINDS:
        notebook(version, aside(folder, version, kind))
    module.ROOT, module.notebooks.lessons = root, lambda: [root / "notebooks" / LESSON]
    module.in_chinese = lambda lesson, kind, name: (lesson, [])
    module.make(folder, keep=keep)


def chinese_kept(folder: Path, version: str) -> None:
    chinese(folder, version, keep=True)


def course(folder: Path, version: str) -> None:
    from recsys_helpers.course import run

    source = notebook(version, aside(folder, version))

    def papermill(path: str, output: str, **options) -> None:
        for text in ("{}", Path(path).read_text("utf-8")):  # it writes after each cell
            Path(output).write_text(text, "utf-8")

    run.papermill = SimpleNamespace(execute_notebook=papermill)
    run.notebooks.check_parameters = lambda path, parameters: None
    run.notebooks.lessons = lambda: [source]
    run.time = SimpleNamespace(perf_counter=lambda: 0.0)
    run.run_course({}, build=folder)


def class_report(folder: Path, version: str) -> None:
    from recsys_helpers.course import doctor

    doctor.diagnose = lambda: [doctor.Check("python", True, version, "")]
    doctor.matrix_rate, doctor.secrets = (lambda: 1e9), SimpleNamespace(token_hex=lambda length: "abcdef")
    doctor.psutil = SimpleNamespace(cpu_count=lambda logical: 2, virtual_memory=lambda: SimpleNamespace(total=1e10))
    doctor.shutil = SimpleNamespace(disk_usage=lambda place: SimpleNamespace(free=1e10))
    doctor.time = SimpleNamespace(perf_counter=lambda: 0.0, strftime=lambda form: "2026-01-01")
    doctor.class_report(folder)


def checkpoint(folder: Path, version: str) -> None:
    import numpy as np

    from recsys_helpers.training import fit

    run = fit._Run(None, None, None, epochs=1, lines=0)
    run.path, run.settings, run.rows = folder / "run" / "state.npz", {}, [version]
    run._variables = lambda: [np.frombuffer(content(version), "uint8")] * 3
    run._save()


def recommender(folder: Path, version: str) -> None:
    import numpy as np

    from recsys_helpers.recommender.recommender import Recommender

    arrays = {name: np.frombuffer(content(f"{version} {name}"), "uint8") for name in ("gate", "items")}
    Recommender.save(SimpleNamespace(state=lambda: arrays, settings=lambda: {}), folder)


def leaderboard(folder: Path, version: str) -> None:
    from recsys_helpers.evaluation import leaderboard as board

    board.make, board.fingerprint = (lambda model, **settings: model), (lambda log, model: version)
    board.in_child = lambda *call: {"ranks": [1.0], "of": version} | dict.fromkeys(board.COSTS, 1.0)
    log = SimpleNamespace(split=SimpleNamespace(n_users=1, n_items=1))
    for name in ("one", "other"):
        board.remembered(folder / "leaderboard" / f"{name}.json", log, name, "smoke", 7)
    board.write([{"model": version}], 7, folder / "leaderboard.json")


# --- What instructors' and authors' commands write --------------------------------------------------------------------


def store(folder: Path, version: str) -> None:
    from course_tools.author import store as module

    if version == OLD:
        return notebook("stored before", folder)

    class Client:
        def __init__(self, book, **options):
            self.book = book

        def execute(self, env: dict) -> None:
            self.book.cells[1].outputs = [nbformat.v4.new_output("stream", text=version)]

    module.NotebookClient = Client
    return module.store(folder / LESSON)


def release(folder: Path, version: str) -> None:
    from course_tools.author import store as module

    solved = [notebook(version, aside(folder, version), f"0{number}_small.ipynb") for number in range(2)]
    module.notebooks.solutions, module.ROOT = (lambda: solved), folder
    module.release_all()


def full_profile(folder: Path, version: str) -> None:
    from course_tools.author import store as module

    ran = notebook(version, aside(folder, "build", "full"))
    module.notebooks.find_lesson, module.ROOT = (lambda name: ran), aside(folder)
    module.FULL_PROFILE = folder / "full_profile.json"
    module.run_lesson = lambda *call: float(len(version) if version == NEW else 9)
    module.measure_full(["00"])


def pages(folder: Path, version: str) -> None:
    from course_tools.author import instructors, readme

    def region(name: str) -> Callable[[], str]:
        write = lambda: f"{name}: {version}"  # noqa: E731
        write.__name__ = name
        return write

    regions = {"README.md": ("setup", "course_map", "six_rows"), "docs/results.md": ("results_page",)}
    regions |= {"docs/instructors.md": ("minutes", "mutants"), "docs/your-own-data.md": ("known_layouts",)}
    for page, names in regions.items():
        if version == OLD:
            marks = "".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in names)
            files.write_text(folder / page, marks)
        for name in names:
            for module in (readme, instructors):
                if hasattr(module, name):
                    setattr(module, name, region(name))
    readme.pictures = lambda: {"attention.png": content(version)}
    instructors.mistakes = region("mistakes")
    readme.write_readme(folder / "README.md")
    instructors.write(folder / "docs")


def grading(folder: Path, version: str) -> None:
    from course_tools.grading import pages as module
    from course_tools.grading.verdicts import Exercise, Graded, Student

    graded = Graded("01_small", (Exercise("01.1", 1, "correct", version, "code"),))
    module.write([Student(name, name, graded=[graded]) for name in ("Ann", "Bob")], folder / "grading")


def graded(folder: Path, version: str) -> None:
    from course_tools.grading import grade
    from course_tools.grading.verdicts import Limits

    kept = grade.Kept(folder / "grading", Limits())
    if version not in kept.found:
        kept.keep(version, {"verdict": version}, "")


def site(folder: Path, version: str) -> None:
    from course_tools.publish import site as module

    def sphinx(scratch: Path, environment: dict) -> None:
        for language in module.FOLDERS.values():
            for name in ("index.html", "search.html"):
                page = scratch / language / "html" / name
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_bytes(content(f"{language} {version}"))

    module._call_sphinx, module._origin = sphinx, lambda: None
    module.make(folder / "site")


def slides(folder: Path, version: str) -> None:
    from course_tools.publish import slides as module

    lessons = [aside(folder) / f"0{number}_small.ipynb" for number in range(2)]
    module.REVEAL = ("dist/reveal.css", "plugin/notes/notes.js")
    module.notebooks.lessons, module.notebooks.read = (lambda: lessons), (lambda path: path)
    module.render = lambda path: f"<title>{path.stem}</title>{version}"
    module._template = lambda name: f"{name}: {version}"
    module.make(out=folder / "slides")


def bundle(folder: Path, version: str) -> None:
    from course_tools.publish import bundle as module

    root = aside(folder, version)
    for name in ("README.md", "notebook.ipynb"):
        if not (root / name).exists():
            (root / name).write_bytes(content(f"{version} {name}"))
            os.utime(root / name, (0, 0))
    module.ROOT, module._course_files = root, lambda: ["README.md", "notebook.ipynb"]
    module._require_space = lambda place, names: None
    module._collect_wheels = lambda place: (place / "tiny.whl").write_bytes(content(version))
    anonymous = module._anonymous

    def timeless(entry):
        entry.mtime = 0
        return anonymous(entry)

    module._anonymous = timeless
    module.make(folder / "course.tar")


STUDENTS = {
    "one file": Writer(one_file),
    "fetch": Writer(fetch),
    "reset": Writer(reset, (OLD,), reset_holds, reset_ends),
    "progress": Writer(progress, holds=appended, ends=lines),
    "lab-zh": Writer(chinese_kept, (NOTHING,), each),
    "lab-zh, --again": Writer(chinese, (OLD,), each),
    "course": Writer(course, holds=each),
    "doctor --class": Writer(class_report),
}
AUTHORS = {
    "store": Writer(store, (OLD,)),
    "exercises": Writer(release, holds=each),
    "full profile": Writer(full_profile),
    "README and pages": Writer(pages, (OLD,), each),
    "grade": Writer(grading),
    "grade, what is done": Writer(graded, holds=appended, ends=lines),
    "site": Writer(site),
    "slides": Writer(slides),
    "bundle": Writer(bundle),
}
LEARNED = {
    "checkpoint": Writer(checkpoint),
    "recommender": Writer(recommender),
    "leaderboard": Writer(leaderboard, holds=each),
}
WRITERS = STUDENTS | AUTHORS | LEARNED
GROUPS = {"students": STUDENTS, "authors": AUTHORS, "learned": LEARNED}
MODULES = {  # what their writers import
    "students": [
        "nbgrader.preprocessors",
        *(f"recsys_helpers.{name}" for name in ("data.assets", "checks.journal")),
        *(f"recsys_helpers.course.{name}" for name in ("reset", "chinese", "run", "doctor")),
    ],
    "authors": [
        "nbgrader.preprocessors",
        *(f"course_tools.author.{name}" for name in ("store", "instructors")),
        *(f"course_tools.{name}" for name in ("grading.grade", "publish.site", "publish.slides", "publish.bundle")),
    ],
    "learned": [
        *(f"recsys_helpers.{name}" for name in ("training.fit", "recommender.recommender", "evaluation.leaderboard"))
    ],
}


KINDS = {
    "kill": (signal.SIGKILL,),
    "end": (signal.SIGTERM, signal.SIGINT),
    "full or read-only": (errno.ENOSPC, errno.EROFS),
    "doubled": (DOUBLED,),
}
# the exit codes of a command that gets a signal
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGINT: 130}


class Trial:
    """A writer and a state of its folder, from which it is run again and again, with a blow in front of some call."""

    def __init__(self, writer: Writer, folder: Path, start: str) -> None:
        self.writer, self.start, self.place, self.state = writer, start, folder / "place", folder / start
        for version in (NEW, OLD):  # the first makes what the writer reads
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir()
            if version == NEW or start == OLD:
                self.run(version)
        self.place.rename(self.state)
        self.put_back()
        end = self.run()
        assert end.code == 0, end.said
        self.calls, self.before, self.after = end.calls, axe.files_in(self.state), axe.files_in(self.place)
        assert self.before != self.after

    def put_back(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.state, self.place)

    def run(self, version: str = NEW, at: int = 0, blow=0) -> axe.End:
        return axe.strike(lambda: self.writer.write(self.place, version), at, blow)

    def strike(self, at: int, blow: int | str) -> list[str]:
        """What does not hold after a blow in front of this call, and after the next run; best nothing."""
        faults, ends = [], []
        where = f"from {self.start}, {blow!r} before call {at}, {self.calls[at - 1]}"
        self.put_back()
        ends.append(self.run(NEW, at, (lambda: ends.append(self.run())) if blow == DOUBLED else blow))
        for end in ends:
            if (end.code not in (0, ENDS.get(blow, 0)) and not end.is_one_line) or "Traceback" in end.said:
                faults.append(f"{where}: exit code {end.code}, {end.said[-600:]}")
        found = axe.files_in(self.place)
        if not self.writer.holds(found, self.before, self.after):
            faults.append(f"{where}: neither old nor new: {self.told(found)}")
        if blow != DOUBLED:
            end = self.run()
            if end.code:
                faults.append(f"{where}, and again: exit code {end.code}, {end.said[-600:]}")
        found = axe.files_in(self.place, hidden=True)
        if not self.writer.ends(found, self.after):
            faults.append(f"{where}, in the end: {self.told(found)}")
        return faults

    def told(self, found: Found) -> str:
        """Which files are old, new, something else or lost."""
        said = []
        for name in sorted({*found, *self.before, *self.after}):
            states = {"old": self.before.get(name), "new": self.after.get(name), "lost": None}
            said.append(
                f"{name} {next((s for s, text in states.items() if text == found.get(name)), 'something else')}"
            )
        return ", ".join(said)


def sweep(name: str, folder: Path, kills: int, others: int) -> dict:
    """Strike a writer, at most at so many places from each state: how often, and what did not hold."""
    row, faults = {"writer": name, "calls": 0} | dict.fromkeys(KINDS, 0), []
    for start in WRITERS[name].starts:
        trial = Trial(WRITERS[name], folder, start)
        row["calls"] += len(trial.calls)
        for kind, blow in ((kind, blow) for kind, blows in KINDS.items() for blow in blows):
            for at in spread(len(trial.calls), kills if kind == "kill" else others):
                row[kind] += 1
                faults += trial.strike(at, blow)
    return row | {"faults": faults}


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 1 to `count`, the first and the last among them."""
    if count <= most:
        return [*range(1, count + 1)]
    return [1 + round(place * (count - 1) / (most - 1)) for place in range(most)]


def main(group: str, kills: str, others: str, *names: str) -> None:
    """Print what became of a group's writers, as JSON."""
    for module in MODULES[group]:  # here, so that their children need not
        import_module(module)
    gc.freeze()  # what is imported is not looked at in every child, and so stays shared with it
    rows = []
    for name in names or GROUPS[group]:
        with TemporaryDirectory() as folder:
            rows.append(sweep(name, Path(folder), int(kills), int(others)))
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
