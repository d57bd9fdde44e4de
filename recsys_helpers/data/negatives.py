"""Negatives: items that a user has not taken, drawn for each item that she has."""

import numpy as np


def draw_negatives(taken: np.ndarray, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An item for each pair, drawn evenly from all that the pair's user has not taken; shape (pairs,).

    A user who has taken every item has no negatives: her pairs get -1, and a model has to leave them out.

    Args:
        taken: shape (n_users, n_items), true where the user has taken the item.
        users: the row in `taken` of each pair's user, shape (pairs,).
        rng: the draws; the same state gives the same items.
    """
    n_items = taken.shape[1]
    drawn = rng.integers(0, n_items, len(users))
    nothing_left = taken.all(axis=1)[users]
    again = np.flatnonzero(taken[users, drawn] & ~nothing_left)
    while len(again):
        drawn[again] = rng.integers(0, n_items, len(again))
        again = again[taken[users[again], drawn[again]]]
    drawn[nothing_left] = -1
    return drawn
