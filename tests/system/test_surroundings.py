"""Settings, folders and terminals that people have: each works, or is one line that says what to do."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from recsys_helpers import __main__ as commands
from recsys_helpers import checks
from recsys_helpers.checks import journal
from recsys_helpers.course import notebooks, reset, run
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT, home


def python(*arguments, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, cwd=ROOT, capture_output=True, timeout=300)


def lesson(path: Path, *sources: str) -> Path:
    """A small lesson of these cells."""
    parameters = nbformat.v4.new_code_cell("profile = 'quick'\nseed = 7", metadata={"tags": ["parameters"]})
    notebooks.write(nbformat.v4.new_notebook(cells=[parameters, *map(nbformat.v4.new_code_cell, sources)]), path)
    return path


# --- Terminals and the file of progress -------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", ["ascii", "cp1252", "gbk", "utf-8"])
def test_the_map_is_shown_on_every_terminal(tmp_path, terminal):
    (tmp_path / "progress").write_text("01.1 done\n01.2 tried\n")
    seen = python("-m", "recsys_helpers", "progress", PYTHONIOENCODING=terminal, RECSYS_PROGRESS=f"{tmp_path}/progress")
    head, first, *_ = seen.stdout.decode(terminal).splitlines()
    done, open_ = ("x" if terminal != "utf-8" else "✓"), ("." if terminal == "ascii" else "·")
    assert seen.returncode == 0 and head == f"exercises: {done} done   ~ tried   {open_} not tried"
    assert f"{done} ~ {open_}" in first


def test_exercises_are_put_back_whatever_the_file_of_progress_holds(tmp_path):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "progress").write_bytes(b"01.1 done\n\xff\xfe\n01.2 done\n01.3 tri")
    command = [sys.executable, "-m", "recsys_helpers", "reset", "01"]
    settings = {"RECSYS_PROGRESS": f"{tmp_path}/progress", "PYTHONPATH": str(ROOT)}
    seen = subprocess.run(command, env=os.environ | settings, cwd=tmp_path, capture_output=True, text=True)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert "line 2, 4." in seen.stdout and "is as handed out." in seen.stdout
    assert (tmp_path / "progress").read_bytes().endswith(b"01.3 tri\n01.1 not tried\n01.2 not tried\n")


def test_exercise_1_is_put_back_and_exercise_10_stays(tmp_path, monkeypatch):
    solved = notebooks.read(ROOT / "solutions" / "01_self_attention.ipynb")
    for cell in [cell for cell in solved.cells if cell.id.startswith("ex-01-1-")]:
        tenth = nbformat.from_dict(cell | {"id": cell.id.replace("ex-01-1-", "ex-01-10-")})
        if "nbgrader" in tenth.metadata:
            tenth.metadata = nbformat.from_dict(json.loads(json.dumps(tenth.metadata)))
            tenth.metadata["nbgrader"]["grade_id"] += "-10"
        solved.cells.append(tenth)
    notebooks.write(solved, tmp_path / "01_self_attention.ipynb")
    monkeypatch.setattr(notebooks, "solutions", lambda: [tmp_path / "01_self_attention.ipynb"])
    monkeypatch.setattr(checks, "EXERCISES", dict.fromkeys(["01.1", "01.2", "01.10"]))
    monkeypatch.setenv("RECSYS_PROGRESS", f"{tmp_path}/progress")
    (tmp_path / "exercises").mkdir()
    monkeypatch.chdir(tmp_path)
    path, _ = reset.reset("01", folder=tmp_path / "exercises")
    mine = notebooks.read(path)
    for cell in mine.cells:
        if cell.id in ("ex-01-1-solution", "ex-01-10-solution"):
            cell.source = "mine = 1"
    notebooks.write(mine, path)
    for name in checks.EXERCISES:
        journal.record(name, journal.DONE)
    commands.reset("01", 1)
    after = {cell.id: cell.source for cell in notebooks.read(path).cells}
    assert after["ex-01-1-solution"] != "mine = 1" == after["ex-01-10-solution"]
    assert journal.states() == {"01.1": "not tried", "01.2": "done", "01.10": "done"}
    commands.reset("01", 10)
    assert journal.states() == {"01.1": "not tried", "01.2": "done", "01.10": "not tried"}


def test_a_home_with_a_strange_name_and_no_locale(tmp_path):
    folder = tmp_path / "ho me ünï 家"
    (folder / "exercises").mkdir(parents=True)
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "PIP_NO_INDEX": "1"}
    bare |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PIP_CONFIG_FILE": os.devnull}

    def command(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "recsys_helpers", *words], env=bare, cwd=folder, capture_output=True, text=True
        )

    done, failed = command("reset", "01"), command("fetch")
    assert (done.returncode, done.stderr) == (0, "") and "is as handed out" in done.stdout
    assert [path.name for path in (folder / "exercises").iterdir()] == ["01_self_attention.ipynb"]
    assert failed.returncode == 2 and "pip could not download movielens" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1 and not list((folder / ".cache" / "recsys-course").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="on Windows the registry knows a home")
def test_no_home_is_one_line(monkeypatch):
    import pwd

    def unknown(number):
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME", "RECSYS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(CourseError, match=r"^this user has no home folder: set RECSYS_HOME"):
        home()
    monkeypatch.setenv("RECSYS_HOME", "/some/folder")
    assert home() == Path("/some/folder")


# --- What the environment asks for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["agg", "", "TkAgg"])
def test_figures_are_shown_whatever_mplbackend_says(tmp_path, monkeypatch, backend):
    monkeypatch.setenv("MPLBACKEND", backend)
    alt = "A line that rises from 1 to 2 in one step, drawn to be seen"
    imports = "import matplotlib.pyplot as plt\nfrom recsys_helpers import plotting"
    path = lesson(tmp_path / "00_small.ipynb", imports, f"plt.plot([1, 2])\nplotting.show('{alt}')")
    run.run_lesson(path, tmp_path / "out.ipynb", {}, progress=False)
    outputs = notebooks.read(tmp_path / "out.ipynb").cells[-1].outputs
    assert [alt for output in outputs if "image/png" in output.get("data", {})] == [alt]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"TF_USE_LEGACY_KERAS": "1"}, "TF_USE_LEGACY_KERAS asks for Keras 2, the course needs Keras 3: unset"),
        ({"KERAS_BACKEND": "theano"}, "KERAS_BACKEND is 'theano', which cannot train here: unset KERAS_BACKEND, or"),
    ],
)
def test_settings_that_keras_cannot_live_with_are_named(settings, line):
    seen = python("-c", "import recsys_helpers.training.backend", **settings)
    last = seen.stderr.decode().splitlines()[-1]
    assert seen.returncode == 1 and last.startswith(f"recsys_helpers.errors.CourseError: {line}")


def test_the_kernel_of_another_python_is_not_taken(tmp_path):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": ["/opt/other/bin/python", "-m", "ipykernel_launcher"]}))
    program = "from recsys_helpers.__main__ import run; from recsys_helpers.course.doctor import check_kernel\n"
    program += "run(lambda: print(check_kernel()))"
    seen = python("-c", program, JUPYTER_PATH=str(tmp_path))
    assert f"ok=True, found='python3 runs {sys.executable}'" in seen.stdout.decode(), seen.stderr.decode()


# --- Folders and disks ------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    path = lesson(tmp_path / "00_small.ipynb", "1")
    (tmp_path / "file").touch()
    with pytest.raises(CourseError, match=r"file/course cannot be written \(Not a directory\).*--out"):
        run.run_lesson(path, tmp_path / "file" / "course" / path.name, {}, progress=False)
    monkeypatch.setattr(notebooks, "lessons", lambda: [path])
    (tmp_path / "build" / "results.json").mkdir(parents=True)
    with pytest.raises(CourseError, match=r"build cannot be written \(Is a directory\).*--out"):
        run.run_course({}, build=tmp_path / "build")


def test_a_full_disk_is_one_line_and_the_earlier_run_stays(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = lesson(tmp_path / "00_small.ipynb", "1")
    earlier = lesson(tmp_path / "course" / path.name, "2").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CourseError, match=r"course cannot be written \(No space left on device\).*--out"):
        run.run_lesson(path, tmp_path / "course" / path.name, {}, progress=False)
    assert (tmp_path / "course" / path.name).read_bytes() == earlier
    assert [left.name for left in (tmp_path / "course").iterdir()] == [path.name]


def test_a_disk_that_is_full_while_a_folder_is_copied_is_one_line(tmp_path, capsys, monkeypatch):
    def full(source, target, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr(os, "environ", os.environ.copy())
    (tmp_path / "old").mkdir()
    for name in ("one", "other"):
        (tmp_path / "old" / name).touch()
    with pytest.raises(SystemExit, match="2"):
        commands.run(lambda: shutil.copytree(tmp_path / "old", tmp_path / "new", copy_function=full))
    shown = capsys.readouterr().err
    assert shown.startswith("error: [Errno 28] No space left on device: ") and len(shown.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_every_command_names_a_place_that_cannot_be_written(capsys, monkeypatch, number):
    def write():
        raise OSError(number, os.strerror(number), "/the/place")

    monkeypatch.setattr(os, "environ", os.environ.copy())
    with pytest.raises(SystemExit, match="2"):
        commands.run(write)
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {os.strerror(number)} (/the/place): ") and len(shown.splitlines()) == 1
    with pytest.raises(FileNotFoundError):  # a fault of the program, not of the surroundings
        commands.run(lambda: Path("/no/such/file").read_text())
