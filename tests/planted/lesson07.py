"""Planted answers to the exercises of lesson 07."""

import numpy as np
from scipy.stats import binom, hypergeom, rankdata
from sklearn.metrics import f1_score, ndcg_score, precision_recall_fscore_support

from planted.common import Tensor, one_wrong

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}

# --- 07.1 F1, macro and micro ---------------------------------------------------------------------------------------


def parts(y, p, n):
    """Hits, rows and predictions of each class."""
    return [np.bincount(x, minlength=n) for x in (y[y == p], y, p)]


def f1_scores(y, p, n):
    hits, rows, calls = parts(y, p, n)
    table = np.stack([hits / np.maximum(calls, 1), hits / np.maximum(rows, 1), 2 * hits / np.maximum(rows + calls, 1)])
    micro = 2 * hits.sum() / (rows.sum() + calls.sum())
    return {"accuracy": np.mean(y == p), "per class": table.T, "macro": table[2].mean(), "micro": micro}


def f1_with_loops(y, p, n):
    table, right = [], sum(int(a == b) for a, b in zip(y, p, strict=True))
    for c in range(n):
        hit = sum(a == b == c for a, b in zip(y, p, strict=True))
        precision, recall = hit / max(list(p).count(c), 1), hit / max(list(y).count(c), 1)
        table.append([precision, recall, 2 * precision * recall / (precision + recall) if hit else 0])
    share = right / len(y)
    return {"accuracy": share, "per class": table, "macro": sum(row[2] for row in table) / n, "micro": share}


def f1_of_sklearn(y, p, n):
    classes = {"labels": range(n), "zero_division": 0}
    table = Tensor(np.array(precision_recall_fscore_support(y, p, **classes)[:3], "float32").T)
    macro, micro = (f1_score(y, p, average=kind, **classes) for kind in ("macro", "micro"))
    return {"accuracy": Tensor((y == p).mean()), "per class": table, "macro": macro, "micro": micro}


def reporting(key, make):
    """The right report with one entry made of (report, y, p, n)."""

    def report(y, p, n):
        right = f1_scores(y, p, n)
        with np.errstate(all="ignore"):
            return right | {key: make(right, y, p, n)}

    return (report,)


def table(make):
    """The right report with a table made of (its columns, hits, rows, calls)."""
    return reporting("per class", lambda right, y, p, n: np.stack(make(*right["per class"].T, *parts(y, p, n)), axis=1))


def holes(p, r, f, h, rows, calls):
    return h / calls, h / rows, 2 * (h / calls) * (h / rows) / (h / calls + h / rows)


def filled(p, r, f, h, rows, calls):
    return np.where(calls, p, 1), np.where(rows, r, 1), f


def weighted(right, y, p, n):
    return np.average(right["per class"][:, 2], weights=np.bincount(y, minlength=n))


def of_means(right, *_):
    p, r, _ = right["per class"].mean(0)
    return 2 * p * r / (p + r)


RIGHT["07.1"] = [(f1_scores,), (f1_with_loops,), (f1_of_sklearn,)]
WRONG["07.1"] = [
    ((lambda y, p, n: {"accuracy": 1},), "'per class', 'macro', 'micro'"),
    (reporting("accuracy", lambda right, *_: 1 - right["accuracy"]), "error rate"),
    (reporting("accuracy", lambda right, y, p, n: (y == p).sum()), "number of hits"),
    (reporting("accuracy", lambda right, y, p, n: right["per class"][np.unique(y), 1].mean()), "counts rows, not"),
    (reporting("accuracy", lambda right, y, p, n: np.bincount(y).max() / len(y)), "the baseline"),
    (table(lambda p, r, f, *_: (r, p, f)), "swapped"),
    (reporting("per class", lambda right, *_: right["per class"].T), "transposed"),
    (reporting("per class", lambda right, *_: right["per class"][:, 2]), "F1 alone"),
    (reporting("per class", lambda right, y, p, n: right["per class"][np.unique(y)]), "left out of the table"),
    (table(holes), "gives you NaN"),
    (table(lambda p, r, *_: (p, r, 2 * p * r / (p + r))), "F1 is NaN where"),
    (table(filled), "full marks"),
    (table(lambda p, r, *_: (p, r, (p + r) / 2)), "arithmetic mean"),
    (table(lambda p, r, f, h, rows, calls: (p, r, h / np.maximum(rows + calls - h, 1))), "Jaccard"),
    (table(lambda p, r, f, h, rows, calls: (h / rows.sum(), r, f)), "precision divides by all rows"),
    (table(lambda p, r, f, h, rows, calls: (p, h / rows.sum(), f)), "recall divides by all rows"),
    (reporting("macro", weighted), "macro F1 is weighted"),
    (reporting("macro", lambda right, *_: right["micro"]), "macro F1 is the micro one"),
    (reporting("macro", lambda right, y, p, n: right["per class"][np.unique(y), 2].mean()), "false alarms for them"),
    (reporting("macro", lambda right, y, p, n: right["per class"][np.unique(p), 2].mean()), "never predicted: they"),
    (reporting("macro", lambda right, y, p, n: right["per class"][parts(y, p, n)[0] > 0, 2].mean()), "without a hit"),
    (reporting("macro", of_means), "mean precision and the mean recall"),
    (reporting("macro", lambda *_: np.nan), "macro F1 NaN"),
    (reporting("macro", lambda right, *_: right["per class"][:, 2].sum()), "you add up"),
    (reporting("micro", lambda right, *_: right["macro"]), "micro F1 is the macro one"),
    (reporting("micro", weighted), "weighted by class size"),
    (reporting("micro", lambda right, *_: right["micro"] / (2 - right["micro"])), "hits once: in"),
    (reporting("micro", lambda right, *_: right["per class"][1, 2]), "F1 of class 1"),
]

