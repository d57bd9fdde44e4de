"""Planted answers to the exercises of lesson 06."""

import numpy as np
from scipy.stats import rankdata

from planted.common import Tensor, one_wrong, softmax

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 06.1 mixture of experts ----------------------------------------------------------------------------------------


def mixed(weights, outputs):
    return np.einsum("be,bew->bw", weights, outputs)  # also a row of x times a kernel of its own


def mixture(outputs, gates, scenario):
    return mixed(softmax(gates[scenario]), outputs)


def mixture_with_loops(outputs, gates, scenario):
    table = softmax(gates).tolist()
    return [
        sum(w * expert for w, expert in zip(table[s], row, strict=True))
        for s, row in zip(scenario, outputs, strict=True)
    ]


def mixture_by_scenario(outputs, gates, scenario):
    made = np.zeros((outputs.shape[0], outputs.shape[2]), dtype="float32")
    for s, weights in enumerate(softmax(gates.astype("float32"))):
        made[scenario == s] = weights @ outputs[scenario == s].astype("float32")
    return Tensor(made)


def mixture_by_one_hot(outputs, gates, scenario):
    chosen = np.eye(len(gates))[scenario] @ gates
    return (softmax(chosen)[:, None, :] @ outputs)[:, 0]


def gated(weights):
    """A mixture with weights made of (gates, scenario)."""
    return (lambda outputs, gates, scenario: mixed(weights(gates, scenario), outputs),)


def summed(last):
    """The right weights, and something else than their weighted sum."""
    return (lambda outputs, gates, scenario: last(softmax(gates[scenario]), outputs),)


def by_sum(powers):
    return powers / powers.sum(-1, keepdims=True)


def once_unweighted(outputs, gates, scenario):
    """On one data set it gives what a mistake would, on the others what is right: that names no mistake."""
    return outputs.sum(1) if len(outputs) == 1 else mixture(outputs, gates, scenario)


RIGHT["06.1"] = [(mixture,), (mixture_with_loops,), (mixture_by_scenario,), (mixture_by_one_hot,)]
WRONG["06.1"] = [
    (gated(lambda g, s: softmax(g, axis=0)[s]), "sum to 1 across scenarios"),
    (gated(lambda g, s: softmax(g, axis=None)[s]), "whole gate table"),
    (gated(lambda g, s: softmax(g[s], axis=0)), "over the batch"),
    (gated(lambda g, s: softmax(g[s], axis=None)), "over all rows together"),
    (gated(lambda g, s: g[s]), "there is no softmax"),
    (gated(lambda g, s: np.exp(g[s])), "nothing divides them"),
    (gated(lambda g, s: by_sum(g[s])), "divides their exponentials"),
    (gated(lambda g, s: 1 / (1 + np.exp(-g[s]))), "do not compete"),
    (gated(lambda g, s: np.eye(g.shape[1])[g[s].argmax(1)]), "only the best expert"),
    (gated(lambda g, s: softmax(g[0 * s])), "to scenario 0"),
    (gated(lambda g, s: softmax(g[0 * s + s[0]])), "the first row's scenario"),
    (gated(lambda g, s: softmax(g[s - 1])), "scenario before its own"),
    (gated(lambda g, s: softmax(g[: len(s)])), "row i gets"),
    (gated(lambda g, s: softmax(g[0 * s] * 0 + g.mean(0))), "one gate for all"),
    (summed(lambda w, outputs: outputs.sum(1)), "added up without weights"),
    (summed(lambda w, outputs: outputs.mean(1)), "every expert weighs the same"),
    (summed(lambda w, outputs: w[:, :, None] * outputs), "now add up"),
    (summed(lambda w, outputs: (w[:, :, None] * outputs).mean(1)), "weighted already"),
    (summed(lambda w, outputs: (w[:, :, None] * outputs).sum(2)), "over the width, and one number"),
    (summed(lambda w, outputs: (w[:, None, :] * outputs).sum(1)), "lie along the width"),
    (summed(lambda w, outputs: w @ outputs[0]), "the mixture: "),
    (gated(lambda g, s: by_sum(np.exp(g[s]))), "large logits overflow"),
    (gated(lambda g, s: by_sum(np.exp(g[s] - g[s].max()))), "one maximum for all rows"),
    (gated(lambda g, s: by_sum(np.exp(g[s] - g[s].min(1, keepdims=True)))), "take off the minimum"),
    (gated(lambda g, s: by_sum(np.exp(g[s] - g[s].mean(1, keepdims=True)))), "take off the mean"),
    (gated(lambda g, s: by_sum(np.exp(g[s] - np.median(g[s], 1, keepdims=True)))), "take off the median"),
    (gated(lambda g, s: by_sum(np.exp(np.clip(g[s], -700, 700)))), "the mixture with logits near 1000: "),
    ((once_unweighted,), "the mixture: "),
]

