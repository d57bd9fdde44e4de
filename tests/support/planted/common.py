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
