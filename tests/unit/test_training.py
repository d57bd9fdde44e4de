import importlib.util
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import training_programs as programs
from hypothesis import given
from hypothesis import strategies as st

from recsys_helpers.errors import CourseError
from recsys_helpers.models import bert, next_item, two_towers
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import Rows, _Share, fit, on_device

FIT = "recsys_helpers.training.fit"  # the module; the name here is its function


def linear(learning_rate=0.05):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


def noisy(dropout=0.5, learning_rate=0.01):
    """A model with random state of its own, and an optimizer that remembers."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(dropout), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


@pytest.fixture
def data():
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    return x, x @ np.array([[1.0], [2.0], [3.0]], dtype="float32")


def start(name, *arguments, **environment):
    command = [sys.executable, programs.__file__, name, *map(str, arguments)]
    one_thread = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, env=os.environ | one_thread | environment, stdout=subprocess.PIPE, text=True)


def finish(process):
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


def changed_in_the_last_batch(values: np.ndarray, batch_size: int = 16) -> np.ndarray:
    """The same values but for one, which `Rows` of seed 0 brings last: the first batches are the same."""
    last = Rows(values, values, batch_size).order[-1]
    return np.where(np.arange(len(values))[:, None] == last, values + 1, values)


def arrays(path: Path) -> dict:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def same_weights(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_the_loss_falls_and_the_log_has_a_row_an_epoch(data, monkeypatch, capsys):
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)  # a second passes between two looks at it
    monkeypatch.setattr("recsys_helpers.training.fit.time", clock)
    log = fit(linear(), data, epochs=6, lines=3, batch_size=16)
    assert log.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert log["loss"].iloc[-1] < 0.2 * log["loss"].iloc[0]
    assert log["seconds"].tolist() == [3, 6, 9, 12, 15, 18], "from the start of training to the end of validation"
    assert log["rows per second"].tolist() == [64] * 6, "an epoch's rows, without its validation"
    printed = capsys.readouterr()
    lines = printed.out.split("\n")
    assert len(lines) == 4 and lines[2].startswith("epoch 6 of 6: loss") and lines[3] == printed.err == ""
    assert "\r" not in printed.out and "\b" not in printed.out and "\x1b" not in printed.out
    assert log["peak memory, MB"].between(100, 20_000).all() and log["peak memory, MB"].is_monotonic_increasing


def test_the_best_epoch_is_kept_and_patience_ends_it(data):
    model, seen = linear(), []

    def validate():
        seen.append(model.get_weights()[0].copy())
        return {"NDCG@10": [0.1, 0.5, 0.3, 0.2, 0.1, 0.1][len(seen) - 1]}

    log = fit(model, data, epochs=6, validate=validate, patience=2, lines=0)
    assert len(log) == 4
    assert np.array_equal(model.get_weights()[0], seen[1])


def test_a_diverging_training_stops_with_advice(data, tmp_path):
    with pytest.raises(FloatingPointError, match="learning rate"):
        fit(linear(learning_rate=1e20), data, epochs=9, lines=0, checkpoint=tmp_path)
    rows = json.loads(str(arrays(tmp_path / "state.npz")["state"]))["rows"]
    assert len(rows) < 9 and all(np.isfinite(row["loss"]) for row in rows)


def test_training_needs_nothing_that_windows_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    place = importlib.util.find_spec("recsys_helpers.training.fit")
    again = importlib.util.module_from_spec(place)
    place.loader.exec_module(again)  # a second copy, which cannot import it
    assert 100 < again._peak_of_process() / 1e6 < 20_000


@pytest.mark.parametrize("name", ["resource exhausted", "memory of Python", "jax"])
def test_out_of_memory_says_what_to_do(data, name):
    import tensorflow as tf

    errors = {
        "resource exhausted": tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        "memory of Python": MemoryError(),
        "jax": RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes"),
    }

    def loss(target, output):
        raise errors[name]

    model = linear()
    before = model.get_weights()
    model.compile("sgd", loss)
    with pytest.raises(CourseError, match=r"batches of 48; try batches of 24, shorter windows, or mixed precision"):
        fit(model, data, epochs=1, batch_size=48)
    assert np.array_equal(model.get_weights()[0], before[0])


def test_other_errors_stay_what_they_are(data):
    model = linear()
    model.compile("sgd", lambda target, output: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(model, data, epochs=1)


def test_an_interrupted_call_goes_on_with_the_same_objects(data, tmp_path, capsys):
    def validate():
        if len(told) == interrupted:
            raise KeyboardInterrupt
        told.append(0)
        return {"falling": -len(told), "rising": len(told)}

    settings = {"epochs": 5, "batch_size": 16, "validate": validate, "monitor": "rising"}
    told, interrupted, whole = [], None, noisy()
    unbroken = fit(whole, data, checkpoint=tmp_path / "whole", **settings)
    told, interrupted, model = [], 2, noisy()
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, checkpoint=tmp_path / "broken", **settings)
    interrupted = None
    capsys.readouterr()
    log = fit(model, data, checkpoint=tmp_path / "broken", **settings)
    assert capsys.readouterr().out.startswith("epochs 1 to 2 were trained before")
    assert log["loss"].tolist() == unbroken["loss"].tolist() and log["rising"].tolist() == [1, 2, 3, 4, 5]
    assert same_weights(model, whole) and log["seconds"].is_monotonic_increasing
    again = fit(noisy(), data, checkpoint=tmp_path / "broken", **settings)
    assert again.equals(log) and len(told) == 5  # finished: nothing was trained or validated


def test_more_epochs_train_a_finished_run_further(data, tmp_path):
    unbroken, model = noisy(), noisy()
    fit(unbroken, data, epochs=4, lines=0, checkpoint=tmp_path / "unbroken")
    fit(noisy(), data, epochs=2, lines=0, checkpoint=tmp_path / "two")
    log = fit(model, data, epochs=4, lines=0, checkpoint=tmp_path / "two")
    assert log.index.tolist() == [1, 2, 3, 4] and same_weights(model, unbroken)
    with pytest.raises(CourseError, match="number of epochs"):
        fit(model, data, epochs=3, lines=0, checkpoint=tmp_path / "two")


def test_a_run_that_patience_ended_is_finished(data, tmp_path):
    figures = iter([0.1, 0.5, 0.3])
    settings = {"epochs": 9, "patience": 1, "lines": 0, "checkpoint": tmp_path}
    model = noisy()
    log = fit(model, data, validate=lambda: {"NDCG@10": next(figures)}, **settings)
    other = noisy()
    again = fit(other, data, validate=lambda: {"NDCG@10": next(figures)}, **settings)
    assert len(log) == 3 and again.equals(log) and same_weights(model, other)


@pytest.mark.parametrize(
    "named, change",
    [
        ("model", {"model": lambda: noisy(dropout=0.4)}),
        ("optimizer or loss", {"model": lambda: noisy(learning_rate=0.02)}),
        ("data or seed", {"batch_size": 8}),
        ("data or seed", {"data": lambda x, y: (x + 1, y)}),
        ("data or seed", {"data": lambda x, y: (x, changed_in_the_last_batch(y))}),
        ("patience", {"patience": 3}),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(data, tmp_path, named, change):
    fit(noisy(), data, epochs=1, batch_size=16, lines=0, checkpoint=tmp_path)
    model = change.pop("model", noisy)()
    before = model.get_weights()
    with pytest.raises(CourseError, match=rf"state.npz is of a run with another {named}; delete it"):
        data = change.pop("data", lambda x, y: (x, y))(*data)
        fit(model, data, **{"epochs": 1, "batch_size": 16, "lines": 0, "checkpoint": tmp_path} | change)
    assert np.array_equal(model.get_weights()[0], before[0])


def test_a_model_without_a_config_is_resumed_and_known(tmp_path):
    """Lesson 03's towers hold tables of ratings, which Keras does not write into a config."""
    random = np.random.default_rng(0)
    ratings, features = random.normal(size=(8, 6)), random.normal(size=(8, 2))
    users, items = random.integers(0, 8, 40), random.integers(0, 6, 40)
    data = (users, items, np.zeros(40)), ratings[users, items]

    def towers(known=ratings, width=4):
        keras.utils.set_random_seed(0)
        model = two_towers.two_towers(known, features, features[:6], width)
        model.compile(keras.optimizers.Adam(1e-2), "mse")
        return model

    unbroken, model = towers(), towers()
    fit(unbroken, data, epochs=4, lines=0, checkpoint=tmp_path / "unbroken")
    fit(towers(), data, epochs=2, lines=0, checkpoint=tmp_path / "two")
    fit(model, data, epochs=4, lines=0, checkpoint=tmp_path / "two")
    assert same_weights(model, unbroken)
    for other in (towers(known=ratings + 1), towers(width=3)):
        with pytest.raises(CourseError, match="another model"):
            fit(other, data, epochs=4, lines=0, checkpoint=tmp_path / "two")


