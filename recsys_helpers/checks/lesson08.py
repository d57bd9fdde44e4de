"""Exercises of lesson 08, the whole recommender: NumPy only; items, candidates and users count from 0."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from recsys_helpers.checks.core import Attempt, NotAttempted, Wrong, compare, describe, exercise, numbers


def softmax(logits: np.ndarray) -> np.ndarray:
    """The reference: exp(logits) by its sum, shifted so that nothing overflows."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def standardised(parts: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and standard deviation 1; a constant one becomes 0."""
    return (parts - parts.mean(axis=0)) / np.where(np.ptp(parts, axis=0) == 0, np.inf, parts.std(axis=0))


def wrong_scales(parts: np.ndarray):
    """What may be made of raw scores, of which none is constant, in the place of standard ones."""
    middle, spread, low = parts.mean(axis=0), parts.std(axis=0), parts.min(axis=0)
    yield parts, "you weigh raw scores, so the part with the largest numbers decides: standardise each part first."
    yield standardised(parts.T).T, "you standardise over the parts: a part is standardised over the candidates, axis 0."
    yield (parts - parts.mean()) / parts.std(), "one mean and one spread for the whole table: each part has its own."
    yield parts - middle, "the means are gone, the spreads are not: divide each part by its standard deviation."
    yield parts / spread, "you divide by the spread but keep the mean: subtract each part's mean first."
    yield parts / parts.max(axis=0), "you divide by each part's maximum: subtract the mean, divide by the deviation."
    yield (parts - low) / np.ptp(parts, axis=0), "you stretch each part to 0..1: one outlier then squeezes the others."
    yield (parts - middle) / spread**2, "you divide by the variance: divide by its root, the standard deviation."
    yield (parts - middle) / parts.std(axis=0, ddof=1), "you divide by n - 1: these are all candidates, so divide by n."
    for small in (1e-3, 1e-6, 1e-8, 1e-9, 1e-12):
        yield (
            (parts - middle) / (spread + small),
            "you add a small number to the deviation, so that parts of small numbers lose weight: ask whether one is "
            "constant.",
        )
    for constant in (np.isclose(spread, 0), np.isclose(parts.max(axis=0), low), spread < 1e-8, spread < 1e-6):
        yield (
            (parts - middle) / np.where(constant, np.inf, spread),
            "a part of small numbers, or of numbers near each other, passes for constant: compare max with min.",
        )
    ranks = parts.argsort(axis=0).argsort(axis=0)
    yield ranks, "you took ranks: they forget by how much one candidate is ahead."
    for scaled in (ranks / (len(parts) - 1), (ranks + 1) / len(parts), standardised(ranks)):
        yield scaled, "you took ranks and rescaled them; how far ahead a candidate is stays lost: use the scores."


def wrong_gates(gate: np.ndarray):
    """What may be made of the logits in the place of their softmax."""
    yield gate, "the gate is not softmaxed: its logits weigh the parts, some negatively. Weights are positive shares."
    yield np.exp(gate), "the exponentials of the gate are right but nothing divides them: divide them by their sum."
    yield gate / gate.sum(), "you divide the logits by their sum; a softmax divides their exponentials."
    yield 1 / (1 + np.exp(-gate)), "you take a sigmoid of each logit: the parts then do not compete for 1."
    yield np.ones_like(gate), "the contributions are not weighted: multiply each standardised part by its weight."
    yield gate**0 / len(gate), "every part weighs the same: the gate makes no difference."
    yield np.eye(len(gate))[gate.argmax()], "only the strongest part speaks: the softmax lets all in, by their weight."
    yield softmax(-gate), "your gate is upside down: the largest logit makes the largest weight."


def two(returned):
    try:
        scores, contributions = returned
    except (TypeError, ValueError):
        raise Wrong("return two arrays in this order: the scores, the contributions.") from None
    return scores, contributions


