"""Runs a student's cells where they can do no harm: in bubblewrap, without network, with limits on everything.

Inside, only Python, the system's libraries, this package, the bundled data and the data cache can be seen, all of them
read-only. The working folder is in memory and vanishes. The cells go in by stdin; after each one a line of JSON comes
back by stdout, so what was done before a kill is not lost. This file is both ends of that pipe: `run` outside,
`python -m course_tools.grading.sandbox` inside.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT, home

LONGEST = 4000  # characters of a message or of what was printed last
GRACE = 5  # seconds that an interrupted cell has to end
EVERY = 0.1  # seconds between two looks at memory and processes
FINAL = ("stuck", "dead")
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", sys.base_prefix)


@dataclass(frozen=True)
class Limits:
    """What one notebook may use. Seconds, bytes and numbers of processes.

    The slowest cell of our own solutions takes 4 seconds.
    """

    cell: int = 60
    notebook: int = 1200
    memory: int = 4 * 2**30
    processes: int = 256
    file: int = 64 * 2**20
    folder: int = 256 * 2**20
    output: int = 2**20


@dataclass(frozen=True)
class CellRun:
    """What came back of one cell: its error, the end of what it printed, and how it was stopped.

    `stopped` is "", "time" or "output" (interrupted, the next cells ran), "stuck" (would not be interrupted) or "dead"
    (the kernel ended); after these two nothing ran. The grader puts the sandbox's own end there, in words.
    """

    ename: str = ""
    evalue: str = ""
    stdout: str = ""
    stopped: str = ""


def run(cells: list[str], limits: Limits) -> tuple[list[CellRun], str]:
    """Execute the sources of code cells one after the other in one kernel.

    Returns a CellRun for each cell that was begun and ended, and why the sandbox was ended early, or "".
    What comes back was written by the student's side, and is checked for form only.
    """
    with tempfile.TemporaryFile() as sent, tempfile.TemporaryFile() as back, tempfile.TemporaryFile() as complaints:
        sent.write(json.dumps({"cells": cells, "limits": asdict(limits)}).encode())
        sent.seek(0)
        inside = [sys.executable, "-m", "course_tools.grading.sandbox"]
        process = subprocess.Popen([*_bwrap(limits), *inside], stdin=sent, stdout=back, stderr=complaints)
        try:
            ended = _watch(process, limits)
        finally:
            process.kill()
            process.wait()
        back.seek(0)
        runs = _read(back.read(limits.file))
        complaints.seek(0)
        if not ended and process.returncode:
            ended = f"the sandbox failed: {' '.join(complaints.read()[-300:].decode(errors='replace').split())}"
    return runs, ended


def require() -> None:
    """Raise CourseError unless bubblewrap is there and works on this machine."""
    if shutil.which("bwrap") is None:
        raise CourseError("grading runs submissions in bubblewrap, which is not here: apt install bubblewrap")
    trial = subprocess.run([*_bwrap(Limits()), "/bin/true"], capture_output=True, text=True)
    if trial.returncode:
        raise CourseError(
            f"bubblewrap does not work here ({' '.join(trial.stderr.split())}); "
            "allow unprivileged user namespaces, or grade in a virtual machine"
        )


def _bwrap(limits: Limits) -> list[str]:
    """The bubblewrap call up to the program. Order matters: what lies in the repository is hidden, then parts shown."""
    command = "bwrap --unshare-all --die-with-parent --new-session --cap-drop ALL --clearenv --proc /proc --dev /dev"
    command += f" --size {limits.folder} --tmpfs /dev/shm --size {limits.folder} --tmpfs /tmp --dir /tmp/work"
    arguments = command.split()
    for path in SYSTEM:
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--size", "4096", "--tmpfs", str(ROOT)]
    for path in (sys.prefix, ROOT / "recsys_helpers", ROOT / "course_tools" / "grading", ROOT / "datasets", home()):
        arguments += ["--ro-bind-try", str(path), str(path)]
    environment = {
        "HOME": "/tmp/home",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "RECSYS_HOME": str(home()),
        "RECSYS_LANGUAGE": "en",  # the instructor's, whatever the student's
        "RECSYS_PROGRESS": "off",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--remount-ro", str(ROOT), "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp/work"]


def _watch(process: subprocess.Popen, limits: Limits) -> str:
    """Wait for the end; returns which limit was passed, or "". The caller kills what is left."""
    start = time.monotonic()
    while process.poll() is None:
        memory, processes = _use(process.pid, limits.memory)
        if processes > limits.processes:
            return f"started more than {limits.processes} processes"
        if memory > limits.memory:
            return f"used more than {limits.memory / 2**30:.2g} GiB of memory"
        if time.monotonic() - start > limits.notebook:
            return f"the notebook ran longer than {limits.notebook} seconds"
        time.sleep(EVERY)
    return ""


def _use(pid: int, enough: int) -> tuple[int, int]:
    """Bytes of memory and number of the processes below `pid`.

    Resident bytes count shared pages for each process. The exact share is slow to read, so only above `enough` bytes.
    """
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return 0, 0
    for exact in (False, True):
        memory = 0
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                memory += child.memory_full_info().pss if exact else child.memory_info().rss
        if memory <= enough:
            break
    return memory, len(children)


def _read(sent: bytes) -> list[CellRun]:
    """The lines that came back, up to the first that is not as it should be."""
    runs = []
    for line in sent.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            break  # cut off by a kill, or forged
        names = {field.name for field in fields(CellRun)}
        if not isinstance(found, dict) or set(found) != names:
            break
        if not all(isinstance(value, str) and len(value) <= LONGEST for value in found.values()):
            break
        runs.append(CellRun(**found))
    return runs


# --- Inside -----------------------------------------------------------------------------------------------------------


def _limit(limits: Limits) -> None:
    """What the operating system enforces by itself, for this process and all that it starts."""
    import resource

    bounds = {
        resource.RLIMIT_DATA: limits.memory,
        resource.RLIMIT_FSIZE: limits.file,
        resource.RLIMIT_NPROC: 4 * limits.processes,  # counts threads, too
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))


async def _execute(cells: list[str], limits: Limits) -> None:
    """Execute the cells and write a line for each; ends early when the kernel is dead."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    class Client(NotebookClient):
        """A client that stops a cell by interrupting it: after its time, or when it prints without end."""

        stopped, printed = "", 0

        def stop(self, why: str) -> None:
            if not self.stopped:
                self.stopped = why
                self.interruption = asyncio.ensure_future(self.km.interrupt_kernel())

        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] in ("stream", "display_data", "execute_result", "update_display_data"):
                self.printed += len(str(msg["content"]))
                if self.printed > limits.output:
                    return self.stop("output")
            return super().process_message(msg, cell, cell_index)

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    client = Client(notebook, kernel_name="python3", allow_errors=True, timeout=None, iopub_timeout=30)
    client.shutdown_kernel = "immediate"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    async with client.async_setup_kernel(**quiet):
        for index, cell in enumerate(notebook.cells):
            client.stopped, client.printed = "", 0
            alarm = asyncio.get_running_loop().call_later(limits.cell, client.stop, "time")
            try:
                await asyncio.wait_for(client.async_execute_cell(cell, index), limits.cell + GRACE)
            except (DeadKernelError, TimeoutError):
                client.stopped = "stuck" if client.stopped else "dead"
            finally:
                alarm.cancel()
            print(json.dumps(asdict(_summary(cell.outputs, client.stopped))), flush=True)
            if client.stopped in FINAL:
                return


def _summary(outputs: list, stopped: str) -> CellRun:
    """What the grader wants to know of a cell's outputs; the verdict is printed last, so the end of stdout is kept."""
    error = next((output for output in outputs if output.output_type == "error"), {"ename": "", "evalue": ""})
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    return CellRun(error["ename"][:100], error["evalue"][:LONGEST], printed[-LONGEST:], stopped)


def _main() -> None:
    """Read the job from stdin and work; stdout is for the answers alone, the kernel gets none of it."""
    job = json.load(sys.stdin)
    limits = Limits(**job["limits"])
    _limit(limits)
    Path.home().mkdir(parents=True)
    asyncio.run(_execute(job["cells"], limits))


if __name__ == "__main__":
    _main()
