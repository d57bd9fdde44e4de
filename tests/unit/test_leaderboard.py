"""The leaderboard: one protocol, nothing sees the test item, nothing is trained twice, one failure stops nobody."""

import json
import os
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from course_tools.author import readme
from course_tools.author.readme import LEADERBOARD, results_page
from recsys_helpers import __main__
from recsys_helpers.course import notebooks
from recsys_helpers.data.event_log import log_of
from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation import contestants, leaderboard
from recsys_helpers.evaluation.bootstrap import bootstrap_interval
from recsys_helpers.evaluation.contestants import MODELS
from recsys_helpers.evaluation.ranks import ndcg
from recsys_helpers.models import baselines
from recsys_helpers.training.backend import keras

NETWORKS = ["matrix factorisation", "two towers", "LSTM", "GRU", "self-attention", "masked self-attention"]
CHEAP = ["popularity", "item-kNN", "Markov chain", "recent neighbours", "transfer", "fusion"]


@pytest.fixture(scope="module")
def log():
    world = load_interest_world()
    return log_of(replace(world, interactions=world.interactions[world.interactions["user_id"] <= 80]))


@pytest.fixture
def calls(monkeypatch):
    """What was trained, in this process for once."""
    made = []

    def here(function, log, model, *others):
        made.append(model)
        return function(log, model, *others)

    monkeypatch.setattr(leaderboard, "in_child", here)
    return made


def constant(log, part, seed, profile, value=0.0):
    return np.full((log.split.n_users, log.split.n_items), value), 0


def broken(log, part, seed, profile):
    raise ValueError("this model is broken")


def killed(log, part, seed, profile):
    os.kill(os.getpid(), signal.SIGKILL)


def with_other_items(log, hidden):
    """The same log, but each user's last `hidden` items are those of the next user."""
    events = log.events.copy()
    for place in range(hidden):
        last = np.flatnonzero(events.groupby("user").cumcount(ascending=False) == place)
        events.loc[last, ["item", "strength"]] = events.loc[np.roll(last, 1), ["item", "strength"]].to_numpy()
    events["item"] = events["item"].astype(int)
    sequences = [group.to_numpy() for _, group in events.groupby("user")["item"]]
    return replace(log, events=events, split=replace(log.split, sequences=sequences))


def test_all_models_of_the_course_are_there():
    assert next(iter(MODELS)) == "popularity" and list(MODELS)[-1] == "capstone" and len(MODELS) >= 14