# --- 06.2 star topology ---------------------------------------------------------------------------------------------


def star(x, K, b, kernels, biases, s):
    return (x[:, None, :] @ (K * kernels[s]))[:, 0] + b + biases[s]


def star_with_loops(x, K, b, kernels, biases, s):
    return [list(row @ (K * kernels[i]) + b + biases[i]) for row, i in zip(x, s, strict=True)]


def star_by_scenario(x, K, b, kernels, biases, s):
    made = np.empty((len(x), K.shape[1]), dtype="float32")
    for i in np.unique(s):
        made[s == i] = x[s == i] @ (K * kernels[i]) + (b + biases[i])
    return Tensor(made)


def star_of_all(x, K, b, kernels, biases, s):
    everywhere = np.einsum("bi,io,sio->bso", x, K, kernels) + biases + b
    return np.take_along_axis(everywhere, s[:, None, None], axis=1)[:, 0]


def kernel(make):
    """A star whose kernels, (batch, in, out), are made of (K, kernels, s)."""
    return (lambda x, K, b, kernels, biases, s: mixed(x, make(K, kernels, s)) + b + biases[s],)


def biased(make):
    """A star whose bias, (batch, out), is made of (b, biases, s)."""
    return (lambda x, K, b, kernels, biases, s: mixed(x, K * kernels[s]) + make(b, biases, s),)


RIGHT["06.2"] = [(star,), (star_with_loops,), (star_by_scenario,), (star_of_all,)]
WRONG["06.2"] = [
    (kernel(lambda K, own, s: K + own[s]), "kernels are added"),
    (kernel(lambda K, own, s: K[None].repeat(len(s), 0)), "scenario's kernel makes no difference"),
    (kernel(lambda K, own, s: own[s]), "left to itself"),
    (kernel(lambda K, own, s: K * (1 + own[s])), "add 1"),
    (kernel(lambda K, own, s: K ** own[s]), "to the power"),
    (kernel(lambda K, own, s: K * own.mean(0) * np.ones((len(s), 1, 1))), "average the scenarios' kernels"),
    (kernel(lambda K, own, s: own[s] @ K), "the scenario's kernel first"),
    ((lambda x, K, b, own, biases, s: mixed(x @ K, own[s]) + b + biases[s],), "one layer after the other"),
    (kernel(lambda K, own, s: np.swapaxes(K * own[s], 1, 2)), "transposed"),
    (kernel(lambda K, own, s: K * own[0 * s]), "to scenario 0"),
    (kernel(lambda K, own, s: K * own[s[0]] * np.ones((len(s), 1, 1))), "the first row's scenario"),
    (kernel(lambda K, own, s: K * own[s - 1]), "scenario before its own"),
    (kernel(lambda K, own, s: K * own[np.arange(len(s)) % len(own)]), "row i gets"),
    ((lambda x, K, b, own, biases, s: (x @ K + b) * (mixed(x, own[s]) + biases[s]),), "multiply two outputs"),
    ((lambda x, K, b, own, biases, s: np.einsum("bi,sio->bso", x, K * own) + b + biases,), "for every scenario"),
    ((lambda *given: np.maximum(star(*given), 0),), "no activation"),
    (biased(lambda b, biases, s: 0), "both biases"),
    (biased(lambda b, biases, s: b), "scenario's bias is forgotten"),
    (biased(lambda b, biases, s: biases[s]), "shared bias is forgotten"),
    (biased(lambda b, biases, s: b * biases[s]), "biases are multiplied"),
    (biased(lambda b, biases, s: b + biases[0]), "adds the bias of scenario 0"),
    (biased(lambda b, biases, s: b + biases.mean(0)), "average the scenarios' biases"),
    (biased(lambda b, biases, s: b - biases[s]), "the output with biases: "),
    ((lambda x, K, b, own, biases, s: mixed(x, own[s] * K) + b * mixed(x, own[s]) + biases[s],), "scale the shared"),
]