def test_a_loss_is_known_by_what_it_holds(tmp_path):
    def model(smoothing):
        built = programs.transformer()
        built.compile(keras.optimizers.SGD(0.1), next_item.next_item_loss(smoothing))
        return built

    fit(model(0.1), programs.windows(), epochs=1, lines=0, checkpoint=tmp_path)
    fit(model(0.1), programs.windows(), epochs=1, lines=0, checkpoint=tmp_path)
    with pytest.raises(CourseError, match="another optimizer or loss"):
        fit(model(0.2), programs.windows(), epochs=1, lines=0, checkpoint=tmp_path)


@pytest.mark.parametrize("damage", ["cut short", "one byte", "not ours", "empty"])
def test_a_damaged_checkpoint_is_named(data, tmp_path, damage):
    fit(noisy(), data, epochs=1, lines=0, checkpoint=tmp_path)
    path = tmp_path / "state.npz"
    good = path.read_bytes()
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    path.write_bytes({"cut short": good[:-100], "one byte": flipped, "not ours": b"hello", "empty": b""}[damage])
    model = noisy()
    before = model.get_weights()
    with pytest.raises(CourseError, match=r"state.npz is damaged; delete it"):
        fit(model, data, epochs=1, lines=0, checkpoint=tmp_path)
    assert np.array_equal(model.get_weights()[0], before[0])


