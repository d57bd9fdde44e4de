"""Rehearse a class: start the hub as a trial, let students run a lesson at once, measure what each of them takes.

    python docs/jupyterhub/rehearse.py --lesson 01 --students 3          # adds --write to keep it in measured.json

Every student logs in by the form, starts her server, opens the lesson from her own folder and runs its cells in a
kernel, all of it over HTTP and websockets as a browser would.
"""

import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
import requests
import typer
import websocket

from recsys_helpers.errors import CourseError

HERE = Path(__file__).resolve().parent
MEASURED, README = HERE / "measured.json", HERE / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PATIENCE = 120  # seconds for the hub or a server to come up; the slowest cell has ten times as long
MB = 1e6


@dataclass(frozen=True)
class Student:
    """One who is logged in: her name, the hub's address, her token, and the process of her running server."""

    name: str
    hub: str
    token: str
    server: psutil.Process

    def ask(self, method: str, path: str, of: str | None = None, body: dict | None = None) -> requests.Response:
        """Ask a server's API for `path`: her own server's, or that of the student named `of`."""
        headers = {"Authorization": f"token {self.token}"}
        url = f"{self.hub}/user/{of or self.name}/api/{path}"
        return requests.request(method, url, headers=headers, json=body, timeout=PATIENCE)

    def open(self, notebook: str) -> dict:
        """The content of a notebook in her folder, in nbformat's form."""
        answer = self.ask("GET", f"contents/{notebook}")
        answer.raise_for_status()
        return answer.json()["content"]

    def save(self, notebook: str, content: dict) -> None:
        """Save a notebook in her folder."""
        body = {"type": "notebook", "format": "json", "content": content}
        self.ask("PUT", f"contents/{notebook}", body=body).raise_for_status()

    def run(self, notebook: str) -> list[dict]:
        """Run the code cells in a new kernel of her own, in order, up to the first error.

        Returns one reply of Jupyter's protocol a cell: "status" is "ok", or "error" with "ename" and "evalue".
        """
        cells = [cell["source"] for cell in self.open(notebook)["cells"] if cell["cell_type"] == "code"]
        wanted = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}}
        session = self.ask("POST", "sessions", body=wanted)
        session.raise_for_status()
        kernel = session.json()["kernel"]["id"]
        address = f"{self.hub.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        header = [f"Authorization: token {self.token}"]
        channel = websocket.create_connection(address, header=header, timeout=10 * PATIENCE)
        try:
            replies = []
            for source in cells:
                replies.append(_execute(channel, source))
                if replies[-1]["status"] != "ok":
                    break
            return replies
        finally:
            channel.close()

    def processes(self) -> list[psutil.Process]:
        """Her server, its kernels and whatever they started."""
        return [self.server, *self.server.children(recursive=True)]

    def memory(self) -> float:
        """Megabytes in use now: the proportional set size, which counts a page shared by n processes as 1/n each."""
        return sum(_of(process, lambda p: p.memory_full_info().pss) for process in self.processes()) / MB

    def cpu(self) -> float:
        """CPU seconds that her processes have used so far."""
        return sum(_of(process, lambda p: sum(p.cpu_times()[:2])) for process in self.processes())


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A trial hub whose students have their homes in `folder`: its address and process. Nothing of it outlives this."""
    public, inner, proxy = _free_ports(3)
    address = f"http://127.0.0.1:{public}"
    command = [sys.executable, "-m", "jupyterhub", f"--config={HERE / 'jupyterhub_config.py'}"]
    command += [f"--JupyterHub.bind_url={address}", f"--JupyterHub.hub_bind_url=http://127.0.0.1:{inner}"]
    command += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{proxy}"]
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "hub.log"
    with log.open("w") as file:
        started = subprocess.Popen(
            command, cwd=folder, env=os.environ | {"RECSYS_HUB_TRIAL": str(folder)}, stdout=file, stderr=file
        )
    process = psutil.Process(started.pid)
    try:
        _wait(lambda: started.poll() is not None or _answers(f"{address}/hub/api"), f"the hub; see {log}")
        if started.poll() is not None:
            raise CourseError(f"The hub did not start: {log.read_text('utf-8').strip().splitlines()[-1]}")
        yield address, process
    finally:
        family = [process, *process.children(recursive=True)] if started.poll() is None else []
        started.terminate()  # it then stops the servers, whose sessions are their own, and the proxy
        for left in psutil.wait_procs(family, timeout=30)[1]:
            left.kill()
        started.wait()


def enter(address: str, hub_process: psutil.Process, name: str) -> Student:
    """Log in by the form, ask for a token, start the server."""
    browser = requests.Session()
    browser.get(f"{address}/hub/login", timeout=PATIENCE)
    form = {"username": name, "password": "", "_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
    browser.post(f"{address}/hub/login", data=form, timeout=PATIENCE).raise_for_status()
    page = browser.get(f"{address}/hub/token", timeout=PATIENCE).text
    xsrf = {"X-XSRFToken": re.search(r'xsrf_token: "([^"]+)"', page)[1], "Referer": f"{address}/hub/token"}
    tokens = f"{address}/hub/api/users/{name}/tokens"
    answer = browser.post(tokens, headers=xsrf, json={"note": "rehearsal"}, timeout=PATIENCE)
    answer.raise_for_status()
    token = answer.json()["token"]
    return Student(name, address, token, start(address, hub_process, name, token))


def start(address: str, hub_process: psutil.Process, name: str, token: str) -> psutil.Process:
    """Start her server and wait until it answers; returns its process."""
    user, header = f"{address}/hub/api/users/{name}", {"Authorization": f"token {token}"}
    requests.post(f"{user}/server", headers=header, timeout=PATIENCE).raise_for_status()
    _wait(lambda: requests.get(user, headers=header, timeout=PATIENCE).json()["server"], f"the server of {name}")
    [server] = [p for p in hub_process.children() if _of(p, lambda p: p.environ().get("JUPYTERHUB_USER")) == name]
    return server


def stop(student: Student) -> None:
    """Stop her server and wait until it is gone."""
    user, header = f"{student.hub}/hub/api/users/{student.name}", {"Authorization": f"token {student.token}"}
    requests.delete(f"{user}/server", headers=header, timeout=PATIENCE).raise_for_status()
    _wait(lambda: not student.server.is_running(), f"the server of {student.name} to stop")


def rehearse(notebook: str, names: list[str], folder: Path) -> dict:
    """All students run `notebook` at once: seconds, and for the dearest of them megabytes and CPU seconds.

    Raises CourseError when a cell fails.
    """
    with hub(folder) as (address, process), ThreadPoolExecutor(len(names)) as pool:
        students = list(pool.map(lambda name: enter(address, process, name), names))
        with Peak(students) as peak:
            idle, cpu, start = dict(peak.now()), [s.cpu() for s in students], time.monotonic()
            runs = list(pool.map(lambda student: student.run(notebook), students))
            seconds = time.monotonic() - start
            cpu = [student.cpu() - before for student, before in zip(students, cpu, strict=True)]
        for student, replies in zip(students, runs, strict=True):
            if replies[-1]["status"] != "ok":
                raise CourseError(
                    f"{student.name}, cell {len(replies)}: {replies[-1]['ename']} {replies[-1]['evalue']}"
                )
    return {
        "lesson": Path(notebook).stem,
        "students": len(names),
        "cells": len(runs[0]),
        "server_mb": round(max(idle.values())),
        "peak_mb": round(max(peak.each.values())),
        "cpu_seconds": round(max(cpu)),
        "seconds": round(seconds),
    }


class Peak:
    """While the block runs, looks at the memory of each student and keeps the most that it saw, in `each` by name."""

    def __init__(self, students: list[Student], every: float = 0.5):
        self.students, self.every = students, every
        self.each = {student.name: 0.0 for student in students}
        self._over, self._thread = threading.Event(), threading.Thread(target=self._watch)

    def now(self) -> dict[str, float]:
        """Megabytes of each student at this moment."""
        for student in self.students:
            self.each[student.name] = max(self.each[student.name], student.memory())
        return self.each

    def _watch(self) -> None:
        while not self._over.wait(self.every):
            self.now()

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()


def write(row: dict) -> None:
    """Put the row into measured.json, in place of one of the same lesson and number of students, and into README.md."""
    measured = json.loads(MEASURED.read_text("utf-8")) if MEASURED.exists() else {"rows": []}
    measured["machine"] = {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("jupyterhub", "jupyterlab", "tensorflow")},
    }
    same = (row["lesson"], row["students"])
    rows = [old for old in measured["rows"] if (old["lesson"], old["students"]) != same] + [row]
    measured["rows"] = sorted(rows, key=lambda row: (row["lesson"], row["students"]))
    _replace(MEASURED, json.dumps(measured, indent=2) + "\n")
    before, _, after = README.read_text("utf-8").partition(BEGIN)
    _replace(README, before + BEGIN + "\n" + tables(measured) + END + after.partition(END)[2])


def tables(measured: dict) -> str:
    """What README.md says of the measurements: each row, and what to plan for the dearest lesson."""
    columns = ["students", "server_mb", "peak_mb", "cpu_seconds", "seconds"]
    rows = [f"| {row['lesson'][:2]} | " + " | ".join(str(row[c]) for c in columns) + " |" for row in measured["rows"]]
    most = max(measured["rows"], key=lambda row: row["peak_mb"])
    slow = max(measured["rows"], key=lambda row: row["cpu_seconds"])
    need = most["peak_mb"] * 1.2 / 1000
    plan = [
        f"- **Memory**: {need:.1f} GB a student: the most that a lesson took ({most['peak_mb']} MB, lesson "
        f"{most['lesson'][:2]}) and a fifth more. Leave 4 GB to the system. So 16 GB hold {int(12 / need)} students, "
        f"64 GB {int(60 / need)}, 256 GB {int(252 / need)}.",
        f"- **Cores**: the dearest lesson ({slow['lesson'][:2]}) takes {slow['cpu_seconds']} CPU seconds. With two "
        f"students a core, all of whom run it from top to bottom at once, it takes {slow['cpu_seconds'] / 30:.0f} "
        f"minutes; with four, {slow['cpu_seconds'] / 15:.0f}.",
    ]
    machine = measured["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    head = [
        "| Lesson | Students at once | Server alone, MB | Peak a student, MB | CPU seconds | Seconds |",
        "|---|---|---|---|---|---|",
    ]
    told = f"Measured on {machine['cores']} cores and {machine['memory_gb']} GB, {machine['system']}, {versions}."
    return "\n".join([*head, *rows, "", told, "", *plan, ""])


def main(lesson: str = "00", students: int = 3, keep: bool = typer.Option(False, "--write")) -> None:
    """Rehearse one lesson, named by its two digits."""
    notebook = next(HERE.parents[1].glob(f"notebooks/{lesson}_*.ipynb"), None)
    if notebook is None:
        raise CourseError(f"There is no lesson {lesson!r}: name it by two digits, such as 01.")
    names = [f"student-{number}" for number in range(1, students + 1)]
    with tempfile.TemporaryDirectory() as folder:
        row = rehearse(f"notebooks/{notebook.name}", names, Path(folder))
    row["command"] = f"python docs/jupyterhub/rehearse.py --lesson {lesson} --students {students} --write"
    print(json.dumps(row))
    if keep:
        write(row)


def _execute(channel: websocket.WebSocket, source: str) -> dict:
    """Run one cell over a kernel's websocket; returns the content of its reply once the kernel is idle again."""
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "session": number, "username": "", "version": "5.3"}
    content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(message))
    reply, idle = None, False
    while reply is None or not idle:
        got = json.loads(channel.recv())
        if got["parent_header"].get("msg_id") != number:
            continue
        if got["msg_type"] == "execute_reply":
            reply = got["content"]
        idle = idle or (got["msg_type"] == "status" and got["content"]["execution_state"] == "idle")
    return reply


def _of(process: psutil.Process, what):
    """What a process says of itself, or 0 if it has just ended."""
    try:
        return what(process)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def _wait(until, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > end:
            raise CourseError(f"{PATIENCE} seconds were not enough for {what}.")
        time.sleep(0.2)


def _replace(path: Path, text: str) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text, "utf-8")
    os.replace(scratch, path)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held until the last is known, so that no two are alike."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


if __name__ == "__main__":
    try:
        typer.run(main)
    except CourseError as error:
        sys.exit(str(error))
