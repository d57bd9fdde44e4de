import json
import subprocess
import sys

import numpy as np
import pytest

from recsys_helpers.errors import CourseError
from recsys_helpers.models.bert import fine_tuning_model, load_encoder
from recsys_helpers.models.multi_scenario import KINDS, scenario_model
from recsys_helpers.models.next_item import next_item_loss
from recsys_helpers.models.recurrent import next_interest_model, next_item_rnn
from recsys_helpers.models.self_attention import next_item_transformer
from recsys_helpers.models.two_towers import two_towers
from recsys_helpers.paths import ROOT
from recsys_helpers.scale.cost import multiply_adds
from recsys_helpers.scale.sampled_softmax import SampledSoftmax
from recsys_helpers.training.backend import keras, keras_nlp

layers = keras.layers
BENCHMARKS = ROOT / "tests" / "benchmarks"
B, T = 3, 5  # batch, length


def functional(layer, *shape):
    x = keras.Input(shape)
    return keras.Model(x, layer(x))


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: functional(layers.Dense(7), 4), B * 4 * 7),
        (lambda: functional(layers.Dense(7), None, 4), B * T * 4 * 7),
        (lambda: functional(layers.LSTM(6), None, 4), B * T * (4 + 6) * 4 * 6),
        (lambda: functional(layers.GRU(6, return_sequences=True), None, 4), B * T * (4 + 6) * 3 * 6),
        (lambda: functional(layers.Bidirectional(layers.LSTM(6)), None, 4), 2 * B * T * (4 + 6) * 4 * 6),
        (
            lambda: functional(lambda x: layers.MultiHeadAttention(2, 3, 4)(x, x), None, 8),
            B * T * 8 * 2 * (3 + 3 + 4) + B * 2 * T * T * (3 + 4) + B * T * 2 * 4 * 8,
        ),
        (lambda: functional(functional(layers.Dense(7), None, 4), None, 4), B * T * 4 * 7),
        (lambda: functional(functional(layers.Dense(7), None, 4), 2, 4), B * 2 * 4 * 7),
        (lambda: functional(keras.Sequential([layers.Dense(7), layers.Dense(2)]), 4), B * (4 * 7 + 7 * 2)),
        (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(7)]), B * 4 * 7),
    ],
    ids=[
        "dense",
        "dense of each event",
        "LSTM",
        "GRU",
        "both ways",
        "attention",
        "nested",
        "nested on less",
        "Sequential in",
        "Sequential",
    ],
)
def test_hand_made_counts(make, expected):
    assert multiply_adds(make(), B, T) == expected


def test_a_layer_counts_as_often_as_it_is_called():
    x, dense = keras.Input((4,)), layers.Dense(4)
    assert multiply_adds(keras.Model(x, dense(dense(x))), B, T) == 2 * B * 4 * 4
    items, table = keras.Input((None,), dtype="int32"), keras_nlp.layers.ReversibleEmbedding(11, 4)
    assert multiply_adds(keras.Model(items, table(items)), B, T) == 0
    assert multiply_adds(keras.Model(items, table(table(items), reverse=True)), B, T) == B * T * 4 * 11


class Hidden(layers.Layer):
    def build(self, shape):
        self.secret = self.add_weight((shape[-1], 3))

    def call(self, x):
        return x @ self.secret


