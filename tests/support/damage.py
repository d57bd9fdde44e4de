"""Files that were damaged or made up: bytes that differ, and archives of arrays that promise what they do not hold."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def flipped(whole: bytes, place: int, bit: int = 1) -> bytes:
    """The same with one bit the other way."""
    return whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]


BYTES: dict[str, Callable[[bytes], bytes]] = {  # of any file
    "empty": lambda whole: b"",
    "one byte": lambda whole: whole[:1],
    "the first half": lambda whole: whole[: len(whole) // 2],
    "the second half": lambda whole: whole[len(whole) // 2 :],
    "without its last bytes": lambda whole: whole[:-30],
    "zeros": lambda whole: bytes(len(whole)),
    "zeros from the middle on": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
    "a flipped bit": lambda whole: flipped(whole, len(whole) // 2),
    "text": lambda whole: b"no file of ours\n",
    "another archive": lambda whole: zipped({"a.txt": b"hello"}),
    "an empty archive": lambda whole: zipped({}),
    "an archive with a picture's name": lambda whole: zipped({"a.npy": b"\x89PNG"}),
}


def zipped(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def members_of(whole: bytes) -> dict[str, bytes]:
    """The files in an archive."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def arrays_of(whole: bytes) -> dict[str, np.ndarray]:
    """The arrays in an archive."""
    with np.load(io.BytesIO(whole)) as file:
        return {name: file[name] for name in file.files}


def npy(shape: str, descr: str = "'<f4'", body: bytes = b"", order: str = "False") -> bytes:
    """A .npy file whose header says this, whatever its body is."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def with_member(name: str, content: bytes) -> Callable[[bytes], bytes]:
    """The archive with one file replaced or added."""
    return lambda whole: zipped(members_of(whole) | {f"{name}.npy": content})


def twice(whole: bytes) -> bytes:
    """The archive with its first file once more, under the same name."""
    file = io.BytesIO(whole)
    with zipfile.ZipFile(file, "a") as archive:
        name = archive.namelist()[0]
        info = zipfile.ZipInfo(name)
        archive.filelist.append(archive.getinfo(name))
        archive._didModify = True
        assert info.filename == name
    return file.getvalue()


def encrypted(whole: bytes) -> bytes:
    """The archive whose directory says of every file that it is encrypted."""
    file = io.BytesIO(whole)
    with zipfile.ZipFile(file, "a") as archive:
        for info in archive.filelist:
            info.flag_bits |= 1
        archive._didModify = True
    return file.getvalue()


def archives(name: str) -> dict[str, Callable[[bytes], bytes]]:
    """Made-up archives of arrays in which this array promises what it does not hold, or is of another kind."""
    return BYTES | {
        "packed": lambda whole: zipped(members_of(whole), zipfile.ZIP_DEFLATED),
        "packed with LZMA": lambda whole: zipped(members_of(whole), zipfile.ZIP_LZMA),
        "a bomb": lambda whole: zipped(
            members_of(whole) | {f"{name}.npy": npy("(25000000,)", body=bytes(10**8))}, zipfile.ZIP_DEFLATED
        ),
        "the same name twice": twice,
        "encrypted": encrypted,
        "a header of 3 TB": with_member(name, npy("(1000000000000,)")),
        "a header past all numbers": with_member(name, npy("(10**30,)".replace("10**30", str(10**30)))),
        "a header of nothing, endlessly": with_member(name, npy("(1000000000000,)", "'<U0'")),
        "a shape below 0": with_member(name, npy("(-1, -4)", body=bytes(16))),
        "a header without end": with_member(name, b"\x93NUMPY\x01\x00\xff\xff{"),
        "a header that is code": with_member(name, npy("__import__('os').getcwd()")),
        "a deep header": with_member(name, npy("(" * 9000)),
        "a header of another version": with_member(name, b"\x93NUMPY\x09\x00" + npy("(1,)")[8:]),
        "too long a body": with_member(name, npy("(1,)", body=bytes(8))),
        "too short a body": with_member(name, npy("(3,)", body=bytes(8))),
        "a pickle": with_member(name, npy("(1,)", "'|O'", b"\x80\x04N.")),
        "records": with_member(name, npy("(1,)", "[('a', '<f4')]", bytes(4))),
        "dates": with_member(name, npy("(1,)", "'<M8[s]'", bytes(8))),
        "letters that are none": with_member(name, npy("(1,)", "'<U1'", b"\xff\xff\xff\xff")),
        "half a letter": with_member(name, npy("(1,)", "'<U1'", b"\x00\xd8\x00\x00")),
    }


def put(path: Path, content: bytes) -> Path:
    """The path, with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
