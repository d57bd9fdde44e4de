"""One shape for both data sets: who took what, when, where and how much they liked it, and what the items are.

Every model of the leaderboard and the capstone reads an `EventLog`, so that all of them know and are asked the same.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_helpers.data.interest_world import DOMAINS, SCENARIOS, InterestWorld
from recsys_helpers.data.movielens import MovieLens, film_texts
from recsys_helpers.data.splits import NextItemSplit, leave_one_out, target_position

PARTS_OF_DAY = ("night", "morning", "afternoon", "evening")  # six hours each, from midnight UTC
LOUD = ("Action", "Adventure", "Sci-Fi", "Thriller", "Crime", "Horror", "Mystery", "War", "Western", "Film-Noir")


@dataclass(frozen=True)
class EventLog:
    """Events of users with items. Users are numbered from 0 and items from 1, as in `split`.

    Attributes:
        name: of the data set.
        split: leave one out in time; an item counts once a user, when it was first taken.
        events: columns user, item, strength (0 to 1), scenario (number), time (seconds); each user's oldest first.
        items: columns title, text and domain (number), one row an item, in the order of their numbers.
        subjects: what each item is about, shape (n_items, n_subjects); rows sum to 1.
        scenarios, subject_names, domains: what the numbers stand for.
    """

    name: str
    split: NextItemSplit
    events: pd.DataFrame
    items: pd.DataFrame
    subjects: np.ndarray
    scenarios: tuple[str, ...]
    subject_names: tuple[str, ...]
    domains: tuple[str, ...]

    def before(self, part: str = "test") -> pd.DataFrame:
        """The events that a model may know when it predicts the target of `part`."""
        return self.events[self._from_last() > -1 - target_position(part)]

    def requests(self, part: str = "test") -> pd.DataFrame:
        """The event that each user asks for, one row a user; its scenario and time are known, its item is not."""
        return self.events[self._from_last() == -1 - target_position(part)].reset_index(drop=True)

    def _from_last(self) -> np.ndarray:
        return self.events.groupby("user").cumcount(ascending=False).to_numpy()


def log_of(data: MovieLens | InterestWorld) -> EventLog:
    """The log of a data set; scenarios are parts of the day in MovieLens, where nothing better is known."""
    return _of_world(data) if isinstance(data, InterestWorld) else _of_films(data)


def _of_films(data: MovieLens) -> EventLog:
    seconds = data.ratings["time"].astype("int64")  # of a column in seconds
    events = pd.DataFrame(
        {
            "user_id": data.ratings["user_id"],
            "item_id": data.ratings["film_id"],
            "strength": (data.ratings["rating"].astype("float64") - 1) / 4,
            "scenario": seconds // 21_600 % 4,
            "time": seconds,
        }
    )
    genres = data.films["genres"].str.join("|").str.get_dummies()
    subjects = genres.to_numpy("float64") + 1e-3  # a film without a genre is about all alike
    loud = genres[[name for name in LOUD if name in genres]].sum(axis=1) * 2 > genres.sum(axis=1)
    items = pd.DataFrame({"title": data.films["title"], "text": film_texts(data.films), "domain": loud.astype(int)})
    names = (PARTS_OF_DAY, tuple(genres.columns), ("gentle", "loud"))
    return _log("MovieLens-100K", events, data.films["film_id"], items, subjects, *names)


def _of_world(data: InterestWorld) -> EventLog:
    world = data.interactions
    events = world[["user_id", "item_id"]].assign(
        strength=world["liked"].astype("float64"), scenario=world["scenario"].cat.codes.astype(int), time=world["time"]
    )
    subjects = np.eye(data.items["interest"].cat.categories.size)[data.items["interest"].cat.codes]
    domain = data.items["domain"].cat.codes.astype(int)
    items = pd.DataFrame({"title": data.items["title"], "text": data.items["title"], "domain": domain})
    names = (SCENARIOS, tuple(data.items["interest"].cat.categories), DOMAINS)
    return _log("InterestWorld", events, data.items["item_id"], items, subjects, *names)


def _log(name, events, item_ids, items, subjects, scenarios, subject_names, domains) -> EventLog:
    first = events.sort_values(["user_id", "time"], kind="stable").drop_duplicates(["user_id", "item_id"])
    first = first[first.groupby("user_id")["item_id"].transform("size") >= 3]  # history, validation, test
    split = leave_one_out(first, item_ids, item="item_id")
    numbers = {"user": np.searchsorted(split.user_ids, first["user_id"]), "item": np.concatenate(split.sequences)}
    events = first.assign(**numbers)[["user", "item", "strength", "scenario", "time"]].reset_index(drop=True)
    subjects = subjects / subjects.sum(axis=1, keepdims=True)
    return EventLog(name, split, events, items.reset_index(drop=True), subjects, scenarios, subject_names, domains)
