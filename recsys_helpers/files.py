"""The one way in which the course writes a file: whole, or not at all."""

import ctypes
import errno
import json
import os
import re
import secrets
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

DAY = 24 * 3600  # seconds
SCRATCH = re.compile(r"\.(?:.+~)?(.+)-(\d+)-[0-9a-f]+\.part")  # of a file; host and process of its writer


@contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of `path` when the block ends well; its folder is made.

    Until then it lies beside it under a name of its own, so that several processes can write at once, and a killed one
    leaves what was there as it was. What it wrote is on the disk before the old file goes. A file that was there keeps
    its permissions, a new one gets the usual ones. A symbolic link stays, and the file that it points to is replaced.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `path` is as it was.
    """
    path = Path(os.path.realpath(path))
    scratch = _beside(path)
    try:
        with open(scratch, "xb") as file:
            if path.exists():
                os.chmod(scratch, stat.S_IMODE(path.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def scratch_folder(path: Path | str) -> Iterator[Path]:
    """A folder beside `path` for what is needed to make it; it goes in the end, whatever happens.

    Raises OSError if the folder of `path` cannot be written.
    """
    scratch = _beside(Path(os.path.realpath(path)))
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def set_aside(path: Path, names: Iterable[Path]) -> Path:
    """Keep what stands at `path` under the first of these names that is free, which is returned.

    A file, or what a link leads to, is copied byte for byte and stays; the copy appears whole, and in the place of
    nothing else, also if another process does the same. Anything else, such as a folder or a link that leads nowhere,
    is moved.

    Raises OSError if the folder cannot be written; nothing is lost then.
    """
    if path.is_file():
        scratch = _beside(path)
        try:
            with open(path, "rb") as old, open(scratch, "xb") as new:
                shutil.copyfileobj(old, new)
                new.flush()
                os.fsync(new.fileno())
            shutil.copystat(path, scratch)
            return _first_free(names, lambda name: _link(scratch, name))
        finally:
            scratch.unlink(missing_ok=True)
    folder = stat.S_ISDIR(path.lstat().st_mode)
    free = _first_free(names, Path.mkdir if folder else lambda name: name.touch(exist_ok=False))
    try:
        os.replace(path, free)  # onto nothing but what was just made to hold its name
    except OSError:
        free.rmdir() if folder else free.unlink()
        raise
    return free


def _first_free(names: Iterable[Path], take: Callable[[Path], None]) -> Path:
    for name in names:
        try:
            take(name)
        except FileExistsError:
            continue
        return name
    raise FileExistsError(errno.EEXIST, "no name is free")


def _link(scratch: Path, name: Path) -> None:
    """Give the file this name, which nothing may have."""
    try:
        os.link(scratch, name)
    except FileExistsError:
        raise
    except OSError:  # a disk that knows no second names
        name.touch(exist_ok=False)
        os.replace(scratch, name)


def _beside(path: Path) -> Path:
    """A new name beside `path`, whose folder is made; what killed processes left there under such names is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    return path.with_name(f".{path.name}~{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.part")


def sweep(path: Path) -> None:
    """Remove what killed processes left beside `path`."""
    for left in path.parent.glob(".*.part"):
        name = SCRATCH.fullmatch(left.name)
        if name and is_abandoned(left, *name.groups()):
            with suppress(OSError):  # another process was first, or has the right that this one has not
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def is_abandoned(left: Path, host: str, pid: str) -> bool:
    """Whether the process that made this scratch file or folder is gone.

    Another machine may share the folder, so its leftovers go by age alone: a day.
    """
    if host == socket.gethostname() and pid.isdecimal() and len(pid) < 10 and not psutil.pid_exists(int(pid)):
        return True
    try:
        return left.lstat().st_mtime < time.time() - DAY
    except OSError:
        return False  # its owner has just finished


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a whole file or nothing; OSError as in `replacing`."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path | str, text: str) -> None:
    """Write a whole file in UTF-8 or nothing; OSError as in `replacing`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, value: list | dict) -> None:
    """Write rows or a dictionary as JSON, a whole file or nothing; OSError as in `replacing`."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def replace_folder(made: Path, path: Path) -> None:
    """Put a finished folder in the place of `path`, which is then where `made` was, if it was there.

    On Linux the two change places in one step; elsewhere there is a moment in which neither is at `path`.

    Raises:
        OSError: the folder of `path` cannot be written.
    """
    try:
        os.rename(made, path)  # onto nothing, or onto an empty folder
        return
    except OSError:
        if not path.exists():
            raise
    if not _exchange(made, path):
        aside = made.with_name(f"{made.name}-old")
        os.rename(path, aside)
        os.rename(made, path)
        os.rename(aside, made)


def _exchange(one: Path, other: Path) -> bool:
    """Whether the system let two paths change places."""
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return bool(rename) and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
