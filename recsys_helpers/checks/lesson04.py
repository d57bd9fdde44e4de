"""Exercises of lesson 04, interests over time: NumPy only; interests count from 0, items from 1, 0 is padding."""

from itertools import permutations

import numpy as np

from recsys_helpers.checks.core import Question, Wrong, compare, exercise, numbers, quiz, same


def shares(counts: np.ndarray, axis: int | None = -1) -> np.ndarray:
    """Counts divided by their sum over `axis`."""
    return counts / counts.sum(axis=axis, keepdims=True)


def step_counts(histories: list[np.ndarray], n_interests: int) -> np.ndarray:
    """How often j came right after i within a history, shape (n_interests, n_interests), indexed [i, j]."""
    counts = np.zeros((n_interests, n_interests))
    for history in histories:
        np.add.at(counts, (history[:-1], history[1:]), 1)
    return counts


@exercise(
    "04.1",
    "Estimate the transition matrix",
    points=2,
    why="each row is a forecast: where a user goes from this interest. Smoothing keeps what was never seen possible.",
    hints=(
        "Go through each history for itself, pair by pair, and count at [before, after]. Only then smooth, and divide "
        "each row by its sum.",
        "Start with a matrix full of `smoothing`, add 1 at [before, after] for each pair in zip(history[:-1], "
        "history[1:]). A row whose sum is 0 becomes 1 / n_interests; every other row is divided by its sum.",
    ),
)
def judge_transitions(estimate_transitions):
    rng = np.random.default_rng(41)
    cases = ((4, (9, 1, 14, 6), 0.5), (3, (20, 0, 12), 2.0), (5, (40, 30, 2), 0.25), (4, (9, 1, 14, 6), 0.5))
    for n, sizes, smoothing in cases:
        histories = [rng.choice(n, size, p=shares(np.arange(n, 0.0, -1))) for size in sizes]
        _judge_smoothed(estimate_transitions, histories, n, smoothing)
        _judge_smoothed(estimate_transitions, histories, n + 2, smoothing)  # no event has the last two interests

    histories = [np.array(history) for history in ([0, 2, 0, 0, 2], [2, 3], [4, 0])]  # nothing comes after 1 and 3
    counts = step_counts(histories, 5)
    some = counts.sum(1, keepdims=True) > 0
    with np.errstate(all="ignore"):
        seen = shares(counts)
    compare(
        estimate_transitions(histories, 5, 0),
        np.where(some, seen, 1 / 5),
        "P without smoothing",
        (
            seen,
            "nothing comes after some interest, and without smoothing its row is 0 divided by 0: make such a row "
            "uniform, 1 / n_interests.",
        ),
        (
            np.where(some, seen, 0),
            "a row of zeros is no forecast: where nothing was seen, make the row uniform, 1 / n_interests.",
        ),
        (
            np.where(some, seen, np.eye(5)),
            "you let an interest stay itself where nothing was seen; that is a claim. Make the row uniform.",
        ),
        (
            np.where(some, seen, shares(counts.sum(0))),
            "you fill a row that was never seen with the overall shares; asked is a uniform row.",
        ),
    )
    nothing = [np.array([], dtype=int), np.array([2])]
    compare(estimate_transitions(nothing, 3, 0), np.full((3, 3), 1 / 3), "P where no step was seen at all")


