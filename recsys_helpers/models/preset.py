"""Folders in which a BERT was saved: what stands in them is looked at before Keras builds anything of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from recsys_helpers.errors import CourseError

CLASSES = {
    "config.json": "BertBackbone",
    "tokenizer.json": "BertTokenizer",
    "preprocessor.json": "BertMaskedLMPreprocessor",
    "task.json": "BertMaskedLM",
}


@contextmanager
def reading(folder: Path, remedy: str, task: bool = False) -> Iterator[None]:
    """Read a preset in this block: what goes wrong is told in one line, which names the folder and ends with `remedy`.

    Args:
        task: it has a head and a preprocessor, too.

    Raises:
        CourseError: a file is missing, damaged, or of something else than a BERT.
    """
    try:
        for name in list(CLASSES)[: 4 if task else 2]:
            found = json.loads((folder / name).read_bytes())
            if found["class_name"] != CLASSES[name] or CLASSES[name] not in str(found["registered_name"]):
                raise ValueError(f"{name} is not that of a {CLASSES[name]}")
        _fits(json.loads((folder / "config.json").read_bytes())["config"], folder / "model.weights.h5")
        yield
    except Exception as error:  # Keras has many for what is no preset
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CourseError(f"the model in {folder} is damaged or none of ours ({first}); {remedy}") from error


def _fits(sizes: dict, weights: Path) -> None:
    """ValueError if the file is too short for so many weights, of two bytes at least."""
    names = ("vocabulary_size", "max_sequence_length", "num_segments", "num_layers", "hidden_dim", "intermediate_dim")
    if not all(type(sizes.get(name)) is int and sizes[name] > 0 for name in names):
        raise ValueError("its sizes are none")
    words, places, segments, blocks, width, inner = (sizes[name] for name in names)
    needed = width * (words + places + segments) + blocks * (4 * width**2 + 2 * width * inner)
    if 2 * needed > weights.stat().st_size:
        raise ValueError(f"{weights.name} is too short for its sizes")


def check(folder: Path, backbone, tokenizer, head=None) -> None:
    """ValueError if files have more or fewer weights than were read, or other words, or a weight is no number."""
    counts = {"model.weights.h5": backbone.count_params()}
    if head is not None:
        counts["task.weights.h5"] = head.count_params() - backbone.count_params()
    for name, count in counts.items():
        if _weights_in(folder / name) != count:
            raise ValueError(f"{name} has more or fewer than {count} weights")
    words = tokenizer.get_vocabulary()
    if len(words) != backbone.vocabulary_size or len(set(words)) < len(words):
        raise ValueError(f"it has {len(set(words))} words and vectors of {backbone.vocabulary_size}")
    if not all(np.isfinite(weight).all() for weight in (head or backbone).get_weights()):
        raise ValueError("a weight is no number")


def _weights_in(path: Path) -> int:
    """How many numbers a file of weights holds, without what an optimizer remembers."""
    sizes = []
    with h5py.File(path) as file:
        file["layers"].visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    return sum(sizes)
