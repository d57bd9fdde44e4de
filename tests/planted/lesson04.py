"""Planted answers to the exercises of lesson 04."""

import math
from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
from scipy import special, stats
from scipy.spatial.distance import jensenshannon
from scipy.special import expit as sigmoid

from planted.common import Tensor, one_wrong, remembering

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 04.1 the transition matrix -------------------------------------------------------------------------------------


def counted(histories, n, skip=()):
    counts = np.zeros((n, n))
    for history in histories:
        for before, after in pairwise(history):
            counts[before, after] += (before, after) not in skip
    return counts


def uniform_where_unseen(matrix):
    unseen = ~np.isfinite(matrix).all(axis=1)
    return np.where(unseen[:, None], 1 / len(matrix), matrix)


def rows(counts):
    return counts / counts.sum(axis=1, keepdims=True)


def transitions(histories, n, smoothing):
    return uniform_where_unseen(rows(counted(histories, n) + smoothing))


def transitions_by_one_hot(histories, n, smoothing):
    eye = np.eye(n, dtype="float32")
    counts = sum(eye[h[:-1].astype(int)].T @ eye[h[1:].astype(int)] for h in histories) + np.float32(smoothing)
    return Tensor(np.where(counts.sum(1, keepdims=True) == 0, np.float32(1 / n), rows(counts)))


def transitions_with_loops(histories, n, smoothing):
    seen = Counter(pair for history in histories for pair in pairwise(history.tolist()))
    table = []
    for before in range(n):
        row = [seen[before, after] + smoothing for after in range(n)]
        table.append([value / sum(row) for value in row] if sum(row) else [1 / n] * n)
    return table


def transitions_once(histories, n, smoothing):
    counts = np.full((n, n), float(smoothing))
    for history in histories:
        counts[history[:-1], history[1:]] += 1
    return uniform_where_unseen(rows(counts))


def transitions_by_visits(histories, n, smoothing):
    visits = np.bincount(np.concatenate(histories), minlength=n)[:, None]
    return uniform_where_unseen((counted(histories, n) + smoothing) / (visits + n * smoothing))


def estimate(of_counts):
    """An estimate made from (counts, smoothing, n)."""
    return (lambda histories, n, smoothing: of_counts(counted(histories, n), smoothing, n),)


def filled(filler):
    """Right, but for the rows that were never seen."""

    def fill(histories, n, smoothing):
        matrix = rows(counted(histories, n) + smoothing)
        return np.where(np.isnan(matrix), filler(np.concatenate(histories), n), matrix)

    return (fill,)


def transitions_in_pandas(histories, n, smoothing):
    steps = pd.DataFrame([step for h in histories for step in pairwise(h.tolist())], columns=["before", "after"])
    table = pd.crosstab(steps["before"], steps["after"]).reindex(index=range(n), columns=range(n), fill_value=0)
    table = table.astype(float) + smoothing
    return table.div(table.sum(axis=1), axis=0).fillna(1 / n)


def transitions_by_bincount(histories, n, smoothing):
    places = np.concatenate([h[:-1] * n + h[1:] for h in histories])
    counts = np.bincount(places, minlength=n * n).reshape(n, n) + smoothing
    counts[counts.sum(1) == 0] = 1
    return (counts.T / counts.sum(1)).T


def transitions_by_histogram(histories, n, smoothing):
    before, after = (np.concatenate([h[cut] for h in histories]) for cut in (slice(-1), slice(1, None)))
    counts = np.histogram2d(before, after, bins=np.arange(n + 1) - 0.5)[0] + smoothing
    return np.nan_to_num(counts / counts.sum(axis=1)[:, None], nan=1 / n).astype("float32")


def transitions_of_seen(histories, n, smoothing):
    return transitions(histories, int(np.concatenate(histories).max()) + 1, smoothing)


