import functools

import numpy as np
import pytest

from recsys_helpers.models.self_attention import next_item_transformer
from recsys_helpers.scale.sampled_softmax import SampledSoftmax
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fingerprint import fingerprint, structure


def holds(number, array=(1.0,)):
    def loss(target, output):
        return number * output + array

    return loss


VALUES = np.arange(6.0)
DIFFERENT = [
    None,
    0,
    1,
    "1",
    [1],
    {"a": 1},
    {"a": 2},
    VALUES,
    VALUES.astype("float32"),
    VALUES.reshape(2, 3),
    VALUES[::-1],
    np.array(["a", None], object),
    np.array(["a", "b"], object),
    keras.ops.convert_to_tensor(VALUES[:2]),
    slice(1),
    slice(2),
    holds(1),
    holds(2),
    holds(1, VALUES),
    functools.partial(holds, 1),
    functools.partial(holds, 2),
    keras.losses.MeanSquaredError(),
    keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
    object(),
]


def test_what_differs_has_another_fingerprint():
    assert len({fingerprint(value) for value in DIFFERENT}) == len(DIFFERENT)


def test_what_is_equal_has_the_same():
    for made in (lambda: holds(1, VALUES), lambda: np.arange(6.0)[::-1], object, keras.losses.MeanSquaredError):
        assert fingerprint(made(), 1) == fingerprint(made(), 1)


def sampled(width=16, **settings) -> SampledSoftmax:
    return SampledSoftmax(next_item_transformer(20, 8, width=width, dropout=0), **settings)


@pytest.mark.parametrize(
    "change",
    [{"width": 8}, {"draws": 5}, {"corrected": False}, {"seed": 1}, {"proposal": np.arange(1, 21) / 210}],
    ids=str,
)
def test_a_subclassed_model_is_known_by_its_settings(change):
    with pytest.raises(NotImplementedError):
        sampled().get_config()
    known = fingerprint(structure(sampled()))
    keras.layers.Dense(1)  # Keras counts on
    assert known == fingerprint(structure(sampled())) != fingerprint(structure(sampled(**change)))


def test_values_of_weights_are_no_part_of_the_structure():
    model = sampled()
    before = fingerprint(structure(model))
    model.set_weights([weight + 1 for weight in model.get_weights()])
    assert fingerprint(structure(model)) == before
