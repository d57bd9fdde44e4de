"""The bundle, on a toy course: built without a network from local wheels, then set up with the network cut off."""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from course_tools.publish import bundle
from recsys_helpers.data import assets
from recsys_helpers.errors import CourseError

CUT_OFF = [] if subprocess.call(["sh", "-c", "unshare -rn true 2>/dev/null"]) else ["unshare", "-rn"]
PROGRAM = """
import importlib, os, socket, subprocess, sys
if sys.argv[1] == "fetch":  # as the course does: pip finds the wheel of the data by itself
    import tiny, built
    subprocess.check_call([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", "data", "toydata==1.0"])
try:
    socket.create_connection(("192.0.2.1", 9), timeout=1)
except OSError as error:
    print(sys.argv[1], "in", os.getcwd(), "says", error.strerror)
"""


def wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = files | {f"{name}-1.0.dist-info/{key}": text for key, text in about.items()}
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
        for file, text in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{name}-1.0.dist-info/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def sdist(folder: Path, name: str) -> None:
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n[tool.setuptools]\npy-modules = ["{name}"]\n',
        f"{name}.py": "",
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


def setuptools_wheel(folder: Path) -> None:
    """The installed setuptools, put back into a wheel: nothing is downloaded."""
    installed = metadata.distribution("setuptools")
    with zipfile.ZipFile(folder / f"setuptools-{installed.version}-py3-none-any.whl", "w") as archive:
        for file in installed.files:
            if not file.parts[0].startswith("..") and "__pycache__" not in file.parts:
                archive.write(file.locate(), str(file))


def toy_course(root: Path) -> Path:
    """A git repository with a lock of two packages, one of them to be built, and a package that tells its calls."""
    files = {
        "requirements/student.lock": "tiny==1.0\nbuilt==1.0\nabsent==1.0 ; python_version < '3'\n",
        "pyproject.toml": '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "recsys-helpers"\nversion = "1.0"\n[tool.setuptools]\npackages = ["recsys_helpers"]\n',
        "recsys_helpers/__init__.py": "",
        "recsys_helpers/__main__.py": PROGRAM,
        "notebooks/00 first.ipynb": "{}",
        ".gitignore": "/build/\n*.egg-info/\n",
        "build/secret.txt": "not for the class",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The toy course, what pip may use, and the bundle made of them."""
    folder = tmp_path_factory.mktemp("bundle")
    index = folder / "index"
    index.mkdir()
    wheel(index, "tiny", {"tiny.py": ""})
    data = wheel(index, "toydata", {"toydata/ratings.csv": "1,2,3\n"})
    sdist(index, "built")
    setuptools_wheel(index)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    asset = {"requirement": "toydata==1.0", "wheel": {"size": data.stat().st_size, "sha256": digest}, "members": {}}
    patch = pytest.MonkeyPatch()
    patch.setattr(bundle, "ROOT", toy_course(folder / "repository"))
    patch.setattr(bundle, "WHEELS", 1e6)
    patch.setattr(assets, "registry", lambda: {"toydata": asset})
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(index)}.items():
        patch.setenv(f"PIP_{name}", value)
    yield SimpleNamespace(out=bundle.make(folder / "out" / "course.tar"), asset=asset, index=index, root=bundle.ROOT)
    patch.undo()


@pytest.fixture
def machine(toy, tmp_path) -> Path:
    """The bundle, unpacked on another machine, in a folder with a space in its name."""
    with tarfile.open(toy.out) as archive:
        archive.extractall(tmp_path / "my files", filter="data")
    return tmp_path / "my files" / "course"


def set_up(course: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run setup.sh with an empty home and, where the system lets us, in a network without any interface."""
    assert CUT_OFF or not os.environ.get("CI"), "in continuous integration the network has to be cut off: unshare -rn"
    (course.parent / "home").mkdir(exist_ok=True)
    surroundings = {"PATH": os.environ["PATH"], "HOME": str(course.parent / "home"), "PYTHON": sys.executable}
    command = [*CUT_OFF, "sh", str(course / "setup.sh")]
    return subprocess.run(command, env=surroundings | environment, cwd="/", capture_output=True, text=True)


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_in_it(toy, machine):
    names = {str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file()}
    assert {"setup.sh", "requirements/student.lock", "notebooks/00 first.ipynb", ".gitignore"} <= names
    assert "build/secret.txt" not in names
    wheels = {name.removeprefix("offline/wheels/").split("-")[0] for name in names if name.endswith(".whl")}
    assert wheels == {"tiny", "built", "toydata", "setuptools"}
    lines = (machine / "offline/MANIFEST.sha256").read_text().splitlines()
    digests = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}
    assert set(digests) == names - {"offline/MANIFEST.sha256"}
    assert all(hashlib.sha256((machine / name).read_bytes()).hexdigest() == digests[name] for name in digests)
    assert "licence forbids redistribution" in (machine / "offline/README.txt").read_text()
    with tarfile.open(toy.out) as archive:
        assert {(entry.uid, entry.uname) for entry in archive} == {(0, "")}
    assert [path.name for path in toy.out.parent.iterdir()] == ["course.tar"], "something was left beside the bundle"


