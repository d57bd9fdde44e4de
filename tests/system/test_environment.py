"""One environment, written down three times: pyproject.toml, requirements.lock and environment.yml; a quick start."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from recsys_helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]


def test_the_lock_satisfies_the_project():
    locked = {}
    for requirement in LOCK:
        locked.setdefault(requirement.name, []).append(next(iter(requirement.specifier)).version)
    for wanted in map(Requirement, PROJECT["dependencies"]):
        assert wanted.name in locked, f"{wanted.name} is not in requirements.lock"
        assert all(wanted.specifier.contains(version) for version in locked[wanted.name])


def test_every_line_of_the_lock_is_one_pinned_version():
    for requirement in LOCK:
        assert [s.operator for s in requirement.specifier] == ["=="], requirement


def test_keras_nlp_and_keras_hub_carry_one_version():
    versions = {next(iter(r.specifier)).version for r in LOCK if r.name in ("keras-nlp", "keras-hub")}
    assert len(versions) == 1


def test_conda_gets_the_same_packages():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(entry for entry in conda["dependencies"] if str(entry).startswith("python"))
    low, high = re.findall(r"3\.\d+", PROJECT["requires-python"])
    assert python.split("=")[1] >= low and int(python.split(".")[1]) < int(high.split(".")[1])
    pip = next(entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock", "-e ."]


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


@pytest.mark.parametrize(
    "target",
    ["course", "test", "test-all", "check", "lab", "doctor", "fetch", "grade", "slides", "bundle", "store", "clean"],
)
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