def _judge_smoothed(estimate_transitions, histories, n, smoothing):
    counts = step_counts(histories, n)
    smooth = counts + smoothing
    right = shares(smooth)
    visits = np.bincount(np.concatenate(histories), minlength=n)
    top = np.flatnonzero(visits)[-1] + 1
    glued = step_counts([np.concatenate(histories)], n)
    each_once = sum((step_counts([history], n) > 0).astype(float) for history in histories)
    once = (
        "a pair that occurs again is counted once: `counts[before, after] += 1` with arrays adds 1 to a cell only once."
        " Use np.add.at, or a loop."
    )
    with np.errstate(all="ignore"):
        compare(
            estimate_transitions(histories, n, smoothing),
            right,
            "P",
            (
                shares(glued + smoothing),
                "you count a step from one user's last event to the next user's first; nobody took it. "
                "Count within each history.",
            ),
            (
                shares(sum(step_counts([history[i::2]], n) for history in histories for i in (0, 1)) + smoothing),
                "you count what came two events later; a step goes to the very next event.",
            ),
            (shares(each_once + smoothing), once),
            (shares((counts > 0) + smoothing), once),
            (
                shares(smooth[:top, :top]),
                "P is as large as the interests seen; make it (n_interests, n_interests), also for those that no event "
                "has.",
            ),
            (shares(counts), "the smoothing makes no difference: add it to every count before you divide."),
            (shares(counts + 1), "you add 1 whatever `smoothing` is; add `smoothing`."),
            (
                shares(counts + smoothing / n),
                "you share `smoothing` out over the row; add all of it to every count.",
            ),
            (
                smooth / counts.sum(1, keepdims=True),
                "you divide by the row's sum before smoothing, so rows sum to more than 1: divide by the sum of the "
                "smoothed row.",
            ),
            (
                smooth / (counts.sum(1, keepdims=True) + smoothing),
                f"`smoothing` was added {n} times in each row, and to the divisor once: divide by the sum of the "
                "smoothed row.",
            ),
            (
                shares(shares(counts) + smoothing),
                "you smooth the shares, so that a row seen often is flattened like a row seen rarely: "
                "smooth the counts, then divide.",
            ),
            (
                shares(smooth, axis=0),
                "your columns sum to 1: that tells where users came from. Each row i has to share 1 out among what "
                "comes after i.",
            ),
            (
                shares(smooth.T),
                "you count backwards: your row i tells what came before i. Count at [before, after].",
            ),
            (right.T, "your matrix is transposed: the interest before is the row, the one after it the column."),
            (
                shares(smooth, axis=None),
                "the whole matrix sums to 1: that is how frequent a pair is. Each row has its own 1 to share out.",
            ),
            (smooth, "these are the smoothed counts: divide each row by its sum."),
            (
                smooth / (visits[:, None] + n * smoothing),
                "you divide by how often an interest occurs; a last event has no step after it. "
                "Divide by the steps that leave it.",
            ),
            (
                np.mean([shares(step_counts([history], n) + smoothing) for history in histories], axis=0),
                "you average the users' matrices, so that a user with one step weighs as much as one with a hundred: "
                "add up the counts, then divide.",
            ),
            (
                shares(counts * (1 - np.eye(n)) + smoothing),
                "you left out the steps from an interest to itself: to stay is a step too.",
            ),
            (
                np.tile(shares(visits + smoothing), (n, 1)),
                "all your rows are alike, the overall shares: P has to tell what comes after *this* interest.",
            ),
        )


@exercise(
    "04.2",
    "Mend the article's evolution step",
    points=2,
    why="shares stay shares: whatever P and the noise are, a step moves interest about and makes none.",
    hints=(
        "The share that arrives at j is the sum over i of (share at i) * P[i, j]. Which side of P does a row of shares "
        "stand on, then?",
        "interests @ transition is P^T I for one user and for a batch alike. Keep 1 - noise of it, and give the rest "
        "out evenly, noise / k to each of the k interests.",
    ),
)
def judge_evolve(evolve):
    rng = np.random.default_rng(42)
    for users, k, noise in (((), 4, 0.2), ((4,), 4, 0.1), ((3,), 5, 0.3), ((2,), 3, 0.0), ((), 3, 1.0), ((4,), 4, 0.1)):
        transition, now = rng.dirichlet(np.ones(k) / 2, size=k), rng.dirichlet(np.ones(k), size=users)
        after, backward, uniform = now @ transition, now @ transition.T, 1 / k
        article = backward + noise * (1 - backward)
        other = after + noise * (1 - after)
        what = f"the shares after a step with noise {noise}"
        first, second = (numbers(evolve(now, transition, noise), what) for _ in range(2))
        if not same(first, second):
            raise Wrong(
                "two calls give two answers. Nothing is drawn at random: `noise` is the share that spreads evenly."
            )
        right = (1 - noise) * after + noise * uniform
        mixed = (1 - noise) * transition.T @ now + noise * uniform if users == (k,) else right
        compare(
            first,
            right,
            what,
            (
                mixed,
                "you mix users: in a batch each user is a row, so P^T goes to the other side and becomes I @ P.",
            ),
            (
                (1 - noise) * after @ transition + noise * uniform,
                "you took two steps at once: multiply by P one time.",
            ),
            (
                article,
                "that is the article's step: P I reads P the wrong way round, and its noise adds interest out of "
                "nothing. The shares no longer sum to 1.",
            ),
            (
                shares(article),
                "you scaled the article's step to sum to 1, but it still flows the wrong way: what arrives at j comes "
                "along column j, P^T I.",
            ),
            (
                other,
                "P^T I is right, but the article's noise, written out, is (1 - B) P^T I + B: every interest gets the "
                "whole noise. Each of the k gets noise / k.",
            ),
            (
                shares(other),
                "you scaled the article's noise to sum to 1. That is a mixture too, but of more noise than asked: "
                f"{noise * k / (1 + noise * (k - 1)):.2f} in the place of {noise}. Mix, do not scale.",
            ),
            (
                (1 - noise) * backward + noise * uniform,
                "the mixture is right, but P I reads P the wrong way round: entry i becomes an average of what "
                "follows i. Use P^T I.",
            ),
            (
                (1 - noise) * shares(backward) + noise * uniform,
                "you scaled P I to sum to 1; its direction is still wrong: use P^T I, which needs no scaling.",
            ),
            (after, "the noise makes no difference: mix P^T I with the uniform shares."),
            (
                noise * after + (1 - noise) * uniform,
                "the weights are swapped: P^T I keeps 1 - noise, and the uniform shares get `noise`.",
            ),
            ((1 - noise) * after, "`noise` was taken away and not given out: add noise / k to each interest."),
            (
                after + noise * uniform,
                "the noise is added to a full 1: P^T I has to give up the share `noise` first.",
            ),
            (
                (1 - noise) * after + noise * now,
                "you mix in the interests of before; that makes them lazy. The noise is uniform.",
            ),
            (
                ((1 - noise) * now + noise * uniform) @ transition,
                "you add the noise before the step, so that P bends it: first P^T I, then the uniform mixture.",
            ),
            (
                (1 - noise) * after + noise / len(now),
                "you give out the noise by the number of users; it is shared among the k interests.",
            ),
            (now, "nothing moved: these are the interests of before."),
        )


