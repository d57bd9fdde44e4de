import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys_helpers.data.splits import pad_right
from recsys_helpers.models import next_item, self_attention
from recsys_helpers.models.recurrent import next_item_rnn
from recsys_helpers.training.backend import keras

scores = arrays("float64", (3, 5), elements=st.floats(-1e4, 1e4))


def weights_of(x):
    """The weights of attention whose scores are x."""
    return self_attention.attention(x * x.shape[-1] ** 0.5, np.eye(x.shape[-1]), np.eye(x.shape[-1]))[1]


@given(scores)
def test_weights_sum_to_one_and_keep_the_order(x):
    weights = weights_of(x)
    assert np.allclose(weights.sum(axis=-1), 1)
    assert np.allclose(weights, weights_of(x + 7.5))
    assert (weights.argmax(axis=-1) == x.argmax(axis=-1)).all() or (np.sort(x)[:, -1] - np.sort(x)[:, -2]).min() < 1e-3


@given(scores)
def test_a_masked_key_has_no_weight_and_no_influence(x):
    mask = np.array([True, True, False, True, False])
    value = np.arange(10.0).reshape(5, 2)
    output, weights = self_attention.attention(x, np.eye(5), value, np.tile(mask, (3, 1)))
    assert (weights[:, ~mask] == 0).all() and np.allclose(weights.sum(axis=1), 1)
    value[~mask] = 99
    assert np.allclose(output, self_attention.attention(x, np.eye(5), value, np.tile(mask, (3, 1)))[0])


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return self_attention.next_item_transformer(30, length=8, width=16, blocks=2)


def test_the_model_does_not_see_the_future_or_the_padding(model):
    histories = [np.array([3, 9, 4, 7, 2])]
    logits = np.asarray(model(pad_right(histories, 8)))[0]
    longer = np.asarray(model(np.array([[3, 9, 4, 11, 12, 13, 14, 15]], dtype="int32")))[0]
    assert np.allclose(logits[:3], longer[:3], atol=1e-5)
    assert not np.allclose(logits[3], longer[3], atol=1e-3)
    assert logits.shape == (8, 31)


def test_scores_are_read_at_the_last_item(model):
    histories = [np.array([3, 9, 4]), np.arange(1, 13)]
    scores = next_item.next_item_scores(model, histories, length=8)
    alone = np.asarray(model(np.array([[3, 9, 4]], dtype="int32")))[0, -1, 1:]
    assert scores.shape == (2, 30)
    assert np.allclose(scores[0], alone, atol=1e-5)


def test_attention_weights_are_rows_of_ones_below_the_diagonal(model):
    weights = self_attention.attention_weights(model, pad_right([np.array([3, 9, 4, 7])], 8), block=2)
    assert weights.shape == (1, 2, 8, 8)
    assert np.allclose(weights[0, :, :4].sum(axis=-1), 1, atol=1e-5)
    assert np.allclose(np.triu(weights[0, 0], 1), 0)


def test_windows_move_by_one_and_cover_every_history():
    histories = [np.arange(1, 30), np.arange(40, 44), np.arange(50, 52)]
    data = next_item.Windows(histories, length=8, batch_size=2, seed=3)
    first = data.inputs.copy()
    for _ in range(20):
        inputs, targets = (np.concatenate(part) for part in zip(*(data[i] for i in range(len(data))), strict=True))
        real = targets > 0
        assert (targets[real] == inputs[real] + 1).all()  # the toy histories count upwards
        assert (inputs[:, 0] > 0).all(), "no empty row"
        assert len(inputs) == data.windows
        data.on_epoch_end()
    assert not np.array_equal(first, data.inputs)
    assert np.array_equal(first, next_item.Windows(histories, length=8, batch_size=2, seed=3).inputs)


def test_logits_keep_32_bits_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        models = [self_attention.next_item_transformer(12, 5, width=8), next_item_rnn(12, width=8, units=8)]
    finally:
        keras.config.set_dtype_policy("float32")
    items = np.arange(1, 6)[None]
    for model in models:
        logits = model(items, training=False)
        assert logits.dtype == "float32" and logits.shape == (1, 5, 13)
        assert model.get_layer("item_embedding").compute_dtype == "bfloat16"