class Unbuilt(layers.Layer):
    """Its inner layer has weights, but nobody noted on which shape it works."""

    def build(self, shape):
        self.inside = layers.Dense(3, name="inside")
        self.inside.build(shape)
        self.inside._build_shapes_dict = None

    def call(self, x):
        return self.inside(x)


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda: functional(Hidden(name="secretive"), 4), "secretive"),
        (lambda: functional(layers.Conv1D(3, 2, name="sliding"), None, 4), "sliding"),
        (lambda: functional(layers.RNN(layers.LSTMCell(3, name="cell_alone")), None, 4), "cell_alone"),
        (lambda: functional(layers.TimeDistributed(layers.Dense(3), name="each_time"), None, 4), "each_time"),
        (lambda: functional(lambda x: layers.Attention(name="bare")([x, x]), None, 4), "bare"),
        (lambda: functional(lambda x: layers.GroupQueryAttention(2, 2, 1, name="grouped")(x, x), None, 4), "grouped"),
        (lambda: functional(Unbuilt(name="unbuilt"), 4), "inside"),
        (lambda: functional(lambda x: x @ keras.ops.transpose(x), 4), "matmul"),
        (lambda: SampledSoftmax(next_item_transformer(9, T, width=4), draws=2), "parts"),
    ],
    ids=[
        "own weights",
        "convolution",
        "cell",
        "wrapper",
        "attention",
        "grouped attention",
        "unknown shape",
        "bare product",
        "no graph",
    ],
)
def test_what_is_not_known_is_named_and_not_skipped(make, named):
    with pytest.raises(CourseError, match=named):
        multiply_adds(make(), B, T)


def course_models():
    known = np.zeros((7, 9))
    yield "self-attention", lambda: next_item_transformer(20, T, width=8, blocks=2)
    yield "LSTM", lambda: next_item_rnn(20, "LSTM", width=8, units=6)
    yield "GRU", lambda: next_item_rnn(20, "GRU", width=8, units=6)
    yield "interest", next_interest_model
    yield "two towers", lambda: two_towers(known, np.zeros((7, 2)), np.zeros((9, 3)))
    yield from ((kind, lambda kind=kind: scenario_model(kind, 20, 8, 2)) for kind in KINDS)
    yield "BERT", lambda: fine_tuning_model(load_encoder("tiny"), 8, frozen_blocks=0)


def ones(model):
    """Inputs of the model, as it wants them."""
    fill = lambda x: np.ones([size or (T if place else B) for place, size in enumerate(x.shape)], x.dtype)  # noqa: E731
    return keras.tree.map_structure(fill, model.input)


needs_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graph is read")


@needs_tensorflow
@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in course_models()])
def test_tensorflows_graph_has_as_many(make, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from floor import forward_products

    model = make()
    products = forward_products(model, ones(model))
    assert multiply_adds(model, B, T) == sum(product.multiply_adds * n for product, n in products.items()) > 0


@needs_tensorflow
@pytest.mark.parametrize("kind", ["self-attention", "LSTM", "GRU"])
def test_a_training_step_does_three_times_as_many(kind, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from floor import training_step

    model = dict(course_models())[kind]()
    step = training_step(kind, model, keras.optimizers.Adam(), next_item_loss(), ones(model), ones(model))
    assert step.operations == 2 * 3 * multiply_adds(model, B, T)


@pytest.mark.thorough  # a benchmark in small: minutes on a slow machine
@needs_tensorflow
def test_the_table_of_the_benchmark_adds_up(tmp_path):
    subprocess.run([sys.executable, BENCHMARKS / "floor.py", "--smoke", "--out", tmp_path], check=True, timeout=300)
    found = json.loads((tmp_path / "bench_floor.json").read_text(encoding="utf-8"))
    assert len(found["steps"]) == len(found["account"]) == 7 and len(found["encoders"]) == 1 and not found["peer"]
    for row in found["steps"] + found["encoders"]:
        assert row["GFLOP/s"] == pytest.approx(row["GFLOP"] / row["ms"] * 1000)
        assert row["share"] == pytest.approx(row["GFLOP/s"] / row["machine"])
        assert row["ceiling"] == pytest.approx(row["GFLOP"] / row["alone ms"] * 1000)
        assert row["share of ceiling"] == pytest.approx(row["alone ms"] / row["ms"])
        assert row["ms"] <= row["median ms"]
    for row in found["account"]:
        parts = [row[part] for part in row if part not in ("step", "sum", "step, ms")]
        assert row["sum"] == pytest.approx(sum(parts)) and row["matrix products"] > 0
        assert row["sum"] > 0.2 * row["other"] / 0.8
    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    for row in found["steps"]:
        assert f"| {row['step']} | {row['GFLOP']:.2f} | {row['ms']:.1f} |" in page
