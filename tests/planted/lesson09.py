"""Planted answers to the exercises of lesson 09."""

import numpy as np

from planted.common import Tensor

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 09.1 batches of rows of like length ----------------------------------------------------------------------------


def cut(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def epoch(
    lengths,
    boundaries,
    size,
    seed,
    side="left",
    inner=lambda rng, rows, lengths: rng.permutation(rows),
    outer=lambda rng, batches: rng.permutation(len(batches)),
):
    """The right epoch, or one with other buckets, another order of rows or of batches."""
    rng = np.random.default_rng(seed)
    own = np.searchsorted(boundaries, lengths, side)
    batches = [b for i in np.unique(own) for b in cut(inner(rng, np.flatnonzero(own == i), lengths), size)]
    return [batches[i] for i in outer(rng, batches)]


def epoch_with_loops(lengths, boundaries, batch_size, seed):
    random = np.random.RandomState(seed)
    rows = random.permutation(len(lengths)).tolist()
    buckets = {end: [] for end in boundaries}
    for row in rows:
        buckets[next(end for end in boundaries if lengths[row] <= end)].append(row)
    batches = []
    for bucket in buckets.values():
        while bucket:
            batches.append(bucket[:batch_size])
            bucket = bucket[batch_size:]
    random.shuffle(batches)
    return batches


def epoch_of_tensors(lengths, boundaries, batch_size, seed):
    shuffled = np.random.default_rng(seed).permutation(len(lengths))
    shuffled = shuffled[np.argsort(np.digitize(lengths[shuffled], boundaries, right=True), kind="stable")]
    starts = np.flatnonzero(np.diff(np.digitize(lengths[shuffled], boundaries, right=True))) + 1
    batches = [Tensor(b.astype("float32")) for bucket in np.split(shuffled, starts) for b in cut(bucket, batch_size)]
    return tuple(batches[i] for i in np.random.default_rng([seed, 1]).permutation(len(batches)))


def share(lengths, batches, boundaries, width=lambda ends, longest: min(e for e in ends if e >= longest)):
    padded = sum(len(batch) * width(boundaries, lengths[batch].max()) for batch in batches)
    return 1 - sum(lengths[batch].sum() for batch in batches) / padded


def share_with_loops(lengths, batches, boundaries):
    blank = positions = 0
    for batch in batches:
        wide = next(end for end in boundaries if all(lengths[row] <= end for row in batch))
        blank += sum(wide - lengths[row] for row in batch)
        positions += wide * len(batch)
    return Tensor(np.float32(blank / positions))


def cuts(**change):
    return (lambda *given: epoch(*given, **change), share)


def of_batches(change):
    """The right epoch, its batches changed by change(batches, given arguments)."""
    return (lambda *given: change(epoch(*given), *given), share)


def shares(answer):
    return epoch, answer


def dropped(batches, lengths, boundaries, size, seed):
    return [batch for batch in batches if len(batch) == size]


def emptied(lengths, boundaries, size, seed):
    own = np.searchsorted(boundaries, lengths)
    batches = []
    for bucket in range(len(boundaries) + 1):
        rows = np.flatnonzero(own == bucket)
        batches += np.array_split(np.random.default_rng(seed).permutation(rows), max(1, -(-len(rows) // size)))
    return batches


def replaced(rng, rows, lengths):
    return rng.choice(rows, len(rows))


def by_global_state(lengths, boundaries, size, seed):
    np.random.seed(seed)
    return epoch(lengths, boundaries, size, np.random.randint(10**6))


def in_runs(rng, batches):
    """Batches shuffled within blocks that stay together: those that come in one run are of one bucket."""
    return np.arange(len(batches))[::-1]


def unpadded_right(lengths, batches, boundaries):
    later = np.searchsorted(boundaries, [lengths[b].max() for b in batches], side="right")
    widths = np.array(boundaries)[np.minimum(later, len(boundaries) - 1)]
    real = sum(lengths[batch].sum() for batch in batches)
    return 1 - real / sum(w * len(b) for w, b in zip(widths, batches, strict=True))


def own_widths(lengths, boundaries):
    return np.array(boundaries)[np.searchsorted(boundaries, lengths)]


def each_share(lengths, batches, boundaries):
    return np.array([share(lengths, [batch], boundaries) for batch in batches])


def real(lengths, batches):
    return sum(lengths[batch].sum() for batch in batches)


def padding(lengths, batches, boundaries):
    return real(lengths, batches) * (1 / (1 - share(lengths, batches, boundaries)) - 1)


def any_padding(lengths, batches, boundaries):
    wide = [max(own_widths(lengths[b], boundaries)) for b in batches]
    return np.mean(np.concatenate([lengths[b] < w for b, w in zip(batches, wide, strict=True)]))


def of_all_lengths(lengths, batches, boundaries):
    return 1 - lengths.sum() / (real(lengths, batches) + padding(lengths, batches, boundaries))


def evened(lengths, boundaries, batch_size, seed):
    rng = np.random.default_rng(seed)
    own = np.searchsorted(boundaries, lengths)
    batches = []
    for bucket in np.unique(own):
        rows = rng.permutation(np.flatnonzero(own == bucket))
        batches += np.array_split(rows, -(-len(rows) // batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


RIGHT["09.1"] = [(epoch, share), (epoch_with_loops, share_with_loops), (epoch_of_tensors, share)]
WRONG["09.1"] = [
    ((lambda *given: {"batches": epoch(*given)}, share), "return a list of batches"),
    (of_batches(lambda batches, *given: [b for batch in batches for b in cut(batch, 1)] * 2), "make at most"),
    (of_batches(lambda batches, *given: [batch[:, None] for batch in batches]), "should be a flat array"),
    ((emptied, share), "a batch is empty"),
    (of_batches(lambda batches, lengths, *given: [lengths[batch] for batch in batches]), "the lengths of rows"),
    (cuts(inner=replaced), "more than once"),
    (of_batches(dropped), "is dropped where it is not full"),
    (
        of_batches(lambda batches, lengths, ends, *given: [b[~np.isin(lengths[b], ends)] for b in batches]),
        "are in no batch: a boundary",
    ),
    (of_batches(lambda batches, *given: batches[1:]), "rows are in no batch: each"),
    (cuts(side="right"), "stands in the next bucket"),
    ((lambda lengths, ends, size, seed: epoch(lengths, [], size, seed), share), "a batch mixes buckets"),
    ((lambda lengths, ends, size, seed: epoch(lengths, ends, 2 * size, seed), share), "more than batch_size"),
    ((lambda lengths, ends, size, seed: epoch(lengths, ends, size // 2, seed), share), "batches are enough"),
    ((by_global_state, share), "one global state"),
    ((lambda lengths, ends, size, seed: epoch(lengths, ends, size, None), share), "two different epochs"),
    ((lambda lengths, ends, size, seed: epoch(lengths, ends, size, 0), share), "two seeds give the same"),
    (cuts(inner=lambda rng, rows, lengths: rows), "are cut unshuffled"),
    (
        cuts(inner=lambda rng, rows, lengths: rows[np.lexsort((rng.random(len(rows)), lengths[rows]))]),
        "in the order of their lengths",
    ),
    (cuts(outer=lambda rng, batches: range(len(batches))), "from short to long"),
    (cuts(outer=in_runs), "one after the other"),
    (cuts(outer=lambda rng, batches: np.random.default_rng(0).permutation(len(batches))), "whatever the seed"),
    (shares(lambda *given: 1 - share(*given)), "the share of real positions"),
    (shares(lambda *given: share(*given, width=lambda ends, longest: ends[-1])), "to the last boundary"),
    (shares(lambda *given: share(*given, width=lambda ends, longest: longest)), "to its longest row"),
    (shares(lambda *given: each_share(*given).mean()), "the shares of the batches"),
    (
        shares(lambda *given: np.average(each_share(*given), weights=[len(b) for b in given[1]])),
        "you average over rows",
    ),
    (shares(lambda *given: padding(*given) / real(*given[:2])), "divide by the real positions"),
    (shares(padding), "that counts the padding"),
    (shares(lambda *given: 100 * share(*given)), "in per cent"),
    (shares(lambda lengths, batches, ends: 1 - lengths.sum() / own_widths(lengths, ends).sum()), "each row by itself"),
    (shares(unpadded_right), "fits into it"),
    (shares(any_padding), "the rows that have padding"),
    (shares(of_all_lengths), "the lengths of all rows"),
    ((evened, share), "are made alike"),
]

# --- 09.2 one gradient from small batches ---------------------------------------------------------------------------


def combined(gradients, counts):
    real = counts > 0
    return np.average(gradients[real], axis=0, weights=counts[real])


def combined_with_loops(gradients, counts):
    total = [0.0] * gradients.shape[1]
    for gradient, count in zip(gradients.tolist(), counts.tolist(), strict=True):
        if count:
            total = [t + count * g for t, g in zip(total, gradient, strict=True)]
    return [t / sum(counts) for t in total]


def combined_in_float32(gradients, counts):
    weights = (counts / counts.sum()).astype("float32")
    each = np.where(counts[:, None] > 0, gradients.astype("float32"), 0)
    return Tensor((weights[:, None] * each).sum(0))


def finite_only(gradients, counts):
    real = np.isfinite(gradients).all(axis=1)
    return counts[real] @ gradients[real] / counts[real].sum()


def inverse(gradients, counts):
    weights = np.divide(1, counts, out=np.zeros(len(counts)), where=counts > 0)
    return weights @ np.nan_to_num(gradients) / weights.sum()


def spreading(gradients, counts):
    found = combined(gradients, counts)
    return found * np.nan if np.isnan(found).any() else found


def mean_of_zeros(gradients, counts):
    return np.nan_to_num(gradients).mean(0) if np.isnan(gradients).any() else combined(gradients, counts)


RIGHT["09.2"] = [(combined,), (combined_with_loops,), (combined_in_float32,)]
WRONG["09.2"] = [
    ((lambda g, c: g.mean(0),), "the plain mean"),
    ((lambda g, c: g.sum(0),), "you add the gradients up"),
    ((lambda g, c: c @ g,), "the weighing is done"),
    ((lambda g, c: c @ g / len(c),), "the number of micro-batches"),
    ((inverse,), "you weigh by 1 / count"),
    ((lambda g, c: (1 / c) @ g,), "is expected at position (0,)"),
    ((lambda g, c: c[:, None] * g / c.sum(),), "should have shape (3,)"),
    ((lambda g, c: c @ g / c.sum(),), "0 * NaN is NaN"),
    ((mean_of_zeros,), "count as gradients of 0"),
    ((lambda g, c: c @ np.nan_to_num(g) / c.sum(),), "is made 0"),
    ((finite_only,), "left out for a NaN"),
    ((spreading,), "spoils the others"),
]

# --- 09.3 a scale that looks after itself ---------------------------------------------------------------------------


def unscale(
    gradients,
    scale,
    good_steps,
    patience,
    passes=lambda g: np.isfinite(g).all(),
    divided=lambda g, scale: g.astype("float32") / np.float32(scale),
    skipped=lambda g, scale, good: (None, scale / 2, 0),
    full=lambda scale, good: (scale * 2, 0),
    counted=lambda scale, good: (scale, good),
):
    """The right step, or one with a part of it changed."""
    if not passes(gradients):
        return skipped(gradients, scale, good_steps)
    good = good_steps + 1
    return (divided(gradients, scale), *(full(scale, good) if good == patience else counted(scale, good)))


def unscale_with_loops(gradients, scale, good_steps, patience):
    values = [float(g) for g in gradients]
    if any(g != g or g in (float("inf"), -float("inf")) for g in values):
        return [None, scale * 0.5, 0]
    doubles = good_steps + 1 >= patience
    return [[g / scale for g in values], scale * (1 + doubles), (good_steps + 1) * (not doubles)]


def unscale_by_the_sum(gradients, scale, good_steps, patience):
    exact = gradients.astype("float64")
    if not np.isfinite(exact.sum()):
        return None, Tensor(scale / 2), Tensor(0)
    good = (good_steps + 1) % patience
    return Tensor(exact / scale), Tensor(scale if good else 2 * scale), Tensor(good)


def scaled(**change):
    return (lambda *given: unscale(*given, **change),)


def made_up(number):
    """Skips in the scale and in the count, but returns the gradients with a number where they are not finite."""
    return scaled(
        skipped=lambda g, scale, good: (np.where(np.isfinite(g), g, number) / np.float32(scale), scale / 2, 0)
    )


RIGHT["09.3"] = [(unscale,), (unscale_with_loops,), (unscale_by_the_sum,)]
WRONG["09.3"] = [
    ((lambda *given: unscale(*given)[:2],), "return three values"),
    ((lambda g, scale, good, patience: (None, scale / 2, 0),), "a good step is skipped: return its"),
    (scaled(divided=lambda g, scale: (g / np.float16(scale)).astype("float32")), "you divide in 16 bits"),
    (scaled(divided=lambda g, scale: g.astype("float32")), "are still scaled"),
    (scaled(divided=lambda g, scale: g.astype("float32") * scale), "multiply by the scale once more"),
    (
        (lambda g, scale, good, patience: unscale(g, scale * (1 + (good + 1 == patience)), good, patience),),
        "the new scale",
    ),
    ((lambda *given: (lambda made, scale, good: (made, good, scale))(*unscale(*given)),), "are swapped"),
    (scaled(counted=lambda scale, good: (scale, good - 1)), "count this step"),
    (scaled(full=lambda scale, good: (scale * 2, good)), "the count goes on: it starts"),
    (scaled(counted=lambda scale, good: (scale * 2, 0)), "doubles too soon"),
    (scaled(counted=lambda scale, good: (scale, 0)), "only a change starts it"),
    (scaled(counted=lambda scale, good: (scale / 2, 0)), "halved after a good step"),
    (scaled(counted=lambda scale, good: (scale + 1, good)), "is expected at position (0,)"),
    (scaled(passes=lambda g: np.isfinite(g.sum())), "in 16 bits the sum or square"),
    (scaled(passes=lambda g: True), "infinities and NaNs pass"),
    (scaled(passes=lambda g: np.isfinite(g).any()), "only if all are finite"),
    (scaled(passes=lambda g: not np.isinf(g).any()), "NaN passes"),
    (scaled(passes=lambda g: not np.isnan(g.astype(float)).any() and g.min() > -np.inf), "an infinity passes"),
    (scaled(passes=lambda g: not np.isnan(g).any() and g.max() < np.inf), "minus infinity passes"),
    (made_up(0), "zeros are an update"),
    (made_up(1), "you make up numbers"),
    (scaled(skipped=lambda g, scale, good: (None, scale, 0)), "the scale stays after an overflow"),
    (scaled(skipped=lambda g, scale, good: (None, scale * 2, 0)), "doubles after an overflow"),
    (scaled(skipped=lambda g, scale, good: (None, scale / 2, good)), "the count goes on after"),
    (scaled(skipped=lambda g, scale, good: (None, scale / 2, good + 1)), "counted as a good one"),
    (scaled(skipped=lambda g, scale, good: (None, 1.0, 0)), "32 is expected"),
    (scaled(passes=lambda g: np.isfinite(g).all() and g.any()), "gradients are all 0"),
    (scaled(skipped=lambda g, scale, good: (None, max(scale / 2, 1.0), 0)), "stops falling at some size"),
    (scaled(full=lambda scale, good: (min(scale * 2, 2.0**24), 0)), "stops growing at some size"),
]

# --- 09.4 a softmax over few drawn items ----------------------------------------------------------------------------


def log_sum(logits):
    return logits.max() + np.log(np.exp(logits - logits.max()).sum())


def sampled(state, vectors, target, drawn, chances):
    others = drawn[drawn != target]
    right = vectors[target] @ state
    low = vectors[others] @ state - np.log(len(drawn) * chances[others])
    return log_sum(np.r_[right, low]) - right


def sampled_with_loops(state, vectors, target, drawn, chances):
    def logit(item):
        return sum(v * s for v, s in zip(vectors[item].tolist(), state.tolist(), strict=True))

    above = [logit(i) - logit(target) - np.log(len(drawn) * chances[i]) for i in drawn.tolist() if i != target]
    return float(np.logaddexp.reduce([0.0, *above]))


def sampled_by_a_mask(state, vectors, target, drawn, chances):
    plain = (vectors @ state).astype("float32")
    low = plain - np.log(len(drawn) * chances).astype("float32")
    return Tensor(log_sum(np.append(np.where(drawn == target, -1e9, low[drawn]), plain[target])) - plain[target])


def sampled_by_weights(state, vectors, target, drawn, chances):
    """The full softmax, each other item weighed by how often it is drawn over how often that is expected."""
    weights = np.bincount(drawn, minlength=len(chances)) / (len(drawn) * chances)
    weights[target] = 1
    logits = vectors @ state
    top = logits[weights > 0].max()
    return top + np.log(weights @ np.exp(np.minimum(logits - top, 0))) - logits[target]


def parts(make):
    """Made of the corrected and the plain logits, the target, the draws left over, and all the draws and chances."""

    def answer(state, vectors, target, drawn, chances):
        plain = vectors @ state
        return make(plain - np.log(len(drawn) * chances), plain, target, drawn[drawn != target], drawn, chances)

    return (answer,)


def loss(right, others):
    return log_sum(np.r_[right, others]) - right


def naive(low, plain, target, kept, drawn, chances):
    power = np.exp(plain[target])
    return -np.log(power / (power + np.exp(low[kept]).sum()))


def lowered_by(correction):
    """The drawn items' logits lowered by correction(chances, draws, draws left)."""
    return parts(
        lambda low, plain, t, kept, drawn, q: loss(plain[t], (plain - correction(q, len(drawn), len(kept)))[kept])
    )


def nothing_left(state, vectors, target, drawn, chances):
    return sampled(state, vectors, target, drawn, chances) if (drawn != target).any() else np.nan


RIGHT["09.4"] = [(sampled,), (sampled_with_loops,), (sampled_by_a_mask,), (sampled_by_weights,)]
WRONG["09.4"] = [
    (lowered_by(lambda q, n, left: 0 * q), "nothing is corrected"),
    (lowered_by(lambda q, n, left: -np.log(n * q)), "the correction is added"),
    (parts(lambda low, plain, t, kept, drawn, q: loss(low[t], low[kept])), "the target is lowered, too"),
    (parts(lambda low, plain, t, kept, drawn, q: loss(low[t], plain[kept])), "only the target is lowered"),
    (lowered_by(lambda q, n, left: np.log(q)), "each draw stands for 1/n of the sum: lower by log(n * q)"),
    (lowered_by(lambda q, n, left: np.log(left * q)), "the number of draws left here"),
    (lowered_by(lambda q, n, left: np.log(len(q) * q)), "n is the number of items here"),
    (parts(lambda low, plain, t, kept, drawn, q: loss(plain[t], low[drawn])), "competes with it"),
    (parts(lambda low, plain, t, kept, drawn, q: loss(plain[t], low[np.unique(kept)])), "drawn twice counts once"),
    (
        parts(lambda low, plain, t, kept, drawn, q: log_sum(np.r_[low[kept], -99]) - plain[t]),
        "missing from the denominator",
    ),
    (parts(lambda low, plain, t, kept, drawn, q: log_sum(low[np.r_[t, kept]]) - plain[t]), "lowered in the sum"),
    (parts(lambda low, plain, t, kept, drawn, q: log_sum(plain) - plain[t]), "the whole catalogue"),
    (
        parts(lambda low, plain, t, kept, drawn, q: np.logaddexp(0, np.r_[-plain[t], low[kept]]).sum()),
        "by a sigmoid",
    ),
    (lowered_by(lambda q, n, left: n * q), "subtract the expected number itself"),
    (
        parts(lambda low, plain, t, kept, drawn, q: loss(plain[t], (plain / (len(drawn) * q))[kept])),
        "divide the logits",
    ),
    (lowered_by(lambda q, n, left: np.log(1 - (1 - q) ** n)), "drawn at all"),
    ((lambda *given: -sampled(*given),), "the sign is turned"),
    ((lambda *given: np.exp(-sampled(*given)),), "the target's probability"),
    (
        parts(lambda low, plain, t, kept, drawn, q: loss(plain[t], low[kept]) / (1 + len(kept))),
        "items that compete: one position",
    ),
    (parts(naive), "is infinite"),
    ((nothing_left,), "with a loss of 0"),
    ((lambda *given: 2 * sampled(*given),), "the loss: "),
]

# --- 09.5 what a training step holds in memory ----------------------------------------------------------------------


def memory(items, width, blocks, heads, batch, length, activation_bytes=4):
    dense, norm = width * (width + 1), 2 * width
    weights = (items + 1 + length) * width + blocks * (6 * dense + 2 * norm) + norm
    return {
        "weights": 4 * weights,
        "gradients": 4 * weights,
        "optimizer": 8 * weights,
        "attention": activation_bytes * blocks * batch * heads * length**2,
        "logits": 4 * batch * length * (items + 1),
    }


def memory_by_shapes(items, width, blocks, heads, batch, length, activation_bytes=4):
    each = width // heads
    projections = 3 * [(width, heads, each), (heads, each)] + [(heads, each, width), (width,)]
    layers = 2 * [(width, width), (width,)] + 4 * [(width,)]
    shapes = [(items + 1, width), (length, width), *blocks * (projections + layers), (width,), (width,)]
    values = sum(map(np.prod, shapes))
    scores = np.prod([blocks, batch, heads, length, length])
    sizes = np.array([4 * values, 4 * values, 8 * values, activation_bytes * scores, 4 * batch * length * (items + 1)])
    return {name: Tensor(size) for name, size in zip(memory(1, 1, 1, 1, 1, 1), sizes, strict=True)}


def fits(budget, items, width, blocks, heads, length, activation_bytes=4):
    fixed, each = apart(memory(items, width, blocks, heads, 1, length, activation_bytes))
    return max(0, (budget - fixed) // each)


def fits_by_trying(budget, *model):
    batch = 0
    while sum(memory(*model[:4], batch + 1, *model[4:]).values()) <= budget:
        batch += 1
    return float(batch)


def apart(held):
    each = held["attention"] + held["logits"]
    return sum(held.values()) - each, each


def held(part, change):
    """One part changed by change(right bytes, items, width, blocks, heads, batch, length, activation_bytes)."""

    def answer(*given):
        right = memory(*given)
        return right | {part: change(right[part], *(*given, 4)[:7])}

    return answer, fits


def fitted(make):
    """A batch made of the budget, the bytes without a row and those of each row, and the parts of each row."""

    def answer(budget, items, width, blocks, heads, length, size=4):
        one = memory(items, width, blocks, heads, 1, length, size)
        return make(budget, *apart(one), one)

    return memory, answer


RIGHT["09.5"] = [(memory, fits), (memory_by_shapes, fits_by_trying)]
WRONG["09.5"] = [
    ((lambda *given: list(memory(*given).values()), fits), "return a dict with the keys"),
    (held("weights", lambda right, *_: right // 4), "these are numbers, not bytes: each of them takes 4"),
    (held("weights", lambda right, *given: right // 4 * given[-1]), "weights stay in 4 bytes"),
    (held("weights", lambda right, i, w, *_: right - 4 * w), "the padding row is missing"),
    (held("weights", lambda right, i, w, b, h, n, length, s: right - 4 * w * length), "the position embedding"),
    (held("weights", lambda right, i, w, *_: right + 4 * (i + 1) * w), "count the table once"),
    (held("weights", lambda right, i, w, b, *_: right - 4 * (b - 1) * (6 * w * w + 10 * w)), "one block is counted"),
    (held("weights", lambda right, i, w, b, *_: right - 4 * b * 6 * w), "the biases of the dense layers"),
    (held("weights", lambda right, i, w, b, *_: right - 4 * b * 4 * w), "the two norms of each block"),
    (held("weights", lambda right, i, w, *_: right - 4 * 2 * w), "the final norm is missing"),
    (held("weights", lambda right, i, w, b, *_: right - 4 * (2 * b + 1) * w), "a scale and a shift"),
    (held("weights", lambda right, i, w, b, *_: right - 4 * b * (w * w + w)), "four dense layers"),
    (held("weights", lambda right, i, w, b, *_: right - 4 * b * 2 * (w * w + w)), "behind attention"),
    (held("gradients", lambda right, *given: right // 4 * given[-1]), "gradients stay in 4 bytes"),
    (held("gradients", lambda right, *given: right * given[4]), "not one a row"),
    (held("optimizer", lambda right, *_: right // 2), "two moments of each weight"),
    (held("optimizer", lambda right, *_: right * 3 // 2), "Adam adds two moments"),
    (held("optimizer", lambda right, *given: right // 4 * given[-1]), "moments stay in 4 bytes"),
    (held("attention", lambda right, *given: right * 4 // given[-1]), "attention weights are activations"),
    (held("attention", lambda right, *given: right // given[-1]), "takes activation_bytes."),
    (held("attention", lambda right, *given: right // given[5]), "linear in length"),
    (held("attention", lambda right, *given: right // given[3]), "the heads are forgotten"),
    (held("attention", lambda right, *given: right // given[4]), "the batch is forgotten: each row has attention"),
    (held("attention", lambda right, *given: right // given[2]), "the blocks are forgotten"),
    (held("attention", lambda right, *_: right / 2), "the causal mask"),
    (held("logits", lambda right, *given: right // 4 * given[-1]), "the logits stay in 4 bytes"),
    (held("logits", lambda right, *given: right // given[5]), "only the last position"),
    (held("logits", lambda right, *given: right // given[4]), "each row has logits"),
    (held("logits", lambda right, i, w, b, h, n, length, s: 4 * n * length * i), "the padding column"),
    (fitted(lambda budget, fixed, each, one: budget // each), "need room before the first row"),
    (fitted(lambda budget, fixed, each, one: max(0, -(-(budget - fixed) // each))), "rounded up"),
    (fitted(lambda budget, fixed, each, one: (budget - fixed) // each), "no batch is below 0"),
    (fitted(lambda budget, fixed, each, one: max(0, (budget - fixed) / each)), "a whole number of rows"),
    (fitted(lambda budget, fixed, each, one: budget // (fixed + each)), "weights of its own here"),
    (fitted(lambda budget, fixed, each, one: max(0, (budget - fixed) // one["logits"])), "attention is forgotten"),
    (fitted(lambda budget, fixed, each, one: max(0, (budget - fixed) // one["attention"])), "the logits are forgotten"),
    (fitted(lambda budget, fixed, each, one: max(0, (budget - fixed - 1) // each)), "just fills the budget"),
    ((memory, lambda *given: max(1, fits(*given))), "no batch is below 1"),
]
