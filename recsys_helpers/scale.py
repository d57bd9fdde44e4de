"""Training at scale: what a training step computes and holds, and a softmax that does not ask the whole catalogue."""

import math

import numpy as np

from recsys_helpers.backend import keras
from recsys_helpers.splits import PADDING

ops = keras.ops


class SampledSoftmax(keras.Model):
    """A next-item model trained against few drawn items in place of the whole catalogue; weights are shared with it.

    At each step `draws` items are drawn with replacement, item i with chance q_i, the same ones for all positions. Each
    logit is lowered by log(draws * q), the expected number of its draws: what is often drawn would else be pushed down
    as often. A drawn item that is the target itself is left out.

    Args:
        model: of this course's `next_item_transformer` or `next_item_rnn`; it keeps scoring the whole catalogue.
        chances: q of the items 1..n_items, shape (n_items,), positive, sums to 1; None draws evenly.
        draws: how many.
        corrected: without the correction, to be compared with.
        seed: of the draws.

    Source: Bengio and Senécal, Adaptive Importance Sampling, IEEE Transactions on Neural Networks, 2008, section III;
    Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019.
    """

    def __init__(self, model: keras.Model, chances=None, draws: int = 256, corrected: bool = True, seed: int = 0):
        super().__init__(name=f"sampled_{model.name}")
        self.states = keras.Model(model.input, model.get_layer("final_norm").output)
        self.embedding = model.get_layer("item_embedding")
        n_items = self.embedding.input_dim - 1
        self.chances = np.full(n_items, 1 / n_items) if chances is None else np.asarray(chances, "float64")
        if self.chances.shape != (n_items,) or self.chances.min() <= 0 or not np.isclose(self.chances.sum(), 1):
            raise ValueError(f"chances must be {n_items} positive numbers that sum to 1")
        self.draws, self.corrected = draws, corrected
        self.generator = keras.random.SeedGenerator(seed)
        self.ends = ops.convert_to_tensor(np.cumsum(self.chances), "float32")
        expected = np.log(draws * self.chances) if corrected else np.zeros(n_items)
        self.log_expected = ops.convert_to_tensor(np.r_[0.0, expected], "float32")
        self.build(model.input_shape)

    def build(self, input_shape):
        self.built = True  # both parts are

    def call(self, items, training=False):
        return self.states(items, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy of the target among itself and the drawn items, mean over the positions that are no padding."""
        uniform = keras.random.uniform((self.draws,), seed=self.generator)
        drawn = 1 + ops.minimum(ops.searchsorted(self.ends, uniform, side="right"), len(self.chances) - 1)
        drawn, y = ops.cast(drawn, "int32"), ops.cast(y, "int32")
        states = ops.cast(y_pred, "float32")
        table = self.embedding.embeddings
        right = ops.sum(states * ops.take(table, y, axis=0), axis=-1) - ops.take(self.log_expected, y)
        others = states @ ops.transpose(ops.take(table, drawn, axis=0)) - ops.take(self.log_expected, drawn)
        others = ops.where(ops.equal(drawn, y[..., None]), -1e9, others)
        each = ops.logsumexp(ops.concatenate([right[..., None], others], axis=-1), axis=-1) - right
        real = ops.cast(ops.not_equal(y, PADDING), "float32")
        return ops.sum(each * real) / ops.sum(real)


def multiply_adds(model: keras.Model, batch: int, length: int) -> int:
    """Multiply-adds of the matrix products in one forward pass over (batch, length) events.

    Counted layer by layer, attention and recurrent steps included; what is done elementwise is not. A training step
    does three times as many: for each product forward, one for the gradient of either factor. Twice this is the number
    of floating-point operations.
    """
    raise NotImplementedError
