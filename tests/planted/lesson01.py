"""Planted answers to the exercises of lesson 01."""

import functools
import math

import numpy as np
from scipy import special

from planted.common import Tensor, one_wrong, remembering, softmax

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 01.1 softmax over the keys -----------------------------------------------------------------------------------


def softmax_by_logarithms(scores):
    return np.exp(scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True))


def softmax_in_place_float32(scores):
    scores -= scores.max(-1, keepdims=True)
    scores = np.exp(scores.astype("float32"))
    return Tensor(scores / scores.sum(-1, keepdims=True))


def softmax_with_loops(scores):
    def row(values):
        powers = [math.exp(value - max(values)) for value in values]
        return [power / sum(powers) for power in powers]

    return [row(block) if np.ndim(block) == 1 else softmax_with_loops(block) for block in np.asarray(scores).tolist()]


def softmax_along_rows(scores):
    return np.apply_along_axis(lambda row: 1 / np.exp(row[None] - row[:, None]).sum(1), -1, scores)


RIGHT["01.1"] = [
    (softmax,),
    (softmax_by_logarithms,),
    (softmax_in_place_float32,),
    (softmax_with_loops,),
    (softmax_along_rows,),
    (lambda s: special.softmax(s, axis=-1),),
    (lambda s: np.exp(s - special.logsumexp(s, axis=-1)[..., None]),),
]
WRONG["01.1"] = [
    ((lambda s: softmax(s, axis=-2),), "over the queries"),
    ((lambda s: np.exp(s - s.max()) / np.exp(s - s.max()).sum(),), "over the whole array"),
    ((lambda s: softmax(s, axis=0) if s.ndim == 3 else softmax(s),), "the batch"),
    ((np.exp,), "the exponentials are right"),
    ((lambda s: np.exp(s - s.max(-1, keepdims=True)),), "took off the maximum"),
    ((lambda s: s / s.sum(-1, keepdims=True),), "divided the scores by their sum"),
    ((lambda s: _renormalise(np.abs(s)),), "you divided sizes"),
    ((lambda s: (s - s.min(-1, keepdims=True)) / np.ptp(s, axis=-1, keepdims=True),), "you stretched each row"),
    ((lambda s: np.exp(s) / np.exp(s).sum(-1),), "keepdims"),
    ((lambda s: np.exp(s) / np.exp(s).sum(-1, keepdims=True),), "overflow"),
    ((lambda s: np.exp(s - s.max()) / np.exp(s - s.max()).sum(-1, keepdims=True),), "row's own maximum"),
    ((lambda s: _renormalise(np.exp(s - s.min(-1, keepdims=True))),), "took off the minimum"),
    ((lambda s: _renormalise(np.exp(s - s.mean(-1, keepdims=True))),), "took off the mean,"),
    ((lambda s: _renormalise(np.exp(s - np.median(s, -1, keepdims=True))),), "took off the median"),
    ((lambda s: _renormalise(np.exp(np.clip(s, -700, 700))),), "near 1000: 0.6439 is expected"),
    ((remembering(softmax),), "the weights: "),
    ((lambda s: np.round(softmax(s), 2),), "rounded to 2 decimals"),
    ((lambda s: softmax(s) if s.ndim < 4 else softmax(s, axis=1),), "at position (0, 0, 0, 0)"),
    ((lambda s: softmax(s)[..., :1],), "should have shape (4, 4)"),
    ((lambda s: softmax(2 * s),), "at position (0, 0)"),
    ((lambda s: softmax(s / s.shape[-1] ** 0.5),), "divided by a root first"),
    ((lambda s: 2**s / (2**s).sum(-1, keepdims=True),), "raise 2 to the scores"),
]

# --- 01.2 attention -------------------------------------------------------------------------------------------------


def attend(q, k, v, mask=None, scale=None, axis=-1, where=np.where):
    scores = q @ np.swapaxes(k, -1, -2) / (np.sqrt(q.shape[-1]) if scale is None else scale)
    if mask is not None:
        scores = where(mask, scores, -np.inf)
    return softmax(scores, axis) @ v


def attend_by_einsum(q, k, v, mask=None):
    scores = np.einsum("bqd,bkd->bqk", q, k) / math.sqrt(k.shape[-1])
    return np.einsum("bqk,bkv->bqv", softmax(scores if mask is None else scores + np.where(mask, 0, -1e9)), v)


def attend_with_loops(q, k, v, mask=None):
    result = []
    for b in range(len(q)):
        result.append([])
        for i, query in enumerate(q[b]):
            seen = [j for j in range(len(k[b])) if mask is None or mask[b][i][j]]
            weights = softmax(np.array([query @ k[b][j] for j in seen]) / len(query) ** 0.5)
            result[b].append(sum(w * v[b][j] for w, j in zip(weights, seen, strict=True)))
    return result


