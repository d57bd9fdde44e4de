"""Planted answers to the exercises of lesson 02."""

import math
import random
from collections import Counter

import numpy as np
import pandas as pd
from scipy import special, stats
from scipy.spatial import distance
from sklearn.utils import resample

from planted.common import Tensor, one_wrong, remembering, softmax

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 02.1 packing ---------------------------------------------------------------------------------------------------


def pack(a, b, special, length, *, cls=None, sep=None, pad=None, row=None, segments=None, mask=None):
    """The right answer, or one with a part replaced: ids of special pieces, or how a row is made."""
    cls = special["[CLS]"] if cls is None else cls
    sep = special["[SEP]"] if sep is None else sep
    pad = special["[PAD]"] if pad is None else pad
    b = b[: length - len(a) - 3]
    ids = row(cls, a, sep, b, pad) if row else [cls, *a, sep, *b, sep]
    left, right, free = len(a) + 2, len(b) + 1, length - len(ids)
    return (
        ids + [pad] * free,
        segments(left, right, free) if segments else [0] * left + [1] * right + [0] * free,
        mask(left, right, free) if mask else [1] * (left + right) + [0] * free,
    )


def pack_numpy(a, b, special, length):
    b = list(b)
    while len(a) + len(b) + 3 > length:
        b.pop()
    packed = np.zeros((3, length), dtype="int32")
    packed[0] = special["[PAD]"]
    end = len(a) + len(b) + 3
    packed[0, :end] = [special["[CLS]"], *a, special["[SEP]"], *b, special["[SEP]"]]
    packed[1, len(a) + 2 : end] = 1
    packed[2, :end] = 1
    return packed


def pack_cut_at_the_end(a, b, special, length):
    ids, segments, mask = pack(a, b, special, len(a) + len(b) + 3)
    free = length - len(ids)
    return ids[:length] + [special["[PAD]"]] * free, segments[:length] + [0] * free, mask[:length] + [0] * free


def pack_cutting_a(a, b, special, length):
    return pack(a[: length - len(b) - 3], b, special, length)


def pack_on_the_left(a, b, special, length):
    row = pack(a, b, special, length)[0]
    row = [i for i in row if i != special["[PAD]"]]
    return [special["[PAD]"]] * (length - len(row)) + row, [0] * length, [0] * length


def packed_with(**part):
    return (lambda a, b, special, length: pack(a, b, special, length, **part),)


def pack_by_place(a, b, special, length):
    kept = b[: max(0, length - 3 - len(a))]
    end, closing = len(a) + len(kept) + 2, len(a) + 1
    text = {0: special["[CLS]"], closing: special["[SEP]"], end: special["[SEP]"]}
    text |= dict(enumerate(a, 1)) | dict(enumerate(kept, closing + 1))
    ids = tuple(text.get(place, special["[PAD]"]) for place in range(length))
    return ids, tuple(closing < place <= end for place in range(length)), tuple(p <= end for p in range(length))


def pack_keeping_a_piece(a, b, special, length):
    return pack(a, b, special, max(length, len(a) + 3 + min(1, len(b))))


def pack_one_sep(a, b, special, length):
    cls, sep, pad = (special[name] for name in ("[CLS]", "[SEP]", "[PAD]"))
    b = b[: length - len(a) - 3]
    ids = [cls, *a, sep, *b, sep] if b else [cls, *a, sep]
    segments = [0] * (len(a) + 2) + ([1] * (len(b) + 1) if b else [])
    free = length - len(ids)
    return ids + [pad] * free, segments + [0] * free, [1] * len(ids) + [0] * free


