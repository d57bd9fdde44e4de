"""The capstone: text, behaviour, time, scenario and strength in, one ranked list with its reasons out.

Stage 1 (`parts`): nine parts each give every item a score, and a few hundred candidates are drawn from two of them.
Stage 2: a gate that looks at the request weighs the parts, as attention weighs experts in lesson 06. The score of an
item is the sum over the parts of weight times how far the part puts it above the mean of the candidates, so the parts
explain it fully.
"""

import difflib
import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.errors import CourseError
from recsys_helpers.models.bert import load_encoder
from recsys_helpers.recommender.ranker import GATE, Gate, context_of, drawn, examples_of, fit_gate
from recsys_helpers.recommender.reasons import Explanation
from recsys_helpers.recommender.retrieval import (
    PARTS,
    Request,
    learn,
    part_scores,
    requests_of,
    train_fusion,
    train_order,
    unit,
)
from recsys_helpers.training.profiles import by_profile

KIND, VERSION, FILE = "recsys_helpers recommender", 1, "recommender.npz"
PEOPLE = {"history": np.concatenate, "strengths": np.concatenate, "scenario": np.array, "time": np.array}


class Recommender:
    """The two stages, and the people and items they know. Users are numbered from 0, items from 1, as in `Log`.

    Attributes:
        know: what the parts know, `gate`: the ranker, `people`: one request a user, at their last known event.
        items: columns title and text. scenarios, subjects: names.
        examples: what the gate learned from; None after `load`.
    """

    def __init__(
        self, know, gate: Gate, people: list[Request], items: pd.DataFrame, scenarios, subjects, examples=None
    ):
        self.know, self.gate, self.people, self.items = know, gate, people, items
        self.scenarios, self.subjects, self.examples = tuple(scenarios), tuple(subjects), examples

    @classmethod
    def fit(cls, log: EventLog, profile: str = "quick", seed: int = 7, without: tuple[str, ...] = ()) -> "Recommender":
        """Learn the parts before the validation items, the ranker from these, and the parts again with them.

        The test items are never read. The two networks are trained again in the full profile only; else they are given
        the longer history.
        """
        text = load_encoder().encode(list(log.items["text"]))

        def train(part):
            order = train_order(log.split.history(part), log.split.n_items, profile, seed)
            return order | train_fusion(log, part, profile, seed)

        trained = train("validation")
        know, asked = learn(log, "validation", trained, text), requests_of(log, "validation")
        examples = examples_of(know, asked, log.split.target("validation"), len(log.scenarios))
        if by_profile(profile, smoke=False, quick=False, full=True):
            trained = train("test")
        people = []
        for _, events in log.before("test").groupby("user"):
            last = events.iloc[-1]
            taken = events["item"].to_numpy(), events["strength"].to_numpy()
            people.append(Request(*taken, int(last["scenario"]), float(last["time"])))
        know = learn(log, "test", trained, text)
        return cls(know, None, people, log.items, log.scenarios, log.subject_names, examples).without(*without)

    def without(self, *parts: str) -> "Recommender":
        """The same with a ranker that does without these parts; candidates are drawn as before. Takes a second."""
        for name in parts:
            _known(name, PARTS, "part")
        if self.examples is None:
            raise CourseError("a loaded recommender has no examples to train its ranker on; fit one")
        gate = fit_gate(self.examples.of(tuple(name for name in PARTS if name not in parts)))
        return Recommender(self.know, gate, self.people, self.items, self.scenarios, self.subjects, self.examples)

    def rank(self, requests: list[Request], interests=None):
        """(candidates, contributions, scores) of requests: (requests, c), (requests, parts + 1, c) and (requests, c).

        The last contribution is that of `interests`. Seen items have the score -inf.
        """
        boost = self._boost(interests)
        first, above, unseen = drawn(part_scores(self.know, requests), requests, boost)
        weights = self.gate.weights(context_of(requests, len(self.scenarios))) / self.gate.scale
        shares = weights[:, :, None] * above[:, [list(PARTS).index(name) for name in self.gate.parts]]
        shares = np.concatenate([shares, boost[first][:, None]], axis=1)
        return first, shares, np.where(unseen, shares.sum(axis=1), -np.inf)

    def scores(self, requests: list[Request]) -> np.ndarray:
        """A score for every item, shape (requests, items), for `evaluation.target_ranks`; no candidates come last."""
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
        liked = np.full(len(items), float(self.know["mean"])) if strengths is None else np.asarray(strengths, float)
        if liked.shape != items.shape:
            raise CourseError(f"there are {len(liked)} strengths for {len(items)} items; give one each, from 0 to 1")
        when = self.know["event_times"][-1] + 1 if time is None else time
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

    def explain(self, user: int, item: int, scenario=None, reasons: int = 5) -> Explanation:
        """What each part contributes to the score of an item for a user, and which of their items speak for it."""
        if not 1 <= item <= len(self.items):
            raise CourseError(f"item {item} does not exist; items are numbered from 1 to {len(self.items)}")
        request = self._request(user, scenario)
        scores = part_scores(self.know, [request])
        first, _, _ = drawn(scores, [request])
        centre = np.take_along_axis(scores, first[:, None], axis=2).mean(axis=2)
        kept = [list(PARTS).index(name) for name in self.gate.parts]
        above = (scores[0, kept, item - 1] - centre[0, kept]) / self.gate.scale
        weights, usual = self.gate.weights(context_of([request], len(self.scenarios)))[0], np.exp(self.gate.bias)
        columns = {"contribution": weights * above, "weight": weights, "usual weight": usual, "above": above}
        table = pd.DataFrame(columns, index=pd.Index(self.gate.parts, name="part"))
        taken = request.history - 1
        company, text = self.know["neighbours"][taken, item - 1], self.know["text"][taken] @ self.know["text"][item - 1]
        columns = {"item": taken + 1, "title": self.items["title"].iloc[taken], "company": company, "text": text}
        because = pd.DataFrame(columns).assign(both=company + text).nlargest(reasons, "both").drop(columns="both")
        return Explanation(float(table["contribution"].sum()), table, because.reset_index(drop=True))

    def add_item(self, title: str, text: str, subjects: dict[str, float], domain: int = 0, like: int = 10) -> int:
        """Take in an item that nobody took yet; gives its number.

        Its text is read. What the other parts know of the `like` items with the nearest texts is lent to it.
        """
        vector = unit(load_encoder().encode([text], cache=False)[0] - self.know["text_mean"])
        near = np.argsort(-(self.know["text"] @ vector), kind="stable")[:like]
        about = self._by_subject(subjects, 0.0)
        about = about / about.sum()
        content = np.eye(self.know["fusion/contents"].shape[1])[domain][:, None] * about
        self.know = dict(self.know)
        for name in ("neighbours", "chain", "company"):
            rows = np.vstack([self.know[name], self.know[name][near].mean(axis=0)])
            self.know[name] = np.hstack([rows, rows[:, near].mean(axis=1, keepdims=True)])
        new = {"text": vector, "subjects": about, "fusion/contents": content, "liked": 0.0, "counts": 0}
        new["order/item_embedding/embeddings"] = self.know["order/item_embedding/embeddings"][1 + near].mean(axis=0)
        new["fusion/extras"] = self.know["fusion/extras"][near].mean(axis=0)
        for name, row in new.items():
            rows = self.know[name]
            self.know[name] = np.concatenate([rows, np.asarray(row, rows.dtype)[None]])
        self.items = pd.concat([self.items, pd.DataFrame({"title": [title], "text": [text]})], ignore_index=True)
        return len(self.items)

    def save(self, folder: str | Path) -> None:
        """Write all that `recommend` needs into one file, which replaces an older one at once or not at all."""
        people, folder = self.people, Path(folder)
        arrays = {f"know/{name}": array for name, array in self.know.items()}
        arrays |= {f"gate/{name}": getattr(self.gate, name) for name in GATE}
        arrays["people/lengths"] = np.array([len(person.history) for person in people])
        for name, join in PEOPLE.items():
            arrays[f"people/{name}"] = join([getattr(person, name) for person in people])
        card = {
            "kind": KIND,
            "version": VERSION,
            "checksum": _checksum(arrays),
            "parts": self.gate.parts,
            "scenarios": self.scenarios,
            "subjects": self.subjects,
            "items": self.items[["title", "text"]].to_dict("list"),
        }
        scratch = folder / f"{FILE}.{os.getpid()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(scratch, "wb") as file:
                np.savez(file, card=json.dumps(card), **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, folder / FILE)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise CourseError(f"the recommender could not be written to {folder} ({error.strerror})") from error

    @classmethod
    def load(cls, folder: str | Path) -> "Recommender":
        """What `save` wrote. Nothing in the file is run, and a file that is not whole is refused."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise CourseError(f"there is no recommender in {folder}; write one with `save`")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            card = json.loads(str(arrays.pop("card")))
            kind, version = card["kind"], card["version"]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise CourseError(f"{path} is damaged or no recommender; fit one again and `save` it") from error
        if kind != KIND or version > VERSION:
            what = "was written by a newer recsys_helpers; update it" if kind == KIND else "is no recommender"
            raise CourseError(f"{path} {what}, or fit one again and `save` it")
        if card["checksum"] != _checksum(arrays):
            raise CourseError(f"{path} is damaged: its contents do not fit their checksum; fit one again and `save` it")
        gate = Gate(tuple(card["parts"]), *(arrays[f"gate/{name}"] for name in GATE))
        ends = np.cumsum(arrays["people/lengths"])[:-1]
        history, strengths, scenario, time = (arrays[f"people/{name}"] for name in PEOPLE)
        columns = np.split(history, ends), np.split(strengths, ends), scenario.tolist(), time.tolist()
        people = [Request(*person) for person in zip(*columns, strict=True)]
        know = {name.removeprefix("know/"): array for name, array in arrays.items() if name.startswith("know/")}
        return cls(know, gate, people, pd.DataFrame(card["items"]), card["scenarios"], card["subjects"])

    def _request(self, user: int, scenario: str | None = None, time: float | None = None) -> Request:
        if not (isinstance(user, int | np.integer) and 0 <= user < len(self.people)):
            raise CourseError(f"user {user!r} does not exist; users are numbered from 0 to {len(self.people) - 1}")
        last = self.people[user]
        where = last.scenario if scenario is None else self._scenario(scenario)
        when = last.time if time is None else float(time)
        return Request(last.history, last.strengths, where, when, max(0.0, when - last.time))

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
        return self.know["subjects"] @ np.log(np.maximum(self._by_subject(interests, 1.0), 1e-6))

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
    near = difflib.get_close_matches(str(name), names, n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}"
    raise CourseError(f"{what} {name!r} does not exist; {meant}")


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
