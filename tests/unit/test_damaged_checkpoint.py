"""A checkpoint that is damaged, crafted or of another run is refused in one line, and the model stays as it was."""

import io
import json
import os
import tracemalloc

import numpy as np
import pytest
from damage import archives, arrays_of, flipped, put
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_helpers.errors import CourseError
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import fit

X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
DATA = X, X @ np.array([[1.0], [2.0], [3.0]], "float32")


def model():
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    network.compile(keras.optimizers.Adam(0.01), "mse")
    return network


def train(folder, network, epochs=2, **changes):
    call = {"validate": lambda: {"figure": 0.5}, "monitor": "figure", "lines": 0, "checkpoint": folder} | changes
    return fit(network, DATA, epochs, **call)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """(the file, the weights that training ended with)."""
    folder, network = tmp_path_factory.mktemp("original"), model()
    train(folder, network)
    return (folder / "state.npz").read_bytes(), network.get_weights()


@pytest.fixture(scope="module")
def network():
    """One for all tests, since building one takes longest: who loads into it gives its weights back."""
    return model()


def refused_or_the_same(folder, content, original, network) -> bool:
    """Whether it was refused, in one line that names the file, and the model left alone; else it ends as it did."""
    path, before = put(folder / "state.npz", content), network.get_weights()
    try:
        log = train(folder, network)
    except CourseError as error:
        assert str(path) in str(error) and "delete it to train anew" in str(error) and "\n" not in str(error)
        assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), before, strict=True))
        assert path.read_bytes() == content
        return True
    assert len(log) == 2
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), original[1], strict=True))
    network.set_weights(before)
    return False


def sealed(arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: np.asarray(array) for name, array in arrays.items() if array is not None})
    return file.getvalue()


DAMAGE = archives("state_0")


@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_no_whole_file_is_refused(how, original, network, tmp_path):
    assert refused_or_the_same(tmp_path, DAMAGE[how](original[0]), original, network)


def written(**changes):
    """The text of the state with other settings or rows."""

    def changed(arrays):
        return {"state": json.dumps(json.loads(str(arrays["state"])) | changes)}

    return changed


def rows(change):
    def changed(arrays):
        state = json.loads(str(arrays["state"]))
        state["rows"] = change(state["rows"])
        return {"state": json.dumps(state)}

    return changed


def in_rows(**changes):
    return rows(lambda old: [{k: v for k, v in (row | changes).items() if v is not ...} for row in old])


CRAFTED = {
    "no state": lambda a: {"state": None},
    "a state of numbers": lambda a: {"state": np.arange(3)},
    "a state that is no JSON": lambda a: {"state": "{"},
    "a deep state": lambda a: {"state": "[" * 100_000},
    "a state that is a list": lambda a: {"state": "[1]"},
    "a state that is null": lambda a: {"state": "null"},
    "an empty state": lambda a: {"state": "{}"},
    "settings that are a list": written(settings=[1]),
    "settings that are a word": written(settings="x"),
    "settings of nothing": written(settings={}),
    "rows that are a number": written(rows=5),
    "rows that are a word": written(rows="abc"),
    "rows that are null": written(rows=None),
    "rows of numbers": written(rows=[1, 2]),
    "rows of nothing": written(rows=[{}, {}]),
    "too many rows": rows(lambda old: [*old, old[-1] | {"epoch": 3}]),
    "rows out of order": rows(lambda old: old[::-1]),
    "the same row twice": rows(lambda old: [old[0], old[0]]),
    "a row of another kind": rows(lambda old: [old[0], old[1] | {"more": 1.0}]),
    "columns in another order": rows(lambda old: [old[0], dict(reversed(old[1].items()))]),
    "a loss in words": in_rows(loss="low"),
    "no loss": in_rows(loss=...),
    "a loss that is none": in_rows(loss=float("nan")),
    "seconds in words": in_rows(seconds="long"),
    "a figure in words": in_rows(figure="high"),
    "another figure": in_rows(figure=..., other=0.5),
    "no figure": in_rows(figure=...),
    "a memory that is a list": in_rows(**{"peak memory, MB": [1]}),
    "an array too few": lambda a: {"state_0": None},
    "an array too much": lambda a: {"state_99": np.zeros(3)},
    "a foreign name": lambda a: {"weights": np.zeros(3)},
    "no best weights": lambda a: {"best_0": None, "best_1": None},
    "one best weight": lambda a: {"best_1": None},
    "best weights of another shape": lambda a: {"best_0": np.zeros((2, 1), "float32")},
    "best weights that broadcast": lambda a: {"best_0": np.zeros((1, 1), "float32")},
    "best weights that are none": lambda a: {"best_0": a["best_0"] * np.nan},
    "state of another shape": lambda a: {"state_1": a["state_1"].T},
    "state that broadcasts": lambda a: {"state_1": np.float32(1)},
    "state that is endless": lambda a: {"state_1": a["state_1"] + np.inf},
    "state in 64 bits": lambda a: {"state_1": a["state_1"].astype("float64")},
    "state in words": lambda a: {"state_1": a["state_1"].astype(str)},
}


@pytest.mark.parametrize("how", CRAFTED)
def test_what_is_crafted_is_refused(how, original, network, tmp_path):
    arrays = arrays_of(original[0])
    assert refused_or_the_same(tmp_path, sealed(arrays | CRAFTED[how](arrays)), original, network)


def test_the_order_of_the_arrays_means_nothing(original, network, tmp_path):
    arrays = arrays_of(original[0])
    assert not refused_or_the_same(tmp_path, sealed(dict(reversed(arrays.items()))), original, network)


@pytest.mark.parametrize("how", ["a bomb", "a header of 3 TB"])
def test_a_promise_takes_no_memory(how, original, network, tmp_path):
    content = DAMAGE[how](original[0])
    tracemalloc.start()
    assert refused_or_the_same(tmp_path, content, original, network)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(kind, network, tmp_path):
    path = tmp_path / "state.npz"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(CourseError, match=r"state\.npz is damaged"):
        train(tmp_path, network)


def test_epochs_that_were_not_validated_are_of_another_run(network, tmp_path):
    plain = {"validate": None, "monitor": None}
    train(tmp_path, network, 1, **plain)
    with pytest.raises(CourseError, match="of a run with another validation"):
        train(tmp_path, network, 2, monitor=None)
    assert len(train(tmp_path, network, 2, **plain)) == 2


@settings(max_examples=25)
@given(data=st.data())
def test_random_damage_never_gives_other_weights(original, network, tmp_path_factory, data):
    content = original[0]
    for _ in range(data.draw(st.integers(0, 3))):
        content = flipped(content, data.draw(st.integers(0, len(content) - 1)), 1 << data.draw(st.integers(0, 7)))
    content = content[: data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))]
    refused_or_the_same(tmp_path_factory.mktemp("random"), content, original, network)
