"""Exercises of lesson 09, training at scale: NumPy only; rows and items count from 0."""

import itertools
from collections.abc import Mapping

import numpy as np

from recsys_helpers.checks.core import Wrong, compare, exercise, numbers


def tell(faults) -> None:
    """Raise Wrong with the message of the first fault, (whether it is there, message), that is there."""
    for there, message in faults:
        if there:
            raise Wrong(message)


def cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def read_batches(returned, rows: int) -> list[np.ndarray]:
    """The student's batches as arrays of positions, none of them empty."""
    if not np.iterable(returned) or isinstance(returned, str | bytes | Mapping):
        raise Wrong("return a list of batches, each an array of the positions of its rows.")
    if len(returned) > rows:
        raise Wrong(f"{rows} rows make at most {rows} batches, yours are {len(returned)}.")
    batches = [numbers(batch, "each batch") for batch in returned]
    for batch in batches:
        if batch.ndim != 1 or not np.isin(batch, np.arange(rows)).all():
            raise Wrong(f"each batch should be a flat array of positions of rows, from 0 to {rows - 1}.")
    if not all(map(len, batches)) or not batches:
        raise Wrong("a batch is empty: a bucket without rows makes no batch.")
    return [batch.astype(int) for batch in batches]


def epoch_faults(batches: list[np.ndarray], lengths: np.ndarray, boundaries: list[int], size: int):
    """What may be wrong with one epoch, shuffled or not: (whether it is, message)."""
    given, sizes = np.concatenate(batches), np.array(list(map(len, batches)))
    own, later = (np.searchsorted(boundaries, lengths, side) for side in ("left", "right"))
    mixed, mixed_later = (any(np.ptp(bucket[batch]) for batch in batches) for bucket in (own, later))
    missing, needed = np.setdiff1d(np.arange(len(lengths)), given), sum(-(-np.bincount(own) // size))
    yield np.array_equal(np.sort(given), np.sort(lengths)), "these are the lengths of rows: give their positions."
    yield len(set(given)) < len(given), "a row comes more than once in an epoch: a shuffle draws without replacement."
    dropped = missing.size and (sizes == size).all()
    yield dropped, "the last batch of a bucket is dropped where it is not full: keep it, smaller."
    overlooked = missing.size and np.isin(lengths[missing], boundaries).all()
    yield overlooked, "rows as long as a boundary are in no batch: a boundary is part of its bucket."
    yield missing.size, f"{missing.size} of {len(lengths)} rows are in no batch: each comes once in an epoch."
    moved = mixed and not mixed_later
    yield moved, "a row as long as a boundary stands in the next bucket: length <= boundary."
    yield mixed, "a batch mixes buckets, so its short rows are padded to the long ones: one bucket each."
    yield sizes.max() > size, f"a batch has more than batch_size = {size} rows."
    short = np.bincount([own[batch[0]] for batch in batches if len(batch) < size], minlength=1)
    even = len(batches) == needed and short.max() > 1
    yield even, "a bucket's batches are made alike, and several are not full: only its last one may be smaller."
    yield len(batches) > needed, f"{needed} batches are enough: only the last one of a bucket may be smaller."


def order_faults(epochs: list[list[np.ndarray]], lengths: np.ndarray, boundaries: list[int]):
    """What may be wrong with epochs by seed, of which the last has the seed of the first: (whether it is, message)."""
    first, second, *_, again = ([batch.tolist() for batch in epoch] for epoch in epochs)
    yield first != again, "one seed gives two different epochs: draw from np.random.default_rng(seed) only."
    yield first == second, "two seeds give the same epoch: draw from np.random.default_rng(seed)."
    fixed = set(map(frozenset, first)) == set(map(frozenset, second))
    yield fixed, "the rows of a bucket are cut unshuffled: the same rows meet in every epoch."
    own = np.searchsorted(boundaries, lengths)
    ranges = [sorted((own[b[0]], lengths[b].min(), lengths[b].max()) for b in epoch) for epoch in epochs]
    by_length = all(low[2] <= high[1] for each in ranges for low, high in itertools.pairwise(each))
    yield by_length, "the rows of a bucket are cut in the order of their lengths: shuffle them."
    orders = [own[[batch[0] for batch in epoch]] for epoch in epochs]
    rising = all((np.diff(order) >= 0).all() for order in orders)
    yield rising, "the batches go from short to long, so training ends on long rows: shuffle them, too."
    blocks = all(np.count_nonzero(np.diff(order)) < len(np.unique(own)) for order in orders)
    yield blocks, "a bucket's batches come one after the other: shuffle those of all buckets together."
    unseeded = all(np.array_equal(orders[0], order) for order in orders)
    yield unseeded, "the order of the batches is the same whatever the seed: shuffle them with it, too."


def padding_mistakes(lengths: np.ndarray, batches: list[np.ndarray], boundaries: list[int]):
    """The share of padding, first of all right, then as mistakes have it, each with its message."""
    ends, sizes = np.array(boundaries), np.array(list(map(len, batches)))
    real = sum(lengths[batch].sum() for batch in batches)  # a row that is in none of them does not count
    longest = np.array([lengths[batch].max() for batch in batches])
    widths, own = (ends[np.searchsorted(ends, x)] for x in (longest, lengths))
    later = ends[np.minimum(np.searchsorted(ends, longest, side="right"), len(ends) - 1)]
    padding = (total := widths @ sizes) - real
    each = np.array([1 - lengths[batch].mean() / width for batch, width in zip(batches, widths, strict=True)])
    padded = np.repeat(widths, sizes) > lengths[np.concatenate(batches)]
    yield padding / total, ""
    yield (
        1 - lengths.sum() / total,
        "you add up the lengths of all rows: only those in the given batches are real positions.",
    )
    yield real / total, "that is the share of real positions: the share of padding is the rest."
    yield 1 - real / (ends[-1] * sizes.sum()), "every batch is padded to the last boundary: its own is enough."
    yield (
        1 - real / (longest @ sizes),
        "you pad a batch to its longest row: pad it to the first boundary that this row fits into.",
    )
    yield each.mean(), "you average the shares of the batches: a large one has more positions. Count positions."
    yield each @ sizes / sizes.sum(), "you average over rows; a row of a wide batch has more positions. Count those."
    yield padding / real, "you divide by the real positions: divide by all positions, padding included."
    yield padding, "that counts the padding: divide it by the number of all positions."
    yield 100 * padding / total, "that is in per cent: give a share from 0 to 1."
    yield 1 - lengths.sum() / own.sum(), "you pad each row by itself: a batch is as wide as its longest row asks."
    yield 1 - real / (later @ sizes), "a row as long as a boundary fits into it: length <= boundary."
    yield padded.mean(), "you count the rows that have padding: count the positions that are padding."


@exercise(
    "09.1",
    "Batches of rows of like length",
    points=2,
    why="little is padded, only a few widths are compiled, and the shuffles keep each epoch a fair sample.",
    hints=(
        "Find each row's bucket; for each bucket shuffle its rows and cut them into batches; last of all shuffle the "
        "list of batches. A batch is as wide as the first boundary that its longest row fits into.",
        "np.searchsorted(boundaries, lengths) is the bucket of each row. rng = np.random.default_rng(seed); "
        "rng.permutation(np.flatnonzero(bucket == b)), cut by slices; rng.permutation(len(batches)) for their order.",
    ),
)
def judge_buckets(buckets, padded_share):
    rng = np.random.default_rng(91)
    # How many rows each bucket has: as many as fill its batches, one more, or none at all.
    for boundaries, counts, size in (([8, 16, 32], (41, 40, 65), 8), ([3, 5, 12, 40], (26, 0, 31, 44), 5)):
        spans = zip([0, *boundaries], boundaries, counts, strict=False)
        lengths = rng.permutation(np.concatenate([rng.integers(low, high, n) + 1 for low, high, n in spans]))
        epochs = []
        for seed in (1, 2, 3, 4, 1):
            returned = buckets(lengths, boundaries, size, seed)
            batches = read_batches(returned, len(lengths))
            tell(epoch_faults(batches, lengths, boundaries, size))
            if buckets.drew_globally:
                raise Wrong("you draw from NumPy's one global state, which others share: use a generator of your own.")
            epochs.append(batches)
        tell(order_faults(epochs, lengths, boundaries))
        own = np.searchsorted(boundaries, lengths)
        sorted_out = [batch for b in np.unique(own) for batch in cut(np.flatnonzero(own == b), size)]
        for batches in (cut(rng.permutation(len(lengths)), size), sorted_out, sorted_out[::-1], sorted_out[1::2]):
            (right, _), *mistakes = padding_mistakes(lengths, batches, boundaries)
            compare(padded_share(lengths, batches, boundaries), right, "the share of padding", *mistakes)


@exercise(
    "09.2",
    "One gradient from small batches",
    points=2,
    why="weighed by its real positions, a batch may be cut wherever memory asks, and the step stays the same.",
    hints=(
        "The mean over the big batch is the sum over all its real positions, divided by their number. What is the sum "
        "over one micro-batch, if you know its mean? And a micro-batch without positions has no mean.",
        "A mean times its count is a sum again. Keep the rows with counts > 0 before you multiply: counts @ gradients "
        "of those, divided by the sum of the counts.",
    ),
)
def judge_combined(combined_gradient):
    rng = np.random.default_rng(92)
    for counts, parameters in (([30, 10], 3), ([7, 1, 4], 1), ([5, 9, 2, 12, 3], 4)):
        counts = np.array(counts)
        each = rng.normal(size=(len(counts), parameters)) + 0.5
        right, inverse = counts @ each / counts.sum(), 1 / counts
        compare(
            combined_gradient(each, counts),
            right,
            "the gradient",
            (
                each.mean(0),
                "that is the plain mean: a position in a small micro-batch then counts more than others.",
            ),
            (
                each.sum(0),
                "you add the gradients up: each is a mean already, so weigh it by its number of positions.",
            ),
            (counts @ each, "the weighing is done; now divide by the number of all positions."),
            (
                counts @ each / len(counts),
                "you divide by the number of micro-batches: divide by that of positions.",
            ),
            (inverse @ each / inverse.sum(), "you weigh by 1 / count: the more positions, the more a mean counts."),
        )
    counts, each = np.array([6, 0, 2, 0]), rng.normal(size=(4, 3)) + 0.5
    each[1] = np.nan
    right, plain = counts[::2] @ each[::2] / 8, np.nan_to_num(each).mean(0)
    compare(
        combined_gradient(each, counts),
        right,
        "the gradient beside empty micro-batches",
        (right * np.nan, "an empty micro-batch has the mean 0 / 0, and 0 * NaN is NaN: leave it out."),
        (plain, "the empty micro-batches count as gradients of 0: they have no say."),
    )
    for row, spoiled in ((0, 1), (2, 0), (2, slice(None))):
        lost = each.copy()
        lost[row, spoiled] = np.nan
        hidden, right = counts @ np.nan_to_num(lost) / 8, counts[::2] @ lost[::2] / 8
        compare(
            combined_gradient(lost, counts),
            right,
            "the gradient with a NaN at a real position",
            (hidden, "the NaN of a real position is made 0: it has to stay, so that the step can be skipped."),
            (
                lost[2 - row],
                "a micro-batch is left out for a NaN of real positions, which has to stay: ask for its count.",
            ),
            (right * np.nan, "one parameter's NaN spoils the others here: each parameter has a sum of its own."),
        )


def three(returned) -> tuple:
    try:
        gradients, scale, good_steps = returned
    except (TypeError, ValueError):
        raise Wrong("return three values: the gradients or None, the scale, the number of good steps.") from None
    return gradients, [numbers(scale, "the scale"), numbers(good_steps, "the number of good steps")]


# Gradients of a step to be skipped, and what an answer overlooks that lets them pass; the first that passes is told.
SPOILED = (
    ([np.nan, np.inf, -np.inf], "infinities and NaNs pass: the update has to be skipped, or all weights are lost."),
    (
        [1.0, np.inf, -2.0, np.nan, np.inf],
        "one value that is not finite spoils the step: let it pass only if all are finite.",
    ),
    ([1.0, np.nan, 2.0], "NaN passes, as it is no infinity: np.isfinite tells both from numbers."),
    ([1.0, 2.0, np.inf], "an infinity passes, as it is no NaN: np.isfinite tells both from numbers."),
    ([-np.inf, 2.0, 1.0], "minus infinity passes: a gradient overflows to both sides."),
)


@exercise(
    "09.3",
    "A scale that looks after itself",
    points=2,
    why="the scale stays just below overflow, where 16 bits lose least, and one overflow costs one step, no weights.",
    hints=(
        "First ask whether every value is finite; that decides between two returns. Then think in which type the "
        "division happens, and which scale these gradients were made with.",
        "np.isfinite(gradients).all(). If not: None, scale / 2, 0. Else gradients.astype('float32') / scale, and the "
        "counter + 1; when it reaches patience, the scale doubles and the counter is 0.",
    ),
)
def judge_unscale(unscale):
    rng = np.random.default_rng(93)
    for scale, before, patience in (
        (2.0**10, 1, 5),
        (2.0**16, 3, 4),
        (8.0, 0, 1),
        (2.0**15, 1997, 2000),
        (2.0**24, 1, 2),
        (2.0**30, 5, 6),
        (0.25, 2, 3),
        (2.0**-3, 0, 9),
    ):
        gradients = (rng.normal(size=6) * 10.0 ** np.arange(-3, 3)).astype("float16")
        exact, grows = gradients.astype(float), before + 1 == patience
        made, state = three(unscale(gradients, scale, before, patience))
        if made is None:
            raise Wrong("a good step is skipped: return its gradients unless a value is not finite.")
        vanish = "you divide in 16 bits, where small gradients vanish: make them float32 first."
        divided = gradients / np.float16(scale), gradients * np.float16(1 / scale)
        compare(
            numbers(made, "the gradients") * scale,
            exact,
            "the gradients, times the scale again",
            *((x.astype(float) * scale, vanish) for x in divided),
            (exact * scale, "the gradients are still scaled: divide them by the scale."),
            (exact * scale**2, "you multiply by the scale once more: the loss was multiplied, so divide."),
            (exact / 2, "you divide by the new scale: these gradients were made with the old one."),
        )
        compare(
            state,
            (2 * scale, 0) if grows else (scale, before + 1),
            "the scale and the number of good steps",
            (
                (0, 2 * scale) if grows else (before + 1, scale),
                "scale and number of good steps are swapped: return the scale first.",
            ),
            *(
                (state, "the scale never grows: count this step, and double in time.")
                for state in ((scale, before + grows), (2 * scale, 0) if grows else (scale, before))
            ),
            *(
                (
                    (min(2 * scale, most), 0) if grows else (min(scale, most), before + 1),
                    "the scale stops growing at some size: an overflow is what brings it down, and nothing else.",
                )
                for most in (2.0**15, 2.0**16, 2.0**24)
            ),
            (
                (scale + scale * grows, 0),
                "the count starts again, and the scale did not change: only a change starts it again.",
            ),
            (
                (scale + scale * grows, before + 1),
                "the scale doubles and the count goes on: it starts again from 0.",
            ),
            ((2 * scale, 0), "the scale doubles too soon: it takes `patience` good steps in a row."),
            (
                (2 * scale if grows else scale / 2, 0),
                "the scale is halved after a good step: only after one that is skipped.",
            ),
        )
    if three(unscale(np.zeros(4, "float16"), 64.0, 3, 9))[0] is None:
        raise Wrong("a step whose gradients are all 0 is a good one: skip only what is not finite.")
    if three(unscale(np.full(4, -60000, "float16"), 4.0, 0, 9))[0] is None:
        raise Wrong("a good step is skipped: in 16 bits the sum or square of finite values overflows. Ask each value.")
    for values, passes in SPOILED:
        gradients = np.array(values, "float16")
        made, state = three(unscale(gradients, 64.0, 3, 4))
        if made is not None:
            made = numbers(made, "what you return in place of None, for a step to be skipped,")
            if not made.any():
                raise Wrong("zeros are an update, too: Adam still moves by its moments. Return None to skip the step.")
            if np.isfinite(made).all():
                raise Wrong("you make up numbers where gradients are lost: skip the whole step.")
            raise Wrong(passes)
        compare(
            state,
            (32, 0),
            "the scale and the number of good steps after a skipped one",
            ((64, 0), "the scale stays after an overflow, so the next step overflows, too: halve it."),
            ((128, 0), "the scale doubles after an overflow: halve it."),
            ((32, 3), "the count goes on after an overflow, and the scale soon grows back: start it again from 0."),
            ((32, 4), "a skipped step is counted as a good one: the count starts again from 0."),
        )
    for scale in (2.0, 1.0, 0.125):
        _, state = three(unscale(np.array([np.inf, 1.0], "float16"), scale, 3, 4))
        floor = "the scale stops falling at some size: gradients that overflow there need a smaller one."
        what = "the scale and the number of good steps after a small scale overflowed"
        compare(state, (scale / 2, 0), what, *(((low, 0), floor) for low in (scale, 1)))


log_sum = np.logaddexp.reduce  # whatever the size of the logits


def log_loss(target: float, others: np.ndarray) -> float:
    """Cross-entropy of the target among itself and the others."""
    return log_sum([target, *others]) - target


def sampled_mistakes(logits: np.ndarray, target: int, drawn: np.ndarray, chances: np.ndarray):
    """What may be made of the logits in the place of the sampled loss, each with its message."""
    draws, items, kept, alone = len(drawn), len(logits), drawn[drawn != target], logits[target]
    expected, at_all = draws * chances, -np.expm1(draws * np.log1p(-chances))
    low = logits - np.log(expected)
    others, lowered = low[kept], low[target]
    for correction, message in (
        (0 * chances, "nothing is corrected: what is often drawn is pushed down as often."),
        (-np.log(expected), "the correction is added, so popular items sink twice: subtract it."),
        (np.log(chances), "each draw stands for 1/n of the sum: lower by log(n * q)."),
        (np.log(len(kept) * chances), "n is the number of draws left here: it counts those of the target, too."),
        (np.log(items * chances), "n is the number of items here: it is that of the draws."),
        (expected, "you subtract the expected number itself: a logit is lowered by its logarithm."),
        (np.log(at_all), "you take the chance to be drawn at all: the expected number of draws counts."),
    ):
        yield log_loss(alone, (logits - correction)[kept]), message
    in_batch = "the target is lowered, too: right only where it is one of the draws, as with in-batch negatives."
    yield log_loss(lowered, others), in_batch
    yield log_loss(lowered, logits[kept]), "only the target is lowered: it counts once anyway. Lower what is drawn."
    yield log_sum([lowered, *others]) - alone, "the target is lowered in the sum, in which it counts once anyway."
    divided = (logits / expected)[kept]
    yield log_loss(alone, divided), "you divide the logits: dividing their exponentials means to subtract a logarithm."
    yield log_loss(alone, low[drawn]), "a draw that is the target itself competes with it: leave such draws out."
    yield log_loss(alone, low[np.unique(kept)]), "an item drawn twice counts once: it counts as often as it is drawn."
    yield log_sum(others) - alone, "the target is missing from the denominator: it is one of the choices."
    yield log_sum(logits) - alone, "that is the softmax over the whole catalogue: only the drawn are asked."
    yield np.logaddexp(0, [-alone, *others]).sum(), "you judge each item by a sigmoid: a softmax lets them compete."
    right = log_loss(alone, others)
    yield -right, "the sign is turned: a loss is minus the logarithm of a probability."
    yield np.exp(-right), "that is the target's probability: the loss is minus its logarithm."
    yield right / (1 + len(kept)), "you divide by the number of items that compete: one position has one loss."


@exercise(
    "09.4",
    "A softmax over few drawn items",
    points=2,
    why="each other item counts once on average, so few draws stand for all items, whether an item is drawn "
    "often or rarely.",
    hints=(
        "The denominator has two parts: the target, which is there once, and the sum over all others, which the draws "
        "estimate. Item i is drawn n * q_i times on average, so divide e to the z_i by that; what does this take off "
        "z_i?",
        "others = drawn[drawn != target]; lower vectors[others] @ state by np.log(len(drawn) * chances[others]), and "
        "leave the target's logit as it is. np.logaddexp.reduce of both together is the denominator's logarithm, "
        "without an overflow.",
    ),
)
def judge_sampled(sampled_loss):
    rng = np.random.default_rng(94)
    for items, width, draws in ((7, 3, 8), (12, 2, 5), (9, 4, 20)):
        state, vectors, chances = (
            rng.normal(size=width),
            rng.normal(size=(items, width)),
            rng.dirichlet(np.ones(items)),
        )
        drawn = rng.integers(items, size=draws)
        target, logits = int(drawn[2]), vectors @ state
        drawn[0] = drawn[1] = (target + 2) % items
        compare(
            sampled_loss(state, vectors, target, drawn, chances),
            log_loss(logits[target], (logits - np.log(draws * chances))[drawn[drawn != target]]),
            "the loss",
            *sampled_mistakes(logits, target, drawn, chances),
        )
    overflow = "e to the 1000 is infinite, e to the -1000 is 0: use np.logaddexp, or take the largest logit off."
    chances = np.array([0.2, 0.5, 0.3])
    for sizes in ([1000.0, 999.0, 998.0], [-1000.0, -1001.0, -999.0], [0.0, 900.0, -900.0], [900.0, 0.0, -900.0]):
        low = np.array(sizes) - np.log(4 * chances)
        compare(
            sampled_loss(np.ones(1), np.array(sizes)[:, None], 0, np.array([1, 2, 1, 0]), chances),
            log_loss(sizes[0], low[[1, 2, 1]]),
            "the loss with logits near 1000",
            *((lost, overflow) for lost in (np.nan, np.inf, -np.inf)),
        )
    nothing = "where every draw is the target, nothing competes: the target is left alone, with a loss of 0."
    alone = sampled_loss(np.ones(1), np.ones((3, 1)), 1, np.array([1, 1]), chances)
    compare(alone, 0, "the loss of a target without others", (-np.inf, nothing), (np.nan, nothing))


PARTS = "weights", "gradients", "optimizer", "attention", "logits"


def memory_mistakes(items, width, blocks, heads, batch, length, size=4) -> dict[str, tuple]:
    """For each part its bytes, and what mistakes make of it."""
    dense, norm, rows, states = width * width + width, 2 * width, (items + 1) * width, batch * length
    block = 6 * dense + 2 * norm
    weights = rows + length * width + blocks * block + norm
    scores, logits = blocks * batch * heads * length**2, states * (items + 1)
    half = "activation_bytes is the size of activations only: {} stay in 4 bytes each, or small steps are lost."
    counted = "these are numbers, not bytes: each of them takes {}."
    return {
        "weights": (
            4 * weights,
            (weights, counted.format("4 bytes")),
            (size * weights, half.format("weights")),
            (4 * (weights - width), "the padding row is missing: the table has items + 1 rows."),
            (4 * (weights - length * width), "the position embedding is missing: a row of `width` for each position."),
            (4 * (weights + rows), "the output layer shares the item embedding's weights: count the table once."),
            (4 * (weights - (blocks - 1) * block), "one block is counted: there are `blocks` of them."),
            (4 * (weights - blocks * 6 * width), "the biases of the dense layers are missing: width**2 + width each."),
            (4 * (weights - blocks * 2 * norm), "the two norms of each block are missing."),
            (4 * (weights - norm), "the final norm is missing."),
            (4 * (weights - (2 * blocks + 1) * width), "a norm has a scale and a shift: 2 * width."),
            (4 * (weights - blocks * dense), "attention has four dense layers: query, key, value and output."),
            (4 * (weights - blocks * 2 * dense), "the two dense layers behind attention are missing in each block."),
        ),
        "gradients": (
            4 * weights,
            (size * weights, half.format("gradients")),
            (4 * weights * batch, "the gradients of a batch are added up: there is one a weight, not one a row."),
        ),
        "optimizer": (
            8 * weights,
            (2 * size * weights, half.format("moments")),
            (4 * weights, "Adam keeps two moments of each weight: the mean of its gradients and of their squares."),
            (12 * weights, "the weights are counted already: Adam adds two moments."),
        ),
        "attention": (
            size * scores,
            (4 * scores, "the attention weights are activations: each takes activation_bytes."),
            (scores, counted.format("activation_bytes")),
            (size * scores / length, "attention is linear in length here: each position looks at each, length**2."),
            (size * scores / heads, "the heads are forgotten: each has attention weights of its own."),
            (size * scores / batch, "the batch is forgotten: each row has attention weights of its own."),
            (size * scores / blocks, "the blocks are forgotten: all wait for the backward pass."),
            (size * scores / 2, "the causal mask hides half of the weights, but they are stored: count length**2."),
        ),
        "logits": (
            4 * logits,
            (size * logits, "the logits stay in 4 bytes under mixed precision: a softmax over so many needs them."),
            (logits, counted.format("4 bytes")),
            (4 * logits / length, "only the last position is scored: training scores all positions at once."),
            (4 * logits / batch, "the batch is forgotten: each row has logits of its own."),
            (4 * states * items, "the padding column is missing: a position has items + 1 logits."),
        ),
    }


@exercise(
    "09.5",
    "What a training step holds in memory",
    points=2,
    why="a plan tells before the run what does not fit: with many items the logits, with long rows attention.",
    hints=(
        "Count the weights piece by piece, from the bottom to the top of the model; three of the five parts are "
        "multiples of that number. For the batch: what is there without any row, and what does each row add?",
        "A dense layer has width**2 + width weights; a block has six and two norms of 2 * width. left = budget minus "
        "weights, gradients and optimizer; divide it, in whole numbers, by attention and logits of batch 1.",
    ),
)
def judge_memory(step_memory, largest_batch):
    for case in ((9, 6, 5, 3, 11, 7), (50, 8, 3, 2, 5, 4, 2), (20, 10, 2, 5, 3, 9, 1)):
        given = step_memory(*case)
        if not isinstance(given, Mapping) or set(given) != set(PARTS):
            raise Wrong(f"return a dict with the keys {', '.join(map(repr, PARTS))}.")
        for part, (right, *mistakes) in memory_mistakes(*case).items():
            compare(given[part], right, f"the bytes of {part!r}", *mistakes)
    for model, rest in (((40, 8, 1, 2), (6,)), ((500, 4, 3, 2), (9, 2))):
        table = memory_mistakes(*model, 1, *rest)
        *held, attention, logits = (right for right, *_ in table.values())
        fixed, each = sum(held), attention + logits
        for rows, more in ((7, 0), (300, 0), (7, 0.7 * each), (0, 0.7 * each), (0, -1), (0, -fixed / 2)):
            budget = int(fixed + rows * each + more)
            compare(
                largest_batch(budget, *model, *rest),
                rows,
                "the largest batch",
                (max(rows, 1), "no batch is below 1 with you: if not even one row fits, the answer is 0."),
                (
                    budget // each,
                    "weights, gradients and moments need room before the first row does: subtract them.",
                ),
                (-(-(budget - fixed) // each), "that is rounded up, and does not fit: round down."),
                ((budget - fixed) // each, "no batch is below 0: if not even one row fits, the answer is 0."),
                ((budget - fixed) / each, "a batch is a whole number of rows: round down."),
                (budget // (fixed + each), "each row asks for weights of its own here: they are there once."),
                ((budget - fixed) // logits, "attention is forgotten: each row adds attention and logits."),
                ((budget - fixed) // attention, "the logits are forgotten: each row adds attention and logits."),
                (rows - 1, "a batch that just fills the budget fits."),
            )
