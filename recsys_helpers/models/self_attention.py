"""Self-attention: the arithmetic of lesson 01 in NumPy, and a next-item model made of the library's layers."""

import numpy as np

from recsys_helpers.models.next_item import item_embedding, item_logits
from recsys_helpers.training.backend import keras, keras_nlp


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis; the maximum is taken off first, so that large scores do not overflow."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


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
    weights = softmax(scores)
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
