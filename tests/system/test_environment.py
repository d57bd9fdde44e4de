"""The sets of pyproject.toml and their locks, what `make` installs of them and when, and a quick start."""

import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course_tools.author.lock import UNUSED
from recsys_helpers import sets
from recsys_helpers.course import preflight
from recsys_helpers.paths import ROOT, package_folder

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
SETS = [sets.STUDENT, *sets.EXTRAS]
LOCKS = {name: list(map(Requirement, sets.lock_file(name).read_text("utf-8").splitlines())) for name in SETS}
MACHINES = [
    {"python_version": version, "python_full_version": f"{version}.7", "sys_platform": system, "platform_machine": kind}
    for version in ("3.11", "3.12", "3.13")
    for system, kind in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
]


def version_of(line: Requirement) -> str:
    return next(iter(line.specifier)).version


def applies(line: Requirement, machine: dict[str, str]) -> bool:
    return line.marker is None or line.marker.evaluate(machine)


def test_there_is_a_lock_for_the_student_and_for_each_extra():
    assert set(EXTRAS) == set(sets.EXTRAS)
    assert {path.stem for path in (ROOT / "requirements").iterdir()} == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_a_lock_satisfies_the_project(name):
    locked = {}
    for line in [*LOCKS[sets.STUDENT], *LOCKS[name]]:
        locked.setdefault(line.name, set()).add(version_of(line))
    for wanted in map(Requirement, [*PROJECT["dependencies"], *EXTRAS.get(name, [])]):
        if wanted.name != PROJECT["name"]:
            assert wanted.name in locked, f"{wanted.name} is not in {name}.lock: python -m course_tools lock"
            assert all(wanted.specifier.contains(version) for version in locked[wanted.name])


def test_every_line_of_every_lock_is_one_pinned_version():
    for line in itertools.chain(*LOCKS.values()):
        assert [s.operator for s in line.specifier] == ["=="], line


def test_all_locks_are_of_one_resolution():
    """On every machine a package has one version, whichever sets are installed there."""
    for machine in MACHINES:
        versions = {}
        for line in itertools.chain(*LOCKS.values()):
            if applies(line, machine):
                versions.setdefault(line.name, set()).add(version_of(line))
        assert not {name: found for name, found in versions.items() if len(found) > 1}, machine


def test_tests_have_the_sets_of_all_others_but_the_gpu():
    everything = set(map(str, LOCKS["test"]))
    for name in ("instructor", "site", "scale"):
        assert set(map(str, LOCKS[name])) <= everything


def test_every_machine_has_one_tensorflow():
    for machine in MACHINES:
        found = [line.name for line in LOCKS[sets.STUDENT] if line.name in sets.TENSORFLOWS and applies(line, machine)]
        processor = (machine["sys_platform"], machine["platform_machine"]) == ("linux", "x86_64")
        assert found == ["tensorflow-cpu" if processor else "tensorflow"]


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_all_that_its_packages_ask_for(name):
    """Locks are installed without looking at dependencies, so nothing may be missing but UNUSED."""
    there = {canonicalize_name(line.name) for key in (sets.STUDENT, name) for line in sets.locked(key)}
    there |= {*sets.TENSORFLOWS, *UNUSED}
    for package in sorted(there):
        try:
            asked = metadata.requires(package) or []
        except metadata.PackageNotFoundError:  # tensorflow or tensorflow-cpu, and the gpu set
            continue
        for wanted in map(Requirement, asked):
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                assert canonicalize_name(wanted.name) in there, f"{package} needs {wanted.name}"


def test_what_the_locks_leave_out_is_imported_nowhere():
    """libclang is asked for by TensorFlow, which has no program that imports it."""
    folder = package_folder("tensorflow") / "python"
    assert not [
        path for path in folder.rglob("*.py") if re.search(r"^\s*(import|from) clang", path.read_text("utf-8"), re.M)
    ]


def test_keras_nlp_and_keras_hub_carry_one_version():
    versions = {version_of(line) for line in LOCKS[sets.STUDENT] if line.name in ("keras-nlp", "keras-hub")}
    assert len(versions) == 1


