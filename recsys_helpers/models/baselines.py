"""The baselines that every model of the course stands beside: they count, or solve one system of equations.

The functions `popularity`, `item_knn`, `markov_chain` and `recent_neighbours` fit a model to histories and ask it about
the same.
"""

from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.splits import NextItemSplit
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.ranks import target_ranks
from recsys_helpers.models.base import Model, NewItem, Request, histories_of, register, require_memory, with_row


def interaction_matrix(histories: list[np.ndarray], n_items: int) -> sparse.csr_matrix:
    """One row a user, one column an item, 1 where the user took the item; shape (n_users, n_items)."""
    users = np.repeat(np.arange(len(histories)), [len(items) for items in histories])
    items = np.concatenate(histories) - 1
    return sparse.csr_matrix((np.ones(len(items)), (users, items)), shape=(len(histories), n_items))


def item_similarity(
    histories: list[np.ndarray], n_items: int, neighbours: int = 100, keep: str = "candidate"
) -> np.ndarray:
    """Cosine between the columns of the interaction matrix, only strong neighbours kept; shape (n_items, n_items).

    Entry (i, j) is how much a history with item i + 1 speaks for item j + 1. The diagonal is 0.

    Args:
        neighbours: how many neighbours to keep; all of them where there are fewer items.
        keep: "candidate" keeps, for each item to be scored, the history items that speak most for it; "history" keeps,
            for each item of a history, the candidates that it speaks most for.

    Source: Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms, WWW 2001.
    """
    axis = {"candidate": 0, "history": 1}[keep]
    _require_square("item similarity", n_items, tables=5)
    taken = interaction_matrix(histories, n_items)
    together = (taken.T @ taken).toarray()
    norm = np.sqrt(together.diagonal())
    cosine = together / np.maximum(np.outer(norm, norm), 1e-12)
    np.fill_diagonal(cosine, 0)
    last = min(neighbours, n_items) - 1
    weakest_kept = -np.partition(-cosine, last, axis=axis).take([last], axis=axis)
    return np.where(cosine >= weakest_kept, cosine, 0)


def _require_square(what: str, n_items: int, tables: int) -> None:
    """So many tables of items by items stand side by side at the peak."""
    require_memory(what, tables * n_items**2, f"{n_items:,} items by items")


def fading_sum(histories: list[np.ndarray], rows: np.ndarray, last: int | None, decay: float) -> np.ndarray:
    """Sum of the rows of each user's last items, the k-th last weighing decay^(k - 1); shape (n_users, columns).

    Args:
        rows: one row an item. last: how many items; None takes the whole history.
    """
    recent = [items[-last:][::-1] - 1 if last else items[::-1] - 1 for items in histories]
    return np.stack([decay ** np.arange(len(items), dtype=rows.dtype) @ rows[items] for items in recent])


class HistoryModel(Model):
    """A model that reads histories only: not when, where and how much something was liked."""

    def fit(self, log: EventLog, part: str = "test") -> Self:
        return self.learn(log.split.history(part), log.split.n_items)

    def scores(self, requests: list[Request]) -> np.ndarray:
        return self.after(histories_of(requests))

    def learn(self, histories: list[np.ndarray], n_items: int) -> Self:
        """`fit` from histories, one array of item numbers a user."""
        raise NotImplementedError

    def after(self, histories: list[np.ndarray]) -> np.ndarray:
        """`scores` after histories, shape (n_users, n_items)."""
        raise NotImplementedError


@register
class Popularity(HistoryModel):
    """The logarithm of 1 + the number of users who took the item; the same for everybody."""

    name, learned = "popularity", {"counts_": "count items"}

    def learn(self, histories, n_items):
        self.counts_ = np.bincount(np.concatenate(histories), minlength=n_items + 1)[1:]
        return self

    def after(self, histories):
        return np.tile(np.log1p(self.counts_), (len(histories), 1))

    def with_item(self, item: NewItem) -> Self:
        return self._with(counts_=np.append(self.counts_, 0))


