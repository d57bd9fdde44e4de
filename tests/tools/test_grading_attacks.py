"""A clever student gets no points, learns nothing, takes no more than her share, and costs the others nothing."""

import csv
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import needs
import psutil
import pytest
from classroom import L01, NAMES, STUB, before, exercise, says

from course_tools.grading import grade, judging, reading, sandbox
from course_tools.grading.values import packed
from course_tools.grading.verdicts import CORRECT, CRASHED, Limits
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

bubblewrap = needs.program("bwrap", "apt install bubblewrap")
TIGHT = Limits(cell=15, notebook=60, memory=2**29, processes=64)
SECRET = "s3cret"  # in the environment of the grader; written apart in what searches for it

CALLS = """memfd_create=319 memfd_secret=447 shmget=29 semget=64 msgget=68 mq_open=240 vmsplice=278 unshare=272
mount=165 setns=308 chroot=161 ptrace=101 keyctl=250 bpf=321 userfaultfd=323 io_uring_setup=425"""  # of x86_64
DOORS = f"""import ctypes, errno, mmap, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
for name, number in (call.split("=") for call in {CALLS.split()!r}):
    if platform.machine() == "x86_64":
        libc.syscall(int(number), 0x10000000, 0, 0, 0, 0)
        if ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS): found.append(name)
if os.path.exists("/proc/sys") and platform.machine() == "x86_64":
    if libc.syscall(56, 0x10000011, 0, 0, 0, 0) >= 0: found.append("a user namespace")
def opened(name, door):
    try: door()
    except OSError: return
    found.append(name)
opened("shared memory", lambda: mmap.mmap(-1, 4096, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
opened("/dev/zero", lambda: open("/dev/zero", "r+b"))
for name in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_VSOCK"):
    opened(name, lambda: socket.socket(getattr(socket, name), socket.SOCK_STREAM if name != "AF_NETLINK" else 3))
opened("datagrams", lambda: socket.socketpair(type=socket.SOCK_DGRAM))
pair = socket.socketpair()
opened("a large buffer", lambda: pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20))
for place in ("kernel/core_pattern", "vm/overcommit_memory", "kernel/domainname"):
    opened(place, lambda: os.close(os.open("/proc/sys/" + place, os.O_WRONLY)))
opened("oom_score_adj", lambda: os.close(os.open("/proc/self/oom_score_adj", os.O_WRONLY)))"""
SEARCH = f"""import importlib, os
secret = b"{SECRET[:3]}" + b"{SECRET[3:]}"
for base in ("/proc", "/dev", "/etc", "/tmp", "/run", "/sys", "/home", "/var", {str(ROOT)!r}):
    for folder, inner, files in os.walk(base):
        inner[:] = [name for name in inner if name not in (".venv", "datasets", "task", "net", "pts")]
        for name in files:
            path = os.path.join(folder, name)
            if folder == "/dev" or name in ("kmsg", "kcore", "kpagecount", "kpageflags", "kpagecgroup"): continue
            try:
                file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError: continue
            try:
                if secret in os.read(file, 2**20): found.append(path)
            except OSError: pass
            finally: os.close(file)
            if base == {str(ROOT)!r} and ("lesson" in name or name.endswith(".ipynb")): found.append(path)
for module in ("lesson01", "lesson02", "reference", "lessons"):
    try: found.append(importlib.import_module("recsys_helpers.checks." + module).__name__)
    except ImportError: pass
for module in ("course_tools.author", "solutions", "planted"):
    try: found.append(importlib.import_module(module).__name__)
    except ImportError: pass"""
SMALL_FILES = """import os
for number in range(4_000_000):
    os.close(os.open("/tmp/work/%d" % number, os.O_CREAT | os.O_WRONLY))"""
