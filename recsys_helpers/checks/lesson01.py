"""Exercises of lesson 01, self-attention: NumPy only, arrays as (batch, length, features)."""

import numpy as np

from recsys_helpers.checks.core import Question, compare, exercise, quiz


def softmax(scores: np.ndarray, axis: int | None = -1) -> np.ndarray:
    """The reference: exp(scores) divided by its sum over `axis`, shifted by the maximum so that nothing overflows."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def shifted(scores: np.ndarray, by: np.ndarray | float) -> np.ndarray:
    """A softmax that takes `by` off before np.exp: not the maximum of each row, it may overflow, or round all to 0."""
    powers = np.exp(scores - by)
    return powers / powers.sum(-1, keepdims=True)


def transposed(x: np.ndarray) -> np.ndarray:
    """The last two axes swapped."""
    return np.swapaxes(x, -1, -2)


@exercise(
    "01.1",
    "Softmax over the keys, without overflow",
    points=2,
    why="each query shares out exactly 1 among its keys, however large the scores grow.",
    hints=(
        "Each query is a row and asks its own question: its weights, along the last axis, must add up to 1.",
        "Take each row's maximum off first: np.max(scores, axis=-1, keepdims=True). Then np.exp, then divide by "
        "the row's sum.",
    ),
)
def judge_softmax(softmax_over_keys):
    rng = np.random.default_rng(0)
    for shape in ((4, 4), (2, 3, 5), (3, 1, 2), (2, 2, 3, 4), (4, 4)):  # one again: an answer may remember
        scores = rng.normal(size=shape)
        powers = np.exp(scores)
        compare(
            softmax_over_keys(scores),
            softmax(scores),
            "the weights",
            (
                softmax(scores, axis=-2),
                "your weights sum to 1 down each column (over the queries); attention normalises over the keys, so "
                "each row must sum to 1.",
            ),
            (
                softmax(scores, axis=None),
                "your weights sum to 1 over the whole array; every query has its own 1 to share out, so each row "
                "must sum to 1.",
            ),
            (
                softmax(scores, axis=0),
                "your weights sum to 1 over the first axis (the batch); users know nothing of each other. "
                "Normalise over the last axis, the keys.",
            ),
            (powers, "the exponentials are right but nothing divides them: divide each row by its sum."),
            (
                np.exp(scores - scores.max(-1, keepdims=True)),
                "you took off the maximum and raised e to it, but nothing divides by the sum of each row yet.",
            ),
            (
                softmax(scores / np.sqrt(scores.shape[-1])),
                "the scores were divided by a root first; that is the next exercise's work. Here, raise e to them as "
                "they are.",
            ),
            (softmax(scores * np.log(2)), "you raise 2 to the scores; a softmax raises e to them: np.exp."),
            (
                scores / scores.sum(-1, keepdims=True),
                "you divided the scores by their sum; a softmax divides the exponentials of the scores, so that "
                "no weight is negative.",
            ),
            (
                np.abs(scores) / np.abs(scores).sum(-1, keepdims=True),
                "you divided sizes by their sum, so a score of -2 weighs as much as 2; raise e to each score instead: "
                "the order stays, and no weight is negative.",
            ),
            (
                (scores - scores.min(-1, keepdims=True)) / np.ptp(scores, axis=-1, keepdims=True),
                "you stretched each row to run from 0 to 1; weights are shares: raise e to each score and divide by "
                "the row's sum.",
            ),
            (
                powers / np.resize(powers.sum(-1), shape),
                "the row sums were spread over the columns: keep the summed axis with keepdims=True.",
            ),
        )
    # the first row overflows if its mean is taken off, the second with its median, and the last is far below both
    rows = ([1000.0, 999, 998, 997, -3000], [1000.0, 1000, 200, 200, 200], [-1000.0, -1001, -1002, -1003, -1004])
    scores = np.array(rows)
    with np.errstate(all="ignore"):
        compare(
            softmax_over_keys(scores),
            softmax(scores),
            "the weights of scores near 1000",
            (
                shifted(scores, 0),
                "scores near 1000 overflow: e to the 1000 is infinite and infinity by infinity is no number. Take"
                " each row's maximum off before np.exp; the weights stay the same.",
            ),
            (
                shifted(scores, scores.min(-1, keepdims=True)),
                "you took off the minimum, so the largest score can still be huge: take off the maximum.",
            ),
            (
                shifted(scores, scores.mean(-1, keepdims=True)),
                "you took off the mean, and the largest score can be far above it: take off the maximum.",
            ),
            (
                shifted(scores, np.median(scores, -1, keepdims=True)),
                "you took off the median, and the largest score can be far above it: take off the maximum.",
            ),
            (
                shifted(scores, scores.max()),
                "one maximum for the whole array leaves a row of low scores with e to the -2000, which is 0: take"
                " off each row's own maximum.",
            ),
        )


@exercise(
    "01.2",
    "Scaled dot-product attention with a mask",
    points=2,
    why="scores, scale, mask, softmax, mix: this one line is at the heart of every Transformer.",
    hints=(
        "Write the five steps one below the other: scores, scale, mask, softmax, mix. The mask comes before the "
        "softmax.",
        "scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(d), then np.where(mask, scores, -np.inf) unless mask is None, "
        "then your softmax, then weights @ v.",
    ),
    builds_on={"softmax_over_keys": softmax},
)
def judge_attend(attend):
    rng = np.random.default_rng(1)
    for batch, queries, keys, d, width in ((2, 3, 4, 8, 5), (1, 4, 3, 2, 3), (2, 3, 4, 8, 5)):
        q, k, v = (rng.normal(size=(batch, *size)) for size in ((queries, d), (keys, d), (keys, width)))
        mask = rng.random((batch, queries, keys)) < 0.6
        mask[np.arange(keys) == rng.integers(keys, size=(batch, queries, 1))] = True  # each query sees a key
        _judge_attention(attend, q, k, v, mask)


def _judge_attention(attend, q, k, v, mask):
    keys, d = k.shape[1:]
    product = q @ transposed(k)
    scores = product / np.sqrt(d)
    compare(
        attend(q, k, v, None),
        softmax(scores) @ v,
        "the output without a mask",
        (
            softmax(product) @ v,
            "the scores are not scaled: divide by sqrt(d), or long vectors push the softmax into a corner.",
        ),
        (
            softmax(product / d) @ v,
            "you divided by d; the spread of a dot product grows with sqrt(d), so divide by that.",
        ),
        (softmax(product * np.sqrt(d)) @ v, "you multiplied by sqrt(d); scaling must calm the scores, so divide."),
        (
            softmax(product / np.sqrt(keys)) @ v,
            "you divided by the square root of the number of keys; it is the length d of a query that makes "
            "scores spread.",
        ),
        (
            softmax(product) / np.sqrt(d) @ v,
            "you scaled after the softmax, so the weights no longer sum to 1; scale the scores.",
        ),
        (
            softmax(scores, axis=-2) @ v,
            "you normalise over the queries: each column of your weights sums to 1, and each row, one query over "
            "all keys, should.",
        ),
        (
            scores @ v,
            "these are the raw scores times v; a softmax over the keys has to turn scores into weights first.",
        ),
        (softmax(scores), "these are the weights; one step is left: mix the values, weights @ v."),
    )
    right = np.where(mask, scores, -np.inf)
    compare(
        attend(q, k, v, mask),
        softmax(right) @ v,
        "the output with a mask",
        (
            softmax(scores) @ v,
            "the mask makes no difference to your output: a key whose mask is False must get weight 0.",
        ),
        (
            softmax(scores) * mask @ v,
            "you masked after the softmax: what is left of a row no longer sums to 1. Set masked scores to minus "
            "infinity before it.",
        ),
        (
            softmax(np.where(mask, -np.inf, scores)) @ v,
            "your mask is inside out: True means this query may look at this key.",
        ),
        (
            softmax(scores * mask) @ v,
            "a masked score of 0 still gets e to the 0 = 1 before normalising; only minus infinity gives weight 0.",
        ),
    )
    scores = 10_000 * scores
    lowest = scores == scores.min(-1, keepdims=True)
    for seen, what in ((mask, "in the ten thousands"), (lowest, "of which each query may look at the lowest only")):
        right = np.where(seen, scores, -np.inf)
        with np.errstate(all="ignore"):
            compare(
                attend(10_000 * q, k, v, seen),
                softmax(right) @ v,
                f"the output for scores {what}",
                *(
                    (
                        shifted(right, by) @ v,
                        "scores in the ten thousands overflow in your softmax: use your stable one from exercise 01.1.",
                    )
                    for by in (0, right.min(-1, keepdims=True), scores.mean(-1, keepdims=True), scores.max())
                ),
                *(
                    (
                        softmax(np.where(seen, scores, low)) @ v,
                        "a number such as -1000 is not low enough for a masked score, as real ones can be lower: "
                        "take minus infinity.",
                    )
                    for low in (-100, -1000, -10_000)
                ),
            )


@exercise(
    "01.3",
    "Causal and padding mask of a batch of histories",
    points=2,
    why="no film sees its own future and nobody attends to padding, so training on all positions at once is honest.",
    hints=(
        "Two questions about each pair: is the key not later than the query, and is the key a real film? Both "
        "must be yes.",
        "position = np.arange(max_length); causal = position[None, :] <= position[:, None] has shape (L, L); "
        "real = position < lengths[:, None] has shape (batch, L). Combine them with &, giving real a query axis.",
    ),
)
def judge_history_mask(history_mask):
    cases = (([3, 5, 1, 4], 5), ([2, 6], 6), ([1], 1), ([2, 3], 5), ([1, 4, 2, 2], 5))  # not all fill a row
    for lengths, size in ((np.array(lengths), size) for lengths, size in cases):
        query, key = np.arange(size)[:, None], np.arange(size)[None, :]
        length = lengths[:, None, None]
        causal, real = key <= query, key < length
        right = causal & real
        compare(
            history_mask(lengths, size),
            right,
            "the mask",
            (
                (key >= query) & real,
                "your mask lets each film look at later ones only; a causal mask allows keys up to the query's "
                "own position.",
            ),
            (
                (key < query) & real,
                "the diagonal is missing: a film may look at itself (and the first film has nothing else to look at).",
            ),
            (
                causal & (query < length),
                "you hid padding as queries, not as keys: those rows are empty, and their softmax is 0 divided by 0. "
                "Column j, not row j, must be False where film j is padding.",
            ),
            (
                causal & (key >= size - length),
                "you take the first places for padding; here histories are padded on the right.",
            ),
            (causal & (length > 0), "the padding is still visible: key j is real only where j < length."),
            (
                real & (query >= 0),
                "padding is hidden, but films still see the future: key j must not come after query i.",
            ),
            (~right, "your mask is inside out: True means this query may look at this key."),
            (causal | real, "`or` lets in a pair that passes one of the two tests; a pair has to pass both."),
            (
                right[:, : lengths.max(), : lengths.max()],
                "your mask is as wide as the longest history; make it `max_length` wide, the width of the batch.",
            ),
            (causal & (key <= length), "one key too many is real: with length n the real positions are 0 to n - 1."),
        )


@exercise(
    "01.4",
    "Predict: what longer vectors do to attention",
    points=2,
    why="the scale 1/sqrt(d) keeps the spread of the scores at 1, so that the softmax can still learn, whatever d is.",
    hints=(
        "q·k is a sum of d products. Each has mean 0 and variance 1, and they are independent: variances add.",
        "Dividing by a number divides the variance by its square. And a softmax whose largest score is far ahead "
        "is nearly a hard choice, whose weights hardly move when the scores do.",
    ),
)
def judge_variance(predictions):
    quiz(
        predictions,
        {
            "variance of q·k at d=256": Question(
                256,
                {
                    4: "the variance does not stay: each of the 256 dimensions adds a product of variance 1.",
                    16: "that is the standard deviation, sqrt(256); the variance is its square.",
                    64: "that is how many times larger it gets (256 / 4); the variance at d=4 is 4, not 1.",
                    1: "1 is the variance of one product, or of the scaled score; q·k adds up 256 of them.",
                    65536: "the products are independent, so their variances add up: d times 1, not d squared.",
                },
                "add up the variances of 256 independent products, each of variance 1.",
            ),
            "variance of q·k/sqrt(d) at d=256": Question(
                1,
                {
                    16: "dividing by sqrt(d) divides the variance by d, not by sqrt(d): 256 / 256.",
                    256: "that is the variance before scaling.",
                    1 / 256: "that would be dividing by d: the variance shrinks by the square of the divisor.",
                    0.0625: "that is 1/sqrt(d), the scale itself; ask what it does to a variance of 256.",
                },
                "the variance 256 is divided by the square of sqrt(256).",
            ),
            "largest weight, not scaled": Question(
                "rises",
                {
                    "stays": "the scores spread 8 times wider at d=256 than at d=4, and a softmax feels spread: "
                    "one key takes nearly everything.",
                    "falls": "more dimensions are not more keys: there are still 10, and the best pulls further ahead.",
                },
            ),
            "largest weight, scaled": Question(
                "stays",
                {
                    "rises": "after dividing by sqrt(d) the scores spread as widely at d=256 as at d=4.",
                    "falls": "the scale takes off exactly what d adds, not more.",
                },
            ),
            "learning when one weight is near 1": Question(
                "stalls",
                {
                    "speeds up": "the gradient of a softmax holds the factor weight * (1 - weight): it is 0 at 1.",
                    "is the same": "the gradient of a softmax holds the factor weight * (1 - weight): "
                    ".25 at one half, .01 at .99.",
                },
            ),
        },
    )


@exercise(
    "01.5",
    "Mend the article's Transformer block",
    points=2,
    why="the second half works on what attention found, and the residuals carry the history through both halves.",
    hints=(
        "Two steps, one after the other, of the same form: add what a layer finds to what went in, then normalise.",
        "Y = layer_norm(X + mha(X)). The second step has the same form with Y in the place of X and mlp in that "
        "of mha.",
    ),
)
def judge_block(transformer_block):
    rng = np.random.default_rng(5)
    mix, up, down = rng.normal(size=(6, 6)), rng.normal(size=(6, 12)), rng.normal(size=(12, 6))

    def mha(x):
        return softmax(x @ mix @ transposed(x)) @ x

    def mlp(x):
        return np.maximum(x @ up, 0) @ down

    def normalised(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)

    def with_gain(x):
        return gain * normalised(x) + shift

    gain, shift = rng.uniform(0.5, 2, size=(2, 6))
    for shape, layer_norm in (((2, 4, 6), normalised), ((1, 3, 6), with_gain), ((2, 4, 6), with_gain)):
        x = rng.normal(size=shape)
        y = layer_norm(x + mha(x))
        before = x + mha(layer_norm(x))
        article = (
            "that is the article's block: its two halves stand side by side and are added. They come one after "
            "the other, Z = LN(Y + MLP(Y)) with Y = LN(X + MHA(X))."
        )
        compare(
            transformer_block(x, mha, mlp, layer_norm),
            layer_norm(y + mlp(y)),
            "the block's output",
            (y + layer_norm(mlp(x)), article),
            (y + layer_norm(mlp(y)), "you add after normalising: Z = LN(Y + MLP(Y)), not Y + LN(MLP(Y))."),
            (
                before + mlp(layer_norm(before)),
                "that is a pre-norm block, which normalises before each layer (GPT-2 does); BERT normalises after"
                " adding.",
            ),
            (layer_norm(y + mlp(x)), "the MLP reads X, so it never sees what attention found: give it Y."),
            (layer_norm(x + mlp(y)), "the second residual goes round attention: add Y, not X, to MLP(Y)."),
            (
                layer_norm(layer_norm(mha(x)) + mlp(layer_norm(mha(x)))),
                "the first residual is missing: a film's own vector is lost unless you add X to MHA(X).",
            ),
            (layer_norm(mlp(y)), "the second residual is missing: add Y to MLP(Y)."),
            (
                layer_norm(mlp(layer_norm(mha(x)))),
                "both residuals are missing: each half has to add its input to what its layer finds.",
            ),
            (y + mlp(y), "the last layer_norm is missing: Z = LN(Y + MLP(Y))."),
            (layer_norm(x + mha(x) + mlp(x + mha(x))), "the first layer_norm is missing: Y = LN(X + MHA(X))."),
            (x + mha(x) + mlp(x + mha(x)), "neither half normalises: each ends in a layer_norm."),
            (
                normalised((own := normalised(x + mha(x))) + mlp(own)),
                "you normalise in a way of your own; use the `layer_norm` given, which may have learned to scale and "
                "shift.",
            ),
            (y, "the block stops half way: Y = LN(X + MHA(X)) still has to go through the MLP half."),
        )


def split(x: np.ndarray, heads: int) -> np.ndarray:
    """(batch, length, d) to (batch, heads, length, d / heads); head h holds the h-th slice of the features."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


