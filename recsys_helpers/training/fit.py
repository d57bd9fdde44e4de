"""One way to train everywhere: `fit` on top of Keras' own `model.fit`, on the devices that `on_device` finds::

    from recsys_helpers.training.fit import fit, on_device

    with on_device():  # one CPU, one GPU, several GPUs, several processes: the same lines
        model = ...
        model.compile(...)
    log = fit(model, data, epochs=20, checkpoint="runs/first")

The log has a row for each epoch; a run that was killed goes on from its checkpoint.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from recsys_helpers.arrays import read_arrays, write_arrays
from recsys_helpers.errors import CourseError
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fingerprint import fingerprint, structure

COLUMNS = {"epoch", "loss", "seconds", "rows per second", "peak memory, MB"}  # of the log; figures come in between


@contextmanager
def on_device():
    """Build and compile a model in this block, and `fit` trains it on every device that Keras' backend sees.

    - Numbers: float32 on a CPU. A GPU computes in bfloat16 (from compute capability 8 on) or float16, with weights and
      losses in float32; the layer of the logits has to be given `dtype="float32"`.
    - Several GPUs: each takes its share of every batch (MirroredStrategy on TensorFlow, DataParallel on JAX). On
      TensorFlow the loss is the mean over the shares, so padding makes it differ a little from that of one device.
    - Several processes: JAX, with KERAS_DISTRIBUTION_JOB_ADDRESSES, _NUM_PROCESSES and _PROCESS_ID in the environment
      (see `keras.distribution.initialize`), and the same seed in all.
    - XLA is chosen by `compile(jit_compile="auto")`: on for a GPU; off for a CPU, where it was slower, for several GPUs
      on TensorFlow, and for an LSTM or GRU on cuDNN's kernels, which it would take away.
    """
    policy = keras.config.dtype_policy()
    with _all_devices():
        gpu = _compute_capability()
        name = "float32" if gpu is None else "mixed_bfloat16" if gpu >= (8, 0) else "mixed_float16"
        keras.config.set_dtype_policy(name)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(policy)


class EpochData(keras.utils.PyDataset):
    """Batches drawn anew each epoch that depend on nothing but the seed and the number of the epoch.

    A subclass draws with `self.random` in `on_epoch_end`, which Keras calls, and ends its `__init__` with `go_to(0)`.
    Where to read all batches is slow, it has a `fingerprint` of its own.
    Keras visits the batches in an order of its own, unless `in_order` says that jumping about costs reading anew.
    """

    in_order = False

    def __init__(self, seed: int | None):
        super().__init__()
        self.seed = seed

    def go_to(self, epoch: int) -> None:
        """Draw the batches of this epoch, whatever was drawn before; the first epoch is 0."""
        self.random = np.random.default_rng(self.seed)
        for _ in range(epoch + 1):
            self.on_epoch_end()

    def fingerprint(self) -> str:
        """A digest of the seed and of all batches of the first epoch: a checkpoint knows its data by it."""
        self.go_to(0)
        return fingerprint(self.seed, [fingerprint(self[index]) for index in range(len(self))])


class Rows(EpochData):
    """Shuffled batches of a pair of arrays; the inputs may be a dict of arrays."""

    def __init__(self, inputs, targets, batch_size: int = 32, seed: int = 0):
        super().__init__(seed)
        self.arrays, self.batch_size = (inputs, targets), batch_size
        self.go_to(0)

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.arrays[1]))

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index: int):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda array: array[rows], self.arrays)


def fit(
    model: keras.Model,
    data,
    epochs: int,
    validate: Callable[[], dict[str, float]] | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    lines: int = 5,
    batch_size: int | None = None,
    checkpoint: str | Path | None = None,
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
        checkpoint: a folder (one that all processes see) for the whole state after each epoch. Called again with the
            same arguments, a killed run goes on from there and ends with the weights of an unbroken one, and a
            finished run returns at once; more `epochs` train it further. The data has to be `EpochData` or arrays.

    With an optimizer that averages weights (`use_ema=True`), it is the averages that are validated and kept.

    Returns:
        One row an epoch: loss, the validation figures, seconds since the start, rows trained per second (the first
        epoch compiles, too), and peak memory in MB so far, of the GPU if there is one, else of the process.

    Raises:
        CourseError: out of memory; an output of 16 bits; a checkpoint that is damaged or of another run.
        FloatingPointError: the loss became NaN or infinite.
    """
    if any(str(output.dtype).endswith("float16") for output in getattr(model, "outputs", None) or []):
        raise CourseError("the model's output has 16 bits, too few to rank by; end it with a layer of dtype='float32'")
    if keras.backend.backend() == "tensorflow" and _compute_capability() and model.steps_per_execution == 1:
        model.steps_per_execution, model.train_function = 16, None  # a GPU would wait for Python after each step
    shares = _shares(model)
    shuffle = not checkpoint and shares == 1  # Keras draws from a global state, which can be neither resumed nor shared
    shuffle = shuffle and not getattr(data, "in_order", False)
    if isinstance(data, tuple) and not shuffle:
        data = Rows(*data, batch_size=batch_size or 32)
    run = _Run(validate, monitor, patience, epochs, lines)
    if checkpoint:
        run.resume(Path(checkpoint) / "state.npz", model, data)
    inputs, targets = data if isinstance(data, tuple) else (_Share(data, shares) if shares > 1 else data, None)
    span = {"initial_epoch": len(run.rows), "epochs": len(run.rows) if run.stopped else epochs}
    try:
        model.fit(inputs, targets, batch_size=batch_size, shuffle=shuffle, verbose=0, callbacks=[run], **span)
    except Exception as error:
        if told := re.search("^CourseError: (.+)", str(error), re.MULTILINE):  # TensorFlow makes data's errors text
            raise CourseError(told[1]) from error
        if not _out_of_memory(error):
            raise
        size = getattr(data, "batch_size", batch_size) or 32
        raise CourseError(
            f"out of memory with batches of {size}; try batches of {max(1, size // 2)}, shorter windows, or mixed "
            "precision on a GPU (build the model in on_device())"
        ) from error
    return pd.DataFrame(run.rows).set_index("epoch")


