"""Stage 2 of the capstone: a gate looks at the request and weighs the parts, as lesson 06 weighs experts."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from recsys_helpers.models.base import Request
from recsys_helpers.recommender.retrieval import candidates

GATE = ("scale", "bias", "keys", "mean", "spread")


@dataclass(frozen=True)
class Gate:
    """Attention over the parts: the context of a request is the query, each part has a key, no part weighs below 0.

    weights = exp(bias + keys . context): a softmax over the parts times how sharp the list is to be.

    Attributes:
        parts: names. scale: usual spread of each part's scores among the candidates, shape (parts,).
        bias: log weight of each part in a usual context, shape (parts,). keys: shape (parts, context).
        mean, spread: of the contexts that the gate was trained on, shape (context,).
    """

    parts: tuple[str, ...]
    scale: np.ndarray
    bias: np.ndarray
    keys: np.ndarray
    mean: np.ndarray
    spread: np.ndarray

    def weights(self, context: np.ndarray) -> np.ndarray:
        """(requests, context) -> (requests, parts); what is outside the contexts of the training counts as its edge."""
        return np.exp(self.bias + np.clip((context - self.mean) / self.spread, -2, 2) @ self.keys.T)


def context_of(requests: list[Request], scenarios: int) -> np.ndarray:
    """Log length of the history, log minutes since the last event, the scenario; shape (requests, 2 + scenarios)."""
    numbers = [[np.log1p(len(r.history)), np.log1p(max(r.gap, 0) / 60)] for r in requests]
    return np.c_[numbers, np.eye(scenarios)[[r.scenario for r in requests]]]


@dataclass(frozen=True)
class Examples:
    """What the ranker learns from: candidates' scores (requests, parts, candidates), contexts, and targets.

    `place` is where the target stands among the candidates, -1 where it is not; `open` is False for seen items.
    """

    parts: tuple[str, ...]
    scores: np.ndarray
    context: np.ndarray
    place: np.ndarray
    open: np.ndarray

    def of(self, parts: tuple[str, ...], rows=slice(None)) -> "Examples":
        """These parts, and these requests, only."""
        scores = self.scores[rows][:, [self.parts.index(name) for name in parts]]
        return Examples(parts, scores, self.context[rows], self.place[rows], self.open[rows])

    def ranks(self, gate: Gate) -> np.ndarray:
        """Rank of each target, tied candidates in the middle; infinite where it is no candidate."""
        scores = np.einsum("rpc,rp->rc", self.scores / gate.scale[:, None], gate.weights(self.context))
        scores = np.where(self.open, scores, -np.inf)
        target = np.take_along_axis(scores, np.maximum(self.place, 0)[:, None], axis=1)
        ranks = 1 + (scores > target).sum(axis=1) + ((scores == target).sum(axis=1) - 1) / 2
        return np.where(self.place >= 0, ranks, np.inf)


def candidate_features(scores: np.ndarray, requests: list[Request], boost: float | np.ndarray = 0.0):
    """(candidates, above, unseen): how far each part puts them above their mean, and which the user has not taken.

    Args:
        scores: of the parts, shape (requests, parts, items); the first two draw the candidates.
        boost: one number an item, which helps to be drawn.

    Returns:
        Shapes (requests, c), (requests, parts, c) and (requests, c).
    """
    first = candidates(scores[:, 0] + boost, scores[:, 1], requests)
    above = np.take_along_axis(scores, first[:, None], axis=2)
    unseen = np.stack([~np.isin(items, r.history - 1) for items, r in zip(first, requests, strict=True)])
    return first, above - above.mean(axis=2, keepdims=True), unseen


def examples_of(
    parts: tuple[str, ...], scores: np.ndarray, requests: list[Request], targets: np.ndarray, scenarios: int
) -> Examples:
    """Stage 1 for requests whose answer is known; `scores` have the shape (requests, parts, items)."""
    first, above, unseen = candidate_features(scores, requests)
    found = first == targets[:, None] - 1
    place = np.where(found.any(axis=1), found.argmax(axis=1), -1)
    return Examples(parts, above, context_of(requests, scenarios), place, unseen)


def fit_gate(examples: Examples, shrink: float = 100.0) -> Gate:
    """The gate that makes the targets likeliest: softmax cross-entropy over the candidates.

    `shrink` is the L2 penalty on the keys. It is high because there are about a thousand requests to learn from.
    """
    found = examples.place >= 0
    mean, spread = examples.context.mean(axis=0), np.ones(examples.context.shape[1])
    spread[:2] = examples.context[:, :2].std(axis=0) + 1e-6
    scale = np.sqrt((examples.scores**2).mean(axis=(0, 2), dtype="float64")) + 1e-6
    scores = (examples.scores[found] / scale[:, None]).astype("float32")
    query, place, opened = (examples.context[found] - mean) / spread, examples.place[found], examples.open[found]
    query, rows, parts = np.clip(query, -2, 2), np.arange(found.sum()), len(scale)

    def loss(values):
        bias, keys = values[:parts], values[parts:].reshape(parts, -1)
        weights = np.exp(bias + query @ keys.T)
        total = np.matmul(weights[:, None].astype("float32"), scores)[:, 0]
        chances = log_softmax(np.where(opened, total, -np.inf).astype("float64"), axis=1)
        lost = -chances[rows, place].sum() + shrink * (keys**2).sum()
        wrong = np.exp(chances)
        wrong[rows, place] -= 1
        slope = weights * np.matmul(scores, wrong[:, :, None].astype("float32"))[:, :, 0]
        slopes = np.r_[slope.sum(axis=0), (slope.T @ query + 2 * shrink * keys).ravel()]
        return lost / len(rows), slopes / len(rows)

    start = np.r_[np.full(parts, -2.0), np.zeros(parts * query.shape[1])]
    bounds = [(-7, 3)] * parts + [(-3, 3)] * (parts * query.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Gate(examples.parts, scale, found[:parts], found[parts:].reshape(parts, -1), mean, spread)


def cross_validated(examples: Examples, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Ranks of the targets under gates that did not learn from them, shape (requests,)."""
    parts, ranks = examples.parts, np.empty(len(examples.place))
    fold = np.random.default_rng(seed).permutation(len(ranks)) % folds
    for number in range(folds):
        gate = fit_gate(examples.of(parts, fold != number))
        ranks[fold == number] = examples.of(parts, fold == number).ranks(gate)
    return ranks