def test_one_command_sets_it_up_without_a_network(machine):
    (machine / ".venv").mkdir()
    (machine / ".venv" / "half").touch()  # left by a set-up that was killed
    first = set_up(machine)
    assert first.returncode == 0, first.stderr
    told = [line for line in first.stdout.splitlines() if " says " in line]
    assert [line.split()[0] for line in told] == ["fetch", "doctor"]
    assert all(f"in {machine} says" in line for line in told)
    assert not CUT_OFF or all(line.endswith("Network is unreachable") for line in told)
    assert not (machine / ".venv/half").exists()
    assert "4/4" in first.stdout and (machine / "data" / "toydata-1.0-py3-none-any.whl").exists()
    (machine / "notebooks/00 first.ipynb").write_text("my own work")
    again = set_up(machine)
    assert again.returncode == 0, "a second call after the student has worked"
    assert "3/4" not in again.stdout, "what is installed is not installed again"
    assert (machine / "notebooks/00 first.ipynb").read_text() == "my own work"


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_copy_is_refused_before_anything_is_made(machine, damage):
    wheel = machine / "offline/wheels/tiny-1.0-py3-none-any.whl"
    if damage == "missing":
        wheel.unlink()
    else:
        content = bytearray(wheel.read_bytes())
        content[len(content) // 2] ^= 1
        wheel.write_bytes(content)
    run = set_up(machine)
    assert run.returncode == 1
    assert "tiny-1.0-py3-none-any.whl" in run.stderr and "copy and unpack it again" in run.stderr
    assert not (machine / ".venv").exists()


def test_another_python_is_refused_before_anything_is_made(machine, tmp_path):
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\necho linux-riscv64-python3.9\n")
    other.chmod(0o755)
    run = set_up(machine, PYTHON=str(other))
    assert run.returncode == 1
    assert f"for {bundle.TAG} and this is linux-riscv64-python3.9" in run.stderr
    assert "no no-such-python" in set_up(machine, PYTHON="no-such-python").stderr
    assert not (machine / ".venv").exists()


def assert_refused(toy, tmp_path, *said: str) -> None:
    out = tmp_path / "out" / "course.tar"
    out.parent.mkdir()
    out.write_text("the bundle of yesterday")
    with pytest.raises(CourseError) as error:
        bundle.make(out)
    for part in said:
        assert part in one_line(error)
    assert [path.name for path in out.parent.iterdir()] == ["course.tar"], "something was left"
    assert out.read_text() == "the bundle of yesterday"


def test_no_network(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert_refused(toy, tmp_path, "could not collect the wheels", "connect to the internet")


def test_no_git(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    assert_refused(toy, tmp_path, "has to be a git repository")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CourseError, match="git installed"):
        bundle.make(tmp_path / "other.tar")


def test_too_little_disk_is_told_before_the_download(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1.9e6))
    monkeypatch.setattr(bundle, "_collect_wheels", lambda folder: pytest.fail("it began to download"))
    assert_refused(toy, tmp_path, "--out")


def test_data_of_another_wheel_is_refused(toy, tmp_path, monkeypatch):
    other = json.loads(json.dumps(toy.asset))
    other["wheel"]["sha256"] = "0" * 64
    monkeypatch.setattr(assets, "registry", lambda: {"toydata": other})
    assert_refused(toy, tmp_path, "toydata", "sha256 differs")


def test_a_full_disk_leaves_nothing(toy, tmp_path, monkeypatch):
    def full(self, *args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_collect_wheels", lambda folder: None)
    monkeypatch.setattr(tarfile.TarFile, "add", full)
    assert_refused(toy, tmp_path, "No space left on device")


def test_a_killed_bundle_leaves_no_archive_and_the_next_one_tidies_up(toy, tmp_path, monkeypatch):
    out = tmp_path / "course.tar"
    program = f"""
import time
from pathlib import Path
from course_tools.publish import bundle
bundle.ROOT = Path({str(toy.root)!r})
def slow(folder):
    (folder / "half.whl").touch()
    print("collecting", flush=True)
    time.sleep(60)
bundle._collect_wheels = slow
bundle.make(Path({str(out)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "collecting\n"
        child.kill()
    assert not out.exists() and list(tmp_path.iterdir())
    monkeypatch.setattr(bundle, "_collect_wheels", lambda folder: None)
    start = time.time()
    assert bundle.make(out).stat().st_mtime >= start - 1
    assert [path.name for path in tmp_path.iterdir()] == ["course.tar"]
