"""The course's side of gpu.py: `python keras_side.py FUNCTION '{"argument": ...}'`; the last line printed is JSON."""

import json
import statistics
import sys
import time
from types import SimpleNamespace

import numpy as np

from recsys_helpers.errors import CourseError
from recsys_helpers.models.bert import fine_tuning_model
from recsys_helpers.models.next_item import next_item_loss
from recsys_helpers.models.recurrent import next_item_rnn
from recsys_helpers.models.self_attention import next_item_transformer
from recsys_helpers.scale.cost import multiply_adds
from recsys_helpers.training.backend import keras, keras_nlp
from recsys_helpers.training.fit import EpochData, _compute_capability, fit, on_device

ops = keras.ops


def machine() -> dict:
    """The GPU that Keras' backend sees, None without one, the backend, and versions."""
    return {
        "card": _card(),
        "backend": keras.backend.backend(),
        "version": _backend().__version__,
        "keras": keras.__version__,
    }


def _backend():
    return __import__(keras.backend.backend())


def _card() -> str | None:
    if not _compute_capability():
        return None
    if keras.backend.backend() == "tensorflow":
        config = _backend().config
        return config.experimental.get_device_details(config.list_physical_devices("GPU")[0])["device_name"]
    return (
        _backend().devices()[0].device_kind if keras.backend.backend() == "jax" else _backend().cuda.get_device_name()
    )


def build(case: str, size: dict, dropout: float | None = None) -> keras.Model:
    """The course's model of this case, with its own dropout unless it is given."""
    change = {} if dropout is None else {"dropout": dropout}
    if case == "BERT":
        names = {"vocabulary_size": "items", "num_layers": "blocks", "num_heads": "heads", "hidden_dim": "width"}
        shape = {keyword: size[name] for keyword, name in names.items()} | {"intermediate_dim": size["inner"]}
        backbone = keras_nlp.models.BertBackbone(**shape, **change)
        return fine_tuning_model(SimpleNamespace(backbone=backbone), size["classes"], frozen_blocks=0, **change)
    if case == "self-attention":
        shape = (size[name] for name in ("items", "length", "width", "blocks", "heads"))
        return next_item_transformer(*shape, **change)
    return next_item_rnn(size["items"], case, size["width"], size["units"], **change)


def loss_of(case: str):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True) if case == "BERT" else next_item_loss()


class Repeated(EpochData):
    """One random batch, again and again: (batch, length) without padding."""

    def __init__(self, case: str, size: dict, batch: int, steps: int):
        super().__init__(7)
        self.batch_size, self.steps = batch, steps
        draw = np.random.default_rng(7).integers
        items = draw(1, size["items"], (batch, size["length"]), dtype="int32")
        self.batch = items, draw(1, size["items"] + 1, items.shape, dtype="int32")
        if case == "BERT":
            inputs = {"token_ids": items, "segment_ids": np.zeros_like(items), "padding_mask": np.ones_like(items)}
            self.batch = inputs, draw(0, size["classes"], batch, dtype="int32")

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int):
        return self.batch


def speed(case: str, size: dict, batch: int, steps: int, rounds: int) -> dict:
    """Train as the lessons do; the first epoch compiles and is not counted.

    Returns: windows per second of each round, parameters, multiply-adds of a forward pass, peak memory in MB.
    """
    keras.utils.set_random_seed(7)
    with on_device():
        model = build(case, size)
        model.compile(keras.optimizers.Adam(1e-3), loss_of(case))
    log = fit(model, Repeated(case, size, batch, steps), rounds + 1, lines=0)
    counts = {"parameters": model.count_params(), "multiply_adds": multiply_adds(model, batch, size["length"])}
    return {
        "windows per second": log["rows per second"].tolist()[1:],
        **counts,
        "MB": float(log["peak memory, MB"].iloc[-1]),
    }


def rates(edge: int, numbers: int, times: int = 20, rounds: int = 5) -> dict:
    """The machine's matrix rate, (edge, edge) times itself in 16 bits, and the rate of reading and writing memory.

    Without a GPU the matrices have 32 bits. Numbers are random: a card is faster with zeros.
    """
    dtype = "bfloat16" if _card() else "float32"
    matrix = keras.random.normal((edge, edge), stddev=edge**-0.5, dtype=dtype, seed=7)
    product = _seconds(lambda x: ops.matmul(matrix, x), matrix, times, rounds)
    copy = _seconds(lambda x: x + 1, ops.zeros((numbers // 1024, 1024), "float32"), times, rounds)
    return {"TFLOP/s": 2 * edge**3 / product / 1e12, "GB/s": 2 * 4 * numbers / copy / 1e9, "matrices": dtype}


def _seconds(function, x, times: int, rounds: int) -> float:
    """Median seconds of a call, each on the result of the one before; a number read at the end waits for all."""
    found = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for _ in range(times):
            x = function(x)
        float(ops.convert_to_numpy(x[0, 0]))
        found.append((time.perf_counter() - start) / times)
    return statistics.median(found[1:])


if __name__ == "__main__":
    try:
        print(json.dumps({"machine": machine, "speed": speed, "rates": rates}[sys.argv[1]](**json.loads(sys.argv[2]))))
    except CourseError as error:
        if "out of memory" not in str(error):
            raise
        print(json.dumps({"out of memory": True}))
