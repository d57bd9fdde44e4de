"""What starts the course elsewhere: Binder, as far as repo2docker goes without Docker, and the devcontainer's schema.

devContainer.base.schema.json is the schema of github.com/devcontainers/spec, folder schemas, licence MIT.
"""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft201909Validator

from recsys_helpers.paths import ROOT

BINDER = ROOT / ".binder"
DEVCONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
SCHEMA = Draft201909Validator(
    json.loads((ROOT / "tests" / "support" / "devContainer.base.schema.json").read_text("utf-8"))
)


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory) -> str:
    """What repo2docker would hand to Docker for this repository."""
    copy = tmp_path_factory.mktemp("binder") / "course"
    shutil.copytree(BINDER, copy / ".binder")
    for name in ("pyproject.toml", "environment.yml"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_repo2docker_takes_the_conda_recipe_with_this_python(dockerfile):
    assert 'env update -p ${NB_PYTHON_PREFIX} --file ".binder/environment.yml"' in dockerfile
    assert "RUN ./.binder/postBuild" in dockerfile
    copied = dockerfile.index("COPY --chown=0:0 src/ ${REPO_DIR}/")
    assert copied < dockerfile.index("RUN ./.binder/postBuild"), "the lock is there when pip asks for it"
    assert "python=3.11" in (BINDER / "environment.yml").read_text("utf-8")


def test_binder_installs_what_conda_users_get():
    here, root = (yaml.safe_load((f / "environment.yml").read_text("utf-8")) for f in (BINDER, ROOT))
    assert here == root
    step = "python -m pip install --no-deps -r requirements/student.lock -e ."
    assert step in (ROOT / "environment.yml").read_text("utf-8")
    assert step in (BINDER / "postBuild").read_text("utf-8").replace("--no-cache-dir ", "")


def test_binder_installs_and_fetches_while_it_builds(tmp_path):
    log, python = tmp_path / "log", tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    python.chmod(0o755)
    subprocess.run([BINDER / "postBuild"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    assert log.read_text().splitlines() == [
        "-m pip install --no-cache-dir --no-deps -r requirements/student.lock -e .",
        "-m recsys_helpers fetch",
        "-m recsys_helpers chinese",
    ]
    known = subprocess.run([sys.executable, "-m", "recsys_helpers", "--help"], capture_output=True, text=True).stdout
    assert re.search(r"\bfetch\b", known) and re.search(r"\bchinese\b", known)


def test_the_devcontainer_follows_its_schema():
    assert not list(SCHEMA.iter_errors(DEVCONTAINER))
    assert list(SCHEMA.iter_errors(DEVCONTAINER | {"forwardPorts": "8888"})), "the schema does refuse"
    assert list(
        SCHEMA.iter_errors({key: value for key, value in DEVCONTAINER.items() if key != "image"} | {"build": 1})
    )


def test_the_devcontainer_runs_commands_that_exist():
    targets = re.findall(r"make ([a-z-]+)", DEVCONTAINER["postCreateCommand"])
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert targets and all(re.search(rf"(?m)^{target}: ", makefile) for target in targets)
    minor = int(re.search(r"python:3\.(\d+)", DEVCONTAINER["image"])[1])
    assert 11 <= minor <= 13