RIGHT["02.1"] = [(pack,), (pack_numpy,), (lambda *args: [Tensor(row) for row in pack(*args)],), (pack_by_place,)]
WRONG["02.1"] = [
    (packed_with(cls=0, sep=2), "article's ids"),
    (packed_with(cls=101, sep=102), "another has other ids"),
    (packed_with(pad=0), "you pad with 0"),
    ((pack_cut_at_the_end,), "took the last [SEP]"),
    ((pack_cutting_a,), "shortened A"),
    ((pack_keeping_a_piece,), "although none fits"),
    ((pack_one_sep,), "two stand side by side"),
    ((remembering(pack),), "the token ids of A=[17, 18, 19], B=[20, 21], length 12: "),
    ((lambda *args: pack(*args)[::-1],), "in the place of the token ids"),
    ((lambda a, b, s, n: pack(a, b, s, max(n, len(a) + len(b) + 3)),), "does not fit into 8"),
    ((lambda a, b, s, n: pack(a, b, s, min(n, len(a) + len(b) + 3)),), "make no batch"),
    (packed_with(row=lambda cls, a, sep, b, pad: [cls, *a, *b, sep]), "read as one text"),
    (packed_with(row=lambda cls, a, sep, b, pad: [cls, *a, sep, *b]), "closes B is missing"),
    (packed_with(row=lambda cls, a, sep, b, pad: [*a, sep, *b, sep]), "begin with [CLS]"),
    ((pack_on_the_left,), "pad on the left"),
    (packed_with(segments=lambda left, right, free: [0] * (left + right + free)), "all segment ids are 0"),
    (packed_with(segments=lambda left, right, free: [0] * (left - 1) + [1] * (right + 1) + [0] * free), "closes A"),
    (
        packed_with(segments=lambda left, right, free: [0] * left + [1] * (right - 1) + [0] * (free + 1)),
        "so it belongs to segment 1",
    ),
    (packed_with(segments=lambda left, right, free: [0] * left + [1] * (right + free)), "belongs to neither"),
    (packed_with(segments=lambda left, right, free: [1] * left + [0] * right + [0] * free), "segments are swapped"),
    (packed_with(mask=lambda left, right, free: [1] * (left + right + free)), "1 everywhere"),
    (packed_with(mask=lambda left, right, free: [0] * (left + right) + [1] * free), "mask is inside out"),
    (
        packed_with(mask=lambda left, right, free: [0, *[1] * (left - 2), 0, *[1] * (right - 1), 0, *[0] * free]),
        "real places too",
    ),
    ((lambda a, b, s, n: pack(a, b, s, n)[0],), "return three rows"),
]

# --- 02.2 mean pooling ----------------------------------------------------------------------------------------------


def mean_pool(vectors, mask):
    return (vectors * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)


def mean_pool_batch(vectors, mask):
    return np.broadcast_to(vectors[mask].mean(0), (len(vectors), vectors.shape[-1]))


RIGHT["02.2"] = [
    (mean_pool,),
    (lambda vectors, mask: [text[real].mean(axis=0) for text, real in zip(vectors, mask, strict=True)],),
    (lambda vectors, mask: np.einsum("bld,bl->bd", vectors, mask / mask.sum(1, keepdims=True)),),
    (lambda vectors, mask: np.ma.array(vectors, mask=np.repeat(~mask[:, :, None], vectors.shape[2], 2)).mean(axis=1),),
]
RIGHT["02.2"] += [
    (lambda vectors, mask: np.average(vectors * mask[..., None], axis=1) * mask.shape[1] / mask.sum(1)[:, None],),
    (lambda vectors, mask: [np.matmul(m / np.count_nonzero(m), v) for v, m in zip(vectors, mask, strict=True)],),
    (lambda vectors, mask: np.mean(vectors, axis=1, where=mask[..., None]),),
]
WRONG["02.2"] = [
    ((lambda v, m: [text[:n].mean(0) for text, n in zip(v, m.sum(1), strict=True)],), "take the first places"),
    ((remembering(mean_pool),), "the text vectors: 2"),
    ((lambda v, m: np.round(mean_pool(v, m), 2),), "rounded to 2 decimals"),
    ((lambda v, m: v.mean(1),), "average the padding too"),
    ((lambda v, m: (v * m[:, :, None]).mean(1),), "padded length"),
    ((lambda v, m: v[:, 0],), "[CLS] alone"),
    ((lambda v, m: (v * m[:, :, None]).sum(1),), "that is the sum"),
    ((lambda v, m: (v * m[:, :, None]).sum(1) / m.sum(),), "real tokens of the whole batch"),
    ((lambda v, m: np.where(m[:, :, None], v, -np.inf).max(1),), "largest value"),
    ((lambda v, m: v.mean(2),), "one number a token"),
    ((lambda v, m: (v * m[:, :, None]).mean(2),), "the mask is right"),
    ((lambda v, m: mean_pool(v, ~m),), "leave out the text"),
    ((lambda v, m: mean_pool(v[:, 1:], m[:, 1:]),), "leave out [CLS]"),
    ((lambda v, m: (v * m[:, :, None]).sum((0, 1)) / m.sum(),), "a vector of its own"),
    ((lambda v, m: (v * m[:, :, None]).sum(1) / np.sqrt(m.sum(1, keepdims=True)),), "the text vectors: "),
]

