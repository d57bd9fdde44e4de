import numpy as np
import pytest

from recsys_helpers.data.event_log import log_of
from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.data.movielens import load_movielens
from recsys_helpers.data.splits import leave_one_out


@pytest.fixture(scope="module", params=["films", "world"])
def log(request):
    return log_of(load_movielens() if request.param == "films" else load_interest_world())


def test_events_and_split_tell_the_same(log):
    by_user = log.events.groupby("user")
    assert all((by_user.get_group(u)["item"] == log.split.sequences[u]).all() for u in range(0, log.split.n_users, 50))
    assert by_user["time"].is_monotonic_increasing.all()
    assert not log.events.duplicated(["user", "item"]).any()
    assert log.events["strength"].between(0, 1).all() and log.events["strength"].nunique() >= 2


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_request_is_what_comes_right_after_what_is_known(log, part):
    known, asked = log.before(part), log.requests(part)
    assert (asked["item"] == log.split.target(part)).all() and len(asked) == log.split.n_users
    assert (known["item"].to_numpy() == np.concatenate(log.split.history(part))).all()
    assert (known.groupby("user")["time"].max() <= asked["time"]).all()


def test_items_stand_in_the_order_of_their_numbers(log):
    assert len(log.items) == log.split.n_items == len(log.subjects)
    assert np.allclose(log.subjects.sum(axis=1), 1)
    assert set(log.items["domain"]) == {0, 1} and log.events["scenario"].max() < len(log.scenarios)
    assert log.items["text"].str.len().gt(0).all()


def test_films_keep_the_sequences_of_the_course():
    movielens = load_movielens()
    split, log = leave_one_out(movielens.ratings, movielens.films["film_id"]), log_of(movielens)
    assert all((a == b).all() for a, b in zip(split.sequences, log.split.sequences, strict=True))
    assert log.items["title"][0] == "Toy Story" and log.items["domain"][1] == 1  # GoldenEye is a loud film


def test_world_counts_an_item_when_it_was_first_taken():
    world = load_interest_world()
    log, taken = log_of(world), world.interactions.drop_duplicates(["user_id", "item_id"])
    assert len(log.events) == len(taken) < len(world.interactions)
    assert (log.events["strength"].to_numpy() == taken["liked"].to_numpy()).all()
    assert [log.scenarios[s] for s in log.events["scenario"][:50]] == taken["scenario"][:50].tolist()
