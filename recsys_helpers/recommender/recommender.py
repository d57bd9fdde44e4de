"""The capstone: text, behaviour, time, scenario and strength in, one ranked list with its reasons out.

Stage 1 (`retrieval`): nine parts, models of the lessons, each give every item a score, and a few hundred candidates are
drawn from two of them. Stage 2 (`ranker`): a gate that looks at the request weighs the parts, as attention weighs
experts in lesson 06. The score of an item is the sum over the parts of weight times how far the part puts it above the
mean of the candidates, so the parts explain it fully.
"""

import copy
import hashlib
import json
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from recsys_helpers.arrays import read_arrays, write_arrays
from recsys_helpers.data.event_log import EventLog
from recsys_helpers.errors import CourseError, did_you_mean
from recsys_helpers.models import baselines, bert, multi_scenario, self_attention, two_towers  # noqa: F401 (registers)
from recsys_helpers.models.base import MODELS, Model, NewItem, Request, fits, make, register, requests_of, with_row
from recsys_helpers.models.next_item import NextItemNetwork
from recsys_helpers.recommender import reasons as reasons_of
from recsys_helpers.recommender.ranker import GATE, Gate, candidate_features, context_of, examples_of, fit_gate
from recsys_helpers.training.profiles import by_profile, check_profile

KIND, VERSION, FILE = "recsys_helpers recommender", 3, "recommender.npz"
PARTS = {
    "self-attention": "self-attention over the last 50 items (lessons 01 and 04)",
    "recent neighbours": "similarity to the last 10 items, fading (lesson 04)",
    "fusion": "what is wanted now, in this scenario, from interest in each domain (lessons 05 and 06)",
    "SLIT": "what tends to follow the last 15 items, fading",
    "EASE": "what tends to stand in one history with all the items",
    "text profile": "BERT vectors like those of the last 10 items, fading (lesson 02)",
    "strength": "how much people, and this user in these subjects, like it (lesson 03)",
    "recency": "how much more often than usual it was taken in the four weeks before",
    "popularity": "how often it was taken (lesson 00)",
}
NEEDED = "recent neighbours", "text profile"
KNOWN = ("scenarios", "subjects", "about", "usual_strength", "now")
FORMS = {  # of what a file holds besides the parts, as in `fits`
    "items/title": "text items",
    "items/text": "text items",
    "scenarios": "text scenarios",
    "subjects": "text subjects",
    "about": "number items subjects",
    "usual_strength": "number",
    "now": "number",
    "people/lengths": "whole people",
    "people/history": "whole events",
    "people/strengths": "number events",
    "people/scenario": "whole people",
    "people/time": "number people",
    "gate/parts": "text kept",
    "gate/scale": "positive kept",
    "gate/bias": "number kept",
    "gate/keys": "number kept scenarios+2",
    "gate/mean": "number scenarios+2",
    "gate/spread": "positive scenarios+2",
}
PEOPLE = {"history": np.concatenate, "strengths": np.concatenate, "scenario": np.array, "time": np.array}


