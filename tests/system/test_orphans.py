"""A command that is ended, by its own process id and not by that of its group, leaves no process behind."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from recsys_helpers.paths import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
TOKEN = "RECSYS_TEST_TOKEN"  # in the environment of a command and of all that it starts, by whomever
PATIENCE = 60  # seconds, for machines that do other work too

# Each program is a command whose children wait; {folder} is a folder of its own, {port} one where nobody answers.
PROGRAMS = {
    "fetch": """
from recsys_helpers.data import assets
asset = {{"requirement": "toy==1.0", "wheel": {{"size": 1, "sha256": ""}}, "members": {{}}}}
assets.registry = lambda: {{"toy": asset}}
run(lambda: assets.fetch("toy"))
""",
    "doctor": """
from recsys_helpers.course import doctor
doctor.KERAS = "import time; " + "time.sleep(600)"
run(doctor.doctor)
""",
    "site": """
from course_tools.publish import site
def gather(source, language):
    source.mkdir(parents=True)
    (source / "conf.py").write_text("import time; time.sleep(600)")
site.gather = gather
run(lambda: site.make(Path("{folder}/site")))
""",
    "bundle": """
from course_tools.publish import bundle
for name in ("requirements/student.lock", "pyproject.toml", "slow/pyproject.toml", "slow/slow.py"):
    Path("{folder}", name).parent.mkdir(exist_ok=True)
Path("{folder}/requirements/student.lock").write_text("slow @ file://{folder}/slow")
Path("{folder}/pyproject.toml").write_text("[build-system]\\nrequires = []")
Path("{folder}/slow/pyproject.toml").write_text(
    "[build-system]\\nrequires = []\\nbuild-backend = 'slow'\\nbackend-path = ['.']\\n[project]\\nname = 'slow'"
)
Path("{folder}/slow/slow.py").write_text("import time; time.sleep(600)")
bundle.ROOT, bundle._course_files, bundle._require_space = Path("{folder}"), lambda: [], lambda folder, files: None
bundle.assets.registry = lambda: {{}}
run(lambda: bundle.make(Path("{folder}/out/course.tar")))
""",
    "course": """
import nbformat
from recsys_helpers.course import notebooks, run as running
cells = [nbformat.v4.new_code_cell("seed = 1", metadata={{"tags": ["parameters"]}}),
         nbformat.v4.new_code_cell("import time; time.sleep(600)")]
notebooks.write(nbformat.v4.new_notebook(cells=cells), Path("{folder}/00_small.ipynb"))
run(lambda: running.run_lesson(Path("{folder}/00_small.ipynb"), Path("{folder}/out/00_small.ipynb"), {{}}, False))
""",
    "store": """
import nbformat
from course_tools.author.store import store
from recsys_helpers.course import notebooks
cells = [nbformat.v4.new_code_cell("import time; time.sleep(600)")]
notebooks.write(nbformat.v4.new_notebook(cells=cells), Path("{folder}/00_small.ipynb"))
run(lambda: store(Path("{folder}/00_small.ipynb")))
""",
    "lab": """
from recsys_helpers.__main__ import lab
run(lambda: lab(Path("{folder}")))
""",
}
# what the command line of the process says that is to be waited for
CHILDREN = {
    "fetch": "pip download",
    "doctor": "import time; time.sleep",
    "site": "-m sphinx",
    "bundle": "_in_process",
    "course": "ipykernel_launcher",
    "store": "ipykernel_launcher",
    "lab": "jupyterlab",
}


def with_token(token: str) -> list[psutil.Process]:
    """Every living process that a command has started, also those whose parents are gone."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def runs(token: str, words: str) -> bool:
    """Whether a command has come to start a process with these words in its command line."""
    with suppress(psutil.Error):  # one that has just ended
        return any(words in " ".join(process.cmdline()) for process in with_token(token))
    return False


def wait_until(done) -> bool:
    end = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < end:
        time.sleep(0.1)
    return done()


@pytest.fixture
def silence():
    """The port of a server that takes every call and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def cases() -> list:
    """Every command with both signals; those that start slowly get the second one in the thorough tests alone."""
    slow = {signal.SIGINT: [name for name in PROGRAMS if name not in ("fetch", "bundle")], signal.SIGTERM: []}
    return [
        pytest.param(name, number, id=f"{name}-{number.name}", marks=[pytest.mark.thorough] * (name in slow[number]))
        for name in PROGRAMS
        for number in slow
    ]


@pytest.mark.parametrize(("name", "number"), cases())
def test_no_process_is_left_when_a_command_is_ended(tmp_path, silence, name, number):
    token = secrets.token_hex(8)
    settings = {TOKEN: token, "RECSYS_HOME": f"{tmp_path}/home", "PIP_INDEX_URL": f"http://127.0.0.1:{silence}"}
    settings |= {"PYTHONPATH": str(ROOT), "PIP_CONFIG_FILE": os.devnull, "BROWSER": "true", "HOME": str(tmp_path)}
    program = "from pathlib import Path\nfrom recsys_helpers.__main__ import run\n"
    program += PROGRAMS[name].format(folder=tmp_path, port=silence)
    with open(tmp_path / "said", "wb") as said:
        command = subprocess.Popen(
            [sys.executable, "-c", program], env=os.environ | settings, cwd=ROOT, stdout=said, stderr=said
        )
    try:
        assert wait_until(lambda: command.poll() is not None or runs(token, CHILDREN[name]))
        assert command.poll() is None, (tmp_path / "said").read_text("utf-8")
        time.sleep(1.5 if name in ("course", "store", "lab") else 0.2)
        command.send_signal(number)
        command.wait(PATIENCE)
        if number == signal.SIGTERM:  # JupyterLab, which has taken the command's place, may die of it as it starts
            told = (tmp_path / "said").read_text("utf-8")
            assert command.returncode in (2, 143) or name == "lab", told
        assert wait_until(lambda: not with_token(token)), [one.cmdline() for one in with_token(token)]
    finally:
        for process in with_token(token):
            process.kill()
        command.wait()
    assert not [path.name for path in tmp_path.rglob("*.part")]
