"""Caches are caches: what is damaged, foreign or cannot be written is computed again, and nothing half is kept."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from recsys_helpers.data import assets
from recsys_helpers.data.event_log import log_of
from recsys_helpers.data.interest_world import load_interest_world
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation import leaderboard
from recsys_helpers.models import bert
from recsys_helpers.models.base import Model, make

TEXTS = ["Jazz.", "I never read about cooking, only about black holes.", "我喜欢历史。"]


@pytest.fixture(scope="module")
def tiny():
    return bert.load_encoder("tiny")


@pytest.fixture(scope="module")
def expected(tiny):
    return tiny.encode(TEXTS, cache=False)


@pytest.fixture
def kept(tiny, expected, tmp_path, monkeypatch):
    """The file in which these vectors are kept."""
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    tiny.encode(TEXTS)
    (path,) = (tmp_path / "vectors").iterdir()
    return path


def with_arrays(path, **changes):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def packed(path):
    with np.load(path) as file:
        np.savez_compressed(path, **{name: file[name] for name in file.files})


def flipped(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def replaced_by_folder(path):
    path.unlink()
    path.mkdir()


def dangling(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere.npz")


VECTORS = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a flipped bit": flipped,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "text": lambda path: path.write_text("no file of ours"),
    "an empty archive": lambda path: zipfile.ZipFile(path, "w").close(),
    "one array alone": lambda path: np.save(path.open("wb"), np.ones((3, 128), "float32")),
    "packed": packed,
    "a pickle": lambda path: with_arrays(path, mean=np.array([{}], object)),
    "too few rows": lambda path: with_arrays(path, mean=np.ones((2, 128), "float32") / 128**0.5),
    "too wide": lambda path: with_arrays(path, mean=np.ones((3, 129), "float32") / 129**0.5),
    "one number": lambda path: with_arrays(path, mean=np.float32(1)),
    "not a number": lambda path: with_arrays(path, mean=np.full((3, 128), np.nan, "float32")),
    "zeros for vectors": lambda path: with_arrays(path, mean=np.zeros((3, 128), "float32")),
    "words": lambda path: with_arrays(path, mean=np.full((3, 128), "a")),
    "64 bits": lambda path: with_arrays(path, mean=np.ones((3, 128)) / 128**0.5),
    "one pooling only": lambda path: with_arrays(path, cls=None),
    "of other texts": lambda path: with_arrays(path, of=np.array("tiny-0123")),
    "without its name": lambda path: with_arrays(path, of=None),
    "a folder": replaced_by_folder,
    "a dangling link": dangling,
}


@pytest.mark.parametrize("damage", VECTORS)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_damaged_vectors_are_computed_again(tiny, expected, kept, damage, pooling, monkeypatch):
    VECTORS[damage](kept)
    assert np.allclose(tiny.encode(TEXTS, pooling), tiny.encode(TEXTS, pooling, cache=False), atol=1e-6)
    assert not list(kept.parent.glob(".*"))
    if damage != "a folder":  # in whose place nothing is kept
        monkeypatch.setattr(tiny, "_forward", lambda inputs: pytest.fail("encoded again"))
        assert np.array_equal(tiny.encode(TEXTS), expected)


@pytest.mark.parametrize("place", ["vectors", "."])
def test_vectors_that_cannot_be_kept_are_computed(tiny, expected, tmp_path, monkeypatch, place):
    home = tmp_path / "home"
    if place == "vectors":
        home.mkdir()
    (home / place).write_text("a file in the way")
    monkeypatch.setenv("RECSYS_HOME", str(home))
    assert np.array_equal(tiny.encode(TEXTS), expected)


def test_no_two_lists_of_texts_share_a_file(tiny):
    assert tiny._cache_path(["a\0b", "c"]) != tiny._cache_path(["a", "b\0c"])
    assert tiny._cache_path(["a", "b"]) != tiny._cache_path(["b", "a"])


def test_another_vocabulary_has_vectors_of_its_own(tiny, kept, monkeypatch):
    monkeypatch.setattr(tiny, "_words", "others")
    assert tiny._cache_path(TEXTS) != kept


WRITER = """
import sys
import numpy as np
from pathlib import Path
from recsys_helpers.arrays import read_arrays, write_arrays
for _ in range(60):
    write_arrays(sys.argv[1], {"all": np.full(50_000, int(sys.argv[2]))})
    assert len(set(read_arrays(sys.argv[1])["all"].tolist())) == 1
