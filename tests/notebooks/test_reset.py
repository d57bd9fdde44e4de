"""Any exercise is put back, however broken, and what was there is kept byte for byte."""

import errno
import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from recsys_helpers import files
from recsys_helpers.course import notebooks, reset
from recsys_helpers.course.chinese import in_chinese
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

SOLVED = ROOT / "solutions" / "01_self_attention.ipynb"


@pytest.fixture(scope="module")
def fresh():
    return nbformat.writes(reset.release(SOLVED)).encode() + b"\n"


@pytest.fixture(autouse=True)
def one_lesson(monkeypatch, fresh):
    released = nbformat.reads(fresh.decode(), 4)
    monkeypatch.setattr(notebooks, "solutions", lambda: [SOLVED])
    monkeypatch.setattr(reset, "release", lambda path: nbformat.from_dict(json.loads(json.dumps(released))))


@pytest.fixture
def target(tmp_path, fresh):
    path = tmp_path / "exercises" / SOLVED.name
    path.parent.mkdir()
    path.write_bytes(fresh)
    return path


def a_notebook(**changes) -> bytes:
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | changes
    return json.dumps({name: value for name, value in notebook.items() if value is not None}).encode()


CELL = {"id": "a", "cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": [], "execution_count": None}
BROKEN = {
    "truncated": lambda whole: whole[: len(whole) // 2],
    "without its last byte": lambda whole: whole[:-3],
    "empty": lambda whole: b"",
    "blank": lambda whole: b"\n \n",
    "binary": lambda whole: bytes(range(256)) * 50,
    "zeros": lambda whole: bytes(len(whole)),
    "UTF-16": lambda whole: whole.decode().encode("utf-16"),
    "Latin-1": lambda whole: b'{"cells": ["\xe9"]}',
    "a script": lambda whole: b"print('hello')\n",
    "merge conflict": lambda whole: whole.replace(b'"cells": [', b'<<<<<<< HEAD\n"cells": [', 1),
    "a list": lambda whole: b"[]",
    "null": lambda whole: b"null",
    "a number": lambda whole: b"1",
    "an empty object": lambda whole: b"{}",
    "another object": lambda whole: b'{"name": "x"}',
    "no cells": lambda whole: a_notebook(cells=None),
    "cells that are none": lambda whole: a_notebook(cells=5),
    "cells of text": lambda whole: a_notebook(cells=["x"]),
    "a cell without text": lambda whole: a_notebook(cells=[CELL | {"source": 5}]),
    "a cell without metadata": lambda whole: a_notebook(cells=[CELL | {"metadata": None}]),
    "no metadata": lambda whole: a_notebook(metadata=None),
    "metadata that is none": lambda whole: a_notebook(metadata=[1]),
    "from the future": lambda whole: a_notebook(nbformat=99),
    "a version in words": lambda whole: a_notebook(nbformat="four"),
    "deep": lambda whole: b"[" * 100_000,
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_notebook_is_put_back_and_kept(target, fresh, damage, capfd):
    broken = BROKEN[damage](fresh)
    target.write_bytes(broken)
    path, backup = reset.reset("01", folder=target.parent)
    assert (path, backup.read_bytes(), target.read_bytes()) == (target, broken, fresh)
    assert sorted(os.listdir(target.parent)) == ["01_self_attention.backup-1.ipynb", SOLVED.name]
    target.write_bytes(broken)
    try:
        _, second = reset.reset("01", 1, target.parent)
    except CourseError as error:
        assert "reset 01 puts the whole lesson back" in str(error) and "\n" not in str(error)
        assert target.read_bytes() == broken and len(os.listdir(target.parent)) == 2
    else:
        notebook = notebooks.read(target)  # it was not that broken
        assert second.read_bytes() == broken and "ex-01-1-solution" in {cell.id for cell in notebook.cells}


@pytest.mark.parametrize("damage", ["truncated", "empty", "binary", "a list", "UTF-16", "no cells", "cells of text"])
def test_of_a_broken_notebook_no_exercise_alone_is_put_back(target, fresh, damage):
    target.write_bytes(BROKEN[damage](fresh))
    with pytest.raises(CourseError, match="is damaged, so exercise 2 alone cannot be put back"):
        reset.reset("01", 2, target.parent)


def test_a_byte_order_mark_hides_no_answers(target, fresh):
    target.write_bytes(b"\xef\xbb\xbf" + fresh.replace(b"NotImplementedError", b"KeyError"))
    _, backup = reset.reset("01", 2, target.parent)
    assert b"KeyError" in target.read_bytes() and backup.read_bytes().startswith(b"\xef\xbb\xbf")


def folder(path):
    path.mkdir()
    (path / "mine.txt").write_text("mine")


IN_ITS_PLACE = {
    "a folder": folder,
    "an empty folder": lambda path: path.mkdir(),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to a folder": lambda path: path.symlink_to(path.parent),
    "a pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("what", IN_ITS_PLACE)
def test_something_else_in_its_place_is_moved_aside(target, fresh, what):
    target.unlink()
    IN_ITS_PLACE[what](target)
    before = target.lstat()
    with pytest.raises(CourseError, match="is damaged"):
        reset.reset("01", 1, target.parent)
    target.with_suffix(".backup-1.ipynb").write_text("an older one")
    path, backup = reset.reset("01", folder=target.parent)
    assert path.read_bytes() == fresh and not path.is_symlink() and backup.name.endswith("backup-2.ipynb")
    assert (backup.lstat().st_ino, backup.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert what != "a folder" or (backup / "mine.txt").read_text() == "mine"
    assert target.with_suffix(".backup-1.ipynb").read_text() == "an older one" and len(os.listdir(target.parent)) == 3


def test_a_link_to_ones_own_notebook_stays(target, fresh, tmp_path):
    mine = tmp_path / "mine.ipynb"
    target.unlink()
    mine.write_bytes(b"mine")
    target.symlink_to(mine)
    _, backup = reset.reset("01", folder=target.parent)
    assert target.is_symlink() and mine.read_bytes() == fresh
    assert backup.read_bytes() == b"mine" and not backup.is_symlink()


def test_older_backups_of_any_kind_stay(target):
    names = [target.with_suffix(f".backup-{number}.ipynb") for number in range(1, 5)]
    names[0].write_text("one")
    names[1].mkdir()
    names[2].symlink_to("nowhere")
    _, backup = reset.reset("01", folder=target.parent)
    assert backup == names[3] and names[0].read_text() == "one" and names[1].is_dir() and names[2].is_symlink()


def test_a_broken_chinese_notebook_comes_back_in_chinese(target, fresh):
    neighbour = notebooks.read(target)
    in_chinese(neighbour, "exercises", target.stem)
    notebooks.write(neighbour, target.with_name("02_neighbour.ipynb"))
    target.write_bytes(fresh[:500])
    reset.reset("01", folder=target.parent)
    assert "练习" in target.read_text("utf-8")


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_that_cannot_be_written_loses_nothing(target, monkeypatch, step, kind):
    if kind == "folder":
        target.unlink()
        folder(target)
    content = target.read_bytes() if kind == "file" else (target / "mine.txt").read_bytes()

    def refused(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch, pytest.raises(CourseError, match=r"could not be put back \(Read-only") as told:
        if step == "open":
            patch.setattr(files, "_beside", refused)
            patch.setattr(files.Path, "mkdir", refused)
        else:
            patch.setattr(files.os, step, refused)
        reset.reset("01", folder=target.parent)
    assert "\n" not in str(told.value)
    kept = [target, *target.parent.glob("*.backup-*")]
    assert content in [path.read_bytes() for path in kept if path.is_file()] + [
        (path / "mine.txt").read_bytes() for path in kept if path.is_dir()
    ]
    assert not list(target.parent.glob("*.part"))


def test_a_disk_without_second_names_keeps_backups_too(target, fresh, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", refused)
    target.with_suffix(".backup-1.ipynb").write_text("an older one")
    target.write_bytes(b"mine")
    _, backup = reset.reset("01", folder=target.parent)
    assert backup.name.endswith("backup-2.ipynb") and backup.read_bytes() == b"mine" and target.read_bytes() == fresh


AT_ONCE = """
import sys, time
from pathlib import Path
from recsys_helpers.files import set_aside
target = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(50):
    print(set_aside(target, (target.with_suffix(f".backup-{n}.ipynb") for n in range(1, 1000))).name, flush=True)
"""


def test_two_at_once_never_overwrite_a_backup(target):
    command = [sys.executable, "-c", AT_ONCE, str(target)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    names = [process.communicate()[0].split() for process in both]
    assert len(set(names[0] + names[1])) == 100
    assert all((target.parent / name).read_bytes() == target.read_bytes() for name in names[0] + names[1])
    assert len(os.listdir(target.parent)) == 101


def test_the_command_says_where_it_is_kept(tmp_path, fresh):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / SOLVED.name).write_bytes(fresh[:999])
    command = [sys.executable, "-m", "recsys_helpers", "reset", "01"]
    settings = os.environ | {"RECSYS_PROGRESS": "off", "PYTHONPATH": str(ROOT)}
    alone = subprocess.run([*command, "--exercise", "1"], env=settings, cwd=tmp_path, capture_output=True, text=True)
    assert alone.returncode and "Traceback" not in alone.stderr and "alone cannot be put back" in alone.stderr
    done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "01_self_attention.backup-1.ipynb" in done.stdout
    shutil.rmtree(tmp_path / "exercises")