def test_conda_gives_python_and_pip_and_pip_the_same_lock():
    text = (ROOT / "environment.yml").read_text()
    python, pip = yaml.safe_load(text)["dependencies"]
    low, high = re.findall(r"3\.\d+", PROJECT["requires-python"])
    assert python.split("=")[1] >= low and int(python.split(".")[1]) < int(high.split(".")[1])
    assert pip == "pip" and f"{sets.install()} -e ." in text


@pytest.fixture
def clone(tmp_path) -> Path:
    """What `make` reads of the course, in a folder where nothing is installed."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("requirements", "recsys_helpers", "docs/measured"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = ["make", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


NEEDS = {
    **{key: ["student"] for key in ("course", "lab", "lab-zh", "fetch", "bundle", "lock", "setup")},
    **{key: ["student", "instructor"] for key in ("grade", "slides", "instructor")},
    **{key: ["student", "test"] for key in ("test", "store", "bench")},
    "site": ["student", "site"],
    "scale": ["student", "scale"],
    "gpu": ["student", "gpu"],
    "doctor": [],
}


@pytest.mark.parametrize("target", NEEDS)
def test_a_target_installs_its_own_sets_only(clone, target):
    planned = make(clone, "--dry-run", target, "SUBMISSIONS=class").stdout
    assert re.findall(r"pip install .*--no-deps .*-r requirements/(\w+)\.lock", planned) == NEEDS[target]
    (clone / ".venv").mkdir()
    for name in NEEDS[target]:
        (clone / ".venv" / f".{name}").touch()
    assert "requirements/" not in make(clone, "--dry-run", target, "SUBMISSIONS=class").stdout


def test_nothing_is_installed_before_a_mistake_is_named(clone):
    run = make(clone, "grade")
    assert run.returncode and "make grade SUBMISSIONS=path/to/folder" in run.stdout
    run = make(clone, "doctor", f"PYTHON={sys.executable} -S")  # -S: without any installed package
    assert run.returncode and "nothing is installed yet" in run.stdout
    assert "To mend packages:  make course" in run.stdout
    assert make(clone, "lab", "PYTHON=false").returncode
    assert not (clone / ".venv").exists()
    (clone / ".venv").mkdir()
    assert ".venv was not finished" in make(clone, "doctor", f"PYTHON={sys.executable}").stdout


def test_before_an_installation_only_faults_are_told(monkeypatch, capsys):
    assert preflight.main(before_install=True) == 0 and capsys.readouterr().out == ""
    monkeypatch.setattr(preflight, "sys", SimpleNamespace(version_info=(3, 9, 2)))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2e9))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    assert preflight.main(before_install=True) == 1
    told = capsys.readouterr().out
    assert "3.9.2 (needs 3.11, 3.12 or 3.13)" in told and "PYTHON=python3.12" in told
    assert "apt install python3-venv" in told and "2.0 GB free" in told


def test_no_file_carries_an_index_address():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    texts = [
        ROOT / name for name in tracked if name.endswith((".lock", ".toml", ".yml", ".txt", ".cfg", "Makefile", "run"))
    ]
    assert len(texts) >= 5
    for path in texts:
        assert "://" not in path.read_text(), path


@pytest.mark.parametrize("target", [*NEEDS, "clean"])
def test_make_help_lists_every_target_in_one_line(target):
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(rf"^make {target} +\w.+$", shown, flags=re.M)) == 1


def imported(code: str) -> set[str]:
    """The modules of a fresh Python that ran this."""
    program = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("most", "code"),
    [
        (100, "import recsys_helpers"),
        (450, "sys.argv[1:] = ['--help']\nfrom recsys_helpers.__main__ import app\napp(standalone_mode=False)"),
    ],
    ids=["the package", "the command line's help"],
)
def test_starting_takes_no_time(most, code):
    """Time is what imports take: none of the heavy packages, and few modules (70 and 330 were counted)."""
    modules = imported(code)
    assert not modules & {"numpy", "pandas", "scipy", "matplotlib", "keras", "tensorflow", "papermill", "nbformat"}
    assert len(modules) < most