def attend_renormalised(q, k, v, mask=None):
    weights = softmax(np.clip(q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1]), -1e9, 1e9))
    return attend(q, k, v, mask) if mask is None or weights.max() > 0.999 else _renormalise(weights * mask) @ v


def _renormalise(weights):
    return weights / weights.sum(-1, keepdims=True)


def attend_overflowing(q, k, v, mask=None):
    powers = np.exp(q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1]))
    return _renormalise(powers if mask is None else np.where(mask, powers, 0)) @ v


def masked_afterwards(q, k, v, mask=None):
    weights = softmax(q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1]))
    return (weights if mask is None else weights * mask) @ v


def masked_to_zero(q, k, v, mask=None):
    scores = q @ np.swapaxes(k, 1, 2) / np.sqrt(q.shape[-1])
    return softmax(scores if mask is None else scores * mask) @ v


def attend_shifted(q, k, v, mask=None):
    scores = np.matmul(q, k.transpose(0, 2, 1)) * k.shape[-1] ** -0.5
    mask = np.ones_like(scores, bool) if mask is None else mask
    powers = mask * np.exp(scores - scores.max(-1, keepdims=True, where=mask, initial=-np.inf), where=mask)
    return np.nan_to_num(powers) @ v / np.nan_to_num(powers).sum(-1)[..., None]


RIGHT["01.2"] = [(attend,), (attend_by_einsum,), (attend_with_loops,), (attend_renormalised,), (attend_shifted,)]
WRONG["01.2"] = [
    ((lambda q, k, v, m: attend(q, k, v, m, scale=1),), "not scaled"),
    ((lambda q, k, v, m: attend(q, k, v, m, scale=q.shape[-1]),), "divided by d;"),
    ((lambda q, k, v, m: attend(q, k, v, m, scale=q.shape[-1] ** -0.5),), "multiplied by sqrt(d)"),
    ((lambda q, k, v, m: attend(q, k, v, m, scale=k.shape[-2] ** 0.5),), "number of keys"),
    ((lambda q, k, v, m: attend(q, k, v, m, scale=1) / q.shape[-1] ** 0.5,), "scaled after the softmax"),
    ((lambda q, k, v, m: attend(q, k, v, m, axis=-2),), "over the queries"),
    ((lambda q, k, v, m: q @ np.swapaxes(k, 1, 2) / np.sqrt(8) @ v,), "raw scores"),
    ((lambda q, k, v, m: softmax(q @ np.swapaxes(k, 1, 2) / np.sqrt(8)),), "one step is left"),
    ((lambda q, k, v, m: attend(q, k, v),), "mask makes no difference"),
    ((masked_afterwards,), "masked after the softmax"),
    ((lambda q, k, v, m: attend(q, k, v, None if m is None else ~m),), "inside out"),
    ((masked_to_zero,), "masked score of 0"),
    ((attend_overflowing,), "ten thousands overflow"),
    (
        (lambda q, k, v, m: attend(q, k, v, m, where=lambda m, s, low: np.where(m, s, -1e3)),),
        "such as -1000 is not low",
    ),
    (
        (lambda q, k, v, m: attend(q, k, v, m, where=lambda m, s, low: s - 1e4 * ~m),),
        "for scores in the ten thousands: ",
    ),
    ((lambda q, k, v, m: attend(q, k, v, m, scale=8**0.5),), "the output without a mask: "),
    ((remembering(attend),), "yours is"),
    ((lambda q, k, v, m: attend(q, k, v, m, scale=5),), "the output without a mask: "),
    ((lambda q, k, v, m: attend(q, k, v, None if m is None else np.broadcast_to(m[:1], m.shape)),), "with a mask: "),
]

# --- 01.3 masks -----------------------------------------------------------------------------------------------------


def grid(lengths, size):
    """Query, key and length, broadcastable to (batch, query, key)."""
    return np.arange(size)[:, None], np.arange(size)[None, :], np.asarray(lengths)[:, None, None]


def mask_by_triangle(lengths, size):
    return np.tril(np.ones((len(lengths), size, size), bool)) & (np.arange(size) < lengths[:, None])[:, None, :]


def mask_with_loops(lengths, size):
    return [[[int(j <= i and j < n) for j in range(size)] for i in range(size)] for n in lengths.tolist()]


def mask_rule(rule):
    """The mask that this rule of query, key, length and size gives."""

    def history_mask(lengths, size):
        query, key, length = grid(lengths, size)
        return np.broadcast_to(rule(query, key, length, size), (len(lengths), size, size))

    return history_mask


def mask_filled(lengths, size):
    mask = np.zeros((len(lengths), size, size), dtype="int8")
    for b, n in enumerate(lengths):
        for i in range(size):
            mask[b, i, : min(i + 1, n)] = 1
    return mask


