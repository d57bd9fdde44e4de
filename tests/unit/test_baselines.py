from types import SimpleNamespace

import numpy as np
import pytest

from recsys_helpers.data.movielens import load_movielens
from recsys_helpers.data.splits import leave_one_out
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.ranks import hit, ndcg, target_ranks
from recsys_helpers.models import base
from recsys_helpers.models.baselines import (
    EASE,
    SLIT,
    ItemKNN,
    MarkovChain,
    RecentNeighbours,
    baseline_ranks,
    item_knn,
    item_similarity,
    markov_chain,
    popularity,
    recent_neighbours,
)

TOY = [np.array([1, 2, 3]), np.array([1, 2]), np.array([2])]


@pytest.fixture(scope="module")
def split():
    movielens = load_movielens()
    return leave_one_out(movielens.ratings, movielens.films["film_id"])


def test_popularity_counts_users():
    assert popularity(TOY, 4).tolist() == [[2, 3, 1, 0]] * 3


def test_cosine_by_hand():
    cosine = item_similarity(TOY, 4, neighbours=4)
    assert cosine[0, 1] == pytest.approx(2 / 6**0.5)
    assert cosine[0, 2] == pytest.approx(1 / 2**0.5)
    assert (np.diag(cosine) == 0).all() and (cosine[3] == 0).all()


def test_neighbours_are_kept_per_candidate_or_per_history_item():
    per_candidate = item_similarity(TOY, 4, neighbours=1, keep="candidate")
    per_history = item_similarity(TOY, 4, neighbours=1, keep="history")
    assert ((per_candidate > 0).sum(axis=0) <= 1).all()
    assert ((per_history > 0).sum(axis=1) <= 1).all()
    assert np.allclose(per_history, per_candidate.T)
    with pytest.raises(KeyError):
        item_similarity(TOY, 4, keep="both")


@pytest.mark.parametrize("keep", ["candidate", "history"])
def test_fewer_items_than_neighbours_keep_them_all(keep):
    assert np.array_equal(item_similarity(TOY, 4, keep=keep), item_similarity(TOY, 4, neighbours=4, keep=keep))
    assert np.array_equal(item_knn(TOY, 4, keep=keep), item_knn(TOY, 4, neighbours=4, keep=keep))


def test_knn_sums_similarity_over_the_history():
    cosine = item_similarity(TOY, 4, neighbours=4)
    assert np.allclose(item_knn(TOY, 4, neighbours=4)[1], cosine[0] + cosine[1])


def test_reference_figures_on_movielens(split):
    """Popularity as measured independently; item-kNN as RecBole 1.2.1 prints it, which learns no validation film."""
    ranks = baseline_ranks(split)
    assert hit(ranks["popularity"]).mean() == pytest.approx(0.086, abs=0.002)
    assert ndcg(ranks["popularity"]).mean() == pytest.approx(0.045, abs=0.002)
    history, target = split.history(), split.target()
    recbole = item_knn(history, split.n_items, learn_from=split.history("validation"))
    assert hit(target_ranks(recbole, history, target)).mean() == pytest.approx(0.115, abs=0.002)
    assert ndcg(target_ranks(recbole, history, target)).mean() == pytest.approx(0.063, abs=0.002)


def test_stated_figures_of_the_baselines_that_know_the_order(split):
    for model, expected in ((markov_chain, (0.145, 0.079)), (recent_neighbours, (0.182, 0.102))):
        ranks = target_ranks(model(split.history(), split.n_items), split.history(), split.target())
        assert (hit(ranks).mean(), ndcg(ranks).mean()) == pytest.approx(expected, abs=0.002)


def test_no_baseline_learns_from_the_answer(split):
    """Change every test film: the scores must not move."""
    history = split.history()
    target = split.target()
    before = item_knn(history, split.n_items)
    shuffled = type(split)(
        split.user_ids,
        split.item_ids,
        [np.append(s[:-1], 1 + (t + 100) % split.n_items) for s, t in zip(split.sequences, target, strict=True)],
    )
    assert np.array_equal(before, item_knn(shuffled.history(), split.n_items))


@pytest.mark.parametrize("model", [ItemKNN, MarkovChain, RecentNeighbours, EASE, SLIT], ids=lambda one: one.name)
def test_size_is_said_before_memory_is_taken(model, monkeypatch):
    histories = [np.array([1, 2, 3]), np.array([3, 2])]
    model().learn(histories, 3)
    with pytest.raises(CourseError, match=r"GiB for 400,000 items by items, and \d+ are free: take fewer items"):
        model().learn(histories, 400_000)
    monkeypatch.setattr(base.psutil, "virtual_memory", lambda: SimpleNamespace(available=71))
    with pytest.raises(CourseError, match="3 items by items"):
        model().learn(histories, 3)
