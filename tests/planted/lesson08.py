"""Planted answers to the exercises of lesson 08."""

import numpy as np

from planted.common import Tensor, one_wrong, softmax

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 08.1 a score and its reasons -----------------------------------------------------------------------------------


def standard(parts, ddof=0):
    return (parts - parts.mean(0)) / np.where(parts.max(0) == parts.min(0), np.inf, parts.std(0, ddof=ddof))


def contributions(parts, gate, scale=standard, weigh=softmax):
    each = scale(parts) * weigh(gate)
    return each.sum(1), each


def contributions_with_loops(parts, gate):
    powers = [np.exp(logit - max(gate)) for logit in gate]
    columns = []
    for column, power in zip(parts.T.tolist(), powers, strict=True):
        mean = sum(column) / len(column)
        spread = (sum((x - mean) ** 2 for x in column) / len(column)) ** 0.5
        columns.append([(x - mean) / spread * power / sum(powers) if spread > 1e-9 else 0.0 for x in column])
    rows = list(zip(*columns, strict=True))
    return [sum(row) for row in rows], rows


def contributions_in_float32(parts, gate):
    parts = parts.astype("float32")
    middle = parts - parts.mean(0)
    each = middle / np.where(np.ptp(parts, axis=0) == 0, 1, parts.std(0)) * softmax(gate.astype("float32"))
    return [Tensor(each @ np.ones(len(gate))), Tensor(each)]


def scaled(scale):
    return (lambda parts, gate: contributions(parts, gate, scale=scale),)


def weighted(weigh):
    return (lambda parts, gate: contributions(parts, gate, weigh=weigh),)


def scored(score):
    """The right contributions, and scores made of (contributions, parts, gate)."""

    def answer(parts, gate):
        each = contributions(parts, gate)[1]
        return score(each, parts, gate), each

    return (answer,)


def told(change):
    """The right scores, and contributions changed."""

    def answer(parts, gate):
        scores, each = contributions(parts, gate)
        return scores, change(each)

    return (answer,)


def constant(parts):
    return parts.max(0) == parts.min(0)


def renormalised(parts, gate):
    moving = ~constant(parts)
    weights = softmax(np.where(moving, gate, -np.inf))
    return (standard(parts) * weights).sum(1), standard(parts) * weights


def without_constant(parts, gate):
    scores, each = contributions(parts, gate)
    return scores, each[:, ~constant(parts)]


