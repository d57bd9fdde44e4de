"""Two sandboxes for each submission: one runs the student's code, the other one reads and judges it.

Inside, only Python, the system's libraries, this package, the bundled data and the data cache can be seen, all of them
read-only, and no network. The working folder is in memory and vanishes. The student's side has no check and no channel
but a socket to the judge's side; the two share no process, no file and no memory, so that no verdict is made or kept
where the student's code runs. Both end with the process that started them.
"""

import contextlib
import errno
import functools
import json
import mmap
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO

import psutil

from course_tools.grading.verdicts import OPEN_FILES, Limits
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT, home

EVERY = 0.1  # seconds between two looks at memory and processes
AFTER = 60  # seconds that the judge has when the student's side is gone
JUDGE = Limits(memory=2 * 2**30)
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", sys.base_prefix)
CHECKS = ROOT / "recsys_helpers" / "checks"
WITHOUT_ANSWERS = ("core.py", "journal.py", "language.py", "catalogue.py")  # of the checks, what has no reference in it
# Ways to memory that no limit counts, to other processes and to more rights; what a machine does not know is left out.
REFUSED = """memfd_create memfd_secret shmget shmat shmctl semget msgget mq_open vmsplice unshare setns mount umount2
pivot_root chroot move_mount open_tree fsopen fsmount mount_setattr ptrace process_vm_readv process_vm_writev
pidfd_getfd kcmp add_key request_key keyctl bpf perf_event_open userfaultfd io_uring_setup io_uring_enter
io_uring_register name_to_handle_at open_by_handle_at"""
NEW_USER = 0x10000000  # the flag of clone for a user namespace
SO_SNDBUFFORCE = 32  # Python has no name for it
UNCOUNTED = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS  # such memory can be kept while no process shows it
BUFFER = 2**19  # bytes that the kernel may hold for one open pipe or socket
ENTRY = 2**10  # bytes that a file in memory takes beside its content


class Interrupted(Exception):
    """Grading was ended from outside, and this submission with it."""


def run(job: dict, limits: Limits, ending: threading.Event | None = None) -> tuple[dict | None, str]:
    """Do one job for one submission; `student` is to be run beside the judge if the job has released cells.

    Args:
        job: what `judging` is to do.
        limits: what the student's side may use.
        ending: when it is set, both sides are killed at once.

    Returns:
        What the judge found, or None, and why he found nothing, or "".

    Raises:
        Interrupted: `ending` was set.
    """
    with contextlib.ExitStack() as stack:
        file = lambda: stack.enter_context(tempfile.TemporaryFile())  # noqa: E731
        sent, back, complaints, hers = file(), file(), file(), file()  # what she writes to hers, nobody reads
        sent.write(json.dumps(job | {"limits": asdict(limits)}).encode())
        sent.seek(0)
        ours, theirs = map(stack.enter_context, socket.socketpair())
        student = None
        if "released" in job:
            student = stack.enter_context(_started("student", limits, [theirs], hers, stdin=subprocess.DEVNULL))
        channels = {"stdin": subprocess.PIPE, "stdout": back}
        judge = stack.enter_context(_started("judging", JUDGE, [sent, ours], complaints, **channels))
        ours.close()
        theirs.close()
        ended = _watch(student, judge, limits, ending or threading.Event())
        back.seek(0)
        found = _read(back.read(limits.file))
        if not ended and found is None:
            complaints.seek(0)
            ended = f"the sandbox failed: {' '.join(complaints.read()[-300:].decode(errors='replace').split())}"
    return found, ended


def require() -> None:
    """Raise CourseError unless bubblewrap and seccomp are there and work on this machine."""
    if shutil.which("bwrap") is None:
        raise CourseError("grading runs submissions in bubblewrap, which is not here: apt install bubblewrap")
    with _filter() as rules:
        command = [*_bwrap("judging", Limits(), rules), "/bin/true"]
        trial = subprocess.run(command, capture_output=True, text=True, pass_fds=[rules.fileno()], env={})
    if trial.returncode:
        raise CourseError(
            f"bubblewrap does not work here ({' '.join(trial.stderr.split())}); "
            "allow unprivileged user namespaces, or grade in a virtual machine"
        )


