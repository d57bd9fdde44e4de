"""Small logs for tests of models: made-up people, the same log with another future, and an encoder without weights."""

from dataclasses import replace

import numpy as np
import pandas as pd

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.splits import leave_one_out

USERS, ITEMS, SUBJECTS = 60, 80, ("jazz", "history", "chess")


class Words:
    """A text encoder without weights: a text is the letters that stand in it."""

    def __init__(self, name="minilm", letters="abcdefghijklmnopqrst"):
        self.name, self.letters = name, letters

    def encode(self, texts, cache=True):
        counts = np.array([[text.lower().count(letter) for letter in self.letters] for text in texts]) + 0.1
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


def with_other_items(log: EventLog, hidden: int) -> EventLog:
    """The same log, but each user's last `hidden` items are those of the next user."""
    events = log.events.reset_index(drop=True)
    for place in range(hidden):
        last = np.flatnonzero(events.groupby("user").cumcount(ascending=False) == place)
        events.loc[last, ["item", "strength"]] = events.loc[np.roll(last, 1), ["item", "strength"]].to_numpy()
    events["item"] = events["item"].astype(int)
    sequences = [group.to_numpy() for _, group in events.groupby("user")["item"]]
    return replace(log, events=events, split=replace(log.split, sequences=sequences))