RIGHT["04.1"] = [
    (transitions,),
    (transitions_by_one_hot,),
    (transitions_with_loops,),
    (transitions_in_pandas,),
    (transitions_by_bincount,),
    (transitions_by_histogram,),
]
WRONG["04.1"] = [
    ((lambda h, n, s: transitions([part[i::2] for part in h for i in (0, 1)], n, s),), "two events later"),
    ((lambda h, n, s: transitions([np.concatenate(h)], n, s),), "next user's first"),
    ((transitions_once,), "np.add.at"),
    (estimate(lambda c, s, n: uniform_where_unseen(rows(c))), "smoothing makes no difference"),
    (estimate(lambda c, s, n: rows(c + 1)), "add 1 whatever"),
    (estimate(lambda c, s, n: rows(c + s / n)), "share `smoothing` out"),
    (estimate(lambda c, s, n: (c + s) / c.sum(1, keepdims=True)), "before smoothing"),
    (estimate(lambda c, s, n: (c + s) / (c.sum(1, keepdims=True) + s)), "was added 4 times"),
    (estimate(lambda c, s, n: rows(rows(c) + s)), "smooth the shares"),
    (estimate(lambda c, s, n: (c + s) / (c + s).sum(0)), "columns sum to 1"),
    (estimate(lambda c, s, n: rows(c.T + s)), "count backwards"),
    (estimate(lambda c, s, n: rows(c + s).T), "is transposed"),
    (estimate(lambda c, s, n: (c + s) / (c + s).sum()), "whole matrix sums to 1"),
    (estimate(lambda c, s, n: c + s), "divide each row by its sum"),
    ((transitions_by_visits,), "last event has no step"),
    ((lambda h, n, s: np.mean([transitions([one], n, s) for one in h], axis=0),), "average the users' matrices"),
    ((lambda h, n, s: rows(counted(h, n, skip={(i, i) for i in range(n)}) + s),), "to stay is a step"),
    ((lambda h, n, s: np.tile(np.bincount(np.concatenate(h), minlength=n) + s, (n, 1)),), "P: 0."),
    ((lambda h, n, s: rows(np.tile(np.bincount(np.concatenate(h), minlength=n) + s, (n, 1))),), "all your rows"),
    (estimate(lambda c, s, n: rows(c + s)), "0 divided by 0"),
    (filled(lambda events, n: 0), "row of zeros"),
    (filled(lambda events, n: np.eye(n)), "stay itself"),
    ((lambda h, n, s: transitions(h, n, s)[:, 1:],), "should have shape (4, 4)"),
    ((transitions_of_seen,), "as large as the interests seen"),
    ((remembering(transitions),), "P: 0"),
    ((lambda h, n, s: transitions(h, n, s) if any(len(one) > 1 for one in h) else np.eye(n),), "no step was seen"),
    (estimate(lambda c, s, n: np.round(uniform_where_unseen(rows(c + s)), 2)), "rounded to 2 decimals"),
    (
        (
            lambda h, n, s: np.where(
                np.isnan(m := rows(counted(h, n) + s)), counted(h, n).sum(0) / counted(h, n).sum(), m
            ),
        ),
        "overall shares; asked",
    ),
]

# --- 04.2 the evolution step ----------------------------------------------------------------------------------------


def evolve(now, P, b):
    return (1 - b) * (now @ P) + b / len(P)


def evolve_with_loops(now, P, b):
    if now.ndim == 2:
        return [evolve_with_loops(user, P, b) for user in now]
    k = len(P)
    return [(1 - b) * sum(now[i] * P[i, j] for i in range(k)) + b / k for j in range(k)]


def scaled(x):
    return x / x.sum(-1, keepdims=True)


def article(now, P, b):
    return now @ P.T + b * (1 - now @ P.T)


def evolve_at_random(now, P, b, rng=np.random.default_rng(0)):  # noqa: B008  the stream has to go on from call to call
    return scaled(now @ P + b * rng.random(now.shape))