class _Run(keras.callbacks.Callback):
    """Validates, remembers the best weights, prints few calm lines, saves the state, stops what went wrong."""

    def __init__(self, validate, monitor, patience, epochs, lines):
        super().__init__()
        self.validate, self.monitor, self.patience, self.epochs = validate, monitor, patience, epochs
        self.leads = _process()[0] == 0  # of several processes, one prints and saves
        self.every = max(1, -(-epochs // lines)) if lines and self.leads else 0
        self.rows, self.best_weights, self.path, self.saved = [], None, None, None

    @property
    def best_epoch(self) -> int:
        figure = self.monitor or list(self.rows[0])[2]  # the first after epoch and loss
        return 1 + int(np.argmax(np.nan_to_num([row[figure] for row in self.rows], nan=-np.inf)))

    @property
    def stopped(self) -> bool:
        waits = self.validate and self.patience is not None and self.rows
        return bool(waits) and len(self.rows) - self.best_epoch >= max(1, self.patience)

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter() - (self.rows[-1]["seconds"] if self.rows else 0)
        if self.saved:
            variables, weights = self._variables(), self.model.weights if self._has_figures() else []
            into = {f"state_{i}": v for i, v in enumerate(variables)} | {f"best_{i}": w for i, w in enumerate(weights)}
            if into.keys() != self.saved.keys() or not all(_fits(self.saved[name], into[name]) for name in into):
                raise self._damaged()
            for number, variable in enumerate(variables):
                variable.assign(self.saved[f"state_{number}"])
            self.best_weights = [self.saved[f"best_{i}"] for i in range(len(weights))] or None
        elif self.path and self.leads:
            self._save()  # the initial weights are a draw, too; and a folder that takes no file shows before training

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        epoch, loss = epoch + 1, logs["loss"]
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} in epoch {epoch}; try a tenth of the learning rate, or clip gradients"
            )
        count = keras.ops.convert_to_numpy(self.model.metrics[0].count)  # the mean of the loss is weighted by rows
        speed = float(count) / (time.perf_counter() - self.epoch_start)
        self._swap_averages()
        figures = {name: float(value) for name, value in self.validate().items()} if self.validate else {}
        seconds = time.perf_counter() - self.start
        row = {"epoch": epoch, "loss": loss, **figures, "seconds": seconds}
        self.rows.append(row | {"rows per second": speed, "peak memory, MB": _peak_memory()})
        if figures and self.best_epoch == epoch:
            self.best_weights = self.model.get_weights()
        self._swap_averages()
        self.model.stop_training = self.stopped
        if self.every and (epoch % self.every == 0 or epoch == self.epochs or self.stopped):
            text = "".join(f", {name} {value:.3f}" for name, value in figures.items())
            print(f"epoch {epoch} of {self.epochs}: loss {loss:.3f}{text}, {seconds:.0f} s", flush=True)
        if self.path and self.leads:
            try:
                self._save()
            except CourseError as error:  # the training is worth more than its copy
                print(f"{error}; the earlier checkpoint stands, training goes on", flush=True)

    def _swap_averages(self) -> None:
        """Put the optimizer's running means of the weights, if it keeps any, in the place of the weights, and back."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)  # float16 scales the loss
        if optimizer.use_ema:
            means = optimizer._model_variables_moving_average
            for weight, mean in zip(self.model.trainable_variables, means, strict=True):
                kept = keras.ops.convert_to_numpy(weight)
                weight.assign(mean)
                mean.assign(kept)

    def on_train_end(self, logs=None):
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def resume(self, path: Path, model: keras.Model, data) -> None:
        """Read the state of an earlier call, if there is one and it is of this run; bring the data to its epoch."""
        if not isinstance(data, EpochData) or not model.built:
            raise CourseError("a checkpoint needs data derived from EpochData, and a model with an Input")
        self.path, self.settings = path, _settings(model, data) | {"monitor": self.monitor, "patience": self.patience}
        if path.exists():
            try:  # the file's checksums find damage
                self.saved = read_arrays(path)
                state = json.loads(str(self.saved.pop("state")))
                settings, self.rows = dict(state["settings"]), list(state["rows"])
            except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                raise self._damaged() from error
            if not _is_log(self.rows):
                raise self._damaged()
            other = [name for name, value in self.settings.items() if settings.get(name) != value]
            other += ["number of epochs"] * (len(self.rows) > self.epochs)
            other += ["validation"] * (bool(self.rows) and self._has_figures() != bool(self.validate))
            if other:
                names = ", ".join(other)
                raise CourseError(f"the checkpoint {path} is of a run with another {names}; delete it to train anew")
            if self.monitor and self.rows and self.monitor not in self.rows[0]:
                raise self._damaged()
            if self.every and self.rows:
                print(f"epochs 1 to {len(self.rows)} were trained before: {path}", flush=True)
        data.go_to(len(self.rows))

    def _save(self) -> None:
        """The new state takes the place of the old one only when it lies safely on the disk."""
        arrays = {f"state_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best_{i}": weight for i, weight in enumerate(self.best_weights or [])}
        arrays["state"] = np.array(json.dumps({"settings": self.settings, "rows": self.rows}))
        try:
            write_arrays(self.path, arrays)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", error)
            raise CourseError(f"the checkpoint {self.path} could not be written ({reason})") from error

    def _damaged(self) -> CourseError:
        return CourseError(f"the checkpoint {self.path} is damaged; delete it to train anew")

    def _has_figures(self) -> bool:
        """Whether the epochs so far were validated."""
        return bool(self.rows) and len(self.rows[0]) > len(COLUMNS)

    def _variables(self) -> list:
        """The weights, the random state of dropout, and what the optimizer remembers."""
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *self.model.optimizer.variables]


def _is_log(rows: list) -> bool:
    """Whether these are the rows of epochs 1, 2, ..., all with the same columns, and numbers in them."""
    if not all(isinstance(row, dict) and row.keys() >= COLUMNS and list(row) == list(rows[0]) for row in rows):
        return False
    numbers = all(type(value) in (int, float) for row in rows for value in row.values())
    in_order = numbers and [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    return in_order and bool(np.isfinite([row[name] for row in rows for name in COLUMNS]).all())


def _fits(array: np.ndarray, variable) -> bool:
    """Whether this can have been a value of the variable; what is no number, or endless, ended the training."""
    known = keras.backend.standardize_dtype(variable.dtype)
    return array.shape == tuple(variable.shape) and array.dtype == known and bool(np.isfinite(array).all())


def _settings(model: keras.Model, data) -> dict[str, str]:
    """Fingerprints of what a run is made of."""
    try:
        compiled = model.get_compile_config()
    except NotImplementedError as error:
        raise CourseError("a checkpoint needs a loss and an optimizer that have `get_config`") from error
    return {
        "model": fingerprint(structure(model)),
        "optimizer or loss": fingerprint(compiled, model.loss),
        "data or seed": data.fingerprint(),
    }


class _Share(keras.utils.PyDataset):
    """This process's rows of every batch; a batch that cannot be shared evenly repeats its first rows."""

    def __init__(self, data, shares: int):
        super().__init__()
        self.data, self.shares = data, shares
        self.on_epoch_begin, self.on_epoch_end = data.on_epoch_begin, data.on_epoch_end

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int):
        batch, (process, processes) = self.data[index], _process()
        size = len(keras.tree.flatten(batch)[0])
        rows = np.resize(np.arange(size), -(-size // self.shares) * self.shares)[process::processes]
        return keras.tree.map_structure(lambda array: array[rows], batch)


def _process() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def _shares(model: keras.Model) -> int:
    """Among how many devices a batch is divided."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return distribution.num_model_replicas if distribution else 1


def _all_devices():
    """The scope in which a model spreads over all devices; on JAX it is set for good, training needs it too."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy([device.name for device in devices]).scope()
    elif keras.backend.backend() == "jax" and keras.distribution.distribution() is None:
        if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
            keras.distribution.initialize()
        if keras.distribution.get_device_count() > 1:
            keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    return nullcontext()


def _compute_capability() -> tuple[int, int] | None:
    """Of the oldest GPU, such as (8, 0) for an A100; None without a GPU."""
    found = []
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
        found = [gpu.get("compute_capability", (0, 0)) for gpu in details]
    elif keras.backend.backend() == "jax":
        import jax

        found = [tuple(map(int, gpu.compute_capability.split("."))) for gpu in jax.devices() if gpu.platform == "gpu"]
    elif keras.backend.backend() == "torch":
        import torch

        found = list(map(torch.cuda.get_device_capability, range(torch.cuda.device_count())))
    return min(found, default=None)


def _peak_memory() -> float:
    """In MB; on a GPU what the backend took of its memory, else what the process took."""
    if not _compute_capability():
        return _peak_of_process() / 1e6
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    import jax

    return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6


def _peak_of_process() -> int:
    """In bytes, since the process started."""
    try:
        import resource
    except ImportError:  # Windows has none, and tells psutil the peak
        memory = psutil.Process().memory_info()
        return getattr(memory, "peak_wset", memory.rss)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _out_of_memory(error: Exception) -> bool:
    """Every backend has an exception of its own for it."""
    text = f"{type(error).__name__} {error}".lower()
    signs = ("resourceexhausted", "resource_exhausted", "outofmemory", "out of memory")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)
