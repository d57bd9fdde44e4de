"""Planted answers to the exercises of lesson 05."""

import numpy as np

from planted.common import Tensor, one_wrong, softmax

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 05.1 match -----------------------------------------------------------------------------------------------------


def unit(x, axis=-1):
    lengths = np.linalg.norm(x, axis=axis, keepdims=True)
    return np.divide(x, lengths, out=np.zeros_like(x), where=lengths > 0)


def match(interest, contents):
    return unit(contents) @ unit(interest)


def match_with_loops(interest, contents):
    scores = []
    for item in contents.tolist():
        both = sum(x * x for x in interest) ** 0.5 * sum(x * x for x in item) ** 0.5
        scores.append(sum(x * y for x, y in zip(interest, item, strict=True)) / both if both else 0)
    return scores


def match_tensor(interest, contents):
    interest, contents = interest.astype("float32"), contents.astype("float32")
    lengths = np.sqrt((contents**2).sum(1) * (interest**2).sum())
    return Tensor(contents @ interest / np.maximum(lengths, 1e-9))


def unguarded(interest, contents):
    return contents @ interest / (np.linalg.norm(contents, axis=1) * np.linalg.norm(interest))


def scored(change):
    """The right scores, changed."""
    return (lambda interest, contents: change(match(interest, contents)),)


def user_unguarded(interest, contents):
    return unit(contents) @ (interest / np.linalg.norm(interest))


def zero_sum_is_empty(u, c):
    empty = (c.sum(1) == 0) | (u.sum() == 0)
    return np.where(empty, 0, match(u, c))


RIGHT["05.1"] = [
    (match,),
    (match_with_loops,),
    (match_tensor,),
    (lambda interest, contents: np.nan_to_num(unguarded(interest, contents)),),
]
WRONG["05.1"] = [
    ((lambda u, c: c @ u,), "that is the dot product"),
    ((lambda u, c: c @ unit(u),), "items' lengths are still in"),
    ((lambda u, c: unit(c) @ u,), "user's length is still in"),
    ((lambda u, c: c @ u / ((c**2).sum(1) * (u**2).sum()),), "squared lengths"),
    ((lambda u, c: c @ u / (np.linalg.norm(c, axis=1) + np.linalg.norm(u)),), "add the two lengths"),
    ((lambda u, c: c @ u / (abs(c).sum(1) * abs(u).sum()),), "sums of entries"),
    ((lambda u, c: c @ u / (np.linalg.norm(c) * np.linalg.norm(u)),), "share one length"),
    ((lambda u, c: unit(c, axis=0) @ unit(u),), "length of each interest"),
    (scored(lambda s: 1 - s), "cosine distance"),
    (scored(abs), "points away from an item"),
    (scored(lambda s: -s), "sign is turned"),
    (scored(lambda s: np.arccos(s)), "that is the angle"),
    ((lambda u, c: np.linalg.norm(c - u, axis=1),), "that is the distance"),
    ((lambda u, c: -np.linalg.norm(c - u, axis=1),), "minus the distance"),
    ((lambda u, c: match(u - u.mean(), c - c.mean(1, keepdims=True)),), "that is the correlation"),
    (scored(lambda s: np.maximum(s, 0)), "cut off what is below 0"),
    (scored(lambda s: (1 + s) / 2), "moved the scores"),
    (scored(softmax), "softmax on top"),
    (scored(lambda s: np.argsort(-s)), "order of the items"),
    ((lambda u, c: match(u, c) if np.linalg.norm(u) > 1 else np.zeros(len(c)),), "all scores are 0"),
    (scored(lambda s: s**2), "is expected at position"),
    (scored(lambda s: s[:, None]), "should have shape (6,)"),
    ((unguarded,), "where an item is all 0, its score is 0."),
    ((lambda u, c: np.where(c.any(1), match(u, c), 1),), "score is 0, not 1"),
    ((lambda u, c: match(u, c[c.any(1)]),), "you left out the item"),
    ((user_unguarded,), "where the user is all 0"),
    ((zero_sum_is_empty,), "sum to 0 still points somewhere"),
    ((lambda u, c: c @ u / (np.linalg.norm(c, axis=1) * np.linalg.norm(u) + 1e-6),), "a small number to the lengths"),
    ((lambda u, c: np.where(np.isclose(match(u, c), 0, atol=0.3), 0, match(u, c)),), "is expected at position"),
]