# --- 06.3 attention over experts ------------------------------------------------------------------------------------


def scored(query, keys):
    return query @ keys.T / np.sqrt(keys.shape[1])


def attend(query, keys, values):
    weights = softmax(scored(query, keys))
    return mixed(weights, values), weights


def attend_with_loops(query, keys, values):
    outputs, weights = [], []
    for q, experts in zip(query, values, strict=True):
        scores = np.array([q @ key / len(key) ** 0.5 for key in keys])
        weights.append(softmax(scores).tolist())
        outputs.append(sum(w * expert for w, expert in zip(weights[-1], experts, strict=True)))
    return outputs, weights


def attend_in_float32(query, keys, values):
    query, keys, values = (part.astype("float32") for part in (query, keys, values))
    weights = softmax(query * np.float32(keys.shape[1] ** -0.5) @ keys.T)
    return [Tensor((weights[:, None, :] @ values)[:, 0]), Tensor(weights)]


def weighing(make):
    """Attention with weights made of (query, keys)."""

    def attend(query, keys, values):
        weights = make(query, keys)
        return mixed(weights, values), weights

    return (attend,)


def mixing(make):
    """Attention with the right weights and outputs made of (weights, keys, values)."""
    return (lambda q, k, v: (make(attend(q, k, v)[1], k, v), attend(q, k, v)[1]),)


def lengths(x):
    return np.linalg.norm(x, axis=1, keepdims=True)


RIGHT["06.3"] = [(attend,), (attend_with_loops,), (attend_in_float32,)]
WRONG["06.3"] = [
    ((lambda *given: attend(*given)[::-1],), "swapped"),
    ((lambda *given: attend(*given)[0][0],), "the weights"),
    ((lambda *given: [attend(*given)],), "return two arrays"),
    (weighing(lambda q, k: softmax(q @ k.T)), "are not scaled"),
    (weighing(lambda q, k: softmax(q @ k.T / q.shape[1])), "you divide by d;"),
    (weighing(lambda q, k: softmax(q @ k.T * q.shape[1] ** 0.5)), "multiply by sqrt(d)"),
    (weighing(lambda q, k: softmax(q @ k.T / len(k) ** 0.5)), "number of experts"),
    (weighing(lambda q, k: softmax(q @ k.T) / q.shape[1] ** 0.5), "after the softmax"),
    (weighing(lambda q, k: softmax(q / lengths(q) @ (k / lengths(k)).T)), "cosines"),
    (weighing(lambda q, k: softmax(scored(q, k), axis=0)), "over the batch"),
    (weighing(lambda q, k: softmax(scored(q, k), axis=None)), "over all rows together"),
    (weighing(scored), "there is no softmax"),
    (weighing(lambda q, k: np.exp(scored(q, k))), "nothing divides them"),
    (weighing(lambda q, k: by_sum(scored(q, k))), "divides their exponentials"),
    (weighing(lambda q, k: 1 / (1 + np.exp(-scored(q, k)))), "do not compete"),
    (weighing(lambda q, k: np.eye(len(k))[scored(q, k).argmax(1)]), "only the best expert"),
    (weighing(lambda q, k: q @ k.T), "neither scale nor softmax"),
    (weighing(lambda q, k: np.maximum(scored(q, k), 0)), "ReLU makes no shares"),
    (weighing(lambda q, k: softmax(scored(0 * q + q.mean(0), k))), "mean query"),
    (weighing(lambda q, k: softmax(scored(0 * q + q[0], k))), "first row asks for all"),
    (weighing(lambda q, k: np.full((len(q), len(k)), 1 / len(k))), "as in the article"),
    (weighing(lambda q, k: softmax(-scored(q, k))), "is expected"),
    (mixing(lambda w, k, v: w @ k), "mix the keys"),
    ((lambda q, k, v: (mixed(scored(q, k), v), attend(q, k, v)[1]),), "mix by the scores"),
    (mixing(lambda w, k, v: v.sum(1)), "added up without weights"),
    (mixing(lambda w, k, v: v.mean(1)), "the scenario has no say: use"),
    (mixing(lambda w, k, v: v[np.arange(len(v)), w.argmax(1)]), "value alone"),
    (mixing(lambda w, k, v: w[:, :, None] * v), "now add up"),
    (mixing(lambda w, k, v: (w[:, :, None] * v).mean(1)), "weighted already"),
    (mixing(lambda w, k, v: (w[:, :, None] * v).sum(2)), "over the width, and one number"),
    (mixing(lambda w, k, v: (w[:, None, :] * v).sum(1)), "lie along the width"),
    (mixing(lambda w, k, v: w @ v), "every row's values"),
    (mixing(lambda w, k, v: w @ v[0]), "first row's values"),
    (mixing(lambda w, k, v: np.maximum(mixed(w, v), 0)), "no ReLU"),
    (
        (lambda q, k, v: (np.maximum(np.hstack([q, v.reshape(len(q), -1)]), 0), attend(q, k, v)[1]),),
        "the article's fusion",
    ),
    (weighing(lambda q, k: by_sum(np.exp(scored(q, k)))), "large logits overflow"),
    (weighing(lambda q, k: by_sum(np.exp(scored(q, k) - scored(q, k).max()))), "one maximum for all rows"),
    (weighing(lambda q, k: by_sum(np.exp(scored(q, k) - scored(q, k).min(1)[:, None]))), "take off the minimum"),
    (weighing(lambda q, k: by_sum(np.exp(scored(q, k) - scored(q, k).mean(1)[:, None]))), "take off the mean"),
    (weighing(lambda q, k: by_sum(np.exp(scored(q, k) - np.median(scored(q, k), 1)[:, None]))), "take off the median"),
]

