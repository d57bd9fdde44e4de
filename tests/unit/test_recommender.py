"""The two stages on a small made-up log: what a list is made of, what it must not know, and what a file may hold."""

import json

import numpy as np
import pandas as pd
import pytest

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.splits import leave_one_out
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation import contestants
from recsys_helpers.models.next_item import next_item_scores
from recsys_helpers.models.self_attention import next_item_transformer
from recsys_helpers.recommender import ranker, recommender, retrieval
from recsys_helpers.recommender.panel import panel
from recsys_helpers.recommender.recommender import Recommender, Request
from recsys_helpers.training.backend import keras

USERS, ITEMS, SUBJECTS = 60, 80, ("jazz", "history", "chess")


class Words:
    """A text encoder without weights: a text is the letters that stand in it."""

    def encode(self, texts, cache=True):
        counts = np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrst"] for text in texts]) + 0.1
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype("float32")


def made_up(seed=0) -> EventLog:
    """People who stay with a subject for a while; what is late in a subject's list follows what is early."""
    rng, rows = np.random.default_rng(seed), []
    subject = np.arange(ITEMS) % len(SUBJECTS)
    for user in range(USERS):
        time, liked = rng.integers(0, 10**6), rng.integers(len(SUBJECTS))
        for _ in range(rng.integers(8, 25)):
            liked = liked if rng.random() < 0.8 else rng.integers(len(SUBJECTS))
            item = 1 + rng.choice(np.flatnonzero(subject == liked))
            time += rng.integers(1, 10**5)
            rows.append((user + 1, item, rng.integers(0, 5) / 4, rng.integers(2), time))
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "strength", "scenario", "time"])
    events = events.drop_duplicates(["user_id", "item_id"])
    split = leave_one_out(events, np.arange(1, ITEMS + 1), item="item_id")
    events = events.rename(columns={"item_id": "item"}).assign(user=events["user_id"] - 1).drop(columns="user_id")
    titles = [f"{SUBJECTS[kind]} no {number}" for number, kind in enumerate(subject)]
    items = pd.DataFrame({"title": titles, "text": titles, "domain": np.arange(ITEMS) % 2})
    subjects = np.eye(len(SUBJECTS))[subject]
    return EventLog("made up", split, events, items, subjects, ("home", "cart"), SUBJECTS, ("books", "music"))


@pytest.fixture(scope="module", autouse=True)
def words():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommender, "load_encoder", Words)
        yield


@pytest.fixture(scope="module")
def log():
    return made_up()


@pytest.fixture(scope="module")
def fitted(log):
    return Recommender.fit(log, "smoke")


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
    model = next_item_transformer(ITEMS, retrieval.LENGTH)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # biases start as zeros, and would hide a mistake
        weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    know = {f"order/{weight.path}": keras.ops.convert_to_numpy(weight) for weight in model.weights}
    histories = [rng.integers(1, ITEMS + 1, size) for size in (1, 5, 49, 50, 51, 120)]
    mine = retrieval.states(know, histories) @ know["order/item_embedding/embeddings"][1:].T
    assert np.allclose(mine, next_item_scores(model, histories, retrieval.LENGTH), atol=1e-3)
    assert not retrieval.states(know, [np.array([], int)]).any()


@pytest.mark.parametrize("part", ["validation", "test"])
def test_fusion_in_numpy_is_that_of_keras(log, part, monkeypatch):
    models = []

    def shaken(model, *others, **settings):  # biases and the weights of extras start as zeros, and would hide a mistake
        rng = np.random.default_rng(0)
        for weight in model.weights:
            weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
        models.append(model)

    monkeypatch.setattr(retrieval, "fit", shaken)
    know, asked = retrieval.train_fusion(log, part, "smoke", 7), retrieval.requests_of(log, part)
    mine = retrieval.part_scores(know, asked, ("fusion",))[:, 0]
    events, features, contents = contestants.moments(log, part)
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    x, n = scaled[(events["item"] < 0).to_numpy()].astype("float32"), np.ones(ITEMS, int)
    for row in range(0, USERS, 7):
        rows = [x[row * n], contents, know["fusion/extras"], asked[row].scenario * n]
        theirs = keras.ops.convert_to_numpy(models[0](rows))[:, 0]
        assert np.ptp(theirs) > 1 and np.allclose(mine[row], theirs, atol=1e-3)
    assert np.allclose(know["fusion/contents"].reshape(ITEMS, -1), contents)
    assert retrieval.trained_numbers(know) == models[0].count_params()