# --- 05.2 the map ---------------------------------------------------------------------------------------------------


def ridge_map(S, T, ridge):
    return np.linalg.solve(S.T @ S + ridge * np.eye(S.shape[1]), S.T @ T)


def ridge_by_rows(S, T, ridge):
    k, m = S.shape[1], T.shape[1]
    return np.linalg.lstsq(np.vstack([S, np.sqrt(ridge) * np.eye(k)]), np.vstack([T, np.zeros((k, m))]))[0]


def ridge_by_users(S, T, ridge):
    return Tensor((S.T @ np.linalg.inv(S @ S.T + ridge * np.eye(len(S))) @ T).astype("float32"))


def ridge_by_steps(S, T, ridge):
    W, step = np.zeros((S.shape[1], T.shape[1])), 1 / (np.linalg.norm(S, 2) ** 2 + ridge)
    for _ in range(5000):
        W -= step * (S.T @ (S @ W - T) + ridge * W)
    return W.tolist()


def ridge_by_columns(S, T, ridge):
    u, s, vt = np.linalg.svd(S, full_matrices=False)
    return np.stack([vt.T @ (s / (s**2 + ridge) * (u.T @ column)) for column in T.T], axis=1)


def penalised(change):
    """The map of another ridge, made from (ridge, number of users)."""
    return (lambda S, T, ridge: ridge_map(S, T, change(ridge, len(S))),)


def with_ones(S, first):
    ones = np.ones((len(S), 1))
    return np.hstack([ones, S] if first else [S, ones])


def rotation(S, T, ridge):
    u, _, vt = np.linalg.svd(S.T @ T, full_matrices=False)
    return u @ vt


RIGHT["05.2"] = [(ridge_map,), (ridge_by_rows,), (ridge_by_users,), (ridge_by_steps,), (ridge_by_columns,)]
WRONG["05.2"] = [
    ((lambda S, T, r: ridge_map(S, T, r).T,), "W is transposed"),
    ((lambda S, T, r: ridge_map(T, S, r),), "leads back"),
    ((lambda S, T, r: np.linalg.lstsq(S, T)[0],), "ridge makes no difference"),
    (penalised(lambda r, n: r * n), "summed here, not averaged"),
    (penalised(lambda r, n: r / n), "divide the ridge by the users"),
    (penalised(lambda r, n: r**2), "the ridge is squared"),
    (penalised(lambda r, n: r**0.5), "root of the ridge"),
    (penalised(lambda r, n: 2 * r), "twice as large"),
    (penalised(lambda r, n: r / 2), "half as large"),
    ((lambda S, T, r: np.linalg.solve(S.T @ S + r, S.T @ T),), "to every entry"),
    ((lambda S, T, r: ridge_map(S - S.mean(0), T - T.mean(0), r),), "took the means off"),
    ((lambda S, T, r: ridge_map(with_ones(S, True), T, r),), "a column of ones, an intercept"),
    ((lambda S, T, r: ridge_map(with_ones(S, False), T, r)[:-1],), "fitted and dropped"),
    ((lambda S, T, r: S @ ridge_map(S, T, r),), "mapped vectors"),
    ((lambda S, T, r: ridge_map(unit(S), unit(T), r),), "rows to length 1"),
    ((rotation,), "best rotation"),
    ((lambda S, T, r: np.linalg.lstsq(S, T)[0] / (1 + r),), "all directions alike"),
    ((lambda S, T, r: S.T @ T,), "S^T T alone"),
    (penalised(lambda r, n: r + 1), "W of 12 users: "),
]

# --- 05.3 align -----------------------------------------------------------------------------------------------------


