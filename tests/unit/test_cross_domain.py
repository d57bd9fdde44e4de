"""Fading interest, scores from it, and users hidden in one of two domains."""

import numpy as np
import pandas as pd
import pytest

from recsys_helpers.data.movielens import MovieLens
from recsys_helpers.models import cross_domain


def test_fading_interest_by_hand():
    contents = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1], [1, 0]])
    users = np.array([1, 1, 1, 1, 2])
    books = np.array([True, True, False, True, True])
    interest = cross_domain.fading_interest(contents, users, books, decay=0.5)
    assert np.isnan(interest[0]).all() and np.isnan(interest[4]).all()  # nobody knows anything yet
    assert interest[1].tolist() == [1, 0]
    assert np.allclose(interest[2], [1 / 3, 2 / 3]) and np.allclose(interest[3], [1 / 3, 2 / 3])  # the song is no book


def test_fading_interest_is_the_sum_event_by_event():
    rng = np.random.default_rng(3)
    contents, users, counts = rng.random((400, 3)), np.sort(rng.integers(0, 40, 400)), rng.random(400) < 0.4
    expected = np.full(contents.shape, np.nan)
    for event, user in enumerate(users):
        if event == 0 or user != users[event - 1]:
            total, weight = np.zeros(3), 0.0
        if weight:
            expected[event] = total / weight
        if counts[event]:
            total, weight = 0.7 * total + contents[event], 0.7 * weight + 1
    assert np.array_equal(cross_domain.fading_interest(contents, users, counts, 0.7), expected, equal_nan=True)


def test_what_comes_later_is_not_seen():
    rng = np.random.default_rng(0)
    contents, users, counts = rng.random((30, 4)), np.repeat([1, 2, 3], 10), rng.random(30) < 0.5
    changed = contents.copy()
    changed[15:] = rng.random((15, 4))
    before, after = (cross_domain.fading_interest(x, users, counts) for x in (contents, changed))
    assert np.array_equal(before[:16], after[:16], equal_nan=True) and not np.allclose(before[16:20], after[16:20])


def test_events_since_by_hand():
    users = np.array([1, 1, 1, 1, 2, 2])
    ages = cross_domain.events_since(users, np.array([True, False, False, True, False, True]))
    assert np.array_equal(ages, [np.nan, 1, 2, 3, np.nan, np.nan], equal_nan=True)


def test_item_scores_are_log_probabilities():
    contents = np.array([[1, 0], [1, 0], [0, 1.0]])
    scores = cross_domain.item_scores(np.array([[3.0, 1.0]]), contents, np.array([9, 1, 5]))
    assert np.allclose(np.exp(scores), [[0.75 * 0.9, 0.75 * 0.1, 0.25]])


def test_ndcg_by_user_is_the_mean_of_the_rows():
    scores = np.array([[3.0, 2, 1], [3, 2, 1], [1, 2, 3]])
    gains = cross_domain.ndcg_by_user(scores, np.array([0, 1, 2]), np.array([7, 7, 4]))
    assert np.allclose(gains, [1, (1 + 1 / np.log2(3)) / 2])


@pytest.fixture
def domains():
    rng = np.random.default_rng(1)
    n_users, n_films = 40, 60
    films = pd.DataFrame({"film_id": np.arange(1, n_films + 1), "title": "t"})
    films["genres"] = [("War",)] * 25 + [("Drama", "Romance")] * 25 + [("War", "Drama")] * 9 + [()]
    pairs = [(u, f, t) for u in range(1, n_users + 1) for t, f in enumerate(rng.permutation(n_films)[:55] + 1)]
    ratings = pd.DataFrame(pairs, columns=["user_id", "film_id", "time"]).assign(rating=4.0)
    movielens = MovieLens(users=pd.DataFrame({"user_id": np.arange(1, n_users + 1)}), films=films, ratings=ratings)
    return cross_domain.film_domains(movielens, {"War"}, {"Drama", "Romance"}, hide=0.25), ratings


def test_film_domains_are_disjoint_and_hide_whole_users(domains):
    two, ratings = domains
    assert two.source_items.tolist() == list(range(25)) and two.target_items.tolist() == list(range(25, 50))
    assert len(two.hidden) == 10 and not set(two.hidden) & set(two.shared) and not set(two.hidden) & set(two.visible)
    assert np.array_equal(two.known + two.relevant, two.target[two.hidden])
    times = ratings.pivot(index="user_id", columns="film_id", values="time").to_numpy()[two.hidden][:, 25:50]
    for row in range(10):
        assert times[row][two.known[row] > 0].max() < times[row][two.relevant[row] > 0].min()
        assert abs(two.known[row].sum() - two.relevant[row].sum()) <= 1


def test_relevant_ndcg_against_scikit_learn(domains):
    from sklearn.metrics import ndcg_score

    two, _ = domains
    untied = np.random.default_rng(2).random(two.known.shape)
    for scores in (untied, untied.round(1)):
        ours = cross_domain.relevant_ndcg(scores, two)
        for row in range(len(scores)):
            open_ = two.known[row] == 0
            assert ours[row] == pytest.approx(
                ndcg_score(two.relevant[row][open_][None], scores[row][open_][None], k=10)
            )
        noise = 1e-8 * np.random.default_rng(3).standard_normal(scores.shape)
        assert np.array_equal(cross_domain.relevant_ndcg(scores + noise, two), ours)  # as of another processor
    assert np.allclose(cross_domain.relevant_ndcg(two.relevant, two), 1)
    assert np.allclose(cross_domain.relevant_ndcg(two.relevant - 5, two), 1)
