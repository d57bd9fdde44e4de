"""Interest in time: Markov chains, recurrent networks, drift.

Events are numbered from 0 where they index a matrix, and from 1 where they go into a network, whose 0 is padding.
"""

import numpy as np

from recsys_helpers.data.interest_world import LONGEST, InterestWorld
from recsys_helpers.models.base import register
from recsys_helpers.models.next_item import NextItemNetwork, item_embedding, item_logits
from recsys_helpers.models.self_attention import causal_block
from recsys_helpers.training.backend import keras, keras_nlp

FIRST = 129  # the event before the first one
CONTEXTS = 9 * 9 * 4  # two interests or none before, the domain of the last event and of the one to come


def transition_probabilities(
    context: np.ndarray, outcome: np.ndarray, n_contexts: int, n_outcomes: int, smoothing: float = 1.0
):
    """P(outcome | context) from counts, shape (n_contexts, n_outcomes); each row sums to 1.

    `smoothing` is added to each count in proportion to the overall shares, so that a context never seen says what is
    usual. With the last interest as context this is a first-order Markov chain, with the last two a second-order one.
    """
    counts = np.zeros((n_contexts, n_outcomes))
    np.add.at(counts, (context, outcome), 1)
    usual = counts.sum(axis=0) / counts.sum()
    return (counts + smoothing * n_outcomes * usual) / (counts.sum(axis=1, keepdims=True) + smoothing * n_outcomes)


def stationary(transition: np.ndarray) -> np.ndarray:
    """The shares that the chain leaves unchanged: p = P^T p, shape (n,); P row-stochastic and irreducible."""
    n = len(transition)
    equations = np.vstack([transition.T - np.eye(n), np.ones(n)])
    return np.linalg.lstsq(equations, np.r_[np.zeros(n), 1.0], rcond=None)[0]