def power(C, p):
    values, vectors = np.linalg.eigh(C)
    return vectors * values**p @ vectors.T


def cov(x):
    return np.cov(x.T)


def moved(matrix, of=lambda S: S - S.mean(0), onto=lambda S, T: T.mean(0)):
    """Aligned by matrix(C_source, C_target), each with epsilon on its diagonal."""

    def align(S, T, epsilon):
        return of(S) @ matrix(*(cov(x) + epsilon * np.eye(x.shape[1]) for x in (S, T))) + onto(S, T)

    return (align,)


def symmetric(C, D):
    return power(C, -0.5) @ power(D, 0.5)


def triangular(C, D):
    return np.linalg.inv(np.linalg.cholesky(C)).T @ np.linalg.cholesky(D).T


def by_components(C, D):
    (a, E), (b, F) = np.linalg.eigh(C), np.linalg.eigh(D)
    return E / np.sqrt(a) @ (F * np.sqrt(abs(b))).T


def cov_with_loops(x, epsilon):
    n, k = x.shape
    d = [[value - x[:, j].mean() for j, value in enumerate(row)] for row in x]
    return np.array([[sum(r[i] * r[j] for r in d) / n + epsilon * (i == j) for j in range(k)] for i in range(k)])


def align_with_loops(S, T, epsilon):
    M = triangular(cov_with_loops(S, epsilon), cov_with_loops(T, epsilon))
    return [[(row - S.mean(0)) @ M[:, j] + T[:, j].mean() for j in range(S.shape[1])] for row in S]


def align_tensor(S, T, epsilon):
    return Tensor(moved(symmetric)[0](S, T, epsilon).astype("float32"))


def ranked(S, T, epsilon):
    ranks = np.argsort(np.argsort(S, axis=0), axis=0) / (len(S) - 1)
    return np.stack([np.quantile(t, r) for t, r in zip(T.T, ranks.T, strict=True)], axis=1)


def big_epsilon(S, T, epsilon):
    one = np.eye(S.shape[1])
    return (S - S.mean(0)) @ power(cov(S) + one, -0.5) @ power(cov(T) + one, 0.5) + T.mean(0)


def undivided(S, T, epsilon):
    C, D = (cov(x) * (len(x) - 1) + epsilon * np.eye(x.shape[1]) for x in (S, T))
    return (S - S.mean(0)) @ symmetric(C, D) + T.mean(0)


def pseudo_inverse(S, T, epsilon):
    def root(C, p):
        values, vectors = np.linalg.eigh(C)
        return vectors * np.maximum(values, 1e-12) ** p @ vectors.T

    return (S - S.mean(0)) @ root(cov(S), -0.5) @ root(cov(T), 0.5) + T.mean(0)


def with_epsilon(of_source, of_target):
    """Aligned with an epsilon for each domain, made of that given."""

    def align(S, T, epsilon):
        C, D = cov(S) + of_source(epsilon) * np.eye(S.shape[1]), cov(T) + of_target(epsilon) * np.eye(S.shape[1])
        return (S - S.mean(0)) @ symmetric(C, D) + T.mean(0)

    return (align,)


def floored(S, T, epsilon):
    def root(C, p):
        values, vectors = np.linalg.eigh(C)
        return vectors * np.maximum(values, epsilon) ** p @ vectors.T

    return (S - S.mean(0)) @ root(cov(S), -0.5) @ root(cov(T), 0.5) + T.mean(0)