@pytest.mark.parametrize("part", ["validation", "test"])
def test_features_are_those_of_the_lessons(log, part):
    _, expected, contents = contestants.moments(log, part)
    contents = contents.reshape(ITEMS, len(log.domains), -1)
    mine = np.vstack([retrieval.features(contents[items - 1]) for items in log.split.history(part)])
    missing = np.isnan(mine)
    assert np.allclose(np.where(missing, np.nanmean(mine, axis=0), mine), expected) and 0 < missing.mean() < 0.5
    nothing = retrieval.features(contents[:0])
    assert nothing.shape == (1, mine.shape[1]) and np.isnan(nothing).all()


def test_the_leaderboard_has_it(log, fitted, monkeypatch):
    monkeypatch.setattr(Recommender, "fit", lambda *settings: fitted if settings == (log, "smoke", 7) else None)
    scores, parameters = contestants.MODELS["capstone"](log, "test", 7, "smoke")
    assert np.array_equal(scores, fitted.scores(retrieval.requests_of(log)))
    order = next_item_transformer(ITEMS, retrieval.LENGTH).count_params()
    assert order + 7000 < parameters < order + 9000
    with pytest.raises(CourseError, match="learns from the validation items"):
        contestants.MODELS["capstone"](log, "validation", 7, "smoke")


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
    request = recommender.requests_of(log, "validation")[4]
    later = fitted.know["event_times"] >= request.time
    changed = fitted.know | {"event_items": np.where(later, 0, fitted.know["event_items"])}
    assert later.any() and (changed["event_items"] != fitted.know["event_items"]).any()
    before, after = (recommender.part_scores(know, [request]) for know in (fitted.know, changed))
    assert np.array_equal(before, after)


@pytest.mark.parametrize(("hidden", "part"), [(1, "test"), (2, "validation")])
def test_hidden_items_are_not_learned(log, fitted, hidden, part):
    other = hide(log, hidden)
    trained = {name: array for name, array in fitted.know.items() if name.startswith(("order/", "fusion/"))}
    text = Words().encode(log.items["text"])
    both = [retrieval.learn(one, part, trained, text) for one in (log, other)]
    assert all(np.array_equal(array, both[1][name]) for name, array in both[0].items())


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
    other = Recommender.fit(hide(log, 1), "smoke")
    assert np.allclose(fitted.gate.bias, other.gate.bias, atol=1e-4)
    assert np.allclose(fitted.scores(fitted.people[:5]), other.scores(fitted.people[:5]), atol=1e-3)


def test_better_than_chance_and_parts_can_be_left_out(fitted):
    ranks = ranker.cross_validated(fitted.examples)
    assert np.median(ranks) < 0.75 * np.median(fitted.examples.open.sum(axis=1)) or (ranks <= 10).mean() > 15 / ITEMS
    less = fitted.without("time", "text")
    assert set(less.recommend(1)) == set(fitted.recommend(1)) - {"time", "text"}


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
    assert np.isfinite(nobody["score"]).all() and not nobody["company"].any() and nobody["popularity"].abs().sum() > 0
    usual = retrieval.states(fitted.know, [person.history for person in fitted.people]).mean(axis=0)
    assert np.allclose(retrieval.states(fitted.know, [np.array([], int)])[0], usual, atol=1e-5)
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
        lambda: fitted.without("tme"): "did you mean 'time'",
    }.items():
        with pytest.raises(CourseError, match=message):
            ask()


def test_loaded_as_saved(fitted, saved):
    loaded = Recommender.load(saved)
    assert same_lists(fitted, loaded)
    with pytest.raises(CourseError, match="no examples"):
        loaded.without("time")
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
        for request, sequence in zip(recommender.requests_of(log, part), log.split.sequences, strict=True):
            assert request.history.tolist() == sequence[:-hidden].tolist() and request.gap >= 0
    assert isinstance(recommender.requests_of(log)[0], Request)


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
