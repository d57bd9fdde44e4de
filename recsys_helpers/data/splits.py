"""Splits that respect time: what a model may know, and what it has to predict."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

PADDING = 0


@dataclass(frozen=True)
class NextItemSplit:
    """Leave one out in time: of each user the last item is the test, the one before it the validation.

    Items are numbered 1..n_items in the order of the catalogue; 0 is padding. Users are in the order of `user_ids`.

    Attributes:
        user_ids: keys of the users, shape (n_users,).
        item_ids: keys of the items, shape (n_items,); item number i has the key `item_ids[i - 1]`.
        sequences: one integer array a user, oldest item first, validation and test item included.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    sequences: list[np.ndarray]

    @property
    def n_users(self) -> int:
        return len(self.sequences)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    def history(self, part: str = "test") -> list[np.ndarray]:
        """What a model may know when it predicts the target of `part`: all earlier items of each user."""
        return [sequence[: target_position(part)] for sequence in self.sequences]

    def target(self, part: str = "test") -> np.ndarray:
        """The item number that each user really took next, shape (n_users,)."""
        return np.array([sequence[target_position(part)] for sequence in self.sequences])


def target_position(part: str) -> int:
    """Where the target of a part stands, counted from the end; ValueError for a part that does not exist."""
    positions = {"test": -1, "validation": -2}
    if part not in positions:
        raise ValueError(f"part is {part!r}; it has to be one of {', '.join(positions)}")
    return positions[part]


def leave_one_out(
    ratings: pd.DataFrame, item_ids, item: str = "film_id", file_order_breaks_ties: bool = True
) -> NextItemSplit:
    """Split ratings into next-item sequences, in time order.

    Args:
        ratings: columns `user_id`, `time` and `item`, in file order.
        item_ids: the whole catalogue; items that nobody rated are candidates too.
        item: the column that holds the item's key.
        file_order_breaks_ties: equal times keep the order of the file; otherwise the smaller item key comes first.

    Users with fewer than three items cannot give a history, a validation and a test item, and are left out.
    """
    catalogue = pd.Index(item_ids)
    by = ["user_id", "time"] if file_order_breaks_ties else ["user_id", "time", item]
    ordered = ratings.sort_values(by, kind="stable")
    numbers = catalogue.get_indexer(ordered[item]) + 1
    if (numbers == 0).any():
        raise ValueError(f"{(numbers == 0).sum()} ratings name a {item} that is not in item_ids")
    users, first = np.unique(ordered["user_id"].to_numpy(), return_index=True)
    sequences = np.split(numbers, first[1:])
    kept = [len(sequence) >= 3 for sequence in sequences]
    return NextItemSplit(
        users[kept], catalogue.to_numpy(), [s for s, keep in zip(sequences, kept, strict=True) if keep]
    )


def pad_right(sequences: list[np.ndarray], length: int) -> np.ndarray:
    """Stack the last `length` items of each sequence, padded with 0 on the right; shape (n, length).

    Padding stands on the right because the fast recurrent kernels of GPUs accept no other side.
    """
    padded = np.full((len(sequences), length), PADDING, dtype="int32")
    for row, sequence in zip(padded, sequences, strict=True):
        recent = sequence[-length:]
        row[: len(recent)] = recent
    return padded