RIGHT["04.2"] = [
    (evolve,),
    (evolve_with_loops,),
    (lambda now, P, b: now @ ((1 - b) * P + b / len(P)),),  # noise is a chain too
    (lambda now, P, b: Tensor(((1 - b) * (P.T @ now.T).T + np.full(now.shape, b / now.shape[-1])).astype("float32")),),
]
RIGHT["04.2"] += [
    (lambda now, P, b: np.einsum("...i,ij->...j", now, P) * (1 - b) + b * np.ones(len(P)) / len(P),),
    (lambda now, P, b: np.average([now @ P, np.full_like(now, 1 / P.shape[0])], axis=0, weights=[1 - b, b]),),
    (lambda now, P, b: scaled(np.matvec(P.T, now) * (1 - b) + b / P.shape[1]).tolist(),),
]
WRONG["04.2"] = [
    ((remembering(evolve),), "the shares after a step with noise 0.1: "),
    ((lambda now, P, b: np.round(evolve(now, P, b), 2),), "rounded to 2 decimals"),
    ((lambda now, P, b: evolve(now, P, 0.2),), "the shares after a step with noise 0.1: 0"),
    ((lambda now, P, b: evolve(now, P @ P, b),), "two steps at once"),
    ((article,), "article's step: P I"),
    ((lambda now, P, b: scaled(article(now, P, b)),), "scaled the article's step"),
    ((lambda now, P, b: article(now, P.T, b),), "article's noise, written out"),
    ((lambda now, P, b: scaled(article(now, P.T, b)),), "more noise than asked: 0.50 in the place of 0.2"),
    ((lambda now, P, b: evolve(now, P.T, b),), "the mixture is right"),
    ((lambda now, P, b: (1 - b) * scaled(now @ P.T) + b / len(P),), "needs no scaling"),
    ((lambda now, P, b: now @ P,), "noise makes no difference"),
    ((lambda now, P, b: evolve(now, P, 1 - b),), "weights are swapped"),
    ((lambda now, P, b: (1 - b) * (now @ P),), "not given out"),
    ((lambda now, P, b: now @ P + b / len(P),), "added to a full 1"),
    ((lambda now, P, b: (1 - b) * (now @ P) + b * now,), "interests of before"),
    ((lambda now, P, b: ((1 - b) * now + b / len(P)) @ P,), "noise before the step"),
    ((lambda now, P, b: (1 - b) * (now @ P) + b / len(now),), "number of users"),
    ((lambda now, P, b: (1 - b) * (P.T @ now) + b / len(P),), "you mix users"),
    ((evolve_at_random,), "two calls"),
    ((lambda now, P, b: now,), "nothing moved"),
    ((lambda now, P, b: evolve(now, P @ P @ P, b),), "with noise 0.2: "),
    ((lambda now, P, b: evolve(np.atleast_2d(now), P, b),), "should have shape (4,)"),
]

# --- 04.3 the LSTM step ---------------------------------------------------------------------------------------------


def lstm(x, h, c, kernel, recurrent, bias):
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm_with_loops(x, h, c, kernel, recurrent, bias):
    batch, units = c.shape
    new_h, new_c = np.zeros((2, batch, units))
    for b in range(batch):
        z = [x[b] @ kernel[:, n] + h[b] @ recurrent[:, n] + bias[n] for n in range(4 * units)]
        for u in range(units):
            i, f, g, o = (z[gate * units + u] for gate in range(4))
            new_c[b, u] = c[b, u] / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            new_h[b, u] = np.tanh(new_c[b, u]) / (1 + np.exp(-o))
    return new_h.tolist(), new_c.tolist()


def lstm_float32(*arrays):
    h, c = lstm(*(array.astype("float32") for array in arrays))
    return [Tensor(h), Tensor(c)]


def lstm_half_angle(x, h, c, kernel, recurrent, bias):
    z = np.concatenate([x, h], axis=1) @ np.concatenate([kernel, recurrent]) + bias
    n = c.shape[1]
    i, f, o = ((1 + np.tanh(z[:, s : s + n] / 2)) / 2 for s in (0, n, 3 * n))
    c = f * c + i * np.tanh(z[:, 2 * n : 3 * n])
    return o * np.tanh(c), c


def cell(new_c, new_h=lambda i, f, g, o, c, old, h: sigmoid(o) * np.tanh(c)):
    """A step with another cell of (i, f, g, o, c), and perhaps another h of (i, f, g, o, new c, old c, old h)."""

    def step(x, h, c, kernel, recurrent, bias):
        z = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
        new = new_c(*z, c)
        return new_h(*z, new, c, h), new

    return (step,)


def shown(new_h):
    """A step whose cell is right, with another h of (g, o, new c, old c, old h)."""
    return cell(
        lambda i, f, g, o, c: sigmoid(f) * c + sigmoid(i) * np.tanh(g),
        lambda i, f, g, o, c, old, h: new_h(g, o, c, old, h),
    )


def blocks_moved(order):
    """A step that takes block n of z for gate order[n]."""

    def step(x, h, c, kernel, recurrent, bias):
        parts = (np.split(array, 4, axis=-1) for array in (kernel, recurrent, bias))
        return lstm(x, h, c, *(np.concatenate([part[order.index(k)] for k in range(4)], axis=-1) for part in parts))

    return (step,)


