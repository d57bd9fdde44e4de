import numpy as np
import pytest

from recsys_helpers import training
from recsys_helpers.backend import keras


def linear(learning_rate=0.05):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


@pytest.fixture
def data():
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    return x, x @ np.array([[1.0], [2.0], [3.0]], dtype="float32")


def test_the_loss_falls_and_the_log_has_a_row_an_epoch(data, capsys):
    log = training.fit(linear(), data, epochs=6, lines=3, batch_size=16)
    assert log.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert log["loss"].iloc[-1] < 0.2 * log["loss"].iloc[0]
    assert log["seconds"].is_monotonic_increasing
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[-1].startswith("epoch 6 of 6: loss") and "\r" not in "".join(lines)


def test_the_best_epoch_is_kept_and_patience_ends_it(data):
    model, seen = linear(), []

    def validate():
        seen.append(model.get_weights()[0].copy())
        return {"NDCG@10": [0.1, 0.5, 0.3, 0.2, 0.1, 0.1][len(seen) - 1]}

    log = training.fit(model, data, epochs=6, validate=validate, patience=2, lines=0)
    assert len(log) == 4
    assert np.array_equal(model.get_weights()[0], seen[1])


def test_a_diverging_training_stops_with_advice(data):
    with pytest.raises(FloatingPointError, match="learning rate"):
        training.fit(linear(learning_rate=1e20), data, epochs=9, lines=0)
