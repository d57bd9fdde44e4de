"""InterestWorld: a small simulated world whose true interests, and so the best possible predictions, are known.

A user has a lasting taste and a focus that moves on, reads books and hears music, in four scenarios. At each event:

1. The focus stays or moves. The longer it stayed, the likelier it moves; where to depends on where it came from.
2. Interest = mostly the focus, partly the taste; in music it passes through the domain map; the scenario reweights it.
3. An item is shown, mostly by that interest, sometimes at random; the user likes it or not.

Every number of the process is in `WorldModel`. `load_interest_world` reads the bundled world,
`python -m recsys_helpers.data.interest_world --out FOLDER --users 240000` writes a larger one in constant memory.
"""

import argparse
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_helpers.data.comments import INTERESTS
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

DOMAINS = ("books", "music")
SCENARIOS = ("home", "search", "evening", "cart")
SPLITS = ("train", "validation", "test")
MEMBERSHIPS = ("books", "music", "both")  # the domains a user is registered in
TASTES = tuple((main, side) for main in range(8) for side in range(8) if main != side)  # the 56 tastes
BUNDLE = ROOT / "datasets" / "interest_world"
DAYS, DAY, HOUR = 60, 86_400, 3_600  # times are seconds since 2026-01-01 00:00 UTC
SHORTEST, LONGEST = 30, 120  # events of a user, at least and at most
COMMENTERS = 2_400  # only the first users write comments, so that those of a large world fit in memory

COMMAND = "python -m recsys_helpers.data.interest_world"
# What each file holds: a type, or the words allowed.
COLUMNS = {
    "users": {"user_id": int, "domains": MEMBERSHIPS, "split": SPLITS},
    "items": {"item_id": int, "domain": DOMAINS, "interest": INTERESTS, "title": str},
    "interactions": {"user_id": int, "item_id": int, "scenario": SCENARIOS, "time": int, "liked": int},
    "comments": {
        "comment_id": int,
        "user_id": int,
        "language": ("en", "zh"),
        "text": str,
        "interest": INTERESTS,
        "trap": ("plain", "negation", "past", "mixed"),
        "split": SPLITS,
    },
    "truth_users": {"user_id": int, "main": INTERESTS, "side": INTERESTS},
    "truth_items": {"item_id": int, "quality": float, "popularity_rank": int},
    "truth_interactions": {"focus": int, "strength": float},
}

# Titles name a topic and never the interest itself, so that a text model has something to understand.
TOPICS = {
    "programming": "Compilers,Recursion,Clean Code,Pointers,Python,Type Systems,Debugging,Open Source,Unit Tests,Git",
    "history": "Roman Roads,Castles,Old Maps,Silk Roads,Lost Empires,Viking Ships,Royal Courts,Pharaohs,Treaties,Clans",
    "science": "Black Holes,Quantum Fields,Evolution,Volcanoes,Genes,Neurons,Dark Matter,Glaciers,Comets,Molecules",
    "art": "Watercolours,Oil Painting,Sculpture,Impressionism,Murals,Charcoal,Ceramics,Woodcuts,Portraits,Mosaics",
    "technology": "Robots,Smartphones,Electric Cars,Microchips,Satellites,Smart Homes,Drones,Batteries,Sensors,Lasers",
    "cooking": "Sourdough,Noodles,Slow Soups,Street Food,Spices,Dumplings,Olive Oil,Home Baking,Pickles,Summer Salads",
    "travel": "Night Trains,Ferries,Mountain Huts,Desert Roads,Old Ports,Passports,Backpacks,Airports,Hostels,Caravans",
    "sport": "Marathons,Penalty Kicks,Tennis,Free Climbing,Cycling,Swimming,Rowing,Basketball,Ski Slopes,Home Runs",
}
TITLES = {
    "books": (
        "The Quiet Joy of {},{} from the Ground Up,Letters on {},{} for the Curious,What We Owe to {},"
        "A Year of {},The Little Book of {},Everyday {},Conversations about {},In Praise of {}"
    ),
    "music": (
        "Nocturne for {},Songs about {},{} in B Minor,Ballad of {},Lullabies for {},"
        "{} (Live),Slow Dance with {},Variations on {},Hymns to {},{} after Midnight"
    ),
}