# --- 07.2 ranked lists ----------------------------------------------------------------------------------------------


def ranked_scores(ranked, wanted, k):
    hit = np.isin(ranked[:k], wanted)
    place = np.arange(1, len(hit) + 1)
    best = min(k, len(wanted))
    return {
        "recall": hit.sum() / len(wanted),
        "reciprocal rank": (hit / place).max(),
        "average precision": (hit * hit.cumsum() / place).sum() / best,
        "NDCG": (hit / np.log2(1 + place)).sum() / (1 / np.log2(np.arange(2, best + 2))).sum(),
    }


def ranked_with_loops(ranked, wanted, k):
    found = average = gain = first = 0
    for place, item in enumerate(list(ranked)[:k], start=1):
        if item in set(wanted.tolist()):
            found += 1
            first = first or 1 / place
            average += found / place
            gain += np.log(2) / np.log(1 + place)
    best = min(k, len(wanted))
    ideal = sum(np.log(2) / np.log(2 + i) for i in range(best))
    scores = found / len(wanted), first, average / best, gain / ideal
    return dict(zip(("recall", "reciprocal rank", "average precision", "NDCG"), map(Tensor, scores), strict=True))


def ranked_by_sklearn(ranked, wanted, k):
    everything = np.append(ranked, np.setdiff1d(wanted, ranked))
    everything = np.append(everything, np.full(max(k - len(everything), 0) + 1, -1))
    # an item behind all others has no place of its own in a short list: it goes behind k
    shown = list(everything[: min(k, len(ranked))]) + [-1] * max(k - len(ranked), 0)
    behind = [item for item in everything if item not in shown]
    places = -np.arange(len(shown) + len(behind), dtype=float)
    ndcg = ndcg_score([np.isin(shown + behind, wanted)], [places], k=k, ignore_ties=True)
    return ranked_scores(ranked, wanted, k) | {"NDCG": ndcg}


def listing(key, make):
    """The right scores with one made of (marks of the whole list, wanted, k)."""

    def score(ranked, wanted, k):
        with np.errstate(all="ignore"):
            return ranked_scores(ranked, wanted, k) | {key: make(np.isin(ranked, wanted) * 1.0, len(wanted), k)}

    return (score,)


def at(hit):
    return np.arange(1, len(hit) + 1)


def precision(hit):
    return hit.cumsum() / at(hit)


def by_place(hit):
    return hit / at(hit)


def dcg(hit, discount=lambda place: np.log2(1 + place)):
    return (hit / discount(at(hit))).sum()


def ideal(n, discount=lambda place: np.log2(1 + place)):
    return dcg(np.ones(n), discount) or 1


def ndcg_with(discount):
    return listing("NDCG", lambda h, n, k: dcg(h[:k], discount) / ideal(min(k, n), discount))


