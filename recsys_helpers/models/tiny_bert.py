"""A tiny bilingual BERT, pre-trained from nothing by masked language modelling (Devlin et al. 2019, section 3.1).

    python -m recsys_helpers.models.tiny_bert --out FOLDER

writes a keras-nlp preset (0.7 million weights) in five to ten minutes on two cores: vocabulary, backbone, head for
masked words and `training_report.json`. It learns to fill in masked words of generated comments, half of them English,
half Chinese.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

import keras
import keras_nlp
import numpy as np
import tensorflow as tf
import typer

from recsys_helpers.data.comments import pretraining_corpus
from recsys_helpers.errors import CourseError
from recsys_helpers.files import write_text
from recsys_helpers.models import preset

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HELD_OUT = 0.1  # share of the corpus on which each epoch is judged
REPORT = "training_report.json"


def pretrain(sentences: list[str], epochs: int, seed: int) -> tuple[keras_nlp.models.BertMaskedLM, dict]:
    """Learn a vocabulary and a BERT from sentences.

    Args:
        sentences: the last tenth is held out, to measure how well masked words are filled in.
        epochs: passes over the rest; masks are drawn anew in each.
        seed: the same seed on the same machine gives the same weights.

    Returns:
        The model, and a report: sizes, the baseline (accuracy of always answering the most frequent token), and for
        each epoch the loss and the share of masked tokens found, on the training and the held-out sentences.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    cut = round(len(sentences) * (1 - HELD_OUT))
    train, held_out = sentences[:cut], sentences[cut:]
    vocabulary = keras_nlp.tokenizers.compute_word_piece_vocabulary(
        tf.data.Dataset.from_tensor_slices(train), 4000, lowercase=True, reserved_tokens=SPECIAL_TOKENS
    )
    model = keras_nlp.models.BertMaskedLM(
        keras_nlp.models.BertBackbone(
            vocabulary_size=len(vocabulary),
            num_layers=2,
            num_heads=2,
            hidden_dim=128,
            intermediate_dim=512,
            max_sequence_length=64,
        ),
        keras_nlp.models.BertMaskedLMPreprocessor(
            keras_nlp.models.BertTokenizer(vocabulary, lowercase=True),
            sequence_length=40,  # nearly all comments fit; time grows with the length
            mask_selection_rate=0.15,
            mask_selection_length=6,
        ),
    )
    # The pooled [CLS] vector is for tasks on whole sentences: filling in words does not train it.
    model.backbone.pooled_dense.trainable = False
    # A second face of the same weights, so that the saved model carries no optimizer state.
    learner = keras.Model(model.input, model.output)
    steps = -(-len(train) // 64)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, epochs - 1) * steps, warmup_target=2e-3, warmup_steps=steps
    )
    learner.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="masked_accuracy")],
        jit_compile=False,  # XLA is the slower one on a CPU
    )
    questions = model.preprocessor(held_out)
    history = defaultdict(list)
    for epoch in range(epochs):
        # Masks are drawn here, not in a tf.data pipeline, whose random numbers differ from run to run.
        inputs, answers, weights = model.preprocessor(train)
        figures = learner.fit(
            inputs,
            answers,
            sample_weight=weights,
            batch_size=64,
            validation_data=questions,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=2,
        )
        for name, values in figures.history.items():
            history[name] += [round(value, 4) for value in values]
    report = {
        "sentences": {"train": len(train), "held out": len(held_out)},
        "seed": seed,
        "vocabulary": len(vocabulary),
        "parameters": model.count_params(),
        "most_frequent_token_accuracy": most_frequent_token_accuracy(model.preprocessor.tokenizer, train, held_out),
        "history": history,
    }
    return model, report


def most_frequent_token_accuracy(tokenizer: keras_nlp.models.BertTokenizer, train: list[str], test: list[str]) -> float:
    """The share of tokens in `test` found by always answering the most frequent token of `train`."""
    answer = Counter(token for ids in tokenizer(train) for token in np.array(ids).tolist()).most_common(1)[0][0]
    tokens = np.concatenate([np.array(ids) for ids in tokenizer(test)])
    return round(float((tokens == answer).mean()), 4)


def load_masked_lm(folder: str | Path) -> keras_nlp.models.BertMaskedLM:
    """Read the model with its head for filling in masks, from a folder that `pretrain` was saved in.

    Raises:
        CourseError: there is none, or a file of it is missing, damaged, or of another model.
    """
    remedy = f"write one with `python -m recsys_helpers.models.tiny_bert --out {folder}`"
    if not (Path(folder) / "task.json").exists():
        raise CourseError(f"no model in {folder}: {remedy}")
    with preset.reading(Path(folder), remedy, task=True):
        model = keras_nlp.models.BertMaskedLM.from_preset(str(folder))
        preset.check(Path(folder), model.backbone, model.preprocessor.tokenizer, model)
    return model


def fill_mask(model: keras_nlp.models.BertMaskedLM, text: str, k: int = 5) -> list[tuple[str, float]]:
    """The k likeliest tokens for the one [MASK] in a text, with their probabilities, best first.

    Try `fill_mask(model, "I used to like sourdough, now I like black [MASK].")`; in Chinese a token is one character.
    """
    parts = text.split("[MASK]")
    if len(parts) != 2:
        raise CourseError(f"write [MASK] exactly once; found {len(parts) - 1} in {text!r}")
    tokenizer = model.preprocessor.tokenizer
    before, after = ([int(token) for token in tokenizer(part)] for part in parts)
    ids = np.array([[tokenizer.cls_token_id, *before, tokenizer.mask_token_id, *after, tokenizer.sep_token_id]])
    inputs = {
        "token_ids": ids,
        "segment_ids": np.zeros_like(ids),
        "padding_mask": np.ones_like(ids),
        "mask_positions": np.array([[1 + len(before)]]),
    }
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(model(inputs)[0, 0]))
    return [(tokenizer.id_to_token(int(i)), float(probabilities[i])) for i in probabilities.argsort()[::-1][:k]]


def main(
    out: Annotated[Path, typer.Option(help="Folder to write the preset into.")],
    sentences: Annotated[int, typer.Option(min=100, help="How many comments to generate.")] = 20_000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the comments.")] = 12,
    seed: int = 7,
) -> None:
    """Pre-train the tiny BERT and save it as a keras-nlp preset."""
    model, report = pretrain(pretraining_corpus(sentences, seed), epochs, seed)
    model.save_to_preset(str(out))
    write_text(out / REPORT, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