@register
class Recommender(Model):
    """The two stages, and the people and items they know. Users are numbered from 0, items from 1, as in `EventLog`.

    Args:
        profile: how much the networks are trained. seed: of their start and of what is drawn.
        parts: names of registered models; the first two draw the candidates.

    Attributes:
        models: the fitted parts by name. gate: the ranker. people: one request a user, at their last known event.
        items: columns title and text. scenarios, subjects: names. about: what items are about, (items, subjects).
        usual_strength: mean of all events. now: time of the last one.
        examples: what the gate learned from; None after `load`.
    """

    name = "capstone"

    def __init__(self, profile: str = "quick", seed: int = 7, parts: tuple[str, ...] = tuple(PARTS)):
        check_profile(profile)
        self.profile, self.seed, self.parts, self.examples = profile, seed, tuple(parts), None
        for name in self.parts:
            _known(name, MODELS, "part")
        if len({*self.parts}) < len(self.parts):
            raise CourseError(f"a part can stand once only; you gave {', '.join(self.parts)}")
        if missing := {*NEEDED} - {*self.parts}:
            raise CourseError(f"reasons and new items need the parts {', '.join(sorted(missing))}, too")
        settings = {
            "self-attention": {
                "steps": by_profile(profile, smoke=1, quick=500, full=1600),
                "dropout": by_profile(profile, smoke=0.2, quick=0.2, full=0.3),
            },
            "text profile": {"decay": 0.6, "centred": True},
        }
        self.models = {n: make(MODELS[n], profile=profile, seed=seed, **settings.get(n, {})) for n in self.parts}

    def fit(self, log: EventLog, part: str = "test") -> Self:
        """Learn the parts before the validation items, the ranker from these, and the parts again with them.

        The test items are never read. The two networks are trained again in the full profile only; else they are given
        the longer history. For the validation items there is `ranker.cross_validated`.
        """
        if part != "test":
            raise CourseError("the capstone learns from the validation items; ask for the test, or `cross_validated`")
        for model in self.models.values():
            model.fit(log, "validation")
        asked, targets = requests_of(log, "validation"), log.split.target("validation")
        self.examples = examples_of(self.parts, self.part_scores(asked), asked, targets, len(log.scenarios))
        self.gate = fit_gate(self.examples)
        for model in self.models.values():
            if not _is_trained(model) or by_profile(self.profile, smoke=False, quick=False, full=True):
                model.fit(log, "test")
            elif isinstance(model, NextItemNetwork):
                model.take_usual(log.split.history("test"))
        known, self.people = log.before("test"), []
        for user, events in known.groupby("user"):
            last = events.iloc[-1]
            taken = events["item"].to_numpy(), events["strength"].to_numpy()
            self.people.append(Request(*taken, int(last["scenario"]), float(last["time"]), user=int(user)))
        self.items, self.scenarios, self.subjects = log.items, log.scenarios, log.subject_names
        self.about = log.subjects.astype("float32")
        self.usual_strength, self.now = float(known["strength"].mean()), float(known["time"].max())
        return self

    @property
    def parameters(self) -> int:
        """All weights of its networks, and of the gate bias and keys; EASE and SLIT are solved for, and not counted."""
        trained = sum(model.parameters for model in self.models.values() if _is_trained(model))
        return trained + self.gate.bias.size + self.gate.keys.size

    def surroundings(self) -> list[str]:
        return [name for model in self.models.values() for name in model.surroundings()]

    def without(self, *parts: str) -> "Recommender":
        """The same with a ranker that does without these parts; candidates are drawn as before. Takes a second."""
        for name in parts:
            _known(name, self.parts, "part")
        if self.examples is None:
            raise CourseError("a loaded recommender has no examples to train its ranker on; fit one")
        other = copy.copy(self)
        other.gate = fit_gate(self.examples.of(tuple(name for name in self.parts if name not in parts)))
        return other

    def part_scores(self, requests: list[Request]) -> np.ndarray:
        """The score that each part gives to each item, shape (requests, parts, items)."""
        return np.stack([model.scores(requests) for model in self.models.values()], axis=1).astype("float32")

    def rank(self, requests: list[Request], interests=None):
        """(candidates, contributions, scores) of requests: (requests, c), (requests, parts + 1, c) and (requests, c).

        The last contribution is that of `interests`. Seen items have the score -inf.
        """
        boost = self._boost(interests)
        first, above, unseen = candidate_features(self.part_scores(requests), requests, boost)
        weights = self.gate.weights(context_of(requests, len(self.scenarios))) / self.gate.scale
        shares = weights[:, :, None] * above[:, [self.parts.index(name) for name in self.gate.parts]]
        shares = np.concatenate([shares, boost[first][:, None]], axis=1)
        return first, shares, np.where(unseen, shares.sum(axis=1), -np.inf)

    def scores(self, requests: list[Request]) -> np.ndarray:
        """A score for every item, shape (requests, items), for `ranks.target_ranks`; no candidates come last."""
        first, _, scores = self.rank(requests)
        every = np.full((len(requests), len(self.items)), -1e9)
        np.put_along_axis(every, first, np.maximum(scores, -1e9), axis=1)
        return every

    def recommend(
        self, user: int, scenario=None, k: int = 10, time: float | None = None, interests=None
    ) -> pd.DataFrame:
        """The first k items: columns item, title, score, and what each part contributes to the score.

        Args:
            scenario: a name; that of the user's last event by default. time: in seconds; theirs by default.
            interests: {subject: multiplier} or one multiplier a subject: "twice as much jazz". Its logarithm, times the
                item's share of the subject, is added to the score.
        """
        return self._table(self._request(user, scenario, time), k, interests)

    def recommend_for(self, history=(), strengths=None, scenario=None, k: int = 10, time=None, interests=None):
        """`recommend` for anybody with these items (numbers, oldest first); without any, what is usual carries it."""
        items = np.asarray(history, int)
        if items.size and not (items.min() >= 1 and items.max() <= len(self.items)):
            raise CourseError(
                f"the history names items that do not exist; they are numbered from 1 to {len(self.items)}"
            )
        liked = np.full(len(items), self.usual_strength) if strengths is None else np.asarray(strengths, float)
        if liked.shape != items.shape:
            raise CourseError(f"there are {len(liked)} strengths for {len(items)} items; give one each, from 0 to 1")
        when = self.now + 1 if time is None else time
        usual = np.bincount([person.scenario for person in self.people]).argmax()
        number = usual if scenario is None else self._scenario(scenario)
        return self._table(Request(items, liked, number, when), k, interests)

    def batch(self, users, scenarios=None, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Item numbers and scores of many users' lists, each of shape (users, k)."""
        names = scenarios if scenarios is not None else [None] * len(users)
        requests = [self._request(user, name) for user, name in zip(users, names, strict=True)]
        found = []
        for start in range(0, len(requests), 64):
            first, _, scores = self.rank(requests[start : start + 64])
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            found.append([np.take_along_axis(array, best, axis=1) for array in (first + 1, scores)])
        return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))

    def explain(self, user: int, item: int, scenario=None, reasons: int = 5) -> reasons_of.Explanation:
        """What each part contributes to the score of an item for a user, and which of their items speak for it."""
        if not 1 <= item <= len(self.items):
            raise CourseError(f"item {item} does not exist; items are numbered from 1 to {len(self.items)}")
        return reasons_of.explain(self, self._request(user, scenario), item, reasons)

    def add_item(self, title: str, text: str, subjects: dict[str, float], domain: int = 0, like: int = 10) -> int:
        """Take in an item that nobody took yet; gives its number.

        Its text is read. What the other parts know of the `like` items with the nearest texts is lent to it.

        Raises:
            CourseError: no subject has a share, or `like` is below 1.
        """
        if not (like >= 1 and any(subjects.values())):
            raise CourseError("give some subject a share above 0, and `like` from 1 on")
        texts = self.models["text profile"]
        vector = texts.vector_of(text)
        near = np.argsort(-(texts.vectors_ @ vector), kind="stable")[:like]
        about = self._by_subject(subjects, 0.0)
        item = NewItem(vector, about / about.sum(), domain, near)
        self.models = {name: model.with_item(item) for name, model in self.models.items()}
        self.about = with_row(self.about, item.subjects)
        self.items = pd.concat([self.items, pd.DataFrame({"title": [title], "text": [text]})], ignore_index=True)
        return len(self.items)

    def state(self) -> dict[str, np.ndarray]:
        """All that `recommend` needs: the states of the parts, the gate, the people and the items."""
        people, gate = self.people, self.gate
        arrays = {f"parts/{part}/{name}": a for part, model in self.models.items() for name, a in model.state().items()}
        arrays |= {f"gate/{name}": getattr(gate, name) for name in GATE} | {"gate/parts": np.array(gate.parts)}
        arrays["people/lengths"] = np.array([len(person.history) for person in people])
        arrays |= {f"people/{name}": join([getattr(p, name) for p in people]) for name, join in PEOPLE.items()}
        arrays |= {f"items/{name}": self.items[name].to_numpy(str) for name in ("title", "text")}
        return arrays | {name: np.asarray(getattr(self, name)) for name in KNOWN}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray], **settings) -> "Recommender":
        """The recommender with this `state()`; it has no examples, so `without` cannot train another gate.

        Raises:
            CourseError: it is no state of a recommender, or of one that gives no lists.
        """
        try:
            with np.errstate(all="ignore"):  # what comes out is looked at
                sizes = _sizes(state)
                new = cls._of(state, settings)
                new.check(sizes)
        except Exception as error:  # what somebody else wrote can fail in any way
            raise CourseError(f"this is the state of no recommender ({error or type(error).__name__})") from error
        return new

    @classmethod
    def _of(cls, state: dict[str, np.ndarray], settings: dict) -> Self:
        def under(folder: str) -> dict[str, np.ndarray]:
            places = {path: path.rpartition("/") for path in state}
            return {name: state[path] for path, (at, _, name) in places.items() if at == folder}

        new = cls(**settings)
        new.models = {n: model.from_state(under(f"parts/{n}"), **model.settings()) for n, model in new.models.items()}
        gate, people = under("gate"), under("people")
        new.gate = Gate(tuple(gate.pop("parts").tolist()), **gate)
        ends = np.cumsum(people.pop("lengths"))[:-1]
        columns = {name: np.split(people[name], ends) for name in ("history", "strengths")}
        columns |= {name: people[name].tolist() for name in ("scenario", "time")}
        rows = zip(*(columns[name] for name in PEOPLE), strict=True)
        new.people = [Request(*person, user=user) for user, person in enumerate(rows)]
        new.items = pd.DataFrame(under("items"))
        new.scenarios, new.subjects = (tuple(state[name].tolist()) for name in ("scenarios", "subjects"))
        new.about, new.usual_strength, new.now = state["about"], float(state["usual_strength"]), float(state["now"])
        if differ := sorted(new.state().keys() ^ state.keys()):
            raise CourseError(f"it has {differ[0]!r} too much or too little")
        return new

    def check(self, sizes: dict[str, int]) -> None:
        """Hold the parts against each other, and let them score for somebody known and somebody new."""
        for model in self.models.values():
            model.check(sizes)
        if not {*self.gate.parts} <= {*self.parts} or len({*self.gate.parts}) < len(self.gate.parts):
            raise CourseError("the gate weighs other parts")
        asked = [Request(np.array([], int), np.array([]), 0, self.now), *self.people[:1]]
        scores, shares = self.part_scores(asked), self.rank(asked)[1]
        if scores.shape != (len(asked), len(self.parts), len(self.items)):
            raise CourseError("its parts score other items")
        if not np.isfinite(scores).all() or not np.isfinite(shares).all():
            raise CourseError("its scores are no numbers")

    def save(self, folder: str | Path) -> None:
        """Write settings and state into one file, which replaces an older one at once or not at all."""
        arrays = self.state()
        arrays["card"] = np.array(json.dumps({"kind": KIND, "version": VERSION, "settings": self.settings()}))
        try:
            write_arrays(Path(folder) / FILE, arrays | {"checksum": np.array(_checksum(arrays))})
        except OSError as error:
            raise CourseError(f"the recommender could not be written to {folder} ({error.strerror})") from error
        except ValueError as error:
            raise CourseError(f"the recommender cannot be written without pickle: {error}") from error

    @classmethod
    def load(cls, folder: str | Path) -> "Recommender":
        """What `save` wrote. Nothing in the file is run, and a file that is not whole, or not sound, is refused."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise CourseError(f"there is no recommender in {folder}; write one with `save`")
        try:
            arrays = read_arrays(path)
            card, checksum = json.loads(str(arrays["card"])), str(arrays.pop("checksum", ""))
            kind, version, settings = (card[name] for name in ("kind", "version", "settings"))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CourseError(f"{path} is damaged or no recommender; fit one again and `save` it") from error
        if kind != KIND or type(version) is not int:
            raise CourseError(f"{path} is no recommender; fit one again and `save` it")
        if version != VERSION:
            other = "a newer recsys_helpers; update it, or" if version > VERSION else "an older recsys_helpers;"
            raise CourseError(f"{path} was written by {other} fit one again and `save` it")
        if checksum != _checksum(arrays):
            raise CourseError(f"{path} is damaged: its contents do not fit their checksum; fit one again and `save` it")
        del arrays["card"]
        try:
            new = cls.from_state(arrays, **settings)
        except (CourseError, TypeError) as error:  # a TypeError, if the settings are none
            raise CourseError(f"{path} cannot be used: {error}; fit one again and `save` it") from error
        if json.loads(json.dumps(new.settings())) != settings or type(new.seed) is not int:
            raise CourseError(f"{path} cannot be used: its settings are none of ours; fit one again and `save` it")
        return new

    def _request(self, user: int, scenario: str | None = None, time: float | None = None) -> Request:
        if not (isinstance(user, int | np.integer) and 0 <= user < len(self.people)):
            raise CourseError(f"user {user!r} does not exist; users are numbered from 0 to {len(self.people) - 1}")
        last = self.people[user]
        where = last.scenario if scenario is None else self._scenario(scenario)
        when = last.time if time is None else float(time)
        return Request(last.history, last.strengths, where, when, max(0.0, when - last.time), user)

    def _scenario(self, name: str) -> int:
        return self.scenarios.index(_known(name, self.scenarios, "scenario"))

    def _by_subject(self, values, other: float) -> np.ndarray:
        """One number a subject, from a dict by name or an array."""
        if isinstance(values, dict):
            for name in values:
                _known(name, self.subjects, "subject")
            values = [values.get(name, other) for name in self.subjects]
        values = np.asarray(values, "float64")
        if values.shape != (len(self.subjects),) or not (np.isfinite(values) & (values >= 0)).all():
            raise CourseError(
                f"give one number from 0 on for each of the {len(self.subjects)} subjects, or a dict of some"
            )
        return values

    def _boost(self, interests) -> np.ndarray:
        if interests is None:
            return np.zeros(len(self.items))
        return self.about @ np.log(np.maximum(self._by_subject(interests, 1.0), 1e-6))

    def _table(self, request: Request, k: int, interests) -> pd.DataFrame:
        first, shares, scores = (array[0] for array in self.rank([request], interests))
        best = np.argsort(-scores, kind="stable")[:k]
        best = best[np.isfinite(scores[best])]
        columns = {"item": first[best] + 1, "title": self.items["title"].to_numpy()[first[best]], "score": scores[best]}
        names = [*self.gate.parts, "interests"][: len(self.gate.parts) + (interests is not None)]
        return pd.DataFrame(columns | {name: shares[row, best] for row, name in enumerate(names)})


def _known(name: str, names, what: str) -> str:
    if name in names:
        return name
    raise CourseError(f"{what} {name!r} does not exist; {did_you_mean(name, names)}")


def _sizes(state: dict[str, np.ndarray]) -> dict[str, int]:
    """How many items, scenarios, subjects, ... there are; CourseError if something is missing, or not of its form."""
    sizes: dict[str, int] = {}
    for name, form in FORMS.items():
        if name not in state or not fits(state[name], form, sizes):
            raise CourseError(f"{name!r} is not what it should be")
    if not min(sizes.values()):
        raise CourseError("it knows nobody or nothing")
    lengths, history = state["people/lengths"], state["people/history"]
    if lengths.max(initial=0) > len(history) or lengths.sum() != len(history):
        raise CourseError("the histories are shorter or longer than their lengths")
    if not ((history >= 1) & (history <= sizes["items"])).all():
        raise CourseError("the histories name items that do not exist")
    if (state["people/scenario"] >= sizes["scenarios"]).any():
        raise CourseError("somebody was in a scenario that does not exist")
    return sizes


def _is_trained(model: Model) -> bool:
    """Whether it is a network: its settings say how much to train."""
    return "profile" in model.settings()


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