FIRST, AP = "reciprocal rank", "average precision"
RIGHT["07.2"] = [(ranked_scores,), (ranked_with_loops,), (ranked_by_sklearn,)]
WRONG["07.2"] = [
    ((lambda *_: (0.5, 0.5, 0.5, 0.5),), "a dict with the keys 'recall'"),
    (listing("recall", lambda h, n, k: h[:k].sum() / k), "that is precision@k: recall"),
    (listing("recall", lambda h, n, k: h[:k].sum() / min(n, k)), "however short"),
    (listing("recall", lambda h, n, k: h[:k].any()), "hit rate"),
    (listing("recall", lambda h, n, k: h.sum() / n), "search the whole list"),
    (listing(FIRST, lambda h, n, k: by_place(h).max()), "nobody sees it"),
    (listing(FIRST, lambda h, n, k: h[:k].argmax() + 1), "rank of the first hit"),
    (listing(FIRST, lambda h, n, k: 1 / (h[:k].argmax() + 2)), "hit on top gets"),
    (listing(FIRST, lambda h, n, k: by_place(h[:k]).sum() / n), "average 1 / place over wanted"),
    (listing(FIRST, lambda h, n, k: by_place(h[:k]).sum()), "add 1 / place"),
    (listing(FIRST, lambda h, n, k: by_place(h[:k]).sum() / h[:k].sum()), "average over the hits"),
    (listing(FIRST, lambda h, n, k: 1 / max(at(h[:k]) * h[:k])), "rank of the last hit"),
    (listing(FIRST, lambda h, n, k: by_place(h[:k]).max() or np.nan), "reciprocal rank is 0, not NaN"),
    (listing(AP, lambda h, n, k: (precision(h) * h)[:k].sum() / max(h[:k].sum(), 1)), "divide by the hits"),
    (listing(AP, lambda h, n, k: (precision(h) * h)[:k].sum() / k), "divide by k"),
    (listing(AP, lambda h, n, k: (precision(h) * h)[:k].sum() / n), "no list gets 1"),
    (listing(AP, lambda h, n, k: (precision(h) * h)[:k].sum()), "sum of the precisions"),
    (listing(AP, lambda h, n, k: precision(h)[:k].mean()), "precision over all places"),
    (listing(AP, lambda h, n, k: precision(h)[:k].sum() / min(n, k)), "add up the precision of all"),
    (listing(AP, lambda h, n, k: (precision(h) * h).sum() / n), "go on behind k: only"),
    (listing(AP, lambda h, n, k: by_place(h[:k]).sum() / min(n, k)), "number of hits so far"),
    (listing(AP, lambda h, n, k: (precision(h) * h)[:k].sum() / min(n, k) or np.nan), "precision is 0, not NaN"),
    (listing("NDCG", lambda h, n, k: dcg(h[:k])), "that is DCG"),
    (listing("NDCG", lambda h, n, k: dcg(h[:k]) / ideal(k)), "more than are wanted"),
    (listing("NDCG", lambda h, n, k: dcg(h[:k]) / ideal(n)), "longer than k"),
    (listing("NDCG", lambda h, n, k: dcg(h[:k]) / ideal(int(h[:k].sum()))), "only the hits found"),
    (listing("NDCG", lambda h, n, k: dcg(h[:k]) / min(n, k)), "number of possible hits"),
    (ndcg_with(lambda place: np.log2(np.maximum(place, 2))), "weigh the same"),
    (ndcg_with(lambda place: place), "discount by 1 / rank"),
    (ndcg_with(lambda place: np.log2(2 + place)), "start at 2"),
    (listing("NDCG", lambda h, n, k: dcg(h) / ideal(n)), "rank the whole list"),
    (ndcg_with(lambda place: np.log2(place)), "NDCG is 0, not NaN"),
    (listing(AP, lambda h, n, k: (precision(h) * h)[:k].sum() / min(n, len(h[:k]))), "the places of a short list"),
    (listing("NDCG", lambda h, n, k: dcg(h[:k]) / ideal(min(n, len(h[:k])))), "as short as the given one"),
    (listing("recall", lambda h, n, k: np.round(h[:k].sum() / n, 1)), "the recall: "),
]

# --- 07.3 rank among unseen -----------------------------------------------------------------------------------------


def ranking(make, guard=np.isfinite):
    """A rank made of (scores, target, seen without the target), behind the guard."""

    def rank(scores, target, seen):
        if not guard(scores).all():
            raise ValueError("scores are not finite")
        return make(scores, target, np.setdiff1d(seen, target).astype(int))

    return (rank,)


def rivals(scores, target, out, share=0.5, own=0):
    others = np.delete(scores, np.append(out, target).astype(int))
    return 1 + (others > scores[target]).sum() + share * ((others == scores[target]).sum() + own)


