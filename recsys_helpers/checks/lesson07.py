"""Exercises of lesson 07, evaluation: NumPy only; classes, items, groups and users count from 0."""

from collections.abc import Mapping
from math import comb

import numpy as np

from recsys_helpers.checks.core import Crashed, Question, Wrong, compare, describe, exercise, numbers, quiz, same


def entries(returned, *keys: str) -> list:
    """The values of a returned dict, in the order of `keys`."""
    if not isinstance(returned, Mapping) or any(key not in returned for key in keys):
        raise Wrong(f"return a dict with the keys {', '.join(map(repr, keys))}.")
    return [returned[key] for key in keys]


def divide(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """part / whole, and `empty` where both are 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1e-300), empty)


@exercise(
    "07.1",
    "F1, macro and micro",
    points=2,
    why="macro counts classes, micro counts rows: a report that names neither can show whichever is higher.",
    hints=(
        "Count three things for each class: rows that are of it, rows predicted to be of it, and hits, which are both. "
        "Everything else is made of these; guard the divisions, since each count can be 0.",
        "np.bincount(..., minlength=n_classes) counts. F1 of a class is 2 * hits / (rows + predictions), or 0 if that "
        "is 0 / 0. Macro is the plain mean of all of them; micro puts the sums over classes into the same fraction.",
    ),
)
def judge_f1(f1_scores):
    rng = np.random.default_rng(71)
    for n, shares in ((5, (0.5, 0.2, 0.1, 0.2, 0)), (3, (0.7, 0.2, 0.1)), (6, (0.3, 0.1, 0.25, 0.35, 0, 0))):
        labels = rng.choice(n, size=60, p=shares)
        labels[:2], labels[2:9] = (1, 2), 0
        predicted = np.where(rng.random(60) < 0.6, labels, rng.choice(n, size=60, p=shares))
        predicted[np.isin(predicted, (2, 3))] = 0  # classes 2 and 3 occur and are never predicted
        predicted[3] = 4 if n > 4 else 0  # class 4 is predicted and never occurs; class 5 does neither
        _judge_f1(f1_scores(labels, predicted, n), labels, predicted, n)


def _judge_f1(returned, labels, predicted, n):
    accuracy, each, macro, micro = entries(returned, "accuracy", "per class", "macro", "micro")
    hits, rows, calls = (np.bincount(x, minlength=n) for x in (labels[labels == predicted], labels, predicted))
    precision, recall, f1 = divide(hits, calls), divide(hits, rows), divide(2 * hits, rows + calls)
    right = np.stack([precision, recall, f1], axis=1)
    share = hits.sum() / len(labels)
    compare(
        accuracy,
        share,
        "the accuracy",
        (1 - share, "that is the error rate: accuracy is the share of rows whose class is predicted rightly."),
        (hits.sum(), "that is the number of hits: divide by the number of rows."),
        (recall[rows > 0].mean(), "that is the mean recall over classes: accuracy counts rows, not classes."),
        (rows.max() / len(labels), "that is the share of the most frequent class, the baseline: count hits."),
    )

    def triple(f1, precision=precision, recall=recall):
        return np.stack([precision, recall, f1], axis=1)

    nan, full = ((divide(hits, calls, empty), divide(hits, rows, empty)) for empty in (np.nan, 1))
    nan_f1 = divide(2 * precision * recall, precision + recall, np.nan)
    compare(
        each,
        right,
        "the table (precision, recall, F1) by class",
        (right[:, [1, 0, 2]], "precision and recall are swapped: precision divides by what was predicted."),
        (right.T, "your table is transposed: a class is a row."),
        (f1, "you give F1 alone: the row of a class holds precision, recall and F1."),
        (right[rows > 0], "classes that never occur are left out of the table: keep a row of zeros for each."),
        *(
            (triple(f, *nan), "a class nobody predicted, or that never occurs, gives you NaN: all three are 0.")
            for f in (f1, nan_f1, divide(2 * hits, rows + calls, np.nan), nan_f1 + 0 * nan[0] + 0 * nan[1])
        ),
        (triple(nan_f1), "F1 is NaN where precision and recall are both 0: it counts 0 there."),
        (triple(f1, *full), "0 / 0 counts 1 with you, full marks for a class that is never hit: count 0."),
        (triple((precision + recall) / 2), "you take the arithmetic mean for F1: it is the harmonic one."),
        (triple(divide(hits, rows + calls - hits)), "you count hits once, the Jaccard index: F1 is 2 * hits / (...)."),
        (triple(f1, hits / len(labels)), "precision divides by all rows: divide by the predictions of the class."),
        (triple(f1, precision, hits / len(labels)), "recall divides by all rows: divide by those of the class."),
    )
    p, r = precision.mean(), recall.mean()
    compare(
        macro,
        f1.mean(),
        "macro F1",
        (f1 @ rows / rows.sum(), "your macro F1 is weighted by the size of the class: each class counts the same."),
        (share, "your macro F1 is the micro one: average the F1 of the classes."),
        (f1[rows > 0].mean(), "classes that never occur are left out of your macro F1, and false alarms for them too."),
        (f1[calls > 0].mean(), "your macro F1 leaves out classes that are never predicted: they count 0."),
        (f1[hits > 0].mean(), "your macro F1 leaves out classes without a hit (np.nanmean?): they count 0."),
        (2 * p * r / (p + r), "you take F1 of the mean precision and the mean recall: take the mean of the F1."),
        (np.nan, "one class without hits makes your macro F1 NaN: it counts 0."),
        (f1.sum(), "you add up over classes: divide by n_classes."),
    )
    compare(
        micro,
        share,
        "micro F1",
        (f1.mean(), "your micro F1 is the macro one: sum hits, rows and predictions over classes first, then divide."),
        (f1 @ rows / rows.sum(), "your micro F1 is a mean weighted by class size: sum counts first, then divide."),
        (share / (2 - share), "you count hits once: in 2 * hits / (rows + predictions) they stand twice."),
        (f1[1], "that is the F1 of class 1: micro sums the counts of all classes."),
    )


@exercise(
    "07.2",
    "Ranked lists with several wanted items",
    points=2,
    why="average precision and NDCG divide by the best that was possible, so a perfect list gets 1 whatever k and the "
    "user wanted; recall does not.",
    hints=(
        "Cut the list at k and mark the hits. With a place number beside each mark, all four are sums over the marked "
        "places. Ask of each: what would the best list of length k get?",
        "The best list starts with min(k, wanted) hits: average precision divides by that number, NDCG by the sum of "
        "1 / log2(1 + place) over that many first places. Recall divides by all that is wanted.",
    ),
)
def judge_ranked(ranked_scores):
    rng = np.random.default_rng(72)
    for length, n, k in ((15, 5, 6), (20, 8, 5), (12, 6, 10), (5, 5, 7), (30, 5, 8), (18, 9, 5)):
        ranked = rng.permutation(length) + 10
        wanted = rng.choice(ranked, size=n, replace=False)  # of them one is no item of the list, one is behind k:
        wanted[:4] = 99, ranked[min(k, length - 1)], ranked[1], ranked[min(k, length) - 1 - length % 2]
        _judge_ranked(ranked_scores(ranked, np.unique(wanted), k), ranked, np.unique(wanted), k)
    for ranked, wanted, k in (
        (np.arange(12), np.array([5, 7]), 4),  # first hit beyond k
        (np.arange(9), np.array([8, 30]), 3),
        (np.array([4, 7, 2]), np.array([7, 20, 21, 22, 23]), 5),  # a list shorter than k and than what is wanted
        (np.array([6, 1, 9, 3]), np.array([1, 9, 20, 21, 22, 23]), 8),
        (np.array([5, 2, 8]), np.array([5]), 1),
    ):
        _judge_ranked(ranked_scores(ranked, wanted, k), ranked, wanted, k)


def _judge_ranked(returned, ranked, wanted, k):
    recall, reciprocal, average, ndcg = entries(returned, "recall", "reciprocal rank", "average precision", "NDCG")
    n, every = len(wanted), np.isin(ranked, wanted).astype(float)
    hit = every[:k]
    place, best, found = np.arange(1, len(ranked) + 1), min(k, n), hit.sum()
    precision, inverse = every.cumsum() / place, (hit / place[: len(hit)]).sum()
    hits = np.flatnonzero(every) + 1
    compare(
        recall,
        found / n,
        "the recall",
        (found / best, "you divide by min(k, wanted): recall divides by all wanted items, however short the list."),
        (found / k, "that is precision@k: recall divides by the number of wanted items."),
        (found > 0, "that is a hit rate, 1 for any hit: recall is the share of the wanted items found."),
        (every.sum() / n, "you search the whole list: only the first k are shown."),
    )
    compare(
        reciprocal,
        1 / hits[0] if hits[0] <= k else 0,
        "the reciprocal rank",
        (1 / hits[0], "the first hit lies beyond k, where nobody sees it: count 0."),
        (hits[0], "that is the rank of the first hit: take 1 / rank."),
        (1 / (hits[0] + 1), "places count from 1: a hit on top gets 1 / 1."),
        (inverse / n, "you average 1 / place over wanted items: only the first hit counts."),
        (inverse, "you add 1 / place over all hits: only the first counts."),
        (inverse / max(found, 1), "you average over the hits: only the first counts."),
        (1 / hits[max(int(found) - 1, 0)], "that is the reciprocal rank of the last hit: take the first."),
        (1 / hits[0] if found else np.nan, "without a hit the reciprocal rank is 0, not NaN."),
    )
    summed = (precision[:k] * hit).sum()
    compare(
        average,
        summed / best,
        "the average precision",
        (summed / max(found, 1), "you divide by the hits, so one hit on top is perfect: divide by min(k, wanted)."),
        (summed / k, "you divide by k, so a user who wants fewer can never get 1: divide by min(k, wanted)."),
        (summed / n, "you divide by all wanted: where more are wanted than k no list gets 1. Take min(k, wanted)."),
        (
            summed / min(len(hit), n),
            "you divide by the places of a short list: by min(k, wanted), however short it is.",
        ),
        (summed, "that is the sum of the precisions at the hits: divide by min(k, wanted)."),
        (precision[:k].mean(), "you average the precision over all places: only places with a hit count."),
        (precision[:k].sum() / best, "you add up the precision of all places: only places with a hit count."),
        *(((precision * every).sum() / m, "you go on behind k: only the first k places are shown.") for m in (n, best)),
        (inverse / best, "you average 1 / place: the precision at a hit is the number of hits so far, by place."),
        (summed / best if found else np.nan, "without a hit the average precision is 0, not NaN."),
    )
    weight = 1 / np.log2(1 + np.arange(1, k + len(ranked) + n))
    gain = (hit * weight[: len(hit)]).sum()
    behind = (every * weight[: len(every)]).sum()
    other = 1 / np.log2(np.maximum(np.arange(1, k + n), 2)), 1 / np.arange(1, k + n), weight[1:]
    blunt, steep, late = ((hit * w[: len(hit)]).sum() / w[:best].sum() for w in other)
    compare(
        ndcg,
        gain / weight[:best].sum(),
        "NDCG",
        (gain, "that is DCG: divide by what the best list of length k would get."),
        (gain / weight[:k].sum(), "your ideal list has k hits, more than are wanted: min(k, wanted) of them."),
        (gain / weight[:n].sum(), "your ideal list is longer than k: it has min(k, wanted) hits."),
        (
            gain / (weight[: int(found)].sum() or 1),
            "your ideal list holds only the hits found: it has min(k, wanted) of them.",
        ),
        (gain / weight[: min(len(hit), n)].sum(), "your ideal list is as short as the given one: it has k places."),
        (gain / best, "you divide by the number of possible hits: each loses by its place in the ideal list, too."),
        (blunt, "you divide by log2(rank), so places 1 and 2 weigh the same: log2(1 + rank)."),
        (steep, "you discount by 1 / rank: NDCG discounts by 1 / log2(1 + rank)."),
        (late, "your places start at 2: place 1 has weight 1 / log2(2) = 1."),
        *((behind / weight[:m].sum(), "you rank the whole list: cut it at k.") for m in (best, n)),
        (np.nan, "without a hit NDCG is 0, not NaN; and log2(rank) is 0 at rank 1: log2(1 + rank)."),
    )


@exercise(
    "07.3",
    "Rank among the unseen items",
    points=2,
    why="a diverged model, whose scores are all equal or NaN, is a champion wherever ties are won or NaN passes.",
    hints=(
        "First decide who competes: everything unseen, and the target, even if it was seen before. Then count those "
        "above and those beside.",
        "rank = 1 + (rivals above) + (rivals level) / 2, where the rivals are the unseen items without the target. "
        "Look at np.isfinite(scores).all() before anything else.",
    ),
)
def judge_rank(rank_among_unseen):
    rng = np.random.default_rng(85)
    for n, levels, n_seen, again, low, step in (
        (40, 9, 10, False, 0, 1),
        (30, 6, 12, True, 0, 1),
        (12, 4, 3, False, 0, 1),
        (15, 3, 0, False, 0, 1),
        (22, 7, 4, False, 10, 0.25),  # within a few per cent of each other
        (20, 5, 6, False, -300, 1),
        (24, 7, 4, False, 0, 2.0**-30),  # as of a softmax over a million items
        (18, 5, 3, False, 1, 2.0**-18),  # near 1, and told apart in 32 bits
    ):
        scores = rng.integers(levels, size=n) - levels / 2
        target = int(np.argsort(scores)[0 if n == 20 else n // 2])  # once of the lowest score
        seen = rng.choice(np.delete(np.arange(n), target), size=n_seen, replace=False)
        scores[seen] += rng.integers(2, size=n_seen)  # what was seen scores higher, as in every model
        scores = low + step * scores
        if again:
            seen[-1] = target
        _judge_rank(rank_among_unseen(scores, target, seen), scores, target, seen)
    places = "another item", "another item", "the target", "a seen item"
    for value, where in ((np.nan, 2), (np.nan, 0), (np.inf, 0), (-np.inf, 1), (np.nan, 3), (np.inf, 3)):
        scores = np.array([0.3, 0.1, 0.9, 0.5])
        scores[where] = value
        told = f"{value} as the score of {places[where]}"
        try:
            rank = rank_among_unseen(scores, 2, np.array([3]))
        except Crashed as stop:
            if isinstance(stop.__cause__, ValueError):
                continue
            raise Wrong(f"for {told} raise ValueError; yours stops with {stop}") from None
        raise Wrong(
            f"{told} passes in silence, and gets the target rank {describe(rank)}: raise ValueError (np.isfinite)."
        )


def _judge_rank(got, scores, target, seen):
    def rank(out=seen, share=0.5, own=0.0, scores=scores, target=target):
        rival = np.ones(len(scores), bool)
        rival[out], rival[target] = False, False
        level = (scores[rival] == scores[target]).sum() + own
        return 1 + (scores[rival] > scores[target]).sum() + share * level

    n = len(scores)
    candidates = [i for i in range(n) if i == target or i not in seen]
    order = sorted(candidates, key=lambda i: -scores[i])  # stable: ties stay in the order of their numbers
    upward = sorted(candidates, key=lambda i: scores[i])[::-1]
    masked, zeroed = scores.copy(), scores.copy()
    half = rank()

    def given(value):
        """Scores in which what was seen has this one."""
        changed = scores.copy()
        changed[np.setdiff1d(seen, target)] = value
        return changed

    levelled, joined = (
        np.where(np.isclose(scores, scores[target], rtol=rtol), scores[target], scores) for rtol in (1e-5, 0.05)
    )
    masked[seen], zeroed[seen] = -np.inf, 0
    place = "you take the place in a sorted list, where ties fall by item number: count half of them."
    late = "a target that was seen before is masked with you: it is what the user took, so it competes."
    compare(
        got,
        rank(),
        "the rank",
        (rank(out=[]), "seen items compete with you, and take the first places: only unseen ones are candidates."),
        *(
            (value, "scores that differ by little are ties with you (rounded, np.isclose?): only equal ones are.")
            for value in ((len(candidates) + 1) / 2, rank(scores=levelled))
        ),
        (rank(scores=joined), "scores within a few per cent of each other are ties with you: only equal ones are."),
        *(
            (rounded, "you round: half of an item that is level counts half a place.")
            for rounded in (half // 1, -(-half // 1))
        ),
        (
            rank(out=[], scores=given(scores.min())),
            "seen items get the lowest score with you, and tie with a target there: take them out.",
        ),
        (rank(share=0), "ties are won by the target, so equal scores for all are perfect: count half of them."),
        (rank(share=1), "ties are lost by the target: count half of the items level with it."),
        (rank(own=1), "the target ties with itself and loses half a place: leave it out of the items level with it."),
        (rank() - 1, "your best rank is 0: ranks count from 1."),
        (len(candidates) + 1 - rank(), "you count from the bottom: the highest score has rank 1."),
        (order.index(target) + 1, place),
        (upward.index(target) + 1, place),
        (rank(scores=masked), late),
        (rank(out=[], scores=masked), late),
        (rank(out=[], scores=zeroed), "seen items get score 0 with you, which beats a negative one: take them out."),
        *(
            (
                rank(out=[], scores=given(value)),
                "seen items get a score with you that low ones do not reach: take them out.",
            )
            for value in (-1, -10, -100)
        ),
        (rank(target=target - 1), "you rank the item before the target: items count from 0 here."),
        (rank(out=seen - 1), "you take out the items before the seen ones: items count from 0 here."),
    )


def fewer(better: np.ndarray, others: int, drawn: int, k: int, again: bool = False) -> float:
    """Mean probability that fewer than k of the `better` items are among `drawn` of the `others`; `again`: put back."""
    shares = []
    for b in np.minimum(better, others).tolist():
        few, p = range(min(k, drawn + 1)), b / others
        ways = sum(comb(b, j) * comb(others - b, drawn - j) for j in few) / comb(others, drawn)
        shares.append(sum(comb(drawn, j) * p**j * (1 - p) ** (drawn - j) for j in few) if again else ways)
    return np.mean(shares)


@exercise(
    "07.4",
    "What a sampled test would have shown",
    points=2,
    why="a sampled hit rate asks for a middling rank, not a high one, so it can reverse the order of two models.",
    hints=(
        "The target is a hit if fewer than k of the items above it are among those drawn. Think of an urn: the other "
        "candidates are balls, those ranked better are marked. How many marked balls come out?",
        "The number of marked balls drawn is hypergeometric: n_candidates - 1 balls, ranks - 1 of them marked, "
        "`negatives` drawn. hypergeom.cdf(x, balls, marked, drawn) is the probability of at most x; average it.",
    ),
)
def judge_sampled(sampled_hit_rate):
    rng = np.random.default_rng(74)
    for n, drawn, k in ((40, 10, 3), (25, 18, 4), (120, 30, 1), (30, 29, 5), (60, 4, 6)):
        ranks = np.append(rng.integers(1, n, size=20), [1, n - (n != 30), k, k + 1])
        full, better, others = np.mean(ranks <= k), ranks - 1, n - 1
        right = fewer(better, others, drawn, k)
        each = [fewer(np.array([rank]), others, drawn, k) for rank in better]
        typical = fewer(np.array([int(better.mean())]), others, drawn, k)
        scaled = "you shrink the rank and look whether it is within k: chance decides, so average the probability."
        compare(
            sampled_hit_rate(ranks, n, drawn, k),
            right,
            f"HR@{k} against {drawn} drawn of {n} candidates",
            (
                full,
                "that is the full hit rate, as if all candidates were drawn: most items above the target are not.",
            ),
            (
                fewer(better, others, drawn, k + 1),
                "k better ones may be drawn with you: then the target is at k + 1.",
            ),
            (fewer(better, n, drawn, k), "the target can be drawn with you: n_candidates - 1 others remain."),
            (
                fewer(ranks, others, drawn, k),
                "the target counts as ranked above itself: ranks - 1 items are better.",
            ),
            (
                fewer(ranks, n, drawn, k),
                "the target is among the balls: n_candidates - 1 others, ranks - 1 better.",
            ),
            (fewer(better, others, drawn - 1, k), "you draw one less: the target comes on top of the drawn."),
            *(
                (
                    fewer(part, whole, drawn, k, again=True),
                    "you draw with replacement (binomial): nothing comes twice.",
                )
                for part, whole in ((better, others), (better, n), (ranks, n))
            ),
            (1 - right, "that is the probability of a miss: of k or more better ones among the drawn."),
            *(
                (np.mean(rank <= k), scaled)
                for rank in (1 + better * drawn / others, ranks * drawn / n, ranks * (drawn + 1) / n)
                for rank in (rank, np.round(rank), np.ceil(rank))
            ),
            (each, "these are the probabilities of each user: average them."),
            (typical, "you put the mean rank in: average the probability over users, not the ranks."),
        )


@exercise(
    "07.5",
    "Target encoding without a leak",
    points=2,
    why="a label may reach a feature only from other rows, and from rows that were known when the model was fitted.",
    hints=(
        "Make two tables from training rows alone, the sum of labels and the number of rows of each group. Each row "
        "looks its group up; a training row first takes itself out of both.",
        "(sums[groups] - train * labels + damping * mean) / (counts[groups] - train + damping), with mean = "
        "labels[train].mean(). A group without training rows then gets the mean by itself.",
    ),
)
def judge_encode(encode):
    rng = np.random.default_rng(75)
    for rows, n, damping in ((40, 6, 2.0), (60, 12, 5.0), (30, 9, 0.5)):
        groups = rng.integers(n - 2, size=rows)
        groups[groups == 1] = 0  # a number that no group has
        labels = (rng.random(rows) < 0.2 + 0.6 * groups / n).astype(int)
        train = rng.random(rows) < 0.7
        groups[:3], labels[:3], train[:3] = (n - 2, n - 1, n - 1), (1, 1, 0), (True, False, False)
        train[3:6], labels[3:6] = False, 1  # the train mean is not that of all rows
        _judge_encode(encode(groups, labels, train, damping), groups, labels, train, damping)


def _judge_encode(got, groups, labels, train, damping):
    n, mean = groups.max() + 1, labels[train].mean()
    every = np.ones(len(train), bool)

    def encoded(learn=train, less=train, less_of=None, towards=mean, weight=damping):
        sums, counts = np.bincount(groups[learn], labels[learn], n), np.bincount(groups[learn], minlength=n)
        less_of = less if less_of is None else less_of
        with np.errstate(all="ignore"):
            return (sums[groups] - less * labels + weight * towards) / (counts[groups] - less_of + weight)

    sums, counts = np.bincount(groups[train], labels[train], n), np.bincount(groups[train], minlength=n)
    right, none, by_group = encoded(), counts[groups] == 0, (sums / np.maximum(counts, 1)).sum() / (counts > 0).sum()
    bare = encoded(weight=0)
    loo_mean = (labels[train].sum() - train * labels) / (train.sum() - train)
    leak = "labels of test rows enter the feature: sums and counts are of training rows alone."
    own = "a training row finds its own label in its feature, and test rows will not: take it out of sum and count."
    damped = "there is no damping: one row decides a group. Add `damping` rows of mean label."
    compare(
        got,
        right,
        "the feature",
        (encoded(every, every), leak),
        (encoded(every, False), f"{leak} And each row finds its own label there."),
        (encoded(every, False, towards=labels.mean()), f"{leak} The mean, too, and each row meets its own label."),
        (encoded(every, every, towards=labels.mean()), f"{leak} The mean, too, is of training rows."),
        (encoded(every, train), f"{leak} (Taking a training row's own label out is right.)"),
        (encoded(less=False), own),
        (encoded(less_of=False), "the own label leaves the sum but not the count: take it out of both."),
        (encoded(less=False, less_of=train), "the own row leaves the count but not the sum: take its label out, too."),
        (encoded(less=every), "test rows lose a label that was never in the sum: only training rows take theirs out."),
        (encoded(towards=labels.mean()), "you damp to the mean of all rows, test labels included: the training mean."),
        (encoded(towards=0), "you damp to 0, so a small group looks disliked: add damping * mean to the sum."),
        (encoded(towards=0.5), "you damp to .5: a group unknown is like the others, at the training mean."),
        (encoded(towards=by_group), "you damp to the mean of the groups' means: each row counts the same."),
        (encoded(towards=loo_mean), "the own label leaves the training mean, too: here one mean is for all rows."),
        (bare, f"{damped} And a group without rows is 0 / 0."),
        *((np.where(np.isfinite(bare), bare, other), damped) for other in (mean, 0, 0.5)),
        (encoded(less=False, weight=0), f"{damped} And take the own row out of sum and count."),
        (encoded(weight=1), "you add one row of mean label, whatever `damping` is."),
        *(
            (np.where(none, other, right), f"a group without training rows gets {other} with you: give it the mean.")
            for other in (np.nan, 0, 0.5)
        ),
        (np.where(none, labels.mean(), right), "an unknown group gets the mean of all rows: of training rows."),
        (right[train], "you return training rows only: every row needs the feature."),
        ((sums + damping * mean) / (counts + damping), "that is a value for each group: give one for each row."),
    )


def ends(draws: np.ndarray, level: float = 0.95) -> np.ndarray:
    return np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])


@exercise(
    "07.6",
    "Paired gain, and users needed",
    points=2,
    why="users differ more than models do: pairing takes that away; four times the users halve the rest.",
    hints=(
        "Work with one number a user, new minus old, and forget the two models. Drawing users then draws both models' "
        "values of the same user.",
        "(new - old)[draws].mean(axis=1) holds one gain for each resample; take its quantiles .025 and .975. Users: "
        "((1.96 + 0.84) * deviation / effect) ** 2, rounded up; np.std(..., ddof=1) is the deviation.",
    ),
)
def judge_paired(paired_gain, users_needed):
    rng = np.random.default_rng(76)
    for users, resamples, gain in ((60, 401, 0.05), (150, 201, -0.1), (90, 801, 0.2)):
        old = rng.normal(0.5, 0.4, size=users)
        new = old + gain + rng.normal(scale=0.1, size=users)
        draws = rng.integers(users, size=(resamples, users))
        _judge_gain(paired_gain(old, new, draws), old, new, draws)
        points, effect = 100 * (new - old), 30 * gain  # in percent
        _judge_users(users_needed(points, effect), points, effect)


def _judge_gain(returned, old, new, draws):
    got = numbers(returned, "the gain with its interval")
    d = new - old
    means = d[draws].mean(1)
    olds, news = ends(old[draws].mean(1)), ends(new[draws].mean(1))
    right = np.array([d.mean(), *ends(means)])
    width = right[2] - right[1]
    if got.shape == (3,) and not same(got, right) and got[2] - got[1] > 2 * width and got[2] - got[1] < 1:
        if same(got[1:], ends(d)):
            raise Wrong("your interval is of single users' differences: take it of the means of the resamples.")
        if same(got[1:], news - olds[::-1]):
            raise Wrong("you subtract the ends of two intervals: take one interval, that of the differences.")
        raise Wrong(
            "your interval is two times too wide or more, as if the models had met different users: the same draw goes "
            "for both, so that what makes a user easy cancels out."
        )
    compare(
        got,
        right,
        "(gain, low, high)",
        (right[[0, 2, 1]] * [-1, -1, -1], "you subtract new from old: a gain is new minus old."),
        *((right[order], "the order is gain, low, high.") for order in ([1, 0, 2], [1, 2, 0], [0, 2, 1])),
        (right[1:], "the gain itself is missing: return gain, low, high."),
        ([d.mean(), *(news - olds)], "you subtract low from low: take one interval, of differences."),
        *(
            ([value, *ends(means)], "the gain is the mean over the users themselves, not of or among the resamples.")
            for value in (means.mean(), np.median(means), np.median(d))
        ),
        *(
            ([d.mean(), d.mean() - z * error, d.mean() + z * error], message)
            for z, message in (
                (1, "that is one standard error to either side, about 68%: asked are quantiles of the resamples."),
                (1.96, "you lay a normal curve over it: asked are the quantiles of the resamples, which need none."),
            )
            for error in (means.std(ddof=1), means.std(), *(d.std(ddof=f) / np.sqrt(len(d)) for f in (0, 1)))
        ),
        ([d.mean(), *ends(means, 0.9)], "5% lie outside on each side, an interval of 90%: quantiles .025 and .975."),
        ([d.mean(), means.min(), means.max()], "these are the extremes of the resamples: quantiles .025 and .975."),
        ([d.mean(), *np.percentile(means, [0.025, 0.975])], "np.percentile counts in percent: 2.5 and 97.5."),
        ([d.mean(), *ends(d[draws].mean(0))], "you average over the resamples (axis 0): over the users, axis 1."),
        ([d.mean(), d.mean(), d.mean()], "both ends are the gain itself: index with the draws, users come twice."),
    )


def _judge_users(got, d, effect):
    deviation = np.std(d, ddof=1)

    def need(factor=2.8, deviation=deviation, power=2):
        return (factor * deviation / abs(effect)) ** power

    compare(
        got,
        np.ceil(need()),
        "the users needed",
        *(
            (round_(value), message)
            for value, message in (
                (need(1.96), "without the .84 a true effect is missed every second time: power .8 needs 1.96 + 0.84."),
                (need(0.84), "without the 1.96 nothing guards against luck: 1.96 + 0.84."),
                (need(1.645 + 0.84), "1.645 is for a test of one side: 1.96 leaves .025 on each."),
                (need(np.hypot(1.96, 0.84)), "you square the two factors one by one: add them first."),
                (need(deviation=deviation**2), "you take the variance for the deviation, and square it again."),
                (need(power=1), "the square is missing: half the effect needs four times the users."),
                (2 * need(), "twice as many would be for two groups of users: here each user meets both models."),
                (need() / len(d), "you take the standard error: give the deviation of one user's difference."),
            )
            for round_ in (np.ceil, float)
        ),
        (need(), "users come whole: round up (np.ceil)."),
        (np.floor(need()), "you round down, which is one user too few: round up (np.ceil)."),
        (np.ceil(need(deviation=np.std(d))), "the deviation divides by n: estimated from a sample by n - 1 (ddof=1)."),
        (np.ceil(need() * effect**2), "the effect makes no difference: divide by it before you square."),
        (np.ceil(need() * effect**4), "you multiply by the effect: a smaller one needs more users, so divide."),
    )


@exercise(
    "07.7",
    "The value of a policy nobody has tried",
    points=2,
    why="a log says what its own policy earned; weights turn it into what another would earn.",
    hints=(
        "Each row stands for as many as the new policy would have more of than the log: shown with .1, wanted with .4, "
        "it counts four times.",
        "weights = wanted / logged, then np.minimum(weights, clip) if there is a clip. IPS is the mean of weights * "
        "rewards; the self-normalised one divides the same sum by the sum of the weights.",
    ),
)
def judge_policy(policy_value):
    rng = np.random.default_rng(77)
    for rows, clip in ((50, 2.0), (30, None), (40, 1.2), (60, 50.0), (45, 0.6)):
        logged, wanted = rng.uniform(0.05, 0.9, size=(2, rows))
        rewards = np.where(rng.random(rows) < 0.4, np.round(rng.gamma(2.0, 2.0, rows), 1), 0.0)
        if clip == 1.2:  # what is never wanted, and what costs
            wanted[:5], rewards[3:8] = 0, -1.5
        arguments = (rewards, logged, wanted) if clip is None else (rewards, logged, wanted, clip)
        _judge_policy(policy_value(*arguments), *arguments)


def _judge_policy(returned, rewards, logged, wanted, clip=1e9):
    try:
        ips, own = returned
    except (TypeError, ValueError):
        raise Wrong("return two numbers: IPS and its self-normalised form.") from None
    ratio = wanted / logged
    weight = np.minimum(ratio, clip)

    def value(weight, rewards=rewards):
        return np.mean(weight * rewards), (weight @ rewards) / weight.sum()

    right, liked = value(weight), rewards > 0
    both = (
        (
            np.minimum(logged / wanted, clip),
            "the ratio is upside down: what the log showed rarely must count more, wanted / logged.",
        ),
        (np.ones(len(rewards)), "that is what the log earned by its own policy: weigh by wanted / logged."),
        (wanted, "you weigh by `wanted` alone: rows that the log shows often are there often already; divide."),
        (1 / logged, "you divide by `logged` and forget `wanted`: that is the value of showing everything."),
        (np.minimum(1 / logged, clip), "you weigh by 1 / logged, clipped: `wanted` is missing."),
        (ratio, "nothing is clipped: no weight may be larger than `clip`."),
        (np.maximum(ratio, clip), "you raise the weights to `clip` where they are smaller: it is the largest allowed."),
        (ratio * (ratio <= clip), "weights above `clip` become 0, and the row is lost: set them to `clip`."),
    )
    clipped = "the clip is on rewards or on weight times reward: it is for the weights, before they meet a reward."
    compare(
        ips,
        right[0],
        "IPS",
        *((value(w)[0], message) for w, message in both),
        (right[1], "the first is self-normalised: IPS divides by the number of rows. (Or the order is swapped.)"),
        (np.mean((ratio * rewards)[ratio <= clip]), "rows with a weight above `clip` are dropped: keep them, cut."),
        (np.mean(ratio * np.minimum(rewards, clip)), clipped),
        (np.mean(np.minimum(ratio * rewards, clip)), clipped),
        (np.mean((weight * rewards)[liked]), "you average over rewarded rows only: the others are rows that earned 0."),
        (weight @ rewards, "you add up: divide by the number of rows."),
        (weight @ rewards / ratio.sum(), "IPS divides by the number of rows, not by weights."),
    )
    compare(
        own,
        right[1],
        "the self-normalised value",
        (right[0], "the second is IPS again: divide the sum by that of the weights, not by the rows."),
        *((value(w)[1], message) for w, message in both),
        (right[0] / weight.sum(), "you divide by rows and weights: the sum of weights takes the place of the rows."),
        (
            weight @ rewards / ratio.sum(),
            "in the numerator the weights are clipped, in the denominator not: clip them in both.",
        ),
        (
            ratio @ rewards / weight.sum(),
            "in the denominator the weights are clipped, in the numerator not: clip them in both.",
        ),
        (
            weight @ rewards / weight[liked].sum(),
            "you sum the weights of rewarded rows only: every row counts in the denominator.",
        ),
    )


@exercise(
    "07.8",
    "Take a report apart",
    points=2,
    why="a figure without baseline, protocol, choice and uncertainty is no result; some can be refuted with a pencil.",
    hints=(
        "a: count errors, not hits. b: what can the square of an error be if both numbers are 0 or 1? c: which average "
        "of the recalls weighs a class by its rows? f: 1.96 standard errors are half the interval.",
        "a: of 17 errors in 100, 2 are gone. b: the error rate. c: hits over all rows, whatever the class. f: one "
        "standard error is .007 / 1.96 with 2,000 users; .004 should be 2.8 of them, and they fall with the root of n.",
    ),
)
def judge_report(verdict):
    quiz(
        verdict,
        {
            "a: share of the majority's errors removed": Question(
                2 / 17,
                {
                    0.02: "that is the gain in accuracy; the majority makes 17 errors in 100. What share is gone?",
                    0.85: "that is the accuracy, .83 of which need no model: count errors.",
                    0.15: "that is the share of errors that is left of all rows; compare 15 errors with 17.",
                    0.02 / 0.83: "you compare hits, 85 by 83; compare errors, 15 and 17.",
                    2 / 15: "you divide by the model's errors: the baseline's 17 are what can be removed.",
                    15 / 17: "that is what is left of the errors; asked is what is gone.",
                },
                "the majority class makes 17 errors in 100 rows, the model 15.",
            ),
            "b: the MSE must be": Question(
                0.15,
                {
                    0.09: "it is what the report says; a wrong 0 or 1 is off by 1, and 1 squared is 1. Add up.",
                    0.15**2: "you square the error rate: square each row's error, 0 or 1, then average.",
                    0.15**0.5: "that is its root, RMSE.",
                    0.3: "a wrong answer is off by 1, not by 2.",
                },
                "both numbers are 0 or 1, so a row's squared error is 0 or 1; how many are 1?",
            ),
            "c: .82 cannot be the recall": Question(
                "by rows",
                {
                    "of buyers": "it can: with .82 of the buyers (17%) found and .856 of the others, accuracy is .85.",
                    "of others": "it can: with .82 of the others (83%) found and nearly all buyers, accuracy is .85.",
                    "by classes": "it can: .77 of the buyers and .87 of the others make .82, and accuracy .85.",
                },
            ),
            "d: .59 beside .12 is": Question(
                "not comparable",
                {
                    "better": "guessing gets 10/101 in one, 10/1,600 in the other: .59 beats it 6 times, .12 19 times.",
                    "worse": "6 times guessing against 19 times suggests it, but is no bridge (07.4): use one test.",
                    "equal": "nothing says so: two different tests, and no figure common to both.",
                },
            ),
            "f: users to see .004": Question(
                12_500,
                {
                    2000 * (7 / 4) ** 2: "then a true .004 is missed every second time: 1.96 + 0.84 errors.",
                    5000: "2.5 times too small a signal needs 2.5 squared times the users.",
                    8000: "that halves the interval to .0035 on either side, and a true .004 is often missed still.",
                },
                "the standard error is .007 / 1.96 with 2,000 users, and .004 should be 2.8 of them.",
            ),
            "holds as it stands": Question(
                "g",
                {
                    "a": "the gain is 4 rows of 200, without an interval; the standard error of the accuracy "
                    "alone is .025.",
                    "b": "accuracy .85 and MSE .09 of the same 0 and 1 contradict each other.",
                    "c": "nobody can check a recall without its class or its average: ask for the table by class.",
                    "d": "two tests that ask different things: ask for the full ranking of both models on one split.",
                    "e": "the best of 50 is the luckiest, too: ask for a choice on validation users.",
                    "f": "an interval from -.003 to .011 allows for a loss: ask for more users before praise.",
                },
            ),
        },
    )
