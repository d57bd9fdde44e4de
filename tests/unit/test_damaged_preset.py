"""A folder with a BERT in it that is damaged or foreign is refused in one line, or reads as the original does."""

import json
import shutil

import h5py
import numpy as np
import pytest

from recsys_helpers.errors import CourseError
from recsys_helpers.models import bert
from recsys_helpers.models.tiny_bert import fill_mask, load_masked_lm
from recsys_helpers.paths import ROOT

PRESET = ROOT / "datasets" / "tiny_bert"
TEXT = "Not a [MASK] of robot vacuums, huge fan of rock climbing."
WORDS = "assets/tokenizer/vocabulary.txt"


@pytest.fixture(scope="module")
def expected():
    return fill_mask(load_masked_lm(PRESET), TEXT)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(PRESET, tmp_path / "tiny_bert")


def gone(name):
    return lambda folder: (folder / name).unlink()


def cut(name, share=0.5):
    def damage(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(share * len(whole))])

    return damage


def holds(name, content):
    def damage(folder):
        (folder / name).write_bytes(content)

    return damage


def says(name, **changes):
    def damage(folder):
        whole = json.loads((folder / name).read_bytes())
        inner = {key: changes[key] for key in changes if key in whole["config"]}
        whole["config"] |= inner
        whole |= {key: value for key, value in changes.items() if key not in inner}
        (folder / name).write_text(json.dumps(whole))

    return damage


def no_numbers(folder):
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        found = []
        file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
        found[0][...] = np.nan


def lines(change):
    def damage(folder):
        words = (folder / WORDS).read_text("utf-8").splitlines()
        (folder / WORDS).write_text("\n".join(change(words)) + "\n", "utf-8")

    return damage


def folder_in_place(folder):
    (folder / "model.weights.h5").unlink()
    (folder / "model.weights.h5").mkdir()


DAMAGE = {
    "no configuration": gone("config.json"),
    "no weights": gone("model.weights.h5"),
    "no tokenizer": gone("tokenizer.json"),
    "no words": gone(WORDS),
    "half the configuration": cut("config.json"),
    "half the weights": cut("model.weights.h5"),
    "weights without their end": cut("model.weights.h5", 0.99),
    "half the tokenizer": cut("tokenizer.json"),
    "half the words": cut(WORDS),
    "no bytes of weights": holds("model.weights.h5", b""),
    "weights of zeros": holds("model.weights.h5", bytes(3_050_392)),
    "weights of text": holds("model.weights.h5", b"x" * 4_000_000),
    "weights that are no numbers": no_numbers,
    "a folder for weights": folder_in_place,
    "a configuration of a list": holds("config.json", b"[]"),
    "a configuration in UTF-16": holds("config.json", "{}".encode("utf-16")),
    "a deep configuration": holds("config.json", b"[" * 100_000),
    "another class": says("config.json", class_name="GPT2Backbone"),
    "a class of another module": says("tokenizer.json", class_name="Popen", module="subprocess"),
    "a width of a thousand million": says("config.json", hidden_dim=10**9),
    "endlessly many words": says("config.json", vocabulary_size=10**12),
    "a width in words": says("config.json", hidden_dim="wide"),
    "no layers": says("config.json", num_layers=0),
    "fewer layers": says("config.json", num_layers=1),
    "another width": says("config.json", hidden_dim=64),
    "shorter texts": says("config.json", max_sequence_length=32),
    "a word less": lines(lambda words: words[:-1]),
    "a word more": lines(lambda words: [*words, "more"]),
    "a word twice": lines(lambda words: [*words[:-1], words[-2]]),
    "no mask": lines(lambda words: ["x" if word == "[MASK]" else word for word in words]),
    "words that are no text": holds(WORDS, b"\xff\xfe" * 3000),
}
OF_THE_HEAD = {
    "no head": gone("task.weights.h5"),
    "half the head": cut("task.weights.h5"),
    "half the task": cut("task.json"),
    "another task": says("task.json", class_name="BertTextClassifier"),
    "no preprocessor": gone("preprocessor.json"),
}


@pytest.mark.parametrize("how", DAMAGE | OF_THE_HEAD)
def test_a_damaged_model_is_refused(how, folder, expected, capfd):
    (DAMAGE | OF_THE_HEAD)[how](folder)
    try:
        model = load_masked_lm(folder)
    except CourseError as error:
        assert f"{folder}" in str(error) and "--out" in str(error) and "\n" not in str(error)
    else:
        assert fill_mask(model, TEXT) == expected


@pytest.mark.parametrize("how", [how for how in DAMAGE if how != "no mask"])
def test_a_damaged_encoder_is_refused(how, folder, monkeypatch):
    DAMAGE[how](folder)
    monkeypatch.setattr(bert, "datasets_dir", lambda: folder.parent)
    with pytest.raises(CourseError, match="git checkout restores it") as told:
        bert.load_encoder("tiny")
    assert str(folder) in str(told.value) and "\n" not in str(told.value)


def test_the_whole_one_reads_as_before(folder, expected):
    assert fill_mask(load_masked_lm(folder), TEXT) == expected
