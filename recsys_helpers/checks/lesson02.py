"""Exercises of lesson 02, interest from text with BERT: NumPy only, so that a check takes no model."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from recsys_helpers.checks.core import Question, Wrong, compare, exercise, numbers, quiz
from recsys_helpers.checks.lesson01 import shifted, softmax


@exercise(
    "02.1",
    "Pack two texts for BERT",
    points=2,
    why="BERT was trained on exactly this layout; any other reaches it as a foreign language.",
    hints=(
        "First settle how many pieces of B fit: three places go to [CLS] and the two [SEP]. Cut B, then assemble.",
        "ids = [cls, *a, sep, *b, sep]; segments = [0] * (len(a) + 2) + [1] * (len(b) + 1); mask = [1] * len(ids). "
        "Then fill all three up to the length: ids with the id of [PAD], the other two with 0.",
    ),
)
def judge_pack(pack):
    small, minilm = {"[PAD]": 5, "[CLS]": 2, "[SEP]": 3}, {"[PAD]": 0, "[CLS]": 101, "[SEP]": 102}
    cases = (
        ([7, 8, 9], [10, 11], minilm, 12),  # room to spare
        ([7, 8], [10, 11, 12], minilm, 8),  # fits exactly
        ([7, 8, 9], [10, 11, 12, 13], minilm, 8),  # too long by two
        ([7, 8, 9, 10], [11], small, 10),  # another vocabulary, whose [PAD] is not 0
        ([27, 28, 29], [20, 21, 22, 23], small, 9),  # too long by one
        ([17, 18, 19], [20, 21], small, 12),  # room again: an answer may remember
        ([7, 8, 9], [10, 11], minilm, 6),  # no room for B
        ([7, 8], [], minilm, 9),  # no B
    )
    for a, b, special, length in cases:
        pad, cls, sep = special["[PAD]"], special["[CLS]"], special["[SEP]"]

        def fill(row, filler, length=length):
            return row + [filler] * (length - len(row))

        whole = [cls, *a, sep, *b, sep]
        kept = b[: length - len(a) - 3]
        row, left, right = [cls, *a, sep, *kept, sep], len(a) + 1, len(kept)
        free = length - len(row)
        packed = pack(a, b, special, length)
        try:
            ids, segments, mask = packed
        except (TypeError, ValueError):
            raise Wrong("return three rows in this order: token ids, segment ids, padding mask.") from None
        compare(
            ids,
            fill(row, pad),
            f"the token ids of A={a}, B={b}, length {length}",
            (
                row,
                f"rows of different lengths make no batch: fill this one up to {length} places with the id of [PAD].",
            ),
            (
                fill([0, *a, 2, *kept, 2], pad),
                "0 and 2 are the article's ids for [CLS] and [SEP]; look both up in `special`, the model's vocabulary.",
            ),
            (
                fill([101, *a, 102, *kept, 102], pad),
                "101 and 102 belong to one vocabulary; another has other ids. Look [CLS] and [SEP] up in `special`.",
            ),
            (fill(row, 0), "you pad with 0; look up the id of [PAD] in `special`."),
            (
                fill(whole[:length], pad),
                "cutting the finished row took the last [SEP] with it: shorten B first, then put [SEP] behind it.",
            ),
            (
                fill([cls, *a[: max(length - len(b) - 3, 0)], sep, *b, sep], pad),
                "you shortened A; cut pieces off the end of B and keep A whole.",
            ),
            *(
                [
                    (
                        fill([cls, *a, sep], pad),
                        "an empty B still closes with a [SEP] of its own: two stand side by side.",
                    )
                ]
                if not kept
                else []
            ),
            (
                fill([cls, *a, sep, *b[: max(1, right)], sep], pad),
                "you keep a piece of B although none fits: B may be cut to nothing.",
            ),
            (
                fill(whole, pad),
                f"the row does not fit into {length} places: cut pieces off the end of B until it does.",
            ),
            (fill([cls, *a, *kept, sep], pad), "no [SEP] stands between A and B, so they read as one text."),
            (fill([cls, *a, sep, *kept], pad), "the [SEP] that closes B is missing."),
            (fill([*a, sep, *kept, sep], pad), "the row has to begin with [CLS]."),
            ([pad] * free + row, "you pad on the left; fill up on the right, behind the last [SEP]."),
        )
        compare(
            segments,
            fill([0] * (left + 1) + [1] * (right + 1), 0),
            f"the segment ids of A={a}, B={b}, length {length}",
            (
                [0] * length,
                "all segment ids are 0, so BERT cannot tell the two texts apart: B and the [SEP] behind it are 1.",
            ),
            (
                fill([0] * left + [1] * (right + 2), 0),
                "the [SEP] between the texts closes A, so it belongs to segment 0.",
            ),
            (
                fill([0] * (left + 1) + [1] * right + [0], 0),
                "the last [SEP] closes B, so it belongs to segment 1.",
            ),
            (fill([0] * (left + 1) + [1] * (right + 1), 1), "padding belongs to neither text; its segment id is 0."),
            (fill([1] * (left + 1) + [0] * (right + 1), 0), "the segments are swapped: A is 0 and B is 1."),
        )
        compare(
            mask,
            fill([1] * len(row), 0),
            f"the padding mask of A={a}, B={b}, length {length}",
            (
                [1] * length,
                "the mask is 1 everywhere, so BERT attends to padding as if it were text: "
                "it is 1 for the real places only.",
            ),
            (fill([0] * len(row), 1), "the mask is inside out: 1 marks a real place and 0 padding."),
            (
                fill([0] + [1] * len(a) + [0] + [1] * right + [0], 0),
                "[CLS] and [SEP] are real places too; only padding gets a 0.",
            ),
        )


@exercise(
    "02.2",
    "Average the real tokens only",
    points=2,
    why="a text's vector no longer depends on how much padding its neighbours in the batch forced on it.",
    hints=(
        "Add up the vectors of the real places, then divide by how many there are, for each text separately.",
        "Give the mask a feature axis, mask = mask[:, :, None]: then (vectors * mask).sum(axis=1) / mask.sum(axis=1).",
    ),
)
def judge_mean_pool(mean_pool):
    rng = np.random.default_rng(2)
    cases = (([3, 2, 4], 5, 4, 0), ([6, 1], 6, 3, 0), ([3, 2, 4], 5, 4, 1), ([4, 3, 1], 5, 4, 0))
    for lengths, length, d, first in cases:  # in one case the padding comes first, which the mask tells
        lengths = np.array(lengths)
        vectors = rng.normal(2, 1, size=(len(lengths), length, d))
        mask = np.arange(length) < lengths[:, None]
        mask = mask[:, ::-1] if first else mask
        kept = vectors * mask[:, :, None]
        with np.errstate(all="ignore"):
            compare(
                mean_pool(vectors, mask),
                kept.sum(1) / lengths[:, None],
                "the text vectors",
                (
                    vectors.mean(1),
                    "you average the padding too; what BERT writes there is no zero and means nothing. Use the mask.",
                ),
                (
                    kept.mean(1),
                    "you divide by the padded length, so short texts get short vectors: "
                    "divide by the number of real tokens.",
                ),
                (
                    (vectors * (np.arange(length) < lengths[:, None])[:, :, None]).sum(1) / lengths[:, None],
                    "you take the first places of each text; the mask tells which places are real, here the last ones.",
                ),
                (vectors[:, 0], "that is the vector of [CLS] alone; average over all real tokens."),
                (kept.sum(1), "that is the sum of the real tokens; divide by how many each text has."),
                (
                    kept.sum(1) / mask.sum(),
                    "you divide by the real tokens of the whole batch; each text has its own number.",
                ),
                (
                    np.where(mask[:, :, None], vectors, -np.inf).max(1),
                    "that is the largest value of each feature; asked is the mean.",
                ),
                (
                    vectors.mean(2),
                    "you average over the features, axis 2, which leaves one number a token: "
                    "average over the places, axis 1.",
                ),
                (
                    kept.mean(2),
                    "the mask is right, but you average over the features: average over the places, axis 1.",
                ),
                (
                    (vectors - kept).sum(1) / (~mask).sum(1, keepdims=True),
                    "you average the padding and leave out the text: the mask is True where a token is real.",
                ),
                (
                    (kept.sum(1) - kept[:, 0]) / (lengths - mask[:, 0])[:, None],
                    "you leave out [CLS]; it is a real place, and its mask is True.",
                ),
                (
                    kept.sum((0, 1)) / mask.sum(),
                    "you average over the whole batch; every text gets a vector of its own.",
                ),
            )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@exercise(
    "02.3",
    "Mend the article's softmax: probabilities over the interests",
    points=2,
    why="a softmax compares, so it needs all categories at once; of a single number it always says 1.",
    hints=(
        "Scale users and categories to length 1 first. All cosines are then one matrix product of shape (users, "
        "interests).",
        "cosines = unit(user) @ unit(categories).T, where unit scales each row to length 1; then a softmax of cosines "
        "/ temperature over the last axis, shifted by each row's maximum as in exercise 01.1.",
    ),
)
def judge_probabilities(interest_probabilities):
    rng = np.random.default_rng(3)
    for users, interests, temperature in ((3, 5, 0.2), (1, 4, 2.0), (4, 4, 0.5), (3, 5, 0.2)):
        user = rng.normal(size=(users, 6)) * rng.uniform(1, 3, size=(users, 1))
        categories = rng.normal(size=(interests, 6)) * rng.uniform(1, 3, size=(interests, 1))
        cosine, dot = unit(user) @ unit(categories).T, user @ categories.T
        compare(
            interest_probabilities(user, categories, temperature),
            softmax(cosine / temperature),
            "the probabilities",
            (
                np.ones_like(cosine),
                "every probability is 1, the article's result: a softmax of one number is always 1. "
                "Give it all of a user's categories at once.",
            ),
            (
                softmax(dot / temperature),
                "you compare dot products, so a long category vector wins by its length: "
                "scale both sides to length 1 first.",
            ),
            (
                softmax(unit(user) @ categories.T / temperature),
                "the users have length 1, the categories not; a cosine needs both.",
            ),
            (
                softmax(user @ unit(categories).T / temperature),
                "the categories have length 1, the users not; a cosine needs both.",
            ),
            (
                softmax(cosine * temperature),
                "you multiply by the temperature; a low one has to sharpen, so divide by it.",
            ),
            (softmax(cosine), "the temperature makes no difference: divide the cosines by it before the softmax."),
            (
                softmax(cosine) / temperature,
                "you divided the probabilities by the temperature, so they no longer sum to 1: divide the cosines.",
            ),
            (
                softmax(cosine / temperature, axis=0),
                "your probabilities sum to 1 over the users; each user's sum to 1 over the categories.",
            ),
            (
                softmax(cosine / temperature, axis=None),
                "your probabilities sum to 1 over all users together; each user has 1 to share out.",
            ),
            (
                cosine / temperature,
                "these are the cosines divided by the temperature; the softmax over the categories is still to come.",
            ),
            (
                1 / (1 + np.exp(-cosine / temperature)),
                "a sigmoid judges each category alone, so a row does not sum to 1; a softmax compares them.",
            ),
        )
    with np.errstate(all="ignore"):
        scores = cosine / 1e-4
        compare(
            interest_probabilities(user, categories, 1e-4),
            softmax(scores),
            "the probabilities at temperature 0.0001",
            *(
                (
                    shifted(scores, by),
                    "at temperature 0.0001 the exponentials overflow: take off each row's maximum first, "
                    "as in exercise 01.1.",
                )
                for by in (0, *(of(scores, axis=-1, keepdims=True) for of in (np.min, np.mean, np.median)))
            ),
            (
                shifted(scores, scores.max()),
                "one maximum for all users leaves a row of low scores with nothing but 0: take off each row's own.",
            ),
        )


@exercise(
    "02.4",
    "Predict: what the temperature does",
    points=2,
    why="temperature sets how sure the answer sounds, never which answer it is; only held-out data can say how sure "
    "is right.",
    hints=(
        "Dividing all scores by one positive number keeps their order and stretches or shrinks their differences.",
        "For the number: e to the .1, .2, .3, .4 and .5 are 1.11, 1.22, 1.35, 1.49 and 1.65.",
    ),
)
def judge_temperature(predictions):
    quiz(
        predictions,
        {
            "largest of five at T=1": Question(
                0.242,
                {
                    0.5: "a cosine is no probability: the five have to share 1 after the softmax.",
                    0.333: "you divided .5 by the sum 1.5; a softmax divides the exponentials.",
                    1: "1.0 is the article's mistake, a softmax of a single number; here five share.",
                    0.2: "nearly: .2 would be five equal shares, and the best is a little above that.",
                },
                "divide e to the .5 by the sum of all five exponentials.",
            ),
            "entropy as T goes to 0": Question(
                "falls to 0",
                {
                    "grows": "a small T stretches the differences, so one category takes all and no doubt is left.",
                    "stays": "the scores are divided by T: their differences grow without end, and the shares move.",
                },
            ),
            "each of five at T=1000": Question(
                0.2,
                {
                    0: "all five cannot be 0: they sum to 1.",
                    1: "all five cannot be 1: they sum to 1.",
                    0.001: "T divides the scores, not the probabilities: five nearly equal scores share 1.",
                },
                "divided by 1000 the five scores are nearly equal; share 1 among five.",
            ),
            "order of the categories": Question(
                "stays",
                {
                    "reverses": "only a negative T would turn the order round.",
                    "becomes random": "nothing is drawn at random: the best score keeps the best probability.",
                },
            ),
            "0.9 at T=0.05 means": Question(
                "nothing yet",
                {
                    "right 9 times in 10": "another T would have said .4 or 1.0 of the same cosines. Only a T fitted "
                    "on held-out comments earns that reading.",
                    "0.9 of the user": "a probability of this comment's topic says nothing of how the user's interest "
                    "is shared out.",
                },
            ),
        },
    )


@exercise(
    "02.5",
    "Warm up, then decay to zero",
    points=2,
    why="small first steps spare what pre-training taught while Adam's averages settle; small last ones let it "
    "converge.",
    hints=(
        "Two straight lines that meet at the peak: one climbs from step 0 to `warmup`, one falls from there to "
        "`total`.",
        "Up: peak * step / warmup. Down: peak * (total - step) / (total - warmup), and never below 0.",
    ),
)
def judge_schedule(learning_rate):
    for peak, warmup, total in ((3e-2, 10, 100), (1.0, 3, 11)):
        step = np.arange(0, total + 6)
        up, down = peak * step / warmup, peak * (total - step) / (total - warmup)
        right = np.maximum(np.minimum(up, down), 0)
        climbing = step < warmup

        def bounded(rate):
            return np.maximum(rate, 0)

        compare(
            [numbers(learning_rate(int(s), peak, warmup, total), "a rate") for s in step],
            right,
            f"the rates of steps 0 to {total + 5} (peak {peak}, warm-up {warmup}, total {total})",
            (
                bounded(np.minimum(down, peak)),
                "there is no warm-up: the first step already takes the peak. Climb from 0 at step 0.",
            ),
            (
                bounded(peak * (total - step) / total),
                "one line from the peak at step 0 down to 0: the warm-up, a climb from 0, is missing.",
            ),
            (
                np.minimum(up, peak),
                "after the warm-up the rate stays at its peak: it has to fall to 0 at the last step.",
            ),
            *(
                (
                    limited(np.where(climbing, up, peak * (total - step) / total)),
                    "the decay is measured from step 0, so the rate never reaches its peak: "
                    "let it fall from the peak at `warmup`.",
                )
                for limited in (bounded, np.asarray)
            ),
            (
                bounded(np.where(climbing, up, peak * (1 - (step - warmup) / total))),
                "the decay takes `total` steps, so at the end it has not reached 0: it has total - warmup steps.",
            ),
            (
                bounded(np.where(climbing, peak * (step + 1) / warmup, down)),
                "the warm-up is one step ahead: at step 0 the rate is 0, at step `warmup` it is the peak.",
            ),
            (
                bounded(np.where(step <= warmup, peak * step / (warmup + 1), down)),
                "the warm-up is one step too long: at step `warmup` the rate is the peak already.",
            ),
            (np.minimum(up, down), "beyond the last step your rate is negative, which unlearns: stop at 0."),
            (right / peak, "your rate climbs to 1, whatever the peak is: multiply by it."),
            (
                np.where(
                    climbing, up, peak / 2 * (1 + np.cos(np.pi * np.minimum((step - warmup) / (total - warmup), 1)))
                ),
                "that is a cosine decay; asked is a straight line down to 0.",
            ),
        )


@exercise(
    "02.6",
    "Accuracy by trap, with a baseline and an interval",
    points=2,
    why="an accuracy says something only beside a baseline, apart for the hard cases, and with its uncertainty.",
    hints=(
        "For the baseline find the most frequent true interest once, over all comments; then score it within each"
        " trap. For the interval think of a new sample of comments: as many as before, drawn with replacement.",
        "rng = np.random.default_rng(seed); draws = rng.choice(correct, size=(resamples, len(correct))); "
        "np.percentile(draws.mean(axis=1), [2.5, 97.5]).",
    ),
)
def judge_accuracy(accuracy_by_trap, accuracy_interval):
    # each trap has a favourite of its own, and the model has another than the comments
    truth = np.repeat(["art", "history", "science"], [6, 4, 2])
    trap = np.repeat(["plain", "past", "negation"], [5, 4, 3])
    predicted = np.repeat(["art", "science", "history", "science", "art"], [3, 3, 2, 3, 1])
    _judge_by_trap(accuracy_by_trap, truth, predicted, trap)
    # no trap has the favourite of all comments, art, for its own, but the smallest
    truth = np.repeat(["history", "art", "science", "art", "art"], [3, 1, 3, 2, 3])
    trap = np.repeat(["plain", "past", "negation"], [4, 5, 3])
    _judge_by_trap(accuracy_by_trap, truth, np.roll(truth, 2), trap)
    rng = np.random.default_rng(61)
    _judge_by_trap(
        accuracy_by_trap,
        rng.choice(["music", "sport", "travel"], 60, p=[0.2, 0.5, 0.3]),
        rng.choice(["music", "sport", "travel"], 60),
        rng.choice(["plain", "mixed"], 60),
    )
    _judge_interval(accuracy_interval)


def _judge_by_trap(accuracy_by_trap, truth, predicted, trap):
    def table(accuracy, baseline):
        return [[accuracy(trap == kind), baseline(trap == kind)] for kind in kinds]

    def share(label):
        return lambda of: (truth[of] == label).mean()

    def frequent(labels):
        return Counter(labels.tolist()).most_common(1)[0][0]

    kinds = sorted(set(trap.tolist()))
    report = accuracy_by_trap(truth, predicted, trap)
    if not isinstance(report, Mapping) or set(report) != set(kinds):
        raise Wrong(f"return a dict with one entry a trap: {', '.join(kinds)}.")
    right = (truth == predicted).astype(float)
    most = frequent(truth)

    def accuracy(of):
        return right[of].mean()

    compare(
        [report[kind] for kind in kinds],
        table(accuracy, share(most)),
        f"the pairs (accuracy, baseline) of {', '.join(kinds)}",
        (
            table(accuracy, lambda of: share(frequent(truth[of]))(of)),
            "your baseline picks a new favourite for each trap, which nobody knows beforehand: "
            "take the most frequent true interest of all comments.",
        ),
        *(
            (
                table(accuracy, share(frequent(truth[trap == kind]))),
                "your baseline's favourite is that of a single trap; take the most frequent true interest of all "
                "comments.",
            )
            for kind in kinds
        ),
        (
            table(accuracy, share(frequent(predicted))),
            "your baseline's favourite is what the model says most often; take the most frequent true interest.",
        ),
        (
            table(accuracy, lambda of: share(most)(slice(None))),
            "the baseline is scored over all comments; score it within each trap, as the model is.",
        ),
        (
            table(lambda of: right.mean(), share(most)),
            "every trap shows the same accuracy, that of all comments: pick the comments of one trap first.",
        ),
        (
            table(lambda of: right[of].sum() / len(right), share(most)),
            "you divide by the number of all comments; divide by those of the trap.",
        ),
        (
            table(lambda of: 1 - right[of].mean(), share(most)),
            "that is the error rate; the accuracy is the share of right answers.",
        ),
        (
            table(share(most), accuracy),
            "the pair is swapped: the model's accuracy first, then the baseline's.",
        ),
    )


def _judge_interval(accuracy_interval):
    many = 500
    for right_answers, size, resamples in ((400, many, 1000), (4, 5, 400)):  # the second is skewed
        correct = np.repeat([1.0, 0.0], [right_answers, size - right_answers])
        mean, error = correct.mean(), correct.std() / np.sqrt(size)
        # the reference draws the number of right answers directly: binomial, as in sampling with replacement
        means = np.random.default_rng(62).binomial(size, mean, 50_000) / size
        low, high = np.percentile(means, [2.5, 97.5])
        ends = numbers(accuracy_interval(correct, resamples, 6), "the interval")
        if ends.shape != (2,):
            raise Wrong(f"return two numbers, the low and the high end; yours have shape {ends.shape}.")
        if np.isnan(ends).any():
            raise Wrong(f"the interval of {right_answers} right answers in {size} holds NaN.")
        if ends[0] > ends[1]:
            raise Wrong("the ends are swapped: the low one comes first.")
        width = ends[1] - ends[0]
        if width == 0 and abs(ends[0] - mean) < 1e-9:
            raise Wrong(
                "both ends are the accuracy itself: drawing all comments without replacement gives the same comments. "
                "Draw with replacement."
            )
        if np.allclose(ends, [0, 1]):
            raise Wrong(
                "0 to 1 is the range of single answers: take the percentiles of the resampled means, "
                "one mean a resample."
            )
        if ends[0] <= 1 - mean <= ends[1] < mean:
            raise Wrong("that is the interval of the share of wrong answers; asked is that of the right ones.")
        if ends[1] < mean:
            raise Wrong(
                "both ends lie below the accuracy: np.percentile counts in percent, 2.5 and 97.5, not .025 and .975."
            )
        if np.allclose(ends, [mean - correct.std(), mean + correct.std()], rtol=0.02):
            raise Wrong(
                "that is the mean plus and minus the spread of single answers; the mean of many varies far less. "
                "Take percentiles of the resampled means."
            )
        if ends[1] > 2:
            raise Wrong("your interval is in percent: give shares, from 0 to 1.")
        turned = [2 * mean - high, 2 * mean - low]
        if size < many and np.allclose(ends, turned, atol=0.01):
            raise Wrong(
                "your ends are twice the accuracy minus the percentiles, which is another bootstrap, the basic one: "
                "return the percentiles themselves."
            )
        if ends[1] > 1:
            raise Wrong(
                "your interval ends above 1, which no accuracy can: that is a normal curve laid over the mean. "
                "Take percentiles of the resampled means."
            )
        if size < many and abs(ends[0] - (mean - 1.96 * error)) < 0.01:
            raise Wrong(
                "your low end is the mean minus 1.96 standard errors, a normal curve that was cut off at 1; near 1 the "
                "means are skewed. Take percentiles of the resampled means."
            )
        if size == many and abs(width - 2 * error) < 0.25 * error:
            raise Wrong(
                "that is one standard error to each side, about 68%; 95% lie between the percentiles 2.5 and 97.5."
            )
        if size == many and abs(width - 2 * 1.645 * error) < 0.2 * error:
            raise Wrong(
                "your interval holds 90%: 5% are cut off at each end; 95% lie between the percentiles 2.5 and 97.5."
            )
        # 1,000 draws place an end to within .09 standard errors. The means of 5 answers stand so far apart that both
        # ends are one of them, whatever is drawn.
        if max(abs(ends[0] - low), abs(ends[1] - high)) > (0.33 if size == many else 0.1) * error:
            raise Wrong(
                f"for {right_answers} right answers in {size} the ends should lie near {low:.3f} and {high:.3f}; "
                f"yours are {ends[0]:.3f} and {ends[1]:.3f}."
            )
    certain = numbers(accuracy_interval(np.ones(12), 50, 6), "the interval")
    if not np.allclose(certain, 1):
        raise Wrong(
            f"where all answers are right, every resample has the mean 1, and so both ends; yours are {certain}."
        )
    correct = np.repeat([1.0, 0.0], [400, 100])
    # seeds far apart: whoever draws with seed + i may have the same draws for neighbours
    few = np.array([numbers(accuracy_interval(correct, 50, 1000 * seed), "the interval") for seed in (*range(6), 0)])
    if not np.allclose(few[0], few[-1]):
        raise Wrong("the same seed gives another interval each time: draw from np.random.default_rng(seed).")
    if not np.ptp(few, axis=0).any():
        raise Wrong("every seed gives the same interval: draw from np.random.default_rng(seed), with the `seed` given.")
    if few[:-1].std(axis=0).max() < 0.12 * correct.std() / np.sqrt(len(correct)):  # .33 is usual
        raise Wrong("of 50 resamples your ends are steadier than so few can be: draw as many as `resamples` says.")


@exercise(
    "02.7",
    "Read a result that is too good",
    points=2,
    why="a leak looks like success; asking where a jump comes from is cheaper than believing it.",
    hints=(
        "Compare what the two rows feed the model with what the model is asked for.",
        "What would a program without any learning score that just looks for the words Comedy, Drama, Horror?",
    ),
)
def judge_leak(reading):
    quiz(
        reading,
        {
            "why .399 becomes .921": Question(
                "leak",
                {
                    "longer text": "it is not the length that tells: the added words are the labels themselves.",
                    "better model": "model and classifier are the same in both rows; only the text differs.",
                    "luck": "the gap of .52 over 1,682 films is some 40 standard errors.",
                },
            ),
            "honest accuracy of genre from text": Question(
                0.399,
                {
                    0.921: "that one was told the answer: the genre words stand in the text.",
                    0.522: "the difference measures the leak, not what the title tells.",
                    0.66: "averaging an honest number with a leaked one makes no honest number.",
                },
                "choose the row whose text does not hold the answer.",
            ),
            "check for it": Question(
                "blind",
                {
                    "more folds": "all folds leak alike: their agreement only makes the wrong number firmer.",
                    "bigger model": "a bigger model finds the leaked words all the sooner.",
                    "shuffle": "shuffling the rows keeps each text beside its label, so the leak stays.",
                },
            ),
            "genre words as input are fine for": Question(
                "next film",
                {
                    "genre": "the answer would stand in the question.",
                    "nothing": "a word is a leak only of what it tells: the genre is known before a user picks a film.",
                },
            ),
        },
    )