# --- 06.4 AUC by scenario -------------------------------------------------------------------------------------------


def auc(scores, labels, tie=0.5):
    gap = scores[labels == 1][:, None] - scores[labels == 0]
    return ((gap > 0) + tie * (gap == 0)).mean() if gap.size else np.nan


def auc_by_ranks(scores, labels, rank=rankdata):
    n, m = labels.sum(), (1 - labels).sum()
    return (rank(scores)[labels == 1].sum() - n * (n + 1) / 2) / (n * m) if n and m else float("nan")


def auc_with_loops(scores, labels):
    liked, not_liked = ([s for s, y in zip(scores, labels, strict=True) if y == wanted] for wanted in (1, 0))
    won = [(a > b) + (a == b) / 2 for a in liked for b in not_liked]
    return sum(won) / len(won) if won else float("nan")


def places(scores):
    return 1 + np.argsort(np.argsort(scores, kind="stable"))


def report(scores, labels, scenario, n, measure=auc, macro=np.nanmean, micro=None):
    per = np.array([measure(scores[scenario == s], labels[scenario == s]) for s in range(n)])
    return per, macro(per), (micro or measure)(scores, labels)


def reported(**parts):
    return (lambda *given: report(*given, **parts),)


def each(change):
    """Right, but for the array of AUCs."""
    return (lambda *given: (change(report(*given)[0]), *report(*given)[1:]),)


def averaged(weigh, place):
    """The macro (place 1) or micro (place 2) figure is an average of the AUCs, weighed by weigh(labels)."""

    def of_weights(scores, labels, scenario, n):
        made = list(report(scores, labels, scenario, n))
        weight = np.array([weigh(labels[scenario == s]) for s in range(n)])
        known = ~np.isnan(made[0])
        made[place] = np.average(made[0][known], weights=weight[known])
        return made

    return (of_weights,)


def against_all(scores, labels, scenario, n):
    everywhere = scores[labels == 0]
    gaps = [scores[(scenario == s) & (labels == 1)][:, None] - everywhere for s in range(n)]
    return [((gap > 0) + (gap == 0) / 2).mean() for gap in gaps], 0, 0


def pairs(labels):
    return labels.sum() * (1 - labels).sum()


def accuracy(scores, labels):
    return ((scores > 0.5) == labels).mean() if labels.size else np.nan


def auc_near(scores, labels):
    gap = scores[labels == 1][:, None] - scores[labels == 0]
    level = np.isclose(scores[labels == 1][:, None], scores[labels == 0])
    return np.where(level, 0.5, gap > 0).mean()


