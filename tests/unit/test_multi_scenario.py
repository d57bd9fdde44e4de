"""Models for several scenarios: their size, what they may see, and the candidates they are asked about."""

import numpy as np
import pytest

from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.data.interest_world_optimum import take_items
from recsys_helpers.data.movielens import load_movielens
from recsys_helpers.models import multi_scenario
from recsys_helpers.models.two_towers import fit_biases, predict
from recsys_helpers.training.backend import keras

ROWS = np.random.default_rng(0).normal(size=(12, 5)).astype("float32")


def inputs(scenario):
    n = len(ROWS)
    contents = np.eye(3, dtype="float32")[np.arange(n) % 3]
    return [ROWS, contents, np.ones((n, 2), "float32"), np.full(n, scenario, "int32")]


@pytest.mark.parametrize("kind", multi_scenario.KINDS)
def test_models_have_the_size_asked_for_and_know_the_scenario(kind):
    keras.utils.set_random_seed(1)
    model = multi_scenario.scenario_model(kind, 5, 3, 2, scenarios=4, weights=900)
    assert abs(model.count_params() - 900) < 60
    if kind in ("one each", "shared bottom", "mixture of experts", "star"):  # as they start, or alike in all scenarios
        for layer in model.layers:
            layer.set_weights([w + np.random.default_rng(2).normal(size=w.shape) for w in layer.get_weights()])
    there, elsewhere = (predict(model, inputs(scenario)) for scenario in (0, 3))
    assert np.allclose(there, elsewhere) == (kind == "one for all")


def test_star_is_shared_weights_times_own_weights():
    layer = multi_scenario.PerScenario(2, 3, star=True)
    scenario = np.array([0, 1, 1], "int32")
    layer([ROWS[:3], scenario])
    rng = np.random.default_rng(3)
    for weight in (layer.kernels, layer.biases, layer.kernel, layer.bias):
        weight.assign(rng.normal(size=weight.shape))
    own, own_bias, kernel, bias = (np.asarray(w) for w in (layer.kernels, layer.biases, layer.kernel, layer.bias))
    expected = [x @ (own[s] * kernel) + own_bias[s] + bias for x, s in zip(ROWS[:3], scenario, strict=True)]
    assert np.allclose(np.asarray(layer([ROWS[:3], scenario])), expected, atol=1e-5)


def test_experts_are_mixed_by_shares():
    model = multi_scenario.scenario_model("attention over experts", 5, 3, 2)
    gates = [multi_scenario.part_of(model, "gate", ROWS, scenario) for scenario in range(4)]
    assert all(np.allclose(gate.sum(axis=1), 1) and (gate > 0).all() for gate in gates)
    assert np.allclose(gates[0], gates[0][0])  # the query is the scenario, not the user
    assert not np.allclose(gates[0], gates[1])


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="has to be one of one for all"):
        multi_scenario.scenario_model("one for none", 5, 3, 2)


def test_implied_weights_are_relative_to_the_first_scenario():
    model = multi_scenario.scenario_model("scenario as input", 5, 3, 2)
    weights = multi_scenario.implied_weights(model, ROWS)
    assert weights.shape == (4, 3) and np.allclose(weights[0], 0) and np.allclose(weights.sum(axis=1), 0, atol=1e-5)


def test_candidates_come_from_the_same_domain():
    second = np.array([False, True] * 10)
    rows, items, labels = multi_scenario.candidates(
        np.array([5, 9]), np.array([3, 4]), second, 4, np.random.default_rng(0)
    )
    assert rows.tolist() == [5] * 5 + [9] * 5 and items[[0, 5]].tolist() == [3, 4]
    assert labels.tolist() == [1, 0, 0, 0, 0] * 2
    assert second[items[:5]].all() and not second[items[5:]].any()


def test_auc_by_scenario_sees_only_its_rows():
    scores, labels = np.array([1, 2, 3, 4.0]), np.array([0, 1, 1, 0])
    figures = multi_scenario.auc_by_scenario(
        scores, labels, np.arange(4) // 2 * 0, np.array([0, 0, 1, 1]), ["here", "there"]
    )
    assert figures["here"][0] == 1 and figures["there"][0] == 0


def test_liking_rows_learn_nothing_from_the_test_rows():
    movielens = load_movielens()
    test = np.random.default_rng(1).random(len(movielens.ratings)) < 0.2
    before = multi_scenario.liking_rows(movielens, test)
    changed = movielens.ratings.assign(rating=movielens.ratings["rating"].where(~test, 1))
    after = multi_scenario.liking_rows(type(movielens)(movielens.users, movielens.films, changed), test)
    assert all(np.allclose(one, other) for one, other in zip(before, after, strict=True))
    user, film, stars = (movielens.ratings[c].to_numpy() for c in ("user_id", "film_id", "rating"))
    drama = np.array(["Drama" in genres for genres in movielens.films["genres"]])[film - 1]
    shape = (len(movielens.users), len(movielens.films))
    biases = fit_biases(user[~test] - 1, film[~test] - 1, stars[~test].astype(float), shape)
    excess = stars - biases(user - 1, film - 1)
    expected = []
    for row in np.flatnonzero(~test)[:50]:
        others = (user == user[row]) & drama & ~test
        others[row] = False  # a rating is no feature of itself
        expected.append(excess[others].sum() / (5 + others.sum()))
    column = sorted({genre for genres in movielens.films["genres"] for genre in genres}).index("Drama")
    assert np.corrcoef(expected, before[0][np.flatnonzero(~test)[:50], column])[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_new_scenario_takes_by_its_weights():
    world = load_interest_world()
    rows = np.arange(4000)
    only = np.eye(8)[3]
    items = take_items(world, rows, only, np.random.default_rng(0))
    taken = world.items.iloc[items]
    assert (taken["interest"].cat.codes == 3).all()
    assert (taken["domain"].to_numpy() == world.interactions["domain"].to_numpy()[rows]).all()
    ranks = world.truth.items["popularity_rank"].to_numpy()[items]
    assert (ranks == 0).mean() == pytest.approx(world.model.popularity[0], abs=0.02)
    usual = take_items(world, rows, np.ones(8), np.random.default_rng(0))
    was = world.interactions["interest"].cat.codes.to_numpy()[rows]
    shares = [
        np.bincount(x, minlength=8) / len(rows) for x in (world.items["interest"].cat.codes.to_numpy()[usual], was)
    ]
    assert np.abs(shares[0] - shares[1]).max() < 0.05
