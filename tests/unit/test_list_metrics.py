import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ranx import Qrels, Run, evaluate

from recsys_helpers.evaluation import list_metrics

ONE_HIT = np.array([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
WANTED = np.array([3, 1, 2])
BY_RANK = {
    "hit rate": lambda hits, wanted: list_metrics.hit_rate(hits),
    "precision": lambda hits, wanted: list_metrics.precision(hits),
    "recall": list_metrics.recall,
    "MRR": lambda hits, wanted: list_metrics.reciprocal_rank(hits),
    "MAP": list_metrics.average_precision,
    "NDCG": list_metrics.ndcg,
}
lists_of_hits = arrays(
    "float64", st.tuples(st.integers(1, 6), st.integers(2, 12)), elements=st.sampled_from([0.0, 1.0])
)


def test_by_hand():
    assert list_metrics.hit_rate(ONE_HIT).tolist() == [1, 1, 0]
    assert list_metrics.precision(ONE_HIT).tolist() == [0.4, 0.2, 0]
    assert np.allclose(list_metrics.recall(ONE_HIT, WANTED), [2 / 3, 1, 0])
    assert np.allclose(list_metrics.reciprocal_rank(ONE_HIT), [1, 1 / 5, 0])
    assert np.allclose(list_metrics.average_precision(ONE_HIT, WANTED), [(1 + 2 / 3) / 3, 1 / 5, 0])
    assert np.allclose(list_metrics.ndcg(ONE_HIT, WANTED), [1.5 / (1 + 1 / np.log2(3) + 0.5), 1 / np.log2(6), 0])
    assert list_metrics.by_user(ONE_HIT, WANTED).shape == (3, 6)
    full = np.ones((1, 2)), np.array([5])  # a list of two cannot hold five: it is perfect all the same
    assert list_metrics.average_precision(*full) == list_metrics.ndcg(*full) == 1 and list_metrics.recall(*full) == 0.4


def test_equal_to_an_established_library():
    rng = np.random.default_rng(0)
    lists = np.stack([rng.permutation(np.arange(1, 41))[:10] for _ in range(50)])
    wanted = [rng.choice(np.arange(1, 41), rng.integers(1, 9), replace=False) for _ in lists]
    hits, counts = list_metrics.hits(lists, wanted), np.array(list(map(len, wanted)))
    qrels = Qrels({str(u): {str(i): 1 for i in items} for u, items in enumerate(wanted)})
    run = Run({str(u): {str(i): 10.0 - place for place, i in enumerate(row)} for u, row in enumerate(lists)})
    names = {
        "hit rate": "hit_rate",
        "precision": "precision",
        "recall": "recall",
        "MRR": "mrr",
        "MAP": "map",
        "NDCG": "ndcg",
    }
    theirs = evaluate(qrels, run, [f"{name}@10" for name in names.values()])
    for ours, name in names.items():
        assert BY_RANK[ours](hits, counts).mean() == pytest.approx(theirs[f"{name}@10"], abs=1e-6), ours


@given(lists_of_hits, st.integers(0, 5), st.randoms(use_true_random=False))
def test_bounded_perfect_and_better_with_a_hit_farther_up(hits, more, random):
    wanted = np.maximum(hits.sum(axis=1), 1) + more
    for name, metric in BY_RANK.items():
        values = metric(hits, wanted)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name
        best = -np.sort(-hits, axis=1)
        assert (metric(best, wanted) >= values - 1e-12).all(), name
        assert np.allclose(metric(np.ones_like(hits), np.full(len(hits), hits.shape[1])), 1), name
        order = random.sample(range(len(hits)), len(hits))
        assert np.allclose(metric(hits[order], wanted[order]), values[order]), name
    up = hits.copy()
    place = random.randrange(hits.shape[1] - 1)
    up[:, [place, place + 1]] = np.c_[hits[:, place : place + 2].max(axis=1), hits[:, place : place + 2].min(axis=1)]
    for name, metric in BY_RANK.items():
        assert (metric(up, wanted) >= metric(hits, wanted) - 1e-12).all(), name


def test_lists_leave_out_what_was_seen_and_are_sorted():
    lists = list_metrics.top_items(np.array([[9.0, 8, 1, 5, 5]]), [np.array([1])], k=3)
    assert lists.tolist() == [[2, 4, 5]]
    assert list_metrics.hits(lists, [np.array([5, 1])]).tolist() == [[0, 0, 1]]


def test_coverage_and_gini_by_hand_and_at_their_ends():
    assert list_metrics.coverage(np.array([[1, 2], [2, 3]]), 10) == 0.3
    even, single = np.arange(1, 11).reshape(5, 2), np.full((5, 2), 7)
    assert list_metrics.gini(even, 10) == pytest.approx(0)
    assert list_metrics.gini(single, 10) == pytest.approx(0.9)  # 1 - 1 / n_items
    counts = np.array([0, 1, 3])  # mean difference of all pairs, over twice the mean
    by_pairs = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
    assert list_metrics.gini(np.array([[2, 3], [3, 3]]), 3) == pytest.approx(by_pairs)


def test_novelty_counts_bits():
    assert list_metrics.novelty(np.array([[1, 2], [1, 1]]), np.array([0.5, 0.125])).tolist() == [2, 1]


@given(st.integers(0, 1000))
def test_diversity_is_the_mean_over_pairs_whatever_the_order_and_length(seed):
    rng = np.random.default_rng(seed)
    vectors, items = rng.random((9, 4)) + 0.01, rng.permutation(9)[:5] + 1
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = (unit @ unit.T)[np.ix_(items - 1, items - 1)]
    expected = 1 - cosine[np.triu_indices(5, 1)].mean()
    assert list_metrics.diversity(items[None], vectors)[0] == pytest.approx(expected)
    assert list_metrics.diversity(rng.permutation(items)[None], 3 * vectors)[0] == pytest.approx(expected)
    assert list_metrics.diversity(np.full((1, 3), 2), vectors)[0] == pytest.approx(0)


def test_serendipity_needs_both_wanted_and_not_obvious():
    lists, obvious = np.array([[1, 2, 3, 4]]), np.array([[1, 9, 8, 7]])
    hits = list_metrics.hits(lists, [np.array([1, 2])])
    assert list_metrics.serendipity(lists, hits, obvious).tolist() == [0.25]
    assert list_metrics.serendipity(lists, hits, lists).tolist() == [0]