@exercise(
    "01.6",
    "Several heads: split the features and merge them again",
    points=2,
    why="heads are slices of the features that attend side by side, at the price of one big attention.",
    hints=(
        "Reshape only the last axis, d into (heads, d / heads); then swap axes. A reshape never swaps, it only "
        "regroups.",
        "split: x.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3). merge undoes it in reverse: transpose back, "
        "then reshape to (batch, length, d).",
    ),
)
def judge_heads(split_heads, merge_heads):
    rng = np.random.default_rng(6)
    for (batch, length, d), heads in (((2, 3, 8), 4), ((2, 4, 8), 4), ((1, 5, 6), 2), ((2, 3, 4), 1), ((2, 3, 8), 4)):
        x, size = rng.normal(size=(batch, length, d)), d // heads
        parts = split(x, heads)
        regrouped = x.reshape(batch, length, heads, size)
        compare(
            split_heads(x, heads),
            parts,
            "the split",
            (
                x.reshape(batch, heads, length, size),
                "a bare reshape cut the history into pieces: your head 0 holds only features of the first "
                "films. Split the last axis, then swap length and heads.",
            ),
            (
                regrouped,
                "the last axis is split, but heads still stand behind length: swap the two, to (batch, heads, "
                "length, d / heads).",
            ),
            (
                regrouped.transpose(2, 0, 1, 3),
                "heads stand before the batch; the order is (batch, heads, length, d / heads).",
            ),
            (
                regrouped.transpose(0, 2, 3, 1),
                "length and features are swapped: each film's slice is a row, (batch, heads, length, d / heads).",
            ),
            (
                x.reshape(batch, length, size, heads).transpose(0, 3, 1, 2),
                "your head h takes every heads-th feature; it should take one slice, from feature h * d / heads up to "
                "(h + 1) * d / heads, as pretrained weights expect.",
            ),
        )
        compare(
            merge_heads(parts),
            x,
            "the merged heads",
            (
                parts.reshape(batch, length, d),
                "merging by a bare reshape mixes films: swap heads and length back first, then join the slices.",
            ),
            (parts.mean(1), "the heads are averaged; merging lays their slices side by side, so that nothing is lost."),
            (parts.sum(1), "the heads are added up; merging lays their slices side by side, so that nothing is lost."),
            (
                parts.transpose(0, 2, 3, 1).reshape(batch, length, d),
                "the slices are woven into each other; lay them one after the other, head 0 first.",
            ),
            (
                regrouped,
                "heads and length are swapped back, but the slices are not joined yet: reshape to (batch, length, d).",
            ),
        )


