import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranx import Qrels, Run, evaluate

from recsys_helpers.evaluation.bootstrap import (
    auc_by_draw,
    auc_interval,
    bootstrap_interval,
    compare,
    policy_value,
)
from recsys_helpers.evaluation.ranks import hit, ndcg, sampled_ranks, target_ranks

SEEN = [np.array([1, 2])]
TARGET = np.array([4])


@pytest.mark.parametrize(
    "scores, ties, rank",
    [
        ([9, 8, 1, 5, 7], "middle", 2),  # items 1 and 2 are seen and do not count
        ([0, 0, 1, 9, 2], "middle", 1),
        ([0, 0, 5, 5, 5], "best", 1),
        ([0, 0, 5, 5, 5], "middle", 2),
        ([0, 0, 5, 5, 5], "worst", 3),
    ],
)
def test_rank_masks_seen_items_and_states_ties(scores, ties, rank):
    assert target_ranks(np.array([scores]), SEEN, TARGET, ties).tolist() == [rank]


def test_scores_are_not_changed_and_nan_is_refused():
    scores = np.ones((1, 5))
    target_ranks(scores, SEEN, TARGET)
    assert (scores == 1).all()
    scores[0, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        target_ranks(scores, SEEN, TARGET)


def test_metrics_by_hand():
    ranks = np.array([1, 3, 10, 10.5, 11])
    assert hit(ranks).tolist() == [1, 1, 1, 0, 0]
    assert np.allclose(ndcg(ranks), [1, 0.5, 1 / np.log2(11), 0, 0])


def test_metrics_equal_an_established_library():
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=(60, 40)), rng.integers(1, 41, size=60)
    history = [rng.choice(np.setdiff1d(np.arange(1, 41), [t]), 8, replace=False) for t in target]
    ranks = target_ranks(scores, history, target)
    qrels = Qrels({str(u): {str(t): 1} for u, t in enumerate(target)})
    run = {
        str(u): {str(i): scores[u, i - 1] for i in range(1, 41) if i not in set(history[u])} for u in range(len(target))
    }
    theirs = evaluate(qrels, Run(run), ["hit_rate@10", "ndcg@10"])
    assert hit(ranks).mean() == pytest.approx(theirs["hit_rate@10"], abs=1e-9)
    assert ndcg(ranks).mean() == pytest.approx(theirs["ndcg@10"], abs=1e-9)


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=50), st.integers(1, 20))
def test_metrics_are_bounded_and_fall_with_the_rank(ranks, k):
    ranks = np.array(ranks)
    for metric in (hit, ndcg):
        values = metric(ranks, k)
        assert ((values >= 0) & (values <= 1)).all()
        assert (metric(ranks + 1, k) <= values).all()
        assert (metric(np.ones(3), k) == 1).all()


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        _, low, high = bootstrap_interval(rng.random(200) < 0.3, seed=trial, resamples=400)
        covered += low <= 0.3 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_compare_has_one_row_a_model():
    table = compare({"good": np.array([1, 2, 30]), "bad": np.array([50, 60, 70])})
    assert table.loc["good", "HR@10"] == pytest.approx(2 / 3, abs=1e-4)
    assert table.loc["bad", "NDCG@10"] == 0


def test_auc_against_scikit_learn_with_ties_and_weights():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    scores, labels, users = rng.integers(0, 8, 300), rng.integers(0, 2, 300), rng.integers(0, 20, 300)
    draws = np.vstack([np.ones(20), rng.multinomial(20, np.full(20, 0.05), size=5)])
    ours = auc_by_draw(scores, labels, users, draws)
    theirs = [roc_auc_score(labels, scores, sample_weight=counts[users]) for counts in draws]
    assert np.allclose(ours, theirs)


def test_auc_interval_of_a_difference_draws_the_same_users_for_both():
    rng = np.random.default_rng(0)
    labels, users = rng.integers(0, 2, 600), np.repeat(np.arange(40), 15)
    first = labels + rng.normal(size=600)
    value, low, high = auc_interval(first, labels, users)
    assert low < value < high and 0.7 < value < 0.85
    assert auc_interval(first, labels, users, minus=first) == (0, 0, 0)
    gain = auc_interval(first, labels, users, minus=first + 0.2 * rng.normal(size=600))
    assert gain[2] - gain[1] < (high - low) / 2


def test_a_rank_among_drawn_items_is_what_chance_makes_of_the_full_rank():
    rng = np.random.default_rng(0)
    scores, history = np.tile(np.arange(40.0), (4000, 1)), [np.array([40, 39])] * 4000
    ranks = sampled_ranks(scores, history, np.full(4000, 29), negatives=9, rng=rng)
    assert ranks.mean() == pytest.approx(1 + 9 * 9 / 37, abs=0.05)  # 9 of the 37 unseen others are better
    assert ranks.min() >= 1 and ranks.max() <= 10
    assert (sampled_ranks(0 * scores, history, np.full(4000, 29), 9, rng) == 5.5).all()


def test_inverse_propensity_finds_what_another_policy_earns():
    rng = np.random.default_rng(0)
    shown, wanted, earns = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7]), np.array([0.1, 0.5, 0.9])
    item, users = rng.choice(3, 20_000, p=shown), np.repeat(np.arange(500), 40)
    rewards = (rng.random(20_000) < earns[item]).astype(float)
    values = policy_value(rewards, (wanted / shown)[item], users)
    for value, low, high in values.values():
        assert low < wanted @ earns < high and low < value < high and high - low < 0.1
    same = policy_value(rewards, np.ones(20_000), users)
    assert same["inverse propensity"] == same["self-normalised"] and same["self-normalised"][0] == rewards.mean()
