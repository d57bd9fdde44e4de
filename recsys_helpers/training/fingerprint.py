"""Fingerprints: a checkpoint is only resumed by a run of the same model, loss and data."""

import functools
import hashlib
import inspect
import json
import re
import types

import numpy as np

from recsys_helpers.training.backend import keras


def fingerprint(*parts) -> str:
    """A digest that is the same in every process for the same values.

    Args:
        parts: numbers, texts, arrays, and whatever has a `get_config`, also in lists and dictionaries. A function is
            known by its name and by the values that it holds.
    """
    text = re.sub(r'_\d+"', '"', json.dumps(parts, default=_plain))  # Keras counts names on: "dense", "dense_1", ...
    return hashlib.sha256(text.encode()).hexdigest()


def structure(model: keras.Model) -> list:
    """What a model is built of, with shapes and names of its weights but not their values, for `fingerprint`.

    A model that Keras cannot write down as a whole, since it or a layer has no `get_config`, is described part by
    part: of such a part its class, and what it keeps of the arguments of its constructor.
    """
    weights = [(variable.name, variable.shape, variable.trainable) for variable in model.variables]
    try:
        return [model.get_config(), weights]
    except NotImplementedError:
        return [[_part(part) for part in (*getattr(model, "operations", ()), *model._flatten_layers())], weights]


def _part(part: keras.Operation) -> list:
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    try:
        return [kind, part.get_config()]
    except NotImplementedError:
        arguments = inspect.signature(type(part)).parameters
        kept = {name: value for name, value in vars(part).items() if name in arguments and name != "name"}
        seeds = [value for value in vars(part).values() if isinstance(value, keras.random.SeedGenerator)]
        return [kind, {name: value for name, value in kept.items() if not isinstance(value, keras.Operation)}, seeds]


def _plain(value):
    """What `json` cannot write, in terms of what it can."""
    if isinstance(value, types.FunctionType):
        return [value.__module__, value.__qualname__, inspect.getclosurevars(value).nonlocals]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "get_config"):
        return [type(value).__qualname__, value.get_config()]
    if isinstance(value, (np.ndarray, np.generic, keras.Variable)) or keras.ops.is_tensor(value):
        array = keras.ops.convert_to_numpy(value)
        content = array.tolist() if array.dtype == object else hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
        return [str(array.dtype), array.shape, content]
    return re.sub(r" at 0x\w+", "", f"{type(value).__qualname__} {value}")