def sigmoid(z: np.ndarray) -> np.ndarray:
    """The reference: 1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


GATES = ("input", "forget", "candidate", "output")


@exercise(
    "04.3",
    "One step of an LSTM",
    points=2,
    why="the cell's path is one product and one sum: a forget gate near 1 lets news and gradients through many steps.",
    hints=(
        "Make z for all gates at once, cut it into four blocks of `units` columns, squash each block, and only then "
        "combine. Gates (sigmoid) multiply; news (tanh) is what they let through.",
        "i, f, g, o = np.split(z, 4, axis=-1). With the sigmoids of i, f, o and the tanh of g, the new c is f "
        "times the old c plus i times g, and the new h is o times tanh of the new c.",
    ),
)
def judge_lstm(lstm_step):
    rng = np.random.default_rng(43)
    for batch, features, units in ((3, 4, 2), (1, 2, 5), (4, 1, 1), (3, 4, 2)):
        x, h, c = (rng.normal(size=(batch, size)) for size in (features, units, units))
        kernel, recurrent = rng.normal(size=(features, 4 * units)), rng.normal(size=(units, 4 * units))
        bias = rng.normal(size=4 * units)
        z = x @ kernel + h @ recurrent + bias
        i, f, g, o = np.split(z, 4, axis=-1)
        keep, news, new = sigmoid(f) * c, sigmoid(i) * np.tanh(g), sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        stepped = lstm_step(x, h, c, kernel, recurrent, bias)
        try:
            got_h, got_c = stepped
        except (TypeError, ValueError):
            raise Wrong("return two arrays in this order: the new h and the new c.") from None
        added = "a gate is a factor between 0 and 1, how much passes: multiply by it, do not add it."
        compare(
            got_c,
            new,
            "the new c",
            (sigmoid(o) * np.tanh(new), "h and c are swapped: return h first, then c."),
            (c, "you return the old c: return forget * c + input * candidate."),
            *_other_orders(z, c),
            (keep + sigmoid(i) * sigmoid(g), "the candidate takes a tanh: with a sigmoid c could only be pushed up."),
            (
                np.tanh(f) * c + np.tanh(i) * np.tanh(g),
                "the gates take a sigmoid: with a tanh they could be negative and turn what passes round.",
            ),
            (
                np.tanh(f) * c + np.tanh(i) * sigmoid(g),
                "sigmoid and tanh are swapped: gates are sigmoids (0 to 1), the candidate is a tanh (-1 to 1).",
            ),
            (keep + sigmoid(i) * g, "the candidate is not squashed: it is tanh(g)."),
            (f * c + i * np.tanh(g), "the gates are not squashed: each needs its sigmoid, or it is no gate."),
            (sigmoid(f) + c + news, added + " (Look at forget.)"),
            (keep + sigmoid(i) + np.tanh(g), added + " (Look at input.)"),
            (sigmoid(f) + c + sigmoid(i) + np.tanh(g), added + " (Look at forget and at input.)"),
            (keep * news, "you multiply what is kept by what is new; they are added: forget * c + input * candidate."),
            (
                sigmoid(f) * (c + news),
                "the forget gate is for the old c alone; you let it cut the news too.",
            ),
            (
                c + news,
                "the old c is kept whole: multiply it by the forget gate. (The LSTM of 1997 had none.)",
            ),
            (keep + np.tanh(g), "the input gate is missing: it says how much of the candidate gets in."),
            (news, "nothing of the old c is kept: add forget * c."),
            (keep, "nothing new gets in: add input * candidate."),
            (
                (1 - sigmoid(i)) * c + news,
                "you keep 1 - input of the old c, as a GRU does; an LSTM has a forget gate of its own.",
            ),
            (
                keep + (1 - sigmoid(f)) * np.tanh(g),
                "you let in 1 - forget of the candidate, as a GRU does; an LSTM has an input gate of its own.",
            ),
            (
                sigmoid(f + 1) * c + news,
                "you add 1 to the forget gate's z; it stands in `bias` already when training starts, and is "
                "then learned.",
            ),
            *(
                (_step(part, c)[1], message)
                for part, message in (
                    (z - bias, "`bias` makes no difference: add it to z."),
                    (z - h @ recurrent, "h makes no difference: add h @ recurrent to z."),
                    (z - x @ kernel, "x makes no difference: add x @ kernel to z."),
                    (z + (c - h) @ recurrent, "`recurrent` takes h; you gave it c. The gates see the cell through h."),
                    (
                        z.reshape(batch, units, 4).transpose(0, 2, 1).reshape(batch, -1),
                        "you give each gate every fourth column; a gate is a block of `units` columns, side by side.",
                    ),
                )
            ),
        )
        compare(
            got_h,
            sigmoid(o) * np.tanh(new),
            "the new h",
            (sigmoid(o) * new, "h lacks a tanh: c may grow beyond 1, and output * tanh(c) keeps h within -1 and 1."),
            (sigmoid(o) * np.tanh(c), "h is made from the old c: update c first, then take output * tanh of the new."),
            (sigmoid(o) * sigmoid(new), "c passes a tanh, not a sigmoid, on its way to h: h may be negative."),
            (np.tanh(o) * np.tanh(new), "the output gate is a sigmoid; yours is a tanh."),
            (np.tanh(o) * sigmoid(new), "in h the two are swapped: the output gate is a sigmoid, c passes a tanh."),
            (o * np.tanh(new), "the output gate is not squashed: take its sigmoid."),
            (sigmoid(o) + np.tanh(new), "the output gate is added; it multiplies tanh(c)."),
            (np.tanh(new), "the output gate is missing: h = output * tanh(c)."),
            (sigmoid(o) * np.tanh(g), "h is made from the candidate: it shows the cell, output * tanh of the new c."),
            (new, "you return c twice: h = output * tanh(c)."),
            (h, "you return the old h: h = output * tanh of the new c."),
        )


def _step(z, c, order=(0, 1, 2, 3)):
    """New h and c if block n of z is taken for gate order[n]."""
    blocks = np.split(z, 4, axis=-1)
    i, f, g, o = (blocks[order.index(gate)] for gate in range(4))
    new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(new), new


def _other_orders(z, c):
    """What every other order of the four blocks gives, with its message."""
    for order in list(permutations(range(4)))[1:]:
        read = ", ".join(GATES[gate] for gate in order)
        message = f"you read the blocks of z as {read}; Keras' order is {', '.join(GATES)}."
        if order == (1, 0, 2, 3):
            message = (
                "input and forget gate have changed places: the first block is input, which lets the candidate in, "
                "the second is forget, which keeps the old c."
            )
        yield _step(z, c, order)[1], message


@exercise(
    "04.4",
    "Windows: train all positions at once",
    points=2,
    why="one row of ten positions is ten questions answered in one pass, and padding asks none.",
    hints=(
        "To ask `length` questions you need length + 1 items, the last ones. All but the last of them are inputs, all "
        "but the first are targets.",
        "recent = history[-length - 1:]; n = len(recent) - 1. Write recent[:-1] and recent[1:] into the first n places "
        "of rows of zeros; the weight is 1 in these n places.",
    ),
)
def judge_windows(make_windows):
    cases = (
        ([[5, 3, 8, 2], [4, 9], [7, 1, 6, 2, 9, 3]], 4),
        ([[1, 2, 3], [6, 5, 4, 3, 2, 1], [9, 9], [8, 7, 8]], 2),
        ([[3, 1, 2], [2, 4]], 1),
        ([[2, 6, 1]], 5),
        ([[3951, 1682, 2, 300], [40, 977], [7, 1, 260, 2, 9, 3]], 4),  # as in the first; numbers as films have them
    )
    for histories, length in cases:
        made = make_windows(histories, length)
        try:
            inputs, targets, weights = made
        except (TypeError, ValueError):
            raise Wrong("return three arrays in this order: inputs, targets, weights.") from None
        where = f"of the histories {histories} at length {length}"
        _judge_inputs(inputs, histories, length, where)
        _judge_targets(targets, histories, length, where)
        _judge_weights(weights, histories, length, where)


def _rows(pieces, length, left=False):
    """Pieces filled up with zeros to rows of this length, on the right or on the left."""
    return [[0] * (length - len(p)) * left + list(p) + [0] * (length - len(p)) * (not left) for p in pieces]


def _judge_inputs(inputs, histories, length, where):
    recent = [history[-length - 1 :] for history in histories]
    compare(
        inputs,
        _rows([piece[:-1] for piece in recent], length),
        f"the inputs {where}",
        (
            _rows([piece[:-1] for piece in recent], length, left=True),
            "you pad on the left; fill up on the right, as the fast recurrent kernels want it.",
        ),
        *(
            (
                _rows([piece[:length] for piece in pieces], length),
                "your window keeps the first items of a long history; keep the last ones, where the user is now.",
            )
            for pieces in (histories, [history[:-1] for history in histories])
        ),
        (
            _rows([history[-length:] for history in histories], length),
            "your inputs hold the last item, and what follows it is not known: cut length + 1 items and leave the "
            "last one to the targets.",
        ),
        (
            _rows([history[-length:][:-1] for history in histories], length),
            "you cut `length` items, which make only length - 1 pairs: cut length + 1.",
        ),
        (
            _rows([piece[1:] for piece in recent], length),
            "your inputs begin with the second item; that is the first target. Inputs are all but the last.",
        ),
        (
            _rows([piece[:-1][::-1] for piece in recent], length),
            "your inputs run backwards: the oldest item comes first.",
        ),
        (
            _rows([h[max(0, end - length) : end] for h in histories for end in range(1, len(h))], length),
            "you made a row for each prefix; a window trains all its positions at once, so each history gives one row.",
        ),
    )


def _judge_targets(targets, histories, length, where):
    recent = [history[-length - 1 :] for history in histories]
    inputs = np.array(_rows([piece[:-1] for piece in recent], length))
    right = np.array(_rows([piece[1:] for piece in recent], length))
    real = right > 0
    last = np.array([history[-1:] for history in histories])
    compare(
        targets,
        right,
        f"the targets {where}",
        (
            inputs,
            "each position is asked for the item it has just seen, which it can copy: the target of position t is "
            "item t + 1.",
        ),
        (
            _rows([[0, *piece[:-2]] for piece in recent], length),
            "the targets are shifted the wrong way: you ask for the item before. The target of position t is item "
            "t + 1.",
        ),
        (_rows([piece[2:] for piece in recent], length), "the targets are two steps ahead; they are one step ahead."),
        (
            np.roll(inputs, -1, axis=1),
            "np.roll carries the first item round to the end of the row: the last target is the item behind the "
            "inputs.",
        ),
        (
            real * last,
            "every position is asked for the last item; each position has the item behind it as its own target.",
        ),
        (
            _rows([[0] * (len(piece) - 2) + [piece[-1]] for piece in recent], length),
            "only the last position has a target; all positions are trained at once.",
        ),
        *(
            (
                np.where(real, right, filler),
                f"padded targets have to be 0, yours are {filler}; muting them is left to the weights.",
            )
            for filler in (-1, -100)
        ),
        (
            _rows([piece[1:] for piece in recent], length, left=True),
            "the targets are padded on the left, the inputs on the right: pad both on the right.",
        ),
    )


def _judge_weights(weights, histories, length, where):
    pairs = np.array([min(length, len(history) - 1) for history in histories])[:, None]
    place = np.arange(length)
    real = place < pairs
    compare(
        weights,
        real,
        f"the weights {where}",
        (
            np.ones_like(real),
            "padding counts: the model is trained to say 0 after 0, and looks good at it. Give padded places weight 0.",
        ),
        (~real, "the weights are inside out: 1 for a real place, 0 for padding."),
        (place == pairs - 1, "only the last position counts; all real positions are trained at once."),
        (
            real / pairs,
            "each row sums to 1, so that a step of a short history weighs more: every real position weighs 1.",
        ),
        (
            real & (place > 0),
            "the first position counts too: it predicts the second item from the first.",
        ),
        (place < pairs - 1, "the last real position counts too: its target is the user's last item."),
        (place < pairs + 1, "one place too many: n items make n - 1 pairs."),
    )


LEAKS = {  # why a set-up does not have the leak
    "none": "something leaks",
    "future": "no event later than the scored ones was trained on",
    "overlap": "no scored event was trained on",
    "statistics": "no mean and no scale was taken over scored rows",
    "selection": "the scored events chose nothing",
    "answer": "every input is known before the scored event",
}
SET_UPS = {  # the right verdict, and what to ask
    "rows": ("future", "ask when the trained events happened."),
    "scaled": ("statistics", "ask which rows the mean has seen."),
    "cut": ("none", "go through the days: which train, which choose, which are scored?"),
    "windows": ("overlap", "ask in how many windows one event stands."),
    "best epoch": ("selection", "ask which days picked the best of the 30 epochs."),
    "minutes": ("answer", "ask when each input becomes known."),
    "leave one out": ("future", "ask what the others do after one user's last event."),
    "new users": ("none", "ask what is claimed."),
}
SPECIAL = {
    ("rows", "none"): "the model learns what a user did on Friday and is scored on the Thursday before: that fills a "
    "gap, it predicts nothing.",
    ("rows", "overlap"): "no scored event was trained on, but its neighbours on both sides were, later ones too.",
    ("scaled", "none"): "the mean has seen days 55 to 60. Often a small leak, but fitting the scale on the training "
    "days costs nothing.",
    (
        "scaled",
        "future",
    ): "no later event was trained on; something subtler was taken from all days, before they were split.",
    ("cut", "future"): "days 49 to 59 are read as history, not trained on; when the next event is predicted, they "
    "have happened. Using them is what the model is for.",
    ("cut", "selection"): "days 49 to 54 chose the epoch, days 55 to 60 are scored: two different sets.",
    ("windows", "none"): "the last window shares 19 of its 20 events with the one before it, which trained.",
    ("windows", "future"): "it is worse: the scored events themselves were trained on. Count in how many windows one "
    "event stands.",
    ("best epoch", "none"): "the best of 30 scores on the same days is partly luck, and the luck is reported. "
    "Choose on days that are not scored.",
    ("minutes", "none"): "how long a user stays with an item is known only when it is over.",
    ("minutes", "future"): "the training days are earlier; look at what stands in the input of a single event.",
    ("leave one out", "none"): "within one user nothing leaks, but when one stops in week 2, the others' weeks 3 to 8 "
    "were trained on. Models may be compared like this; as a forecast of next week it flatters.",
    ("leave one out", "overlap"): "no scored event was trained on; but events of other users, long after it, were.",
    ("new users", "future"): "for a forecast of next week this would be a leak. The claim is about new users in these "
    "same weeks, and no event of theirs was trained on.",
    ("new users", "overlap"): "the scored users are in no other part: not one of their events was trained on.",
}


@exercise(
    "04.5",
    "Choose the split: valid, or which leak?",
    points=2,
    why="a score is worth what its split is: the past trains, other days choose, and what is scored was never touched.",
    hints=(
        "Ask four questions of each set-up: which events trained, which fitted or chose something, which are scored, "
        "and when is each input known?",
        "Two of the eight are valid. Two have the same leak, once within a user and once across users. The other four "
        "have one leak each. An earlier event that is only read as input is no leak.",
    ),
)
def judge_splits(verdicts):
    quiz(
        verdicts,
        {
            name: Question(
                right,
                {
                    leak: SPECIAL.get((name, leak), f"{reason}; {clue}")
                    for leak, reason in LEAKS.items()
                    if leak != right
                },
            )
            for name, (right, clue) in SET_UPS.items()
        },
    )


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback-Leibler divergence of p from q in bits; where p is 0 the term is 0."""
    some = p > 0
    return (p[some] * np.log2(p[some] / q[some])).sum()