@contextlib.contextmanager
def _started(side: str, limits: Limits, given: list, complaints: IO, **channels) -> Iterator[subprocess.Popen]:
    """One side, which is killed at the end; it starts with an empty environment and with the files that it is given."""
    with _filter() as rules:
        numbers = [one.fileno() for one in given]
        inside = [sys.executable, "-m", f"course_tools.grading.{side}", *map(str, numbers)]
        command = [*_bwrap(side, limits, rules), *inside]
        passed = [rules.fileno(), *numbers]
        process = subprocess.Popen(
            command,
            pass_fds=passed,
            env={},
            stderr=complaints,
            start_new_session=True,  # or Ctrl-C would end it, too, and look like a fault of the submission
            **{"stdout": complaints} | channels,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            with contextlib.suppress(OSError):  # what was not read goes with its reader
                process.stdin.close()


@contextlib.contextmanager
def _filter() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        file.write(_rules())
        file.seek(0)
        yield file


@functools.cache
def _rules() -> bytes:
    """The system calls that are refused, as a program for the kernel."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise CourseError("grading needs libseccomp, which is not here: apt install libseccomp2") from error
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for name in REFUSED.split():
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # this machine's library has no such call
            rules.add_rule(refused, name)
    rules.add_rule(refused, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, NEW_USER, NEW_USER))
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags cannot be looked at; all libraries do without
    rules.add_rule(refused, "mmap", pyseccomp.Arg(3, pyseccomp.MASKED_EQ, UNCOUNTED, UNCOUNTED))
    for call in ("socket", "socketpair"):  # some families reach out of a network namespace; datagrams are not counted
        rules.add_rule(refused, call, pyseccomp.Arg(0, pyseccomp.NE, socket.AF_UNIX))
        for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            rules.add_rule(refused, call, pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xF, kind))
    for option in (socket.SO_SNDBUF, SO_SNDBUFFORCE):
        rules.add_rule(refused, "setsockopt", pyseccomp.Arg(2, pyseccomp.EQ, option))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _bwrap(side: str, limits: Limits, rules: IO) -> list[str]:
    """The bubblewrap call up to the program. Order matters: what lies in the repository is hidden, then parts shown."""
    command = f"{shutil.which('bwrap')} --unshare-all --die-with-parent --new-session --cap-drop ALL --clearenv"
    command += f" --seccomp {rules.fileno()} --proc /proc --dev /dev"
    command += f" --size {limits.folder} --tmpfs /dev/shm --size {limits.folder} --tmpfs /tmp --dir /tmp/work"
    arguments = command.split()
    for path in SYSTEM:
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--size", "4096", "--tmpfs", str(ROOT)]
    for path in (sys.prefix, ROOT / "recsys_helpers", ROOT / "course_tools" / "grading", ROOT / "datasets", home()):
        arguments += ["--ro-bind-try", str(path), str(path)]
    if side == "student":
        arguments += ["--size", "4096", "--tmpfs", str(CHECKS)]
        shown = {CHECKS / name: CHECKS / name for name in WITHOUT_ANSWERS}
        shown[CHECKS / "__init__.py"] = Path(__file__).with_name("silent_checks.py")
        for place, path in shown.items():
            arguments += ["--ro-bind", str(path), str(place)]
        arguments += ["--remount-ro", str(CHECKS)]
    environment = {
        "HOME": "/tmp/home",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "RECSYS_HOME": str(home()),
        "RECSYS_LANGUAGE": "en",  # the instructor's, whatever the student's
        "RECSYS_PROGRESS": "off",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for name, value in environment.items():
        arguments += ["--setenv", name, value]
        arguments += ["--ro-bind", "/dev/null", "/dev/zero"]  # cannot be opened so; mapped, it is memory nobody counts
    for place in (str(ROOT), "/dev", "/proc", "/"):  # /proc holds settings of the whole machine, open to root
        arguments += ["--remount-ro", place]
    return [*arguments, "--chdir", "/tmp/work"]


def _watch(student: subprocess.Popen | None, judge: subprocess.Popen, limits: Limits, ending: threading.Event) -> str:
    """Wait for the judge's end, and tell him when and why the student's side is gone.

    Returns why he was ended, or "".
    """
    start, gone = time.monotonic(), None
    while judge.poll() is None and not ending.is_set():
        now = time.monotonic()
        if student and gone is None:
            why = _passed(student, limits, now - start)
            if why or student.poll() is not None:
                student.kill()
                gone = now
                with contextlib.suppress(OSError):  # he is through already
                    judge.stdin.write(f"{why}\n".encode())
                    judge.stdin.flush()
        if now - (gone or start) > (AFTER if gone or not student else limits.notebook + AFTER):
            return "reading and judging it took too long"
        if _passed(judge, JUDGE, 0):
            return "reading and judging it took too much memory"
        time.sleep(EVERY)
    if ending.is_set():  # what ended then need not be the submission's fault
        raise Interrupted
    return ""


def _passed(side: subprocess.Popen, limits: Limits, seconds: float) -> str:
    """Which limit a side has passed, or ""."""
    try:
        below = [child.pid for child in psutil.Process(side.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return ""
    if len(below) > limits.processes:  # at once: while their memory is added up they would become many more
        return f"started more than {limits.processes} processes"
    if _held_by_all(below, limits.memory) > limits.memory:
        return f"used more than {limits.memory / 2**30:.2g} GiB of memory"
    return f"the notebook ran longer than {limits.notebook} seconds" if seconds > limits.notebook else ""


def _held_by_all(pids: list[int], enough: int) -> int:
    """Bytes of memory of a sandbox with these processes.

    Resident bytes count shared pages for each process. The exact share is slow to read, so only above `enough` bytes.
    """
    for exact in (False, True):
        memory = sum(_held(pid, exact) for pid in pids) + sum(map(_files_in_memory, pids[:1]))
        if memory <= enough:
            break
    return memory


def _held(pid: int, exact: bool) -> int:
    """Bytes of a process: its pages, the tables of them, and what its open pipes and sockets may hold."""
    sizes = _sizes(pid, "status")
    pages = (exact and _sizes(pid, "smaps_rollup").get("Pss")) or sizes.get("VmRSS", 0)
    try:
        opened = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError as error:  # it hides them, or it ended meanwhile
        opened = OPEN_FILES if isinstance(error, PermissionError) else 0
    return pages + sizes.get("VmPTE", 0) + BUFFER * opened


def _sizes(pid: int, file: str) -> dict[str, int]:
    """What the kernel tells of a process in bytes; nothing if it ended meanwhile, or hides that."""
    try:
        told = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return {}
    return {name: 1024 * int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", told, re.MULTILINE)}


def _files_in_memory(pid: int) -> int:
    """Bytes of the files in the memory of a sandbox, one of whose processes this is."""
    root, used = f"/proc/{pid}/root", 0
    with contextlib.suppress(OSError):  # it ended meanwhile
        if os.stat(root).st_dev != os.stat("/").st_dev:  # else the sandbox is still being made
            for seen in (os.statvfs(f"{root}/tmp"), os.statvfs(f"{root}/dev/shm")):
                used += (seen.f_blocks - seen.f_bfree) * seen.f_frsize + (seen.f_files - seen.f_ffree) * ENTRY
    return used


def _read(sent: bytes) -> dict | None:
    """What the judge printed; None if he did not come to his end."""
    try:
        found = json.loads(sent)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
