import hashlib

import numpy as np
import pytest

from recsys_helpers.data.movielens import film_texts, load_movielens
from recsys_helpers.errors import CourseError
from recsys_helpers.models import bert
from recsys_helpers.training.backend import keras

TEXTS = ["Jazz.", "I never read about cooking, only about black holes.", "我喜欢历史。", "Give me travel books!"]


@pytest.fixture(scope="module")
def tiny():
    return bert.load_encoder("tiny")


@pytest.fixture(scope="module")
def minilm():
    return bert.load_encoder("minilm")


def test_vectors_do_not_depend_on_padding_order_or_company(tiny):
    together = tiny.encode(TEXTS, cache=False)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for i, one in enumerate(TEXTS):
        assert np.allclose(tiny.encode([one], cache=False)[0], together[i], atol=1e-5)
    assert np.allclose(tiny.encode(TEXTS, cache=False, pad_to=48, batch_size=2), together, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_is_what_it_says(tiny, pooling):
    ids = tiny.token_ids([TEXTS[1]])
    hidden = keras.ops.convert_to_numpy(tiny.backbone(tiny.batch(ids))["sequence_output"])[0]
    expected = hidden.mean(axis=0) if pooling == "mean" else hidden[0]
    assert np.allclose(tiny.encode([TEXTS[1]], pooling, cache=False)[0], expected / np.linalg.norm(expected), atol=1e-5)


def test_the_cache_knows_texts_pooling_and_weights(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    first = tiny.encode(TEXTS)
    assert len(list((tmp_path / "vectors").iterdir())) == 1
    monkeypatch.setattr(tiny, "_forward", lambda inputs: pytest.fail("encoded again"))
    assert np.array_equal(tiny.encode(TEXTS), first)
    assert not np.allclose(tiny.encode(TEXTS, "cls"), first)
    with pytest.raises(pytest.fail.Exception):
        tiny.encode(TEXTS[:2])
    with monkeypatch.context() as patch, pytest.raises(pytest.fail.Exception):
        patch.setattr(tiny.tokenizer, "strip_accents", True)
        tiny.encode(TEXTS)
    weights = tiny.backbone.get_weights()
    tiny.backbone.set_weights([weight * 1.01 for weight in weights])
    with pytest.raises(pytest.fail.Exception):
        tiny.encode(TEXTS)
    tiny.backbone.set_weights(weights)


def test_the_weights_are_hashed_once_and_again_after_each_change(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    encoder, hashed = bert.load_encoder("tiny"), []
    get = encoder.backbone.get_weights
    monkeypatch.setattr(encoder.backbone, "get_weights", lambda: hashed.append(1) or get())
    for texts in (TEXTS, TEXTS[:2], TEXTS, TEXTS[:1]):
        encoder.encode(texts)
    assert len(hashed) == 1 and len(list((tmp_path / "vectors").iterdir())) == 3
    weights = b"".join(weight.tobytes() for weight in get())
    assert encoder._weights_digest() == hashlib.sha256(weights).hexdigest()
    for variable in (encoder.backbone.weights[0], encoder.backbone.weights[-1]):
        changed = keras.ops.convert_to_numpy(variable).copy()
        changed.flat[-1] += 1e-6  # a single number
        variable.assign(changed)
        hashed.clear()
        encoder.encode(TEXTS)
        encoder.encode(TEXTS)
        assert len(hashed) == 1
    assert len(list((tmp_path / "vectors").iterdir())) == 5


def test_a_trained_encoder_is_another_one(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    encoder = bert.load_encoder("tiny")
    before = encoder.encode(TEXTS)
    model = bert.fine_tuning_model(encoder, classes=2, frozen_blocks=1)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(bert.TextBatches(encoder, TEXTS, np.array([0, 1, 0, 1])), verbose=0)
    assert np.array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS, cache=False))
    assert not np.array_equal(encoder.encode(TEXTS), before)


def test_a_cache_of_somebody_else_is_read_and_never_needed(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    (tmp_path / "vectors").touch()  # no folder: nothing can be read or written there, whoever runs the test
    expected = tiny.encode(TEXTS, cache=False)
    assert np.array_equal(tiny.encode(TEXTS), expected)
    (tmp_path / "vectors").unlink()
    tiny.encode(TEXTS)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bert, "write_arrays", refused)
    assert np.array_equal(tiny.encode(TEXTS[:2]), tiny.encode(TEXTS[:2], cache=False))
    monkeypatch.setattr(tiny, "_forward", lambda inputs: pytest.fail("encoded again"))
    assert np.array_equal(tiny.encode(TEXTS), expected)


def test_a_text_longer_than_the_encoder_is_cut_and_still_ends_with_sep(tiny):
    ids = tiny.token_ids(["black holes " * 60])[0]
    assert len(ids) == tiny.backbone.max_sequence_length == 64
    assert ids[-1] == tiny.tokenizer.sep_token_id
    assert tiny.encode(["black holes " * 60], cache=False).shape == (1, 128)


def test_unknown_encoder_and_pooling_are_refused(tiny):
    with pytest.raises(CourseError, match=r"minilm, tiny, .*bert_base_multi"):
        bert.load_encoder("minilm2")
    with pytest.raises(ValueError, match="'mean' or 'cls'"):
        tiny.encode(TEXTS, pooling="max")


def test_without_minilm_the_tiny_one_takes_over_and_says_so(monkeypatch, capsys):
    def no_network(name, quiet):
        raise CourseError("no network")

    monkeypatch.setattr(bert, "fetch", no_network)
    assert bert.load_encoder("minilm").name == "tiny"
    assert "the bundled tiny BERT takes its place" in capsys.readouterr().out


def test_minilm_reads_english(minilm):
    assert minilm.backbone.count_params() == 22_713_216
    assert minilm.token_ids(["hello"])[0] == [101, 7592, 102]
    a, b, c = minilm.encode(["a book about stars", "reading astronomy", "grilled fish with lemon"], cache=False)
    assert a @ b > a @ c + 0.2


def test_minilm_reads_words_with_accents(minilm):
    assert minilm.token_ids(["Les Misérables"]) == minilm.token_ids(["les miserables"])
    unknown = minilm.tokenizer.token_to_id("[UNK]")
    titles = film_texts(load_movielens().films)
    assert not any(unknown in ids for ids in minilm.token_ids(titles))


def test_batches_keep_labels_with_their_texts(tiny):
    labels = np.arange(len(TEXTS))
    batches = bert.TextBatches(tiny, TEXTS, labels, batch_size=3, seed=1)
    ids = tiny.token_ids(TEXTS)
    seen = []
    for inputs, numbers in (batches[i] for i in range(len(batches))):
        assert inputs["token_ids"].shape[1] % 8 == 0
        for row, mask, number in zip(inputs["token_ids"], inputs["padding_mask"], numbers, strict=True):
            assert row[mask == 1].tolist() == ids[number]
            seen.append(int(number))
    assert sorted(seen) == labels.tolist()


def test_prediction_batches_name_their_order(tiny):
    order, batches = bert.TextBatches.in_order(tiny, TEXTS, batch_size=3)
    model = bert.fine_tuning_model(tiny, classes=2, frozen_blocks=1)
    together = model.predict(batches, verbose=0)
    for place, number in enumerate(order):
        alone = model.predict(bert.TextBatches.in_order(tiny, [TEXTS[number]])[1], verbose=0)[0]
        assert np.allclose(together[place], alone, atol=1e-5)


def test_fine_tuning_moves_only_the_upper_blocks():
    keras.utils.set_random_seed(0)
    encoder = bert.load_encoder("tiny")
    model = bert.fine_tuning_model(encoder, classes=2, frozen_blocks=1)
    before = {w.path: keras.ops.convert_to_numpy(w) for w in encoder.backbone.weights}
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(bert.TextBatches(encoder, TEXTS, np.array([0, 1, 0, 1])), epochs=2, verbose=0)
    moved = {w.path for w in encoder.backbone.weights if not np.array_equal(before[w.path], w)}
    assert any("transformer_layer_1" in path for path in moved)
    assert not any("transformer_layer_0" in path or "embedding" in path for path in moved)
