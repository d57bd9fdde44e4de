"""The axe: a writer runs in a child, and in front of its n-th call that changes the disk something happens to it.

Linux asks us before each such call (user notification of seccomp), whoever makes it: Python, a library, the dynamic
linker. So a blow falls between two calls, wherever they are, and never by luck: what a killed writer can leave is
tried one state after the other. The child is a fork, which has all modules already; a blow takes milliseconds.
"""

import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recsys_helpers.__main__ import run

try:
    import pyseccomp
except ImportError:  # not on Linux
    pyseccomp = None

OPENS = {"open": 1, "openat": 2}  # and the place of their flags
GROWS = ("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "mkdir", "mkdirat", "sendfile")
GROWS += ("copy_file_range", "link", "linkat", "symlink", "symlinkat")
MOVES = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat")
RECEIVE, SEND = 0xC0502100, 0xC0182101  # ioctl numbers of <linux/seccomp.h>
NOTICE, ANSWER, GO_ON = struct.Struct("=QIIi"), struct.Struct("=QqiI"), 1
PATIENCE = 120  # seconds that a child may be silent before it counts as hung


@dataclass(frozen=True)
class End:
    """How a child ended: its exit code (negative for a signal), what it said, and the calls that it made."""

    code: int
    said: str
    calls: list[str]

    @property
    def is_one_line(self) -> bool:
        return self.code == 2 and self.said.startswith("error: ") and len(self.said.splitlines()) == 1


def works() -> bool:
    """Whether this machine lets a process ask about the calls of its child."""
    if pyseccomp is None or not hasattr(os, "pidfd_open"):
        return False
    try:
        return strike(lambda: os.mkdir("/"), 1, errno.ENOSPC).calls == ["mkdir"]
    except OSError:
        return False


def strike(work: Callable[[], object], at: int = 0, blow: int | Callable[[], object] = 0) -> End:
    """Run `work` as a command, and strike in front of its call number `at`, counted from 1; 0 lets it run.

    A blow is a signal; or an error number, which this call and all later ones of its kind get (a full disk still lets
    files go, a disk that became read-only does not); or something to do while the child waits.
    """
    names = _names()
    _rules()  # the child's, made here once
    ours, theirs = socket.socketpair()
    said = os.memfd_create("said")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _child(work, theirs, said)
    theirs.close()
    calls: list[str] = []
    _, (asked,), *_ = socket.recv_fds(ours, 1, 1)
    ended = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(asked, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while True:
            ready = dict(poll.poll(PATIENCE * 1000))
            if not ready:
                os.kill(pid, signal.SIGKILL)
            if ended in ready or not ready:
                break
            notice = bytearray(80)
            try:
                fcntl.ioctl(asked, RECEIVE, notice)
            except OSError:  # it died meanwhile
                continue
            identity, caller, _, number = NOTICE.unpack_from(notice)
            error, name = 0, names[number]
            if caller == pid:  # children of the child go free
                calls.append(name)
                if isinstance(blow, signal.Signals):
                    if len(calls) == at:
                        os.kill(pid, blow)
                elif callable(blow):
                    if len(calls) == at:
                        blow()
                elif at and len(calls) >= at and (blow != errno.ENOSPC or name in GROWS or name in OPENS):
                    error = -blow
            try:
                fcntl.ioctl(asked, SEND, ANSWER.pack(identity, 0, error, 0 if error else GO_ON))
            except OSError:  # the signal interrupted the call: it is dead, or asks again
                continue
        _, status = os.waitpid(pid, 0)
        text = os.pread(said, 1_000_000, 0).decode("utf-8", "replace")
        return End(os.waitstatus_to_exitcode(status), text if ready else f"hung\n{text}", calls)
    finally:
        for opened in (asked, ended, said):
            os.close(opened)
        ours.close()


@cache
def _names() -> dict[int, str]:
    """The calls by their numbers on this processor, which may lack some."""
    numbers = {name: pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) for name in (*OPENS, *GROWS, *MOVES)}
    return {number: name for name, number in numbers.items() if number >= 0}


@cache
def _rules():
    """Ask about every such call; of those that open a file if they may make it, and not of what is only printed."""
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for number, name in _names().items():
        conditions = []
        if name in OPENS:
            conditions = [pyseccomp.Arg(OPENS[name], pyseccomp.MASKED_EQ, os.O_CREAT, os.O_CREAT)]
        elif name == "write":
            conditions = [pyseccomp.Arg(0, pyseccomp.GT, 2)]
        rules.add_rule(pyseccomp.NOTIFY, number, *conditions)
    return rules


def _child(work: Callable[[], object], link: socket.socket, said: int) -> None:
    """Does the work as a command does, and ends; it never returns."""
    code = 70
    try:
        for stream in (1, 2):
            os.dup2(said, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", 1, "utf-8", closefd=False) for stream in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        rules = _rules()
        rules.load()
        asked = pyseccomp._libseccomp.seccomp_notify_fd(rules._filter)
        socket.send_fds(link, [b"!"], [asked])
        os.close(asked)
        link.close()
        run(work)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def files_in(folder: Path, hidden: bool = False) -> dict[str, bytes]:
    """The files below a folder with what is in them; without those of a writer that works, or died, beside them."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in found.items()
        if hidden or not any(part.startswith(".") and part.endswith(".part") for part in name.parts)
    }