def _requests():
    """Raw scores and gates: parts of all sizes, of small numbers, and of numbers near each other."""
    rng = np.random.default_rng(81)
    for candidates, parts in ((5, 3), (4, 4), (9, 2)):
        raw = rng.normal(size=(candidates, parts)) * 10.0 ** rng.integers(-1, 3, parts) + rng.normal(size=parts) * 5
        yield raw, rng.normal(size=parts) * 1.5
    for candidates, size in ((6, 1e-4), (7, 4e-9)):  # as of a softmax over few items, and over many
        yield rng.normal(size=(candidates, 3)) * [1, size, 30], rng.normal(size=3)
    for gate in ([0.5, 0.2], [-0.5, 1.0]):
        step = 2.0**-17  # 8 numbers that 32 bits tell apart, as they do their mean
        yield (
            np.stack([rng.normal(size=8), 1 + step * rng.permutation([0, 0, 0, 1, 1, 1, 1, 0])], axis=1),
            np.array(gate),
        )


@exercise(
    "08.1",
    "A score and its reasons",
    points=2,
    why="the reasons add up to the score, so nothing is made up; they explain the model, not the person.",
    hints=(
        "Take each column's mean off and divide by its standard deviation; make shares of the gate; multiply the two, "
        "and add up over the parts. Think of a column whose deviation is 0.",
        "constant = np.ptp(parts, axis=0) == 0; divide by np.where(constant, np.inf, parts.std(axis=0)). weights = "
        "softmax of the gate, its maximum taken off first. Return (weights * z).sum(axis=1) and weights * z.",
    ),
)
def judge_contributions(contributions):
    rng = np.random.default_rng(81)
    for raw, gate in _requests():
        z, weights = standardised(raw), softmax(gate)
        right, (scores, each) = z * weights, two(contributions(raw, gate))
        compare(
            each,
            right,
            "the contributions",
            (right.sum(1), "scores and contributions are swapped: return the scores first."),
            *((wrong * weights, message) for wrong, message in wrong_scales(raw)),
            (raw, "these are the raw scores of the parts: standardise them and weigh them."),
            *((z * wrong, message) for wrong, message in wrong_gates(gate)),
            (right / right.sum(1)[:, None], "you give shares of the score: a reason is a summand, with its unit."),
            (np.abs(right), "you drop the sign: a part may also speak against a candidate."),
        )
        compare(
            scores,
            right.sum(1),
            "the scores",
            (right.mean(1), "your score is the mean of its contributions: they have to add up to it."),
            (right.sum(0), "you add up over the candidates: a score is the sum over the parts, axis 1."),
            (
                raw @ weights,
                "the score is made of raw parts, the reasons of standard ones: they must add up to it.",
            ),
            (z.sum(1), "the score adds up the parts without their weights, so the reasons are not its own."),
        )
    raw, gate = rng.normal(size=(6, 4)) * [1, 0, 0, 1] + [0, 0.1, 0, 0], rng.normal(size=4)
    z, moving = standardised(raw), np.array([1, 0, 0, 1])
    with np.errstate(all="ignore"):
        naive = (raw - raw.mean(0)) / raw.std(0)
        rounded = (raw - raw.mean(0)) / np.where(raw.std(0) == 0, 1, raw.std(0))
        shared = z * moving * np.exp(gate) / (np.exp(gate) * moving).sum()
    compare(
        two(contributions(raw, gate))[1],
        z * softmax(gate),
        "the contributions with constant parts",
        (naive * softmax(gate), "a constant part makes 0 by 0: it cannot tell candidates apart and contributes 0."),
        (rounded * softmax(gate), "by rounding, .1 everywhere has a deviation of 1e-17, not 0: compare max with min."),
        (np.where(moving, z, raw) * softmax(gate), "a constant part keeps its raw value: it contributes 0."),
        (np.where(moving, z, 1) * softmax(gate), "a constant part counts 1 with you: it says nothing, so 0."),
        (shared, "you share a constant part's weight out among the others: the gate's weights stay as they are."),
        ((z * softmax(gate))[:, moving == 1], "a constant part is left out: keep its column, full of zeros."),
    )
    raw = raw[:, [0, 3, 0]]
    for logits in ([1000.0, 999.0, -1000.0], [1000.0, 0.0, -10.0], [2000.0, 2000.0, -3000.0]):
        gate = np.array(logits)
        with np.errstate(all="ignore"):
            naive, mean, middle = (np.exp(gate - shift) for shift in (0, gate.mean(), np.median(gate)))
            compare(
                two(contributions(raw, gate))[1],
                standardised(raw) * softmax(gate),
                "the contributions with logits near 1000",
                (
                    standardised(raw) * (mean / mean.sum()),
                    "you take off the mean, and a logit far above it still overflows: take off the maximum.",
                ),
                (
                    standardised(raw) * (middle / middle.sum()),
                    "you take off the median, and a logit far above it still overflows: take off the maximum.",
                ),
                (
                    standardised(raw) * (naive / naive.sum()),
                    "large logits overflow: take their maximum off before np.exp.",
                ),
            )


