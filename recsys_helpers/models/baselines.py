"""The baselines that every model of the course stands beside."""

import numpy as np
from scipy import sparse

from recsys_helpers.data.splits import NextItemSplit
from recsys_helpers.evaluation.ranks import target_ranks


def interaction_matrix(histories: list[np.ndarray], n_items: int) -> sparse.csr_matrix:
    """One row a user, one column an item, 1 where the user took the item; shape (n_users, n_items)."""
    users = np.repeat(np.arange(len(histories)), [len(items) for items in histories])
    items = np.concatenate(histories) - 1
    return sparse.csr_matrix((np.ones(len(items)), (users, items)), shape=(len(histories), n_items))


def popularity(histories: list[np.ndarray], n_items: int) -> np.ndarray:
    """Score each item by the number of users who took it; the same row for everybody, shape (n_users, n_items)."""
    counts = np.bincount(np.concatenate(histories), minlength=n_items + 1)[1:]
    return np.tile(counts.astype("float64"), (len(histories), 1))


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
    taken = interaction_matrix(histories, n_items)
    together = (taken.T @ taken).toarray()
    norm = np.sqrt(together.diagonal())
    cosine = together / np.maximum(np.outer(norm, norm), 1e-12)
    np.fill_diagonal(cosine, 0)
    last = min(neighbours, n_items) - 1
    weakest_kept = -np.partition(-cosine, last, axis=axis).take([last], axis=axis)
    return np.where(cosine >= weakest_kept, cosine, 0)


def item_knn(
    histories: list[np.ndarray], n_items: int, neighbours: int = 100, keep: str = "candidate", learn_from=None
) -> np.ndarray:
    """Score each item by its summed similarity to what the user took; shape (n_users, n_items).

    `learn_from` gives other histories to compute the similarity from; the user's own are used by default.
    """
    similarity = item_similarity(learn_from or histories, n_items, neighbours, keep)
    return interaction_matrix(histories, n_items) @ similarity


def markov_chain(histories: list[np.ndarray], n_items: int, smoothing: float = 10) -> np.ndarray:
    """Score each item by P(it | the user's last item), a first-order Markov chain; shape (n_users, n_items).

    Counts of pairs of neighbours, plus `smoothing` made-up pairs that follow popularity.
    """
    before = np.concatenate([items[:-1] for items in histories]) - 1
    after = np.concatenate([items[1:] for items in histories]) - 1
    counts = sparse.csr_matrix((np.ones(len(before)), (before, after)), shape=(n_items, n_items))
    usual = popularity(histories, n_items)[0] / sum(map(len, histories))
    last = counts[[items[-1] - 1 for items in histories]].toarray()
    return (last + smoothing * usual) / (last.sum(axis=1, keepdims=True) + smoothing)


def recent_neighbours(histories: list[np.ndarray], n_items: int, last: int = 10, fade: float = 0.6) -> np.ndarray:
    """Score each item by its similarity to the user's last items, the k-th last weighing fade^k; (n_users, n_items)."""
    similarity = item_similarity(histories, n_items, neighbours=n_items)
    recent = [items[-last:][::-1] - 1 for items in histories]
    return np.stack([fade ** np.arange(len(items)) @ similarity[items] for items in recent])


def baseline_ranks(split: NextItemSplit, part: str = "test") -> dict[str, np.ndarray]:
    """Ranks of the targets under popularity and item-kNN, each of shape (n_users,): the first rows of every table."""
    history, target = split.history(part), split.target(part)
    models = {"popularity": popularity, "item-kNN": item_knn}
    return {name: target_ranks(model(history, split.n_items), history, target) for name, model in models.items()}
