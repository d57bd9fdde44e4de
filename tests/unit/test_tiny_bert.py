"""The bundled tiny BERT: it reads offline, knows its words, and its script gives the same weights again."""

import json
import os
import subprocess
import sys

import keras
import keras_nlp
import numpy as np
import pytest

from recsys_helpers.data.comments import generate_comments, pretraining_corpus
from recsys_helpers.errors import CourseError
from recsys_helpers.models.tiny_bert import (
    REPORT,
    SPECIAL_TOKENS,
    fill_mask,
    load_masked_lm,
    most_frequent_token_accuracy,
)
from recsys_helpers.paths import ROOT

PRESET = ROOT / "datasets" / "tiny_bert"


@pytest.fixture(scope="module")
def model():
    return load_masked_lm(PRESET)


@pytest.fixture(scope="module")
def tokenizer():
    return keras_nlp.models.BertTokenizer.from_preset(str(PRESET))


@pytest.fixture(scope="module")
def comments():
    return generate_comments(np.arange(16).reshape(8, 2) % 8, seed=5)


def test_backbone_has_the_promised_shape():
    backbone = keras_nlp.models.BertBackbone.from_preset(str(PRESET))
    sizes = ("num_layers", "num_heads", "hidden_dim", "intermediate_dim", "max_sequence_length")
    assert [getattr(backbone, size) for size in sizes] == [2, 2, 128, 512, 64]
    ids = np.ones((3, 9), "int32")
    output = backbone({"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": ids})["sequence_output"]
    assert output.shape == (3, 9, 128)


def test_tokenizer_knows_its_special_tokens(tokenizer, model):
    ids = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
    assert len(set(ids)) == 5 and tokenizer.vocabulary_size() <= 4000
    found = (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
    assert found == tuple(tokenizer.token_to_id(token) for token in ("[PAD]", "[CLS]", "[SEP]", "[MASK]"))
    assert tokenizer.get_vocabulary() == model.preprocessor.tokenizer.get_vocabulary()
    pieces = [tokenizer.id_to_token(int(i)) for i in tokenizer("Sourdough? 书法!")]
    assert pieces == ["sourdough", "?", "书", "法", "!"]


@pytest.mark.parametrize(("language", "most"), [("zh", 0.02), ("en", 0.005)])
def test_few_tokens_of_test_comments_are_unknown(tokenizer, comments, language, most):
    texts = comments.text[(comments.language == language) & (comments.split == "test")].tolist()
    ids = np.concatenate([np.array(row) for row in tokenizer(texts)])
    assert (ids == tokenizer.token_to_id("[UNK]")).mean() < most


def masked_accuracy(model, texts, seed=1):
    """The share of masked tokens found; every tenth ordinary token is hidden, for all texts at once."""
    tokenizer, rng = model.preprocessor.tokenizer, np.random.default_rng(seed)
    rows = [[tokenizer.cls_token_id, *map(int, ids), tokenizer.sep_token_id] for ids in tokenizer(texts)]
    token_ids = np.full((len(rows), max(map(len, rows))), tokenizer.pad_token_id)
    for line, row in zip(token_ids, rows, strict=True):
        line[: len(row)] = row
    places = np.array([[rng.integers(1, len(row) - 1)] for row in rows])
    answers = np.take_along_axis(token_ids, places, axis=1)
    padding_mask = (token_ids != tokenizer.pad_token_id).astype(int)
    np.put_along_axis(token_ids, places, tokenizer.mask_token_id, axis=1)
    inputs = {"token_ids": token_ids, "segment_ids": 0 * token_ids, "padding_mask": padding_mask}
    logits = model({**inputs, "mask_positions": places})
    return float((keras.ops.convert_to_numpy(logits).argmax(-1) == answers).mean())


def test_masked_words_are_found_in_fresh_sentences(model, comments):
    report = json.loads((PRESET / REPORT).read_text())
    n = sum(report["sentences"].values())
    seen = pretraining_corpus(n, report["seed"])
    fresh = [text for text in pretraining_corpus(600, report["seed"] + 1) if text not in set(seen)]
    assert len(fresh) > 400
    baseline = most_frequent_token_accuracy(model.preprocessor.tokenizer, seen[:5000], fresh)
    assert 0.02 < baseline < 0.15
    assert masked_accuracy(model, fresh) > baseline + 0.4
    # comments of the splits have frames it never saw: harder, but far from guessing
    assert masked_accuracy(model, comments.text.sample(600, random_state=1).tolist()) > baseline + 0.1


def test_report_tells_the_truth(model):
    report = json.loads((PRESET / REPORT).read_text())
    assert report["parameters"] == model.count_params()
    assert report["vocabulary"] == model.preprocessor.tokenizer.vocabulary_size()
    history = report["history"]
    assert history["val_loss"][-1] < 0.5 * history["val_loss"][0]
    assert history["val_masked_accuracy"][-1] > report["most_frequent_token_accuracy"] + 0.4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I used to like sourdough, now I like black [MASK].", "holes"),
        ("Not a [MASK] of robot vacuums, huge fan of rock climbing.", "fan"),
        ("以前喜欢书法，[MASK]在喜欢冰球。", "现"),
    ],
)
def test_fill_mask(model, text, expected):
    answers = fill_mask(model, text, k=3)
    assert answers[0][0] == expected
    probabilities = [probability for _, probability in answers]
    assert len(answers) == 3 and probabilities == sorted(probabilities, reverse=True) and sum(probabilities) <= 1.0001


@pytest.mark.parametrize("text", ["no gap here", "[MASK] and [MASK]"])
def test_fill_mask_wants_one_gap(model, text):
    with pytest.raises(CourseError, match="exactly once"):
        fill_mask(model, text)


def test_missing_preset_is_one_clear_line(tmp_path):
    with pytest.raises(CourseError, match=r"python -m recsys_helpers\.models\.tiny_bert --out"):
        load_masked_lm(tmp_path)


def test_bundle_is_small_and_portable():
    files = [path for path in PRESET.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5e6
    for path in files:
        content = path.read_bytes()
        assert not any(place in content for place in (b"/home/", b"/work/", b"/tmp/", b"/root/", b"/Users/")), path
    assert (PRESET / "task.weights.h5").stat().st_size < 2e5, "the optimizer's state belongs to no bundle"


def test_script_gives_the_same_weights_again(tmp_path):
    """Two processes at once: each imports TensorFlow, which takes most of the time."""
    script = [
        sys.executable,
        "-m",
        "recsys_helpers.models.tiny_bert",
        "--sentences",
        "100",
        "--epochs",
        "2",
        "--seed",
        "3",
    ]
    env = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    folders = [tmp_path / "one", tmp_path / "two"]
    runs = [
        subprocess.Popen([*script, "--out", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
        for folder in folders
    ]
    for run in runs:
        errors = run.communicate(timeout=240)[1].decode()
        assert run.returncode == 0, errors
    one, two = (load_masked_lm(folder).get_weights() for folder in folders)
    assert all(np.array_equal(left, right) for left, right in zip(one, two, strict=True))
    assert (folders[0] / REPORT).read_text() == (folders[1] / REPORT).read_text()