def unseen(fast: np.ndarray, seen, hidden: float = -np.inf) -> np.ndarray:
    """The fast scores of one request, with what was seen put out of the race."""
    reach = np.array(fast, dtype=float)
    reach[np.asarray(seen, dtype=int)] = hidden
    return reach


def best(scores: np.ndarray, n: int) -> np.ndarray:
    return np.argsort(-scores, kind="stable")[:n]


def shares(fast: np.ndarray, targets: np.ndarray, seen, n: int) -> tuple[float, list[tuple[float, str]]]:
    """The recall of n candidates, and what mistakes give in its place."""
    reach, everybody = np.array(list(map(unseen, fast, seen))), np.unique(np.concatenate(seen))
    together = np.array([unseen(row, everybody[everybody != t]) for row, t in zip(fast, targets, strict=True)])

    def masked(value):
        return np.array([unseen(row, known, value) for row, known in zip(fast, seen, strict=True)])

    def found(scores, n):
        return np.array([target in best(row, n) for row, target in zip(scores, targets, strict=True)])

    return (right := found(reach, n).mean()), [
        (found(fast, n).mean(), "the recall lets seen items take places among the n: mask them first, in each row."),
        *(
            (
                found(masked(value), n).mean(),
                "the recall gives masked items a score that lower ones do not reach: mask with -inf.",
            )
            for value in (0, -1000, np.inf)
        ),
        (found(together, n).mean(), "the recall masks what anybody has seen: each user's row has its own."),
        (found(reach, n).sum(), "that counts the users whose target is found: their share is asked."),
        (right * 100, "that is in per cent: give a share from 0 to 1."),
        (right / n, "that is the precision: one target among n candidates. Recall asks whether it is there at all."),
        (1 - right, "that is the share that stage 1 loses: recall is the share that it finds."),
        (found(-fast, n).mean(), "the recall takes the n lowest scores: the highest are the best."),
        (found(reach, n + 1).mean(), "the recall looks at n + 1 candidates: a target at rank n is the last to count."),
    ]


