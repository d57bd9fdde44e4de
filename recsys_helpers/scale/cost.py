"""Where a training step's time goes: products counted, calls timed, TensorFlow's ops traced."""

import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from recsys_helpers.errors import CourseError
from recsys_helpers.training.backend import keras, keras_nlp

ops = keras.ops
# layers without weights and operations that multiply matrices, and are not counted
PRODUCTS = ("Matmul", "Dot", "Tensordot", "Vdot", "Inner", "DotProductAttention", "Attention", "AdditiveAttention")
PRODUCTS += ("GroupedQueryAttention",)


def multiply_adds(model: keras.Model, batch: int, length: int) -> int:
    """Multiply-adds of the matrix products in one forward pass over (batch, length) events.

    Counted layer by layer, attention and recurrent steps included; what is done elementwise is not. A training step
    does three times as many: for each product forward, one for the gradient of either factor (two times where the
    layer reads data, once where it is frozen). Twice this is the number of floating-point operations.

    Args:
        model: functional or `Sequential`. batch: for the first axis. length: for every other axis that is open.

    Raises:
        CourseError: a layer multiplies in a way that is not known here, or the model is of another kind.
    """
    graph = getattr(model, "_functional", None) or model  # of a Sequential
    if not isinstance(graph, keras.Function):
        raise CourseError(f"{model.name} has no graph of layers to count in; count its functional parts one by one")
    count = 0
    for node in [node for nodes in graph._nodes_by_depth.values() for node in nodes]:
        inputs = [_filled(x.shape, batch, length) for x in node.input_tensors]
        if isinstance(node.operation, keras.layers.ReversibleEmbedding):
            backwards = "float" in node.input_tensors[0].dtype
            count += backwards * math.prod(inputs[0]) * node.operation.input_dim
        else:
            count += _multiply_adds(node.operation, inputs, batch, length)
    return count


def _multiply_adds(layer, shapes: list[tuple], batch: int, length: int) -> int:
    """Of one layer, or operation of `keras.ops`, on inputs of these shapes."""
    layers, kind = keras.layers, type(layer).__name__
    rows = math.prod(shapes[0][:-1]) if shapes else 0
    if isinstance(layer, keras.Function | keras.Sequential):
        sizes = [
            pair
            for x, shape in zip(layer.inputs, shapes, strict=True)
            for pair in zip(x.shape[1:], shape[1:], strict=True)
        ]
        return multiply_adds(layer, shapes[0][0], next((axis for size, axis in sizes if size is None), length))
    if isinstance(layer, layers.Dense):
        return rows * math.prod(layer.kernel.shape)
    if kind == "PerScenario":  # all scenarios, then the row's own is chosen
        return rows * layer.scenarios * layer.units * (shapes[0][-1] + 1)
    if isinstance(layer, layers.LSTM | layers.GRU):
        return rows * (math.prod(layer.cell.kernel.shape) + math.prod(layer.cell.recurrent_kernel.shape))
    if isinstance(layer, layers.EinsumDense):
        return _einsum(layer.equation, shapes[0], layer.kernel.shape)
    if kind == "Einsum":
        return _einsum(layer.subscripts, *shapes)
    inner = getattr(layer, "_layers", [])
    weights = [*getattr(layer, "_trainable_variables", []), *getattr(layer, "_non_trainable_variables", [])]
    lookup = isinstance(layer, layers.Embedding | keras_nlp.layers.PositionEmbedding)
    unknown = kind in PRODUCTS or isinstance(layer, layers.Wrapper | layers.ReversibleEmbedding)
    if unknown or (not lookup and any(len(weight.shape) > 1 for weight in weights)):
        raise CourseError(
            f"multiply_adds does not know what layer {layer.name} ({kind}) multiplies; teach it this kind"
        )
    count = 0
    if isinstance(layer, layers.MultiHeadAttention):
        (*_, queries, _), (*_, keys, _) = shapes[:2]
        count += shapes[0][0] * layer.num_heads * queries * keys * (layer.key_dim + layer.value_dim)
    for part in inner:  # each is taken to be called once, on what it was built for
        built = [shape for shape in (part._build_shapes_dict or {}).values() if shape]
        if part.weights and not built:
            raise CourseError(f"multiply_adds cannot tell what layer {part.name} in {layer.name} is called on")
        count += _multiply_adds(part, [_filled(shape, batch, length) for shape in built], batch, length)
    return count


def _filled(shape, batch: int, length: int) -> tuple[int, ...]:
    return tuple(axis or (length if place else batch) for place, axis in enumerate(shape))


def _einsum(subscripts: str, *shapes) -> int:
    """One multiply-add for each combination of the values of all letters; "..." is taken to be absent."""
    letters = zip(subscripts.split("->")[0].split(","), shapes, strict=True)
    return math.prod(
        {letter: axis for term, shape in letters for letter, axis in zip(term, shape, strict=True)}.values()
    )


def milliseconds(calls: dict[str, Callable], rounds: int = 5) -> pd.Series:
    """Milliseconds of each call, the best of so many, after one that is not counted.

    Other work on the machine only ever adds time, so the best tells most; the calls take turns, so that it hits all of
    them alike. Trust the ratios.
    """
    took = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            took[name].append(1000 * (time.perf_counter() - start))
    return pd.DataFrame(took).min()


def traced_ops(call: Callable, steps: int) -> list[tuple[str, float]]:
    """Every TensorFlow op that its profiler sees in so many calls: "its name:its kind", milliseconds a call."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(steps):
                call()
        (trace,) = Path(folder).rglob("*.xplane.pb")
        space = XSpace.FromString(trace.read_bytes())
    found = []
    for plane in space.planes:
        names = {number: event.name for number, event in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            if re.fullmatch(r"\S*[^:\s]:\w+", names[event.metadata_id]):  # what else is traced is no op
                found.append((names[event.metadata_id], event.duration_ps / 1e9 / steps))
    return found


def op_times(call: Callable, rounds: int = 10) -> pd.Series:
    """Milliseconds that each kind of TensorFlow op takes in one call, the longest first, seen by TensorFlow's profiler.

    Of each kind the best of so many calls, since other work only ever adds time. Ops that run side by side on several
    cores are added up. `call` is compiled and warm.
    """
    found = [Counter() for _ in range(rounds)]
    for total in found:
        for name, ms in traced_ops(call, steps=1):
            total[name.rpartition(":")[2].removeprefix("_Mkl").removesuffix("V2")] += ms
    return pd.DataFrame(found).min().sort_values(ascending=False)
