"""Next-item models: windows to train on, and scores for every user and item.

All positions of a window are trained at once: position t sees items 1..t and predicts item t + 1.
"""

import numpy as np

from recsys_helpers.data.splits import PADDING, NextItemSplit, pad_right
from recsys_helpers.evaluation.ranks import hit, ndcg, target_ranks
from recsys_helpers.training.backend import keras, keras_nlp
from recsys_helpers.training.fit import EpochData


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


def next_item_scores(model: keras.Model, histories: list[np.ndarray], length: int, batch_size: int = 256) -> np.ndarray:
    """Scores of every item after each user's history; shape (n_users, n_items), column j is item j + 1.

    The score is read at the last item of the history, not at the last column of the padded window: it is the state of
    layer `final_norm` there times the rows of `item_embedding`, as in the model's own output layer.
    """
    windows = pad_right(histories, length)
    last = (windows != PADDING).sum(axis=1) - 1
    hidden = keras.Model(model.input, model.get_layer("final_norm").output)  # scores at one position, not at all
    states = []
    for start in range(0, len(windows), batch_size):
        rows = slice(start, start + batch_size)
        everywhere = keras.ops.cast(hidden(windows[rows], training=False), "float32")
        states.append(keras.ops.convert_to_numpy(everywhere)[np.arange(len(windows[rows])), last[rows]])
    items = keras.ops.convert_to_numpy(model.get_layer("item_embedding").embeddings)
    return np.concatenate(states) @ items[1:].T


def ranking_on(model: keras.Model, split: NextItemSplit, length: int, part: str = "validation") -> np.ndarray:
    """Ranks of the targets of `part`, shape (n_users,)."""
    history = split.history(part)
    return target_ranks(next_item_scores(model, history, length), history, split.target(part))


def validation_metrics(model: keras.Model, split: NextItemSplit, length: int) -> dict[str, float]:
    """HR@10 and NDCG@10 on the validation items, for `training.fit`."""
    ranks = ranking_on(model, split, length, "validation")
    return {"HR@10": float(hit(ranks).mean()), "NDCG@10": float(ndcg(ranks).mean())}
