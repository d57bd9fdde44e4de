"""One recipe for networks that rank items: choose the epoch on the validation items, then train anew with them."""

from typing import ClassVar, Self

import numpy as np

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.splits import target_position
from recsys_helpers.evaluation.ranks import ndcg, target_ranks
from recsys_helpers.models.base import Model, requests_of
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import EpochData, fit
from recsys_helpers.training.profiles import by_profile


class Network(Model):
    """A model whose weights are trained by Keras.

    A subclass says what is trained (`compiled`), on what (`data`), and which arrays are kept of it (`read`).

    Args:
        profile: how much to train. seed: of the weights' start and of the batches.
        steps: train for so many batches instead of choosing the epoch; rounded up to whole epochs.
    """

    epochs: ClassVar[dict[str, int]]  # at most so many, by profile
    patience: ClassVar[int]  # epochs without a better one

    def __init__(self, profile: str = "quick", seed: int = 7, steps: int | None = None):
        self.profile, self.seed, self.steps = profile, seed, steps

    def compiled(self, log: EventLog) -> keras.Model:
        """A compiled network whose weights start as `seed` draws them."""
        raise NotImplementedError

    def data(self, log: EventLog, part: str) -> EpochData:
        """Batches of what is known before `part`."""
        raise NotImplementedError

    def read(self, network: keras.Model) -> None:
        """Keep what `scores` needs of the network as it stands."""
        raise NotImplementedError

    def fit(self, log: EventLog, part: str = "test") -> Self:
        if self.steps:
            data = self.data(log, part)
            return self._train(log, data, -(-self.steps // len(data)), lines=2)
        target_position(part)  # one that does not exist is refused before the first epoch
        asked, best = requests_of(log, "validation"), log.split.target("validation")
        network = self.compiled(log)

        def validate() -> dict[str, float]:
            self.read(network)
            ranks = target_ranks(self.scores(asked), log.split.history("validation"), best)
            return {"NDCG@10": float(ndcg(ranks).mean())}

        epochs = by_profile(self.profile, **self.epochs)
        figures = fit(network, self.data(log, "validation"), epochs, validate, patience=self.patience, lines=0)
        if part == "test":
            return self._train(log, self.data(log, "test"), int(figures["NDCG@10"].idxmax()), lines=0)
        return self._keep(network)

    def _train(self, log: EventLog, data: EpochData, epochs: int, lines: int) -> Self:
        network = self.compiled(log)
        fit(network, data, epochs, lines=lines)
        return self._keep(network)

    def _keep(self, network: keras.Model) -> Self:
        self.read(network)
        self.parameters_ = network.count_params()
        return self


def weights_of(network: keras.Model) -> list[np.ndarray]:
    """All weights as arrays of 32 bits, in the order of the network."""
    return [keras.ops.convert_to_numpy(weight).astype("float32") for weight in network.weights]