RIGHT["06.4"] = [
    (report,),
    reported(measure=auc_by_ranks),
    (lambda *given: [Tensor(np.float32(part)) for part in report(*given, measure=auc_with_loops)],),
]
WRONG["06.4"] = [
    (reported(measure=lambda s, y: auc(s, y, 0)), "a tie counts nothing"),
    (reported(measure=lambda s, y: auc(s, y, 1)), "a tie counts as won with you"),
    (reported(measure=lambda s, y: auc_by_ranks(s, y, places)), "you break ties"),
    (reported(measure=lambda s, y: auc(-s, y)), "the wrong order: the liked"),
    (reported(measure=lambda s, y: 2 * auc(s, y) - 1), "that is Gini"),
    (each(lambda per: np.nan_to_num(per)), "not even 0:"),
    (each(lambda per: np.nan_to_num(per, nan=0.5)), "not even 0.5:"),
    (each(lambda per: np.nan_to_num(per, nan=1)), "not even 1:"),
    (each(lambda per: per[~np.isnan(per)]), "is left out"),
    ((against_all,), "within its own rows"),
    (reported(measure=accuracy), "accuracy"),
    (each(lambda per: per**2), "the AUC of each scenario: "),
    (each(lambda per: dict(enumerate(per))), "should be numbers"),
    ((lambda *given: report(*given)[0],), "return three things"),
    ((lambda *given: [report(*given)[i] for i in (0, 2, 1)],), "which is the micro one"),
    (averaged(len, 1), "macro figure is weighted by the number of rows"),
    (averaged(pairs, 1), "macro figure is weighted by the number of pairs"),
    (reported(macro=np.mean), "macro figure NaN"),
    (reported(macro=lambda per: np.nan_to_num(per).mean()), "counts as 0 in"),
    (reported(macro=lambda per: np.nan_to_num(per, nan=0.5).mean()), "counts as .5 in"),
    (reported(macro=np.nanmedian), "the median"),
    (reported(macro=np.nanmax), "the macro AUC: "),
    (averaged(lambda labels: 1, 2), "your micro figure is the macro one"),
    (averaged(len, 2), "micro figure is a mean weighted by the number of rows"),
    (averaged(pairs, 2), "micro figure is a mean weighted by the number of pairs"),
    (reported(micro=lambda s, y: auc(-s, y)), "micro counts the pairs"),
    (reported(micro=lambda s, y: auc(s, y, 0)), "micro counts a tie as nothing"),
    (reported(micro=lambda s, y: auc(s, y, 1)), "micro counts a tie as won"),
    (reported(micro=lambda s, y: auc_by_ranks(s, y, places)), "micro breaks ties"),
    (reported(micro=accuracy), "the micro AUC: "),
    ((lambda scores, labels, scenario, n: report(scores, labels, scenario, scenario.max() + 1),), "have no rows here"),
    (reported(measure=lambda s, y: auc(np.round(s, 3), y)), "differ by little are ties with you"),
    (reported(micro=lambda s, y: auc_near(s, y)), "micro takes scores that differ by little"),
]

# --- 06.5 a new scenario --------------------------------------------------------------------------------------------


def shrink(counts, prior, strength):
    strength = max(strength, 1e-9)
    return (counts + strength * prior) / (counts.sum(-1, keepdims=True) + strength)


def shrink_by_weights(counts, prior, strength):
    counts = np.asarray(counts, dtype="float32")
    n = counts.sum(-1, keepdims=True)
    with np.errstate(all="ignore"):
        return Tensor(np.where(n > 0, n / (n + strength) * counts / n + strength / (n + strength) * prior, prior))


def shrink_with_loops(counts, prior, strength):
    if np.ndim(counts) == 2:
        return [shrink_with_loops(row, prior, strength) for row in counts]
    total = sum(counts) + strength
    return [float((c + strength * p) / total) if total else float(p) for c, p in zip(counts, prior, strict=True)]


def shrunk(make):
    """Shares made of (counts, prior, strength, n), and right where there is nothing to divide by."""

    def shares(counts, prior, strength):
        n = counts.sum(-1, keepdims=True)
        return make(counts, prior, strength, n) if strength else shrink(counts, prior, strength)

    return (shares,)


def own(counts, n):
    return counts / np.maximum(n, 1)


def unseen(filler):
    """Right, but for a scenario without events at strength 0."""

    def shares(counts, prior, strength):
        n = counts.sum(-1, keepdims=True)
        return np.where(n + strength > 0, shrink(counts, prior, strength), filler)

    return (shares,)