def test_a_full_disk_loses_nothing(data, tmp_path, capsys):
    unbroken, model = noisy(), noisy()
    fit(unbroken, data, epochs=3, lines=0, checkpoint=tmp_path / "unbroken")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def validate():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # from now on no file may be longer than 100 bytes
        return {"rising": validate.figures.pop(0)}

    validate.figures = [1.0, 2.0, 3.0]
    try:
        fit(model, data, epochs=3, validate=validate, lines=0, checkpoint=tmp_path / "full")
        with pytest.raises(CourseError, match="could not be written"):
            fit(noisy(), data, epochs=3, lines=0, checkpoint=tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert same_weights(model, unbroken)
    assert capsys.readouterr().out.count("the earlier checkpoint stands, training goes on") == 3
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["state.npz"]
    later, validate.figures = noisy(), [1.0, 2.0, 3.0]
    fit(later, data, epochs=3, validate=lambda: {"rising": 1.0}, lines=0, checkpoint=tmp_path / "full")
    assert len(validate.figures) == 3 and np.isfinite(later.get_weights()[0]).all()


def test_a_checkpoint_needs_data_that_can_go_to_an_epoch(data, tmp_path):
    class Unknown(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return data

    with pytest.raises(CourseError, match="EpochData"):
        fit(noisy(), Unknown(), epochs=1, checkpoint=tmp_path)
    assert not any(tmp_path.iterdir())
    assert len(fit(noisy(), Unknown(), epochs=1, lines=0)) == 1


def batches_of(data) -> list:
    return [[np.asarray(part).tolist() for part in keras.tree.flatten(data[i])] for i in range(len(data))]


@pytest.mark.parametrize("kind", ["windows", "texts", "rows"])
def test_an_epoch_is_a_function_of_the_seed_and_its_number(kind):
    texts = ["x" * n for n in range(1, 40)]
    encoder = SimpleNamespace(
        token_ids=lambda texts: [[1] * len(bert) for bert in texts],
        batch=lambda ids, length: np.array([len(row) for row in ids]),
    )
    made = {
        "windows": programs.windows,
        "texts": lambda: bert.TextBatches(encoder, texts, np.arange(39), batch_size=4, seed=3),
        "rows": lambda: Rows({"a": np.arange(20)}, np.arange(20), batch_size=3, seed=3),
    }[kind]
    data, epochs = made(), []
    for _ in range(4):
        epochs.append(batches_of(data))
        data.on_epoch_end()
    assert epochs[0] != epochs[1] != epochs[2] != epochs[3]
    for number in (2, 0, 3):
        data.go_to(number)
        assert batches_of(data) == epochs[number] and batches_of(made()) == epochs[0]
    assert data.fingerprint() == made().fingerprint()


@given(size=st.integers(1, 40), processes=st.integers(1, 4), devices=st.integers(1, 3))
def test_processes_share_every_batch_evenly(size, processes, devices):
    rows = Rows(np.arange(size), np.arange(size), batch_size=size)
    with pytest.MonkeyPatch.context() as patch:
        parts = []
        for process in range(processes):
            patch.setattr(f"{FIT}._process", lambda process=process: (process, processes))
            parts.append(_Share(rows, processes * devices)[0][0].tolist())
    assert len({len(part) for part in parts}) == 1 and len(parts[0]) % devices == 0
    shared = [row for part in parts for row in part]
    assert set(shared) == set(range(size)) and len(shared) < size + processes * devices


@pytest.mark.parametrize(
    "gpu, policy",
    [(None, "float32"), ((7, 5), "mixed_float16"), ((8, 0), "mixed_bfloat16"), ((12, 0), "mixed_bfloat16")],
)
def test_precision_follows_the_device(monkeypatch, gpu, policy):
    monkeypatch.setattr(f"{FIT}._compute_capability", lambda: gpu)
    with pytest.raises(ZeroDivisionError), on_device():
        assert keras.config.dtype_policy().name == policy
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"


def test_the_settings_of_a_gpu_train_on_data_in_batches(monkeypatch):
    """Sixteen steps an execution and mixed precision, with a `PyDataset` of seven batches and our callback."""

    def model(last="float32"):
        keras.utils.set_random_seed(0)
        with on_device():
            layers = [keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1, dtype=last)]
            model = keras.Sequential(layers)
            model.compile("adam", "mse")
        return model

    x = np.random.default_rng(0).normal(size=(100, 3)).astype("float32")
    plain = fit(model(), Rows(x, x[:, :1], batch_size=16), epochs=3, lines=0)
    monkeypatch.setattr(f"{FIT}._compute_capability", lambda: (8, 0))
    monkeypatch.setattr(f"{FIT}._peak_memory", lambda: 1.0)
    mixed = model()
    log = fit(mixed, Rows(x, x[:, :1], batch_size=16), epochs=3, lines=0)
    assert mixed.steps_per_execution == 16 and int(mixed.optimizer.iterations) == 21
    assert mixed.layers[0].compute_dtype == "bfloat16" and mixed.get_weights()[0].dtype == "float32"
    assert np.allclose(log["loss"], plain["loss"], rtol=0.02) and not np.array_equal(log["loss"], plain["loss"])
    with pytest.raises(CourseError, match="dtype='float32'"):
        fit(model(last=None), (x, x[:, :1]), epochs=1)


def test_xla_is_off_on_a_processor():
    assert linear().jit_compile is False


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path):
    unbroken = start("with_checkpoint", tmp_path / "unbroken", tmp_path / "unbroken.npz")
    killed = start("with_checkpoint", tmp_path / "killed", tmp_path / "killed.npz", "hold")
    assert any(line.startswith("in the middle of epoch 3") for line in killed.stdout)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "killed.npz").exists()
    output = finish(start("with_checkpoint", tmp_path / "killed", tmp_path / "killed.npz"))
    assert output.startswith("epochs 1 to 2 were trained before") and "\r" not in output
    finish(unbroken)
    for name in ("unbroken.npz", "unbroken/state.npz"):  # best weights and losses; last weights, optimizer, dropout
        one, other = arrays(tmp_path / name), arrays(tmp_path / name.replace("unbroken", "killed"))
        one.pop("state", None)  # the history with its seconds
        assert len(one) > 20 and all(np.array_equal(one[key], other[key]) for key in one)


