"""Small trainings that test_training.py starts as processes: python training_programs.py NAME ARGUMENT..."""

import sys
import time

import numpy as np

from recsys_helpers.models import next_item, self_attention
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import _Run, _shares, fit, on_device

ITEMS, LENGTH = 20, 8


def windows(longest: int = 30) -> next_item.Windows:
    """210 windows of 64 users, so that two devices can share the last batch, too; with `longest` 9 none is padded."""
    rng = np.random.default_rng(3)
    histories = [rng.integers(1, ITEMS + 1, size=rng.integers(9, longest + 1)) for _ in range(64)]
    return next_item.Windows(histories, LENGTH, batch_size=16, seed=3)


def transformer(dropout: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(5)
    model = self_attention.next_item_transformer(ITEMS, LENGTH, width=16, dropout=dropout)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), next_item.next_item_loss())
    return model


def with_checkpoint(folder: str, result: str, hold: str = "") -> None:
    """Four epochs with dropout and validation; on request the third stands still after some steps, to be killed."""
    data, model = windows(), transformer(dropout=0.3)

    def stand_still(run, step, logs=None):
        if len(run.rows) == 2 and step == 3:
            print("in the middle of epoch 3", flush=True)
            time.sleep(600)

    if hold:
        _Run.on_train_batch_end = stand_still

    def validate() -> dict[str, float]:
        scores = next_item.next_item_scores(model, data.histories, LENGTH)
        return {"highest score": float(scores.max(axis=1).mean())}

    log = fit(model, data, epochs=4, validate=validate, checkpoint=folder)
    np.savez(result, *model.get_weights(), losses=log["loss"])


def two_devices(folder: str, result: str) -> None:
    """Two logical devices out of one processor, and one of them alone."""
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    one = transformer()
    alone = fit(one, windows(longest=9), epochs=3, lines=0, checkpoint=folder)
    with on_device():
        model = transformer()
    devices = model.distribute_strategy.num_replicas_in_sync
    both = fit(model, windows(longest=9), epochs=3, lines=0)
    np.savez(result, devices=devices, alone=alone["loss"], both=both["loss"])


def from_weights(weights: str, folder: str, result: str) -> None:
    """Any backend, any number of processes: two epochs from the given weights.

    With a checkpoint the batches come in the data's own order, the same in every process and on every backend.
    """
    with on_device(), np.load(weights) as file:
        model = transformer()
        model.set_weights([file[name] for name in file.files])
    log = fit(model, windows(), epochs=2, checkpoint=folder)
    np.savez(result, losses=log["loss"], shares=_shares(model), rows=float(model.metrics[0].count))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