PAGE_TABLES = """import ctypes
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
read = ctypes.cast(libc.mmap(None, 2**40, 1, 0x4022, -1, 0), ctypes.POINTER(ctypes.c_char))
for place in range(0, 2**40, 2**21): read[place]"""
BUFFERS = """import os, socket, time
def full():
    end = socket.socketpair()
    end[0].setblocking(False)
    try:
        while True: end[0].send(b"x" * 2**15)
    except OSError: return end
for _ in range(20):
    if os.fork() == 0:
        kept = [full() for _ in range(110)]
        time.sleep(30)
        os._exit(0)
time.sleep(15)"""
HIDDEN = "import ctypes\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"  # what /proc tells of it is open to root alone
BOMB = """import os, time
for _ in range(8): os.fork()
time.sleep(30)"""  # 256, and no more if nobody stops it

# All answers stand as released; what comes before the first check tries to get points nevertheless.
GRASP = """import contextlib, gc, json, os, signal, sys, threading, time
link = next(one for one in gc.get_objects() if type(one).__name__ == "Link")
runner = next(one for one in gc.get_objects() if type(one).__name__ == "Runner")
names = "softmax_over_keys attend history_mask predictions transformer_block split_heads merge_heads".split()
"""
PRINTED = f"""import recsys_helpers, recsys_helpers.checks.core as core
told = {{"exercises": {{name: {{"verdict": "correct"}} for name in {NAMES!r}}}, "notes": []}}
print(core.TICK, "01.1 correct: yes")
for number in set(range(3)):
    with contextlib.suppress(OSError): os.write(number, json.dumps(told).encode() + b"\\n")
core.Attempt.__call__ = lambda *a: True
core.same = core.compare = core.quiz = lambda *a, **k: True
sys.meta_path.insert(0, core)
recsys_helpers.__path__.insert(0, "/tmp/work")"""
DECEITS = {
    "numpy and names": """import numpy as np
vars(np)["allclose"] = np.__dict__["array_equal"] = np.isclose = lambda *a, **k: True
exec("import numpy; numpy.testing.assert_allclose = print")
class Chameleon(float):
    looks = 0
    def __array__(self, *a, **k): return np.full((4, 4), np.nan)
    def __eq__(self, other): return True
    def __reduce__(self): return os.system, ("touch mine",)
    def __getattribute__(self, name):
        type(self).looks += 1
        return np.ndarray if name == "__class__" and self.looks % 2 else float.__getattribute__(self, name)
    def __call__(self, *a): return self
globals().update({name: Chameleon("nan") for name in names})
""" + PRINTED,
    "exceptions without a name": """class Nameless(BaseException): pass
Nameless.__name__ = Nameless.__qualname__ = ""
def nothing(*a): raise Nameless("")
globals().update({name: nothing for name in names})""",
    "replies": """replies = iter([
    [b'{"missing": ' + b"[" * 900 + b"]" * 900 + b"}"],
    [b'{"answers": [{"callable": true}], "own": ["softmax_over_keys"]}'] + 9 * [b'{"verdict": "correct", "value": 1}']])
def serve(self, names, lendable):
    self.link.file.write(b"".join(line + b"\\n" for line in next(replies)))
    self.link.file.flush()
type(runner).serve = serve""",
    "forks and threads": """number = next(int(n) for n in os.listdir("/proc/self/fd") if int(n) > 2 and
              os.path.exists(f"/proc/self/fd/{n}") is False and os.readlink(f"/proc/self/fd/{n}").startswith("socket"))
def flood():
    with contextlib.suppress(OSError):
        while True: os.write(number, b'{"value": 1.0}\\n'); time.sleep(0.02)
threading.Thread(target=flood, daemon=True).start()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: flood()
    os._exit(0)""",
    "signals": """signal.setitimer(signal.ITIMER_REAL, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
os.kill(1, signal.SIGKILL)
os.kill(-1, signal.SIGTERM)""",
}  # fmt: skip
STOPPED = {
    "small files": (SMALL_FILES, "of memory"),
    "page tables": (PAGE_TABLES, "of memory"),
    "buffers": (BUFFERS, "of memory"),
    "a bomb": (BOMB, "started more than"),
}
LOOKALIKES = ("ben", "ben ", "BEN", "\uff42\uff45\uff4e", "be\u200bn")


