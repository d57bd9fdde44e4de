"""What the tables of planted answers share."""

import numpy as np


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


class Tensor:
    """Stands in for the tensors of any library: all that is known of them is that NumPy can read them."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def one_wrong(right, wrong):
    """An answer with one entry replaced, for each pair of (entry, value, phrase)."""
    return [(({**right, key: value},), phrase) for key, value, phrase in wrong]


def remembering(answer):
    """An answer that gives the same again for whatever has the same shapes: it was right once."""
    kept = {}

    def size(argument):
        if isinstance(argument, list):
            return [size(part) for part in argument] if np.ndim(argument[0]) else len(argument)
        return getattr(argument, "shape", None if callable(argument) or isinstance(argument, dict) else argument)

    def remembered(*arguments):
        key = str([size(argument) for argument in arguments])
        if key not in kept:
            kept[key] = answer(*arguments)
        return kept[key]

    return remembered
