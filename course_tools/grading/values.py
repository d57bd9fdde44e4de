"""How a student's values leave the sandbox: as JSON, read by its form, so that nothing of it is ever run.

The student's side packs with `packed`, the judge's side reads with `unpacked`. What has no form here, such as an object
of the student's own, arrives as an `Other`: what it looks like, and nothing behind it.
"""

import base64
import builtins
import json
import math
from collections.abc import Collection, Iterable, Mapping
from socket import socket
from typing import Any

import numpy as np

from recsys_helpers.checks.core import shown

LONGEST = 64 * 2**20  # bytes of a message
KINDS = "biufcU"  # of arrays: truth values, numbers, text
BUILTIN = (bool, int, float, str, type(None))


class Broken(Exception):
    """The other side sent what is no message."""


class Link:
    """One end of a socket, over which two processes send JSON values, a line each."""

    def __init__(self, end: socket) -> None:
        self.file = end.makefile("rwb")

    def send(self, value: Any) -> None:
        self.file.write(json.dumps(value).encode() + b"\n")
        self.file.flush()

    def receive(self) -> dict:
        """The next message; EOFError when the other side is gone, Broken for what is no message."""
        line = self.file.readline(LONGEST)
        if not line:
            raise EOFError
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Broken from error
        if not isinstance(message, dict):
            raise Broken
        return message


class Other:
    """A value that is neither numbers, text nor a collection of them: all that is known is how it shows itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def builtin_error(names: Iterable[str]) -> type[Exception]:
    """The first of these names that is an exception of Python's own."""
    found = (getattr(builtins, name, None) for name in names if isinstance(name, str))
    return next((kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)), RuntimeError)


def packed(value: Any) -> Any:
    """A value as JSON. RecursionError for one that holds itself; what a student's own methods raise comes through."""
    if type(value) in BUILTIN:
        return value if not isinstance(value, int) or abs(value) < 10**300 else {"other": "<a very large int>"}
    if value is ...:
        return {"ellipsis": True}
    if isinstance(value, np.ma.MaskedArray):
        return _array(np.asarray(value.astype(float).filled(np.nan)))
    if isinstance(value, np.generic):
        return {"scalar": _array(np.asarray(value))}
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Mapping):
        return {"dict": [[packed(key), packed(inner)] for key, inner in value.items()]}
    if isinstance(value, Collection) and not isinstance(value, str | bytes) and not hasattr(value, "__array__"):
        kind = next((kind for kind in (list, set, frozenset) if isinstance(value, kind)), tuple)
        return {kind.__name__: [packed(inner) for inner in value]}
    if hasattr(value, "__array__"):  # tensors and tables of any library
        return _array(np.asarray(value))
    return {"other": shown(value)[:1000]}


def _array(value: np.ndarray) -> dict:
    if value.dtype.kind in KINDS:
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "dtype": value.dtype.str, "shape": value.shape}
    if value.dtype.kind == "O":
        return {"objects": [packed(inner) for inner in value.ravel().tolist()], "shape": value.shape}
    return {"other": shown(value)[:1000]}


def unpacked(sent: Any) -> Any:
    """The value that `packed` made this of; Broken for what it cannot have made."""
    try:
        return _unpacked(sent)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, AttributeError) as error:
        raise Broken from error


def _unpacked(sent: Any) -> Any:
    match sent:
        case None | bool() | int() | float() | str():
            return sent
        case {"ellipsis": True}:
            return ...
        case {"array": str(data), "dtype": str(dtype), "shape": list(shape)}:
            kind = np.dtype(dtype)
            if kind.kind not in KINDS:
                raise Broken
            return np.frombuffer(base64.b64decode(data, validate=True), kind).reshape(_shape(shape)).copy()
        case {"objects": list(inner), "shape": list(shape)}:
            made = np.empty(len(inner), object)
            for place, one in enumerate(inner):
                made[place] = _unpacked(one)
            return made.reshape(_shape(shape))
        case {"scalar": dict(inner)}:
            array = _unpacked(inner)
            return array[()] if isinstance(array, np.ndarray) and array.ndim == 0 else array
        case {"dict": list(pairs)}:
            return {_unpacked(key): _unpacked(value) for key, value in pairs}
        case {"list": list(inner)}:
            return [_unpacked(one) for one in inner]
        case {"tuple": list(inner)}:
            return tuple(_unpacked(one) for one in inner)
        case {"set": list(inner)}:
            return {_unpacked(one) for one in inner}
        case {"frozenset": list(inner)}:
            return frozenset(_unpacked(one) for one in inner)
        case {"other": str(text)}:
            return Other(text[:1000])
    raise Broken


def _shape(sent: list) -> tuple[int, ...]:
    if len(sent) > 32 or any(type(length) is not int or length < 0 for length in sent) or math.prod(sent) > LONGEST:
        raise Broken
    return tuple(sent)