@exercise(
    "08.2",
    "Two stages",
    points=2,
    why="what stage 1 loses, stage 2 cannot bring back: the recall of the candidates bounds the hit rate of the list.",
    hints=(
        "Put the seen items at minus infinity in a copy of `fast`, take the n best positions, order those alone by "
        "`slow`. For the recall ask of each user whether fewer than n unseen items stand above the target.",
        "candidates = np.argsort(-reach)[:n]; then candidates[np.argsort(-slow[candidates])[:k]]: the inner positions "
        "count among the candidates, so look them up there.",
    ),
)
def judge_stages(two_stage, candidate_recall):
    rng = np.random.default_rng(82)
    for items, n, k, known in (
        (40, 12, 5, 6),
        (25, 6, 6, 4),
        (15, 5, 1, 0),
        (12, 7, 4, 5),
        (10, 6, 6, 4),
        (9, 7, 7, 2),
    ):
        fast, slow = 0.73 * (rng.permutation(items) - 0.9 * items), rng.permutation(items) - 0.4567 * items
        fast -= 300 * (items == 25)
        if n == k and n + known == items:  # all that is unseen is shown, the last item as the last of stage 1
            fast[[fast.argmin(), -1]] = fast[[-1, fast.argmin()]]
        seen = rng.choice(items - 1, known, replace=False)
        slow[seen[:2]] += items  # what one took before would come high again
        right = best(unseen(fast, seen), n)
        order, late, zero = right[best(slow[right], n)], best(fast, n), unseen(fast, seen, 0)

        def by_slow(chosen, k=k, slow=slow):
            return chosen[best(slow[chosen], k)]

        compare(
            two_stage(fast, slow, seen, n, k),
            order[:k],
            "the list",
            (
                by_slow(best(fast, n)),
                "seen items are in the race: give them -inf in a copy of `fast`, then choose.",
            ),
            (by_slow(late[~np.isin(late, seen)]), "you mask after choosing, so fewer than n are left: mask first."),
            (
                right[:k],
                "your list is ranked by `fast`: that only chooses the candidates, `slow` puts them in order.",
            ),
            (best(unseen(slow, seen), k), "`slow` sees all items: it may only order the n candidates of stage 1."),
            (best(slow, k), "`slow` sees all items, even those seen: it may only order the n candidates."),
            (by_slow(right[:k], n), "only k candidates come from stage 1: n of them, of which k are shown."),
            (by_slow(best(unseen(-fast, seen), n)), "stage 1 takes the lowest scores: the highest are the best."),
            (right[best(-slow[right], k)], "stage 2 puts the worst first: sort by `slow` in descending order."),
            (order[:k][::-1], "these are the right items, the best last: the best comes first."),
            (best(slow[right], k), "these are places among the candidates: look up which items stand there."),
            (order[:k] + 1, "your items count from 1: give positions, from 0."),
            (slow[order[:k]], "these are scores: give the positions of the items."),
            (
                right[best((fast + slow)[right], k)],
                "you order by the sum of both: stage 2 alone decides the order.",
            ),
            (
                right[best((fast * slow)[right], k)],
                "you order by the product of both, where two bad scores make a good one.",
            ),
            *(
                (
                    by_slow(np.append(right[:-1], item)) if n + known == items else order[:k],
                    "a masked item has the lowest score, and ties with the last unseen one: mask with -inf.",
                )
                for item in seen
            ),
            (
                by_slow(best(zero, n)),
                "a masked item has score 0, which beats every negative score: mask with -inf.",
            ),
            *(
                (
                    by_slow(best(unseen(fast, seen, value), n)),
                    "masked items come first with you, since all scores can be lower: mask with -inf.",
                )
                for value in (-1, -10, -100)
            ),
        )
    for users, items, n, low, step in (
        (40, 30, 6, 0, 1),
        (25, 50, 10, 0, 1),
        (60, 12, 3, 0, 1),
        (30, 20, 5, -30, 1),
        (35, 15, 4, -3000, 1),
        (50, 18, 6, 0, 1e4),
    ):
        fast = low + step * rng.normal(size=(users, items))
        picks = [rng.permutation(best(row, 2 * n))[: rng.integers(2, n + 2)] for row in fast]
        targets, seen = np.array([row[0] for row in picks]), [row[1:] for row in picks]
        recall, mistakes = shares(fast, targets, seen, n)
        compare(candidate_recall(fast, targets, seen, n), recall, "the candidate recall", *mistakes)