RIGHT["08.1"] = [(contributions,), (contributions_with_loops,), (contributions_in_float32,)]
WRONG["08.1"] = [
    (scaled(lambda p: p), "you weigh raw scores"),
    (scaled(lambda p: standard(p.T).T), "standardise over the parts"),
    (scaled(lambda p: (p - p.mean()) / p.std()), "for the whole table"),
    (scaled(lambda p: p - p.mean(0)), "the spreads are not"),
    (scaled(lambda p: p / p.std(0)), "but keep the mean"),
    (scaled(lambda p: p / p.max(0)), "each part's maximum"),
    (scaled(lambda p: (p - p.min(0)) / (p.max(0) - p.min(0))), "stretch each part"),
    (scaled(lambda p: (p - p.mean(0)) / p.var(0)), "by the variance"),
    (scaled(lambda p: standard(p, ddof=1)), "divide by n - 1"),
    (scaled(lambda p: p.argsort(0).argsort(0)), "you took ranks"),
    (scaled(lambda p: p.argsort(0).argsort(0) / (len(p) - 1)), "ranks and rescaled"),
    (scaled(lambda p: -standard(p)), "is expected"),
    (weighted(lambda g: g), "gate is not softmaxed"),
    (weighted(lambda g: np.exp(g)), "nothing divides them"),
    (weighted(lambda g: g / g.sum()), "divide the logits"),
    (weighted(lambda g: 1 / (1 + np.exp(-g))), "sigmoid"),
    (weighted(lambda g: g**0), "contributions are not weighted"),
    (weighted(lambda g: g**0 / len(g)), "the gate makes no difference"),
    (weighted(lambda g: np.eye(len(g))[g.argmax()]), "only the strongest"),
    (weighted(lambda g: softmax(-g)), "upside down"),
    (weighted(lambda g: np.exp(g) / np.exp(g).sum()), "large logits overflow"),
    ((lambda parts, gate: contributions(parts, gate)[::-1],), "swapped"),
    ((lambda parts, gate: contributions(parts, gate)[1],), "return two arrays"),
    ((lambda parts, gate: (contributions(parts, gate)[0], parts),), "these are the raw scores"),
    (told(lambda each: each / each.sum(1, keepdims=True)), "shares of the score"),
    (told(np.abs), "drop the sign"),
    (told(lambda each: each[:, :1]), "should have shape (5, 3)"),
    (scored(lambda each, parts, gate: each.mean(1)), "is the mean of its contributions"),
    (scored(lambda each, parts, gate: each.sum(0)), "over the candidates: a score"),
    (scored(lambda each, parts, gate: parts @ softmax(gate)), "made of raw parts"),
    (scored(lambda each, parts, gate: standard(parts).sum(1)), "without their weights"),
    (scaled(lambda p: (p - p.mean(0)) / p.std(0)), "makes 0 by 0"),
    (scaled(lambda p: (p - p.mean(0)) / np.where(p.std(0) == 0, 1, p.std(0))), "by rounding"),
    (scaled(lambda p: np.where(constant(p), p, standard(p))), "keeps its raw value"),
    (scaled(lambda p: np.where(constant(p), 1, standard(p))), "counts 1 with you"),
    ((renormalised,), "weight out among the others"),
    ((without_constant,), "is left out"),
    (scaled(lambda p: (p - p.mean(0)) / (p.std(0) + 1e-6)), "a small number to the deviation"),
    (scaled(lambda p: standard(p) * ~np.isclose(p.std(0), 0)), "passes for constant"),
    (weighted(lambda g: np.exp(g - g.mean()) / np.exp(g - g.mean()).sum()), "take off the mean, and"),
    (weighted(lambda g: np.exp(g - np.median(g)) / np.exp(g - np.median(g)).sum()), "take off the median, and"),
]

# --- 08.2 two stages ------------------------------------------------------------------------------------------------


def hidden(fast, seen, value=-np.inf):
    reach = np.array(fast, dtype=float)
    reach[seen] = value
    return reach


def best(scores, n):
    return np.argsort(-np.asarray(scores, dtype=float))[:n]


def two_stage(fast, slow, seen, n, k):
    candidates = best(hidden(fast, seen), n)
    return candidates[best(slow[candidates], k)]


def two_stage_with_loops(fast, slow, seen, n, k):
    known = set(seen.tolist())
    candidates = sorted((i for i in range(len(fast)) if i not in known), key=lambda i: -fast[i])[:n]
    return sorted(candidates, key=lambda i: -slow[i])[:k]


def two_stage_by_partition(fast, slow, seen, n, k):
    open_items = np.setdiff1d(np.arange(len(fast)), seen)
    candidates = open_items[np.argpartition(fast[open_items], len(open_items) - n)[len(open_items) - n :]]
    last = np.full(len(fast), -np.inf)
    last[candidates] = slow[candidates]
    return Tensor(np.argsort(last)[::-1][:k].astype("float32"))


def hits(fast, targets, seen, n):
    return np.array([t in best(hidden(f, s), n) for f, t, s in zip(fast, targets, seen, strict=True)])


def recall(fast, targets, seen, n):
    return hits(fast, targets, seen, n).mean()


def recall_by_ranks(fast, targets, seen, n):
    found = 0
    for row, target, items in zip(fast, targets, seen, strict=True):
        above = set(np.flatnonzero(row > row[target]).tolist()) - set(items.tolist())
        found += len(above) < n
    return Tensor(np.float32(found / len(fast)))


def staged(answer):
    return answer, recall


def reranked(choose):
    """The right order of candidates chosen from (fast, seen, n)."""

    def answer(fast, slow, seen, n, k):
        candidates = choose(fast, seen, n)
        return candidates[best(slow[candidates], k)]

    return staged(answer)


