"""Training at scale: where a training step's time goes, and a softmax that does not ask the whole catalogue."""

import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_helpers.backend import keras, keras_nlp
from recsys_helpers.errors import CourseError
from recsys_helpers.splits import PADDING

ops = keras.ops
# layers without weights and operations that multiply matrices, and are not counted
PRODUCTS = ("Matmul", "Dot", "Tensordot", "Vdot", "Inner", "DotProductAttention", "Attention", "AdditiveAttention")
PRODUCTS += ("GroupedQueryAttention",)


class SampledSoftmax(keras.Model):
    """A next-item model trained against few drawn items in place of the whole catalogue; weights are shared with it.

    At each step `draws` items are drawn with replacement, item i with chance q_i, the same ones for all positions. The
    logit of a drawn item is lowered by log(draws * q), its expected number of draws: so each item counts once on
    average, as in the full softmax, and what is often drawn is not pushed down as often. The target counts once, too:
    its own logit stays, and where it is drawn it is left out.

    Args:
        model: of this course's `next_item_transformer` or `next_item_rnn`; it keeps scoring the whole catalogue.
        chances: q of the items 1..n_items, shape (n_items,), positive, sums to 1; None draws evenly. The draw has 32
            bits, so chances below a millionth are met only roughly.
        draws: how many.
        corrected: without the correction, to be compared with.
        seed: of the draws.

    Source: Bengio and Senécal, Adaptive Importance Sampling, IEEE Transactions on Neural Networks, 2008, section III.
    Where the targets of a batch are each other's negatives, the target is a draw too and is lowered as they are: Yi et
    al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019.
    """

    def __init__(self, model: keras.Model, chances=None, draws: int = 256, corrected: bool = True, seed: int = 0):
        super().__init__(name=f"sampled_{model.name}")
        self.states = keras.Model(model.input, model.get_layer("final_norm").output)
        self.embedding = model.get_layer("item_embedding")
        n_items = self.embedding.input_dim - 1
        self.chances = np.full(n_items, 1 / n_items) if chances is None else np.asarray(chances, "float64")
        if self.chances.shape != (n_items,) or self.chances.min() <= 0 or not np.isclose(self.chances.sum(), 1):
            raise ValueError(f"chances must be {n_items} positive numbers that sum to 1")
        self.draws, self.corrected = draws, corrected
        self.generator = keras.random.SeedGenerator(seed)
        self.ends = ops.convert_to_tensor(np.cumsum(self.chances), "float32")
        expected = np.log(draws * self.chances) if corrected else np.zeros(n_items)
        self.log_expected = ops.convert_to_tensor(expected, "float32")
        self.build(model.input_shape)

    def build(self, input_shape):
        self.built = True  # both parts are

    def call(self, items, training=False):
        return self.states(items, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy of the target among itself and the drawn items, mean over the positions that are no padding."""
        uniform = keras.random.uniform((self.draws,), seed=self.generator)
        drawn = 1 + ops.minimum(ops.searchsorted(self.ends, uniform, side="right"), len(self.chances) - 1)
        drawn, y = ops.cast(drawn, "int32"), ops.cast(y, "int32")
        states = ops.cast(y_pred, "float32")
        table = ops.convert_to_tensor(self.embedding.embeddings)  # read once: after a sparse write a read copies it
        right = ops.sum(states * ops.take(table, y, axis=0), axis=-1)
        others = states @ ops.transpose(ops.take(table, drawn, axis=0)) - ops.take(self.log_expected, drawn - 1)
        others = ops.where(ops.equal(drawn, y[..., None]), -1e9, others)
        each = ops.logsumexp(ops.concatenate([right[..., None], others], axis=-1), axis=-1) - right
        real = ops.cast(ops.not_equal(y, PADDING), "float32")
        return ops.sum(each * real) / ops.sum(real)


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
