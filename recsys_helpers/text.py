"""Text vectors: a pretrained BERT turns comments and film titles into points one can compare."""

import hashlib
import os
from pathlib import Path

import numpy as np

from recsys_helpers.assets import datasets_dir, fetch, home
from recsys_helpers.backend import keras, keras_nlp
from recsys_helpers.errors import CourseError

MAX_TOKENS = 128  # longer texts are cut; comments and titles have fewer than 40


class TextEncoder:
    """BERT with its tokenizer.

    Args:
        name: how it was asked for, such as "minilm".
        preset: a keras-nlp preset: a local folder, or a name that keras-nlp fetches from the network.
    """

    def __init__(self, name: str, preset: str):
        self.name = name
        self.tokenizer = keras_nlp.models.BertTokenizer.from_preset(preset)
        self.backbone = keras_nlp.models.BertBackbone.from_preset(preset)
        self._fingerprint = None

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        """[CLS] pieces [SEP] of each text as vocabulary ids, not padded."""
        start, end = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        return [[start, *ids[: MAX_TOKENS - 2], end] for ids in self.tokenizer(list(texts))]

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

        Texts of like length share a batch, so that little time goes into padding. Vectors are kept in the cache folder
        under a fingerprint of the texts, the pooling and the weights.

        Args:
            pooling: "mean" over the pieces that are not padding, or "cls", the first vector.
            pad_to: pad every batch to this length instead; slower, there to be compared with.
            cache: read and write the cache folder.
        """
        if pooling not in ("mean", "cls"):
            raise ValueError(f"pooling is {pooling!r}; it has to be 'mean' or 'cls'")
        path = self._cache_path(texts, pooling)
        if cache and path.exists():
            return np.load(path)
        ids = self.token_ids(texts)
        order = np.argsort([len(text) for text in ids], kind="stable")
        vectors = np.empty((len(ids), self.backbone.hidden_dim), dtype="float32")
        forward = self._compiled_forward()
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            inputs = self.batch([ids[i] for i in rows], pad_to)
            hidden = keras.ops.convert_to_numpy(forward(inputs))
            vectors[rows] = pool(hidden, inputs["padding_mask"], pooling)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        if cache:
            _save(path, vectors)
        return vectors

    def _compiled_forward(self):
        """The backbone as a function of the three inputs; compiled where the backend is TensorFlow."""

        def forward(inputs):
            return self.backbone(inputs, training=False)["sequence_output"]

        if keras.backend.backend() != "tensorflow":
            return forward
        import tensorflow as tf

        return tf.function(forward, reduce_retracing=True)

    def _cache_path(self, texts: list[str], pooling: str) -> Path:
        if self._fingerprint is None:
            sample = [np.ascontiguousarray(weight).tobytes() for weight in self.backbone.get_weights()]
            self._fingerprint = hashlib.sha256(b"".join(sample)).hexdigest()
        key = "\0".join([self._fingerprint, pooling, *texts])
        return home() / "vectors" / f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"


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
            return TextEncoder("minilm", str(fetch("minilm", quiet=True)))
        except CourseError as error:
            print(f"MiniLM is not here, the bundled tiny BERT takes its place; expect lower figures. Reason: {error}")
            return load_encoder("tiny")
    if name not in keras_nlp.models.BertBackbone.presets:
        known = ", ".join(["minilm", "tiny", *keras_nlp.models.BertBackbone.presets])
        raise CourseError(f"text encoder {name!r} does not exist; choose one of {known}")
    return TextEncoder(name, name)


def pool(hidden: np.ndarray, padding_mask: np.ndarray, pooling: str = "mean") -> np.ndarray:
    """One vector a text from one vector a piece: (batch, length, hidden) -> (batch, hidden).

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019, section 3: the mean beats [CLS] for sentence similarity.
    """
    if pooling == "cls":
        return hidden[:, 0]
    weights = padding_mask[:, :, None].astype(hidden.dtype)
    return (hidden * weights).sum(axis=1) / weights.sum(axis=1)


def _save(path: Path, vectors: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.part")
    with open(scratch, "wb") as file:
        np.save(file, vectors)
    os.replace(scratch, path)