# --- 02.3 probabilities over the interests --------------------------------------------------------------------------


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def probabilities(u, c, t):
    return softmax(unit(u) @ unit(c).T / t)


def probabilities_with_loops(user, categories, temperature):
    table = []
    for u in user:
        cosines = [float(u @ c) / math.hypot(*u) / math.hypot(*c) for c in categories]
        powers = [math.exp((cosine - max(cosines)) / temperature) for cosine in cosines]
        table.append([power / sum(powers) for power in powers])
    return table


def probabilities_overflowing(u, c, t):
    powers = np.exp(unit(u) @ unit(c).T / t)
    return powers / powers.sum(-1, keepdims=True)


RIGHT["02.3"] = [
    (probabilities,),
    (probabilities_with_loops,),
    (lambda u, c, t: Tensor(softmax(np.einsum("ud,cd->uc", unit(u), unit(c)) / t).astype("float64")),),
]
RIGHT["02.3"] += [
    (lambda u, c, t: np.exp((x := unit(u) @ unit(c).T / t) - special.logsumexp(x, axis=1, keepdims=True)),),
    (lambda u, c, t: special.softmax((1 - distance.cdist(u, c, "cosine")) / t, axis=1).tolist(),),
    (lambda u, c, t: softmax((u @ c.T) / np.outer(np.sqrt((u * u).sum(1)), np.sqrt((c * c).sum(1))) * (1 / t)),),
]


def shifted_by(measure):
    """Probabilities whose exponentials are held down by this measure of a row."""

    def answer(user, categories, temperature):
        scores = unit(user) @ unit(categories).T / temperature
        powers = np.exp(scores - measure(scores))
        return powers / powers.sum(-1, keepdims=True)

    return (answer,)


WRONG["02.3"] = [
    (shifted_by(lambda x: x.max()), "for all users leaves"),
    (shifted_by(lambda x: np.clip(x, 700, None) - 700), "temperature 0.0001: "),
    ((remembering(probabilities),), "the probabilities: 0."),
    ((lambda u, c, t: softmax((unit(u) @ unit(c).T / t)[..., None])[..., 0],), "the article's result"),
    ((lambda u, c, t: softmax(u @ c.T / t),), "compare dot products"),
    ((lambda u, c, t: softmax(unit(u) @ c.T / t),), "the categories not"),
    ((lambda u, c, t: softmax(u @ unit(c).T / t),), "the users not"),
    ((lambda u, c, t: softmax(unit(u) @ unit(c).T * t),), "multiply by the temperature"),
    ((lambda u, c, t: softmax(unit(u) @ unit(c).T),), "temperature makes no difference"),
    ((lambda u, c, t: softmax(unit(u) @ unit(c).T) / t,), "divided the probabilities"),
    ((lambda u, c, t: softmax(unit(u) @ unit(c).T / t, axis=0),), "over the users;"),
    ((lambda u, c, t: softmax(unit(u) @ unit(c).T / t, axis=None),), "over all users together"),
    ((lambda u, c, t: unit(u) @ unit(c).T / t,), "still to come"),
    ((lambda u, c, t: 1 / (1 + np.exp(-unit(u) @ unit(c).T / t)),), "sigmoid"),
    ((probabilities_overflowing,), "overflow"),
    ((lambda u, c, t: probabilities(u, c, t).T,), "should have shape (3, 5)"),
]

# --- 02.4 temperature -----------------------------------------------------------------------------------------------

