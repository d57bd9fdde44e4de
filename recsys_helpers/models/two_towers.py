"""Strength of interest: a number per user and item, from biases to two towers, and how far it can be trusted.

Users and items are row numbers here: user 1 of the data is row 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.negatives import draw_negatives
from recsys_helpers.models.base import Model, NewItem, Request, register, with_row
from recsys_helpers.models.baselines import interaction_matrix, popularity
from recsys_helpers.models.cross_domain import fading_interest
from recsys_helpers.models.network import Network
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import EpochData, Rows


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
    taken = pd.get_dummies(events["interest"], dtype="float64").to_numpy()
    both, users = np.hstack([taken, taken * events["liked"].to_numpy()[:, None]]), events["user_id"].to_numpy()
    windows = [fading_interest(both, users, np.full(len(both), True), 1 - alpha) for alpha in alphas]
    return np.nan_to_num(np.hstack(windows)).astype("float32")


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


@register
class Strength(Model):
    """How much people like an item, and how much this user likes its subjects, beyond what is usual (lesson 03).

    Args:
        damping: so many made-up events without any excess stand beside those of the user, and of each subject.
    """

    name = "strength"
    learned: ClassVar = {"mean_": "number", "liked_": "number items", "subjects_": "number items subjects"}

    def __init__(self, damping: tuple[float, float] = (15, 5)):
        self.damping = damping

    def fit(self, log, part="test"):
        events = log.before(part)
        users, items, strengths = (events[name].to_numpy() for name in ("user", "item", "strength"))
        biases = fit_biases(users, items - 1, strengths, (log.split.n_users, log.split.n_items))
        self.mean_, self.liked_ = np.float32(biases.mean), biases.item.astype("float32")
        self.subjects_ = log.subjects.astype("float32")
        return self

    def scores(self, requests):
        return np.stack([self._after(request) for request in requests])

    def _after(self, request: Request) -> np.ndarray:
        items = request.history - 1
        excess = request.strengths - self.mean_ - self.liked_[items]
        excess = excess - excess.sum() / (self.damping[0] + len(excess))  # how generous the user is
        about = self.subjects_[items]
        return self.liked_ + self.subjects_ @ (excess @ about / (self.damping[1] + about.sum(axis=0)))

    def with_item(self, item: NewItem) -> Self:
        return self._with(liked_=np.append(self.liked_, 0), subjects_=with_row(self.subjects_, item.subjects))


class NegativeSampling(EpochData):
    """Batches of (users, items, and items drawn evenly that the user has not taken) with label 1, from row number 0."""

    def __init__(self, log: EventLog, part: str, batch_size: int, seed: int):
        super().__init__(seed)
        histories, self.batch_size = log.split.history(part), batch_size
        self.users = np.repeat(np.arange(log.split.n_users), list(map(len, histories)))
        self.items = np.hstack(histories) - 1
        self.taken = interaction_matrix(histories, log.split.n_items).toarray() > 0
        self.go_to(0)

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.items))
        self.negatives = draw_negatives(self.taken, self.users, self.random)
        self.order = self.order[self.negatives[self.order] >= 0]  # without those who took everything

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index: int):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return (self.users[rows], self.items[rows], self.negatives[rows]), np.ones(len(rows), "float32")


class UserItemVectors(Network):
    """A vector of each user and each item, and the items' biases: score = user . item + bias, 64 numbers a vector.

    Who is no user of the log gets the mean user's vector.
    """

    learned: ClassVar = {"items_": "number items width", "users_": "number users width", "bias_": "number items 1"}

    def tables(self, log: EventLog) -> list[keras.layers.Layer]:
        """Embeddings of users and items and the items' biases, which start small."""
        small, sizes = keras.initializers.RandomNormal(stddev=0.1), (log.split.n_users, log.split.n_items)
        user, item = (
            keras.layers.Embedding(n, 64, small, name=name) for n, name in zip(sizes, ("user", "item"), strict=True)
        )
        return [user, item, keras.layers.Embedding(sizes[1], 1, "zeros", name="item_bias")]

    def read(self, network):
        self.users_, self.items_, self.bias_ = (
            network.get_layer(layer).get_weights()[0] for layer in ("user", "item", "item_bias")
        )

    def scores(self, requests):
        users, nobody = [request.user for request in requests], len(self.users_)
        rows = [nobody if user is None or not 0 <= user < nobody else user for user in users]
        vectors = np.vstack([self.users_, self.users_.mean(axis=0)])[rows]
        return vectors @ self.items_.T + self.bias_.T


@register
class MatrixFactorisation(UserItemVectors):
    """Vectors that rank what was taken above what was not, pair by pair.

    Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
    """

    name = "matrix factorisation"
    epochs, patience = {"smoke": 1, "quick": 20, "full": 60}, 5

    def compiled(self, log):
        keras.utils.set_random_seed(self.seed)
        user, item, bias = self.tables(log)
        who, taken, other = inputs = [keras.Input((), dtype="int32") for _ in range(3)]
        lead = keras.ops.sum(user(who) * (item(taken) - item(other)), axis=1) + (bias(taken) - bias(other))[:, 0]
        network = keras.Model(inputs, lead)
        network.compile(
            keras.optimizers.AdamW(2e-3, weight_decay=0.05), keras.losses.BinaryCrossentropy(from_logits=True)
        )
        return network

    def data(self, log, part):
        return NegativeSampling(log, part, 1024, self.seed)


@register
class TwoTowers(UserItemVectors):
    """Vectors by softmax over the batch with logQ correction, the retrieval form of lesson 03."""

    name = "two towers"
    epochs, patience = {"smoke": 1, "quick": 8, "full": 20}, 3

    def compiled(self, log):
        keras.utils.set_random_seed(self.seed)
        user, item, bias = self.tables(log)
        who, taken = inputs = [keras.Input((), dtype="int32") for _ in range(2)]
        grid = user(who) @ keras.ops.transpose(item(taken)) + keras.ops.transpose(bias(taken))
        counts = popularity(log.split.history("validation"), log.split.n_items)[0]
        network = keras.Model(inputs, grid)
        network.compile(keras.optimizers.Adam(5e-3), in_batch_loss(np.log(np.maximum(counts, 1) / counts.sum())))
        return network

    def data(self, log, part):
        histories = log.split.history(part)
        users, items = np.repeat(np.arange(len(histories)), list(map(len, histories))), np.concatenate(histories) - 1
        return Rows((users, items), items, 512, self.seed)