@pytest.mark.parametrize("name", CHEAP)
@pytest.mark.parametrize("part, hidden", [("test", 1), ("validation", 2)])
def test_no_model_sees_what_it_has_to_predict(log, name, part, hidden):
    other = with_other_items(log, hidden)
    assert (other.split.target(part) != log.split.target(part)).mean() > 0.9
    scores, swapped = (MODELS[name](data, part, 3, "smoke")[0] for data in (log, other))
    assert scores.shape == (log.split.n_users, log.split.n_items) and np.isfinite(scores).all()
    assert np.allclose(scores, swapped, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("part, hidden", [("test", 1), ("validation", 2)])
def test_no_network_sees_what_it_has_to_predict(log, name, part, hidden, monkeypatch):
    """What it would be trained on, and what it says before that."""

    def untrained(log, part, make, data, score, epochs, patience):
        batches = data(part)
        return score(make(), part), [batches[i] for i in range(len(batches))]

    monkeypatch.setattr(contestants, "train_and_score", untrained)
    mine, other = (MODELS[name](data, part, 3, "smoke") for data in (log, with_other_items(log, hidden)))
    assert mine[0].shape == (log.split.n_users, log.split.n_items)
    assert np.allclose(mine[0], other[0], atol=1e-4) and np.ptp(mine[0]) > 0.01
    for one, another in zip(*(keras.tree.flatten(found[1]) for found in (mine, other)), strict=True):
        assert np.array_equal(one, another)


def test_a_network_trains_and_learns_anew_for_the_test(log):
    scores, parameters = MODELS["matrix factorisation"](log, "test", 3, "smoke")
    assert np.ptp(scores) > 0.01 and parameters == 64 * (log.split.n_users + log.split.n_items) + log.split.n_items


def test_models_do_see_the_validation_item_before_the_test(log):
    for name in CHEAP[1:-1]:
        before, after = (MODELS[name](data, "test", 3, "smoke")[0] for data in (log, with_other_items(log, 2)))
        assert not np.allclose(before, after, rtol=1e-3, atol=1e-5), name


def test_gaps_hide_what_they_ask_for_and_nothing_else():
    histories = [np.arange(1, n + 1) for n in (2, 5, 6, 7, 30)]
    gaps = contestants.Gaps(histories, length=6, gap=99, share=0.3, seed=0)
    alone = 0
    for epoch in range(20):
        gaps.go_to(epoch)
        items, wanted = gaps[0]
        assert ((items == 99) == (wanted > 0)).all()
        whole = np.where(wanted > 0, wanted, items)
        steps = np.diff(whole, axis=1)[whole[:, 1:] > 0]
        assert (steps == 1).all(), "the histories count up"
        last = np.take_along_axis(wanted, (whole > 0).sum(axis=1)[:, None] - 1, axis=1)[:, 0]
        alone += ((wanted > 0).sum(axis=1) == 1)[last > 0].sum()
    assert alone > 10


def test_popularity_is_that_of_every_other_table(log, calls, tmp_path):
    outcomes, failed = leaderboard.run({"world": log}, leaderboard.choose(["popularity"]), "smoke", 7, tmp_path)
    assert not failed
    assert np.array_equal(outcomes["world"]["popularity"]["ranks"], baselines.baseline_ranks(log.split)["popularity"])


def test_one_protocol_for_all(log, calls, tmp_path):
    outcomes, _ = leaderboard.run({"world": log}, {"constant": constant}, "smoke", 7, tmp_path)
    rivals = [
        log.split.n_items - len(set(past) - {item})
        for past, item in zip(log.split.history(), log.split.target(), strict=True)
    ]
    assert np.allclose(outcomes["world"]["constant"]["ranks"], (np.array(rivals) + 1) / 2)
    outcomes, failed = leaderboard.run({"world": log}, {"nan": partial(constant, value=np.nan)}, "smoke", 7, tmp_path)
    assert outcomes == {"world": {}} and "diverged" in failed[0]


def test_what_is_done_is_not_done_again(log, calls, tmp_path, capsys):
    models = leaderboard.choose(["popularity", "item-kNN"])
    first, _ = leaderboard.run({"world": log}, models, "smoke", 7, tmp_path)
    assert len(calls) == 2
    (tmp_path / "leaderboard/smoke-7/world-item-kNN.json").unlink()  # as after a kill
    again, _ = leaderboard.run({"world": log}, models, "smoke", 7, tmp_path)
    assert len(calls) == 3 and again["world"]["popularity"] == first["world"]["popularity"]
    leaderboard.run({"world": log}, models, "smoke", 8, tmp_path)
    assert len(calls) == 5
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[0].startswith("world: popularity: NDCG@10 0.") and "\r" not in lines[0]


def test_another_program_or_other_data_are_done_anew(log, calls, tmp_path, monkeypatch):
    def go(data=log):
        leaderboard.run({"world": data}, {"constant": constant}, "smoke", 7, tmp_path)
        return len(calls)

    monkeypatch.setattr(leaderboard, "PACKAGE", tmp_path)
    (tmp_path / "module.py").write_text("x = 1")
    assert go() == 1 and go() == 1
    (tmp_path / "module.py").write_text("x = 2")
    assert go() == 2 and go(with_other_items(log, 1)) == 3


def test_what_lesson_08_says_of_the_full_profile_holds():
    rows = json.loads(LEADERBOARD.read_text(encoding="utf-8"))["rows"]
    films, world = (
        {r["model"]: r["NDCG@10"] for r in rows if r["data"] == d} for d in ("MovieLens-100K", "InterestWorld")
    )
    text = notebooks.find_lesson("08").read_text(encoding="utf-8")
    best = max(films[name][0] for name in ("LSTM", "GRU", "self-attention", "masked self-attention"))
    assert f"(lesson 04, full profile), has {best:.2f}".replace("0.", ".") in text and best < films["capstone"][1]
    assert "a GRU, trained long, is above *fusion* and the whole" in text
    assert world["GRU"][0] > max(world["capstone"][0], world["fusion"][0])


def test_a_failing_model_does_not_stop_the_others(log, tmp_path):
    models = {"killed": killed, "constant": constant}
    outcomes, failed = leaderboard.run({"world": log}, models, "smoke", 7, tmp_path)  # in children of their own
    assert list(outcomes["world"]) == ["constant"] and len(failed) == 1
    assert failed[0].startswith("world, killed: BrokenProcessPool")
    assert 50 < outcomes["world"]["constant"]["MB"] < 20_000
    assert not list(tmp_path.rglob("*killed*")) and not list(tmp_path.rglob("*.part"))


def test_the_command_fails_in_the_end_and_names_what_failed(log, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "read_logs", lambda names: {"world": log})
    monkeypatch.setattr(leaderboard, "choose", lambda names: {"broken": broken, "constant": constant})
    monkeypatch.setattr(leaderboard, "run", partial(leaderboard.run, build=tmp_path))
    with pytest.raises(CourseError, match="1 failed: world, broken: ValueError: this model is broken"):
        __main__.leaderboard(profile="full")
    assert calls == [broken, constant] and not (tmp_path / "leaderboard/full-7/world-broken.json").exists()


@pytest.mark.parametrize(
    "choose, message",
    [
        (
            lambda: leaderboard.choose(["GRUU"]),
            r"model 'GRUU' does not exist; did you mean 'GRU'\? There are: popularity, ",
        ),
        (lambda: leaderboard.read_logs(["film"]), "data set 'film' does not exist"),
        (lambda: leaderboard.run({}, {}, "fast", 7), "choose one of smoke, quick, full"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_right_ones(choose, message):
    with pytest.raises(CourseError, match=message) as error:
        choose()
    assert "\n" not in str(error.value)


def test_rows_and_readme_are_made_of_the_outcomes(log, calls, tmp_path, monkeypatch):
    logs = {"world": log}
    outcomes, _ = leaderboard.run(logs, leaderboard.choose(["Markov chain", "popularity"]), "smoke", 7, tmp_path)
    usual, chain = leaderboard.rows(logs, outcomes)
    assert usual["model"] == "popularity" and usual["gain over popularity"] == [0, 0, 0]
    assert chain["NDCG@10"] == [
        round(x, 4) for x in bootstrap_interval(ndcg(outcomes["world"]["Markov chain"]["ranks"]))
    ]
    assert chain["gain over popularity"][0] == pytest.approx(chain["NDCG@10"][0] - usual["NDCG@10"][0], abs=2e-4)
    path = tmp_path / "leaderboard.json"
    leaderboard.write([chain | {"NDCG@10": [0.123, 0.1, 0.2], "parameters": 1234567}], 7, path)
    assert json.loads(path.read_text())["seed"] == 7 and not path.with_suffix(".part").exists()
    monkeypatch.setattr(notebooks, "lessons", list)
    monkeypatch.setattr(readme, "LEADERBOARD", path)
    shown = results_page()
    assert "## Leaderboard" in shown and "| Markov chain | 0.123 [0.100, 0.200] |" in shown and "1,234,567" in shown
    monkeypatch.setattr(readme, "LEADERBOARD", tmp_path / "none.json")
    assert "## Leaderboard" not in results_page()