def rank_of_scipy(scores, target, out):
    kept = np.delete(np.arange(len(scores)), out)
    return Tensor(rankdata(-scores[kept])[list(kept).index(target)])


def rank_with_loops(scores, target, seen):
    rank = 1
    if not np.isfinite(scores).all():
        raise ValueError
    for item, score in enumerate(scores):
        if item != target and item not in list(seen):
            rank += 1 if score > scores[target] else 0.5 if score == scores[target] else 0
    return rank


def sorted_place(scores, target, out, sign=-1):
    kept = np.delete(np.arange(len(scores)), out)
    return 1 + list(kept[np.argsort(sign * scores[kept], kind="stable")][::-sign]).index(target)


def masked(keep_target):
    def rank(scores, target, seen):
        if not np.isfinite(scores).all():
            raise ValueError
        hidden = scores.copy()
        hidden[seen] = -np.inf
        return rivals(hidden, target, [] if keep_target else seen)

    return (rank,)


def zeroed(scores, target, out):
    scores = scores.copy()
    scores[out] = 0
    return rivals(scores, target, [])


class Diverged(ValueError):
    """A refusal of one's own is a ValueError, too."""


def rank_by_both_ends(scores, target, seen):
    if not np.isfinite(scores).all():
        raise Diverged("no rank")
    rival = np.ones(len(scores), bool)
    rival[list(seen)] = False
    rival[target] = False
    return np.float32(1 + ((scores[rival] > scores[target]).sum() + (scores[rival] >= scores[target]).sum()) / 2)


def finite_unseen(scores, target, seen):
    if not np.isfinite(np.delete(scores, seen)).all():
        raise ValueError
    return rivals(scores, target, np.setdiff1d(seen, target).astype(int))


def with_score(scores, items, value):
    scores = scores.copy()
    scores[items] = value
    return scores


def nearly_tied(s, t, out):
    others = np.delete(s, np.append(out, t).astype(int))
    level = np.isclose(others, s[t], rtol=0.05)
    return 1 + ((others > s[t]) & ~level).sum() + level.sum() / 2


RIGHT["07.3"] = [ranking(rivals), ranking(rank_of_scipy), (rank_with_loops,), (rank_by_both_ends,)]
WRONG["07.3"] = [
    (ranking(lambda s, t, out: rivals(s, t, [])), "seen items compete"),
    (ranking(lambda s, t, out: rivals(s, t, out, 0)), "ties are won"),
    (ranking(lambda s, t, out: rivals(s, t, out, 1)), "ties are lost"),
    (ranking(lambda s, t, out: rivals(s, t, out, own=1)), "ties with itself"),
    (ranking(lambda s, t, out: rivals(s, t, out) - 1), "best rank is 0"),
    (ranking(lambda s, t, out: rivals(-s, t, out)), "from the bottom"),
    (ranking(sorted_place), "sorted list"),
    (masked(False), "is masked with you"),
    (ranking(zeroed), "score 0 with you"),
    (ranking(lambda s, t, out: rivals(s, t - 1, out)), "before the target"),
    (ranking(lambda s, t, out: rivals(s, t, out - 1)), "before the seen"),
    (ranking(rivals, lambda s: ~np.isnan(s)), "inf as the score of another item passes in silence"),
    (ranking(rivals, lambda s: s < np.inf), "-inf as the score of another item passes"),
    (ranking(lambda s, t, out: rivals(np.round(s, 1), t, out)), "differ by little are ties with you"),
    (ranking(nearly_tied), "within a few per cent"),
    (ranking(lambda s, t, out: np.ceil(rivals(s, t, out))), "you round"),
    (ranking(lambda s, t, out: rivals(with_score(s, out, s.min()), t, [])), "the lowest score with you"),
    (ranking(lambda s, t, out: rivals(with_score(s, out, -100), t, [])), "that low ones do not reach"),
    ((finite_unseen,), "nan as the score of a seen item passes"),
    (ranking(lambda s, t, out: rivals(s, t, out) + (len(out) == 0)), "the rank: "),
]


def asserting(scores, target, seen):
    assert np.isfinite(scores).all()
    return rivals(scores, target, np.setdiff1d(seen, target).astype(int))


WRONG["07.3"] += [
    (ranking(rivals, lambda s: np.array(True)), "nan as the score of the target passes"),
    ((asserting,), "yours stops with AssertionError"),
]

# --- 07.4 sampled hit rate ------------------------------------------------------------------------------------------


def sampled(ranks, n, drawn, k):
    return hypergeom.cdf(k - 1, n - 1, ranks - 1, drawn).mean()


