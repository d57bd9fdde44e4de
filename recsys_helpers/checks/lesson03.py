"""Exercises of lesson 03, strength of interest: NumPy only; a like is a rating of 4 or 5."""

from collections.abc import Callable, Collection
from itertools import islice, product
from typing import Any

import numpy as np

from recsys_helpers.checks.core import Attempt, Question, Wrong, compare, describe, exercise, numbers, quiz
from recsys_helpers.checks.lesson01 import softmax


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Strength of a score: from 0 to 1."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logit))


def log_loss(logit: np.ndarray, liked: np.ndarray) -> float:
    """Mean binary cross-entropy, from the logits so that no logarithm meets a 0."""
    return float(np.mean(np.logaddexp(0, logit) - liked * logit))


def unpack(returned: Any, *names: str) -> tuple:
    """The parts of what a student's function returned; Wrong if they are not as many as there are names."""
    try:
        parts = tuple(islice(returned, len(names) + 1))  # no more of it: it may have no end
    except TypeError:
        parts = ()
    if len(parts) != len(names):
        raise Wrong(f"return {len(names)} results in this order: {', '.join(names)}.")
    return parts


def shrunk_mean(index: np.ndarray, value: np.ndarray, size: int, damping: float) -> np.ndarray:
    """Sum of the values of each index, divided by damping + how many there are; 0 where there are none."""
    return np.bincount(index, value, size) / np.maximum(damping + np.bincount(index, minlength=size), 1)


@exercise(
    "03.1",
    "Damped biases",
    points=2,
    why="fame of the film and generosity of the user are taken off, with caution where there are few ratings; "
    "what remains is this user's interest in this film.",
    hints=(
        "Three steps: mu from all ratings; the films' biases from what mu leaves; the users' biases from what mu and "
        "the film's bias leave. A bias is a sum of leftovers, divided by the damping plus their number.",
        "np.bincount(item, weights, minlength=n_items) adds up by film, and without weights it counts. "
        "b_item[item] gives each rating its film's bias. Where nobody rated, see that you do not divide by 0.",
    ),
)
def judge_biases(damped_biases):
    rng = np.random.default_rng(46)  # of the last case, one user and one film have a single rating
    for n_users, n_items, size, damping in ((6, 5, 17, 2.0), (5, 8, 20, 0.5), (7, 6, 18, 0), (7, 6, 18, 0)):
        # user 1, film 0 and the last of both have no rating
        cell = rng.choice((n_users - 1) * (n_items - 1), size, replace=False)
        user, item = np.divmod(cell, n_items - 1)
        rated = (user != 1) & (item != 0)
        user, item = user[rated], item[rated]
        rating = rng.integers(1, 6, size=len(user)).astype(float)
        mu = rating.mean()
        b_item = shrunk_mean(item, rating - mu, n_items, damping)
        rest = rating - mu - b_item[item]
        got = unpack(
            damped_biases(user, item, rating, n_users, n_items, damping), "mu", "the users' biases", "the films' biases"
        )
        first = rating - mu - shrunk_mean(user, rating - mu, n_users, damping)[user]
        by_user, by_film = (
            np.mean([rating[index == one].mean() for one in np.unique(index)]) for index in (user, item)
        )
        compare(
            got[0],
            mu,
            "mu",
            (by_user, "that is the mean of the users' means; mu is the mean of all ratings, each counting once."),
            (by_film, "that is the mean of the films' means; mu is the mean of all ratings, each counting once."),
            (np.median(rating), "that is the median; mu is the mean of all ratings, so that what is left sums to 0."),
            (3, "3 is the middle of the scale; mu is the mean of all ratings."),
        )
        b_user = shrunk_mean(user, rest, n_users, damping)
        later, rounds = b_user, []
        for _ in range(9):
            again = shrunk_mean(item, rating - mu - later[user], n_items, damping)
            later = shrunk_mean(user, rating - mu - again[item], n_users, damping)
            rounds.append((again, "you went on after the first round; asked is one: films, then users, and no more."))
        compare(
            got[2],
            b_item,
            "the films' biases",
            (b_user, "the biases are swapped: return mu, then the users' biases, then the films'."),
            (
                shrunk_mean(item, first, n_items, damping),
                "you took the users' biases first; here the films go first, then the users have what is left.",
            ),
            *_bias_mistakes(item, rating - mu, rating, n_items, damping, "the films'"),
            *rounds,
        )
        compare(
            got[1],
            b_user,
            "the users' biases",
            (
                shrunk_mean(user, rating - mu, n_users, damping),
                "the films' biases were not taken off first, so whoever watches good films passes for generous.",
            ),
            *_bias_mistakes(user, rest, rating - b_item[item], n_users, damping, "the users'"),
        )