RIGHT["06.5"] = [(shrink,), (shrink_by_weights,), (shrink_with_loops,)]
WRONG["06.5"] = [
    (shrunk(lambda c, p, a, n: own(c, n)), "prior makes no difference"),
    (shrunk(lambda c, p, a, n: 0 * c + p), "own events make no difference"),
    (shrunk(lambda c, p, a, n: (c + a / len(p)) / (n + a)), "towards equal shares"),
    (shrunk(lambda c, p, a, n: (c + a) / (n + len(p) * a)), "to every count"),
    (shrunk(lambda c, p, a, n: (c + a) / (n + a)), "4 times and divide"),
    (shrunk(lambda c, p, a, n: (c + a * p) / (n + len(p) * a)), "n + 4 * strength"),
    (shrunk(lambda c, p, a, n: c + a * p), "these are counts"),
    (shrunk(lambda c, p, a, n: (c + a * p) / n), "seen events alone"),
    (shrunk(lambda c, p, a, n: (c + p) / (n + 1)), "one event in all"),
    (shrunk(lambda c, p, a, n: (c + p) / (n + a)), "prior once"),
    (shrunk(lambda c, p, a, n: (own(c, n) + p) / 2), "half own"),
    (shrunk(lambda c, p, a, n: np.where(n > a, own(c, n), p)), "you switch to"),
    (shrunk(lambda c, p, a, n: (own(c, n) + a * p) / (1 + a)), "weigh the shares by"),
    (shrunk(lambda c, p, a, n: (a * own(c, n) + n * p) / (n + a)), "weights are swapped"),
    (shrunk(lambda c, p, a, n: (c + a * p) / (c.sum() + a)), "events of all scenarios"),
    (shrunk(lambda c, p, a, n: (c + a * p) / (c + a * p).sum()), "together sum to 1"),
    (shrunk(lambda c, p, a, n: (c + a * p) / (c.sum(0) + a)), "runs over the scenarios, axis 0"),
    (shrunk(lambda c, p, a, n: (c + a * p) / (c + a * p).sum(0)), "your columns sum"),
    (shrunk(lambda c, p, a, n: (c + a * p - 1) / (n + a - len(p))), "the mode"),
    (shrunk(lambda c, p, a, n: c * p / (c * p).sum(-1, keepdims=True)), "multiply counts by"),
    (shrunk(lambda c, p, a, n: (c + a * p)[..., 1:] / (n + a)), "should have shape (3, 4)"),
    (unseen(np.nan), "0 by 0"),
    (unseen(0), "shares of 0"),
    (unseen(1 / 3), "gets equal shares"),
]

# --- 06.6 reading the table -----------------------------------------------------------------------------------------

TABLE = {
    "one each starves in": "cart",
    "one for all suffers negative transfer in": "search",
    "mixture above one each in home": "not shown",
    "may win by size alone": "star",
    "macro rises and micro falls from the mixture to": "star",
    "age group is no scenario because it is": "a trait",
}
RIGHT["06.6"] = [(TABLE,), ({key: f" {value.upper()} " for key, value in TABLE.items()},)]
WRONG["06.6"] = one_wrong(
    TABLE,
    [
        ("one each starves in", "home", "fed best"),
        ("one each starves in", "search", "the other question"),
        ("one each starves in", "evening", ".712 and .718, but"),
        ("one each starves in", "night", "choose one of cart, evening, home, search"),
        ("one for all suffers negative transfer in", "home", "what the one model learns"),
        ("one for all suffers negative transfer in", "evening", "a little above"),
        ("one for all suffers negative transfer in", "cart", "at its best"),
        ("mixture above one each in home", "real", "on the same events"),
        ("mixture above one each in home", "equal", "does not prove"),
        ("may win by size alone", "mixture", "by its shape"),
        ("may win by size alone", "one each", "4 times 10,000"),
        ("may win by size alone", "one for all", "measured by"),
        ("macro rises and micro falls from the mixture to", "one for all", ".708"),
        ("macro rises and micro falls from the mixture to", "one each", ".701"),
        ("macro rises and micro falls from the mixture to", "none", "it can happen"),
        ("age group is no scenario because it is", "private", "no matter of"),
        ("age group is no scenario because it is", "a number", "an hour for one"),
        ("age group is no scenario because it is", "useless", "between two events"),
    ],
)
