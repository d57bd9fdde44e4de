from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_helpers.data.negatives import draw_negatives
from recsys_helpers.models.two_towers import NegativeSampling


def drawn_before(taken: np.ndarray, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same draws as the published figures were computed with; it never ends for a user who took everything."""
    drawn = rng.integers(0, taken.shape[1], len(users))
    while (again := taken[users, drawn]).any():
        drawn[again] = rng.integers(0, taken.shape[1], again.sum())
    return drawn


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 30), st.floats(0, 1))
def test_draws_are_those_of_the_published_figures(seed, n_users, n_items, share):
    rng = np.random.default_rng(seed)
    taken = rng.random((n_users, n_items)) < share
    taken[np.arange(n_users), rng.integers(0, n_items, n_users)] = False
    users = rng.integers(0, n_users, 40)
    drawn, rng_before = draw_negatives(taken, users, np.random.default_rng(seed)), np.random.default_rng(seed)
    assert np.array_equal(drawn, drawn_before(taken, users, rng_before))
    assert not taken[users, drawn].any()


def test_draws_are_even():
    taken = np.array([[True, False, False, True, False]])
    counts = np.bincount(draw_negatives(taken, np.zeros(30_000, int), np.random.default_rng(0)), minlength=5)
    assert counts[[0, 3]].tolist() == [0, 0] and counts[[1, 2, 4]] == pytest.approx(10_000, rel=0.05)


def test_who_took_everything_has_no_negatives():
    taken = np.array([[True, False, False], [True, True, True], [False, False, True]])
    users = np.array([0, 1, 1, 1, 2, 0])
    drawn = draw_negatives(taken, users, np.random.default_rng(0))
    assert (drawn[users == 1] == -1).all() and not taken[users, drawn][users != 1].any()


def test_training_pairs_leave_out_who_took_everything():
    histories = [np.array([1, 2, 3]), np.array([2]), np.array([3, 1])]
    split = SimpleNamespace(history=lambda part: histories, n_users=3, n_items=3)
    pairs = NegativeSampling(SimpleNamespace(split=split), "test", batch_size=2, seed=0)
    for _ in range(3):
        users, items, negatives = (np.concatenate(each) for each in zip(*(pairs[i][0] for i in range(2)), strict=True))
        assert len(pairs) == 2 and sorted(users) == [1, 2, 2] and sorted(items) == [0, 1, 2]
        assert not pairs.taken[users, negatives].any()
        pairs.on_epoch_end()