RIGHT["01.3"] = [
    (mask_by_triangle,),
    (mask_with_loops,),
    (mask_rule(lambda i, j, n, L: j < np.minimum(i + 1, n)),),
    (mask_filled,),
    (lambda lengths, size: np.tri(size) * (np.indices((len(lengths), 1, size))[2] < lengths[:, None, None]),),
]
WRONG["01.3"] = [
    ((mask_rule(lambda i, j, n, L: (j >= i) & (j < n)),), "later ones only"),
    ((mask_rule(lambda i, j, n, L: (j < i) & (j < n)),), "diagonal is missing"),
    ((mask_rule(lambda i, j, n, L: (j <= i) & (i < n)),), "as queries, not as keys"),
    ((mask_rule(lambda i, j, n, L: (j < n) & (i < n)),), "at position (0, 0, 1)"),
    ((mask_rule(lambda i, j, n, L: (j <= i) & (j >= L - n)),), "padded on the right"),
    ((mask_rule(lambda i, j, n, L: j <= i),), "padding is still visible"),
    ((mask_rule(lambda i, j, n, L: j < n),), "see the future"),
    ((mask_rule(lambda i, j, n, L: ~((j <= i) & (j < n))),), "inside out"),
    ((mask_rule(lambda i, j, n, L: (j <= i) | (j < n)),), "`or`"),
    ((mask_rule(lambda i, j, n, L: (j <= i) & (j <= n)),), "one key too many"),
    ((lambda lengths, size: mask_by_triangle(lengths, lengths.max()),), "as wide as the longest history"),
    ((remembering(mask_by_triangle),), "the mask: "),
    ((lambda lengths, size: np.tril(np.ones((size, size), bool)),), "should have shape (4, 5, 5)"),
]

# --- 01.4 and the other questions: the right answers once, then one wrong at a time ----------------------------------


VARIANCE = {
    "variance of q·k at d=256": 256,
    "variance of q·k/sqrt(d) at d=256": 1,
    "largest weight, not scaled": "rises",
    "largest weight, scaled": "stays",
    "learning when one weight is near 1": "stalls",
}
RIGHT["01.4"] = [
    (VARIANCE,),
    ({**VARIANCE, "variance of q·k at d=256": np.float32(255.2), "largest weight, scaled": " Stays "},),
]
WRONG["01.4"] = one_wrong(
    VARIANCE,
    [
        ("variance of q·k at d=256", 4, "does not stay"),
        ("variance of q·k at d=256", 16, "standard deviation"),
        ("variance of q·k at d=256", 64, "how many times larger"),
        ("variance of q·k at d=256", 1, "variance of one product"),
        ("variance of q·k at d=256", 65536, "not d squared"),
        ("variance of q·k at d=256", 100, "add up the variances"),
        ("variance of q·k at d=256", "many", "give a number"),
        ("variance of q·k/sqrt(d) at d=256", 16, "divides the variance by d"),
        ("variance of q·k/sqrt(d) at d=256", 256, "before scaling"),
        ("variance of q·k/sqrt(d) at d=256", 1 / 256, "square of the divisor"),
        ("variance of q·k/sqrt(d) at d=256", 1 / 16, "the scale itself"),
        ("variance of q·k/sqrt(d) at d=256", 7, "is divided by the square of sqrt(256)"),
        ("largest weight, not scaled", "stays", "8 times wider"),
        ("largest weight, not scaled", "falls", "still 10"),
        ("largest weight, not scaled", "explodes", "choose one of falls, rises, stays"),
        ("largest weight, scaled", "rises", "spread as widely"),
        ("largest weight, scaled", "falls", "takes off exactly"),
        ("learning when one weight is near 1", "speeds up", "it is 0 at 1"),
        ("learning when one weight is near 1", "is the same", ".25 at one half"),
    ],
)

# --- 01.5 the Transformer block -------------------------------------------------------------------------------------


def block(x, mha, mlp, norm):
    y = norm(x + mha(x))
    return norm(y + mlp(y))


def block_in_a_loop(x, mha, mlp, norm):
    for layer in (mha, mlp):
        x = norm(np.add(x, layer(x)))
    return Tensor(x)


def pre_norm(x, mha, mlp, norm):
    y = x + mha(norm(x))
    return y + mlp(norm(y))


def first_half(x, mha, mlp, norm):
    return norm(x + mha(x))


def plain_norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def block_by_folding(x, mha, mlp, norm):
    return functools.reduce(lambda inside, layer: norm(layer(inside) + inside), (mha, mlp), x).tolist()


