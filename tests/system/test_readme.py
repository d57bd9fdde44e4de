"""README's commands and links work as they stand there, from their defaults; what takes long is run in a short form.

A command is run in a copy of the repository, so that the course's own folders stay as they are. `make TARGET` is run
by its own recipe, as `make -n` prints it, with what makes it short behind it.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import needs
import pytest

from recsys_helpers.checks.core import TICK
from recsys_helpers.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SMOKE = "--lesson 00 -p profile=smoke"
# What stands in README: what makes it short ("" runs it as it is), or why it is not run here.
COMMANDS = {
    "make course": SMOKE,
    "make test": None,  # it is what runs this
    "make lab": "",
    "make lab-zh": "",
    "make doctor": "",
    "make help": "",
    "make grade SUBMISSIONS=folder": "",
    "make slides": "01",
    "make bundle": "--help",  # a gigabyte to fetch; test_bundle makes a small one
    "make site": None,  # test_site runs it
    "make check": "--help",  # it would run tests in a test
    "make store": "notebooks/00_orientation.ipynb",
    "make bench": None,  # twenty minutes on a quiet machine
    ".venv/bin/python -m recsys_helpers course": SMOKE,
    ".venv/bin/python -m recsys_helpers progress": "",
    ".venv/bin/python -m recsys_helpers reset 01 --exercise 3": "",
    ".venv/bin/python -m recsys_helpers course --lesson 01 -p profile=smoke -p seed=3": "",
    ".venv/bin/python -m recsys_helpers leaderboard": "--data movielens --model popularity --profile smoke",
    ".venv/bin/python -m course_tools translations": "",
    ".venv/bin/python -m course_tools readme": "",
}
SETUP = (
    "python3 -m venv",
    ".venv/bin/python -m pip install",
    "conda ",
    "apt install",
)  # other tests
SERVES = re.compile(r"http://(localhost|127\.0\.0\.1):\d+/lab")


def named() -> list[str]:
    """Every command of README: of its indented lines, and between backquotes."""
    lines = [line.strip().partition("  #")[0].strip() for line in README.splitlines() if line.startswith("    ")]
    commands = [line for line in lines if re.match(r"(make|python3?|\.venv/bin/python|conda|apt) ", line)]
    commands += re.findall(r"`((?:make|apt|conda) [^`]+)`", README)
    return sorted({command for command in commands if not command.startswith(SETUP)})


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of the repository, times kept, with the environment that runs the tests as its .venv."""
    copy = tmp_path_factory.mktemp("readme") / "course"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(sys.prefix)
    handed_in = copy / "folder" / "ada" / "01_self_attention.ipynb"
    handed_in.parent.mkdir(parents=True)
    shutil.copy(ROOT / "exercises" / handed_in.name, handed_in)
    return copy


def surroundings(course: Path) -> dict[str, str]:
    dropped = ("RECSYS_PROGRESS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    quiet = {"BROWSER": "true", "TF_CPP_MIN_LOG_LEVEL": "3", "JUPYTER_RUNTIME_DIR": str(course / "runtime")}
    root = "c.ServerApp.allow_root = True\nc.ServerApp.port_retries = 100\n"  # containers are root's
    (course / "jupyter").mkdir(exist_ok=True)
    (course / "jupyter" / "jupyter_server_config.py").write_text(root)
    return kept | quiet | {"PYTHONPATH": str(course), "JUPYTER_CONFIG_DIR": str(course / "jupyter")}


def recipe(command: str, course: Path) -> list[str]:
    """The calls of Python that a command comes down to; installations, which are done, are no part of them."""
    if not command.startswith("make "):
        return [command]
    shown = subprocess.run(
        [*shlex.split(command), "-n"], cwd=course, env=surroundings(course), capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    lines = [line for line in shown.stdout.splitlines() if "pip install" not in line and "/pip" not in line]
    return [line for line in lines if re.search(r"-m (recsys_helpers|course_tools)", line)]


def test_every_command_of_readme_is_known_here():
    assert set(named()) <= set(COMMANDS), "say how it is tested"


@pytest.mark.parametrize("command", [name for name, short in COMMANDS.items() if short is not None])
def test_a_command_of_readme_works(command, course, request):
    assert command in README
    if command.startswith("make grade") and needs.absent("bwrap"):
        pytest.skip("needs bwrap: apt install bubblewrap")
    if command in ("make help", "make doctor"):
        done = subprocess.run(
            shlex.split(command), cwd=course, env=surroundings(course), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return
    lines = recipe(command, course)
    assert lines, f"{command} calls nothing of ours"
    lines[-1] = f"{lines[-1]} {COMMANDS[command]}"
    for line in lines:
        if re.search(r"recsys_helpers lab\b", line):
            assert opens(line, course)
            continue
        done = subprocess.run(line, shell=True, cwd=course, env=surroundings(course), capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def opens(line: str, course: Path) -> bool:
    """Whether JupyterLab says where it is to be found; it is ended then."""
    server = subprocess.Popen(
        line,
        shell=True,
        cwd=course,
        env=surroundings(course),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return any(SERVES.search(said) for said in server.stdout)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_the_programs_of_readme_run(course):
    """Those in Python, in the smoke profile: the recommender without a notebook, and what a check is called with."""
    shown = [line[4:] for line in README.splitlines() if line.startswith("    ")]
    system = [line for line in shown if re.match(r"(from recsys_helpers|system)", line)]
    steps = [line for line in shown if re.match(r"(check|hint|solution|progress)\(", line)]
    assert len(system) >= 5 and len(steps) == 4
    program = "\n".join(system).replace("Recommender()", 'Recommender(profile="smoke")')
    program += "\nfrom recsys_helpers.checks import *\nfrom recsys_helpers.models.self_attention import softmax\n"
    program += "softmax_over_keys = lambda scores: softmax(scores, axis=-1)\n" + "\n".join(steps)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=course, env=surroundings(course), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"{TICK} 01.1 correct" in done.stdout


def test_links_of_readme_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 10
    for link in links:
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists(), link
        headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / path).read_text("utf-8")) if path.endswith(".md") else []
        known = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        assert not anchor or anchor in known, link
