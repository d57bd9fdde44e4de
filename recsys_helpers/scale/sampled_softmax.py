"""A softmax that does not ask the whole catalogue."""

import numpy as np

from recsys_helpers.data.splits import PADDING
from recsys_helpers.training.backend import keras

ops = keras.ops


class SampledSoftmax(keras.Model):
    """A next-item model trained against few drawn items in place of the whole catalogue; weights are shared with it.

    At each step `draws` items are drawn with replacement, item i with probability q_i, the same ones for all positions.
    The logit of a drawn item is lowered by log(draws * q), its expected number of draws: so each item counts once on
    average, as in the full softmax, and what is often drawn is not pushed down as often. The target counts once, too:
    its own logit stays, and where it is drawn it is left out.

    Args:
        model: of this course's `next_item_transformer` or `next_item_rnn`; it keeps scoring the whole catalogue.
        proposal: q of the items 1..n_items, shape (n_items,), positive, sums to 1; None draws evenly. The draw has 32
            bits, so probabilities below a millionth are met only roughly.
        draws: how many.
        corrected: without the correction, to be compared with.
        seed: of the draws.

    Source: Bengio and Senécal, Adaptive Importance Sampling, IEEE Transactions on Neural Networks, 2008, section III.
    Where the targets of a batch are each other's negatives, the target is a draw too and is lowered as they are: Yi et
    al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019.
    """

    def __init__(self, model: keras.Model, proposal=None, draws: int = 256, corrected: bool = True, seed: int = 0):
        super().__init__(name=f"sampled_{model.name}")
        self.states = keras.Model(model.input, model.get_layer("final_norm").output)
        self.embedding = model.get_layer("item_embedding")
        n_items = self.embedding.input_dim - 1
        self.proposal = np.full(n_items, 1 / n_items) if proposal is None else np.asarray(proposal, "float64")
        if self.proposal.shape != (n_items,) or self.proposal.min() <= 0 or not np.isclose(self.proposal.sum(), 1):
            raise ValueError(f"proposal must be {n_items} positive numbers that sum to 1")
        self.draws, self.corrected = draws, corrected
        self.generator = keras.random.SeedGenerator(seed)
        self.ends = ops.convert_to_tensor(np.cumsum(self.proposal), "float32")
        expected = np.log(draws * self.proposal) if corrected else np.zeros(n_items)
        self.log_expected = ops.convert_to_tensor(expected, "float32")
        self.build(model.input_shape)

    def build(self, input_shape):
        self.built = True  # both parts are

    def call(self, items, training=False):
        return self.states(items, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Cross-entropy of the target among itself and the drawn items, mean over the positions that are no padding."""
        uniform = keras.random.uniform((self.draws,), seed=self.generator)
        drawn = 1 + ops.minimum(ops.searchsorted(self.ends, uniform, side="right"), len(self.proposal) - 1)
        drawn, y = ops.cast(drawn, "int32"), ops.cast(y, "int32")
        states = ops.cast(y_pred, "float32")
        table = ops.convert_to_tensor(self.embedding.embeddings)  # read once: after a sparse write a read copies it
        right = ops.sum(states * ops.take(table, y, axis=0), axis=-1)
        negatives = states @ ops.transpose(ops.take(table, drawn, axis=0)) - ops.take(self.log_expected, drawn - 1)
        negatives = ops.where(ops.equal(drawn, y[..., None]), -1e9, negatives)
        each = ops.logsumexp(ops.concatenate([right[..., None], negatives], axis=-1), axis=-1) - right
        real = ops.cast(ops.not_equal(y, PADDING), "float32")
        return ops.sum(each * real) / ops.sum(real)