def cosines(text: np.ndarray, texts: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(texts, axis=1) * np.linalg.norm(text)
    return np.divide(texts @ text, lengths, out=np.zeros(len(texts)), where=lengths > 0)


def weighed(closeness: np.ndarray, weights: np.ndarray, vectors: np.ndarray, n: int) -> np.ndarray:
    """The mean of the n vectors of largest closeness, by weights that are cut off at 0."""
    near = best(closeness, n)
    weights = np.maximum(weights, 0)[near]
    return weights @ vectors[near] / weights.sum() if weights.any() else np.zeros(vectors.shape[1])


def wrong_places(text: np.ndarray, texts: np.ndarray, vectors: np.ndarray, n: int):
    """The places where mistakes put a new film, each with its message."""
    cosine, product = cosines(text, texts), texts @ text
    level = np.where((texts.sum(axis=1) == 0) | (text.sum() == 0), 0, cosine)
    raised = product / (np.linalg.norm(texts, axis=1) * np.linalg.norm(text) + 1e-6)
    near, right = best(cosine, n), weighed(cosine, cosine, vectors, n)
    own, signed = np.maximum(cosine[near], 0), cosine[near] @ vectors[near]
    for closeness, weights, message in (
        (product, product, "you compare by dot product: a long text is then near everything. Take cosines."),
        (product, cosine, "the nearest are chosen by dot product, where long texts win: choose by cosine."),
        (level, level, "a text whose entries sum to 0 is not blank: only one of zeros has cosine 0."),
        (raised, raised, "you add a small number to the lengths, so that short texts count less: only 0 needs care."),
        (cosine, product, "you weigh by dot products, so that a long text counts more: weigh by cosines."),
        (cosine, cosine**0, "all neighbours weigh the same: weigh each by its cosine."),
        (cosine, np.exp(cosine), "you weigh by a softmax: it believes even those that are not alike."),
        (-cosine, cosine, "you take the farthest films, which should have no say: argsort puts the smallest first."),
        (-np.linalg.norm(texts - text, axis=1), cosine, "the nearest are chosen by distance: choose by cosine."),
        (cosine, 1 - cosine, "you weigh by the distance 1 - cosine: the nearest then counts least."),
        (cosine, cosine**2, "you square the cosines: their sign is lost, and the nearest count too much."),
        (cosine, (1 + cosine) / 2, "you move cosines to 0..1: a film that is not alike at all then counts."),
        (np.abs(cosine), np.abs(cosine), "you take a text that points away for a near one: its cosine keeps its sign."),
        (cosine, np.abs(cosine), "you drop the cosine's sign: one that points away counts 0, not as alike."),
        (np.where(cosine < cosine.max(), cosine, -9), cosine, "you skip the nearest film: none is the new one itself."),
    ):
        yield weighed(closeness, weights, vectors, n), message
    yield weighed(cosine, cosine, vectors, len(texts)), "every film is asked: only the nearest count."
    yield signed / cosine[near].sum(), "negative cosines weigh, too: they count 0, or a film is pushed away."
    yield own @ vectors[near], "the weights are not divided by their sum: more neighbours make it longer."
    yield own @ vectors[near] / n, "you divide by the number of films: divide by the sum of the weights."
    yield vectors[near[0]], "only the nearest film speaks: take the mean over `neighbours` films."
    yield weighed(cosine, cosine, texts, n), "you mix texts: the film needs a place among the vectors, as users have."
    yield right / (np.linalg.norm(right) or 1), "you make its length 1: lengths are part of the space, leave it."
    yield own[:, None] * vectors[near], "the weighing is done; now add up over the films, axis 0."
    other = cosines(text, vectors) if texts.shape == vectors.shape else cosine
    yield weighed(other, other, vectors, n), "you compare a text with vectors: those are two spaces. Compare texts."
    yield weighed(other, cosine, vectors, n), "the nearest are chosen by vectors: the new film is not among them."


@exercise(
    "08.3",
    "A place for a new film",
    points=2,
    why="nobody has seen the film, but its text has neighbours that people have seen: it starts where they are.",
    hints=(
        "Cosines between the new text and all texts; the positions of the largest ones; their vectors, weighted by "
        "the cosines, divided by the sum of the weights. Then ask what happens where you divide by 0.",
        "nearest = np.argsort(-cosine)[:neighbours]; w = np.maximum(cosine[nearest], 0); w @ vectors[nearest] / "
        "w.sum(), or zeros if no weight is positive. A text of zeros has cosine 0.",
    ),
)
def judge_cold(cold_vector):
    rng = np.random.default_rng(83)
    for films, d, width, n, tilt in ((9, 3, 3, 3, 0.8), (12, 4, 2, 5, 0.5), (6, 4, 4, 5, 0.0), (5, 2, 3, 1, 0)):
        text = rng.normal(size=d)
        texts = (rng.normal(size=(films, d)) + tilt * text) * 10.0 ** rng.uniform(-1.5, 1, (films, 1))
        if n == 5:  # three are near, and some of the five are not
            texts *= np.where(np.arange(films) < 3, 1, -1)[:, None] * np.sign(texts @ text)[:, None]
        vectors = rng.normal(size=(films, width))
        cosine, mistakes = cosines(text, texts), wrong_places(text, texts, vectors, n)
        compare(cold_vector(text, texts, vectors, n), weighed(cosine, cosine, vectors, n), "the vector", *mistakes)
    for text, texts in (
        ([2.0, 0.0, 1.0], [[1.0, -1, 0], [2, 1, 1], [3, -4, 1], [0, 2, 1]]),  # some sum to 0
        ([1.0, -1.0], [[2.0, 1], [3, -3], [1, 0]]),
        ([1.0, 2.0], [[1e-3, 0], [2, 2], [0, 3], [4e-4, 5e-4]]),  # some are short
        ([3.0, 1.0], [[2e-3, 1e-3], [1, 3], [-1, 1]]),
    ):
        text, texts, vectors = np.array(text), np.array(texts), rng.normal(size=(len(texts), 3))
        cosine, mistakes = cosines(text, texts), wrong_places(text, texts, vectors, 2)
        compare(cold_vector(text, texts, vectors, 2), weighed(cosine, cosine, vectors, 2), "the vector", *mistakes)
    text, texts = np.array([2.0, 1.0, 0.0]), np.array([[0.0, 0, 0], [1, 0, 0], [-1, 0, 1], [0, 0.2, 0.1]])
    vectors = rng.normal(size=(4, 3)) + 1
    cosine = cosines(text, texts)
    nothing = np.full(3, np.nan), "a film without a text has length 0 and makes 0 by 0: its cosine counts 0."
    what, right = "the vector beside a blank text", weighed(cosine, cosine, vectors, 4)
    compare(cold_vector(text, texts, vectors, 4), right, what, nothing)
    places, none = vectors[[1, 3], :1], np.full(1, np.nan)
    for case, given in (("a text that is like no other", -texts[1] * 9 - texts[3] * 9), ("no text at all", text * 0)):
        naive = none, f"{case} leaves weights of 0, and 0 by 0 is no number: the vector is zeros."
        used = [np.full(2, 9.0) for _ in range(9)]  # memory that is not 0 by chance, should the answer leave some unset
        del used
        mean = places.mean(0), f"{case} says nothing: give zeros, not the mean of films that are not alike."
        compare(cold_vector(given, texts[[1, 3]], places, 2), np.zeros(1), f"for {case}, the vector", naive, mean)


# The form of 08.4: words, with the least number of them that a stranger needs; figures; what may be concluded.
WORDS = {"question": 4, "change": 2, "protocol": 3}
FIGURES = ("model value", "baseline value")
CONCLUSIONS = ("better", "worse", "no difference shown")
ONE_SEED = (  # as a protocol may admit it
    r"\b(one|single|1)\b[ -]([a-z]+ ){0,2}(seed|run)\b",
    r"\bseed \d+ (only|alone)\b|\bseeds?: (one|1)\b",
    r"(一|单|1)\s*个?[^，。；,;]{0,6}种子",
    r"种子[^，。；,;]{0,4}(一|1)\s*个",
)
ROUNDING = 2e-4  # of figures given to four digits


def figure(value, what: str) -> float:
    try:
        array = numbers(value, what)  # of whichever library
    except Wrong:
        array = np.array(np.nan)
    if array.ndim or isinstance(value, bool) or not np.isfinite(array):
        raise Wrong(f"{what} should be a number; you gave {describe(value)}.")
    return float(array)


def words(text: str) -> int:
    """How many words a text has; a Chinese word is two characters, about."""
    return len(text.split()) + len(re.findall("[\u4e00-\u9fff]", text)) // 2


def faults(given: Mapping):
    """What may be wrong with a filled form, one after the other: (whether it is, message)."""
    for key, least in WORDS.items():
        text = given[key]
        yield not isinstance(text, str), f"{key!r} should be told in words; you gave {describe(text)}."
        yield not text.strip(), f"{key!r} is blank: tell it so that a stranger could do the same."
        yield words(text) < least, f"{key!r} = {text!r} is too short for a stranger to do the same."
    question, change, protocol, told = (str(given[key]).strip().lower() for key in (*WORDS, "conclusion"))
    yield (
        not {"?", "？"} & set(question),
        "'question' asks nothing: state it as a question, as it stood before the result.",
    )
    yield question == change, "'change' repeats the question: tell which one thing is different from the baseline."
    model, baseline = values = [figure(given[key], repr(key)) for key in FIGURES]
    for key, value in zip(FIGURES, values, strict=True):
        yield value > 1, f"{key!r} is {value:g}: give a share from 0 to 1, not per cent."
        yield value < 0, f"{key!r} is {value:g}: no share is below 0; take a measure where more is better."
    gain = given["gain"]
    listed = np.iterable(gain) and not isinstance(gain, Iterator)
    yield not listed or len(gain) != 3, "'gain' should be three numbers: the difference, low, high."
    gain, low, high = (figure(value, "each part of 'gain'") for value in gain)
    yield from gain_faults(model, baseline, gain, low, high)
    yield from seed_faults(given["seeds"], protocol)
    where, shown = f"the interval from {low:g} to {high:g}", CONCLUSIONS[0 if low > 0 else 1 if high < 0 else 2]
    yield told not in CONCLUSIONS, f"'conclusion' = {told!r}: choose one of {', '.join(map(repr, CONCLUSIONS))}."
    if told != shown:
        yield low <= 0 <= high, f"'{told}' is more than {where} says: it holds 0. 'no difference shown' counts in full."
        yield told == CONCLUSIONS[2], f"{where} leaves 0 out, so a difference is shown: say '{shown}'."
        yield True, f"'{told}' contradicts {where}, which lies wholly on the other side of 0."


def gain_faults(model: float, baseline: float, gain: float, low: float, high: float):
    right = model - baseline

    def near(value):  # near 0 every unit looks alike
        return abs(value - right) <= ROUNDING < abs(right) / 2

    if abs(gain - right) > ROUNDING:
        yield near(-gain), "the gain has the wrong sign: it is the model's value minus the baseline's."
        yield near(gain / 100), "the gain is in per cent, the values are shares: one unit for all."
        yield near(gain * baseline), "the gain is relative to the baseline: give the plain difference."
        yield near(gain - baseline), "the gain is the model's own value: give the difference from the baseline."
        yield True, f"the gain is not the difference: {model:g} - {baseline:g} is {right:.4f}, you say {gain:g}."
    yield low > high, f"the interval is the wrong way round: its low end {low:g} is above its high end {high:g}."
    yield low == high and (low or right), "the interval has no width, but with other users the gain would be another."
    around = abs(low + high) <= ROUNDING and abs(gain) > max(ROUNDING, high / 4)
    if not low - ROUNDING <= gain <= high + ROUNDING:
        yield low <= model <= high, "the interval is that of the model's value: give that of the difference."
    yield low <= -1 or high >= 1, "shares from 0 to 1 differ by less than 1 on average: the interval goes too far."
    yield around, "the interval lies around 0: give the gain minus and plus its half width."
    if not low - ROUNDING <= gain <= high + ROUNDING:
        yield True, f"the interval from {low:g} to {high:g} does not hold the gain {gain:g}: of the same users?"


def seed_faults(seeds, protocol: str):
    if isinstance(seeds, str | bytes):
        yield seeds.strip().lower() != "nothing random", "'seeds' lists what you ran, or says 'nothing random'."
        return
    listed = np.iterable(seeds) and not isinstance(seeds, Iterator)
    yield not listed, "'seeds' lists the seeds themselves, such as [1, 2, 3], not how many there were."
    ran = [figure(seed, "each seed") for seed in seeds]
    yield not ran, "'seeds' is empty: list the seeds that you ran, or say 'nothing random' if nothing is drawn."
    yield any(seed % 1 for seed in ran), "a seed is a whole number: list the seeds that you ran."
    yield len(set(ran)) < len(ran), "one seed is listed more than once: the same seed gives the same run again."
    admitted = len(ran) > 1 or any(re.search(pattern, protocol) for pattern in ONE_SEED)
    yield not admitted, "one run cannot tell luck from gain: run more seeds, or admit 'one seed' in the protocol."


@exercise(
    "08.4",
    "A report that agrees with itself",
    points=2,
    why="your figures and your words say the same thing. Whether they are well earned, a person will judge.",
    hints=(
        "`gain` is (model value - baseline value, low, high): the interval is that of the difference, over the same "
        "users. The conclusion follows from where 0 lies.",
        "interval(model_gains - baseline_gains) gives the three figures of `gain`. 'better' needs low > 0, 'worse' "
        "high < 0; anything else is 'no difference shown', and it counts in full.",
    ),
)
def judge_report(report: Attempt):
    given, keys = report.answer, (*WORDS, *FIGURES, "gain", "seeds", "conclusion")
    if not isinstance(given, Mapping):
        raise Wrong(f"`report` should be a dict with the keys {', '.join(map(repr, keys))}.")
    if missing := [repr(key) for key in keys if given.get(key) is None or given[key] is ...]:
        raise NotAttempted(f"`report` has no answer yet to {', '.join(missing)}.")
    for there, message in faults(given):
        if there:
            raise Wrong(message)