RIGHT["05.3"] = [moved(symmetric), moved(triangular), moved(by_components), (align_with_loops,), (align_tensor,)]
WRONG["05.3"] = [
    (moved(lambda C, D: np.eye(len(C))), "only the mean was moved"),
    (moved(lambda C, D: np.diag(np.sqrt(np.diag(D) / np.diag(C)))), "each column by itself"),
    (moved(lambda C, D: symmetric(D, C)), "the two are swapped"),
    (moved(lambda C, D: power(C, -0.5)), "whitened and stopped"),
    (moved(lambda C, D: power(D, 0.5)), "without whitening"),
    (moved(lambda C, D: power(C, -1)), "and stop: whiten"),
    (moved(lambda C, D: np.linalg.inv(C) @ D), "the inverse of its root"),
    (moved(lambda C, D: np.linalg.inv(np.linalg.cholesky(C)) @ np.linalg.cholesky(D)), "transpose both"),
    (moved(lambda C, D: np.linalg.inv(np.linalg.cholesky(C)) @ np.linalg.cholesky(D).T), "inv(L) is not transposed"),
    (
        moved(lambda C, D: np.linalg.inv(np.linalg.cholesky(C)).T @ np.linalg.cholesky(D)),
        "target's L is not transposed",
    ),
    (moved(lambda C, D: power(C, -0.5) @ D), "colour with the covariance itself"),
    (moved(lambda C, D: power(D, 0.5) @ power(C, -0.5)), "order is turned"),
    ((undivided,), "undivided"),
    ((big_epsilon,), "you add I, which"),
    (moved(symmetric, onto=lambda S, T: S.mean(0)), "mean is still the source's"),
    (moved(symmetric, onto=lambda S, T: 0), "is centred"),
    (moved(symmetric, onto=lambda S, T: S.mean(0) + T.mean(0)), "both means are in"),
    (moved(symmetric, of=lambda S: S, onto=lambda S, T: 0), "went through the matrix"),
    (moved(symmetric, of=lambda S: S - S.mean(), onto=lambda S, T: T.mean()), "the mean of all entries"),
    ((lambda S, T, e: moved(symmetric)[0](T, S, e),), "the target stays"),
    ((lambda S, T, e: T[np.arange(len(S)) % len(T)],), "not the source's, all moved alike"),
    ((lambda S, T, e: moved(symmetric)[0](S, T, e)[:, :2],), "should have shape (300, 3)"),
    ((lambda S, T, e: moved(symmetric)[0](S, T, -e),), "are not finite"),
    (moved(lambda C, D: -symmetric(C, D)), "is mirrored"),
    (moved(lambda C, D: 1.1 * symmetric(C, D)), "the covariance: "),
    ((pseudo_inverse,), "`epsilon` makes no difference"),
    (with_epsilon(lambda e: e, lambda e: 0 if e > 1e-3 else e), "on the source's diagonal only"),
    (with_epsilon(lambda e: e**2 if e < 1e-3 else 2 * e, lambda e: e), "the matrix is another"),
    (with_epsilon(lambda e: 0 if e > 1e-3 else e, lambda e: e), "on the target's diagonal only"),
    ((floored,), "the least variance with you"),
    ((lambda S, T, e: moved(symmetric)[0](S, T, e) * (np.nan if e > 1e-3 else 1),), "are missing or not finite"),
]

# --- 05.4 fuse ------------------------------------------------------------------------------------------------------


def fuse(own, counts, over, k):
    n = counts[:, None]
    return (n * np.nan_to_num(own) + k * over) / (n + k)


def fuse_with_loops(own, counts, over, k):
    rows = []
    for mine, n, other in zip(own, counts, over, strict=True):
        rows.append(other.tolist() if n == 0 else [(n * x + k * y) / (n + k) for x, y in zip(mine, other, strict=True)])
    return rows


def fuse_step(own, counts, over, k):
    step = np.where(counts[:, None] > 0, own - over, 0)
    return Tensor((over + step * (counts / (counts + k))[:, None]).astype("float32"))


def gated(gate, filled=np.nan_to_num):
    """Fused by a gate made from (counts as a column, k)."""

    def fused(own, counts, over, k):
        g = gate(counts[:, None], k)
        return g * filled(own) + (1 - g) * over

    return (fused,)


def parts(combine):
    """Something of (n, own without NaN, over, k)."""
    return (lambda own, counts, over, k: combine(counts[:, None], np.nan_to_num(own), over, k),)