def drift(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance of two distributions along the last axis: 0 for equal ones, 1 for disjoint ones.

    The square root of the divergence in bits. Source: Endres and Schindelin, A New Metric for Probability
    Distributions, IEEE Transactions on Information Theory, 2003.
    """
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    middle = (first + second) / 2

    def bits(p):
        return (p * np.log2(np.divide(p, middle, out=np.ones_like(p), where=p > 0))).sum(axis=-1)

    return np.sqrt(np.maximum((bits(first) + bits(second)) / 2, 0))


def interest_windows(world: InterestWorld, user_ids: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """All positions of all users at once: ((events, ahead), interests), each of shape (users, longest history).

    Position t holds in `events` the event before it (interest, domain, scenario and like in one number; `FIRST` at the
    start), in `ahead` the domain and scenario of the event to come, and in `interests` what it is about, -1 where the
    history has ended.
    """
    code = {name: world.interactions[name].cat.codes.to_numpy() for name in ("interest", "domain", "scenario")}
    liked = world.interactions["liked"].to_numpy()
    event = 1 + ((code["interest"] * 2 + code["domain"]) * 4 + code["scenario"]) * 2 + liked
    rows = world.rows(np.asarray(user_ids))
    owners = world.interactions["user_id"].to_numpy()[rows]
    histories = np.split(rows, np.flatnonzero(np.diff(owners)) + 1)
    shape = (len(histories), max(map(len, histories)))
    events, ahead, interests = np.zeros(shape, "int32"), np.zeros(shape, "int32"), np.full(shape, -1, "int32")
    for place, rows in enumerate(histories):
        events[place, : len(rows)] = np.r_[FIRST, event[rows[:-1]]]
        ahead[place, : len(rows)] = 1 + code["domain"][rows] * 4 + code["scenario"][rows]
        interests[place, : len(rows)] = code["interest"][rows]
    return [events, ahead], interests


def next_interest_model(kind: str = "LSTM", units: int = 96, dropout: float = 0.3) -> keras.Model:
    """(events, ahead) as in `interest_windows` -> logits (users, length, 8) of the interest of each event to come.

    Args:
        kind: "LSTM", "GRU" or "self-attention" (two causal blocks with positions up to the longest history).
        units: width of the state.
    """
    events, ahead = (
        keras.Input((None,), dtype="int32", name="events"),
        keras.Input((None,), dtype="int32", name="ahead"),
    )
    if kind == "self-attention":
        x = keras.layers.Embedding(FIRST + 1, units)(events)
        x = x + keras_nlp.layers.PositionEmbedding(LONGEST)(x)
        for number in (1, 2):
            x = causal_block(x, units, 4, dropout, number)
        x = keras.layers.LayerNormalization()(x)
    else:
        x = keras.layers.Embedding(FIRST + 1, 64)(events)
        x = getattr(keras.layers, kind)(units, return_sequences=True)(x)
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Concatenate()([x, keras.layers.Embedding(9, 16)(ahead)])
    x = keras.layers.Dense(64, activation="gelu")(x)
    return keras.Model([events, ahead], keras.layers.Dense(8, dtype="float32")(x), name="next_interest")


def next_item_rnn(
    n_items: int, cell: str = "LSTM", width: int = 64, units: int = 128, dropout: float = 0.3
) -> keras.Model:
    """Recurrent network over item numbers: (batch, length) -> logits (batch, length, n_items + 1).

    Position t sees the items 1..t and scores item t + 1. The output layer shares its weights with the item embedding.
    Source: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016; tied weights: Press
    and Wolf, Using the Output Embedding to Improve Language Models, EACL 2017.
    """
    items = keras.Input((None,), dtype="int32", name="items")
    embedding = item_embedding(n_items, width)
    x = keras.layers.Dropout(dropout)(embedding(items) * (width**0.5 / 2))
    x = getattr(keras.layers, cell)(units, return_sequences=True)(x)
    x = keras.layers.Dense(width)(keras.layers.Dropout(dropout)(x))
    x = keras.layers.LayerNormalization(name="final_norm")(x)
    logits = item_logits(embedding, x)
    return keras.Model(items, logits, name=f"next_item_{cell.lower()}")


@register
class LSTM(NextItemNetwork):
    """`next_item_rnn` with an LSTM."""

    name = "LSTM"

    def network(self, n_items):
        return next_item_rnn(n_items, cell=self.name)


@register
class GRU(LSTM):
    """`next_item_rnn` with a GRU."""

    name = "GRU"


def chain_contexts(before: np.ndarray, ahead: np.ndarray) -> dict[str, np.ndarray]:
    """What each Markov chain looks at, as a number below `CONTEXTS` for each event of `interest_windows`."""
    last = np.where((before == 0) | (before == FIRST), 8, (before - 1) // 16)  # 8 where there is no event yet
    second = np.c_[np.full(len(last), 8), last[:, :-1]]
    domains = np.where(last < 8, (before - 1) // 8 % 2, 0) * 2 + np.maximum(ahead - 1, 0) // 4
    return {
        "majority": 0 * last,
        "first order": last,
        "second order": second * 9 + last,
        "first order, domains": last * 4 + domains,
        "second order, domains": (second * 9 + last) * 4 + domains,
    }


def predict_interests(model: keras.Model, inputs: list[np.ndarray], batch_size: int = 128) -> np.ndarray:
    """Probabilities of the eight interests at every position, shape (users, length, 8)."""
    starts = range(0, len(inputs[0]), batch_size)
    logits = [model([x[start : start + batch_size] for x in inputs], training=False) for start in starts]
    return np.concatenate([keras.ops.convert_to_numpy(keras.ops.softmax(x)) for x in logits])


def log_loss_per_user(probabilities: np.ndarray, interests: np.ndarray) -> np.ndarray:
    """Log loss in nats an event, mean of each user, shape (users,), of probabilities (users, length, 8)."""
    real = interests >= 0
    chosen = np.take_along_axis(probabilities, np.maximum(interests, 0)[..., None], axis=-1)[..., 0]
    return (-np.log(np.maximum(chosen, 1e-12)) * real).sum(axis=1) / real.sum(axis=1)