def test_two_devices_of_one_machine_give_the_losses_of_one(tmp_path):
    finish(start("two_devices", tmp_path / "state", tmp_path / "result.npz"))
    result = arrays(tmp_path / "result.npz")
    assert result["devices"] == 2
    assert np.allclose(result["both"], result["alone"], rtol=1e-5)
    assert result["alone"][-1] < result["alone"][0] - 0.1


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory):
    """Losses of `from_weights`: TensorFlow in this process, JAX in one process, JAX in two; and what was divided."""
    folder = tmp_path_factory.mktemp("jax")
    np.savez(folder / "weights.npz", *programs.transformer().get_weights())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    group = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    hasty = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiles in half the time
    settings = [{}, group | {"KERAS_DISTRIBUTION_PROCESS_ID": "0"}, group | {"KERAS_DISTRIBUTION_PROCESS_ID": "1"}]
    names, places = ["one", "first of two", "second of two"], ["one", "two", "two"]
    processes = [
        start("from_weights", folder / "weights.npz", folder / place, folder / f"{name}.npz", **hasty, **more)
        for name, place, more in zip(names, places, settings, strict=True)
    ]
    programs.from_weights(folder / "weights.npz", folder / "tensorflow", folder / "tensorflow.npz")
    outputs = [finish(process) for process in processes]
    return {name: arrays(folder / f"{name}.npz") for name in [*names, "tensorflow"]}, outputs