def woven(x, h, c, kernel, recurrent, bias):
    return lstm(x, h, c, *(np.concatenate([a[..., k::4] for k in range(4)], -1) for a in (kernel, recurrent, bias)))


NAMES = ("input", "forget", "candidate", "output")


def lstm_in_place(x, h, c, kernel, recurrent, bias):
    units = c.shape[-1]
    z = np.tensordot(x, kernel, 1) + np.tensordot(h, recurrent, 1)
    z += bias
    i, f, g, o = z.reshape(len(x), 4, units).swapaxes(0, 1)
    c *= sigmoid(f)
    c += sigmoid(i) * np.tanh(g)
    np.multiply(sigmoid(o), np.tanh(c), out=h)
    return h, c


def lstm_by_gate(x, h, c, kernel, recurrent, bias):
    units = bias.size // 4

    def gate(n, squash):
        part = slice(n * units, (n + 1) * units)
        return squash(x.dot(kernel[:, part]) + h.dot(recurrent[:, part]) + bias[part])

    c = gate(1, sigmoid) * c + gate(0, sigmoid) * gate(2, np.tanh)
    return {"h": gate(3, sigmoid) * np.tanh(c), "c": c}.values()


RIGHT["04.3"] = [(lstm,), (lstm_with_loops,), (lstm_float32,), (lstm_half_angle,), (lstm_in_place,), (lstm_by_gate,)]
WRONG["04.3"] = [
    *(
        (
            blocks_moved(order),
            "changed places" if order == (1, 0, 2, 3) else f"as {', '.join(NAMES[k] for k in order)}; ",
        )
        for order in list(permutations(range(4)))[1:]
    ),
    ((woven,), "every fourth column"),
    ((lambda *args: lstm(*args)[::-1],), "h and c are swapped"),
    ((lambda *args: lstm(*args)[0],), "return two arrays"),
    ((remembering(lstm),), "the new c: "),
    ((lambda *args: [np.round(part, 3) for part in lstm(*args)],), "rounded to 3 decimals"),
    (cell(lambda i, f, g, o, c: c), "you return the old c"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c + sigmoid(i) * sigmoid(g)), "only be pushed up"),
    (cell(lambda i, f, g, o, c: np.tanh(f) * c + np.tanh(i) * np.tanh(g)), "with a tanh they could be negative"),
    (cell(lambda i, f, g, o, c: np.tanh(f) * c + np.tanh(i) * sigmoid(g)), "sigmoid and tanh are swapped"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c + sigmoid(i) * g), "candidate is not squashed"),
    (cell(lambda i, f, g, o, c: f * c + i * np.tanh(g)), "gates are not squashed"),
    (cell(lambda i, f, g, o, c: sigmoid(f) + c + sigmoid(i) * np.tanh(g)), "(Look at forget.)"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c + sigmoid(i) + np.tanh(g)), "(Look at input.)"),
    (cell(lambda i, f, g, o, c: sigmoid(f) + c + sigmoid(i) + np.tanh(g)), "forget and at input"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c * sigmoid(i) * np.tanh(g)), "kept by what is new"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * (c + sigmoid(i) * np.tanh(g))), "cut the news"),
    (cell(lambda i, f, g, o, c: c + sigmoid(i) * np.tanh(g)), "kept whole"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c + np.tanh(g)), "input gate is missing"),
    (cell(lambda i, f, g, o, c: sigmoid(i) * np.tanh(g)), "nothing of the old c"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c), "nothing new gets in"),
    (cell(lambda i, f, g, o, c: (1 - sigmoid(i)) * c + sigmoid(i) * np.tanh(g)), "1 - input"),
    (cell(lambda i, f, g, o, c: sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)), "1 - forget"),
    (cell(lambda i, f, g, o, c: sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)), "in `bias` already"),
    ((lambda x, h, c, k, r, b: lstm(x, h, c, k, r, 0 * b),), "`bias` makes no difference"),
    ((lambda x, h, c, k, r, b: lstm(x, 0 * h, c, k, r, b),), "h makes no difference"),
    ((lambda x, h, c, k, r, b: lstm(0 * x, h, c, k, r, b),), "x makes no difference"),
    ((lambda x, h, c, k, r, b: lstm(x, c, c, k, r, b),), "you gave it c"),
    ((lambda x, h, c, k, r, b: lstm(x, h, 2 * c, k, r, b),), "the new c: "),
    (shown(lambda g, o, c, old, h: sigmoid(o) * c), "h lacks a tanh"),
    (shown(lambda g, o, c, old, h: sigmoid(o) * np.tanh(old)), "made from the old c"),
    (shown(lambda g, o, c, old, h: sigmoid(o) * sigmoid(c)), "passes a tanh, not a sigmoid"),
    (shown(lambda g, o, c, old, h: np.tanh(o) * np.tanh(c)), "yours is a tanh"),
    (shown(lambda g, o, c, old, h: np.tanh(o) * sigmoid(c)), "in h the two are swapped"),
    (shown(lambda g, o, c, old, h: o * np.tanh(c)), "output gate is not squashed"),
    (shown(lambda g, o, c, old, h: sigmoid(o) + np.tanh(c)), "output gate is added"),
    (shown(lambda g, o, c, old, h: np.tanh(c)), "output gate is missing"),
    (shown(lambda g, o, c, old, h: sigmoid(o) * np.tanh(g)), "made from the candidate"),
    (shown(lambda g, o, c, old, h: c), "you return c twice"),
    (shown(lambda g, o, c, old, h: h), "you return the old h"),
]