@register
class ItemKNN(HistoryModel):
    """Summed similarity to what the user took.

    Args:
        neighbours, keep: as in `item_similarity`.

    Source: Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms, WWW 2001.
    """

    name, learned = "item-kNN", {"similarity_": "number items items"}

    def __init__(self, neighbours: int = 100, keep: str = "candidate"):
        self.neighbours, self.keep = neighbours, keep

    def learn(self, histories, n_items):
        self.similarity_ = item_similarity(histories, n_items, self.neighbours, self.keep)
        return self

    def after(self, histories):
        return interaction_matrix(histories, len(self.similarity_)) @ self.similarity_


@register
class MarkovChain(HistoryModel):
    """P(item | the user's last item), a first-order Markov chain; what is usual for who has no item.

    Args:
        smoothing: so many made-up pairs, which follow popularity, stand beside the counted pairs of neighbours.
    """

    name, learned = "Markov chain", {"counts_": "count items items", "usual_": "count items"}

    def __init__(self, smoothing: float = 10):
        self.smoothing = smoothing

    def learn(self, histories, n_items):
        before = np.concatenate([items[:-1] for items in histories]) - 1
        after = np.concatenate([items[1:] for items in histories]) - 1
        pairs = sparse.csr_matrix((np.ones(len(before)), (before, after)), shape=(n_items, n_items))
        _require_square(self.name, n_items, tables=1)
        self.counts_ = pairs.toarray()
        self.usual_ = popularity(histories, n_items)[0] / sum(map(len, histories))
        return self

    def after(self, histories):
        last = np.stack([self.counts_[items[-1] - 1] if len(items) else 0 * self.usual_ for items in histories])
        return (last + self.smoothing * self.usual_) / (last.sum(axis=1, keepdims=True) + self.smoothing)


class ItemToItem(HistoryModel):
    """A matrix that says how much an item of the history speaks for another, summed over the last items, fading.

    Args:
        last: how many items of the history count; None for all.
        decay: the k-th last weighs decay^(k - 1).
    """

    learned: ClassVar = {"weights_": "number items items"}

    def __init__(self, last: int | None, decay: float):
        self.last, self.decay = last, decay

    def after(self, histories):
        return fading_sum(histories, self.weights_, self.last, self.decay)

    def with_item(self, item: NewItem) -> Self:
        """It speaks, and is spoken for, as the items with the nearest texts do on average."""
        rows = with_row(self.weights_, self.weights_[item.near].mean(axis=0))
        return self._with(weights_=np.hstack([rows, rows[:, item.near].mean(axis=1, keepdims=True)]))


@register
class RecentNeighbours(ItemToItem):
    """Similarity to the user's last items, the newer ones weighing more."""

    name = "recent neighbours"

    def __init__(self, last: int = 10, decay: float = 0.6):
        super().__init__(last, decay)

    def learn(self, histories, n_items):
        self.weights_ = item_similarity(histories, n_items, neighbours=n_items).astype("float32")
        return self


@register
class EASE(ItemToItem):
    """Ridge regression from each history to itself, an item never explaining itself.

    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
    """

    name = "EASE"

    def __init__(self, ridge: float = 200.0):
        super().__init__(last=None, decay=1.0)
        self.ridge = ridge

    def learn(self, histories, n_items):
        _require_square(self.name, n_items, tables=4)
        taken = interaction_matrix(histories, n_items)
        inverse = np.linalg.inv((taken.T @ taken).toarray() + self.ridge * np.eye(n_items))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        self.weights_, self.parameters_ = weights.astype("float32"), weights.size - n_items
        return self


