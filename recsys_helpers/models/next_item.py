"""Next-item models: windows to train on, and scores for every user and item.

All positions of a window are trained at once: position t sees items 1..t and predicts item t + 1.
"""

from typing import ClassVar, Self

import numpy as np

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.splits import PADDING, NextItemSplit, pad_right
from recsys_helpers.evaluation.ranks import hit, ndcg, target_ranks
from recsys_helpers.models.base import Request, histories_of
from recsys_helpers.models.network import Network, weights_of
from recsys_helpers.training.backend import keras, keras_nlp
from recsys_helpers.training.fit import EpochData, on_device

LENGTH = 50  # items in a window, of the models that follow the protocol


class Windows(EpochData):
    """Batches of (items, next items), each of shape (batch, length), right-padded with 0.

    A history longer than the window is cut at an offset that is drawn anew each epoch, so that an item of the history
    is met at many positions of the window.

    Args:
        histories: one array of item numbers a user, oldest first; at least two items each.
        length: positions in a window.
        batch_size: windows in a batch.
        seed: of the offsets and of the order of the windows.
    """

    def __init__(self, histories: list[np.ndarray], length: int, batch_size: int = 64, seed: int = 0):
        super().__init__(seed)
        self.histories, self.length, self.batch_size = histories, length, batch_size
        self.windows = None
        self.go_to(0)

    def on_epoch_end(self) -> None:
        """Cut fresh windows and shuffle them."""
        pieces = [piece for history in self.histories for piece in self._cut(history)]
        self.windows = self.windows or len(pieces)  # Keras wants every epoch as long as the first
        order = np.resize(self.random.permutation(len(pieces)), self.windows)
        self.inputs = pad_right([pieces[i][:-1] for i in order], self.length)
        self.targets = pad_right([pieces[i][1:] for i in order], self.length)

    def _cut(self, history: np.ndarray) -> list[np.ndarray]:
        """The last length + 1 items, and the windows before them, ending at a random offset."""
        ends = [len(history)]
        if len(history) > self.length + 1:
            ends += range(len(history) - int(self.random.integers(1, self.length + 1)), 1, -self.length)
        return [history[max(0, end - self.length - 1) : end] for end in ends]

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.inputs[rows], self.targets[rows]


def item_embedding(n_items: int, width: int) -> keras.layers.Layer:
    """Vectors of the items 1..n_items, which the output layer reads backwards; item 0 is padding and masked."""
    return keras_nlp.layers.ReversibleEmbedding(
        n_items + 1,
        width,
        mask_zero=True,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=width**-0.5),
        name="item_embedding",
    )


def item_logits(embedding: keras.layers.Layer, x):
    """States (batch, length, width) -> logits (batch, length, n_items + 1), in 32 bits under mixed precision too."""
    return keras.layers.Activation("linear", dtype="float32", name="logits")(embedding(x, reverse=True))


def next_item_loss(smoothing: float = 0.0):
    """Cross-entropy over the whole catalogue; padded positions do not count.

    Args:
        smoothing: so much of the target is spread evenly over all items.

    Source: Klenitskiy and Vasilev, Turning Dross Into Gold Loss, RecSys 2023: full softmax beats one sampled negative.
    Label smoothing: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """
    if not smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=PADDING)
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)

    def loss(items, logits):
        ops = keras.ops
        real = ops.cast(ops.not_equal(items, PADDING), logits.dtype)
        each = smooth(ops.one_hot(items, logits.shape[-1], dtype=logits.dtype), logits)
        return ops.sum(each * real) / ops.sum(real)

    return loss