def ordered(order):
    """The right candidates in the order of order(candidates, fast, slow, k)."""
    return staged(lambda fast, slow, seen, n, k: order(best(hidden(fast, seen), n), fast, slow, k))


def recalled(answer):
    return two_stage, answer


def chosen_first(fast, seen, n):
    candidates = best(fast, n)
    return candidates[~np.isin(candidates, seen)]


def masked_by_anybody(fast, targets, seen, n):
    everybody = np.unique(np.concatenate(seen))
    return recall(fast, targets, [everybody[everybody != t] for t in targets], n)


def masked_by(value):
    def found(fast, targets, seen, n):
        reach = [hidden(row, known, value) for row, known in zip(fast, seen, strict=True)]
        return np.mean([(row > row[t]).sum() < n for row, t in zip(reach, targets, strict=True)])

    return found


RIGHT["08.2"] = [
    (two_stage, recall),
    (two_stage_with_loops, recall_by_ranks),
    (two_stage_by_partition, recall),
]
WRONG["08.2"] = [
    (reranked(lambda f, s, n: best(f, n)), "seen items are in the race"),
    (reranked(chosen_first), "mask after choosing"),
    (reranked(lambda f, s, n: best(hidden(-f, s), n)), "stage 1 takes the lowest"),
    (reranked(lambda f, s, n: best(hidden(f, s, 0), n)), "beats every negative score"),
    (ordered(lambda c, f, s, k: c[:k]), "ranked by `fast`"),
    (ordered(lambda c, f, s, k: c[best(-s[c], k)]), "stage 2 puts the worst first"),
    (ordered(lambda c, f, s, k: c[best(s[c], k)][::-1]), "the best last"),
    (ordered(lambda c, f, s, k: best(s[c], k)), "places among the candidates"),
    (ordered(lambda c, f, s, k: c[best(s[c], len(c))]), "should have shape (5,)"),
    (ordered(lambda c, f, s, k: c[best(s[c], k)] + 1), "count from 1"),
    (ordered(lambda c, f, s, k: s[c[best(s[c], k)]]), "these are scores"),
    (ordered(lambda c, f, s, k: c[best((f + s)[c], k)]), "the sum of both"),
    (ordered(lambda c, f, s, k: c[best((f * s)[c], k)]), "the product of both"),
    (staged(lambda f, s, seen, n, k: best(hidden(s, seen), k)), "`slow` sees all items: it"),
    (staged(lambda f, s, seen, n, k: best(s, k)), "even those seen"),
    (staged(lambda f, s, seen, n, k: two_stage(f, s, seen, k, n)), "only k candidates come"),
    (recalled(lambda f, t, s, n: recall(f, t, [[]] * len(t), n)), "lets seen items take places"),
    (recalled(masked_by_anybody), "what anybody has seen"),
    (recalled(lambda *given: hits(*given).sum()), "that counts the users"),
    (recalled(lambda *given: 100 * recall(*given)), "in per cent"),
    (recalled(lambda *given: recall(*given) / given[3]), "the precision"),
    (recalled(lambda *given: 1 - recall(*given)), "stage 1 loses: recall"),
    (recalled(lambda f, t, s, n: recall(-f, t, [[]] * len(t), n)), "the n lowest scores"),
    (recalled(lambda f, t, s, n: recall(f, t, s, n + 1)), "n + 1 candidates"),
    (recalled(hits), "should have shape ()"),
    (recalled(lambda *given: recall(*given) ** 2), "the candidate recall: "),
    (reranked(lambda f, s, n: best(hidden(f, s, -99), n)), "masked items come first"),
    (reranked(lambda f, s, n: best(hidden(f, s, f.min()), n)), "ties with the last unseen one"),
    (recalled(masked_by(-5)), "a score that lower ones do not reach"),
    (
        staged(lambda f, s, seen, n, k: two_stage(f, s, seen, min(n, len(f) - len(seen) - 1), k)),
        "should have shape (6,)",
    ),
]

