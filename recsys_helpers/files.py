"""The one way in which the course writes a file: whole, or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of `path` when the block ends well; its folder is made.

    Until then it lies beside it under a name of its own, so that several processes can write at once, and a killed one
    leaves what was there as it was. What it wrote is on the disk before the old file goes.

    Raises:
        OSError: the folder cannot be written, or the disk is full; `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    number, scratch = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Of this process; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file or nothing; OSError as in `replacing`."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a whole file in UTF-8 or nothing; OSError as in `replacing`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: list | dict) -> None:
    """Write rows or a dictionary as JSON, a whole file or nothing; OSError as in `replacing`."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