@register
class SLIT(ItemToItem):
    """Ridge regression from the fading past of each event to its fading future: a Markov chain with a longer memory.

    It is the transition half of SLIST, with whole histories as sessions.

    Source: Choi et al., Session-aware Linear Item-Item Models for Session-based Recommendation, WWW 2021.
    """

    name = "SLIT"

    def __init__(self, last: int = 15, decay: float = 0.8, ridge: float = 100.0):
        super().__init__(last, decay)
        self.ridge = ridge

    def learn(self, histories, n_items):
        _require_square(self.name, n_items, tables=5)
        taken = interaction_matrix([items for items in np.concatenate(histories)[:, None]], n_items)
        near = self._nearby(histories)
        past, future = near @ taken, taken + self.decay * (near.T @ taken)
        inner, outer = (past.T @ past).toarray() + self.ridge * np.eye(n_items), (past.T @ future).toarray()
        self.weights_ = np.linalg.solve(inner, outer).astype("float32")
        self.parameters_ = self.weights_.size
        return self

    def _nearby(self, histories: list[np.ndarray]) -> sparse.spmatrix:
        """For each event of all histories the `last` before it, the k-th weighing decay^(k-1); (events, events)."""
        owner = np.repeat(np.arange(len(histories)), [len(items) for items in histories])
        steps = range(1, min(self.last, len(owner) - 1) + 1)
        bands = [self.decay ** (k - 1) * (owner[k:] == owner[:-k]) for k in steps]
        return sparse.diags(bands, [-k for k in steps], shape=(len(owner), len(owner)), format="csr")


@register
class Recency(Model):
    """How much more often than usual an item was taken in the time before the request, as a logarithm.

    Args:
        days: how long that time is. damping: so many made-up events, which follow popularity, stand beside the real.
    """

    name, learned = "recency", {"counts_": "count items", "items_": "whole events", "times_": "number events"}

    def __init__(self, days: float = 28, damping: float = 50):
        self.days, self.damping = days, damping

    def fit(self, log, part="test"):
        events = log.before(part)
        when = np.argsort(events["time"].to_numpy(), kind="stable")
        self.items_ = events["item"].to_numpy()[when] - 1
        self.times_ = events["time"].to_numpy("float64")[when]
        self.counts_ = np.bincount(self.items_, minlength=log.split.n_items)
        return self

    def check(self, sizes):
        super().check(sizes)
        if (self.items_ >= len(self.counts_)).any() or (np.diff(self.times_) < 0).any():
            raise CourseError(f"the events of {self.name!r} are of items that do not exist, or not in order")

    def scores(self, requests):
        share = (self.counts_ + 1) / (self.counts_ + 1).sum()
        rows = []
        for request in requests:
            first, end = np.searchsorted(self.times_, [request.time - self.days * 86_400, request.time])
            recent = np.bincount(self.items_[first:end], minlength=len(share))
            rows.append(np.log((recent + self.damping * share) / ((end - first + self.damping) * share)))
        return np.stack(rows)

    def with_item(self, item: NewItem) -> Self:
        return self._with(counts_=np.append(self.counts_, 0))


def popularity(histories: list[np.ndarray], n_items: int) -> np.ndarray:
    """The number of users who took each item; the same row for everybody, shape (n_users, n_items)."""
    return np.tile(Popularity().learn(histories, n_items).counts_.astype("float64"), (len(histories), 1))


def item_knn(
    histories: list[np.ndarray], n_items: int, neighbours: int = 100, keep: str = "candidate", learn_from=None
) -> np.ndarray:
    """Scores of `ItemKNN`; shape (n_users, n_items).

    `learn_from` gives other histories to compute the similarity from; the user's own are used by default.
    """
    return ItemKNN(neighbours, keep).learn(learn_from or histories, n_items).after(histories)


def markov_chain(histories: list[np.ndarray], n_items: int, smoothing: float = 10) -> np.ndarray:
    """Scores of `MarkovChain`; shape (n_users, n_items)."""
    return MarkovChain(smoothing).learn(histories, n_items).after(histories)


def recent_neighbours(histories: list[np.ndarray], n_items: int, last: int = 10, decay: float = 0.6) -> np.ndarray:
    """Scores of `RecentNeighbours`; shape (n_users, n_items)."""
    return RecentNeighbours(last, decay).learn(histories, n_items).after(histories)


def baseline_ranks(split: NextItemSplit, part: str = "test") -> dict[str, np.ndarray]:
    """Ranks of the targets under popularity and item-kNN, each of shape (n_users,): the first rows of every table."""
    history, target = split.history(part), split.target(part)
    models = {"popularity": popularity, "item-kNN": item_knn}
    return {name: target_ranks(model(history, split.n_items), history, target) for name, model in models.items()}