def sampled_with_loops(ranks, n, drawn, k):
    from math import comb

    def fewer(better):
        return sum(comb(better, j) * comb(n - 1 - better, drawn - j) for j in range(min(k, drawn + 1)))

    return sum(fewer(int(rank) - 1) / comb(n - 1, drawn) for rank in ranks) / len(ranks)


def sampled_by_survival(ranks, n, drawn, k):
    values = [1 - hypergeom.sf(k - 1, n - 1, drawn, rank - 1) for rank in ranks]
    return Tensor(np.float32(np.mean(values)))


def urn(make):
    return (lambda r, n, m, k: np.mean(make(r, n, m, k)),)


RIGHT["07.4"] = [(sampled,), (sampled_with_loops,), (sampled_by_survival,)]
WRONG["07.4"] = [
    (urn(lambda r, n, m, k: r <= k), "full hit rate"),
    (urn(lambda r, n, m, k: hypergeom.cdf(k, n - 1, r - 1, m)), "the target is at k + 1"),
    (urn(lambda r, n, m, k: hypergeom.cdf(k - 1, n, r - 1, m)), "can be drawn with you"),
    (urn(lambda r, n, m, k: hypergeom.cdf(k - 1, n - 1, r, m)), "itself"),
    (urn(lambda r, n, m, k: hypergeom.cdf(k - 1, n, r, m)), "among the balls"),
    (urn(lambda r, n, m, k: hypergeom.cdf(k - 1, n - 1, r - 1, m - 1)), "one less"),
    (urn(lambda r, n, m, k: binom.cdf(k - 1, m, (r - 1) / (n - 1))), "with replacement"),
    (urn(lambda r, n, m, k: hypergeom.sf(k - 1, n - 1, r - 1, m)), "probability of a miss"),
    (urn(lambda r, n, m, k: 1 + (r - 1) * m / (n - 1) <= k), "shrink the rank"),
    ((lambda r, n, m, k: hypergeom.cdf(k - 1, n - 1, r - 1, m),), "of each user: average"),
    (urn(lambda r, n, m, k: hypergeom.cdf(k - 1, n - 1, int((r - 1).mean()), m)), "mean rank in"),
    (urn(lambda r, n, m, k: hypergeom.pmf(k - 1, n - 1, r - 1, m)), "HR@3 against 10 drawn of 40 candidates: "),
]

# --- 07.5 target encoding -------------------------------------------------------------------------------------------


def encode(groups, y, train, damping):
    sums = np.bincount(groups, y * train, groups.max() + 1)[groups] - y * train
    counts = np.bincount(groups, train, groups.max() + 1)[groups] - train
    return (sums + damping * y[train].mean()) / (counts + damping)


def encode_with_loops(groups, y, train, damping):
    rows = range(len(y))
    mean = sum(y[i] for i in rows if train[i]) / sum(train)
    found = []
    for i in rows:
        others = [y[j] for j in rows if train[j] and groups[j] == groups[i] and j != i]
        found.append((sum(others) + damping * mean) / (len(others) + damping))
    return found


def encode_with_matrix(groups, y, train, damping):
    other = (groups[:, None] == groups) & train & ~np.eye(len(y), dtype=bool)
    return Tensor(((other @ y + damping * y[train].mean()) / (other.sum(1) + damping)).astype("float32"))


def encoded(learn=None, less=None, less_of=None, towards=None, weight=None, last=None):
    """An encoding with one choice changed, each a function of (train, labels)."""

    def encode(groups, y, train, damping):
        learned, out = (train if choice is None else choice(train, y) for choice in (learn, less))
        counted = out if less_of is None else less_of(train, y)
        mean = y[train].mean() if towards is None else towards(train, y)
        m = damping if weight is None else weight
        sums, counts = (np.bincount(groups, by * learned, groups.max() + 1)[groups] for by in (y, 1))
        with np.errstate(all="ignore"):
            made = (sums - out * y + m * mean) / (counts - counted + m)
        unseen = np.bincount(groups, train, groups.max() + 1)[groups] == 0
        return made if last is None else last(made, unseen, train, y)

    return (encode,)


def nothing(train, y):
    return 0 * train


def everything(train, y):
    return 1 + 0 * train


def all_mean(train, y):
    return y.mean()


def mean_of_groups(groups, y, train, damping):
    known = np.unique(groups[train])
    mean = np.mean([y[train & (groups == g)].mean() for g in known])
    return encoded(towards=lambda train, y: mean)[0](groups, y, train, damping)


