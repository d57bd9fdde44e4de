"""One shape for every data set: who took what, when, where and how much they liked it, and what the items are.

Every model of the leaderboard and the capstone reads an `EventLog`, so that all of them know and are asked the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_helpers.data import layouts
from recsys_helpers.data.interest_world import DOMAINS, SCENARIOS, InterestWorld
from recsys_helpers.data.movielens import MovieLens, film_texts, load_movielens
from recsys_helpers.data.splits import NextItemSplit, leave_one_out, target_position
from recsys_helpers.errors import CourseError, did_you_mean

PARTS_OF_DAY = ("night", "morning", "afternoon", "evening")  # six hours each, from midnight UTC
REPEATS = ("first", "last", "keep")
SUBJECTS = 50  # at most; of more genres the commonest
LOUD = ("Action", "Adventure", "Sci-Fi", "Thriller", "Crime", "Horror", "Mystery", "War", "Western", "Film-Noir")


@dataclass(frozen=True)
class EventLog:
    """Events of users with items. Users are numbered from 0 and items from 1, as in `split`.

    Attributes:
        name: of the data set.
        split: leave one out in time; both targets are items that the user had not taken before.
        events: columns user, item, strength (0 to 1), scenario (number), time (seconds); each user's oldest first.
        items: columns title, text and domain (number), one row an item, in the order of their numbers.
        subjects: what each item is about, shape (n_items, n_subjects); rows sum to 1.
        scenarios, subject_names, domains: what the numbers stand for. The users' and the items' own ids are
            `split.user_ids` and `split.item_ids`.
        told: how the data were read and what was left out, a sentence each.
    """

    name: str
    split: NextItemSplit
    events: pd.DataFrame
    items: pd.DataFrame
    subjects: np.ndarray
    scenarios: tuple[str, ...]
    subject_names: tuple[str, ...]
    domains: tuple[str, ...]
    told: tuple[str, ...] = ()

    def before(self, part: str = "test") -> pd.DataFrame:
        """The events that a model may know when it predicts the target of `part`."""
        return self.events[self._from_last() > -1 - target_position(part)]

    def requests(self, part: str = "test") -> pd.DataFrame:
        """The event that each user asks for, one row a user; its scenario and time are known, its item is not."""
        return self.events[self._from_last() == -1 - target_position(part)].reset_index(drop=True)

    def _from_last(self) -> np.ndarray:
        return self.events.groupby("user").cumcount(ascending=False).to_numpy()


def load_log(
    source: str | Path | pd.DataFrame,
    layout: str = "auto",
    *,
    columns: Mapping[str, str] | None = None,
    repeats: str = "first",
    rating_range: tuple[float, float] | None = None,
    time_unit: str | None = None,
    weights: Mapping[str, float] | None = None,
    divider: str | None = None,
    items: pd.DataFrame | None = None,
    refuse: bool = False,
    quiet: bool = False,
) -> EventLog:
    """The log of your own data: any table of who took what.

    Public data sets are known by their files, see `layouts`. In a table, delimiter and header are found out, and
    columns by common names (user, customer_id, ASIN, ...). Only user and item have to be there. Without ratings each
    event counts as 1, without times the order of the file stands for them, without titles an item is called by its id,
    and without genres there is one subject.

    Args:
        source: a file, a folder or an archive (gz, zip, zst, bz2, xz) with CSV, TSV, JSON lines or Parquet; or a
            DataFrame.
        layout: "auto", the name of a public layout, or "table".
        columns: our names by yours, {"user": "uid", "item": "sku"}; others may be rating, time, behaviour, scenario,
            title, genres, year.
        repeats: of an item that a user took before, count the "first" event, the "last", or "keep" all: right for
            plays and clicks. Both targets are then still items that are new to the user, what the user took again
            between or after them is left out, and models see earlier repeats in the history.
        rating_range: the lowest and the highest rating; found by default.
        time_unit: "s", "ms", "us", "ns", "date" (YYYYMMDD) or "order" (numbers that only count); found by default.
        weights: how much a behaviour says, from 0 to 1, {"view": 0.2, "buy": 1}.
        divider: between the fields of a text file; found by default.
        items: a table of items with item, and title or genres (lists) if you have them; events with other items are
            left out.
        refuse: raise an error in place of leaving events out.
        quiet: do not print what was found and left out; it stands in `told`.

    Raises:
        CourseError: what is broken in which file, line and column, or what has to be said.
    """
    if repeats not in REPEATS:
        raise CourseError(f"repeats: {did_you_mean(repeats, REPEATS)}")
    if isinstance(source, str | Path) and (Path(source).expanduser() / "u.data").is_file():
        return log_of(load_movielens(source))
    wishes = layouts.Wishes(dict(columns or {}), divider, rating_range, time_unit, weights)
    found = layouts.read(source, layout, wishes)
    told = list(found.told)
    catalogue = _catalogue(found, items)
    codes, names = _scenarios(found.rows, found.has_time)
    events = found.rows.assign(scenario=codes)
    outside = ~events["item"].isin(catalogue["item"])
    if outside.any():
        _left_out(f"{_counted(outside.sum(), 'event')} with items outside the catalogue", refuse, told)
        events = events[~outside]
    if not found.has_time:
        events = events.assign(seconds=events["order"].astype("float64"))
    moments = events["seconds"].to_numpy()
    events = pd.DataFrame(
        {
            "user_id": events["user"],
            "item_id": events["item"],
            "strength": events["strength"],
            "scenario": events["scenario"],
            "time": np.floor(moments).astype("int64"),
            "moment": moments,
        }
    )
    ordered = events.sort_values(["user_id", "moment"], kind="stable")
    kept = _without_repeats(ordered, repeats)
    if len(kept) < len(ordered):
        again = _counted(len(ordered) - len(kept), "event")
        _left_out(f"{again} with an item taken before (repeats={repeats!r})", False, told)
    size = kept.groupby("user_id")["item_id"].transform("nunique")
    few = kept.loc[size < 3, "user_id"].nunique()
    if few == kept["user_id"].nunique():
        raise CourseError(f"{found.name}: no user took three different items; history, validation and test need three")
    if few:
        _left_out(f"{_counted(few, 'user')} with fewer than three items", refuse, told)
    subjects, subject_names = _subjects(catalogue)
    catalogue["text"] = _texts(catalogue)
    catalogue["domain"] = 0
    if not quiet and told:
        print(f"{found.name}: {'; '.join(told)}")
    name = Path(source).stem if isinstance(source, str | Path) else "your table"
    shape = catalogue["item"], catalogue[["title", "text", "domain"]], subjects, names, subject_names, ("all",)
    return _log(name, kept[size >= 3], *shape, told=tuple(told))


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _left_out(what: str, refuse: bool, told: list[str]) -> None:
    if refuse:
        raise CourseError(f"{what}: mend the data, or leave them out with refuse=False")
    told.append(f"left out: {what}")


def _catalogue(found: layouts.Source, items: pd.DataFrame | None) -> pd.DataFrame:
    """The items in the order of their ids, with title and genres; those of the events if there is no table of them."""
    given = found.catalogue if items is None else items
    if items is not None and "item" not in items:
        raise CourseError("items: the table needs a column item")
    ids = pd.Series(pd.unique(given["item"] if len(given) else found.rows["item"]), name="item")
    table = pd.DataFrame({"item": ids.sort_values(ignore_index=True)})
    if items is None and len(given):  # a file may list items that nobody took, and lack some that were taken
        more = found.rows.loc[~found.rows["item"].isin(ids), "item"].unique()
        table = pd.DataFrame({"item": pd.Series([*ids, *more]).sort_values(ignore_index=True)})
    if len(given):
        table = table.merge(given.drop_duplicates("item"), on="item", how="left")
    called = "Item " + table["item"].astype("str")
    table["title"] = table["title"].where(table["title"].notna(), called) if "title" in table else called
    none = [[] for _ in table.index]
    genres = table["genres"] if "genres" in table else pd.Series(none)
    table["genres"] = [list(one) if isinstance(one, list | tuple | np.ndarray) else [] for one in genres]
    return table


def _texts(catalogue: pd.DataFrame) -> list[str]:
    rows = zip(catalogue["title"], catalogue["genres"], strict=True)
    return [f"{title}. {', '.join(genres)}".strip(". ") for title, genres in rows]


def _subjects(catalogue: pd.DataFrame) -> tuple[np.ndarray, tuple[str, ...]]:
    """What each item is about: its genres, the commonest if there are very many; one subject where there are none."""
    counts = catalogue["genres"].explode().value_counts()
    names = tuple(sorted(counts.index[:SUBJECTS]))
    if not names:
        return np.ones((len(catalogue), 1)), ("all",)
    place = {name: number for number, name in enumerate(names)}
    subjects = np.full((len(catalogue), len(names)), 1e-3)  # an item without a genre is about all alike
    for row, genres in zip(subjects, catalogue["genres"], strict=True):
        row[[place[genre] for genre in genres if genre in place]] += 1
    return subjects, names


def _scenarios(events: pd.DataFrame, has_time: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """The number of each event's scenario, and their names: those of the source, parts of the day, or one for all."""
    if "scenario" in events:
        codes, names = pd.factorize(events["scenario"], sort=True)
        return codes, tuple(map(str, names))
    if has_time:
        return (events["seconds"] // 21_600 % 4).astype(int).to_numpy(), PARTS_OF_DAY
    return np.zeros(len(events), int), ("any",)


def _without_repeats(ordered: pd.DataFrame, repeats: str) -> pd.DataFrame:
    """Each user's events, oldest first, with those repeats that count, none of them behind the validation target."""
    pair = ["user_id", "item_id"]
    if repeats != "keep":
        return ordered.drop_duplicates(pair, keep=repeats)
    new = ~ordered.duplicated(pair)
    behind = new[::-1].groupby(ordered["user_id"][::-1]).cumsum()[::-1] - new  # new items that come later
    return ordered[new | (behind >= 2)]


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
    return _log("MovieLens-100K", _first_of_each(events), data.films["film_id"], items, subjects, *names)


def _of_world(data: InterestWorld) -> EventLog:
    world = data.interactions
    events = world[["user_id", "item_id"]].assign(
        strength=world["liked"].astype("float64"), scenario=world["scenario"].cat.codes.astype(int), time=world["time"]
    )
    subjects = np.eye(data.items["interest"].cat.categories.size)[data.items["interest"].cat.codes]
    domain = data.items["domain"].cat.codes.astype(int)
    items = pd.DataFrame({"title": data.items["title"], "text": data.items["title"], "domain": domain})
    names = (SCENARIOS, tuple(data.items["interest"].cat.categories), DOMAINS)
    return _log("InterestWorld", _first_of_each(events), data.items["item_id"], items, subjects, *names)


def _first_of_each(events: pd.DataFrame) -> pd.DataFrame:
    first = events.sort_values(["user_id", "time"], kind="stable").drop_duplicates(["user_id", "item_id"])
    return first[first.groupby("user_id")["item_id"].transform("size") >= 3]  # history, validation, test


def _log(name, ordered, item_ids, items, subjects, scenarios, subject_names, domains, told=()) -> EventLog:
    """The log of events that stand in the order of users and of time."""
    split = leave_one_out(ordered, item_ids, item="item_id")
    numbers = {"user": np.searchsorted(split.user_ids, ordered["user_id"]), "item": np.concatenate(split.sequences)}
    events = ordered.assign(**numbers)[["user", "item", "strength", "scenario", "time"]].reset_index(drop=True)
    subjects = subjects / subjects.sum(axis=1, keepdims=True)
    items = items.reset_index(drop=True)
    return EventLog(name, split, events, items, subjects, scenarios, subject_names, domains, told)
