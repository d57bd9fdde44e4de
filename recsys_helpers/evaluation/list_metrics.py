"""Metrics of recommended lists: how many relevant items stand how high, and what lies beyond accuracy.

A list is a row of item numbers, best first. Figures come one a user, so that `bootstrap_interval` can follow; those
of a whole catalogue (`coverage`, `gini`) are one number.
"""

import numpy as np
import pandas as pd


def top_items(scores: np.ndarray, history: list[np.ndarray], k: int = 10) -> np.ndarray:
    """The k best items that each user has not seen, best first; shape (n_users, k), column j of `scores` is item j + 1.

    Equal scores keep the order of the catalogue: a list, unlike a rank, has to decide.
    """
    scores = np.array(scores, dtype="float64")
    users = np.repeat(np.arange(len(scores)), [len(items) for items in history])
    scores[users, np.concatenate(history) - 1] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k] + 1


def hits(lists: np.ndarray, relevant: list[np.ndarray]) -> np.ndarray:
    """1.0 where a place of the list holds an item that is relevant to the user, shape (n_users, k)."""
    return np.stack([np.isin(row, items) for row, items in zip(lists, relevant, strict=True)]).astype("float64")


def hit_rate(hits: np.ndarray) -> np.ndarray:
    """1.0 for each user whose list holds anything relevant."""
    return hits.max(axis=1)


def precision(hits: np.ndarray) -> np.ndarray:
    """Share of each list that was relevant."""
    return hits.mean(axis=1)


def recall(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Share of the relevant items that the list holds; `relevant` is how many there are, shape (n_users,)."""
    return hits.sum(axis=1) / relevant


def reciprocal_rank(hits: np.ndarray) -> np.ndarray:
    """1 / place of the first relevant item, 0 where the list holds none."""
    return (hits / np.arange(1, hits.shape[1] + 1)).max(axis=1)


def average_precision(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Mean, over the relevant items that a list of this length can hold, of the precision down to each of them."""
    places = np.arange(1, hits.shape[1] + 1)
    return (hits * np.cumsum(hits, axis=1) / places).sum(axis=1) / np.minimum(relevant, hits.shape[1])


def ndcg(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Wanted items, each discounted by 1 / log2(1 + place), as a share of the best list of this length.

    Source: Järvelin and Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques, ACM TOIS 2002.
    """
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    best = np.cumsum(discount)[np.minimum(relevant, hits.shape[1]).astype(int) - 1]
    return hits @ discount / best


def by_user(hits: np.ndarray, relevant: np.ndarray) -> pd.DataFrame:
    """Every metric above, one column each, one row a user."""
    columns = {"hit rate": hit_rate(hits), "precision": precision(hits), "recall": recall(hits, relevant)}
    columns |= {"MRR": reciprocal_rank(hits), "MAP": average_precision(hits, relevant), "NDCG": ndcg(hits, relevant)}
    return pd.DataFrame(columns)


def coverage(lists: np.ndarray, n_items: int) -> float:
    """Share of the catalogue that stands in at least one list."""
    return len(np.unique(lists)) / n_items


def gini(lists: np.ndarray, n_items: int) -> float:
    """How unevenly the lists spread over the catalogue: 0 if each item is shown as often, near 1 if few items are all.

    Twice the area between the Lorenz curve of the counts and the diagonal, as Gini 1912 defined it for incomes.
    """
    counts = np.sort(np.bincount(lists.ravel(), minlength=n_items + 1)[1:])
    return float(((2 * np.arange(1, n_items + 1) - n_items - 1) * counts).sum() / (n_items * counts.sum()))


def novelty(lists: np.ndarray, share_of_users: np.ndarray) -> np.ndarray:
    """Mean self-information of each list in bits: -log2 of the share of users who took the item, shape (n_users,).

    Source: Vargas and Castells, Rank and Relevance in Novelty and Diversity Metrics, RecSys 2011.
    """
    return -np.log2(share_of_users[lists - 1]).mean(axis=1)


def diversity(lists: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """1 minus the mean cosine of all pairs within each list, shape (n_users,); `vectors` (n_items, n) has no zero row.

    Source: Ziegler et al., Improving Recommendation Lists Through Topic Diversification, WWW 2005.
    """
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True))[lists - 1]
    k = lists.shape[1]
    return 1 - ((unit.sum(axis=1) ** 2).sum(axis=1) - k) / (k * (k - 1))


def serendipity(lists: np.ndarray, hits: np.ndarray, obvious: np.ndarray) -> np.ndarray:
    """Share of each list that was relevant and that the obvious list, such as the popular items, lacks.

    Source: Ge, Delgado-Battenfeld and Jannach, Beyond Accuracy, RecSys 2010.
    """
    surprising = ~np.stack([np.isin(row, plain) for row, plain in zip(lists, obvious, strict=True)])
    return (hits * surprising).mean(axis=1)