def js_distance(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon distance, base 2.

    Source: Endres and Schindelin, A New Metric for Probability Distributions, IEEE Trans. Inf. Theory 49 (2003).
    """
    return np.sqrt((divergence(p, (p + q) / 2) + divergence(q, (p + q) / 2)) / 2)


@exercise(
    "04.6",
    "Measure drift",
    points=2,
    why="0 means the same shares early and late, 1 means nothing in common; judge it beside what chance alone gives.",
    hints=(
        "First two vectors of shares, each over all interests, and their mean m. Then the Kullback-Leibler divergence "
        "of each from m; an interest with share 0 adds nothing to it.",
        "some = p > 0; (p[some] * np.log2(p[some] / m[some])).sum() is the divergence of p from m in bits. Average the "
        "two divergences, then take the square root.",
    ),
)
def judge_drift(interest_drift):
    early, late = np.repeat([0, 1, 2], [12, 6, 2]), np.repeat([2, 1, 0], [6, 10, 4])
    shuffle = np.random.default_rng(46).permutation
    for interests, k, what in (
        (np.concatenate([shuffle(early), shuffle(late)]), 3, "a history of 40 events"),
        (np.array([1, 0, 0, 2, 1, 0, 3, 2, 3, 3, 2, 3, 3]), 5, "13 events, some interests in one half only"),
        (np.array([3, 3, 0, 0]), 4, "two halves with nothing in common"),
        (np.array([2, 1, 1, 1, 2, 1]), 4, "two halves that differ only in their order"),
        (np.array([2, 0, 2]), 3, "3 events"),
        (np.concatenate([shuffle(early), shuffle(early[::-1] // 2 + 1)]), 3, "another history of 40 events"),
    ):
        with np.errstate(all="ignore"):
            _judge_distance(interest_drift(interests, k), interests, k, f"the drift of {what}")


def _judge_distance(got, interests, k, what):
    def count(events):
        return np.bincount(events, minlength=k)

    def apart(some, others):
        return js_distance(shares(count(some)), shares(count(others)))

    size = len(interests)
    half, rest = size // 2, size - size // 2
    early, late, ordered = interests[:half], interests[half:], np.sort(interests)
    p, q = shares(count(early)), shares(count(late))
    m, both = (p + q) / 2, (p > 0) & (q > 0)
    right, there, back = apart(early, late), divergence(p, q), divergence(q, p)
    common = sum((part[both] * np.log2(part[both] / m[both])).sum() for part in (p, q)) / 2
    reverse = (divergence(m, p) + divergence(m, q)) / 2
    mistakes = (  # each message with the values that call for it
        ("that is the divergence; the distance is its square root.", right**2),
        (
            "you use natural logarithms, so that two halves with nothing in common are not 1 apart: use log2.",
            right * np.sqrt(np.log(2)),
            right**2 * np.log(2),
        ),
        (
            "you add the two divergences: take their mean, or the distance can exceed 1.",
            right * np.sqrt(2),
            2 * right**2,
        ),
        ("each half's shares sum to .5: divide the counts by the length of their half.", right / np.sqrt(2)),
        ("you compare counts: divide those of each half by its length.", js_distance(count(early), count(late))),
        (
            "you compare one half with the other, which is infinite once an interest is new: compare each with the "
            "mean of the two.",
            *(value for d in (there, back, there + back, (there + back) / 2) for value in (d, np.sqrt(d))),
        ),
        ("you measure the mean from each half: measure each half from the mean.", reverse, np.sqrt(reverse)),
        (
            "you leave out an interest that only one half has, which is drift at its plainest: leave out a half's own "
            "zeros only.",
            np.sqrt(common),
            common,
        ),
        (
            "below the root stands a negative number: the mean of the two is (p + q) / 2, whose shares sum to 1."
            if both.all()
            else "0 * log 0 gives no number: a share of 0 adds nothing, so leave it out of the sum.",
            np.nan,
        ),
        (
            "you smooth the counts, which hides drift: a share of 0 may stay 0.",
            js_distance(shares(count(early) + 1), shares(count(late) + 1)),
        ),
        ("you deal the events out in turn: the early half is the first half.", apart(interests[::2], interests[1::2])),
        ("you sorted the events by interest: keep their order in time.", apart(ordered[:half], ordered[half:])),
        ("you compare the early half with the whole history: compare it with the late half.", apart(early, interests)),
        ("you compare a half with the whole history, the late one: compare the halves.", apart(late, interests)),
        (
            "of an odd number of events the one in the middle belongs to the late half.",
            apart(interests[:rest], interests[rest:]),
        ),
        (
            "you leave out the event in the middle; it belongs to the late half.",
            apart(early, interests[rest:]),
        ),
        ("that is the total variation; asked is the Jensen-Shannon distance.", abs(p - q).sum() / 2, abs(p - q).sum()),
        ("that is the Euclidean distance; asked is the Jensen-Shannon distance.", np.linalg.norm(p - q)),
        ("that is the Hellinger distance; asked is the Jensen-Shannon distance.", np.sqrt(1 - np.sqrt(p * q).sum())),
    )
    compare(got, right, what, *((value, message) for message, *values in mistakes for value in values))


@exercise(
    "04.7",
    "Read the learning curves",
    points=2,
    why="training loss says what was learned by heart; only the validation curve you care about says when to stop.",
    hints=(
        "Three curves, three questions. Training loss: does it still learn? Validation loss: does that carry over? "
        "Validation NDCG: is the ranking better? Epochs count from 1.",
        "Look for the lowest validation loss and for the highest NDCG; they are not in the same epoch. Patience 5 "
        "counts the epochs after the best one. Of a mend ask whether it makes learning by heart harder or easier.",
    ),
)
def judge_curves(reading):
    quiz(
        reading,
        {
            "overfitting starts after epoch": Question(
                10,
                {
                    9: "epochs count from 1, positions in an array from 0.",
                    14: "that is the best NDCG; overfitting shows where validation and training loss part ways.",
                    30: "the training loss never turns; what counts is where the validation loss does.",
                    1: "the losses lie apart early, but both still fall: what is learned carries over.",
                },
                "look for the last epoch in which both losses still fall.",
            ),
            "best epoch": Question(
                14,
                {
                    13: "epochs count from 1, positions in an array from 0.",
                    10: "there the validation loss is lowest; you want the best ranking, the highest validation NDCG.",
                    19: "there the training stops; the weights worth keeping are older.",
                    30: "the last epoch has the lowest training loss, which is no news about other events.",
                },
                "take the epoch with the highest validation NDCG.",
            ),
            "patience 5 stops after epoch": Question(
                19,
                {
                    14: "in epoch 14 nobody knows yet that it was the best: patience waits 5 more.",
                    18: "that is four epochs without a better one; patience 5 waits for the fifth.",
                    20: "epoch 19 is already the fifth without a better one.",
                    15: "that is five after the lowest validation loss; the patience watches the NDCG.",
                    30: "after epoch 14 the NDCG never gets better, so the patience ends before the epochs do.",
                },
                "add the patience to the best epoch.",
            ),
            "loss and ndcg both rise because": Question(
                "sure",
                {
                    "bug": "both are right: they ask different things of the same scores.",
                    "leak": "a leak would make both curves look better, and neither turn.",
                    "noise": "four epochs in a row, in both curves, is no noise.",
                },
            ),
            "early stopping": Question(
                "cuts",
                {
                    "narrows": "it learns exactly as before; it only ends, and keeps the best epoch's weights.",
                    "widens": "it stops before the gap grows further, and changes nothing before that.",
                    "spoils": "it takes nothing from the data: it ends the training and keeps the best weights.",
                },
            ),
            "more dropout": Question(
                "narrows",
                {
                    "cuts": "the run takes another course from the first epoch on: with units missing at random, "
                    "learning by heart is hard.",
                    "widens": "units missing at random make learning by heart harder, so training loss falls less far.",
                    "spoils": "the histories stay what they are; units are left out at random, in training only.",
                },
            ),
            "fresh window offsets": Question(
                "narrows",
                {
                    "cuts": "the run takes another course: each epoch shows other windows of the same histories.",
                    "widens": "other windows each epoch are harder to learn by heart than the same ones again.",
                    "spoils": "the order within a window stays true; only where it begins is new. This is what the "
                    "article's image augmentations become for histories.",
                },
            ),
            "four times the units": Question(
                "widens",
                {
                    "cuts": "the run takes another course: with more room it learns more by heart.",
                    "narrows": "more room is for learning by heart too: training loss falls further, validation loss "
                    "turns earlier.",
                    "spoils": "the data stay as they are; the model gets more room.",
                },
            ),
            "shuffled histories": Question(
                "spoils",
                {
                    "narrows": "the gap may shrink, but because nothing is left to learn: the order was the signal.",
                    "cuts": "the run takes another course: what comes after what is lost.",
                    "widens": "it is harder to learn by heart, not easier; and what is lost is the order, the signal.",
                },
            ),
        },
    )