def test_two_processes_give_the_losses_of_one(on_jax):
    results, outputs = on_jax
    assert results["one"]["shares"] == 1 and results["first of two"]["shares"] == 2
    assert np.allclose(results["first of two"]["losses"], results["one"]["losses"], rtol=1e-5)
    assert np.array_equal(results["first of two"]["losses"], results["second of two"]["losses"])
    assert results["one"]["rows"] == results["first of two"]["rows"] == 210  # each row trained once, by one of the two
    assert ["epoch 2 of 2" in output for output in outputs] == [True, True, False]  # one of the two speaks


def test_tensorflow_and_jax_agree(on_jax):
    results, _ = on_jax
    assert np.allclose(results["tensorflow"]["losses"], results["one"]["losses"], atol=1e-3)
    assert results["one"]["losses"][1] < results["one"]["losses"][0]


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "with loss scaling, as under float16"])
def test_averaged_weights_are_validated_and_kept(data, scaled):
    model = linear()
    optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.999)
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer, "mse")
    seen = []

    def validate():
        seen.append(model.get_weights()[0].copy())
        return {"epochs": float(len(seen))}

    first = model.get_weights()[0].copy()
    log = fit(model, data, 3, validate, batch_size=8, lines=0)
    assert log["loss"].iloc[-1] < 0.1 * log["loss"].iloc[0]  # the weights themselves moved far
    assert 0 < np.abs(seen[-1] - first).max() < 0.5  # their mean, from the first step on, little
    assert np.allclose(model.get_weights()[0], seen[-1])