TEMPERATURE = {
    "largest of five at T=1": 0.242,
    "entropy as T goes to 0": "falls to 0",
    "each of five at T=1000": 0.2,
    "order of the categories": "stays",
    "0.9 at T=0.05 means": "nothing yet",
}
RIGHT["02.4"] = [(TEMPERATURE,), ({**TEMPERATURE, "largest of five at T=1": 0.24, "each of five at T=1000": 1 / 5},)]
WRONG["02.4"] = one_wrong(
    TEMPERATURE,
    [
        ("largest of five at T=1", 0.5, "a cosine is no probability"),
        ("largest of five at T=1", 1 / 3, "divided .5 by the sum"),
        ("largest of five at T=1", 1, "article's mistake"),
        ("largest of five at T=1", 0.2, "five equal shares"),
        ("largest of five at T=1", 0.9, "divide e to the .5"),
        ("entropy as T goes to 0", "grows", "no doubt is left"),
        ("entropy as T goes to 0", "stays", "differences grow without end"),
        ("each of five at T=1000", 0, "cannot be 0"),
        ("each of five at T=1000", 1, "cannot be 1"),
        ("each of five at T=1000", 0.001, "not the probabilities"),
        ("each of five at T=1000", 0.4, "share 1 among five"),
        ("order of the categories", "reverses", "negative T"),
        ("order of the categories", "becomes random", "nothing is drawn"),
        ("0.9 at T=0.05 means", "right 9 times in 10", "held-out comments"),
        ("0.9 at T=0.05 means", "0.9 of the user", "this comment's topic"),
    ],
)

# --- 02.5 the schedule ----------------------------------------------------------------------------------------------


def learning_rate(step, peak, warmup, total):
    if step < warmup:
        return peak * step / warmup
    return peak * max(0, total - step) / (total - warmup)


def cosine_decay(step, peak, warmup, total):
    done = min((step - warmup) / (total - warmup), 1)
    return peak * step / warmup if step < warmup else peak / 2 * (1 + math.cos(math.pi * done))


def climbing(up, down):
    """A schedule with this climb and this fall, of (step, warmup, total), bounded at 0."""
    return (lambda s, p, w, n: p * max(up(s, w, n) if s < w else down(s, w, n), 0),)


def fall(s, w, n):
    return (n - s) / (n - w)


def climb(s, w, n):
    return s / w


RIGHT["02.5"] = [
    (learning_rate,),
    (lambda s, p, w, n: p * np.interp(s, [0, w, n], [0, 1, 0]),),
    (lambda s, p, w, n: Tensor(p * np.clip(min(s / w, (n - s) / (n - w)), 0, None)),),
]
RIGHT["02.5"] += [
    (lambda s, p, w, n: np.float32(p) * np.float32(max(min(s / w, (n - s) / (n - w)), 0)),),
    (lambda s, p, w, n: 0 if s >= n else p * (s if s <= w else w * (n - s) / (n - w)) / w,),
    (lambda s, p, w, n: np.array([p * s / w, p - p * (s - w) / (n - w), 0])[(s > w) + (s > n)],),
]
WRONG["02.5"] = [
    (climbing(lambda s, w, n: 1, fall), "there is no warm-up"),
    ((lambda s, p, w, n: p * max(n - s, 0) / n,), "one line from the peak"),
    ((lambda s, p, w, n: p * min(s / w, 1),), "stays at its peak"),
    ((lambda s, p, w, n: p * min(s / w, (n - s) / n),), "never reaches its peak"),
    (climbing(climb, lambda s, w, n: 1 - (s - w) / n), "has not reached 0"),
    (climbing(lambda s, w, n: (s + 1) / w, fall), "one step ahead"),
    ((lambda s, p, w, n: p * max(s / (w + 1) if s <= w else fall(s, w, n), 0),), "one step too long"),
    ((lambda s, p, w, n: p * (s / w if s < w else fall(s, w, n)),), "negative"),
    ((lambda s, p, w, n: learning_rate(s, 1, w, n),), "multiply by it"),
    ((cosine_decay,), "cosine"),
    ((lambda s, p, w, n: learning_rate(s, p, w, n - 1),), "yours is"),
    ((lambda s, p, w, n: round(learning_rate(s, p, w, n), 3),), "rounded to 3 decimals"),
    ((lambda s, p, w, n: learning_rate(s, p, 10, n),), "peak 1.0"),
    ((lambda s, p, w, n: learning_rate(s, p, w, n) / 2,), "is expected at position (1,)"),
]

# --- 02.6 accuracy --------------------------------------------------------------------------------------------------


def by_trap(truth, predicted, trap):
    most = Counter(truth.tolist()).most_common(1)[0][0]
    return {
        kind: (float((truth == predicted)[trap == kind].mean()), float((truth[trap == kind] == most).mean()))
        for kind in set(trap.tolist())
    }


def by_trap_with_loops(truth, predicted, trap):
    labels = sorted(set(truth))
    most = max(labels, key=lambda label: sum(t == label for t in truth))
    report = {}
    for kind in np.unique(trap):
        rows = [i for i in range(len(trap)) if trap[i] == kind]
        report[kind] = np.array(
            [np.mean([truth[i] == predicted[i] for i in rows]), np.mean([truth[i] == most for i in rows])]
        )
    return report


