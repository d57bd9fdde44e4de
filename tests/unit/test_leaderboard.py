"""The leaderboard: one protocol, nothing sees the test item, nothing is trained twice, one failure stops nobody."""

import json
import os
import shutil
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from small_logs import with_other_items

from course_tools.author import readme
from course_tools.author.readme import LEADERBOARD, results_page
from recsys_helpers import __main__
from recsys_helpers.course import notebooks
from recsys_helpers.data.event_log import log_of
from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation import leaderboard
from recsys_helpers.evaluation.bootstrap import bootstrap_interval
from recsys_helpers.evaluation.leaderboard import MODELS
from recsys_helpers.evaluation.ranks import ndcg
from recsys_helpers.models import baselines
from recsys_helpers.models.base import Model, make
from recsys_helpers.models.self_attention import MaskedWindows
from recsys_helpers.paths import ROOT
from recsys_helpers.training.backend import keras


@pytest.fixture(scope="module")
def log():
    world = load_interest_world()
    return log_of(replace(world, interactions=world.interactions[world.interactions["user_id"] <= 80]))


class Constant(Model):
    name, value = "constant", 0.0

    def fit(self, log, part="test"):
        self.items_ = np.full(log.split.n_items, self.value)
        return self

    def scores(self, requests):
        return np.tile(self.items_, (len(requests), 1))


class NotANumber(Constant):
    name, value = "nan", np.nan


class Broken(Model):
    def fit(self, log, part="test"):
        raise ValueError("this model is broken")


class Killed(Model):
    def fit(self, log, part="test"):
        os.kill(os.getpid(), signal.SIGKILL)


def test_all_models_of_the_course_are_there():
    assert next(iter(MODELS)) == "popularity" and list(MODELS)[-1] == "capstone" and len(MODELS) >= 16
    assert {"EASE", "SLIT", "LSTM", "GRU", "self-attention", "masked self-attention", "transfer", "fusion"} < {*MODELS}
    assert all(model.__doc__ and model.name == name for name, model in MODELS.items())


def test_masks_hide_what_they_ask_for_and_nothing_else():
    histories = [np.arange(1, n + 1) for n in (2, 5, 6, 7, 30)]
    windows = MaskedWindows(histories, length=6, mask=99, share=0.3, seed=0)
    alone = 0
    for epoch in range(20):
        windows.go_to(epoch)
        items, hidden = windows[0]
        assert ((items == 99) == (hidden > 0)).all()
        whole = np.where(hidden > 0, hidden, items)
        steps = np.diff(whole, axis=1)[whole[:, 1:] > 0]
        assert (steps == 1).all(), "the histories count up"
        last = np.take_along_axis(hidden, (whole > 0).sum(axis=1)[:, None] - 1, axis=1)[:, 0]
        alone += ((hidden > 0).sum(axis=1) == 1)[last > 0].sum()
    assert alone > 10


def test_popularity_is_that_of_every_other_table(log, calls, tmp_path):
    outcomes, failed = leaderboard.run({"world": log}, leaderboard.choose(["popularity"]), "smoke", 7, tmp_path)
    assert not failed
    assert np.array_equal(outcomes["world"]["popularity"]["ranks"], baselines.baseline_ranks(log.split)["popularity"])


def test_one_protocol_for_all(log, calls, tmp_path):
    outcomes, _ = leaderboard.run({"world": log}, {"constant": Constant}, "smoke", 7, tmp_path)
    rivals = [
        log.split.n_items - len(set(past) - {item})
        for past, item in zip(log.split.history(), log.split.target(), strict=True)
    ]
    assert np.allclose(outcomes["world"]["constant"]["ranks"], (np.array(rivals) + 1) / 2)
    outcomes, failed = leaderboard.run({"world": log}, {"nan": NotANumber}, "smoke", 7, tmp_path)
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


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the helper package, whose sources count in the place of the real ones."""
    shutil.copytree(ROOT / "recsys_helpers", tmp_path / "recsys_helpers", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(leaderboard, "ROOT", tmp_path)
    return tmp_path / "recsys_helpers"


def edit(path):
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


def test_what_a_model_depends_on_and_other_data_are_done_anew(log, calls, package, tmp_path):
    def go(data=log):
        leaderboard.run({"world": data}, {"constant": Constant}, "smoke", 7, tmp_path / "build")
        return len(calls)

    assert go() == 1 and go() == 1
    edit(package / "plotting.py")
    assert go() == 1
    edit(package / "models" / "base.py")  # this file imports it
    assert go() == 2 and go() == 2 and go(with_other_items(log, 1)) == 3


@pytest.mark.parametrize(
    "name, part_of_it, foreign",
    [
        ("popularity", "models/base.py", "training/fit.py"),
        ("GRU", "training/fit.py", "models/two_towers.py"),
        ("GRU", "data/event_log.py", "evaluation/leaderboard.py"),
        ("capstone", "models/two_towers.py", "recommender/panel.py"),
        ("transfer", "evaluation/ranks.py", "models/multi_scenario.py"),
    ],
)
def test_a_fingerprint_is_of_what_a_model_imports(log, package, name, part_of_it, foreign):
    def fingerprint():
        return leaderboard.fingerprint(log, make(MODELS[name], profile="smoke", seed=7))

    first = fingerprint()
    edit(package / foreign)
    assert fingerprint() == first
    edit(package / part_of_it)
    assert fingerprint() != first


def test_a_fingerprint_is_of_settings_and_libraries(log, monkeypatch):
    def fingerprint(**settings):
        return leaderboard.fingerprint(log, baselines.EASE(**settings))

    assert fingerprint() == fingerprint(ridge=200.0) != fingerprint(ridge=100.0)
    assert [name.split()[0] for name in leaderboard.versions()] == [
        "numpy",
        "pandas",
        "scipy",
        "keras",
        "keras_nlp",
        keras.backend.backend(),
    ]
    before = fingerprint()
    monkeypatch.setattr(leaderboard, "versions", lambda: ["numpy 0"])
    assert fingerprint() != before


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
    models = {"killed": Killed, "constant": Constant}
    outcomes, failed = leaderboard.run({"world": log}, models, "smoke", 7, tmp_path)  # in children of their own
    assert list(outcomes["world"]) == ["constant"] and len(failed) == 1
    assert failed[0].startswith("world, killed: BrokenProcessPool")
    assert 50 < outcomes["world"]["constant"]["MB"] < 20_000
    assert not list(tmp_path.rglob("*killed*")) and not list(tmp_path.rglob("*.part"))


def test_the_command_fails_in_the_end_and_names_what_failed(log, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "read_logs", lambda names: {"world": log})
    monkeypatch.setattr(leaderboard, "choose", lambda names: {"broken": Broken, "constant": Constant})
    monkeypatch.setattr(leaderboard, "run", partial(leaderboard.run, build=tmp_path))
    with pytest.raises(CourseError, match="1 failed: world, broken: ValueError: this model is broken"):
        __main__.leaderboard(profile="full")
    assert calls == [Broken, Constant] and not (tmp_path / "leaderboard/full-7/world-broken.json").exists()


@pytest.mark.parametrize(
    "choose, message",
    [
        (
            lambda: leaderboard.choose(["GRUU"]),
            r"model 'GRUU' does not exist; did you mean 'GRU'\?",
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