def _bias_mistakes(index, rest, with_mu, size, damping, who):
    """What goes wrong alike for films and for users."""
    count, total = np.bincount(index, minlength=size), np.bincount(index, rest, size)
    last = np.zeros(size)
    last[index] = rest
    once = (
        f"in {who} biases only the last rating of each counts: `bias[index] += ...` writes a repeated index once. "
        "Use np.bincount or np.add.at."
    )
    with np.errstate(all="ignore"):
        right, mean = total / (damping + count), total / count
    undamped = f"the damping makes no difference in {who} biases: divide by damping + n, not by n."
    short = (
        f"{who} biases end too early, as the last have no ratings: one bias for each, so give np.bincount a minlength."
    )
    return (
        (
            right,
            f"where nobody rated, {who} biases with damping 0 are 0 divided by 0, which is no number: they are 0.",
        ),
        (mean, undamped),
        (np.nan_to_num(mean), undamped),
        (total, f"{who} biases are only added up so far: divide by the damping plus the number of ratings."),
        (
            shrunk_mean(index, with_mu, size, damping),
            f"mu is still in {who} biases: take it off each rating before you add up.",
        ),
        (last / np.maximum(damping + count, 1), once),
        (last / (damping + 1), once),
        (right[: index.max() + 1], short),
        (np.nan_to_num(right)[: index.max() + 1], short),
        (
            np.bincount(index, rest, size) / np.maximum(count, 1) / (damping or 1),
            f"for {who} biases you divided the means by the damping; add it to the number of ratings instead.",
        ),
    )