def gates_on_columns(own, counts, over, k):
    g = counts / (counts + k)
    return (
        np.where(g > 0, g * np.nan_to_num(own), 0) + (1 - g) * over
        if g.size == own.shape[1]
        else fuse(own, counts, over, k)
    )


def gate_of_length(n, known, over, k):
    size = np.linalg.norm(known, axis=1, keepdims=True)
    return (size * known + k * over) / (size + k)


RIGHT["05.4"] = [
    (fuse,),
    (fuse_with_loops,),
    (fuse_step,),
    (lambda own, counts, over, k: np.where(counts[:, None] > 0, fuse(own, counts, over, k), over),),
]
WRONG["05.4"] = [
    (gated(lambda n, k: k / (n + k)), "the gate is swapped"),
    (gated(lambda n, k: n / (n + k), filled=lambda own: own), "NaN leaks"),
    ((lambda o, c, t, k: np.where(c[:, None] > 0, fuse(o, c, t, k), 0),), "gets zeros"),
    (gated(lambda n, k: n.mean() / (n.mean() + k)), "all users have one gate"),
    ((gates_on_columns,), "weighs column j"),
    (parts(gate_of_length), "how long the vector is"),
    (parts(lambda n, o, t, k: np.where(n > 0, o, t)), "from the first event on"),
    (parts(lambda n, o, t, k: np.where(n >= k, o, t)), "switch at k events"),
    (gated(lambda n, k: np.minimum(n / k, 1)), "full at k events"),
    (gated(lambda n, k: n / (n + 1)), "whatever k is"),
    (gated(lambda n, k: np.sqrt(n / (n + k))), "root of the gate"),
    (gated(lambda n, k: 1 - np.exp(-n / k)), "opens exponentially"),
    (gated(lambda n, k: n / n.sum()), "share of all events"),
    (gated(lambda n, k: n / n.max()), "busiest user"),
    (gated(lambda n, k: 0.5), "plain mean"),
    (parts(lambda n, o, t, k: o + t), "you add the two"),
    (parts(lambda n, o, t, k: n / (n + k) * o + t), "keeps its full weight"),
    (parts(lambda n, o, t, k: n * o + k * t), "divide by n + k"),
    (parts(lambda n, o, t, k: n / (n + k) * o), "what came over is left out"),
    (parts(lambda n, o, t, k: t), "transferred vectors alone"),
    (gated(lambda n, k: n**2 / (n**2 + k)), "is expected at position"),
    (parts(lambda n, o, t, k: np.hstack([o, t])), "should have shape (4, 4)"),
]

# --- 05.5 share of the gain -----------------------------------------------------------------------------------------


def ratio(t, b, o):
    return (t.mean(-1) - b.mean(-1)) / (o.mean(-1) - b.mean(-1))


def refuse_no_gain(b, o):
    if o.mean() <= b.mean():
        raise ValueError("the oracle is no better than the baseline")


def gain(draw=None, share=ratio, of_draws=None, ends=(0.025, 0.975)):
    """share_of_gain with another draw of users, share, ratio in the resamples, or interval."""

    def share_of_gain(t, b, o, draws, rng):
        refuse_no_gain(b, o)
        n = len(t)
        users = draw(rng, n, draws) if draw else [rng.integers(n, size=(draws, n))] * 3
        values = (of_draws or ratio)(*(x[u] for x, u in zip((t, b, o), users, strict=True)))
        return share(t, b, o), *np.quantile(values, ends)

    return share_of_gain


def gain_with_loops(t, b, o, draws, rng):
    refuse_no_gain(b, o)
    ratios = []
    for _ in range(draws):
        drawn = rng.choice(len(t), len(t))
        ratios.append(float((t[drawn] - b[drawn]).sum() / (o[drawn] - b[drawn]).sum()))
    return [Tensor(ratio(t, b, o)), *np.percentile(ratios, [2.5, 97.5])]