@exercise(
    "01.7",
    "Read an attention map",
    points=2,
    why="rows ask, columns answer, and a bright cell says where information came from, not why a film was chosen.",
    hints=(
        "Go along a row to see where one film looks. Go down a column to see who looks at one film.",
        "Only rows sum to 1. And ask of the dark corner: which rule of exercise 01.3 forbids those cells?",
    ),
)
def judge_map(reading):
    quiz(
        reading,
        {
            "aliens looks most at": Question(
                "alien",
                {
                    "aliens": "that is the diagonal cell, .20; a brighter one stands to its left in the same row.",
                    "toy story": "along the row of Aliens, the column of Toy Story holds only .05.",
                    "heat": "along the row of Aliens, the column of Heat holds only .10.",
                    "casino": "that cell is 0: Casino comes later. If you went down the column, you read who looks at "
                    "Aliens; go along its row.",
                },
            ),
            "upper right is dark because": Question(
                "future",
                {
                    "unrelated": "even two parts of one series are dark there: the mask asks for places, not films.",
                    "padding": "padding darkens whole columns; here each row opens one cell more than the row above.",
                    "small": "the weights there are exactly 0, not small: their scores were minus infinity.",
                },
            ),
            "column of alien sums to": Question(
                1.5,
                {
                    1: "it is the rows that sum to 1; a column adds up what several queries gave to one key.",
                    0.7: "that is its brightest cell; add up the whole column.",
                    0.3: "that is the mean over the column's five cells; the question asks for their sum.",
                },
                "add up the cells of the column 'Alien', its own among them: one for each film that may look at it.",
            ),
            "bright cell proves": Question(
                "mixing",
                {
                    "cause": "attention tells what was mixed in this layer; take the film out to see whether the "
                    "prediction needs it.",
                    "similar": "a high score joins a query to a key, two different projections; films that go together "
                    "need not be alike.",
                    "taste": "one bright cell in one head of one layer is not the user's taste; "
                    "other heads and the residual carry the rest.",
                },
            ),
        },
    )
