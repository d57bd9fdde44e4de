"""The models of the leaderboard, one short function each.

All are `(log, part, seed, profile) -> (scores, parameters)`: scores of all items for each user's request, of shape
(n_users, n_items), and the number of trained parameters. Of the log they read `before(part)`, `split.history(part)`,
and of a request its user, scenario and time. What is tuned, and how long a network trains, is decided on the
validation item; for the test a model then learns anew with it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.negatives import draw_negatives
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.ranks import ndcg, target_ranks
from recsys_helpers.models import baselines, cross_domain, next_item
from recsys_helpers.models.bert import load_encoder
from recsys_helpers.models.recurrent import next_item_rnn
from recsys_helpers.models.self_attention import next_item_transformer
from recsys_helpers.models.two_towers import in_batch_loss
from recsys_helpers.training.backend import keras, keras_nlp
from recsys_helpers.training.fit import EpochData, Rows, fit
from recsys_helpers.training.profiles import by_profile

LENGTH, WIDTH = 50, 64


def counting(score: Callable, log: EventLog, part: str, seed: int, profile: str):
    """One of the functions in `baselines`."""
    return score(log.split.history(part), log.split.n_items), 0


def text_profile(log: EventLog, part: str, seed: int, profile: str):
    """Cosine of an item's text with the mean of the user's last ten (lesson 02), nothing trained."""
    vectors = load_encoder("minilm").encode(log.items["text"].tolist())
    recent = np.stack([vectors[items[-10:] - 1].mean(axis=0) for items in log.split.history(part)])
    return recent / np.linalg.norm(recent, axis=1, keepdims=True) @ vectors.T, 0


def train_and_score(
    log: EventLog, part: str, make: Callable, data: Callable, score: Callable, epochs: int, patience: int
):
    """Train on all that lies before the validation item, until it is ranked best; for the test, train anew with it.

    Args:
        make: gives a compiled model. data: (part) -> `EpochData` of what is known before that part.
        score: (model, part) -> scores of all items, shape (n_users, n_items).
    """

    def validate() -> dict[str, float]:
        ranks = target_ranks(
            score(model, "validation"), log.split.history("validation"), log.split.target("validation")
        )
        return {"NDCG@10": float(ndcg(ranks).mean())}

    model = make()
    epoch = fit(model, data("validation"), epochs, validate, patience=patience, lines=0)["NDCG@10"].idxmax()
    if part == "test":
        model = make()
        fit(model, data("test"), int(epoch), lines=0)
    return score(model, part), model.count_params()


class Taken(EpochData):
    """Batches of (users, items, and items drawn evenly that the user has not taken) with label 1, from row number 0."""

    def __init__(self, log: EventLog, part: str, batch_size: int, seed: int):
        super().__init__(seed)
        histories, self.batch_size = log.split.history(part), batch_size
        self.users, self.items = (
            np.repeat(np.arange(log.split.n_users), list(map(len, histories))),
            np.hstack(histories) - 1,
        )
        self.taken = baselines.interaction_matrix(histories, log.split.n_items).toarray() > 0
        self.go_to(0)

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.items))
        self.others = draw_negatives(self.taken, self.users, self.random)
        self.order = self.order[self.others[self.order] >= 0]  # without those who took everything

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index: int):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return (self.users[rows], self.items[rows], self.others[rows]), np.ones(len(rows), "float32")


def tables(log: EventLog):
    """Inputs for the numbers of users and items, and their vectors and the items' biases, which start small."""
    small, sizes = keras.initializers.RandomNormal(stddev=0.1), (log.split.n_users, log.split.n_items)
    user, item = (
        keras.layers.Embedding(n, WIDTH, small, name=name) for n, name in zip(sizes, ("user", "item"), strict=True)
    )
    return user, item, keras.layers.Embedding(sizes[1], 1, "zeros", name="item_bias")


def table_scores(model: keras.Model, part: str = "test") -> np.ndarray:
    p, q, bias = (model.get_layer(layer).get_weights()[0] for layer in ("user", "item", "item_bias"))
    return p @ q.T + bias.T


