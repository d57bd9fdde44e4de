"""The command for a GPU, tried on a CPU with tiny sizes: its table, its arithmetic, what it does with failures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT
from recsys_helpers.training.backend import keras

BENCHMARKS = ROOT / "tests" / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import gpu  # noqa: E402
import keras_side  # noqa: E402

SIZE = gpu.TINY | {"blocks": 2}


def smoke(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """The command on JAX, optimising little."""
    hasty = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, BENCHMARKS / "gpu.py", "--smoke", "--seeds", "7", "--out", folder, *options]
    return subprocess.run(command, env=os.environ | hasty, capture_output=True, encoding="utf-8")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    return folder, smoke(folder)


def test_smoke_measures_every_part_and_writes_into_its_folder_alone(ran):
    folder, done = ran
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((folder / "bench_gpu.json").read_text())
    assert list(parts) == ["models", "throughput", "limits"] and not any(part["failed"] for part in parts.values())
    assert all(part["machine"]["backend"] == "jax" for part in parts.values())
    assert [row["model"] for row in parts["models"]["rows"]] == ["popularity", "matrix factorisation"]
    assert [row["model"] for row in parts["throughput"]["rows"]] == ["self-attention", "BERT"]
    text = (folder / "bench_gpu.md").read_text()
    assert text in done.stdout and "Failed" not in text and "Not measured" not in text
    assert "Largest batch of the large self-attention: at least 8 windows." in text


def test_the_arithmetic_of_the_table(ran):
    folder, _ = ran
    parts = json.loads((folder / "bench_gpu.json").read_text())
    rows, rates = parts["throughput"]["rows"], parts["limits"]
    lines = [line for line in (folder / "bench_gpu.md").read_text().splitlines() if "| tiny |" in line]
    for row, line in zip(rows, lines, strict=True):
        (run,) = (json.loads(path.read_text())["found"] for path in folder.glob(f"kept/*{row['model']}*-keras-1.json"))
        assert row["windows/s"] == np.median(run["windows per second"]) and row["parameters"] == run["parameters"]
        seconds = row["batch"] / row["windows/s"]
        assert row["TFLOP/s"] == pytest.approx(6 * run["multiply_adds"] / seconds / 1e12)
        cells = [cell.strip() for cell in line.split("|")]
        assert cells[6] == f"{row['TFLOP/s'] / rates['TFLOP/s']:.1%}"
        assert cells[8] == f"{row['GB/s'] / rates['GB/s']:.1%}"
    assert 0 < rates["TFLOP/s"] < 100 and 0 < rates["GB/s"] < 2000
    # items 0..30 of 8 numbers, 6 positions, a block of attention and two layers, and 3 norms; 8 passes of 4 bytes
    parameters = 31 * 8 + 6 * 8 + 4 * (64 + 8) + 2 * (64 + 8) + 3 * 16
    assert rows[0]["parameters"] == parameters
    assert gpu.least_bytes("self-attention", gpu.TINY, 8, parameters) == 32 * parameters + 10 * 8 * 6 * 31
    assert gpu.least_bytes("BERT", gpu.TINY, 8, 1000) == 32_000


def test_what_is_kept_is_not_measured_again_unless_the_program_or_the_machine_changed(ran, monkeypatch):
    folder, _ = ran
    called = []
    monkeypatch.setattr(gpu, "call", lambda *arguments, **more: called.append(arguments[:2]) or {"new": True})
    *_, machine, sources = json.loads((folder / "kept" / "limits-rates.json").read_text())["key"]
    bench = gpu.Bench(folder, True, [7], machine)

    def rates(edge=256):
        return bench.kept("limits-rates", "keras", "rates", edge=edge, numbers=2**20)

    bench.sources = sources
    assert rates()["TFLOP/s"] > 0 and not called
    bench.sources = "changed"
    assert rates() == {"new": True} and rates() == {"new": True} and len(called) == 1
    bench.machine = machine | {"card": "another"}
    assert rates() and len(called) == 2
    assert rates(edge=512) and len(called) == 3


def test_a_broken_part_is_named_the_others_go_on(tmp_path, monkeypatch, capsys):
    machine = {"card": "Card", "backend": "jax", "version": "1", "keras": "3"}
    rates = {"TFLOP/s": 2.0, "GB/s": 100.0, "matrices": "bfloat16"}
    monkeypatch.setattr(gpu, "find_machine", lambda *_: machine)
    monkeypatch.setattr(gpu, "models", lambda bench: 1 / 0)
    run = {"windows per second": [4.0], "parameters": 9, "multiply_adds": 10**10, "MB": 1}

    def call(side, function, log, **arguments):
        if arguments.get("case") == "BERT":
            raise CourseError("BERT is broken")
        return rates if function == "rates" else run

    monkeypatch.setattr(gpu, "call", call)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        CourseError, match=r"2 failed: models: ZeroDivisionError.*; throughput: BERT, tiny: BERT is broken"
    ):
        gpu.main(seeds="7", out=tmp_path, smoke=True)
    text = capsys.readouterr().out
    assert "Failed: models: ZeroDivisionError" in text and "Failed: throughput: BERT, tiny: BERT is broken" in text
    assert "| self-attention | tiny | 8 x 6 | 4 | 0.03 | 1.5% |" in text and gpu.NOT_THERE in text
    assert "Measured on Card with Keras 3 on jax 1." in text


def test_beside_pytorch_the_batch_is_halved_until_both_fit(tmp_path, monkeypatch):
    def call(side, function, log, batch, **arguments):
        if batch > (8 if side == "keras" else 4):
            return {"out of memory": True}
        speeds = [1.0, 60.0, 3.0] if side == "keras" else [2.0, 2.0, 2.0]
        return {"windows per second": speeds, "parameters": sizes[side], "multiply_adds": 1, "MB": 1, "version": "2.13"}

    monkeypatch.setattr(gpu, "call", call)
    sizes = {"keras": 7, "torch": 7}
    row = gpu.beside(gpu.Bench(tmp_path, False, [7], {}), True, "GRU", "large", gpu.TINY, 16, 1)
    assert row["batch"] == 4 and row["windows/s"] == 3 and row["ratio"] == 1.5 and row["PyTorch"] == "2.13"
    assert len(list(tmp_path.glob("kept/*-4-*.json"))) == 2 * gpu.TURNS
    sizes["torch"] = 8
    with pytest.raises(CourseError, match=r"numbers of parameters are \{'keras': 7, 'torch': 8\}"):
        gpu.beside(gpu.Bench(tmp_path / "new", False, [7], {}), True, "GRU", "large", gpu.TINY, 16, 1)


@pytest.mark.parametrize("limit", [0, 1, 3, 7, 8, 100, 129])
def test_the_largest_batch_is_found_to_an_eighth(limit):
    tried = []
    found = gpu.largest(lambda batch: tried.append(batch) or batch <= limit, start=8, cap=128)
    assert len(tried) == len(set(tried)) and max(tried) <= 128
    assert found == 128 if limit > 128 else limit - max(1, limit // 8) <= found <= limit


@pytest.mark.parametrize("wrong", [{"part": ["model"]}, {"seeds": "7;8"}])
def test_a_wrong_option_is_told(wrong, tmp_path):
    with pytest.raises(CourseError, match="parts are models, throughput, limits, report; seeds are whole numbers"):
        gpu.main(**{"seeds": "7", "out": tmp_path} | wrong)


def test_without_a_gpu_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.setattr(gpu, "call", lambda *_: {"card": os.environ["KERAS_BACKEND"] == sees})
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: name != "tensorflow")
    sees = "torch"
    assert gpu.find_machine(tmp_path, smoke=False) == {"card": True} and os.environ["KERAS_BACKEND"] == "torch"
    os.environ["KERAS_BACKEND"], sees = "", None
    with pytest.raises(CourseError, match="no GPU is seen by jax or torch; to try the command: --smoke"):
        gpu.find_machine(tmp_path, smoke=False)


@pytest.mark.parametrize("case", ["self-attention", "GRU", "LSTM", "BERT"])
def test_pytorch_has_the_same_model(case):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    import torch_side

    ours, theirs = keras_side.build(case, SIZE, dropout=0.0), torch_side.build(case, SIZE, dropout=0.0)
    rng = np.random.default_rng(3)
    ours.set_weights([w + rng.normal(0, 0.1, w.shape) for w in ours.get_weights()])  # no bias is 0, no norm 1
    torch_side.copy(theirs, ours.get_weights())
    assert torch_side.parameters(theirs) == ours.count_params()
    inputs, target = keras_side.Repeated(case, SIZE, 8, 1)[0]
    if case == "BERT":
        inputs["padding_mask"][:4, 3:] = 0
    else:
        inputs[:4, 3:] = target[:4, 3:] = 0
    with torch.no_grad():
        arrays = [torch.from_numpy(x.astype("int64")) for x in [*keras.tree.flatten(inputs), target]]
        names = ["padding_mask", "segment_ids", "token_ids"] if case == "BERT" else ["items"]
        loss = theirs.loss(**dict(zip([*names, "target"], arrays, strict=True)))
    expected = keras_side.loss_of(case)(target, ours(inputs, training=False))
    assert float(loss) == pytest.approx(float(keras.ops.convert_to_numpy(expected)), abs=1e-3)
    found = torch_side.speed(case, SIZE, batch=8, steps=2, rounds=3, compile=False)
    assert len(found["windows per second"]) == 3 and found["parameters"] == ours.count_params()
