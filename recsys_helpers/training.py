"""One way to train everywhere: `fit` on top of Keras' own `model.fit`."""

import time
from collections.abc import Callable

import pandas as pd

from recsys_helpers.backend import keras


def fit(
    model: keras.Model,
    data,
    epochs: int,
    validate: Callable[[], dict[str, float]] | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    lines: int = 5,
    batch_size: int | None = None,
) -> pd.DataFrame:
    """Train a compiled model; keep the weights of the epoch that was best on validation.

    Args:
        model: compiled.
        data: a `keras.utils.PyDataset` of batches, or a pair of arrays (inputs, targets) and a `batch_size`.
        epochs: at most so many passes over the data.
        validate: called after each epoch; gives figures such as {"NDCG@10": 0.11}, higher is better.
        monitor: the figure that decides which epoch is best; the first of `validate` by default.
        patience: stop after so many epochs without a better figure; None trains all epochs.
        lines: how many lines to print over the whole training; 0 for silence.

    Returns:
        One row an epoch: loss, the validation figures, seconds since the start.
    """
    watch = _Watch(validate, monitor, patience, epochs, lines)
    inputs, targets = data if isinstance(data, tuple) else (data, None)
    model.fit(inputs, targets, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=[watch])
    return pd.DataFrame(watch.rows).set_index("epoch")


class _Watch(keras.callbacks.Callback):
    """Validates, remembers the best weights, prints few calm lines, and stops a training that went wrong."""

    def __init__(self, validate, monitor, patience, epochs, lines):
        super().__init__()
        self.validate, self.monitor, self.patience, self.epochs = validate, monitor, patience, epochs
        self.every = max(1, -(-epochs // lines)) if lines else 0
        self.rows, self.best, self.best_epoch, self.best_weights = [], float("-inf"), 0, None

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        epoch += 1
        loss = logs["loss"]
        if loss != loss:
            raise FloatingPointError(
                f"the loss is NaN in epoch {epoch}; try a tenth of the learning rate, or clip gradients"
            )
        figures = self.validate() if self.validate else {}
        seconds = time.perf_counter() - self.start
        self.rows.append({"epoch": epoch, "loss": loss, **figures, "seconds": seconds})
        if figures:
            value = figures[self.monitor or next(iter(figures))]
            if value > self.best:
                self.best, self.best_epoch, self.best_weights = value, epoch, self.model.get_weights()
            elif self.patience is not None and epoch - self.best_epoch >= self.patience:
                self.model.stop_training = True
        if self.every and (epoch % self.every == 0 or epoch == self.epochs or self.model.stop_training):
            text = "".join(f", {name} {value:.3f}" for name, value in figures.items())
            print(f"epoch {epoch} of {self.epochs}: loss {loss:.3f}{text}, {seconds:.0f} s", flush=True)

    def on_train_end(self, logs=None):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