# --- 08.3 a new film ------------------------------------------------------------------------------------------------


def cosine_of(text, texts):
    length = np.linalg.norm(texts, axis=1) * np.linalg.norm(text)
    return texts @ text / np.where(length == 0, 1, length)


def placed(vectors, closeness, weights, n):
    near = np.argsort(-closeness)[:n]
    weights = np.maximum(weights, 0)[near]
    return weights @ vectors[near] / weights.sum() if weights.sum() else 0 * vectors[0]


def cold(text, texts, vectors, neighbours):
    cosine = cosine_of(text, texts)
    return placed(vectors, cosine, cosine, neighbours)


def cold_with_loops(text, texts, vectors, neighbours):
    found = []
    for row, vector in zip(texts, vectors, strict=True):
        length = sum(x * x for x in row) ** 0.5  # that of the new text is the same for all
        found.append((max(row @ text / length, 0) if length else 0, vector.tolist()))
    found = sorted(found, key=lambda pair: -pair[0])[:neighbours]
    total = sum(weight for weight, _ in found) or 1
    return [sum(weight * vector[i] for weight, vector in found) / total for i in range(vectors.shape[1])]


def cold_in_float32(text, texts, vectors, neighbours):
    text, texts, vectors = (part.astype("float32") for part in (text, texts, vectors))
    weights = np.maximum(texts / np.maximum(np.linalg.norm(texts, axis=1, keepdims=True), 1e-9) @ text, 0)
    weights[np.argsort(-weights)[neighbours:]] = 0
    return Tensor(weights @ vectors / max(weights.sum(), np.float32(1e-9)))


def near_by(closeness):
    """Nearest by closeness(text, texts, vectors), weighed by the cosine."""
    return (lambda t, ts, v, n: placed(v, closeness(t, ts, v), cosine_of(t, ts), n),)


def weights_by(weights):
    """The right neighbours, weighed by weights(cosine)."""
    return (lambda t, ts, v, n: placed(v, cosine_of(t, ts), weights(cosine_of(t, ts)), n),)


def of_near(make):
    """Made of the cosines and vectors of the right neighbours, and of their number."""

    def answer(text, texts, vectors, n):
        cosine = cosine_of(text, texts)
        near = np.argsort(-cosine)[:n]
        return make(cosine[near], vectors[near], n) if (cosine > 0).any() else 0 * vectors[0]

    return (answer,)


def positive(c):
    return np.maximum(c, 0)


def unguarded(text, texts, vectors, n):
    cosine = texts @ text / (np.linalg.norm(texts, axis=1) * np.linalg.norm(text))
    near = np.argsort(-cosine)[:n]
    weights = positive(cosine)[near]
    return weights @ vectors[near] / weights.sum() if np.isfinite(weights).all() else np.full(len(vectors[0]), np.nan)


def never_zero(nothing, least=0):
    """Right, but for a film that is like no other; told apart by its text if `least` is above 0."""

    def answer(text, texts, vectors, n):
        empty = (cosine_of(text, texts) <= 0).all() and np.linalg.norm(text) >= least
        return nothing(vectors) if empty else cold(text, texts, vectors, n)

    return (answer,)


def blank(nothing):
    return (lambda t, ts, v, n: cold(t, ts, v, n) if t.any() else nothing(v),)


def nan(vectors):
    return np.full(vectors.shape[1], np.nan)


def sum_of_zero(text, texts, vectors, n):
    cosine = np.where((texts.sum(1) == 0) | (text.sum() == 0), 0, cosine_of(text, texts))
    return placed(vectors, cosine, cosine, n)


def raised(text, texts, vectors, n):
    cosine = texts @ text / (np.linalg.norm(texts, axis=1) * np.linalg.norm(text) + 1e-6)
    return placed(vectors, cosine, cosine, n)


