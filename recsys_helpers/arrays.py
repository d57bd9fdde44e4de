"""Arrays in one file, without pickle: written whole, and looked at before they are believed."""

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil

from recsys_helpers.files import replacing

PLAIN = "biufU"  # kinds of numbers, and text
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers or text by name into an .npz file, whole or not at all.

    Raises:
        OSError: as in `replacing`.
        ValueError: an array holds something else, which only pickle could write.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind not in PLAIN:
            raise ValueError(f"{name!r} holds neither numbers nor text")
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote, by name; memory is taken for no more than the file really holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or something else: packed, encrypted, pickled, not the length that it promises.
    """
    try:
        size = Path(path).stat().st_size
        if not Path(path).is_file():
            raise ValueError("not even a file")
        if size > psutil.virtual_memory().available:
            raise ValueError("larger than the free memory")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names) or sum(member.file_size for member in members) > size:
                raise ValueError("the same twice, or less than it promises")
            if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
                raise ValueError("packed or encrypted")
            return {name: _array(archive.read(member)) for name, member in zip(names, members, strict=True)}
    except OSError:
        raise
    except Exception as error:  # what somebody else wrote can fail in any way
        raise ValueError(f"it is no whole file of plain arrays: {error}") from error


def _array(content: bytes) -> np.ndarray:
    """The array in a .npy file, in the byte order of this machine."""
    file = io.BytesIO(content)
    shape, by_column, dtype = HEADERS[np.lib.format.read_magic(file)](file)
    start = file.tell()
    if dtype.kind not in PLAIN or not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError("an array is not what its header promises")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if by_column else "C")
    array = array.astype(dtype.newbyteorder("="), order="C")
    if dtype.kind == "U":
        "".join(array.ravel().tolist()).encode()  # not every number is a letter
    return array