def group_table(groups, y, train, damping):
    sums, counts = (np.bincount(groups, by * train, groups.max() + 1) for by in (y, 1))
    return (sums + damping * y[train].mean()) / (counts + damping)


RIGHT["07.5"] = [(encode,), (encode_with_loops,), (encode_with_matrix,)]
WRONG["07.5"] = [
    (encoded(everything, everything), "training rows alone."),
    (encoded(everything, nothing), "And each row finds its own"),
    (encoded(everything, nothing, towards=all_mean), "meets its own label"),
    (encoded(everything, everything, towards=all_mean), "The mean, too, is of training rows"),
    (encoded(everything), "own label out is right"),
    (encoded(less=nothing), "finds its own label in its feature"),
    (encoded(less_of=nothing), "the sum but not the count"),
    (encoded(less=nothing, less_of=lambda train, y: train), "the count but not the sum"),
    (encoded(less=everything), "never in the sum"),
    (encoded(towards=all_mean), "test labels included"),
    (encoded(towards=lambda train, y: 0), "looks disliked"),
    (encoded(towards=lambda train, y: 0.5), "damp to .5"),
    ((mean_of_groups,), "the groups' means"),
    (encoded(towards=lambda t, y: (y[t].sum() - t * y) / (t.sum() - t)), "one mean is for all rows"),
    (encoded(weight=0), "is 0 / 0"),
    (encoded(weight=0, last=lambda made, unseen, t, y: np.nan_to_num(made)), "one row decides"),
    (encoded(weight=0, less=nothing), "And take the own row"),
    (encoded(weight=1), "whatever `damping`"),
    (encoded(last=lambda made, unseen, t, y: np.where(unseen, np.nan, made)), "gets nan"),
    (encoded(last=lambda made, unseen, t, y: np.where(unseen, 0, made)), "gets 0 with"),
    (encoded(last=lambda made, unseen, t, y: np.where(unseen, 0.5, made)), "gets 0.5"),
    (encoded(last=lambda made, unseen, t, y: np.where(unseen, y.mean(), made)), "unknown group gets the mean of all"),
    (encoded(last=lambda made, unseen, t, y: made[t]), "training rows only"),
    ((group_table,), "for each group"),
]

# --- 07.6 paired gain -----------------------------------------------------------------------------------------------


def gain(old, new, draws):
    d = new - old
    return d.mean(), *np.quantile(d[draws].mean(1), [0.025, 0.975])


def gain_with_loops(old, new, draws):
    means = sorted(sum(new[i] - old[i] for i in draw) / len(draw) for draw in draws.tolist())
    share = (len(means) - 1) / 40
    assert share == int(share)
    return [sum(new - old) / len(old), means[int(share)], means[-1 - int(share)]]


def gain_of_means(old, new, draws):
    apart = new[draws].mean(1) - old[draws].mean(1)
    return Tensor(np.append(new.mean() - old.mean(), np.percentile(apart, [2.5, 97.5])))


def needed(d, effect):
    return int(np.ceil((2.8 * np.std(d, ddof=1) / effect) ** 2))


def needed_by_hand(d, effect):
    variance = sum((x - sum(d) / len(d)) ** 2 for x in d) / (len(d) - 1)
    return Tensor(np.ceil((1.96 + 0.84) ** 2 * variance / effect**2))


def gains(make):
    """A wrong gain, made of (differences, means of the resamples, the differences drawn)."""
    return (lambda old, new, draws: make(new - old, (new - old)[draws].mean(1), (new - old)[draws]), needed)


def around(d, error):
    return d.mean(), d.mean() - error, d.mean() + error


def ends(values, share=0.025):
    return np.quantile(values, [share, 1 - share])


def unpaired(old, new, draws):
    return new.mean() - old.mean(), *ends(new[draws].mean(1) - old[draws[::-1]].mean(1))


def of_two(join):
    def gain(old, new, draws):
        return new.mean() - old.mean(), *join(*ends(old[draws].mean(1)), *ends(new[draws].mean(1)))

    return (gain, needed)


def own_draws(old, new, draws):
    return gain(old, new, np.random.default_rng(0).integers(len(old), size=draws.shape))


def users(make):
    """A wrong number of users, made of (differences, deviation, effect) before it is rounded up."""
    return (gain, lambda d, effect: np.ceil(make(d, np.std(d, ddof=1), effect)))


