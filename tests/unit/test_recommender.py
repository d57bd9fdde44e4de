"""The two stages on a small made-up log: what a list is made of, what it must not know, and what a file may hold."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
from small_logs import ITEMS, SUBJECTS, USERS, Words, made_up

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation import leaderboard
from recsys_helpers.models import bert, cross_domain, multi_scenario
from recsys_helpers.models.base import Request, requests_of
from recsys_helpers.models.multi_scenario import ScenarioFusion
from recsys_helpers.models.next_item import LENGTH, next_item_scores
from recsys_helpers.models.self_attention import SelfAttention, next_item_transformer
from recsys_helpers.recommender import ranker, recommender, retrieval
from recsys_helpers.recommender.panel import panel
from recsys_helpers.recommender.recommender import Recommender
from recsys_helpers.training.backend import keras

pytestmark = pytest.mark.usefixtures("words")


@pytest.fixture(scope="module")
def log():
    return made_up()


@pytest.fixture(scope="module")
def fitted(log):
    return Recommender("smoke").fit(log)


@pytest.fixture
def saved(fitted, tmp_path):
    fitted.save(tmp_path)
    return tmp_path


def same_lists(first, second) -> bool:
    return all(first.recommend(user).equals(second.recommend(user)) for user in range(0, USERS, 7))


def test_contributions_sum_to_the_score(fitted):
    table = fitted.recommend(3, "cart", interests={"jazz": 2.0})
    retrieval = table.drop(columns=["item", "title", "score"])
    assert list(retrieval) == [*recommender.PARTS, "interests"]
    assert np.allclose(retrieval.sum(axis=1), table["score"], atol=1e-5)
    assert table["score"].is_monotonic_decreasing and len(table) == 10
    assert (retrieval.drop(columns="interests").abs().sum() > 0).all()  # every part has a say


def test_an_explanation_is_that_of_the_list(fitted):
    table = fitted.recommend(3, "cart")
    told = fitted.explain(3, int(table["item"][2]), "cart")
    assert told.score == pytest.approx(table["score"][2], abs=1e-5)
    assert told.parts["contribution"].sum() == pytest.approx(told.score)
    assert np.allclose(told.parts["weight"] * told.parts["above"], told.parts["contribution"])
    assert np.allclose(told.parts["contribution"], table.loc[2, list(recommender.PARTS)].astype(float), atol=1e-5)
    assert set(told.because["item"]) <= set(fitted.people[3].history)


def test_seen_items_are_never_recommended(fitted):
    for user in range(USERS):
        assert not set(fitted.recommend(user, k=ITEMS)["item"]) & set(fitted.people[user].history)


def test_the_state_in_numpy_is_that_of_keras():
    keras.utils.set_random_seed(1)
    network = next_item_transformer(ITEMS, LENGTH)
    rng = np.random.default_rng(0)
    for weight in network.weights:  # biases start as zeros, and would hide a mistake
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    model = SelfAttention()
    model.n_items_, model.usual_ = ITEMS, np.zeros(64, "float32")
    model.read(network)
    histories = [rng.integers(1, ITEMS + 1, size) for size in (1, 5, 49, 50, 51, 120)]
    mine = model.scores([Request(items, items, 0, 0) for items in histories])
    assert np.allclose(mine, next_item_scores(network, histories, LENGTH), atol=1e-3)
    assert not model.scores([Request(np.array([], int), np.array([]), 0, 0)]).any()


def by_the_lessons(log, part):
    """The events that are known and the requests, whose item is -1, in one table; and the features of lesson 05."""
    asked = log.requests(part).drop(columns=["item", "strength"])
    events = pd.concat([log.before(part), asked]).sort_values("user", kind="stable").reset_index(drop=True)
    events["item"] = events["item"].fillna(0).astype(int) - 1
    user, item = events["user"].to_numpy(), events["item"].to_numpy()
    domain = np.eye(len(log.domains))[log.items["domain"]]
    views = [cross_domain.fading_interest(domain[item], user, item >= 0, 0.9)]
    for where in domain.T > 0:
        here = (item >= 0) & where[item]
        views += [cross_domain.fading_interest(log.subjects[item], user, here, decay) for decay in (0.5, 0.9)]
        views.append(-np.log(cross_domain.events_since(user, here))[:, None])
    features = np.hstack(views)
    features = np.where(np.isnan(features), np.nanmean(features, axis=0), features)
    return events, features, (domain[:, :, None] * log.subjects[:, None]).reshape(len(domain), -1)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_fusion_in_numpy_is_that_of_keras(log, part, monkeypatch):
    networks = []

    def shaken(network, *others, **settings):  # biases and weights of extras start as zeros, and would hide a mistake
        rng = np.random.default_rng(0)
        for weight in network.weights:
            weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
        networks.append(network)

    monkeypatch.setattr(multi_scenario, "fit", shaken)
    model, asked = ScenarioFusion("smoke", 7).fit(log, part), requests_of(log, part)
    mine = model.scores(asked)
    events, features, contents = by_the_lessons(log, part)
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    x, n = scaled[(events["item"] < 0).to_numpy()].astype("float32"), np.ones(ITEMS, int)
    for row in range(0, USERS, 7):
        rows = [x[row * n], contents, model.extras_, asked[row].scenario * n]
        theirs = keras.ops.convert_to_numpy(networks[0](rows))[:, 0]
        assert np.ptp(theirs) > 1 and np.allclose(mine[row], theirs, atol=1e-3)
    assert np.allclose(model.contents_.reshape(ITEMS, -1), contents)
    assert model.parameters == networks[0].count_params()


@pytest.mark.parametrize("part", ["validation", "test"])
def test_features_are_those_of_the_lessons(log, part):
    events, expected, contents = by_the_lessons(log, part)
    contents = contents.reshape(ITEMS, len(log.domains), -1)
    assert np.array_equal(contents, cross_domain.contents_of(log))
    mine, followed = cross_domain.moments_of(contents, log.split.history(part))
    assert np.array_equal(followed, events["item"] >= 0)
    missing = np.isnan(mine)
    assert np.allclose(np.where(missing, np.nanmean(mine, axis=0), mine), expected) and 0 < missing.mean() < 0.5
    nothing = cross_domain.moments(contents[:0])
    assert nothing.shape == (1, mine.shape[1]) and np.isnan(nothing).all()


def test_the_leaderboard_has_it(log, fitted, monkeypatch):
    outcome = leaderboard.measure(log, leaderboard.MODELS["capstone"], "smoke", 7)
    assert np.isfinite(outcome["ranks"]).all() and outcome["parameters"] == fitted.parameters
    order = next_item_transformer(ITEMS, LENGTH).count_params()
    assert order + 7000 < fitted.parameters < order + 9000
    with pytest.raises(CourseError, match="learns from the validation items"):
        Recommender("smoke").fit(log, "validation")


def test_a_batch_is_many_single_lists(fitted):
    users = [5, 40, 11]
    items, scores = fitted.batch(users, ["home", "cart", "home"], k=7)
    for user, scenario, row, values in zip(users, ["home", "cart", "home"], items, scores, strict=True):
        table = fitted.recommend(user, scenario, k=7)
        assert table["item"].tolist() == row.tolist() and np.allclose(table["score"], values, atol=1e-4)


def test_more_of_a_subject_moves_it_up(fitted):
    share = {}
    for times in (0.02, 1, 50):
        lists = [fitted.recommend(user, k=20, interests={"chess": times}) for user in range(0, USERS, 7)]
        share[times] = pd.concat(lists)["title"].str.startswith("chess").mean()
    assert share[0.02] < share[1] < share[50]
    assert fitted.recommend(8, interests=np.ones(3))["item"].equals(fitted.recommend(8)["item"])


def test_what_lies_after_the_request_changes_nothing(log, fitted):
    request = requests_of(log, "validation")[4]
    recency = fitted.models["recency"]
    later = recency.times_ >= request.time
    other, changed = copy.copy(fitted), copy.copy(recency)
    changed.items_ = np.where(later, 0, recency.items_)
    other.models = fitted.models | {"recency": changed}
    assert later.any() and (changed.items_ != recency.items_).any()
    assert np.array_equal(fitted.part_scores([request]), other.part_scores([request]))


@pytest.mark.parametrize(("hidden", "part"), [(1, "test"), (2, "validation")])
@pytest.mark.parametrize("name", [name for name in recommender.PARTS if name not in ("self-attention", "fusion")])
def test_hidden_items_are_not_learned(log, name, hidden, part):
    parts = [Recommender("smoke").models[name].fit(one, part).state() for one in (log, hide(log, hidden))]
    assert parts[0] and all(np.array_equal(array, parts[1][key]) for key, array in parts[0].items())


def hide(log, last):
    """The same log, but the `last` items of each user are others, liked otherwise."""
    rows = log.events.groupby("user").cumcount(ascending=False) < last
    events = log.events.assign(
        item=log.events["item"].where(~rows, ITEMS), strength=log.events["strength"].where(~rows, 0.33)
    )
    sequences = [group.to_numpy() for _, group in events.groupby("user")["item"]]
    split = type(log.split)(log.split.user_ids, log.split.item_ids, sequences)
    return EventLog(log.name, split, events, log.items, log.subjects, log.scenarios, log.subject_names, log.domains)


def test_a_recommender_never_sees_the_test_items(log, fitted):
    other = Recommender("smoke").fit(hide(log, 1))
    assert np.allclose(fitted.gate.bias, other.gate.bias, atol=1e-4)
    assert np.allclose(fitted.scores(fitted.people[:5]), other.scores(fitted.people[:5]), atol=1e-3)


def test_better_than_chance_and_parts_can_be_left_out(fitted):
    ranks = ranker.cross_validated(fitted.examples)
    assert np.median(ranks) < 0.75 * np.median(fitted.examples.open.sum(axis=1)) or (ranks <= 10).mean() > 15 / ITEMS
    less = fitted.without("recency", "text profile")
    assert set(less.recommend(1)) == set(fitted.recommend(1)) - {"recency", "text profile"}


def test_the_gate_finds_what_tells(fitted):
    rng, retrieval = np.random.default_rng(0), ("good", "noise")
    place = rng.integers(0, 20, 400)
    scores = rng.normal(size=(400, 2, 20)).astype("float32")
    scores[np.arange(400), 0, place] += 2
    context = np.c_[rng.normal(size=(400, 2)), np.eye(2)[rng.integers(0, 2, 400)]]
    examples = ranker.Examples(retrieval, scores, context, place, np.ones((400, 20), bool))
    good, noise = np.exp(ranker.fit_gate(examples).bias)
    assert good > 5 * noise
    scores[context[:, 2] == 1] = scores[context[:, 2] == 1][:, ::-1]  # in the first scenario the other part tells
    weights = ranker.fit_gate(examples, shrink=1.0).weights(np.array([[0, 0, 1, 0], [0, 0, 0, 1.0]]))
    assert weights[0, 1] > 2 * weights[0, 0] and weights[1, 0] > 2 * weights[1, 1]


def test_somebody_new(fitted):
    nobody = fitted.recommend_for()
    assert np.isfinite(nobody["score"]).all() and not nobody["EASE"].any() and nobody["popularity"].abs().sum() > 0
    order = fitted.models["self-attention"]
    usual = order.states([person.history for person in fitted.people]).mean(axis=0)  # the validation items, too
    mine = order.scores([Request(np.array([], int), np.array([]), 0, 0)])[0]
    assert np.allclose(mine, usual @ order.weights_[0][1:].T, atol=1e-5)
    chess = [item for item, title in enumerate(fitted.items["title"], 1) if title.startswith("chess")][:4]
    table = fitted.recommend_for(chess, strengths=[1, 1, 1, 1], scenario="cart", k=20)
    assert table["title"].str.startswith("chess").mean() > 0.4 and not set(table["item"]) & set(chess)


def test_a_new_item_is_found_by_its_text(saved):
    book = Recommender.load(saved)
    number = book.add_item("chess no 99", "chess no 99", {"chess": 1})
    assert number == ITEMS + 1
    chess = [item for item, title in enumerate(book.items["title"], 1) if title.startswith("chess")][:4]
    assert number in book.recommend_for(chess, k=40, interests={"chess": 30})["item"].tolist()
    assert number not in book.recommend_for([*chess, number], k=ITEMS)["item"].tolist()
    told = book.explain(0, number)
    assert told.parts["contribution"].sum() == pytest.approx(told.score)
    with pytest.raises(CourseError, match="did you mean 'chess'"):
        book.add_item("x", "x", {"ches": 1})


def test_a_new_item_leaves_the_others_as_they_are(fitted):
    grown = copy.copy(fitted)
    before = {name: array.copy() for name, array in fitted.state().items()}
    assert grown.add_item("chess no 99", "chess no 99", {"chess": 1}) == len(fitted.items) + 1
    assert all(np.array_equal(array, before[name]) for name, array in fitted.state().items())
    assert grown.scores(fitted.people[:3]).shape == (3, ITEMS + 1)
    again = Recommender.from_state(grown.state(), **grown.settings())
    assert np.array_equal(again.scores(fitted.people[:3]), grown.scores(fitted.people[:3]))


def test_the_encoder_is_loaded_once_and_known_to_the_file(saved, monkeypatch):
    loads = []

    def load(name):
        loads.append(name)
        return Words(name)

    monkeypatch.setattr(bert, "load_encoder", load)
    book = Recommender.load(saved)
    assert loads == [] and str(book.state()["parts/text profile/encoder_"]) == "minilm"
    for number in range(3):
        book.add_item(f"chess no {99 + number}", "chess", {"chess": 1})
    assert loads == ["minilm"]


@pytest.mark.parametrize("here", [Words("tiny"), Words("minilm", letters="abcdef"), Words("tiny", letters="abcdef")])
def test_another_encoder_is_refused(saved, monkeypatch, here):
    monkeypatch.setattr(bert, "load_encoder", lambda name: here)
    book = Recommender.load(saved)
    message = rf"by the encoder 'minilm' \(20 numbers each\), and here is '{here.name}' \({len(here.letters)}\)"
    with pytest.raises(CourseError, match=message):
        book.add_item("chess no 99", "chess", {"chess": 1})
    assert len(book.items) == ITEMS


def test_names_that_do_not_exist(fitted):
    for ask, message in {
        lambda: fitted.recommend(USERS): "user 60 does not exist; users are numbered from 0 to 59",
        lambda: fitted.recommend(1, "hom"): "did you mean 'home'",
        lambda: fitted.recommend(1, interests={"jaz": 2}): "did you mean 'jazz'",
        lambda: fitted.recommend(1, interests=[1, 2]): "each of the 3 subjects",
        lambda: fitted.recommend(1, interests={"jazz": -1}): "from 0 on",
        lambda: fitted.recommend_for([ITEMS + 1]): "numbered from 1 to 80",
        lambda: fitted.recommend_for([1, 2], strengths=[1]): "1 strengths for 2 items",
        lambda: fitted.explain(1, 0): "item 0 does not exist",
        lambda: fitted.without("recncy"): "did you mean 'recency'",
        lambda: Recommender(parts=("self-attention", "recent neighbors")): "did you mean 'recent neighbours'",
        lambda: Recommender(parts=("self-attention", "recent neighbours")): "need the parts .*text profile",
        lambda: Recommender(parts=("text profile", "recent neighbours", "text profile")): "once only",
        lambda: fitted.add_item("new", "new", {}): "a share above 0",
        lambda: fitted.add_item("new", "new", {"jazz": 1}, like=0): "from 1 on",
        lambda: fitted.add_item("new", "new", {"jazz": 1}, domain=5): "domain 5 does not exist",
    }.items():
        with pytest.raises(CourseError, match=message):
            ask()


def test_loaded_as_saved(fitted, saved):
    loaded = Recommender.load(saved)
    assert same_lists(fitted, loaded)
    with pytest.raises(CourseError, match="no examples"):
        loaded.without("recency")
    loaded.save(saved)  # takes the place of the old one
    assert same_lists(fitted, Recommender.load(saved)) and [path.name for path in saved.iterdir()] == [recommender.FILE]


def test_damaged_files_are_refused(saved):
    path = saved / recommender.FILE
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    pieces = [whole[: len(whole) // 2], whole[:-30], b"", b"no file of ours"]
    for place in rng.integers(0, len(whole), 40):
        pieces.append(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    refused = 0
    for piece in pieces:
        path.write_bytes(piece)
        try:
            Recommender.load(saved)
        except CourseError as error:
            assert "fit one again" in str(error)
            refused += 1
    assert refused >= len(pieces) - 2  # dates in the headers of the zip mean nothing


def rewrite(path, replaced=None, **changes):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | (replaced or {})
    card = json.loads(str(arrays.pop("card"))) | changes
    np.savez(path, card=json.dumps(card), **arrays)


def test_foreign_and_newer_files_are_refused(saved, tmp_path):
    path = saved / recommender.FILE
    rewrite(path, {"gate/bias": np.zeros(len(recommender.PARTS))})  # a sound file with another's numbers
    with pytest.raises(CourseError, match="checksum"):
        Recommender.load(saved)
    rewrite(path, version=recommender.VERSION + 1)
    with pytest.raises(CourseError, match="newer"):
        Recommender.load(saved)
    rewrite(path, version=recommender.VERSION - 1)
    with pytest.raises(CourseError, match="older"):
        Recommender.load(saved)
    rewrite(path, version=recommender.VERSION, kind="cake")
    with pytest.raises(CourseError, match="is no recommender"):
        Recommender.load(saved)
    np.savez(path, numbers=np.arange(3))
    with pytest.raises(CourseError, match="no recommender"):
        Recommender.load(saved)
    np.savez(path, card=np.array([{"kind": 1}], dtype=object))  # a pickle, which could run anything
    with pytest.raises(CourseError, match="no recommender"):
        Recommender.load(saved)
    with pytest.raises(CourseError, match="there is no recommender"):
        Recommender.load(tmp_path / "elsewhere")


def test_a_failed_save_leaves_the_old_file(fitted, saved, monkeypatch):
    before = (saved / recommender.FILE).read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(CourseError, match="No space left"):
        fitted.save(saved)
    assert (saved / recommender.FILE).read_bytes() == before and len(list(saved.iterdir())) == 1


def test_approximate_search_finds_most():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 4)).astype("float32")
    index = retrieval.approximate_index(vectors)
    assert retrieval.recall_of(index, vectors, vectors[:20], k=20) > 0.95


def test_requests_are_what_is_known(log):
    for part, hidden in {"test": 1, "validation": 2}.items():
        for request, sequence in zip(requests_of(log, part), log.split.sequences, strict=True):
            assert request.history.tolist() == sequence[:-hidden].tolist() and request.gap >= 0
    assert isinstance(requests_of(log)[0], Request)


def test_the_panel_follows_its_controls(fitted):
    controls, listed = panel(fitted, user=3).children
    _, where, *sliders = controls.children
    assert [slider.description for slider in sliders] == list(SUBJECTS)
    before = listed.value
    for title in fitted.recommend(3, "home")["title"]:
        assert title in before
    sliders[2].value = 1 / 8
    assert listed.value != before
    sliders[2].value = 1
    assert listed.value == before
    where.value = "cart"
    assert fitted.recommend(3, "cart")["title"][0] in listed.value