@dataclass(frozen=True)
class WorldModel:
    """Every number of the process that makes a world; arrays follow the order of INTERESTS, DOMAINS and SCENARIOS."""

    # Taste: a main and a side interest; what is left is spread over all eight.
    main: float = 0.75
    side: float = 0.20
    # Focus: chance to leave after 1, 2, ... events there (the last holds from then on), and where to.
    leave: tuple[float, ...] = (0.02, 0.05, 0.20, 0.60, 0.90)
    to_successor: float = 0.65
    to_taste: float = 0.34
    # Interest in books = focus_share * focus + (1 - focus_share) * taste.
    focus_share: float = 0.90
    # Who reads INTERESTS[i] listens mostly to INTERESTS[partner[i]].
    partner: tuple[int, ...] = (4, 3, 0, 6, 2, 7, 1, 5)
    partner_share: float = 0.60
    scenario_weights: tuple[tuple[float, ...], ...] = (
        (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
        (3.0, 0.4, 2.5, 0.3, 3.0, 0.5, 0.8, 0.3),
        (0.3, 1.2, 0.4, 2.5, 0.3, 3.0, 1.2, 2.5),
        (0.8, 0.4, 0.3, 1.5, 3.0, 2.5, 0.3, 1.0),
    )
    scenario_shares: tuple[float, ...] = (0.70, 0.20, 0.08, 0.02)
    # Users: shares of MEMBERSHIPS, and how much of the activity of each is music.
    membership_shares: tuple[float, ...] = (0.15, 0.10, 0.75)
    music_share: tuple[float, ...] = (0.0, 1.0, 0.4)
    activity_skew: float = 1.57  # 1 spreads the number of events evenly, more makes short histories common
    # Items: with this chance any interest is shown, to explore; popularity falls with rank ** -zipf.
    exploration: float = 0.02
    items_per_group: int = 75  # a group is one domain and one interest
    zipf: float = 0.8
    # Strength of interest = sigmoid(like_bias + like_slope * interest + quality of the item).
    like_bias: float = -2.2
    like_slope: float = 3.2
    quality_spread: float = 1.6  # quality is uniform between minus and plus this

    @cached_property
    def taste(self) -> np.ndarray:
        """Taste vectors, shape (56, 8), rows sum to 1, in the order of TASTES."""
        eye = np.eye(8)
        return np.array([self.main * eye[m] + self.side * eye[s] + (1 - self.main - self.side) / 8 for m, s in TASTES])

    @cached_property
    def successor(self) -> np.ndarray:
        """The favourite next focus after focus c when the one before was p, shape (8, 8), indexed [c, p].

        The interests lie on a ring. Who came from up to four places behind steps forward, who came from ahead steps
        back: where a focus goes depends on where it came from, so the last event alone cannot tell.
        """
        c, p = np.indices((8, 8))
        return (c + np.where((c - p) % 8 <= 4, 1, -1)) % 8

    @cached_property
    def next_focus(self) -> np.ndarray:
        """P(next focus | it moves, taste, focus c, previous focus p), shape (56, 8, 8, 8); c = p never occurs."""
        others = 1 - np.eye(8)
        by_taste = self.taste[:, None] * others
        by_taste /= by_taste.sum(-1, keepdims=True)
        free = self.to_taste * by_taste + (1 - self.to_successor - self.to_taste) * others / 7
        return self.to_successor * np.eye(8)[self.successor] + free[:, :, None]

    @cached_property
    def domain_map(self) -> np.ndarray:
        """Interest in books -> interest in music, shape (8, 8), rows sum to 1, invertible."""
        return self.partner_share * np.eye(8)[list(self.partner)] + (1 - self.partner_share) / 8

    @cached_property
    def interest(self) -> np.ndarray:
        """True interest q, shape (56 tastes, 8 focuses, 2 domains, 4 scenarios, 8 interests), last axis sums to 1."""
        books = self.focus_share * np.eye(8) + (1 - self.focus_share) * self.taste[:, None]
        q = np.stack([books, books @ self.domain_map], axis=2)[:, :, :, None] * np.array(self.scenario_weights)
        return q / q.sum(-1, keepdims=True)

    @cached_property
    def shown(self) -> np.ndarray:
        """P(interest of the item shown), shape and axes of `interest`."""
        return (1 - self.exploration) * self.interest + self.exploration / 8

    @cached_property
    def popularity(self) -> np.ndarray:
        """P(item | its domain and interest) by popularity rank, shape (75,)."""
        weights = np.arange(1, self.items_per_group + 1) ** -self.zipf
        return weights / weights.sum()

    def strength(self, interest: np.ndarray, quality: np.ndarray) -> np.ndarray:
        """P(liked), from the true interest q in what the item is about and the item's quality, elementwise."""
        return 1 / (1 + np.exp(-(self.like_bias + self.like_slope * interest + quality)))


@dataclass(frozen=True)
class Truth:
    """What a recommender never sees.

    users: user_id, main, side.
    items: item_id, quality, popularity_rank (0 is the most popular of its domain and interest).
    interactions: focus, strength; row i belongs to row i of `InterestWorld.interactions`.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    interactions: pd.DataFrame


@dataclass(frozen=True)
class InterestWorld:
    """A loaded world. Ids start at 1, so 0 is free for padding; words are ordered categories.

    users: user_id, domains, split (of users, for lessons that predict what comes next).
    items: item_id, domain, interest, title.
    interactions, by user and time: user_id, item_id, scenario, time (seconds), liked (0 or 1), domain, interest, day.
    comments: comment_id, user_id, language, text, interest, trap, split (of comments, not of users).
    """

    users: pd.DataFrame
    items: pd.DataFrame
    interactions: pd.DataFrame
    comments: pd.DataFrame
    truth: Truth
    model: WorldModel = field(default_factory=WorldModel)

    @property
    def scenario_weights(self) -> pd.DataFrame:
        """How each scenario reweights each interest, 4 x 8."""
        return pd.DataFrame(self.model.scenario_weights, index=SCENARIOS, columns=INTERESTS)

    @property
    def domain_map(self) -> pd.DataFrame:
        """Interest in books (rows) -> interest in music (columns), 8 x 8, rows sum to 1."""
        return pd.DataFrame(self.model.domain_map, index=INTERESTS, columns=INTERESTS)

    def rows(self, user_ids: np.ndarray) -> np.ndarray:
        """Row positions in `interactions` of these users, user after user, each in order of time."""
        return np.concatenate(self._rows_by_user(user_ids))

    def _rows_by_user(self, user_ids: np.ndarray) -> list[np.ndarray]:
        if unknown := set(np.asarray(user_ids).tolist()) - set(self.users.user_id):
            raise CourseError(f"user {min(unknown)} is not in this world: user_id runs from 1 to {len(self.users)}.")
        starts = np.searchsorted(self.interactions.user_id, np.arange(1, len(self.users) + 2))
        return [np.arange(starts[user - 1], starts[user]) for user in user_ids]


def _pick(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Categories drawn by inverse distribution function: probabilities (..., n), uniform draws (...)."""
    return (np.cumsum(probabilities, -1)[..., :-1] <= uniform[..., None]).sum(-1)


def _random(seed: int, *key: int) -> np.random.Generator:
    """An own stream for each key. Only its `random` is used, the draw least likely to change between NumPy versions."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def make_items(model: WorldModel, seed: int) -> pd.DataFrame:
    """All items: item_id, domain, interest, title (unique), quality, popularity_rank."""
    rng, rows = _random(seed, 0), []
    for domain, interest in product(DOMAINS, INTERESTS):
        titles = [form.format(topic) for form in TITLES[domain].split(",") for topic in TOPICS[interest].split(",")]
        order = np.argsort(rng.random(len(titles)))[: model.items_per_group]
        rows += [(domain, interest, titles[place], rank) for rank, place in enumerate(order)]
    items = pd.DataFrame(rows, columns=["domain", "interest", "title", "popularity_rank"])
    items["domain"] = pd.Categorical(items.domain, DOMAINS)
    items["interest"] = pd.Categorical(items.interest, INTERESTS)
    items["quality"] = (model.quality_spread * (2 * rng.random(len(items)) - 1)).round(3)
    items = items.iloc[np.argsort(rng.random(len(items)))]  # an id must not tell the interest
    items.insert(0, "item_id", np.arange(1, len(items) + 1))
    return items.reset_index(drop=True)


def make_users(model: WorldModel, items: pd.DataFrame, first: int, last: int, seed: int) -> tuple[pd.DataFrame, ...]:
    """Users `first` to `last` and their events. Every user has an own random stream, so any chunks give the same world.

    Returns:
        users (user_id, domains, split, main, side) and events (user_id, item_id, scenario, time, liked, focus,
        strength), as in the files; focus is an index into INTERESTS.
    """
    ids = np.arange(first, last + 1)
    draws = np.stack([_random(seed, 1, user).random((LONGEST + 1, 10)) for user in ids])
    of_user, of_event = draws[:, 0].T, np.moveaxis(draws[:, 1:], 2, 0)  # (10, users) and (10, users, LONGEST)

    taste = (of_user[0] * len(TASTES)).astype(int)
    membership = _pick(np.array(model.membership_shares), of_user[1])
    events = SHORTEST + ((LONGEST - SHORTEST + 1) * of_user[2] ** model.activity_skew).astype(int)

    focus = np.empty((len(ids), LONGEST), int)
    leave = np.array(model.leave)
    c = _pick(model.taste[taste], of_user[3])
    p = (c + 1 + (7 * of_user[4]).astype(int)) % 8
    d = np.zeros(len(ids), int)
    for t in range(LONGEST):
        if t:
            moves = of_event[0, :, t] < leave[d]
            target = _pick(model.next_focus[taste, c, p], of_event[1, :, t])
            c, p = np.where(moves, target, c), np.where(moves, c, p)
            d = np.where(moves, 0, np.minimum(d + 1, len(leave) - 1))
        focus[:, t] = c

    scenario = _pick(np.array(model.scenario_shares), of_event[2])
    domain = (of_event[3] < np.array(model.music_share)[membership][:, None]).astype(int)
    state = (taste[:, None], focus, domain, scenario)
    interest = _pick(model.shown[state], of_event[4])
    item = _by_group(items)[domain, interest, _pick(model.popularity, of_event[5])]
    strength = model.strength(model.interest[(*state, interest)], items.quality.to_numpy()[item])

    # Within a day an event comes at an hour of its own, or shortly after the event before, whichever is later.
    day = np.sort((of_event[6] * DAYS).astype(int), axis=1)
    opening = np.where(scenario == SCENARIOS.index("evening"), 18, 7) * HOUR
    clock = opening + of_event[7] * (23 * HOUR - opening)
    pauses = np.cumsum(20 + 100 * of_event[8], axis=1)
    time = (np.maximum.accumulate(day * DAY + clock - pauses, axis=1) + pauses).astype(int)

    main, side = np.array(INTERESTS)[np.array(TASTES)[taste].T]
    split = np.array(["train"] * 7 + ["validation"] + ["test"] * 2)[ids % 10]
    users = {"user_id": ids, "domains": np.array(MEMBERSHIPS)[membership], "split": split, "main": main, "side": side}
    happened = np.arange(LONGEST) < events[:, None]
    columns = {
        "item_id": item + 1,
        "scenario": np.array(SCENARIOS)[scenario],
        "time": time,
        "liked": (of_event[9] < strength).astype(int),
        "focus": focus,
        "strength": strength,
    }
    interactions = {"user_id": np.repeat(ids, events)} | {name: values[happened] for name, values in columns.items()}
    return pd.DataFrame(users), pd.DataFrame(interactions)


def _by_group(items: pd.DataFrame) -> np.ndarray:
    """Row positions of the items, shape (2 domains, 8 interests, items_per_group), the most popular first."""
    order = items.reset_index(drop=True).sort_values(["domain", "interest", "popularity_rank"]).index
    return order.to_numpy().reshape(len(DOMAINS), len(INTERESTS), -1)


def write_world(folder: Path, users: int = 2400, seed: int = 7, chunk: int = 2000) -> None:
    """Write a world of so many users as CSV files, `chunk` users at a time; only the chunk is held in memory.

    The folder appears only when all is written. The result does not depend on `chunk`.

    Raises:
        CourseError: the folder exists and is not empty, or there are too few users to write the comments.
    """
    from recsys_helpers.data.comments import generate_comments

    folder, model = Path(folder).resolve(), WorldModel()
    if users < 1:
        raise CourseError(f"a world needs at least 1 user, not {users}.")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise CourseError(f"{folder} exists and is not an empty folder: choose another one or remove it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        work = Path(scratch) / folder.name
        work.mkdir()
        items, tastes = make_items(model, seed), []
        _append(items, work, "items")
        _append(items, work, "truth_items")
        for first in range(1, users + 1, chunk):
            people, events = make_users(model, items, first, min(first + chunk - 1, users), seed)
            _append(people, work, "users")
            _append(people, work, "truth_users")
            _append(events, work, "interactions")
            _append(events, work, "truth_interactions")
            if first <= COMMENTERS:
                tastes += [[INTERESTS.index(word) for word in pair] for pair in people[["main", "side"]].to_numpy()]
        _append(generate_comments(np.array(tastes[:COMMENTERS]), seed), work, "comments")
        if folder.exists():
            folder.rmdir()  # empty; Windows does not rename onto it
        work.rename(folder)


def _append(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Append to a CSV file the columns that belong there, with a header if the file is new."""
    file = folder / f"{name}.csv"
    with open(file, "a", encoding="utf-8", newline="") as out:
        table[list(COLUMNS[name])].to_csv(
            out, index=False, header=out.tell() == 0, float_format="%.3f", lineterminator="\n"
        )


def load_interest_world(folder: Path | str | None = None) -> InterestWorld:
    """The world in a folder, by default the bundled one (2,400 users, 1,200 items, about 156,000 interactions).

    Raises:
        CourseError: a file or column is missing or holds what it must not, with file, column and line.
    """
    folder = BUNDLE if folder is None else Path(folder)
    tables = {name: _read(folder / f"{name}.csv", COLUMNS[name]) for name in COLUMNS}
    items, events, truth = tables["items"], tables["interactions"], tables["truth_interactions"]

    for name, key in [
        ("users", "user_id"),
        ("items", "item_id"),
        ("truth_users", "user_id"),
        ("truth_items", "item_id"),
    ]:
        _require(
            tables[name][key] == np.arange(1, len(tables[name]) + 1), folder, name, key, "ids must run 1, 2, 3, ..."
        )
    for name, key, known in [
        ("interactions", "user_id", "users"),
        ("interactions", "item_id", "items"),
        ("comments", "user_id", "users"),
    ]:
        _require(tables[name][key].between(1, len(tables[known])), folder, name, key, f"this id is not in {known}.csv")
    _require(events.liked.isin([0, 1]), folder, "interactions", "liked", "must be 0 or 1")
    _require(events.user_id.diff().fillna(0) >= 0, folder, "interactions", "user_id", "rows must be sorted by user")
    later = (events.time.diff() > 0) | (events.user_id.diff() != 0)
    _require(later, folder, "interactions", "time", "must grow from event to event of a user")
    _require(
        truth.focus.between(0, 7), folder, "truth_interactions", "focus", "must be an index into INTERESTS, 0 to 7"
    )
    for name in ("users", "items", "interactions"):
        if len(tables[name]) != len(tables[f"truth_{name}"]):
            raise CourseError(f"truth_{name}.csv and {name}.csv in {folder} differ in length: restore both.")

    events[["domain", "interest"]] = items[["domain", "interest"]].take(events.item_id - 1).set_index(events.index)
    events["day"] = events.time // DAY
    truth["focus"] = pd.Categorical.from_codes(truth.focus, INTERESTS)
    hidden = Truth(tables["truth_users"], tables["truth_items"], truth)
    return InterestWorld(tables["users"], items, events, tables["comments"], hidden)


def _read(file: Path, columns: dict) -> pd.DataFrame:
    try:
        words = {name: str for name, kind in columns.items() if kind not in (int, float)}
        table = pd.read_csv(file, dtype=words, low_memory=False)
    except FileNotFoundError:
        raise CourseError(f"{file} is missing: restore it, or write a world with `{COMMAND} --out FOLDER`.") from None
    except ValueError as fault:  # pandas' parser errors and wrong encodings are ValueErrors
        raise CourseError(f"{file} is not a readable CSV file ({str(fault).splitlines()[0]}): restore it.") from None
    for name, kind in columns.items():
        if name not in table:
            raise CourseError(f"{file.name} has no column {name!r}: restore {file}.")
        if kind is int or kind is float:
            values = pd.to_numeric(table[name], errors="coerce")
            good = values.notna() & ((values % 1 == 0) | (kind is float))
        else:
            good = table[name].notna() if kind is str else table[name].isin(kind)
        wanted = {int: "a whole number", float: "a number", str: "a text"}.get(kind) or "one of " + ", ".join(kind)
        _require(good, file.parent, file.stem, name, f"must be {wanted}")
        table[name] = pd.Categorical(table[name], kind) if isinstance(kind, tuple) else table[name].astype(kind)
    return table[list(columns)]


def _require(good: pd.Series, folder: Path, name: str, column: str, rule: str) -> None:
    if not good.all():
        line = int(np.argmin(good.to_numpy())) + 2  # the header is line 1
        raise CourseError(f"{name}.csv, column {column}, line {line}: {rule}; restore {folder / name}.csv.")


def main(arguments: list[str] | None = None) -> None:
    """The command `python -m recsys_helpers.data.interest_world`."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write an InterestWorld as CSV files.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new or empty folder")
    parser.add_argument("--users", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    try:
        write_world(options.out, options.users, options.seed)
    except CourseError as fault:
        parser.error(str(fault))


if __name__ == "__main__":
    main()