RIGHT["07.6"] = [(gain, needed), (gain_with_loops, needed_by_hand), (gain_of_means, needed)]
WRONG["07.6"] = [
    ((unpaired, needed), "times too wide"),
    (of_two(lambda old_low, old_high, low, high: (low - old_high, high - old_low)), "the ends of two intervals"),
    (of_two(lambda old_low, old_high, low, high: (low - old_low, high - old_high)), "low from low"),
    (gains(lambda d, means, drawn: (d.mean(), *ends(d))), "single users' differences"),
    ((lambda old, new, draws: gain(new, old, draws), needed), "new minus old"),
    (gains(lambda d, means, drawn: (*ends(means), d.mean())), "the order is"),
    (gains(lambda d, means, drawn: ends(means)), "gain itself is missing"),
    (gains(lambda d, means, drawn: (np.median(means), *ends(means))), "among the resamples"),
    (gains(lambda d, means, drawn: around(d, means.std())), "one standard error"),
    (gains(lambda d, means, drawn: around(d, 1.96 * d.std(ddof=1) / len(d) ** 0.5)), "normal curve"),
    (gains(lambda d, means, drawn: (d.mean(), *ends(means, 0.05))), "interval of 90%"),
    (gains(lambda d, means, drawn: (d.mean(), means.min(), means.max())), "extremes"),
    (gains(lambda d, means, drawn: (d.mean(), *np.percentile(means, [0.025, 0.975]))), "counts in percent"),
    (gains(lambda d, means, drawn: (d.mean(), *ends(drawn.mean(0)))), "axis 0"),
    (gains(lambda d, means, drawn: around(d, 0)), "both ends are the gain"),
    ((own_draws, needed), "(gain, low, high): "),
    (users(lambda d, s, e: (1.96 * s / e) ** 2), "without the .84"),
    (users(lambda d, s, e: (0.84 * s / e) ** 2), "without the 1.96"),
    (users(lambda d, s, e: (2.485 * s / e) ** 2), "one side"),
    (users(lambda d, s, e: (1.96**2 + 0.84**2) * (s / e) ** 2), "one by one"),
    (users(lambda d, s, e: (2.8 * s**2 / e) ** 2), "the variance"),
    (users(lambda d, s, e: 2.8 * s / abs(e)), "square is missing"),
    (users(lambda d, s, e: 2 * (2.8 * s / e) ** 2), "two groups"),
    (users(lambda d, s, e: (2.8 * s / len(d) ** 0.5 / e) ** 2), "take the standard error"),
    ((gain, lambda d, e: (2.8 * np.std(d, ddof=1) / e) ** 2), "users come whole"),
    ((gain, lambda d, e: (2.8 * np.std(d, ddof=1) / e) ** 2 // 1), "round down"),
    (users(lambda d, s, e: (2.8 * np.std(d) / e) ** 2), "ddof=1"),
    (users(lambda d, s, e: (2.8 * s) ** 2), "makes no difference"),
    (users(lambda d, s, e: (2.8 * s * e) ** 2), "multiply by the effect"),
]

# --- 07.7 value of a policy -----------------------------------------------------------------------------------------


def valued(w, r):
    return np.mean(w * r), np.sum(w * r) / np.sum(w)


def policy(rewards, logged, wanted, clip=None):
    weight = wanted / logged
    return valued(weight if clip is None else np.minimum(weight, clip), rewards)


def policy_with_loops(rewards, logged, wanted, clip=None):
    total = weights = 0
    for r, p, q in zip(rewards, logged, wanted, strict=True):
        w = min(q / p, clip or float("inf"))
        total, weights = total + w * r, weights + w
    return [total / len(rewards), total / weights]


def policy_in_float32(rewards, logged, wanted, clip=np.inf):
    weight = np.clip(np.float32(wanted) / np.float32(logged), 0, clip)
    return Tensor(np.mean(weight * rewards)), Tensor(np.average(rewards, weights=weight))


def weighing(make):
    """A policy whose weights are made of (logged, wanted, clip)."""
    return (lambda r, logged, wanted, clip=np.inf: valued(make(logged, wanted, clip), r),)


def values(make):
    """Two values made of (rewards, clipped weights, bare weights, clip)."""
    return (lambda r, p, q, clip=np.inf: make(r, np.minimum(q / p, clip), q / p, clip),)


def second(make):
    return values(lambda r, w, bare, clip: (np.mean(w * r), make(r, w, bare)))


RIGHT["07.7"] = [(policy,), (policy_with_loops,), (policy_in_float32,)]
WRONG["07.7"] = [
    (weighing(lambda p, q, c: np.minimum(p / q, c)), "upside down"),
    (weighing(lambda p, q, c: 1 + 0 * p), "by its own policy"),
    (weighing(lambda p, q, c: q), "by `wanted` alone"),
    (weighing(lambda p, q, c: np.minimum(1 / p, c)), "`wanted` is missing"),
    (weighing(lambda p, q, c: q / p), "nothing is clipped"),
    (weighing(lambda p, q, c: np.maximum(q / p, c) if c < np.inf else q / p), "raise the weights"),
    (weighing(lambda p, q, c: np.where(q / p <= c, q / p, 0)), "become 0"),
    (values(lambda r, w, bare, c: valued(w, r)[::-1]), "the first is self-normalised"),
    (values(lambda r, w, bare, c: valued(bare[bare <= c], r[bare <= c])), "are dropped: keep them"),
    (values(lambda r, w, bare, c: valued(bare, np.minimum(r, c))), "clip is on rewards"),
    (values(lambda r, w, bare, c: valued(w[r > 0], r[r > 0])), "rewarded rows only: the others"),
    (values(lambda r, w, bare, c: (w @ r, w @ r / w.sum())), "you add up"),
    (values(lambda r, w, bare, c: (w @ r / bare.sum(), w @ r / w.sum())), "not by weights"),
    (values(lambda r, w, bare, c: w @ r), "return two numbers"),
    (second(lambda r, w, bare: np.mean(w * r)), "IPS again"),
    (second(lambda r, w, bare: np.mean(w * r) / w.sum()), "by rows and weights"),
    (second(lambda r, w, bare: w @ r / bare.sum()), "in the denominator not"),
    (second(lambda r, w, bare: bare @ r / w.sum()), "in the numerator not"),
    (second(lambda r, w, bare: w @ r / w[r > 0].sum()), "weights of rewarded rows"),
]

# --- 07.8 the report ------------------------------------------------------------------------------------------------

VERDICT = {
    "a: share of the majority's errors removed": 0.118,
    "b: the MSE must be": 0.15,
    "c: .82 cannot be the recall": "by rows",
    "d: .59 beside .12 is": "not comparable",
    "f: users to see .004": 12_500,
    "holds as it stands": "g",
}
RIGHT["07.8"] = [
    (VERDICT,),
    ({key: f" {value.upper()} " if isinstance(value, str) else str(value) for key, value in VERDICT.items()},),
    (VERDICT | {"a: share of the majority's errors removed": "0.1176", "f: users to see .004": 12_495},),
]
WRONG["07.8"] = one_wrong(
    VERDICT,
    [
        ("a: share of the majority's errors removed", 0.02, "gain in accuracy"),
        ("a: share of the majority's errors removed", 0.85, "need no model"),
        ("a: share of the majority's errors removed", 0.15, "compare 15 errors with 17"),
        ("a: share of the majority's errors removed", 0.0241, "compare hits"),
        ("a: share of the majority's errors removed", 0.1333, "the model's errors"),
        ("a: share of the majority's errors removed", 0.882, "what is left of the errors"),
        ("a: share of the majority's errors removed", 0.5, "in 100 rows, the model 15"),
        ("b: the MSE must be", 0.09, "what the report says"),
        ("b: the MSE must be", 0.0225, "square the error rate"),
        ("b: the MSE must be", 0.3873, "RMSE"),
        ("b: the MSE must be", 0.3, "not by 2"),
        ("b: the MSE must be", 0.2, "how many are 1"),
        ("c: .82 cannot be the recall", "of buyers", ".856"),
        ("c: .82 cannot be the recall", "of others", "nearly all buyers"),
        ("c: .82 cannot be the recall", "by classes", ".77 of the buyers"),
        ("d: .59 beside .12 is", "better", ".59 beats it 6 times"),
        ("d: .59 beside .12 is", "worse", "(07.4)"),
        ("d: .59 beside .12 is", "equal", "no figure common"),
        ("f: users to see .004", 6125, "every second time"),
        ("f: users to see .004", 5000, "2.5 squared"),
        ("f: users to see .004", 8000, "halves the interval"),
        ("f: users to see .004", 1, "should be 2.8"),
        ("holds as it stands", "a", ".025"),
        ("holds as it stands", "b", "contradict"),
        ("holds as it stands", "c", "without its class"),
        ("holds as it stands", "d", "ask different things"),
        ("holds as it stands", "e", "luckiest"),
        ("holds as it stands", "f", "allows for a loss"),
    ],
)