RIGHT["08.3"] = [(cold,), (cold_with_loops,), (cold_in_float32,)]
WRONG["08.3"] = [
    ((lambda t, ts, v, n: placed(v, ts @ t, ts @ t, n),), "compare by dot product"),
    (near_by(lambda t, ts, v: ts @ t), "chosen by dot product"),
    ((lambda t, ts, v, n: placed(v, cosine_of(t, ts), ts @ t, n),), "weigh by dot products"),
    (weights_by(lambda c: c**0), "all neighbours weigh the same"),
    (weights_by(np.exp), "by a softmax"),
    (weights_by(lambda c: 1 - c), "the distance 1 - cosine"),
    (weights_by(np.square), "square the cosines"),
    (weights_by(lambda c: (1 + c) / 2), "move cosines"),
    (weights_by(np.abs), "drop the cosine's sign"),
    ((lambda t, ts, v, n: placed(v, *[np.abs(cosine_of(t, ts))] * 2, n),), "points away for a near one"),
    (near_by(lambda t, ts, v: -cosine_of(t, ts)), "the farthest films"),
    (near_by(lambda t, ts, v: -np.linalg.norm(ts - t, axis=1)), "chosen by distance"),
    ((lambda t, ts, v, n: cold(t, ts, v, len(ts)),), "every film is asked"),
    (
        (lambda t, ts, v, n: placed(v, *[np.where((c := cosine_of(t, ts)) < c.max(), c, -9)] * 2, n),),
        "skip the nearest film",
    ),
    (of_near(lambda c, v, n: c @ v / c.sum()), "negative cosines weigh"),
    (of_near(lambda c, v, n: positive(c) @ v), "not divided by their sum"),
    (of_near(lambda c, v, n: positive(c) @ v / n), "divide by the number of films"),
    (of_near(lambda c, v, n: v[0]), "only the nearest film speaks"),
    (of_near(lambda c, v, n: positive(c)[:, None] * v), "now add up over the films"),
    (of_near(lambda c, v, n: (w := positive(c) @ v / positive(c).sum()) / np.linalg.norm(w)), "its length 1"),
    ((lambda t, ts, v, n: cold(t, ts, ts, n),), "you mix texts"),
    ((lambda t, ts, v, n: 2 * cold(t, ts, v, n),), "is expected"),
    (
        (lambda t, ts, v, n: cold(t, v, v, n) if ts.shape == v.shape else cold(t, ts, v, n),),
        "compare a text with vectors",
    ),
    (
        near_by(lambda t, ts, v: cosine_of(t, v if ts.shape == v.shape else ts)),
        "chosen by vectors",
    ),
    ((unguarded,), "a film without a text"),
    (never_zero(nan, 1), "a text that is like no other leaves weights of 0"),
    (never_zero(lambda v: v.mean(0), 1), "a text that is like no other says nothing"),
    (blank(nan), "no text at all leaves weights of 0"),
    (blank(lambda v: v.mean(0)), "no text at all says nothing"),
    ((sum_of_zero,), "sum to 0 is not blank"),
    ((raised,), "a small number to the lengths"),
]

# --- 08.4 the report ------------------------------------------------------------------------------------------------

REPORT = {
    "question": "Does forgetting faster help users with long histories?",
    "change": "fade .4 instead of .6",
    "protocol": "leave one out, fade chosen on validation, test once",
    "model value": 0.0842,
    "baseline value": 0.0792,
    "gain": (0.005, -0.0036, 0.0132),
    "seeds": [1, 2, 3],
    "conclusion": "no difference shown",
}
IN_CHINESE = {
    **REPORT,
    "question": "遗忘得快一些，对历史很长的用户有帮助吗？",
    "change": "衰减系数由 .6 改为 .4",
    "protocol": "留一法，衰减系数在验证集上选定，测试集只用一次，只有一个种子",
    "seeds": [7],
}
BETTER = {**REPORT, "gain": [0.005, 0.001, 0.009], "conclusion": "better"}
WORSE = {**REPORT, "model value": 0.0742, "gain": (-0.005, -0.009, -0.001), "conclusion": "Worse "}


def filled(**changes):
    return ({**REPORT, **{key.replace("_", " "): value for key, value in changes.items()}},)