def gain_by_counts(t, b, o, draws, rng):
    refuse_no_gain(b, o)
    counts = rng.multinomial(len(t), np.full(len(t), 1 / len(t)), size=draws)
    low, high = np.quantile(counts @ (t - b) / (counts @ (o - b)), (0.025, 0.975))
    return {"share": ratio(t, b, o), "low": low, "high": high}.values()


def returned(change):
    """The right share, low and high, handed out in another way."""
    return (lambda *args: change(*gain()(*args)),)


def unpaired(rng, n, draws):
    return rng.integers(n, size=(3, draws, n))


def mean_share(t, b, o, draws, rng):
    users = rng.integers(len(t), size=(draws, len(t)))
    ratios = ratio(t[users], b[users], o[users])
    return ratios.mean(), *np.quantile(ratios, (0.025, 0.975))


def shuffled(rng, n, draws):
    return [np.stack([rng.permutation(n) for _ in range(draws)])] * 3


def own_stream(rng, n, draws, stream=np.random.default_rng(0)):  # noqa: B008  it has to go on from call to call
    return [stream.integers(n, size=(draws, n))] * 3


def seeded_anew(rng, n, draws):
    return [np.random.default_rng(0).integers(n, size=(draws, n))] * 3


def fixed_gain(t, b, o, draws, rng):
    users = rng.integers(len(t), size=(draws, len(t)))
    return ratio(t, b, o), *np.quantile((t - b)[users].mean(1) / (o - b).mean(), (0.025, 0.975))


def unguarded_gain(t, b, o, draws, rng):
    with np.errstate(all="ignore"):
        users = rng.integers(len(t), size=(draws, len(t)))
        return ratio(t, b, o), *np.quantile(ratio(t[users], b[users], o[users]), (0.025, 0.975))


def unguarded_at_zero(t, b, o, draws, rng):
    if o.mean() < b.mean():
        raise ValueError
    return unguarded_gain(t, b, o, draws, rng)


def asserted_gain(t, b, o, draws, rng):
    assert o.mean() > b.mean()
    return gain()(t, b, o, draws, rng)


def normal_gain(t, b, o, draws, rng):
    refuse_no_gain(b, o)
    drawn = rng.integers(len(t), size=(draws, len(t)))
    ratios = ratio(t[drawn], b[drawn], o[drawn])
    return ratio(t, b, o), ratios.mean() - 1.96 * ratios.std(), ratios.mean() + 1.96 * ratios.std()


def reversed_gain(t, b, o, draws, rng):
    share, low, high = gain()(t, b, o, draws, rng)
    return share, 2 * share - high, 2 * share - low


class NoGain(ValueError):
    """A refusal of one's own is a ValueError, too."""


def refused_by_name(t, b, o, draws, rng):
    if o.mean() <= b.mean():
        raise NoGain
    return gain()(t, b, o, draws, rng)


