"""Ranking metrics over the whole catalogue.

The protocol of the course ("leave one out, full ranking"): every item the user has not seen is a candidate;
seen items are masked; the rank of the target counts the candidates with a higher score and half of those with the
same score.
"""

import numpy as np

PROTOCOL = "leave one out in time, full ranking of unseen items"


def target_ranks(scores: np.ndarray, history: list[np.ndarray], target: np.ndarray, ties: str = "middle") -> np.ndarray:
    """Rank of each user's target among the items the user has not seen, 1 is best; shape (n_users,).

    Args:
        scores: shape (n_users, n_items); column j is item number j + 1. Higher is better.
        history: item numbers each user has seen; they are no candidates.
        target: item number each user took next, shape (n_users,).
        ties: where a target stands among items of the same score: "middle", "best" or "worst".

    Raises:
        ValueError: on scores that are not finite, since they would rank silently wrong.
    """
    share = {"best": 0.0, "middle": 0.5, "worst": 1.0}[ties]
    scores = np.array(scores, dtype="float64")
    if not np.isfinite(scores).all():
        raise ValueError("some scores are NaN or infinite; a model that diverged cannot be ranked")
    users = np.repeat(np.arange(len(scores)), [len(items) for items in history])
    of_target = scores[np.arange(len(scores)), target - 1]
    scores[users, np.concatenate(history) - 1] = -np.inf
    scores[np.arange(len(scores)), target - 1] = of_target  # a target seen before stays a candidate
    higher = (scores > of_target[:, None]).sum(axis=1)
    equal = (scores == of_target[:, None]).sum(axis=1) - 1
    return 1 + higher + share * equal


def sampled_ranks(
    scores: np.ndarray, history: list[np.ndarray], target: np.ndarray, negatives: int, rng: np.random.Generator
) -> np.ndarray:
    """Rank of each target among itself and so many unseen items drawn at random, shape (n_users,); ties in the middle.

    For lesson 07, which shows what is wrong with it. The other arguments are those of `target_ranks`.

    Source: Krichene and Rendle, On Sampled Metrics for Item Recommendation, KDD 2020.
    """
    scores, one = np.asarray(scores, dtype="float64"), np.arange(len(target))
    draw = rng.random(scores.shape)
    draw[np.repeat(one, [len(items) for items in history]), np.concatenate(history) - 1] = 2  # never drawn
    draw[one, target - 1] = 2
    drawn = np.take_along_axis(scores, np.argpartition(draw, negatives, axis=1)[:, :negatives], axis=1)
    of_target = scores[one, target - 1][:, None]
    return 1 + (drawn > of_target).sum(axis=1) + (drawn == of_target).sum(axis=1) / 2


def hit(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """1.0 where the target is among the first k, else 0.0; its mean over users is the hit rate HR@k."""
    return (np.asarray(ranks) <= k).astype("float64")


def ndcg(ranks: np.ndarray, k: int = 10) -> np.ndarray:
    """Normalised discounted cumulative gain with one relevant item: 1 / log2(1 + rank) within the first k, else 0."""
    ranks = np.asarray(ranks, dtype="float64")
    return np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)