"""


def test_two_writers_of_one_file_of_arrays_never_meet(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "kept.npz")]
    writers = [subprocess.Popen([*command, number], stderr=subprocess.PIPE, text=True) for number in "12"]
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.npz"]


# --- The leaderboard --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log():
    world = load_interest_world()
    return log_of(replace(world, interactions=world.interactions[world.interactions["user_id"] <= 30]))


class Constant(Model):
    name = "constant"

    def fit(self, log, part="test"):
        self.items_ = np.zeros(log.split.n_items)
        return self

    def scores(self, requests):
        return np.tile(self.items_, (len(requests), 1))


class Other(Constant):
    name = "other"


def changed(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


OUTCOMES = {
    "cut short": lambda path: path.write_text(path.read_text()[:-30]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "a list": lambda path: path.write_text("[1, 2]"),
    "null": lambda path: path.write_text("null"),
    "without a fingerprint": lambda path: path.write_text("{}"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "without ranks": lambda path: changed(path, ranks=None),
    "a rank too few": lambda path: changed(path, ranks=json.loads(path.read_text())["ranks"][1:]),
    "a rank of 0": lambda path: changed(path, ranks=[0, *json.loads(path.read_text())["ranks"][1:]]),
    "a rank past the end": lambda path: changed(path, ranks=[10**6, *json.loads(path.read_text())["ranks"][1:]]),
    "no number": lambda path: changed(path, ranks=[float("nan"), *json.loads(path.read_text())["ranks"][1:]]),
    "words for ranks": lambda path: changed(path, ranks=["1", *json.loads(path.read_text())["ranks"][1:]]),
    "no seconds": lambda path: changed(path, seconds=None),
    "endless": lambda path: changed(path, MB=float("inf")),
    "a folder": replaced_by_folder,
}


@pytest.mark.parametrize("damage", OUTCOMES)
def test_damaged_outcomes_are_measured_again(log, calls, tmp_path, damage):
    path = tmp_path / "constant.json"
    first = leaderboard.remembered(path, log, Constant, "smoke", 7)
    assert leaderboard.remembered(path, log, Constant, "smoke", 7) == first and len(calls) == 1
    OUTCOMES[damage](path)
    assert leaderboard.remembered(path, log, Constant, "smoke", 7)["ranks"] == first["ranks"] and len(calls) == 2
    leaderboard.remembered(path, log, Constant, "smoke", 7)
    assert len(calls) == (3 if damage == "a folder" else 2)


def test_outcomes_that_cannot_be_kept_count(log, calls, tmp_path):
    (tmp_path / "leaderboard").write_text("a file in the way")
    outcomes, failed = leaderboard.run({"world": log}, {"constant": Constant}, "smoke", 7, tmp_path)
    assert not failed and len(outcomes["world"]["constant"]["ranks"]) == 30


def of(log, model, **settings):
    return leaderboard.fingerprint(log, make(model, profile="smoke", seed=7, **settings))


@pytest.mark.parametrize("name", ["text profile", "capstone"])
def test_the_encoder_that_reads_is_part_of_the_fingerprint(log, monkeypatch, name):
    def gone(*_, **__):
        raise CourseError("not here")

    model = leaderboard.MODELS.get(name) or bert.TextProfile
    monkeypatch.setattr(bert, "fetch", lambda *_, **__: None)
    minilm, popular = of(log, model), of(log, leaderboard.MODELS["popularity"])
    monkeypatch.setattr(bert, "fetch", gone)
    assert of(log, model) != minilm and of(log, leaderboard.MODELS["popularity"]) == popular


def test_the_weights_of_the_tiny_encoder_are_part_of_it(tmp_path, monkeypatch):
    before = bert.encoder_at_hand("tiny")
    shutil.copytree(bert.datasets_dir(), tmp_path / "datasets")
    monkeypatch.setattr(bert, "datasets_dir", lambda: tmp_path / "datasets")
    assert bert.encoder_at_hand("tiny") == before != bert.encoder_at_hand("bert_base_zh")
    flipped(tmp_path / "datasets" / "tiny_bert" / "model.weights.h5")
    assert bert.encoder_at_hand("tiny") != before
    assert bert.encoder_at_hand("minilm").split()[1] in (bert.encoder_at_hand("tiny").split()[1], sha_of_minilm())


def sha_of_minilm():
    return assets.registry()["minilm"]["wheel"]["sha256"]


def test_how_it_is_measured_is_part_of_the_fingerprint(log, monkeypatch):
    before = of(log, Constant)

    def measure(log, model, profile, seed):
        """Another one."""

    with monkeypatch.context() as patch:
        patch.setattr(leaderboard, "measure", measure)
        assert of(log, Constant) != before
    with monkeypatch.context() as patch:
        patch.setattr(leaderboard, "device", lambda: ["x86_64", "jax", "(9, 0)"])
        assert of(log, Constant) != before
    assert of(log, Constant) == before != of(log, Other)