RIGHT["05.5"] = [
    (gain(),),
    (refused_by_name,),
    (gain_with_loops,),
    (gain_by_counts,),
    (lambda t, b, o, draws, rng: list(gain()(t, b, o, draws, rng)),),
]
WRONG["05.5"] = [
    ((gain(share=lambda t, b, o: ((t - b) / (o - b)).mean()),), "hardly any gain"),
    ((gain(share=lambda t, b, o: np.median((t - b) / (o - b))),), "median of the users' ratios"),
    ((gain(share=lambda t, b, o: ratio(*(np.median(x, keepdims=True) for x in (t, b, o)))),), "you take medians"),
    ((gain(share=lambda t, b, o: t.mean() / o.mean()),), "baseline is missing"),
    ((gain(share=lambda t, b, o: (t - b).mean() / o.mean()),), "oracle's whole score"),
    ((gain(share=lambda t, b, o: (t - b).mean() / b.mean()),), "in parts of the baseline"),
    ((gain(share=lambda t, b, o: (o - b).mean() / (t - b).mean()),), "upside down"),
    ((gain(share=lambda t, b, o: (o - t).mean() / (o - b).mean()),), "still missing"),
    ((gain(share=lambda t, b, o: (t - b).mean()),), "the gain itself"),
    ((gain(share=lambda t, b, o: 100 * ratio(t, b, o)),), "in percent"),
    ((gain(share=lambda t, b, o: ratio(t, b, o).clip(0, 1)),), "cut at 0 or 1"),
    ((gain(share=lambda t, b, o: abs(ratio(t, b, o))),), "dropped the sign"),
    ((gain(share=lambda t, b, o: ratio(t, b, o) + 0.5),), "the share: "),
    ((mean_share,), "changes with the draws"),
    (returned(lambda share, low, high: (low, share, high)), "stands in the middle"),
    (returned(lambda share, low, high: (share, high, low)), "are swapped"),
    (returned(lambda share, low, high: share), "return 3 results"),
    (returned(lambda share, low, high: (share, [low], [high])), "one number each"),
    ((gain(draw=own_stream),), "two calls with the same rng"),
    ((gain(draw=shuffled),), "with replacement"),
    ((gain(draw=seeded_anew),), "two different rngs"),
    ((lambda t, b, o, draws, rng: gain()(t, b, o, 3000, rng),), "one draw has one ratio"),
    ((gain(ends=(0.00025, 0.00975)),), "lies below the share"),
    ((gain(draw=unpaired),), "anew for each array"),
    ((fixed_gain,), "resample it too"),
    ((gain(of_draws=lambda t, b, o: ((t - b) / (o - b)).mean(-1)),), "you average ratios"),
    ((gain(ends=(0.05, 0.95)),), "holds 90%"),
    ((gain(ends=(0.005, 0.995)),), "holds 99%"),
    ((gain(ends=(0.159, 0.841)),), "68%"),
    ((gain(ends=(0.25, 0.75)),), "middle half"),
    ((gain(ends=(0, 1)),), "least and the largest"),
    ((gain(ends=(0.1, 0.8)),), "should run from about"),
    ((unguarded_gain,), "an oracle worse than the baseline leaves"),
    ((unguarded_at_zero,), "an oracle equal to the baseline leaves"),
    ((asserted_gain,), "yours stops with AssertionError"),
    ((normal_gain,), "a normal curve over the ratios"),
    ((reversed_gain,), "turn the quantiles round"),
]

# --- 05.6 an experiment ---------------------------------------------------------------------------------------------

READING = {
    "cold split hides": "music of some users",
    "map is fitted on": "visible users",
    "popularity counts": "visible users",
    "ridge is chosen by": "part of the visible",
    "falls below content only first": "products",
    "best with 20 shared users": "linear",
    "domain index changes": "length",
}
RIGHT["05.6"] = [(READING,), ({key: f" {value.title()}" for key, value in READING.items()},)]
WRONG["05.6"] = one_wrong(
    READING,
    [
        ("cold split hides", "some events", "nobody is new"),
        ("cold split hides", "last music event", "tests known users"),
        ("cold split hides", "all of some users", "carried over"),
        ("cold split hides", "books of some users", "transfer from"),
        ("map is fitted on", "all users", "has seen the answers"),
        ("map is fitted on", "hidden users", "is the answer"),
        ("map is fitted on", "books alone", "both ends"),
        ("popularity counts", "all users", "is a leak too"),
        ("popularity counts", "hidden users", "made of the answers"),
        ("popularity counts", "books alone", "nothing about"),
        ("ridge is chosen by", "hidden users", "partly luck"),
        ("ridge is chosen by", "visible, as fitted", "least ridge"),
        ("falls below content only first", "linear", "but later"),
        ("falls below content only first", "neither", "left end"),
        ("falls below content only first", "both at once", "still above"),
        ("best with 20 shared users", "products", "by heart"),
        ("best with 20 shared users", "content only", "above it already"),
        ("domain index changes", "order", "same factor"),
        ("domain index changes", "direction", "pointed"),
        ("domain index changes", "both", "overtakes"),
        ("domain index changes", "nothing", "almost"),
        ("domain index changes", "much", "choose one of both, direction, length, nothing, order"),
    ],
)