def matrix_factorisation(log: EventLog, part: str, seed: int, profile: str):
    """Vectors of users and items that rank what was taken above what was not, pair by pair.

    Source: Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009.
    """

    def make():
        keras.utils.set_random_seed(seed)
        user, item, bias = tables(log)
        who, taken, other = inputs = [keras.Input((), dtype="int32") for _ in range(3)]
        gap = keras.ops.sum(user(who) * (item(taken) - item(other)), axis=1) + (bias(taken) - bias(other))[:, 0]
        model = keras.Model(inputs, gap)
        model.compile(
            keras.optimizers.AdamW(2e-3, weight_decay=0.05), keras.losses.BinaryCrossentropy(from_logits=True)
        )
        return model

    epochs = by_profile(profile, smoke=1, quick=20, full=60)
    return train_and_score(log, part, make, lambda part: Taken(log, part, 1024, seed), table_scores, epochs, patience=5)


def two_towers(log: EventLog, part: str, seed: int, profile: str):
    """Vectors of users and items by softmax over the batch with logQ correction, the retrieval form of lesson 03."""

    def data(part):
        events = Taken(log, part, len(log.events), seed)
        return Rows((events.users, events.items), events.items, 512, seed)

    def make():
        keras.utils.set_random_seed(seed)
        user, item, bias = tables(log)
        who, taken = inputs = [keras.Input((), dtype="int32") for _ in range(2)]
        grid = user(who) @ keras.ops.transpose(item(taken)) + keras.ops.transpose(bias(taken))
        counts = baselines.popularity(log.split.history("validation"), log.split.n_items)[0]
        model = keras.Model(inputs, grid)
        model.compile(keras.optimizers.Adam(5e-3), in_batch_loss(np.log(np.maximum(counts, 1) / counts.sum())))
        return model

    epochs = by_profile(profile, smoke=1, quick=8, full=20)
    return train_and_score(log, part, make, data, table_scores, epochs, patience=3)


def next_item_network(build: Callable, log: EventLog, part: str, seed: int, profile: str):
    """A network over item numbers, `build(n_items)`, trained as in lesson 04."""

    def make():
        keras.utils.set_random_seed(seed)
        return averaged(build(log.split.n_items))

    def data(part):
        return next_item.Windows(log.split.history(part), LENGTH, seed=seed)

    def score(network, part):
        return next_item.next_item_scores(network, log.split.history(part), LENGTH)

    epochs = by_profile(profile, smoke=1, quick=12, full=30)
    return train_and_score(log, part, make, data, score, epochs, patience=4)


def averaged(network: keras.Model) -> keras.Model:
    """Compiled with running means of the weights and label smoothing."""
    optimizer = keras.optimizers.Adam(3e-3, use_ema=True, ema_momentum=0.99)
    network.compile(optimizer, next_item.next_item_loss(smoothing=0.1))
    return network


class Gaps(next_item.Windows):
    """Batches of (items with gaps, what stood in the gaps, else 0); in a fifth of the windows only the last is hidden.

    Args:
        gap: the number that stands for a hidden item. share: of the items to hide.
    """

    def __init__(self, histories: list[np.ndarray], length: int, gap: int, share: float, seed: int):
        self.gap, self.share = gap, share
        super().__init__(histories, length, seed=seed)

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        whole, ends = np.c_[self.inputs[:, :1], self.targets], (self.inputs > 0).sum(axis=1)
        items = np.where((ends == self.length)[:, None], whole[:, 1:], whole[:, :-1])
        last = np.arange(self.length) == np.minimum(ends, self.length - 1)[:, None]
        alone = self.random.random((len(items), 1)) < 0.2
        hidden = np.where(alone, last, self.random.random(items.shape) < self.share) & (items > 0)
        self.inputs, self.targets = np.where(hidden, self.gap, items), np.where(hidden, items, 0)


def masked_network(log: EventLog, part: str, seed: int, profile: str):
    """Self-attention in both directions that fills gaps; what comes next is a gap at the end.

    Source: Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations, CIKM 2019.
    """
    gap = log.split.n_items + 1

    def make():
        keras.utils.set_random_seed(seed)
        items = keras.Input((None,), dtype="int32")
        embedding = next_item.item_embedding(gap, WIDTH)
        x = embedding(items) * (WIDTH**0.5 / 2)
        x = keras.layers.Dropout(0.2)(x + keras_nlp.layers.PositionEmbedding(LENGTH)(x))
        block = keras_nlp.layers.TransformerEncoder(WIDTH, 2, dropout=0.2, activation="gelu", normalize_first=True)
        x = keras.layers.LayerNormalization(name="final_norm")(block(x, padding_mask=keras.ops.not_equal(items, 0)))
        return averaged(keras.Model(items, next_item.item_logits(embedding, x)))

    def score(network, part):
        asked = [np.append(items, gap) for items in log.split.history(part)]
        return next_item.next_item_scores(network, asked, LENGTH)[:, :-1]

    def data(part):
        return Gaps(log.split.history(part), LENGTH, gap, 0.3, seed)

    epochs = by_profile(profile, smoke=1, quick=20, full=40)
    return train_and_score(log, part, make, data, score, epochs, patience=5)


