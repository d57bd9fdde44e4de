"""Strength of interest: a number per user and item, from biases to two towers, and how far it can be trusted.

Users and items are row numbers here: user 1 of the data is row 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit

from recsys_helpers.training.backend import keras


@dataclass(frozen=True)
class Biases:
    """Strength without taste: the mean, how generous the user is, how well the item is liked (all in stars)."""

    mean: float
    user: np.ndarray
    item: np.ndarray

    def __call__(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The expected ratings of pairs, shape (pairs,)."""
        return self.mean + self.user[users] + self.item[items]


def fit_biases(
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    shape: tuple[int, int],
    damping: tuple[float, float] = (15.0, 10.0),
    rounds: int = 10,
) -> Biases:
    """Damped means of what is left over, of users and of items in turn.

    Args:
        users, items, ratings: one entry a rating, shape (ratings,).
        shape: how many users and items there are; who has no rating gets a bias of 0.
        damping: of users and of items: so many made-up ratings without any bias stand beside the real ones.

    Source: Koren, Factor in the Neighbors, ACM TKDD 2010, section 2.1.
    """
    mean, user, item = float(ratings.mean()), np.zeros(shape[0]), np.zeros(shape[1])
    for _ in range(rounds):
        item = damped_mean(items, ratings - mean - user[users], shape[1], damping[1])
        user = damped_mean(users, ratings - mean - item[items], shape[0], damping[0])
    return Biases(mean, user, item)


def damped_mean(groups: np.ndarray, values: np.ndarray, n_groups: int, damping: float) -> np.ndarray:
    """Sum of the values of each group, divided by their number plus `damping`; shape (n_groups,)."""
    return np.bincount(groups, values, n_groups) / (np.bincount(groups, minlength=n_groups) + damping)


class Tower(keras.layers.Layer):
    """One tower: everything known of a user (or of an item) becomes a vector and a bias.

    Called with (ids, partners), each (batch,): gives vectors (batch, width) and biases (batch, 1). The partner's own
    entry in `known` is hidden, or the tower would read the rating that it has to predict.

    Args:
        known: what each user gave beyond the biases, shape (users, items), 0 where nothing is known; for the other
            tower its transpose.
        features: side features, shape (users, k).
        width: numbers in a vector.

    Source: the rows as input are Xue et al., Deep Matrix Factorization Models, IJCAI 2017; which items were rated
    tells as much as the ratings: Koren, Factorization Meets the Neighborhood, KDD 2008.
    """

    def __init__(self, known: np.ndarray, features: np.ndarray, width: int, dropout: float = 0.3):
        super().__init__()
        self.known = keras.ops.convert_to_tensor(known.astype("float32"))
        self.features = keras.ops.convert_to_tensor(features.astype("float32"))
        self.vector = keras.layers.Dense(
            width,
            use_bias=False,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            activity_regularizer=keras.regularizers.L2(1e-3),
        )
        self.bias = keras.layers.Dense(1, kernel_initializer="zeros")
        self.dropout = keras.layers.Dropout(dropout)

    def call(self, ids, partners, training=None):
        ops = keras.ops
        ratings = ops.take(self.known, ids, axis=0) * (1 - ops.one_hot(partners, self.known.shape[1]))
        rated = ops.cast(ratings != 0, "float32")
        scale = ops.rsqrt(1 + ops.sum(rated, axis=1, keepdims=True))  # or who rated much would weigh too much
        features = ops.take(self.features, ids, axis=0)
        vectors = self.vector(ops.concatenate([ratings * scale, rated * scale, features], axis=1))
        return self.dropout(vectors, training=training), self.bias(features)


def two_towers(known: np.ndarray, user_features: np.ndarray, item_features: np.ndarray, width: int = 32) -> keras.Model:
    """(users, items, base), each (batch,) -> strength (batch,): base + biases + user vector . item vector.

    `base` is what is expected without the towers, such as `Biases`; `known` is (users, items), as in `Tower`.
    """
    users, items = (keras.Input((), dtype="int32", name=name) for name in ("users", "items"))
    base = keras.Input((), name="base")
    user, user_bias = Tower(known, user_features, width)(users, items)
    item, item_bias = Tower(known.T, item_features, width)(items, users)
    score = base + keras.ops.sum(user * item, axis=1) + (user_bias + item_bias)[:, 0]
    return keras.Model([users, items, base], score, name="two_towers")


