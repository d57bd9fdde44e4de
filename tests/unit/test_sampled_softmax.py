"""The sampled softmax against the full one, and the lesson's stopwatches."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from recsys_helpers.models import self_attention
from recsys_helpers.scale import cost, sampled_softmax
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import fit

ITEMS, LENGTH = 40, 6
SKEWED = np.arange(1, ITEMS + 1) ** -1.0
SKEWED /= SKEWED.sum()


@pytest.fixture
def model():
    keras.utils.set_random_seed(3)
    built = self_attention.next_item_transformer(ITEMS, LENGTH, width=16, dropout=0)
    random = np.random.default_rng(3)  # weights as after a training: some items score far higher than others
    built.set_weights([w + random.normal(size=w.shape) / 2 for w in built.get_weights()])
    return built


@pytest.fixture
def batch():
    items = np.random.default_rng(4).integers(1, ITEMS + 1, (8, LENGTH + 1)).astype("int32")
    items[:3, 4:] = 0
    return items[:, :-1], items[:, 1:]


def mean_loss(model, batch, **settings):
    """Over many draws."""
    learner = sampled_softmax.SampledSoftmax(model, seed=5, **settings)
    states = learner(batch[0])
    return np.mean([float(learner.compute_loss(y=batch[1], y_pred=states)) for _ in range(30)])


def full_loss(model, batch):
    """Over the items; padding, which the model's own softmax has as one class more, is not drawn."""
    real, logits = batch[1] > 0, keras.ops.convert_to_numpy(model(batch[0]))[..., 1:]
    chosen = np.take_along_axis(logits, np.maximum(batch[1] - 1, 0)[..., None], axis=-1)[..., 0]
    return float((np.log(np.exp(logits).sum(axis=-1)) - chosen)[real].mean())


@pytest.mark.parametrize("proposal", [None, SKEWED], ids=["even", "skewed"])
def test_with_many_draws_it_is_the_full_softmax(model, batch, proposal):
    assert mean_loss(model, batch, proposal=proposal, draws=4000) == pytest.approx(full_loss(model, batch), abs=0.02)


def test_without_the_correction_it_is_not(model, batch):
    loss = mean_loss(model, batch, proposal=SKEWED, draws=4000, corrected=False)
    assert loss > full_loss(model, batch) + 1


def test_a_drawn_target_is_no_rival_of_itself(model, batch):
    nearly_always = np.full(ITEMS, 1e-7)
    nearly_always[4] = 1 - nearly_always.sum() + 1e-7
    items, _ = batch
    targets = np.where(items > 0, 5, 0)
    assert mean_loss(model, (items, targets), proposal=nearly_always, draws=16) == pytest.approx(0, abs=1e-3)


def test_padding_does_not_count(model, batch):
    items, targets = batch
    cut = targets.copy()
    cut[:, 2:] = 0
    one = mean_loss(model, (items, cut), draws=64)
    short = mean_loss(model, (items[:, :2], targets[:, :2]), draws=64)
    assert one == pytest.approx(short, rel=1e-5)


@pytest.mark.parametrize("proposal", [np.ones(ITEMS), np.eye(ITEMS)[0], SKEWED[:-1]])
def test_a_proposal_that_is_no_distribution_is_refused(model, proposal):
    with pytest.raises(ValueError, match=f"{ITEMS} positive numbers"):
        sampled_softmax.SampledSoftmax(model, proposal)


def test_it_trains_the_model_that_it_was_given(model, batch):
    before = full_loss(model, batch)
    learner = sampled_softmax.SampledSoftmax(model, SKEWED, draws=64, seed=1)
    learner.compile(keras.optimizers.Adam(0.02))
    log = fit(learner, batch, epochs=30, lines=0)
    assert log["loss"].iloc[-1] < log["loss"].iloc[0] and full_loss(model, batch) < before - 1


def test_the_stopwatch_takes_turns_and_keeps_the_best(monkeypatch):
    called, now = [], 0.0
    pauses = {"short": iter([5, 5, 0.25, 5]), "long": iter([10, 2, 10, 10])}

    def call(name):
        nonlocal now
        called.append(name)
        now += next(pauses[name])

    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: now))
    took = cost.milliseconds({name: lambda name=name: call(name) for name in pauses}, rounds=3)
    assert called == ["short", "long"] * 4
    assert took.to_dict() == {"short": 250, "long": 2000}


def test_the_profiler_names_the_kinds_of_operations():
    tf = pytest.importorskip("tensorflow")
    matrix = tf.random.normal([700, 700])
    product = tf.function(lambda: tf.nn.softmax(matrix @ matrix @ matrix))
    product()
    kinds = cost.op_times(product)
    assert kinds.index[0] == "MatMul" and "Softmax" in kinds and kinds.is_monotonic_decreasing and kinds.min() >= 0


def test_the_profiler_takes_the_best_of_its_rounds(monkeypatch):
    rounds = iter([[("a:MatMul", 9.0), ("b:MatMul", 1.0), ("c:Mul", 3.0)], [("a:_MklMatMulV2", 4.0), ("c:Mul", 30.0)]])
    monkeypatch.setattr(cost, "traced_ops", lambda call, steps: next(rounds))
    assert cost.op_times(lambda: None, rounds=2).to_dict() == {"MatMul": 4.0, "Mul": 3.0}


@pytest.mark.parametrize("prefetched", [True, False])
def test_prefetch_fetches_while_the_step_is_computed(prefetched):
    tf = pytest.importorskip("tensorflow")
    second = threading.Event()

    def batches():
        yield 0
        second.set()  # the next batch is asked for
        yield 1

    data = tf.data.Dataset.from_generator(batches, output_signature=tf.TensorSpec([], tf.int32)).prefetch(2)
    source = iter(data if prefetched else batches())
    next(source)  # a step on this batch lasts for as long as the next is waited for
    assert second.wait(timeout=60 if prefetched else 0) == prefetched