# --- 04.4 windows ---------------------------------------------------------------------------------------------------


def fill(pieces, length, filler=0):
    return [list(piece) + [filler] * (length - len(piece)) for piece in pieces]


def fill_left(pieces, length):
    return [[0] * (length - len(piece)) + list(piece) for piece in pieces]


def recent(histories, length):
    return [history[-length - 1 :] for history in histories]


def windows(histories, length, inputs=None, targets=None, weights=None):
    """Windows, with inputs and targets made from (pieces, length) and weights from (number of pairs, length)."""
    pieces = recent(histories, length)
    pairs = np.array([len(piece) - 1 for piece in pieces])[:, None]
    return (
        inputs(pieces, length) if inputs else fill([piece[:-1] for piece in pieces], length),
        targets(pieces, length) if targets else fill([piece[1:] for piece in pieces], length),
        weights(pairs, np.arange(length)) if weights else np.arange(length) < pairs,
    )


def windows_numpy(histories, length):
    padded = np.zeros((len(histories), length + 1), dtype="float32")
    for row, piece in zip(padded, recent(histories, length), strict=True):
        row[: len(piece)] = piece
    targets = padded[:, 1:]
    return np.where(targets > 0, padded[:, :-1], 0), targets, np.minimum(targets, 1)


def windows_by_item(histories, length):
    inputs, targets, weights = np.zeros((3, len(histories), length))
    for row, history in enumerate(histories):
        start = max(0, len(history) - 1 - length)
        for place, (item, following) in enumerate(list(pairwise(history))[start:]):
            inputs[row, place], targets[row, place], weights[row, place] = item, following, 1
    return {"inputs": Tensor(inputs), "targets": Tensor(targets), "weights": Tensor(weights)}.values()


def windows_with(**part):
    return (lambda histories, length: windows(histories, length, **part),)


def other_inputs(cut):
    """Windows whose inputs are cut from the whole histories as (history, length) tells."""
    return (lambda hs, n: (fill([cut(h, n) for h in hs], n), *windows(hs, n)[1:]),)


def windows_by_slices(histories, length):
    def padded(items):
        return np.pad(np.asarray(items, dtype="int16"), (0, length - len(items)))

    cut = [history[max(0, len(history) - length - 1) :] for history in histories]
    inputs, targets = (np.stack([padded(part[where]) for part in cut]) for where in (slice(-1), slice(1, None)))
    return inputs, targets, np.sign(targets)


def windows_in_pandas(histories, length):
    table = pd.DataFrame([history[-length - 1 :] for history in histories]).reindex(columns=range(length + 1))
    targets = table.iloc[:, 1:]
    inputs = table.iloc[:, :-1].where(targets.notna().to_numpy(), 0)
    return inputs, targets.fillna(0), targets.notna()