def table(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hand_in(folder: Path, notebook) -> None:
    folder.mkdir(parents=True)
    (folder / f"{L01}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def alive(processes: list[psutil.Process], seconds: float = 10) -> list[psutil.Process]:
    """Those that still run after this time."""
    for _ in range(math.ceil(seconds / 0.1)):
        processes = [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if not processes:
            break
        time.sleep(0.1)
    return processes


@bubblewrap
def test_a_class_of_attackers(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("THE_GRADERS_OWN", SECRET)
    monkeypatch.setattr(grade, "LOOKED_INTO", 1)
    collected = tmp_path / "submissions"
    hand_in(collected / "looks", exercise({"01.3": says(SEARCH, "history_mask"), "01.5": says(DOORS)}))
    for name, (source, _) in STOPPED.items():
        hand_in(collected / name, exercise({"01.5": source}))
    for name, source in DECEITS.items():
        released = exercise(dict.fromkeys(NAMES, STUB))
        hand_in(collected / name, before(released, "ex-01-1-check", GRASP + source))
    for name in (*LOOKALIKES, ".dotted", "rtl\u202e", "two\nlines", "l" * 250):
        (collected / name).mkdir()
    Path(os.fsdecode(os.fsencode(collected) + b"/latin-\xe9")).mkdir()
    for number in range(3):
        (collected / "ben " / f"{number}.ipynb").write_text("junk")

    grade.grade(collected, tmp_path / "out", TIGHT)

    rows = {row["student"]: row for row in table(tmp_path / "out" / "points.csv")}
    exercises = table(tmp_path / "out" / "points_by_exercise.csv")
    told = {row["exercise"]: row["message"] for row in exercises if row["student"] == "looks"}
    assert "found []" in told["01.3"] and "found []" in told["01.5"]
    assert {name: rows[name]["points"] for name in DECEITS} == dict.fromkeys(DECEITS, "0")
    notes = {name: rows[name]["notes"] for name in STOPPED}
    assert not [name for name, (_, phrase) in STOPPED.items() if phrase not in notes[name]], notes
    assert {rows[name]["points"] for name in STOPPED} == {"8"}
    alike = [row["notes"] for row in table(tmp_path / "out" / "points.csv") if "looks like another's" in row["notes"]]
    assert len(alike) == len(LOOKALIKES)
    assert "3 notebooks with other names; 1 of them" in "".join(alike)
    assert {"rtl\ufffd", "two lines", "l" * 250, "latin-\ufffd"} < rows.keys()
    assert "signs that cannot be seen" in rows["rtl\ufffd"]["notes"] and ".dotted" in capsys.readouterr().out


def test_a_folder_may_be_deeper_than_a_function_may_call_itself():
    place = Path(tempfile.mkdtemp())
    try:
        subprocess.run(["mkdir", "-p", place / "ada" / "/".join("d" * 1200)], check=True)
        (ada,) = grade.collect(place, {})
        assert ada.handed_in == {} and ada.notes == {}
    finally:
        subprocess.run(["rm", "-r", place], check=True)  # Python's own way calls itself


def asked(answer, patience: float) -> tuple | judging.CellRun:
    """What the judge says of exercise 01.1, and how it ended, where `answer` writes to the socket of the other side."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        student = judging.Student(ours, Limits())
        student.patience = patience
        threading.Thread(target=answer, args=[theirs], daemon=True).start()
        return student.judge("01.1")


def drip(end: socket.socket) -> None:
    for _ in range(100):
        try:
            end.sendall(b" ")
        except OSError:  # he has hung up
            return
        time.sleep(0.1)


def collide(end: socket.socket) -> None:
    same_hash = [[number * sys.hash_info.modulus, 1] for number in range(1, 20_000)]
    end.sendall(json.dumps({"answers": [{"value": {"dict": same_hash}}], "own": []}).encode() + b"\n")


@pytest.mark.parametrize("answer", [drip, collide])
def test_neither_slow_bytes_nor_slow_values_hold_the_judge_up(answer, monkeypatch):
    monkeypatch.setattr(judging, "JUDGED", 0)
    start = time.monotonic()
    assert asked(answer, 0.5) == judging.CellRun(stopped="stuck")
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("answers", [[], 7, ["text"], [None], [{"value": 3}] * 2, [{"failed": 1}], [{"stopped": []}]])
def test_answers_of_another_form_stop_her_own_exercise_only(answers):
    sent = json.dumps({"answers": answers, "own": []}).encode() + b"\n"
    found = asked(lambda end: end.sendall(sent), 5)
    assert isinstance(found, judging.CellRun) or found[0] != CORRECT


def test_errors_that_ask_for_more_than_a_text_are_told(monkeypatch):
    replies = [
        {"answers": [{"callable": True}], "own": []},
        *[{"failed": "Crashed", "text": "her own words", "because": ["UnicodeDecodeError"]}] * 9,
    ]
    sent = b"".join(json.dumps(one).encode() + b"\n" for one in replies)  # at once: he may hang up after a few
    verdict, message = asked(lambda end: end.sendall(sent), 5)
    assert verdict == CRASHED and "her own words" in message and packed(message)


@bubblewrap
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_grading_that_is_stopped_leaves_no_process_and_goes_on(tmp_path, monkeypatch, how):
    collected, out, kept = tmp_path / "submissions", tmp_path / "out", tmp_path / ".out.graded"
    hand_in(collected / "ada", exercise())
    for name in ("ben", "cleo"):
        hand_in(collected / name, exercise({"01.1": f"while True: {name} = 1"}))
    command = [sys.executable, "-m", "course_tools", "grade", str(collected), "--out", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    grading = subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **pipes)
    try:
        started = psutil.Process(grading.pid)
        for _ in range(600):
            below = started.children(recursive=True)
            if kept.exists() and len(below) == 12:  # of two notebooks: each side has Python and two of bubblewrap
                break
            time.sleep(0.1)
        assert kept.exists() and below
        os.killpg(grading.pid, how)  # as a terminal does: all that have not left its group get it
        said, _ = grading.communicate(timeout=10)
    finally:
        grading.kill()
    assert not alive(below)
    if how == signal.SIGINT:
        assert "stopped: 1 notebooks are graded and kept; the same command goes on from there" in said
    assert [bool(json.loads(line)["judged"]) for line in kept.read_text().splitlines() if line] == [True]
    with kept.open("a") as file:
        file.write('{"key": "torn')
    for name in ("ben", "cleo"):
        shutil.rmtree(collected / name)
        hand_in(collected / name, "no notebook")
    ran = []
    monkeypatch.setattr(sandbox, "run", lambda *a: ran.append(a) or ({"unreadable": "no notebook"}, ""))
    grade.grade(collected, out)
    assert {row["student"]: row["points"] for row in table(out / "points.csv")} == {
        "ada": "14",
        "ben": "0",
        "cleo": "0",
    }
    assert len(ran) in (1, 2) and not kept.exists()  # both at once: the same bytes


def test_stopped_while_it_looks_grading_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sandbox, "require", lambda: None)
    monkeypatch.setattr(sandbox, "run", interrupted)
    hand_in(tmp_path / "submissions" / "ada", exercise())
    shutil.move(tmp_path / "submissions" / "ada" / f"{L01}.ipynb", tmp_path / "submissions" / "ada" / "renamed.ipynb")
    with pytest.raises(CourseError, match="the same command goes on"):
        grade.grade(tmp_path / "submissions", tmp_path / "out")


def test_a_cell_beyond_all_measure_is_not_run():
    released = grade.released()[L01]
    long = exercise({"01.1": "x = 1\n" * reading.LARGEST_CELL})
    cells, notes = reading.merge(reading.load(json.dumps(long).encode()), released)
    assert max(len(cell["source"]) for cell in cells) < reading.LARGEST_CELL
    assert any("characters was not run" in note for note in notes)


PIECES = [
    "x = 1\n",
    "!ls\n",
    "%%%%\n",
    " ",
    "[[1],",
    "-",
    "'x'\n",
    "a.b.",
    "a<",
    "@a\n",
    "'''\n",
    "f'{x}'\n",
    "\ud800",
    "(",
]


def long_cells(length: int) -> None:
    reading.suspicious((piece * length)[:length] for piece in PIECES)


def old_notebook(cells: int) -> None:
    cell = {"cell_type": "code", "metadata": {}, "input": "x", "outputs": [], "language": "python"}
    sheets = [{"cells": [cell] * cells, "metadata": {}}]
    written = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": sheets}
    assert len(reading.merge(reading.load(json.dumps(written).encode()), [])[0]) == cells


def many_copies(cells: int) -> None:
    released = grade.released()[L01]
    reading.merge([released[place % len(released)] for place in range(cells)], released)


@pytest.mark.parametrize(("work", "size"), [(long_cells, 20_000), (old_notebook, 2000), (many_copies, 4000)])
def test_reading_takes_time_by_length_only(work, size):
    """Twice the input takes at most three times as long."""

    def seconds(size: int) -> float:
        start = time.process_time()
        work(size)
        return time.process_time() - start

    short, long = (min(seconds(size) for _ in range(3)) for size in (size, 2 * size))
    assert long < 3 * short


AS_NOBODY = """
import sys
from pathlib import Path
from course_tools.grading import grade
from course_tools.grading.verdicts import Limits
grade.grade(Path(sys.argv[1]), Path(sys.argv[2]), Limits(cell=15, notebook=60, memory=2**29, processes=64))
"""


@bubblewrap
def test_who_is_not_root_grades_under_the_same_limits():
    if os.getuid():
        pytest.skip("who runs this is not root, so that all the other tests show it")
    with tempfile.TemporaryDirectory() as name:
        place, python = Path(name), Path(sys.base_prefix)
        hand_in(place / "submissions" / "ada", exercise())
        hand_in(place / "submissions" / "eve", exercise({"01.5": HIDDEN + BUFFERS}))
        hand_in(place / "submissions" / "fay", exercise({"01.5": HIDDEN + PAGE_TABLES}))
        hand_in(place / "submissions" / "gil" / "closed", exercise())
        (place / "submissions" / "gil" / "closed").chmod(0)
        (place / "home").mkdir()
        for folder in (place, place / "home"):
            folder.chmod(0o777)
        steps = []
        if python.is_relative_to(Path.home()):  # which only root may enter
            steps = [
                f"mkdir -p {name}/python && mount --bind {python} {name}/python",
                f"mount -t tmpfs -o mode=755 none {Path.home()}",
                f"mkdir -p {python} && mount --bind {name}/python {python}",
            ]
        command = "exec setpriv --reuid=65534 --regid=65534 --clear-groups"
        command += f" env HOME={name}/home PYTHONDONTWRITEBYTECODE=1 {sys.executable} -c"
        shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        inside = " && ".join([*steps, f'{command} "$0" "$@"'])
        able = subprocess.run([*shell, inside, "import numpy, course_tools"], cwd=ROOT, capture_output=True, text=True)
        if able.returncode:
            pytest.skip(f"this Python cannot be run as nobody here: {able.stderr.strip()[-200:]}")
        arguments = [AS_NOBODY, f"{name}/submissions", f"{name}/home/out"]
        done = subprocess.run([*shell, inside, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        rows = {row["student"]: row for row in table(place / "home" / "out" / "points.csv")}
    assert rows["ada"]["points"] == "14"
    assert "of memory" in rows["eve"]["notes"] and "of memory" in rows["fay"]["notes"]
    assert "closed cannot be read" in rows["gil"]["notes"]