def predict(model: keras.Model, inputs: list[np.ndarray], batch_size: int = 4096) -> np.ndarray:
    """What the model says of each row of the inputs, in batches, since a tower's row is thousands of numbers wide."""
    starts = range(0, len(inputs[0]), batch_size)
    batches = ([x[start : start + batch_size] for x in inputs] for start in starts)
    return np.concatenate([keras.ops.convert_to_numpy(model(batch, training=False)) for batch in batches])


def in_batch_loss(log_sampling: np.ndarray | None = None) -> Callable:
    """Softmax over the items of the batch, for scores (batch, batch) of each user with each other user's item.

    Args:
        log_sampling: log of the probability that an item stands in a batch, shape (n_items,). It is taken off the
            scores, or items that are often in the batch would be pushed down for it. None leaves them as they are.

    Source: Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019.
    """

    def loss(items, scores):
        ops = keras.ops
        items = ops.cast(ops.reshape(items, (-1,)), "int32")
        if log_sampling is not None:
            scores = scores - ops.take(ops.convert_to_tensor(log_sampling.astype("float32")), items)[None, :]
        own = ops.eye(ops.shape(items)[0])
        twin = ops.cast(items[None, :] == items[:, None], "float32") - own  # the same item is no negative
        return -ops.mean(ops.sum(own * ops.log_softmax(scores - 1e9 * twin, axis=-1), axis=1))

    return loss


def fading_shares(events: pd.DataFrame, alphas: tuple[float, ...] = (0.3, 0.1, 0.02)) -> np.ndarray:
    """What each user's earlier events were about, and which of these were liked, the newer ones weighing more.

    Args:
        events: columns `user_id`, `interest` (categories) and `liked` (0 or 1), by user and time.
        alphas: how fast a window fades: the event before the last weighs 1 - alpha times as much as the last.

    Returns:
        Shape (events, windows x 2 x interests); row n knows nothing of event n or later, and is 0 at a user's first.
    """
    taken = pd.get_dummies(events["interest"], dtype="float32")
    both = pd.concat([taken, taken.mul(events["liked"], axis=0).add_suffix(", liked")], axis=1)
    means = [both.groupby(events["user_id"]).ewm(alpha=alpha).mean() for alpha in alphas]
    return np.hstack([window.groupby(level=0).shift().fillna(0).to_numpy("float32") for window in means])


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Predicted against observed: one row for each of `bins` equal intervals of probability that is not empty.

    Columns: `predicted` (mean probability), `observed` (share of labels 1), `share` (of all predictions).
    """
    probabilities, labels = np.asarray(probabilities, "float64"), np.asarray(labels, "float64")
    place = np.minimum((probabilities * bins).astype(int), bins - 1)  # probability 1 belongs to the last bin
    table = pd.DataFrame({"predicted": probabilities, "observed": labels}).groupby(place).mean()
    return table.assign(share=np.bincount(place, minlength=bins)[table.index] / len(place))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: the mean gap between predicted and observed, weighted by the share of each bin.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    table = reliability(probabilities, labels, bins)
    return float(((table["predicted"] - table["observed"]).abs() * table["share"]).sum())


def log_loss_each(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log P(label) of each prediction in nats; from logits, so that large ones do not overflow."""
    return np.logaddexp(0, logits) - labels * logits


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of `log_loss_each`, the binary cross-entropy."""
    return float(log_loss_each(logits, labels).mean())


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T > 0 that makes sigmoid(logits / T) lose least on held-out labels; the order of items stays.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    found = minimize_scalar(lambda log_t: log_loss(logits / np.exp(log_t), labels), bounds=(-4, 4), method="bounded")
    return float(np.exp(found.x))


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-score)), from any number to a probability."""
    return expit(scores)