RIGHT["04.4"] = [
    (windows,),
    (windows_numpy,),
    (windows_by_item,),
    (windows_by_slices,),
    (windows_in_pandas,),
    (lambda hs, n: np.array(windows(hs, n)),),
]
WRONG["04.4"] = [
    (windows_with(inputs=lambda ps, n: fill_left([p[:-1] for p in ps], n)), "you pad on the left; fill"),
    (other_inputs(lambda h, n: h[:-1][:n]), "keeps the first items"),
    (other_inputs(lambda h, n: h[-n:]), "hold the last item"),
    (other_inputs(lambda h, n: h[-n:][:-1]), "only length - 1 pairs"),
    (windows_with(inputs=lambda ps, n: fill([p[1:] for p in ps], n)), "begin with the second"),
    (windows_with(inputs=lambda ps, n: fill([p[-2::-1] for p in ps], n)), "run backwards"),
    (
        (lambda hs, n: (fill([h[:end][-n:] for h in hs for end in range(1, len(h))], n), *windows(hs, n)[1:]),),
        "a row for each prefix",
    ),
    (windows_with(inputs=lambda ps, n: [p[:-1] for p in ps]), "one regular array"),
    (windows_with(inputs=lambda ps, n: fill([p[:-1] for p in ps], n, -1)), "the inputs of the histories"),
    (windows_with(targets=lambda ps, n: fill([p[:-1] for p in ps], n)), "it has just seen"),
    (windows_with(targets=lambda ps, n: fill([[0, *p[:-2]] for p in ps], n)), "shifted the wrong way"),
    (windows_with(targets=lambda ps, n: fill([p[2:] for p in ps], n)), "two steps ahead"),
    (windows_with(targets=lambda ps, n: np.roll(fill([p[:-1] for p in ps], n), -1, axis=1)), "np.roll"),
    (windows_with(targets=lambda ps, n: fill([p[-1:] * (len(p) - 1) for p in ps], n)), "asked for the last item"),
    (
        windows_with(targets=lambda ps, n: fill([[0] * (len(p) - 2) + p[-1:] for p in ps], n)),
        "only the last position has a target",
    ),
    (windows_with(targets=lambda ps, n: fill([p[1:] for p in ps], n, -1)), "yours are -1;"),
    (windows_with(targets=lambda ps, n: fill([p[1:] for p in ps], n, -100)), "yours are -100;"),
    (windows_with(targets=lambda ps, n: fill_left([p[1:] for p in ps], n)), "the inputs on the right"),
    (windows_with(weights=lambda pairs, place: np.ones((len(pairs), len(place)))), "padding counts"),
    (windows_with(weights=lambda pairs, place: place >= pairs), "inside out"),
    (windows_with(weights=lambda pairs, place: place == pairs - 1), "only the last position counts"),
    (windows_with(weights=lambda pairs, place: (place < pairs) / pairs), "each row sums to 1"),
    (windows_with(weights=lambda pairs, place: (place < pairs) & (place > 0)), "first position counts too"),
    (windows_with(weights=lambda pairs, place: place < pairs - 1), "last real position counts"),
    (windows_with(weights=lambda pairs, place: place <= pairs), "n items make n - 1 pairs"),
    (windows_with(weights=lambda pairs, place: (place < pairs) * 2), "the weights of the histories"),
    ((lambda hs, n: windows(hs, n)[:2],), "return three arrays"),
    ((remembering(windows),), "the inputs of the histories [[3951"),
    ((lambda hs, n: [np.array(part).astype("uint8") for part in windows(hs, n)],), "3951 is expected"),
    ((lambda hs, n: windows(hs, n)[::-1],), "in the place of the inputs"),
]

# --- 04.5 splits ----------------------------------------------------------------------------------------------------

VERDICTS = {
    "rows": "future",
    "scaled": "statistics",
    "cut": "none",
    "windows": "overlap",
    "best epoch": "selection",
    "minutes": "answer",
    "leave one out": "future",
    "new users": "none",
}
RIGHT["04.5"] = [(VERDICTS,), ({name: verdict.title() for name, verdict in VERDICTS.items()},)]
WRONG["04.5"] = one_wrong(
    VERDICTS,
    [
        ("rows", "none", "Thursday before"),
        ("rows", "overlap", "neighbours on both sides"),
        ("rows", "statistics", "no mean and no scale"),
        ("rows", "selection", "chose nothing"),
        ("rows", "answer", "every input is known"),
        ("scaled", "none", "costs nothing"),
        ("scaled", "future", "something subtler"),
        ("scaled", "overlap", "ask which rows the mean has seen"),
        ("cut", "future", "what the model is for"),
        ("cut", "selection", "two different sets"),
        ("cut", "overlap", "go through the days"),
        ("windows", "none", "19 of its 20"),
        ("windows", "future", "it is worse"),
        ("windows", "answer", "in how many windows"),
        ("best epoch", "none", "partly luck"),
        ("best epoch", "future", "ask which days picked"),
        ("minutes", "none", "when it is over"),
        ("minutes", "future", "input of a single event"),
        ("minutes", "statistics", "when each input becomes known"),
        ("leave one out", "none", "it flatters"),
        ("leave one out", "overlap", "long after it"),
        ("leave one out", "selection", "what the others do"),
        ("new users", "future", "these same weeks"),
        ("new users", "overlap", "not one of their events"),
        ("new users", "statistics", "ask what is claimed"),
        ("new users", "shuffle", "choose one of answer, future, none, overlap, selection, statistics"),
    ],
)