def moments(log: EventLog, part: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The events that are known, and the requests, whose item is -1: (events, features, contents).

    Features are what is known just before each: interest in each domain that fades fast and slowly, the share of the
    domains, how long each was left alone. Contents are what an item is about in its domain, (n_items, domains * k).
    """
    asked = log.requests(part).drop(columns=["item", "strength"])
    events = pd.concat([log.before(part), asked]).sort_values("user", kind="stable").reset_index(drop=True)
    events["item"] = events["item"].fillna(0).astype(int) - 1
    user, item = events["user"].to_numpy(), events["item"].to_numpy()
    domain = np.eye(len(log.domains))[log.items["domain"]]
    views = [cross_domain.fading_interest(domain[item], user, item >= 0, 0.9)]
    for where in domain.T > 0:
        here = (item >= 0) & where[item]
        views += [cross_domain.fading_interest(log.subjects[item], user, here, fade) for fade in (0.5, 0.9)]
        views.append(-np.log(cross_domain.events_since(user, here))[:, None])
    features = np.hstack(views)
    features = np.where(np.isnan(features), np.nanmean(features, axis=0), features)
    return events, features, (domain[:, :, None] * log.subjects[:, None]).reshape(len(domain), -1)


def mapped_interest(log: EventLog, part: str, seed: int, profile: str):
    """Interest in each domain, mapped by least squares to what comes next (lesson 05), times popularity within it."""
    events, features, contents = moments(log, part)
    known, x = events["item"].to_numpy() >= 0, np.c_[features, np.ones(len(events))]
    taken = events["item"].to_numpy()[known]
    weights = np.linalg.lstsq(x[known], contents[taken], rcond=None)[0]
    counts = np.bincount(taken, minlength=log.split.n_items) + 1.0
    return cross_domain.item_scores(np.maximum(x[~known] @ weights, 1e-3), contents, counts), weights.size


def fused(log: EventLog, part: str, seed: int, profile: str):
    """Attention over experts by scenario (lesson 06), of interests, ages, popularity and strength."""
    from recsys_helpers.recommender.retrieval import part_scores, requests_of, train_fusion, trained_numbers

    trained = train_fusion(log, part, profile, seed)
    return part_scores(trained, requests_of(log, part), ("fusion",))[:, 0], trained_numbers(trained)


def capstone(log: EventLog, part: str, seed: int, profile: str):
    """The recommender of lesson 08. Its parameters: all weights of its two networks, and of the gate bias and keys.

    It asks for the test items only, since its gate learns from the validation items; for these there is
    `recommender.cross_validated`.
    """
    from recsys_helpers.recommender.recommender import Recommender
    from recsys_helpers.recommender.retrieval import requests_of, trained_numbers

    if part != "test":
        raise CourseError("the capstone learns from the validation items; ask for the test, or `cross_validated`")
    fitted = Recommender.fit(log, profile, seed)
    weights = trained_numbers(fitted.know) + fitted.gate.bias.size + fitted.gate.keys.size
    return fitted.scores(requests_of(log)), weights


MODELS = {
    "popularity": partial(counting, baselines.popularity),
    "item-kNN": partial(counting, baselines.item_knn),
    "matrix factorisation": matrix_factorisation,
    "Markov chain": partial(counting, baselines.markov_chain),
    "recent neighbours": partial(counting, baselines.recent_neighbours),
    "text profile": text_profile,
    "two towers": two_towers,
    "LSTM": partial(next_item_network, partial(next_item_rnn, cell="LSTM")),
    "GRU": partial(next_item_network, partial(next_item_rnn, cell="GRU")),
    "self-attention": partial(next_item_network, partial(next_item_transformer, length=LENGTH, dropout=0.3)),
    "masked self-attention": masked_network,
    "transfer": mapped_interest,
    "fusion": fused,
    "capstone": capstone,
}