def trap_table(pair):
    """A report whose pair is made from (right, truth, predicted, rows of the trap, most frequent)."""

    def report(truth, predicted, trap):
        def most(labels):
            return Counter(labels.tolist()).most_common(1)[0][0]

        return {k: pair(truth == predicted, truth, predicted, trap == k, most) for k in set(trap.tolist())}

    return report


def favourite_of(pick):
    """A report whose baseline knows the comments of one trap only."""

    def report(truth, predicted, trap):
        names, counts = np.unique(truth[trap == pick(trap)], return_counts=True)
        return {
            k: ((truth == predicted)[trap == k].mean(), (truth[trap == k] == names[counts.argmax()]).mean())
            for k in np.unique(trap)
        }

    return report


def interval(correct, resamples, seed):
    draws = np.random.default_rng(seed).choice(correct, size=(resamples, len(correct)))
    return np.percentile(draws.mean(axis=1), [2.5, 97.5])


def interval_with_loops(correct, resamples, seed):
    rng = random.Random(seed)
    means = sorted(sum(rng.choices(correct.tolist(), k=len(correct))) / len(correct) for _ in range(resamples))
    return means[round(0.025 * resamples)], means[round(0.975 * resamples)]


def interval_by_binomial(correct, resamples, seed):
    n = len(correct)
    means = np.random.default_rng(seed).binomial(n, correct.mean(), resamples) / n
    return Tensor(np.quantile(means, [0.025, 0.975]))


def spread(factor):
    """An interval of the mean and so many standard errors, or of single answers if the factor is None."""

    def ends(correct, resamples, seed):
        half = correct.std() if factor is None else factor * correct.std() / len(correct) ** 0.5
        return correct.mean() - half, correct.mean() + half

    return ends


def percentiles(low, high):
    def ends(correct, resamples, seed):
        draws = np.random.default_rng(seed).choice(correct, size=(resamples, len(correct)))
        return np.percentile(draws.mean(axis=1), [low, high])

    return ends


def unseeded(correct, resamples, seed, rng=np.random.default_rng(0)):  # noqa: B008  one stream over all calls is the fault
    return np.percentile(rng.choice(correct, size=(resamples, len(correct))).mean(1), [2.5, 97.5])


def without_replacement(correct, resamples, seed):
    rng = np.random.default_rng(seed)
    return np.percentile([rng.permutation(correct).mean() for _ in range(100)], [2.5, 97.5])


def by_trap_in_pandas(truth, predicted, trap):
    frame = pd.DataFrame({"right": truth == predicted, "base": truth == pd.Series(truth).mode()[0], "trap": trap})
    return {kind: tuple(part[["right", "base"]].mean()) for kind, part in frame.groupby("trap")}


def by_scipy(correct, resamples, seed):
    rng = np.random.default_rng(seed)
    found = stats.bootstrap((correct,), np.mean, n_resamples=resamples, method="percentile", rng=rng)
    return found.confidence_interval


def by_resample(correct, resamples, seed):
    means = [resample(correct, random_state=seed + i).mean() for i in range(resamples)]
    return np.percentile(means, [2.5, 97.5])


def sorted_means(correct, resamples, seed):
    places = np.random.RandomState(seed).randint(0, len(correct), (resamples, len(correct)))
    return np.nanquantile(correct[places].mean(1), (0.025, 0.975)).tolist()


def normal(cut):
    """Mean and 1.96 standard errors, the ends cut off at 0 and 1."""
    return lambda correct, resamples, seed: np.clip(
        interval(correct, resamples, seed) * (1 - cut) + cut * np.array(spread(1.96)(correct, 0, 0)), 0, 1
    )


def wilson(correct, resamples, seed):
    found = stats.binomtest(int(correct.sum()), len(correct)).proportion_ci(method="wilson")
    noise = np.random.default_rng([seed, resamples]).normal(0, 0.5 * correct.std() / len(correct) ** 0.5, 2)
    return np.array([found.low, found.high]) + noise * (resamples < 100)


def basic(correct, resamples, seed):
    return 2 * correct.mean() - interval(correct, resamples, seed)[::-1]