RIGHT["08.4"] = [
    (REPORT,),
    (BETTER,),
    (WORSE,),
    (IN_CHINESE,),
    filled(seeds="nothing random", gain=np.array(REPORT["gain"])),
    filled(seeds=np.arange(5), model_value=np.float32(0.0842), gain=(0.00504, -0.0036, 0.0132)),
    filled(seeds=[7], protocol="leave one out, one seed, test once"),
    filled(model_value=0.0792, gain=(0, 0, 0)),
    filled(model_value=Tensor(np.float32(0.0842)), gain=[Tensor(np.float32(x)) for x in REPORT["gain"]]),
    filled(seeds=[7], protocol="leave one out, all unseen, one random seed"),
    filled(seeds=[7], protocol="leave one out, test once; a single seed"),
    filled(seeds=[7], protocol="leave one out, test once; seed 7 only"),
    filled(seeds=[7], protocol="leave one out, test once; number of seeds: one"),
    filled(seeds=[7], protocol="留一法，测试集只用一次，种子只有 1 个"),
]
WRONG["08.4"] = [
    (([REPORT],), "should be a dict"),
    *one_wrong(
        REPORT,
        [
            ("question", "", "'question' is blank"),
            ("question", 3, "told in words"),
            ("question", "is it better?", "is too short"),
            ("question", "my model is better than the course's", "asks nothing"),
            ("change", " ", "'change' is blank"),
            ("change", REPORT["question"].upper(), "repeats the question"),
            ("protocol", "\n", "'protocol' is blank"),
            ("protocol", "as usual", "'protocol' = 'as usual' is too short"),
            ("model value", "8.4%", "should be a number; you gave '8.4%'"),
            ("model value", float("nan"), "you gave nan"),
            ("model value", 8.42, "not per cent"),
            ("baseline value", -0.1, "no share is below 0"),
            ("gain", 0.005, "three numbers"),
            ("gain", (0.005, -0.0036, (0.0132,)), "you gave (0.0132,)"),
            ("gain", (0.005, -0.0036, "0.0132"), "each part of 'gain'"),
            ("gain", (-0.005, -0.0132, 0.0036), "the wrong sign"),
            ("gain", (0.5, -0.36, 1.32), "the gain is in per cent"),
            ("gain", (0.0631, -0.045, 0.167), "relative to the baseline"),
            ("gain", (0.0842, 0.07, 0.1), "the model's own value"),
            ("gain", (0.02, -0.0036, 0.0232), "0.0842 - 0.0792 is 0.0050, you say 0.02"),
            ("gain", (0.005, 0.0132, -0.0036), "the wrong way round"),
            ("gain", (0.005, 0.005, 0.005), "has no width"),
            ("gain", (0.005, 0.07, 0.1), "of the model's value: give"),
            ("gain", (0.005, 0.006, 0.009), "does not hold the gain"),
            ("gain", (0.005, -0.01, 0.01), "lies around 0: give the gain minus"),
            ("seeds", 3, "not how many there were"),
            ("seeds", "three", "lists what you ran"),
            ("seeds", [7, 7, 7], "listed more than once"),
            ("seeds", [], "'seeds' is empty"),
            ("seeds", [1.5, 2], "a whole number"),
            ("seeds", ["a", "b"], "each seed should be a number"),
            ("seeds", [7], "tell luck from gain"),
            ("conclusion", "better", "'better' is more than the interval"),
            ("conclusion", "worse", "'worse' is more than the interval"),
            ("conclusion", "equal", "choose one of"),
        ],
    ),
    (({**IN_CHINESE, "question": "更好吗？"},), "'更好吗？' is too short"),
    (({**BETTER, "conclusion": "no difference shown"},), "say 'better'"),
    (({**BETTER, "conclusion": "worse"},), "'worse' contradicts"),
    (({**WORSE, "conclusion": "no difference shown"},), "say 'worse'"),
    (({**WORSE, "conclusion": "better"},), "'better' contradicts"),
    (
        ({**REPORT, "model value": 0.6, "baseline value": 0.1, "gain": (0.5, -1.0, 1.0)},),
        "the interval goes too far",
    ),
]
