"""Self-attention: the arithmetic of lesson 01 in NumPy, and a next-item model made of the library's layers."""

import numpy as np
from scipy.special import erf, softmax

from recsys_helpers.data.splits import pad_right
from recsys_helpers.models.base import NewItem, register, with_row
from recsys_helpers.models.next_item import LENGTH, NextItemNetwork, Windows, item_embedding, item_logits
from recsys_helpers.training.backend import keras, keras_nlp


def attention(query, key, value, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """Scaled dot-product attention: softmax(query key^T / sqrt(d)) value.

    Args:
        query: shape (..., queries, d). key: shape (..., keys, d). value: shape (..., keys, d_value).
        mask: True where a query may look at a key, shape (..., queries, keys); every query has to see at least one key.

    Returns:
        The outputs, shape (..., queries, d_value), and the weights, shape (..., queries, keys); each row sums to 1.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1.
    """
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    weights = softmax(scores, axis=-1)
    return weights @ value, weights


def next_item_transformer(
    n_items: int, length: int = 50, width: int = 64, blocks: int = 1, heads: int = 2, dropout: float = 0.2
) -> keras.Model:
    """Causal self-attention over item numbers: (batch, length) -> logits (batch, length, n_items + 1).

    Position t sees the items 1..t and scores item t + 1. The output layer shares its weights with the item embedding.
    Source: Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018.
    """
    items = keras.Input((None,), dtype="int32", name="items")
    embedding = item_embedding(n_items, width)
    x = embedding(items)
    x = x * (width**0.5 / 2)  # an item has to weigh more than its position (Vaswani et al. 2017, section 3.4)
    x = x + keras_nlp.layers.PositionEmbedding(length, name="position_embedding")(x)
    x = keras.layers.Dropout(dropout)(x)
    for number in range(1, blocks + 1):
        x = causal_block(x, width, heads, dropout, number)
    x = keras.layers.LayerNormalization(name="final_norm")(x)
    logits = item_logits(embedding, x)
    return keras.Model(items, logits, name="next_item_transformer")


def causal_block(x, width: int, heads: int, dropout: float, number: int = 1):
    """(batch, length, width) -> the same: x + attention(norm(x)), then x + mlp(norm(x)); no position sees a later one.

    The norm stands before each part, which trains more calmly: Xiong et al., On Layer Normalization in the Transformer
    Architecture, ICML 2020.
    """
    normed = keras.layers.LayerNormalization(name=f"attention_norm_{number}")(x)
    look = keras.layers.MultiHeadAttention(heads, width // heads, dropout=dropout, name=f"attention_{number}")
    x = x + keras.layers.Dropout(dropout)(look(normed, normed, use_causal_mask=True))
    normed = keras.layers.LayerNormalization(name=f"mlp_norm_{number}")(x)
    hidden = keras.layers.Dense(width, activation="gelu", name=f"mlp_in_{number}")(normed)
    return x + keras.layers.Dropout(dropout)(keras.layers.Dense(width, name=f"mlp_out_{number}")(hidden))


def attention_weights(model: keras.Model, items: np.ndarray, block: int = 1) -> np.ndarray:
    """Where each position of a `next_item_transformer` looks; (batch, length) -> (batch, heads, queries, keys)."""
    normed = keras.Model(model.input, model.get_layer(f"attention_norm_{block}").output)(items)
    look = model.get_layer(f"attention_{block}")
    mask = keras.ops.not_equal(items, 0)
    _, weights = look(normed, normed, key_mask=mask, use_causal_mask=True, return_attention_scores=True)
    return keras.ops.convert_to_numpy(weights)


@register
class SelfAttention(NextItemNetwork):
    """`next_item_transformer`, trained by Keras and run in NumPy, where one request takes a few milliseconds.

    Args:
        dropout: in training. profile, seed, steps: as in `Network`.
    """

    name = "self-attention"
    learned = NextItemNetwork.learned | {
        "weights_": (
            "number items+1 width",
            f"number {LENGTH} width",
            *("number width",) * 2,
            *("number width heads size", "number heads size") * 3,
            "number heads size width",
            *("number width",) * 3,
            "number width hidden",
            "number hidden",
            "number hidden width",
            *("number width",) * 3,
        )
    }

    def __init__(self, profile: str = "quick", seed: int = 7, steps: int | None = None, dropout: float = 0.3):
        super().__init__(profile, seed, steps)
        self.dropout = dropout

    def network(self, n_items):
        return next_item_transformer(n_items, LENGTH, dropout=self.dropout)

    def states(self, histories):
        """The network at the last position only: one request needs no other. In the shapes of the comments b is the
        number of histories, l their length, w the width and h the heads."""
        items, places, *attention_norm, q, q_bias, k, k_bias, v, v_bias, out, out_bias = self.weights_[:12]
        *mlp_norm, mlp_in, in_bias, mlp_out, out_bias_2, gamma, beta = self.weights_[12:]
        windows = pad_right(histories, min(LENGTH, max(map(len, histories))))  # (b, l)
        real = windows != 0
        last = np.arange(len(windows)), real.sum(axis=1) - 1
        x = items[windows] * (items.shape[1] ** 0.5 / 2) + places[: windows.shape[1]]  # (b, l, w)
        normed = layer_norm(x, *attention_norm)

        def project(x, kernel, bias):  # (b, l, w) -> (b, h, l, w / h)
            return np.einsum("blw,whd->bhld", x, kernel, optimize=True) + bias[:, None]

        query, keys = project(normed[last][:, None], q, q_bias), project(normed, k, k_bias)
        looked, _ = attention(query, keys, project(normed, v, v_bias), real[:, None, None])  # (b, h, 1, w / h)
        x = x[last] + np.einsum("bhd,hdw->bw", looked[:, :, 0], out) + out_bias  # (b, w)
        hidden = gelu(layer_norm(x, *mlp_norm) @ mlp_in + in_bias)
        return layer_norm(x + hidden @ mlp_out + out_bias_2, gamma, beta)

    def with_item(self, item: NewItem):
        """Its vector is the mean of those of the items with the nearest texts."""
        vectors = self.weights_[0]
        other = self._with(n_items_=self.n_items_ + 1)
        other.weights_ = [with_row(vectors, vectors[1 + item.near].mean(axis=0)), *self.weights_[1:]]
        return other


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Keras' `LayerNormalization` over the last axis."""
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * gamma + beta


def gelu(x: np.ndarray) -> np.ndarray:
    """Keras' activation of this name."""
    return x * (1 + erf(x / np.sqrt(2))) / 2


class MaskedWindows(Windows):
    """Batches of (items some of which are masked, the masked items, else 0); in a fifth of the windows only the last.

    Args:
        mask: the number that stands for a hidden item. share: of the items to hide.
    """

    def __init__(self, histories: list[np.ndarray], length: int, mask: int, share: float, seed: int):
        self.mask, self.share = mask, share
        super().__init__(histories, length, seed=seed)

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        whole, ends = np.c_[self.inputs[:, :1], self.targets], (self.inputs > 0).sum(axis=1)
        items = np.where((ends == self.length)[:, None], whole[:, 1:], whole[:, :-1])
        last = np.arange(self.length) == np.minimum(ends, self.length - 1)[:, None]
        alone = self.random.random((len(items), 1)) < 0.2
        hidden = np.where(alone, last, self.random.random(items.shape) < self.share) & (items > 0)
        self.inputs, self.targets = np.where(hidden, self.mask, items), np.where(hidden, items, 0)


@register
class MaskedSelfAttention(NextItemNetwork):
    """Self-attention in both directions that fills in masked items; what comes next is a mask at the end.

    Source: Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations, CIKM 2019.
    """

    name = "masked self-attention"
    epochs, patience = {"smoke": 1, "quick": 20, "full": 40}, 5

    def network(self, n_items):
        mask, width = n_items + 1, 64
        items = keras.Input((None,), dtype="int32")
        embedding = item_embedding(mask, width)
        x = embedding(items) * (width**0.5 / 2)
        x = keras.layers.Dropout(0.2)(x + keras_nlp.layers.PositionEmbedding(LENGTH)(x))
        block = keras_nlp.layers.TransformerEncoder(width, 2, dropout=0.2, activation="gelu", normalize_first=True)
        x = keras.layers.LayerNormalization(name="final_norm")(block(x, padding_mask=keras.ops.not_equal(items, 0)))
        return keras.Model(items, item_logits(embedding, x))

    def data(self, log, part):
        return MaskedWindows(log.split.history(part), LENGTH, log.split.n_items + 1, share=0.3, seed=self.seed)

    def states(self, histories):
        return super().states([np.append(items, int(self.n_items_) + 1) for items in histories])