RIGHT["02.6"] = [
    (by_trap, interval),
    (by_trap_with_loops, interval_with_loops),
    (by_trap, interval_by_binomial),
    (by_trap_in_pandas, by_resample),
    (by_trap, by_scipy),
    (by_trap, sorted_means),
]
WRONG["02.6"] = [
    ((trap_table(lambda r, t, p, of, most: (r[of].mean(), (t[of] == most(t[of])).mean())), interval), "new favourite"),
    ((trap_table(lambda r, t, p, of, most: (r[of].mean(), (t[of] == most(p)).mean())), interval), "most often"),
    ((trap_table(lambda r, t, p, of, most: (r[of].mean(), (t == most(t)).mean())), interval), "scored over all"),
    ((trap_table(lambda r, t, p, of, most: (r.mean(), (t[of] == most(t)).mean())), interval), "same accuracy"),
    (
        (trap_table(lambda r, t, p, of, most: (r[of].sum() / len(r), (t[of] == most(t)).mean())), interval),
        "all comments; divide",
    ),
    ((trap_table(lambda r, t, p, of, most: (1 - r[of].mean(), (t[of] == most(t)).mean())), interval), "error rate"),
    ((trap_table(lambda r, t, p, of, most: ((t[of] == most(t)).mean(), r[of].mean())), interval), "pair is swapped"),
    ((trap_table(lambda r, t, p, of, most: r[of].mean()), interval), "should have shape (3, 2)"),
    ((lambda t, p, k: [(0.5, 0.5)], interval), "one entry a trap"),
    ((favourite_of(lambda trap: pd.Series(trap).value_counts().idxmax()), interval), "that of a single trap"),
    ((remembering(by_trap), interval), "the pairs (accuracy, baseline) of negation, past, plain: "),
    ((by_trap, without_replacement), "without replacement"),
    ((by_trap, spread(None)), "spread of single answers"),
    ((by_trap, spread(1.96)), "ends above 1"),
    ((by_trap, spread(1)), "about 68%"),
    ((by_trap, percentiles(5, 95)), "holds 90%"),
    ((by_trap, percentiles(0.025, 0.975)), "counts in percent"),
    ((by_trap, lambda c, resamples, seed: 100 * interval(c, resamples, seed)), "interval is in percent"),
    ((by_trap, lambda c, resamples, seed: interval(1 - c, resamples, seed)), "share of wrong answers"),
    ((by_trap, percentiles(97.5, 2.5)), "ends are swapped"),
    ((by_trap, percentiles(0.5, 99.5)), "should lie near 0.76"),
    ((by_trap, normal(1)), "cut off at 1"),
    ((by_trap, basic), "the basic one"),
    ((by_trap, wilson), "for 4 right answers in 5 the ends should lie near 0.400"),
    ((by_trap, lambda c, resamples, seed: interval(c, 2000, seed)), "steadier than so few"),
    ((by_trap, lambda c, resamples, seed: interval(c, resamples, 6)), "every seed gives the same"),
    ((by_trap, lambda c, resamples, seed: np.percentile(c, [2.5, 97.5])), "range of single answers"),
    ((by_trap, unseeded), "same seed"),
    ((by_trap, lambda c, resamples, seed: c.mean()), "two numbers"),
]

# --- 02.7 the leak --------------------------------------------------------------------------------------------------

LEAK = {
    "why .399 becomes .921": "leak",
    "honest accuracy of genre from text": 0.399,
    "check for it": "blind",
    "genre words as input are fine for": "next film",
}
RIGHT["02.7"] = [(LEAK,), ({**LEAK, "honest accuracy of genre from text": 0.4, "check for it": "BLIND"},)]
WRONG["02.7"] = one_wrong(
    LEAK,
    [
        ("why .399 becomes .921", "longer text", "the labels"),
        ("why .399 becomes .921", "better model", "only the text differs"),
        ("why .399 becomes .921", "luck", "standard errors"),
        ("honest accuracy of genre from text", 0.921, "told the answer"),
        ("honest accuracy of genre from text", 0.522, "measures the leak"),
        ("honest accuracy of genre from text", 0.66, "averaging"),
        ("honest accuracy of genre from text", 0.7, "does not hold the answer"),
        ("check for it", "more folds", "all folds leak"),
        ("check for it", "bigger model", "all the sooner"),
        ("check for it", "shuffle", "beside its label"),
        ("genre words as input are fine for", "genre", "in the question"),
        ("genre words as input are fine for", "nothing", "leak only of what it tells"),
    ],
)