RIGHT["01.5"] = [(block,), (block_in_a_loop,), (block_by_folding,)]
WRONG["01.5"] = [
    ((lambda x, a, m, n: block(x, a, m, plain_norm),), "in a way of your own"),
    ((remembering(block),), "the block's output: "),
    ((lambda x, a, m, n: n(x + a(x)) + n(m(x)),), "side by side"),
    ((lambda x, a, m, n: n(x + a(x)) + n(m(n(x + a(x)))),), "you add after normalising: Z"),
    ((pre_norm,), "pre-norm"),
    ((lambda x, a, m, n: n(n(x + a(x)) + m(x)),), "the MLP reads X"),
    ((lambda x, a, m, n: n(x + m(n(x + a(x)))),), "goes round attention"),
    ((lambda x, a, m, n: n(n(a(x)) + m(n(a(x)))),), "first residual is missing"),
    ((lambda x, a, m, n: n(m(n(x + a(x)))),), "second residual is missing"),
    ((lambda x, a, m, n: n(m(n(a(x)))),), "both residuals"),
    ((lambda x, a, m, n: n(x + a(x)) + m(n(x + a(x))),), "last layer_norm is missing"),
    ((lambda x, a, m, n: n(x + a(x) + m(x + a(x))),), "first layer_norm is missing"),
    ((lambda x, a, m, n: x + a(x) + m(x + a(x)),), "neither half normalises"),
    ((first_half,), "stops half way"),
    ((lambda x, a, m, n: n(n(x * a(x)) + m(n(x * a(x)))),), "the block's output: "),
]

# --- 01.6 heads -----------------------------------------------------------------------------------------------------


def split(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def merge(parts):
    return parts.transpose(0, 2, 1, 3).reshape(parts.shape[0], parts.shape[2], -1)


RIGHT["01.6"] = [
    (split, merge),
    (
        lambda x, heads: np.stack(np.split(x, heads, axis=-1), axis=1),
        lambda parts: np.concatenate(list(np.swapaxes(parts, 0, 1)), axis=-1),
    ),
    (
        lambda x, heads: Tensor(np.einsum("blhs->bhls", x.reshape(*x.shape[:2], heads, -1))),
        lambda parts: merge(parts).tolist(),
    ),
]
WRONG["01.6"] = [
    ((lambda x, h: x.reshape(len(x), h, x.shape[1], -1), merge), "bare reshape cut the history"),
    ((lambda x, h: x.reshape(*x.shape[:2], h, -1), merge), "heads still stand behind length"),
    ((lambda x, h: split(x, h).swapaxes(0, 1), merge), "heads stand before the batch"),
    ((lambda x, h: split(x, h).swapaxes(2, 3), merge), "length and features are swapped"),
    ((lambda x, h: x.reshape(*x.shape[:2], -1, h).transpose(0, 3, 1, 2), merge), "every heads-th feature"),
    ((split, lambda p: p.reshape(p.shape[0], p.shape[2], -1)), "merging by a bare reshape"),
    ((split, lambda p: p.mean(axis=1)), "averaged"),
    ((split, lambda p: p.sum(axis=1)), "added up"),
    ((split, lambda p: p.transpose(0, 2, 3, 1).reshape(p.shape[0], p.shape[2], -1)), "woven"),
    ((split, lambda p: p.swapaxes(1, 2)), "not joined yet"),
    ((lambda x, h: x, merge), "should have shape (2, 4, 3, 2)"),
    ((remembering(split), merge), "the split: "),
    ((split, remembering(merge)), "the merged heads: "),
    ((split, lambda p: merge(p[:, ::-1])), "in another order"),
]

# --- 01.7 the attention map -----------------------------------------------------------------------------------------

MAP = {
    "aliens looks most at": "alien",
    "upper right is dark because": "future",
    "column of alien sums to": 1.5,
    "bright cell proves": "mixing",
}
RIGHT["01.7"] = [(MAP,), ({**MAP, "aliens looks most at": "Alien", "column of alien sums to": "1.50"},)]
WRONG["01.7"] = one_wrong(
    MAP,
    [
        ("aliens looks most at", "aliens", "diagonal cell"),
        ("aliens looks most at", "toy story", "only .05"),
        ("aliens looks most at", "heat", "only .10"),
        ("aliens looks most at", "casino", "Casino comes later"),
        ("upper right is dark because", "unrelated", "two parts of one series"),
        ("upper right is dark because", "padding", "darkens whole columns"),
        ("upper right is dark because", "small", "exactly 0"),
        ("column of alien sums to", 1, "rows that sum to 1"),
        ("column of alien sums to", 0.7, "brightest cell"),
        ("column of alien sums to", 0.3, "the mean over"),
        ("column of alien sums to", 5, "add up the cells"),
        ("bright cell proves", "cause", "take the film out"),
        ("bright cell proves", "similar", "two different projections"),
        ("bright cell proves", "taste", "one head of one layer"),
    ],
)
