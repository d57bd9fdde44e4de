import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.data.splits import pad_right
from recsys_helpers.models import next_item, recurrent
from recsys_helpers.models.baselines import markov_chain, recent_neighbours
from recsys_helpers.models.self_attention import next_item_transformer


def test_shares_after_a_context_by_hand():
    shares = recurrent.transition_probabilities(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0]), 3, 2, smoothing=0.5)
    assert np.allclose(shares, [[1.5 / 4, 2.5 / 4], [1.5 / 2, 0.5 / 2], [0.5, 0.5]])


@given(st.integers(0, 10_000), st.integers(2, 9))
def test_stationary_shares_stay(seed, n):
    transition = np.random.default_rng(seed).dirichlet(np.ones(n), size=n)
    shares = recurrent.stationary(transition)
    assert shares.sum() == pytest.approx(1)
    assert np.allclose(transition.T @ shares, shares)


@given(st.integers(0, 10_000))
def test_drift_is_the_jensen_shannon_distance(seed):
    first, second = np.random.default_rng(seed).dirichlet(np.full(6, 0.3), size=2)
    assert recurrent.drift(first, second) == pytest.approx(jensenshannon(first, second, base=2), abs=1e-6)
    assert recurrent.drift(first, first) == pytest.approx(0, abs=1e-6)
    assert recurrent.drift(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(1)


@pytest.fixture(scope="module")
def world():
    return load_interest_world()


def test_windows_see_the_past_and_nothing_else(world):
    users = np.array([1629, 8])
    (before, ahead), interests = recurrent.interest_windows(world, users)
    for row, user in enumerate(users):
        events = world.interactions[world.interactions["user_id"] == user]
        n = len(events)
        assert interests[row, :n].tolist() == events["interest"].cat.codes.tolist()
        assert (interests[row, n:] == -1).all() and (before[row, n:] == 0).all() and (ahead[row, n:] == 0).all()
        assert before[row, 0] == recurrent.FIRST
        assert ((before[row, 1:n] - 1) // 16).tolist() == interests[row, : n - 1].tolist()
        assert ((before[row, 1:n] - 1) % 2).tolist() == events["liked"].tolist()[:-1]
        assert ((ahead[row, :n] - 1) % 4).tolist() == events["scenario"].cat.codes.tolist()
        assert ((ahead[row, :n] - 1) // 4).tolist() == events["domain"].cat.codes.tolist()


def test_chains_look_at_what_their_names_say(world):
    (before, ahead), interests = recurrent.interest_windows(world, np.array([1629]))
    looked = recurrent.chain_contexts(before, ahead)
    assert looked["first order"][0, :3].tolist() == [8, interests[0, 0], interests[0, 1]]
    assert looked["second order"][0, 2] == interests[0, 0] * 9 + interests[0, 1]
    assert max(context.max() for context in looked.values()) < recurrent.CONTEXTS
    domain = (ahead[0] - 1) // 4
    assert looked["first order, domains"][0, 5] == interests[0, 4] * 4 + domain[4] * 2 + domain[5]


def test_surprise_counts_real_events_only():
    probabilities = np.full((1, 3, 8), 1 / 8)
    probabilities[0, 2] = 0
    assert recurrent.log_loss_per_user(probabilities, np.array([[0, 5, -1]])) == pytest.approx(np.log(8))


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_networks_do_not_see_what_is_to_come(cell):
    items = np.arange(1, 9)[None].astype("int32")
    model = recurrent.next_item_rnn(10, cell, width=8, units=8)
    changed = items.copy()
    changed[0, 5:] = 9
    first, second = (np.asarray(model(x, training=False)) for x in (items, changed))
    assert np.allclose(first[:, :5], second[:, :5], atol=1e-6)
    assert not np.allclose(first[:, 5:], second[:, 5:], atol=1e-3)
    assert first.shape == (1, 8, 11)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "self-attention"])
def test_readers_do_not_see_what_is_to_come(kind):
    events = np.arange(1, 9)[None].astype("int32")
    changed = events.copy()
    changed[0, 5:] = 9
    reader = recurrent.next_interest_model(kind, units=8)
    one, other = (np.asarray(reader([x, np.ones_like(x)], training=False)) for x in (events, changed))
    assert np.allclose(one[:, :5], other[:, :5], atol=1e-6) and one.shape == (1, 8, 8)
    assert not np.allclose(one[:, 5:], other[:, 5:], atol=1e-4)


def test_chain_and_recent_neighbours_by_hand():
    histories = [np.array([1, 2, 3]), np.array([1, 2, 4]), np.array([2, 3, 1])]
    chain = markov_chain(histories, 5, smoothing=1)
    assert chain[0].argmax() == 0 and np.allclose(chain.sum(axis=1), 1)  # after 3 came 1
    assert chain[2, 1] > chain[2, 2]  # after 1 came 2, twice
    recent = recent_neighbours(histories, 5, last=2, decay=0.5)
    assert recent[0, 0] == pytest.approx(2 / 6**0.5 + 0.5)  # like item 3, and half as much like item 2
    assert recent.shape == (3, 5) and recent[:, 4].tolist() == [0, 0, 0]


def test_scores_are_those_of_the_output_layer_at_the_last_item():
    histories = [np.arange(1, 9), np.arange(3, 6), np.arange(1, 40) % 50 + 1]
    windows = pad_right(histories, 20)
    last = (windows > 0).sum(axis=1) - 1
    for model in (next_item_transformer(60, 20), recurrent.next_item_rnn(60)):
        whole = np.asarray(model(windows, training=False))[np.arange(3), last, 1:]
        assert np.allclose(next_item.next_item_scores(model, histories, 20), whole, atol=1e-5)