# --- 04.6 drift -----------------------------------------------------------------------------------------------------


def halves(interests, k):
    half = len(interests) // 2
    return [np.bincount(part, minlength=k) / len(part) for part in (interests[:half], interests[half:])]


def parted(interests):
    """How many events each half has."""
    return len(interests) // 2, len(interests) - len(interests) // 2


def bits(p, q):
    """Kullback-Leibler divergence, zeros of p left out."""
    return (p[p > 0] * np.log2(p[p > 0] / q[p > 0])).sum()


def mean_bits(p, q):
    return (bits(p, (p + q) / 2) + bits(q, (p + q) / 2)) / 2


def drift(interests, k):
    return mean_bits(*halves(interests, k)) ** 0.5


def drift_by_entropy(interests, k):
    def entropy(p):
        return -sum(x * np.log2(x) for x in p.tolist() if x)

    p, q = halves(interests, k)
    return Tensor(np.sqrt(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2))


def drift_with_a_little(interests, k):
    p, q = (half + 1e-12 for half in halves(interests, k))
    return np.sqrt((p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q))).sum() / 2)


def of_shares(measure):
    """A drift computed from the shares of the halves."""
    return (lambda interests, k: measure(*halves(interests, k)),)


def of_parts(cut):
    """The right distance of other parts, cut from (interests, half their number)."""

    def distance(interests, k):
        parts = cut(interests, len(interests) // 2)
        return mean_bits(*(np.bincount(part, minlength=k) / len(part) for part in parts)) ** 0.5

    return (distance,)


def naive(p, q, middle=lambda p, q: (p + q) / 2):
    m = middle(p, q)
    return np.sqrt(((p * np.log2(p / m)).sum() + (q * np.log2(q / m)).sum()) / 2)


def common_only(p, q):
    both, m = (p > 0) & (q > 0), (p + q) / 2
    return np.sqrt(sum((half[both] * np.log2(half[both] / m[both])).sum() for half in (p, q)) / 2)


def smoothed(interests, k):
    half = len(interests) // 2
    p, q = (np.bincount(part, minlength=k) + 1 for part in (interests[:half], interests[half:]))
    return mean_bits(p / p.sum(), q / q.sum()) ** 0.5


RIGHT["04.6"] = [
    (drift,),
    (lambda interests, k: jensenshannon(*halves(interests, k), base=2),),
    (drift_by_entropy,),
    (drift_with_a_little,),
]


def drift_in_pandas(interests, k):
    half = len(interests) // 2
    parts = (pd.Series(part).value_counts(normalize=True) for part in (interests[:half], interests[half:]))
    table = pd.concat(parts, axis=1).reindex(range(k)).fillna(0).to_numpy()
    middle = table.mean(axis=1, keepdims=True)
    return np.sqrt(special.rel_entr(table, middle).sum() / 2 / np.log(2))


def drift_by_entr(interests, k):
    p, q = halves(interests, k)
    both = stats.entropy([p, q, (p + q) / 2], base=2, axis=1)
    return math.sqrt(max(both[2] - both[:2].mean(), 0))


RIGHT["04.6"] += [(drift_in_pandas,), (drift_by_entr,)]
WRONG["04.6"] = [
    (of_shares(mean_bits), "that is the divergence;"),
    (of_shares(jensenshannon), "natural logarithms"),
    (of_shares(lambda p, q: np.sqrt(2 * mean_bits(p, q))), "add the two divergences"),
    (of_shares(lambda p, q: mean_bits(p / 2, q / 2) ** 0.5), "sum to .5"),
    ((lambda x, k: mean_bits(*(n * part for n, part in zip(parted(x), halves(x, k), strict=True))) ** 0.5,), "counts"),
    (of_shares(lambda p, q: np.sqrt(bits(p, q))), "one half with the other"),
    (of_shares(lambda p, q: (bits((p + q) / 2, p) + bits((p + q) / 2, q)) / 2), "the mean from each half"),
    (of_shares(common_only), "only one half has"),
    (of_shares(naive), "0 * log 0"),
    (of_shares(lambda p, q: naive(p, q, lambda p, q: p + q)), "below the root"),
    ((smoothed,), "you smooth the counts"),
    (of_parts(lambda x, half: (x[::2], x[1::2])), "in turn"),
    (of_parts(lambda x, half: (np.sort(x)[:half], np.sort(x)[half:])), "sorted the events"),
    (of_parts(lambda x, half: (x[:half], x)), "with the whole history:"),
    (of_parts(lambda x, half: (x[half:], x)), "the late one"),
    (of_parts(lambda x, half: (x[:-half], x[-half:])), "one in the middle"),
    (of_parts(lambda x, half: (x[:half], x[-half:])), "leave out the event"),
    (of_shares(lambda p, q: abs(p - q).sum() / 2), "total variation"),
    (of_shares(lambda p, q: np.linalg.norm(p - q)), "Euclidean"),
    (of_shares(lambda p, q: np.sqrt(1 - np.sqrt(p * q).sum())), "Hellinger"),
    (of_shares(lambda p, q: 1 - p @ q / np.linalg.norm(p) / np.linalg.norm(q)), "is expected, yours is"),
    ((halves,), "should have shape ()"),
    ((remembering(drift),), "the drift of another history of 40 events: "),
    ((lambda interests, k: round(drift(interests, k), 2),), "rounded to 2 decimals"),
    ((lambda interests, k: drift(interests, k) / 2,), "0.5 times what is expected"),
]

# --- 04.7 learning curves -------------------------------------------------------------------------------------------

CURVES = {
    "overfitting starts after epoch": 10,
    "best epoch": 14,
    "patience 5 stops after epoch": 19,
    "loss and ndcg both rise because": "sure",
    "early stopping": "cuts",
    "more dropout": "narrows",
    "fresh window offsets": "narrows",
    "four times the units": "widens",
    "shuffled histories": "spoils",
}
RIGHT["04.7"] = [(CURVES,), ({**CURVES, "best epoch": np.int64(14), "more dropout": " Narrows"},)]
WRONG["04.7"] = one_wrong(
    CURVES,
    [
        ("overfitting starts after epoch", 9, "count from 1"),
        ("overfitting starts after epoch", 14, "part ways"),
        ("overfitting starts after epoch", 30, "never turns"),
        ("overfitting starts after epoch", 1, "carries over"),
        ("overfitting starts after epoch", 5, "both losses still fall"),
        ("best epoch", 13, "count from 1"),
        ("best epoch", 10, "best ranking"),
        ("best epoch", 19, "are older"),
        ("best epoch", 30, "no news"),
        ("best epoch", 3, "highest validation NDCG"),
        ("patience 5 stops after epoch", 14, "nobody knows yet"),
        ("patience 5 stops after epoch", 15, "watches the NDCG"),
        ("patience 5 stops after epoch", 18, "four epochs"),
        ("patience 5 stops after epoch", 20, "already the fifth"),
        ("patience 5 stops after epoch", 30, "before the epochs do"),
        ("patience 5 stops after epoch", 25, "add the patience"),
        ("loss and ndcg both rise because", "bug", "different things"),
        ("loss and ndcg both rise because", "leak", "neither turn"),
        ("loss and ndcg both rise because", "noise", "four epochs in a row"),
        ("early stopping", "narrows", "exactly as before"),
        ("early stopping", "widens", "grows further"),
        ("early stopping", "spoils", "nothing from the data"),
        ("more dropout", "cuts", "missing at random"),
        ("more dropout", "widens", "less far"),
        ("more dropout", "spoils", "in training only"),
        ("fresh window offsets", "cuts", "other windows of the same"),
        ("fresh window offsets", "widens", "the same ones again"),
        ("fresh window offsets", "spoils", "image augmentations"),
        ("four times the units", "cuts", "with more room"),
        ("four times the units", "narrows", "turns earlier"),
        ("four times the units", "spoils", "gets more room"),
        ("shuffled histories", "narrows", "the order was the signal"),
        ("shuffled histories", "cuts", "what comes after what"),
        ("shuffled histories", "widens", "not easier"),
    ],
)
