"""One protocol for every model: nothing sees what it has to predict, anybody is served, a saved model is the same."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_logs import ITEMS, USERS, Words, made_up, with_other_items

from recsys_helpers.errors import CourseError, did_you_mean
from recsys_helpers.evaluation.leaderboard import MODELS, choose
from recsys_helpers.evaluation.ranks import target_ranks
from recsys_helpers.models import base, network
from recsys_helpers.models.base import Model, NewItem, Request, make, register, requests_of
from recsys_helpers.models.baselines import EASE, Popularity
from recsys_helpers.models.network import Network
from recsys_helpers.training.backend import keras

NETWORKS = [name for name, model in MODELS.items() if issubclass(model, Network)]
CAPSTONE = pytest.param("capstone", "test", 1)  # it learns from the validation items
PARTS = [(name, *part) for name in MODELS if name != "capstone" for part in (("test", 1), ("validation", 2))]


pytestmark = pytest.mark.usefixtures("words")


@pytest.fixture(scope="module")
def log():
    return made_up()


@pytest.fixture(scope="module")
def fitted(log):
    """Every model, fitted once for the test."""
    known = {}

    def of(name: str) -> Model:
        if name not in known:
            known[name] = make(MODELS[name], profile="smoke", seed=3).fit(log, "test")
        return known[name]

    return of


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_finite_and_of_every_item(log, fitted, name):
    scores = fitted(name).scores(requests_of(log))
    assert scores.shape == (USERS, ITEMS) and scores.dtype.kind == "f" and np.isfinite(scores).all()
    assert np.ptp(scores, axis=1).min() > 0
    assert target_ranks(scores, log.split.history(), log.split.target()).shape == (USERS,)


@pytest.mark.parametrize("name, part, hidden", [*(p for p in PARTS if p[0] not in NETWORKS), CAPSTONE])
def test_no_model_sees_what_it_has_to_predict(log, name, part, hidden):
    other = with_other_items(log, hidden)
    assert (other.split.target(part) != log.split.target(part)).mean() > 0.9
    one, another = (make(MODELS[name], profile="smoke", seed=3).fit(data, part) for data in (log, other))
    # the requests, too, are the same but for what is asked
    assert np.allclose(one.scores(requests_of(log, part)), another.scores(requests_of(other, part)), atol=1e-4)


@pytest.mark.parametrize("name, part, hidden", [p for p in PARTS if p[0] in NETWORKS])
def test_no_network_sees_what_it_has_to_predict(log, name, part, hidden, monkeypatch):
    """What it would be trained on, and what it says before that."""
    trained_on = []

    def untrained(model, data, epochs, *others, **settings):
        trained_on[-1] += [data[i] for i in range(len(data))]
        return pd.DataFrame({"NDCG@10": [0.0]}, index=[1])

    monkeypatch.setattr(network, "fit", untrained)
    scores = []
    for data in (log, with_other_items(log, hidden)):
        trained_on.append([])
        scores.append(make(MODELS[name], profile="smoke", seed=3).fit(data, part).scores(requests_of(data, part)))
    assert np.allclose(*scores, atol=1e-4) and np.ptp(scores[0]) > 0.01
    batches = [keras.tree.flatten(found) for found in trained_on]
    assert batches[0] and all(np.array_equal(one, another) for one, another in zip(*batches, strict=True))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in (*NETWORKS, "text profile", "capstone")])
def test_models_do_see_the_validation_item_before_the_test(log, fitted, name):
    other, asked = with_other_items(log, 2), requests_of(log)
    events = other.events.drop(index=np.flatnonzero(other.events.groupby("user").cumcount(ascending=False) == 1)[:30])
    sequences = [group.to_numpy() for _, group in events.groupby("user")["item"]]
    other = replace(other, events=events, split=replace(other.split, sequences=sequences))
    again = make(MODELS[name], profile="smoke", seed=3).fit(other, "test")
    assert not np.allclose(fitted(name).scores(asked), again.scores(asked), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same(log, fitted, name):
    model, file = fitted(name), io.BytesIO()
    np.savez(file, **model.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        loaded = MODELS[name].from_state({key: arrays[key] for key in arrays.files}, **model.settings())
    asked = requests_of(log)
    assert np.array_equal(loaded.scores(asked), model.scores(asked))
    assert loaded.parameters == model.parameters and loaded.settings() == model.settings()


@pytest.mark.parametrize("name", MODELS)
def test_anybody_is_served(log, fitted, name):
    nothing, time = np.array([], int), log.events["time"].max() + 1
    nobody, some = Request(nothing, nothing * 1.0, 0, time), requests_of(log)[4]
    unknown = [replace(some, user=user) for user in (None, USERS, 10**6, -1)]
    scores = fitted(name).scores([nobody, *unknown])
    assert scores.shape == (5, ITEMS) and np.isfinite(scores).all()
    assert np.allclose(scores[1], scores[2:], atol=1e-6)  # all of them are nobody that it knows
    assert np.allclose(fitted(name).scores([nobody]), scores[:1], atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_what_lies_after_the_request_changes_nothing(log, fitted, name):
    asked = requests_of(log)
    alone = fitted(name).scores(asked[4:5])
    assert np.allclose(alone, fitted(name).scores(asked)[4:5], rtol=1e-4, atol=1e-4)


def test_a_new_item_is_the_last_column_or_refused(log, fitted):
    asked, takes = requests_of(log), 0
    item = NewItem(Words().encode(["chess"])[0], np.array([0, 0, 1.0]), 0, np.array([2, 5, 8]))
    for name in (name for name in MODELS if name != "capstone"):
        before = fitted(name).scores(asked)
        try:
            grown = fitted(name).with_item(item)
        except CourseError as error:
            assert name in str(error)
        else:
            takes += 1
            assert grown.scores(asked).shape == (USERS, ITEMS + 1), name
            assert np.allclose(grown.scores(asked)[:, :-1], before, rtol=1e-3, atol=1e-3) or name == "recency"
        assert np.array_equal(fitted(name).scores(asked), before), f"{name} itself has changed"
    assert takes == 9


def test_parameters_are_what_was_trained(log, fitted):
    assert fitted("matrix factorisation").parameters == 64 * (USERS + ITEMS) + ITEMS
    assert fitted("popularity").parameters == fitted("item-kNN").parameters == 0
    assert fitted("EASE").parameters == ITEMS**2 - ITEMS


def test_one_class_is_a_row_and_a_part(log):
    @register
    class Unpopular(Popularity):
        name = "unpopular"

        def after(self, histories):
            return -super().after(histories)

    try:
        assert choose(["unpopular"]) == {"unpopular": Unpopular} and "unpopular" not in choose([])
        parts = (*MODELS["capstone"]().parts, "unpopular")
        whole = MODELS["capstone"]("smoke", parts=parts).fit(log)
        assert "unpopular" in whole.recommend(1) and len(whole.gate.bias) == 10
    finally:
        del base.MODELS["unpopular"]


def test_did_you_mean():
    assert did_you_mean("GRUU", ["LSTM", "GRU"]) == "did you mean 'GRU'?"
    assert did_you_mean("zzz", ["LSTM", "GRU"]) == "known are LSTM, GRU."


def test_a_name_belongs_to_one_class():
    class Mine(Model):
        name = "EASE"

    with pytest.raises(CourseError, match=r"'EASE' is the name of recsys_helpers\.models\.baselines\.EASE"):
        register(Mine)
    assert register(EASE) is EASE, "a cell that runs twice registers the same class again"