def numeric_gradient(loss: Callable[[np.ndarray], float], weights: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Slope of the loss in each weight, by moving one weight at a time a step up and a step down."""
    gradient = np.zeros_like(weights)
    for place in np.ndindex(*weights.shape):
        move = np.zeros_like(weights)
        move[place] = step
        gradient[place] = (loss(weights + move) - loss(weights - move)) / (2 * step)
    return gradient


@exercise(
    "03.2",
    "Mend the article's backpropagation",
    points=2,
    why="the error at the score is strength minus label; each weight's gradient is its input times the error behind "
    "it, and errors travel back through the transposed weights.",
    hints=(
        "Mend from the end: the error at the logits needs the labels; a weight's gradient needs what went into it; "
        "the way back through w2 is the transpose of the way there. Shapes tell: a gradient has that of its weight.",
        "The error is (strength - liked) / liked.size. Layer input transposed, times the error behind the layer, is "
        "the layer's gradient. Before w1 the error is times w2 transposed, and 0 where the ReLU was shut.",
    ),
)
def judge_gradients(strength_gradients):
    rng = np.random.default_rng(32)
    # w2 is square at first: only then does a missing transpose pass unnoticed by NumPy
    for users, d, width, items in ((7, 3, 4, 4), (5, 4, 6, 2), (6, 2, 3, 1), (5, 4, 6, 2)):
        x, liked = rng.normal(size=(users, d)), rng.integers(0, 2, size=(users, items))
        w1, w2 = rng.normal(size=(d, width)), rng.normal(size=(width, items))
        _judge_net(strength_gradients, x, liked, w1, w2)


def _judge_net(strength_gradients, x, liked, w1, w2):
    hidden = np.maximum(x @ w1, 0)
    strength = sigmoid(hidden @ w2)
    error, slope = strength - liked, strength * (1 - strength)
    right_w1 = numeric_gradient(lambda w: log_loss(np.maximum(x @ w, 0) @ w2, liked), w1)
    right_w2 = numeric_gradient(lambda w: log_loss(hidden @ w, liked), w2)
    d_w1, d_w2 = unpack(strength_gradients(x, liked, w1, w2), "the gradient of w1", "the gradient of w2")
    errors = (
        (error, ""),
        (
            strength * slope,
            "the output error is the article's, the sigmoid times its own derivative. No label is in it, so it is "
            "never negative and drives every strength down: the error is strength - liked.",
        ),
        (
            error * slope,
            "the sigmoid's derivative is one too many: that factor belongs to squared error. Cross-entropy cancels "
            "it, and strength - liked remains.",
        ),
        (-error, "the sign is turned round, so each step would raise the loss: strength - liked."),
        (strength, "no label is in your output error: it is strength - liked, not strength."),
    )
    sizes = (
        (liked.size, ""),
        (1, "your gradients are those of a sum; the loss is a mean over all pairs: divide by liked.size."),
        (len(liked), "you divide by the users; the loss is a mean over all users and items: divide by liked.size."),
    )
    ways_w2 = (
        (lambda e: hidden.T @ e, ""),
        (
            lambda e: e.sum(0),
            "the layer's input is missing in the gradient of w2; what you have would be that of a bias, whose "
            "input is 1. Multiply by what went in: hidden, transposed.",
        ),
        (lambda e: e.T @ hidden, "the gradient of w2 is transposed: it has the shape of w2."),
    )
    compare(
        d_w2,
        right_w2,
        "the gradient of w2",
        (right_w1, "the two gradients are swapped: that of w1 comes first."),
        *(
            (way(e) / size, of_error or of_way or of_size)
            for (e, of_error), (way, of_way), (size, of_size) in product(errors, ways_w2, sizes)
        ),
    )
    error = error / liked.size
    backs = [(error @ w2.T, "")]
    if w2.shape[0] == w2.shape[1]:
        backs.append(
            (
                error @ w2,
                "w2 is not transposed on the way back. It is square here, so NumPy did not complain; multiply the "
                "error by the transpose of w2.",
            )
        )
    gate = sigmoid(x @ w1)
    gates = (
        (hidden > 0, ""),
        (1, "the ReLU is missing on the way back: where it was shut (hidden is 0), no error passes."),
        (hidden, "you multiply by the ReLU's output; its derivative is 1 where it is open and 0 where it is shut."),
        (gate * (1 - gate), "you took the sigmoid's derivative for the hidden layer; its activation is a ReLU."),
    )
    ways_w1 = (
        (lambda e: x.T @ e, ""),
        (
            lambda e: e.sum(0),
            "the layer's input is missing in the gradient of w1; what you have would be that of a bias. "
            "Multiply by what went in: x, transposed.",
        ),
        (lambda e: e.T @ x, "the gradient of w1 is transposed: it has the shape of w1."),
    )
    rescaled = "the gradient of w1 is not the mean over all pairs: pass on the error you used for w2, as it is."
    compare(
        d_w1,
        right_w1,
        "the gradient of w1",
        *(
            (way(back * gate) * scale, of_back or of_gate or of_way or rescaled)
            for (back, of_back), (gate, of_gate), (way, of_way), scale in product(
                backs, gates, ways_w1, (1, liked.size, liked.shape[1], 1 / liked.size, 1 / len(liked))
            )
        ),
    )


LEAKS = {
    "rating given": "the label is made from it: a rating of 4 or 5 is a like. This is the article's mistake.",
    "film mean, all": "it holds this very rating, and later ones; among few ratings the label shines through.",
    "user mean, this one included": "from it and the mean before it anyone can work out the rating itself.",
    "favourite": "people mark what they have watched and liked, so it follows from the answer and comes too late.",
    "film vector, all": "the ratings you test on trained that vector; what was learned from the answers knows them.",
    "views next week": "next week has not happened when you predict; on old data it only looks as if it had.",
}
HONEST = {
    "film genres": "the catalogue had them before anyone opened the page.",
    "film mean, earlier": "only ratings given before this moment are in it; that is what makes it honest.",
    "films rated earlier": "it counts the past only, and is known when the page opens.",
    "age": "the profile was filled in at registration. Whether it is fair to use it is another question.",
    "friend's rating": "it is a rating, yet somebody else's, and a week old: known when the page opens.",
}


@exercise(
    "03.3",
    "Find the leaks",
    points=2,
    why="a feature is judged by its clock, not by its name: what is not known at the moment of prediction cannot help "
    "there, however well it scores on old data.",
    hints=(
        "Ask of each row: at the second when the page opens, is this value already fixed?",
        "Three kinds come too late: the answer itself, what follows from the answer, and whatever was averaged or "
        "trained over a time that includes the answer.",
    ),
)
def judge_leaks(leaks: Attempt):
    given = leaks.answer
    if isinstance(given, str) or not isinstance(given, Collection):
        raise Wrong("give a set of feature names, as in {'age', 'favourite'}.")
    named = {str(name).strip().lower() for name in islice(given, 100)}
    known = LEAKS | HONEST
    if unknown := sorted(named - known.keys()):
        raise Wrong(f"there is no feature {describe(unknown[0])}; the table has {', '.join(map(repr, sorted(known)))}.")
    for name, reason in LEAKS.items():
        if name not in named:
            raise Wrong(f"you keep {name!r}: {reason}")
    for name, reason in HONEST.items():
        if name in named:
            raise Wrong(f"you throw out {name!r}: {reason}")


def in_batch(logits: np.ndarray, axis: int = 1) -> np.ndarray:
    """Loss of each pair: minus the log of its share on the diagonal."""
    return np.logaddexp.reduce(logits, axis=axis) - np.diag(logits)


@exercise(
    "03.4",
    "In-batch softmax with the logQ correction",
    points=2,
    why="popular films turn up as negatives again and again; corrected, the batch stands in for a softmax over all "
    "films, and none pays for being popular.",
    hints=(
        "Three steps before the loss: take the log of each film's probability off its column; strike out the "
        "copies of a row's own film; leave the diagonal alone.",
        "scores - np.log(probability) corrects by column. A copy is where items[:, None] == items, the diagonal apart; "
        "minus infinity strikes it out. np.logaddexp.reduce(logits, axis=1) is the log of a row's sum.",
    ),
)
def judge_in_batch(in_batch_loss):
    rng = np.random.default_rng(34)
    films = np.array([3, 8, 4, 6, 9, 1])
    cases = (films[:5], films, films[[0, 1, 0, 2, 0, 1]], films[[5, 5, 5]], films[[3, 2, 2, 4]])
    for items, rare in zip(cases, (1, 1, 1e-7, 1, 1), strict=True):
        size = len(items)
        own, copies = np.eye(size, dtype=bool), (items[:, None] == items) & ~np.eye(size, dtype=bool)
        scores = rng.normal(0, 1.5, size=(size, size))
        probability = np.linspace(0.02, 0.4, 10)[items] * rare
        log_q = np.log(probability)
        raw, logits = np.where(copies, -np.inf, scores), np.where(copies, -np.inf, scores - log_q)
        right = in_batch(logits)
        later = (np.arange(size) > np.argmax(items[:, None] == items, axis=1)) & ~own
        negatives = np.logaddexp.reduce(np.where(own, -np.inf, logits), axis=1) - np.diag(logits)
        copied = "a copy of the user's own film counts against it as a negative: give it the logit minus infinity."
        compare(
            in_batch_loss(scores, items, probability),
            right.mean(),
            f"the loss of the films {items.tolist()}",
            (
                in_batch(scores - log_q).mean(),
                copied,
            ),
            (
                in_batch(raw).mean(),
                "the correction makes no difference: take log(probability) of the film off its column. Off a row, it "
                "cancels in the softmax.",
            ),
            (
                in_batch(raw + log_q).mean(),
                "you added the log of the probability, so popular films pay twice: subtract it.",
            ),
            (in_batch(raw - probability).mean(), "you subtracted the probability itself; subtract its logarithm."),
            (
                in_batch(raw / probability).mean(),
                "you divided the scores by the probability; it divides their exponentials, so subtract its logarithm.",
            ),
            (
                in_batch(np.where(own, scores, logits)).mean(),
                "the positive is not corrected: its film was drawn with a probability too, so correct every column.",
            ),
            (
                in_batch(np.where(own, logits, raw)).mean(),
                "only the positives are corrected; the negatives are what the batch draws too often.",
            ),
            (
                in_batch(logits, axis=0).mean(),
                "your softmax runs down the columns, over the users; each user compares films, along a row.",
            ),
            (
                negatives.mean(),
                "the positive is missing in the sum under the fraction: strike out its copies, not itself.",
            ),
            (np.inf, "you struck out the positive with its copies: keep the diagonal."),
            (
                in_batch(np.where(copies, 0, scores - log_q)).mean(),
                "a copy with the logit 0 still counts e to the 0, that is 1: minus infinity counts nothing.",
            ),
            (
                in_batch(np.where(copies, 0, scores) - log_q).mean(),
                "a copy with the score 0 still counts: minus infinity counts nothing.",
            ),
            (
                in_batch(np.where(later, -np.inf, scores - log_q)).mean(),
                "you struck a film's later copies out of every row. Only the user whose own film it is must not see "
                "them; for the others each is a fair draw.",
            ),
            (right.sum(), "that is the sum over the batch; take the mean."),
            (-right.mean(), "the sign is turned round: the loss is minus the log of the probability."),
            (
                np.exp(-right).mean(),
                "that is the mean probability of the positives; the loss is minus its log, by row.",
            ),
            (
                -np.log(np.exp(-right).mean()),
                "you took the log of a mean; take each row's log first, then the mean.",
            ),
            (
                log_loss(logits[~copies], own[~copies]),
                "you judge each pair by itself with a sigmoid; here the films of a row share out 1 by a softmax.",
            ),
        )
    for lifted, where in ((own, "far below"), (~own, "far above")):
        large = 400 * scores + 2500 * lifted
        logits = np.where(copies, -np.inf, large - log_q)
        got = in_batch_loss(large, items, probability)
        with np.errstate(all="ignore"):
            powers, gap = np.exp(logits), logits - np.diag(logits)[:, None]
            compare(
                got,
                in_batch(logits).mean(),
                f"the loss for scores in the hundreds, those of the others {where} the positive",
                *(
                    (
                        value,
                        "scores in the hundreds overflow: stay with logarithms, and take off each row's maximum before "
                        "np.exp.",
                    )
                    for value in (
                        -np.log(np.diag(powers / powers.sum(1, keepdims=True))).mean(),
                        np.mean(np.log(powers.sum(1)) - np.diag(logits)),
                    )
                ),
                *(
                    (
                        value,
                        "where another film's score is far above the positive's, your loss is infinite: a share "
                        "rounds to 0, or np.exp overflows. Take off each row's maximum, and take no log of a share.",
                    )
                    for value in (-np.log(np.diag(softmax(logits))).mean(), np.log(np.exp(gap).sum(1)).mean())
                ),
            )


@exercise(
    "03.5",
    "Expected calibration error",
    points=2,
    why="a strength of .8 promises 8 likes in 10; this says by how much such promises are missed, over all pairs.",
    hints=(
        "First a bin number for each pair, and see that 1.0 lands in the last bin. Then, for each bin that has any "
        "pairs: mean probability, share of likes, their distance, weighted by the bin's share of the pairs.",
        "np.minimum((probability * bins).astype(int), bins - 1) numbers the bins. Number of pairs times distance "
        "is the absolute value of the bin's sum of (probability - liked): an empty bin then adds 0 by itself.",
    ),
)
def judge_calibration_error(expected_calibration_error):
    rng = np.random.default_rng(35)
    p = rng.random(240)
    _judge_bins(expected_calibration_error, p, rng.random(240) < p**2 * (1.5 - p / 2), 10)  # every bin filled
    _judge_bins(expected_calibration_error, p, rng.random(240) < p**2, 4)
    gappy = np.concatenate([rng.uniform(0.01, 0.19, 30), rng.uniform(0.61, 0.79, 50)])
    _judge_bins(expected_calibration_error, gappy, rng.random(80) < 0.6, 10)
    certain = np.repeat([1.0, 0.93, 0.85, 0.0, 0.04], [5, 6, 4, 5, 6])
    liked = np.concatenate([[1, 1, 0, 0, 0], [1] * 6, [1] * 4, [0, 0, 1, 1, 1], [0] * 6]).astype(bool)
    _judge_bins(expected_calibration_error, certain, liked, 10)
    _judge_bins(expected_calibration_error, gappy, rng.random(80) < 0.6, 1)
    p = rng.random(240) ** 2
    _judge_bins(expected_calibration_error, p, rng.random(240) < p**2, 10)


def bin_numbers(p: np.ndarray, bins: int) -> np.ndarray:
    """The bin of equal width, counted from 0, in which each probability lies; 1.0 lies in the last."""
    return np.minimum((p * bins).astype(int), bins - 1)


def calibration_error(p: np.ndarray, liked: np.ndarray, bins: int = 10) -> float:
    """Share of the pairs times |mean probability - share of likes|, added up over the bins.

    Pairs times that distance is the absolute value of a bin's sum of (p - liked), so that an empty bin adds 0.
    """
    return np.abs(np.bincount(bin_numbers(p, bins), p - liked)).sum() / len(p)


def _judge_bins(expected_calibration_error, p, liked, bins):
    liked, place = liked.astype(float), bin_numbers(p, bins)
    right, sure, outer = calibration_error(p, liked, bins), np.maximum(p, 1 - p), (p * bins).astype(int)
    with np.errstate(all="ignore"):
        count = np.bincount(place, minlength=bins)
        share, promised, got = (
            count / len(p),
            np.bincount(place, p, bins) / count,
            np.bincount(place, liked, bins) / count,
        )
    gap, middle = np.abs(promised - got), (np.arange(bins) + 0.5) / bins
    signed = "bins that promise too much and bins that promise too little cancel: absolute values first, then the sum."
    no_bin = "pairs with the probability {} fall into no bin: {}."
    compare(
        expected_calibration_error(p, liked, bins),
        right,
        f"the error of {len(p)} pairs in {bins} bins",
        (np.sum(share * gap), "an empty bin makes the result no number, since it has no mean: leave it out."),
        (
            np.nanmean(gap),
            "every bin counts the same, however few pairs it holds: weight it by its share of the pairs.",
        ),
        (
            np.nansum(gap) / bins,
            "empty bins count as kept promises, and each bin the same: weight it by its share of the pairs.",
        ),
        (np.nansum(gap), "that is the sum of the distances: weight each by the bin's share of the pairs."),
        (right * len(p), "you weight by the number of pairs; by their share: divide by the number of all pairs."),
        (
            np.nansum(share * np.abs(middle - got)),
            "you compare with the middle of the bin; compare with the mean probability of the pairs in it.",
        ),
        (np.mean(p - liked), signed),
        (np.mean(liked - p), signed),
        (np.nansum(share * gap**2), "the distances are squared; take their absolute values."),
        (np.sqrt(np.nansum(share * gap**2)), "that is the root of mean squares; take absolute values."),
        (np.nanmax(gap), "that is the largest distance, the maximum calibration error; asked is the weighted mean."),
        (np.mean(np.abs(p - liked)), "you compare each pair with its own label; a share needs a bin of pairs."),
        (np.mean((p - liked) ** 2), "that is the Brier score, which mixes calibration with telling likes apart."),
        (
            sum(abs((p - liked)[part].sum()) for part in np.array_split(np.argsort(p), bins)) / len(p),
            "your bins hold equally many pairs; asked are bins of equal width, from 0 to 1.",
        ),
        (
            calibration_error(sure, (p >= 0.5) == liked, bins),
            "you bin by how sure the answer is, for yes and no alike; bin by the probability of a like.",
        ),
        *(
            (calibration_error(p[kept], liked[kept], bins) * scale, no_bin.format(*names))
            for kept, names in (
                (p < 1, (1.0, "the last one includes its upper end")),
                (p > 0, (0, "the first one includes its lower end")),
            )
            for scale in (1, kept.mean())
        ),
        (
            np.abs(np.bincount(outer, p - liked)).sum() / len(p),
            "the probability 1.0 gets a bin of its own, beyond the last one: it belongs to the last.",
        ),
        (calibration_error(p, liked), "you always make ten bins: make as many as `bins` says."),
    )


@exercise(
    "03.6",
    "Read a calibration plot",
    points=2,
    why="calibration is whether a number keeps its word; it says nothing of how well likes are told from the rest.",
    hints=(
        "Across is what was promised, up is what came. A dot below the line: promised too much.",
        "Dividing all logits by one number above 1 pulls every probability towards .5 and keeps the order. And look at "
        "the bars below before you believe a dot.",
    ),
)
def judge_plot(reading):
    quiz(
        reading,
        {
            "liked in the last bin, before": Question(
                0.78,
                {
                    0.97: "that is what was promised, on the axis across; read up: the share that was liked.",
                    0.22: "that is the share that was not liked.",
                    0.19: "that is the gap between promise and outcome.",
                },
                "the number stands beside the dot at the right end of the left picture.",
            ),
            "the model before is": Question(
                "overconfident",
                {
                    "underconfident": "it would then promise .7 where .9 are liked; here it promises .97 for .78.",
                    "too generous": "then all dots would lie below the line; at the left end they lie above it.",
                },
            ),
            "the temperature is": Question(
                "above 1",
                {
                    "below 1": "that would push the probabilities out to 0 and 1; here they moved to the middle.",
                    "1": "dividing by 1 changes nothing; the bars have moved from the ends to the middle.",
                },
            ),
            "AUC after": Question(
                "stays",
                {
                    "rises": "AUC asks only who stands above whom, and one divisor for all logits changes no order.",
                    "falls": "probabilities nearer to .5 still stand in the same order; AUC looks at nothing else.",
                },
            ),
            "first dot on the right is": Question(
                "noise",
                {
                    "miscalibrated": "look at its bar: 10 pairs stand behind it, so one like more moves the dot by .1.",
                    "a leak": "a leak makes a model look too good; here 10 pairs stand behind one dot.",
                },
            ),
            "ECE of answering .5 to all": Question(
                0,
                {
                    0.5: "each pair is off by .5, but a bin is judged as a whole: promised half, got half.",
                    1: "half was promised, and half are liked: no gap.",
                    0.25: "that is its Brier score; for the calibration error all pairs are in one bin, whose "
                    "promise is kept.",
                },
                "all pairs fall into one bin: what was promised there, and what came?",
            ),
        },
    )


def best_temperature(logit: np.ndarray, liked: np.ndarray) -> float:
    """T of the lowest log loss, by bisection: the loss is convex in 1/T, so its slope there changes sign once."""
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = np.sqrt(low * high)
        rising = np.mean((sigmoid(middle * logit) - liked) * logit) > 0
        low, high = (low, middle) if rising else (middle, high)
    return float(1 / middle)


def lowest(loss: Callable[[np.ndarray], float], logit: np.ndarray) -> float:
    """T at which this loss of the probabilities is lowest, to about one percent."""
    grid = np.geomspace(0.05, 20, 600)
    return float(grid[np.argmin([loss(sigmoid(logit / temperature)) for temperature in grid])])


def _pairs_to_calibrate(rng, factors, outliers):
    """Logits too large by each split's factor, whether liked, and the split, in mixed order.

    `outliers` is the share of pairs whose logit is confident and mistaken: there log loss and other measures part.
    """
    split = rng.permutation(np.repeat(["train", "validation", "test"], [500, 400, 300]))
    logit = rng.normal(0.3, 1.3, size=1200)
    liked = rng.random(1200) < sigmoid(logit)
    logit = np.where(rng.random(1200) < outliers, 2 - 1.5 * logit, logit)
    return logit * np.vectorize(factors.get)(split), liked.astype(float), split


@exercise(
    "03.7",
    "Fit the temperature",
    points=2,
    why="one number, fitted by log loss on data that nothing else was fitted on, makes a strength mean what it says, "
    "and no ranking changes.",
    hints=(
        "Two questions first: which pairs may choose T, and by which measure? Accuracy is blind to T: the sign of "
        "a logit does not change when it is divided.",
        "Take the validation pairs. For each T of a fine np.geomspace compute the mean of log(1 + e^s) - liked * s, "
        "where s = logit / T (np.logaddexp(0, s) is the first part, safe for any s); keep the T of the lowest.",
    ),
)
def judge_fitted_temperature(calibrate):
    rng = np.random.default_rng(36)
    cases = [
        _pairs_to_calibrate(rng, dict(zip(("train", "validation", "test"), factors, strict=True)), outliers)
        # the second has logits so small that no sigmoid rounds to 0 or 1; the third has logits of 40 and more
        for factors, outliers in (((0.6, 2.0, 4.5), 0.12), ((0.03, 0.1, 0.24), 0.05), ((4.0, 11.0, 20.0), 0.0))
    ]
    answers = []
    for case in cases:
        fitted, probability = unpack(calibrate(*case), "the temperature", "the probabilities of the test pairs")
        fitted = numbers(fitted, "the temperature")
        if fitted.size != 1 or not fitted.item() > 0:
            raise Wrong(f"the temperature should be one number above 0; yours is {describe(fitted.tolist())}.")
        answers.append((fitted.item(), probability))
    fits = [fitted for fitted, _ in answers]
    if np.allclose(fits, 1):
        raise Wrong("T = 1 leaves every logit as it is: choose the T with the lowest log loss on the validation pairs.")
    if np.allclose(fits, fits[0]):
        raise Wrong(
            f"your T is {fits[0]:.3g} for each of the data sets. If accuracy chooses it: that is the same for every T, "
            "so the first one tried wins. Take the lowest log loss (the highest, or one that is NaN, would always end "
            "at one T, too)."
        )
    for (logit, liked, split), (fitted, probability) in zip(cases, answers, strict=True):
        _judge_one_temperature(logit, liked, split, fitted)
        test = logit[split == "test"]
        compare(
            probability,
            sigmoid(test / fitted),
            "the probabilities of the test pairs",
            (sigmoid(test), "T is right, but the test pairs have not been calibrated: divide their logits by T."),
            (sigmoid(test * fitted), "you multiply the test logits by T; divide them by it."),
            (sigmoid(test) / fitted, "you divide the probabilities by T; divide the logits, then take the sigmoid."),
            (test / fitted, "these are the test logits divided by T; the sigmoid is still to come."),
            (sigmoid(logit / fitted), "these are all pairs; return those of the test pairs only."),
            (
                sigmoid(logit[split == "validation"] / fitted),
                "these are the validation pairs; T is chosen on them and used on the test pairs.",
            ),
        )


def _judge_one_temperature(logit, liked, split, fitted):
    def near(other, tolerance=0.03):
        return abs(np.log(fitted / other)) < tolerance

    def part(*names):
        return logit[np.isin(split, names)], liked[np.isin(split, names)]

    s, y = part("validation")
    best = best_temperature(s, y)
    if near(best):
        return
    known = (
        (1 / best, "you return the factor that the logits are multiplied by; T divides them: return 1 over it."),
        (
            best_temperature(*part("test")),
            "T was fitted on the test pairs, which are there to judge it: fit it on the validation pairs.",
        ),
        (
            best_temperature(*part("train")),
            "T was fitted on the training pairs, whose labels the model has seen, so it looks better there than it is: "
            "fit T on the validation pairs.",
        ),
        (best_temperature(logit, liked), "T was fitted on all pairs, test pairs included: take the validation pairs."),
        (
            best_temperature(*part("train", "validation")),
            "training pairs helped to fit T; the model has seen their labels: take the validation pairs only.",
        ),
        (
            best_temperature(*part("test", "validation")),
            "test pairs helped to fit T; keep them for judging it: take the validation pairs only.",
        ),
        (
            lowest(lambda p: np.mean((p - y) ** 2), s),
            "T minimises the squared error, which forgives a confident mistake; minimise the log loss.",
        ),
        (
            lowest(lambda p: np.abs(p - y).mean(), s),
            "T minimises the distance between probability and label, which rewards overconfidence; "
            "minimise the log loss.",
        ),
    )
    lowest_error = lowest(lambda p: calibration_error(p, y), s)
    for other, message in known:
        if near(other):
            raise Wrong(message)
    if near(best, 0.2):
        raise Wrong(
            f"T = {fitted:.3g} is close, but {best:.3g} has a lower log loss on the validation pairs: "
            "search in finer steps, or further."
        )
    if calibration_error(sigmoid(s / fitted), y) < 1.15 * calibration_error(sigmoid(s / lowest_error), y):
        raise Wrong(
            "T minimises the calibration error, which jumps from bin to bin; minimise the log loss, then report the "
            "calibration error."
        )
    if fitted < best / 3:
        raise Wrong(
            f"your T is {fitted:.3g} where {best:.3g} is right. At so small a T the sigmoid rounds to exactly 1, and 0 "
            "times log 0 is no number: take the loss from the logits, log(1 + e^s) - liked * s."
        )
    raise Wrong(
        f"at your T = {fitted:.3g} the log loss of the validation pairs is {log_loss(s / fitted, y):.3f}; "
        f"at {best:.3g} it is {log_loss(s / best, y):.3f}. Take the T where it is lowest."
    )