def last_states(model: keras.Model, histories: list[np.ndarray], length: int, batch_size: int = 256) -> np.ndarray:
    """The output of layer `final_norm` at the last item of each history, shape (n_users, width).

    Not at the last column of the padded window; and scores at one position are enough, so the output layer is not run.
    """
    windows = pad_right(histories, length)
    last = (windows != PADDING).sum(axis=1) - 1
    hidden = keras.Model(model.input, model.get_layer("final_norm").output)
    states = []
    for start in range(0, len(windows), batch_size):
        rows = slice(start, start + batch_size)
        everywhere = keras.ops.cast(hidden(windows[rows], training=False), "float32")
        states.append(keras.ops.convert_to_numpy(everywhere)[np.arange(len(windows[rows])), last[rows]])
    return np.concatenate(states)


def next_item_scores(model: keras.Model, histories: list[np.ndarray], length: int, batch_size: int = 256) -> np.ndarray:
    """Scores of every item after each user's history; shape (n_users, n_items), column j is item j + 1.

    The last state of the history times the rows of `item_embedding`, as in the model's own output layer.
    """
    items = keras.ops.convert_to_numpy(model.get_layer("item_embedding").embeddings)
    return last_states(model, histories, length, batch_size) @ items[1:].T


def ranking_on(model: keras.Model, split: NextItemSplit, length: int, part: str = "validation") -> np.ndarray:
    """Ranks of the targets of `part`, shape (n_users,)."""
    history = split.history(part)
    return target_ranks(next_item_scores(model, history, length), history, split.target(part))


def validation_metrics(model: keras.Model, split: NextItemSplit, length: int) -> dict[str, float]:
    """HR@10 and NDCG@10 on the validation items, for `fit`."""
    ranks = ranking_on(model, split, length, "validation")
    return {"HR@10": float(hit(ranks).mean()), "NDCG@10": float(ndcg(ranks).mean())}


def compile_with_ema(network: keras.Model) -> keras.Model:
    """Compiled with running means of the weights and label smoothing."""
    optimizer = keras.optimizers.Adam(3e-3, use_ema=True, ema_momentum=0.99)
    network.compile(optimizer, next_item_loss(smoothing=0.1))
    return network


class NextItemNetwork(Network):
    """A network over item numbers, trained as in lesson 04; a subclass gives its layers in `network`.

    Who has no history gets the mean state of those who had one.
    """

    epochs, patience = {"smoke": 1, "quick": 12, "full": 30}, 4
    learned: ClassVar = {"n_items_": "total", "usual_": "number width", "parameters_": "whole"}

    def network(self, n_items: int) -> keras.Model:
        """(batch, length) -> logits (batch, length, n_items + 1), with layers `item_embedding` and `final_norm`."""
        raise NotImplementedError

    def compiled(self, log):
        keras.utils.set_random_seed(self.seed)
        with on_device():
            return compile_with_ema(self.network(log.split.n_items))

    def data(self, log, part):
        return Windows(log.split.history(part), LENGTH, seed=self.seed)

    def read(self, network):
        self._network, self.weights_ = network, weights_of(network)

    def fit(self, log: EventLog, part: str = "test") -> Self:
        self.n_items_ = log.split.n_items
        return super().fit(log, part).take_usual(log.split.history(part))

    def take_usual(self, histories: list[np.ndarray]) -> Self:
        """Remember the mean state after these histories; the weights stay as they are."""
        self.usual_ = self.states(histories).mean(axis=0)
        return self

    def scores(self, requests: list[Request]) -> np.ndarray:
        histories = histories_of(requests)
        known = np.array([len(items) > 0 for items in histories])
        states = np.empty((len(histories), self.weights_[0].shape[1]), "float32")
        if known.any():
            states[known] = self.states([items for items in histories if len(items)])
        if not known.all():
            states[~known] = self.usual_
        return states @ self.weights_[0][1 : 1 + int(self.n_items_)].T  # the first weights are the items' vectors

    def states(self, histories: list[np.ndarray]) -> np.ndarray:
        """What the network makes of each history, shape (n_users, width)."""
        if not hasattr(self, "_network"):  # loaded
            self._network = self.network(int(self.n_items_))
            self._network.set_weights(self.weights_)
        return last_states(self._network, histories, LENGTH)
