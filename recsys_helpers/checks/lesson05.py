"""Exercises of lesson 05, from one domain to another: NumPy only; a row is a user or an item."""

import numpy as np

from recsys_helpers.checks.core import Crashed, Question, Wrong, compare, exercise, numbers, quiz, same
from recsys_helpers.checks.lesson01 import softmax
from recsys_helpers.checks.lesson03 import unpack


def length(vectors: np.ndarray, axis: int | None = -1) -> np.ndarray:
    """Euclidean length along `axis`, which is kept."""
    return np.linalg.norm(vectors, axis=axis, keepdims=True)


@exercise(
    "05.1",
    "Match a user with items",
    points=2,
    why="a cosine asks where a vector points, not how long it is: one factor for a whole domain changes no order.",
    hints=(
        "A cosine is a dot product divided by two lengths. How many lengths do the items have, and over which axis?",
        "np.linalg.norm(contents, axis=1) has one length an item; multiply it by the length of `interest`. Where this "
        "product is 0, let the score be 0: np.divide takes `out` and `where`.",
    ),
)
def judge_match(match):
    for interest, contents, what in _matches():
        _judge_scores(match, interest, contents, what)
    some, empty = np.array([[4.0, 3.0], [0.0, 0.0], [1.0, 2.0]]), "0 divided by 0 is no number: where {} is all 0, "
    interest = np.array([3.0, 4.0])
    score = some @ interest / length(interest)
    with np.errstate(all="ignore"):
        right = np.nan_to_num(score / length(some)[:, 0])
        compare(
            match(interest, some),
            right,
            "the scores with an item that is all 0",
            (score / length(some)[:, 0], empty.format("an item") + "its score is 0."),
            (np.where(right == 0, 1, right), "an item that is all 0 matches nobody: its score is 0, not 1."),
            (right[[0, 2]], "you left out the item that is all 0: every item has a score, this one 0."),
        )
    user = empty.format("the user") + "every score is 0."
    compare(match(interest * 0, some), np.zeros(3), "the scores of a user who is all 0", (np.full(3, np.nan), user))


def _matches():
    """Interests, contents, and what to call their scores."""
    rng = np.random.default_rng(51)
    yield 3 * rng.random(4), 3 * rng.random((6, 4)), "the scores"
    for items, k in ((3, 3), (1, 5)):
        yield rng.normal(size=k), rng.normal(size=(items, k)), "the scores with negative entries"
    for items in (4, 2):
        shares = rng.dirichlet(np.ones(8), size=items + 1)  # shorter than 1, but not empty
        yield shares[0], shares[1:], "the scores of interests that sum to 1"
    level = "the scores with entries that sum to 0"
    yield np.array([3.0, 1.0, 2.0]), np.array([[1.0, -1.0, 0.0], [2.0, 3.0, 1.0], [-2.0, 4.0, -2.0]]), level
    yield np.array([2.0, -2.0]), np.array([[1.0, 3.0], [-1.0, 1.0], [2.0, 1.0], [4.0, 1.0]]), level
    for size in (1e-3, 3e-4):
        yield rng.normal(size=4), size * rng.normal(size=(5, 4)), "the scores of short vectors"


def _judge_scores(match, interest, contents, what):
    dot, own, lengths = contents @ interest, length(interest)[0], length(contents)[:, 0]
    right = dot / (own * lengths)
    centred, user = contents - contents.mean(1, keepdims=True), interest - interest.mean()
    apart = length(contents - interest)[:, 0]
    compare(
        match(interest, contents),
        right,
        what,
        (dot, "that is the dot product: a long vector wins, whatever it points at. Divide by both lengths."),
        (dot / own, "the items' lengths are still in, so that a long vector wins: divide by them too."),
        (dot / lengths, "the user's length is still in: the order is right, but no score is a cosine. Divide by it."),
        (dot / (own * lengths) ** 2, "you divide by squared lengths: take the root of the sums of squares."),
        (dot / (own + lengths), "you add the two lengths: divide by their product, or a long vector still wins."),
        (
            dot / (abs(interest).sum() * abs(contents).sum(1)),
            "you divide by sums of entries; the length is the root of the sum of squares.",
        ),
        (dot / (own * length(contents, None)[0]), "all items share one length: each row has its own, axis=1."),
        (
            contents / length(contents, 0) @ interest / own,
            "you took the length of each interest, over the items; each item has a length, over its interests.",
        ),
        (1 - right, "that is the cosine distance, small where they match: return the cosine."),
        (abs(right), "you dropped the sign: a user who points away from an item would match it all the same."),
        (-right, "the sign is turned: a match has a high score."),
        (np.arccos(right.clip(-1, 1)), "that is the angle, small where they match: return its cosine."),
        (apart, "that is the distance between the vectors: asked is the cosine of their angle."),
        (-apart, "that is minus the distance between the vectors: asked is the cosine of their angle."),
        (
            centred @ user / (length(user) * length(centred)[:, 0]),
            "you took each vector's mean off first: that is the correlation. A cosine takes them as they are.",
        ),
        (right.clip(0), "you cut off what is below 0: vectors that point apart have a negative cosine."),
        ((1 + right) / 2, "you moved the scores to 0 to 1: a cosine runs from -1 to 1."),
        (softmax(right), "you put a softmax on top: scores are no shares, and each item is judged by itself."),
        (
            np.where((contents.sum(1) == 0) | (interest.sum() == 0), 0, right),
            "a vector whose entries sum to 0 still points somewhere: only one of zeros has no direction.",
        ),
        *(
            (
                dot / (own * lengths + small),
                "you add a small number to the lengths, so that short vectors match less: choose where they are 0.",
            )
            for small in (1e-3, 1e-4, 1e-5, 1e-6)
        ),
        (
            right if own > 1 else 0 * right,
            "all scores are 0: only a vector of zeros has no direction, a short one still points somewhere.",
        ),
        (np.argsort(-right), "that is an order of the items: asked are their scores."),
    )


def ridge_map(source: np.ndarray, target: np.ndarray, penalty: float | np.ndarray) -> np.ndarray:
    """The map W of the least ||source W - target||^2 + penalty ||W||^2; an array is added to source^T source whole."""
    if np.ndim(penalty) == 0:
        penalty = penalty * np.eye(source.shape[1])
    return np.linalg.solve(source.T @ source + penalty, source.T @ target)


@exercise(
    "05.2",
    "Fit the map between two domains",
    points=2,
    why="users known in both domains teach the map, users new in one are carried over by it; the ridge keeps it small "
    "where few users teach it.",
    hints=(
        "Set the derivative to 0: S^T (S W - T) + ridge W = 0. Collect what multiplies W on the left.",
        "W solves (S^T S + ridge I) W = S^T T, with I of shape (k, k). np.linalg.solve takes a matrix on the right, "
        "so all columns of T are done at once.",
    ),
)
def judge_map(fit_map):
    rng = np.random.default_rng(52)
    for users, k, m, ridge in ((12, 4, 4, 0.3), (30, 5, 3, 3.0), (3, 6, 4, 0.2)):
        source, target = rng.normal(size=(users, k)) + 0.5, rng.normal(size=(users, m)) - 0.3
        right, gram, ones = ridge_map(source, target, ridge), source.T @ source, np.ones((users, 1))
        left, _, across = np.linalg.svd(source.T @ target, full_matrices=False)
        first, last = (ridge_map(np.hstack(parts), target, ridge) for parts in ((ones, source), (source, ones)))
        row = "you added a column of ones, an intercept: W maps the k entries of a vector and nothing else."
        twice = "the 2 of the derivative stands before both terms and cancels: add `ridge` once, as it is."
        compare(
            fit_map(source, target, ridge),
            right,
            f"W of {users} users",
            (right.T, "W is transposed: a user is a row, and source @ W has to be near target."),
            (ridge_map(target, source, ridge), "your map leads back, from target to source."),
            (np.linalg.pinv(source) @ target, "the ridge makes no difference: add ridge * I to S^T S."),
            (
                ridge_map(source, target, users * ridge),
                "errors are summed here, not averaged: the ridge is added once, not once a user.",
            ),
            (
                ridge_map(source, target, ridge / users),
                "you divide the ridge by the users: it is added as it is, once.",
            ),
            (ridge_map(source, target, ridge**2), "the ridge is squared: rows added below S hold its square root."),
            (ridge_map(source, target, ridge**0.5), "you take the root of the ridge: S^T S gets ridge * I itself."),
            (ridge_map(source, target, 2 * ridge), "your ridge is twice as large: " + twice),
            (ridge_map(source, target, ridge / 2), "your ridge is half as large: " + twice),
            (
                ridge_map(source, target, np.full((k, k), ridge)),
                "you add the ridge to every entry of S^T S: it belongs on the diagonal only, ridge * I.",
            ),
            (
                ridge_map(source - source.mean(0), target - target.mean(0), ridge),
                "you took the means off: that fits an intercept too, which W alone cannot give back.",
            ),
            *((whole, row) for whole in (first, last)),
            *(
                (part, "an intercept was fitted and dropped: leave the column of ones out.")
                for part in (first[1:], last[:-1])
            ),
            (source @ right, "these are mapped vectors: return the map W."),
            (
                ridge_map(source / length(source), target / length(target), ridge),
                "you scaled the rows to length 1: take the vectors as they are.",
            ),
            (left @ across, "that is the best rotation: W may stretch and shear as well."),
            (
                np.linalg.pinv(gram) @ source.T @ target / (1 + ridge),
                "you shrink the map without a ridge, all directions alike: ridge * I inside the inverse shrinks "
                "most where the source varies least.",
            ),
            (
                source.T @ target,
                "that is S^T T alone, which grows with the users: solve (S^T S + ridge I) W = S^T T.",
            ),
        )


def spread(rows: np.ndarray) -> np.ndarray:
    """Covariance of the columns."""
    return np.cov(rows, rowvar=False)


def root(matrix: np.ndarray, power: float = 0.5) -> np.ndarray:
    """Symmetric power of a covariance: 0.5 colours, -0.5 whitens."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**power @ vectors.T


def near(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal up to 1% of the largest entry: dividing by n or n - 1, and a small epsilon, make no difference."""
    return first.shape == second.shape and abs(first - second).max() <= 0.01 * abs(second).max()


@exercise(
    "05.3",
    "Align two domains",
    points=2,
    why="same mean and same covariance: a linear classifier no longer tells the domains apart. That says nothing yet "
    "about whether the right users lie side by side.",
    hints=(
        "Four steps: take off the source's mean, whiten with the source's covariance, colour with the target's, put "
        "on the target's mean. After whitening the covariance is I; look at it with np.cov(..., rowvar=False).",
        "With L from np.linalg.cholesky(C), L @ L.T is C. For rows, x @ inv(L).T whitens and x @ L.T colours. Add "
        "epsilon * I to both C first.",
    ),
)
def judge_align(align):
    rng = np.random.default_rng(53)
    for k, what in ((3, ""), (4, " of rows that sum to 1"), (6, " of rows with three numbers twice"), (2, "")):
        if "sum" in what:  # no variance along (1, ..., 1), in both
            source, target = (rng.dirichlet(weights, 300) for weights in ((2, 1, 1, 3), (1, 4, 2, 2)))
        else:
            source, target = (rng.normal(size=(300, k)) @ rng.normal(size=(k, k)) + 2 + rng.random(k) for _ in "st")
        if "twice" in what:  # no variance along (1, -1, 0, ...): an epsilon off the diagonal is no help there
            source[:, 1::2], target[:, 1::2] = source[:, ::2], target[:, ::2]
        _judge_aligned(numbers(align(source, target[:200], 1e-6), "the result"), source, target[:200], what)
    for k, epsilon in ((3, 0.5), (2, 2.0)):
        source, target = (rng.normal(size=(300, k)) @ rng.normal(size=(k, k)) + rng.random(k) for _ in "st")
        got = numbers(align(source, target[:200], epsilon), "the result")
        _judge_epsilon(got, source, target[:200], epsilon)


def _judge_epsilon(got, source, target, epsilon):
    """Whatever the roots, the matrix turns the source's covariance with epsilon into the target's with epsilon."""
    if got.shape != source.shape or not np.isfinite(got).all():
        raise Wrong(f"with epsilon = {epsilon:g} some numbers are missing or not finite.")
    matrix = np.linalg.lstsq(source - source.mean(0), got - got.mean(0))[0]
    before, wanted, small = spread(source), spread(target), epsilon * np.eye(source.shape[1])

    def turned(before, wanted):
        return near(matrix.T @ before @ matrix, wanted)

    if turned(before + small, wanted + small):
        return
    floors = ((values.clip(epsilon) * axes) @ axes.T for values, axes in map(np.linalg.eigh, (before, wanted)))
    for there, message in (
        (turned(before, wanted), "`epsilon` makes no difference: it belongs on the diagonals of both covariances."),
        (turned(before + small, wanted), "epsilon is on the source's diagonal only: add it to the target's, too."),
        (turned(before, wanted + small), "epsilon is on the target's diagonal only: add it to the source's, too."),
        (turned(*floors), "epsilon is the least variance with you: add it to every entry of both diagonals."),
    ):
        if there:
            raise Wrong(message)
    raise Wrong(f"with epsilon = {epsilon:g} the matrix is another: add epsilon * I to both covariances, as they are.")


def _judge_aligned(got, source, target, what):
    if got.shape == target.shape:
        raise Wrong("your result has the users of the target: move the source's, the target stays.")
    if got.shape != source.shape:
        raise Wrong(f"the result should have shape {source.shape}, that of the source; yours has {got.shape}.")
    if not np.isfinite(got).all():
        raise Wrong(
            f"some numbers{what} are not finite. Where rows sum to 1 one direction has no variance, and rounding can "
            "push it below 0: put epsilon on both diagonals. And a matrix's root is not the root of each entry."
        )
    wanted, before, small = spread(target), spread(source), 1e-6 * np.eye(source.shape[1])
    there, here = target.mean(0), source.mean(0)
    white, colour = root(before + small, -0.5), root(wanted + small)
    low, high = np.linalg.cholesky(before + small), np.linalg.cholesky(wanted + small)
    inverse = np.linalg.inv(low)
    design = np.column_stack([source, np.ones(len(source))])
    rest = got - design @ np.linalg.lstsq(design, got)[0]
    if abs(rest).max() > 1e-3 * abs(got).max():
        raise Wrong(
            "your rows are not the source's, all moved alike: row i stays user i, by one matrix and one shift for all."
        )
    uncentred = "the source's mean went through the matrix: take it off before."
    flat = "you took the mean of all entries, or of each row: each column has its own, axis=0."
    matrices = white @ colour, inverse.T @ high.T
    compare(
        got.mean(0),
        there,
        f"the mean{what}",
        (here, "the mean is still the source's: take it off before, put on the target's after."),
        (there * 0, "the result is centred: put on the target's mean."),
        (here + there, "both means are in: take off the source's before you put on the target's."),
        *(((here @ m) + shift, uncentred) for m in matrices for shift in (0, there)),
        (there * 0 + target.mean(), flat),
        *(((here - source.mean()) @ m + shift, flat) for m in matrices for shift in (there, target.mean())),
    )
    moved = spread(got)
    if near(moved, wanted):
        if any(near(got - there, (here - source) @ m) for m in matrices):
            raise Wrong("every row is mirrored at the mean: take the mean off the row, not the row off the mean.")
        return
    deviation = np.sqrt(np.diag(wanted) / np.diag(before))
    one = np.eye(len(small))
    wide = root(before + one, -0.5) @ root(wanted + one)

    def after(*matrices):
        m = np.linalg.multi_dot([one, *matrices])
        return m.T @ before @ m

    swapped = "the two are swapped: whiten with the source's covariance, colour with the target's."
    roots = "you whiten with the inverse of the covariance: it takes the inverse of its root, and colouring its root."
    for variant, message in (
        (before, "only the mean was moved: the covariance is still the source's."),
        (
            np.outer(deviation, deviation) * before,
            "you scaled each column by itself: correlations are still the source's.",
        ),
        (one, "you whitened and stopped: colour with the root of the target's covariance."),
        *(
            (after(m), "you coloured without whitening: the source's own shape is still in it.")
            for m in (colour, high.T)
        ),
        (
            after(white, white),
            "you multiply by the inverse of the covariance and stop: whiten by its root, then colour.",
        ),
        (after(root(wanted + small, -0.5), root(before)), swapped),
        (after(np.linalg.inv(high).T, low.T), swapped),
        (after(np.linalg.inv(before + small), wanted), roots),
        (after(inverse, high), "with Cholesky's L, rows are whitened by inv(L).T and coloured by L.T: transpose both."),
        (after(inverse, high.T), "inv(L) is not transposed: rows are whitened by inv(L).T."),
        (after(inverse.T, high), "the target's L is not transposed: rows are coloured by L.T."),
        (after(white, wanted), "you colour with the covariance itself: it takes its root."),
        (after(colour, white), "the order is turned: whiten first, then colour."),
        (
            wanted * (len(target) - 1) / (len(source) - 1),
            "you left the sums of squares undivided, so the larger domain counts as the wider: divide each by its own "
            "number of users.",
        ),
        (after(wide), "you add I, which drowns the variances: add epsilon * I."),
    ):
        if near(moved, variant):
            raise Wrong(message)
    compare(moved, wanted, f"the covariance{what}")


@exercise(
    "05.4",
    "Fuse what is known here with what came over",
    points=2,
    why="with no events you trust the other domain, with many the user's own; in between the gate weighs k events' "
    "worth of transfer against n of her own.",
    hints=(
        "Each user has a gate of her own, n / (n + k), the weight of her own vector. What shape must it have, so that "
        "it multiplies rows?",
        "gate = (counts / (counts + k))[:, None]. And 0 times NaN is NaN: choose with np.where instead of multiplying, "
        "where a user has no events.",
    ),
)
def judge_fuse(fuse):
    rng = np.random.default_rng(54)
    for counts, size, k in (
        ([3, 1, 12, 40], 4, 5.0),
        ([0, 2, 7, 0, 1], 3, 2.5),
        ([0, 0], 6, 8),
        ([1, 0, 2000], 2, 0.25),
    ):
        counts = np.array(counts)
        own, over = rng.normal(size=(2, len(counts), size))
        own[counts == 0] = np.nan
        n, known = counts[:, None], np.nan_to_num(own)
        gate = n / (n + k)
        right = gate * known + (1 - gate) * over
        across = np.where(counts > 0, counts / (counts + k), 0)
        square = across * known + (1 - across) * over if size == len(counts) else right
        one, total = counts.mean() / (counts.mean() + k), max(counts.sum(), 1)
        norm = length(known) / (length(known) + k)

        def mix(weight, known=known, over=over):
            return weight * known + (1 - weight) * over

        compare(
            fuse(own, counts, over, k),
            right,
            "the fused vectors",
            (mix(1 - gate), "the gate is swapped: the own vector gets n / (n + k), more with every event."),
            (
                np.where(n > 0, right, np.nan),
                "NaN leaks: 0 times NaN is NaN, so a gate of 0 does not shut it out. Choose with np.where.",
            ),
            (
                np.where(n > 0, right, 0),
                "a user without events gets zeros: for her the transferred vector is all there is.",
            ),
            (mix(one), "all users have one gate: each has her own n."),
            (square, "user j's gate weighs column j: give the gates a second axis, gate[:, None]."),
            (mix(norm), "your gate looks at how long the vector is: n is the number of events."),
            *(
                (
                    value,
                    "you take the own vector from the first event on: one event would silence all that came over.",
                )
                for value in (np.where(n > 0, known, over), known, own)
            ),
            (np.where(n >= k, known, over), "you switch at k events: asked is a gate that opens bit by bit."),
            (mix(np.minimum(n / k, 1)), "your gate is n / k, full at k events: n / (n + k) is half open there."),
            (mix(n / (n + 1)), "your gate is n / (n + 1) whatever k is."),
            (
                mix(gate**0.5),
                "you took the root of the gate, so that it is half open at k / 3 events: n / (n + k) is at k events.",
            ),
            (mix(1 - np.exp(-n / k)), "your gate opens exponentially: asked is n / (n + k)."),
            (
                mix(n / total),
                "your gate is the user's share of all events: another user's events are no matter to her.",
            ),
            (mix(n / max(counts.max(), 1)), "your gate compares with the busiest user: asked is n / (n + k)."),
            (mix(0.5), "you take the plain mean: the weight of the own vector grows with n."),
            (known + over, "you add the two: weigh them, so that the weights sum to 1."),
            (gate * known + over, "the transferred vector keeps its full weight: it gets 1 - gate."),
            (n * known + k * over, "divide by n + k, or the vector grows with every event."),
            (gate * known, "what came over is left out: add (1 - gate) times it."),
            (over, "these are the transferred vectors alone."),
        )


@exercise(
    "05.5",
    "How much of the gain does the transfer reach?",
    points=2,
    why="a share between floor and ceiling says more than a score, and its interval, with all three on the same users, "
    "says how many users stand behind it.",
    hints=(
        "Means first, then one ratio. For the interval the same is done again on users drawn with replacement; "
        "transfer, baseline and oracle go with their user.",
        "drawn = rng.integers(n, size=(draws, n)) serves all three: transfer[drawn].mean(axis=1), and so on. Then "
        "np.quantile(ratios, [.025, .975]). Before all that, raise ValueError if the oracle's gain is not above 0.",
    ),
)
def judge_share(share_of_gain):
    for users, share, seed in ((60, 0.6, 1), (40, -0.4, 2), (50, 1.3, 3)):
        rng = np.random.default_rng(540 + seed)
        level = rng.beta(2, 2, users) * 0.6
        baseline = level + 0.03 * rng.normal(size=users)
        oracle = level + 0.2 + 0.1 * rng.normal(size=users)
        oracle = np.where(abs(oracle - baseline) < 0.02, baseline + 0.02, oracle)
        transfer = level + 0.2 * share + 0.1 * rng.normal(size=users)
        _judge_interval(share_of_gain, transfer, baseline, oracle)
    for users, seed in ((16, 3), (12, 3)):  # two users make most of the gain, so the interval lies askew
        rng = np.random.default_rng(seed)
        few = rng.lognormal(0, 2, users)
        full = 0.3 + 0.05 * rng.normal(size=users)
        _judge_interval(share_of_gain, 0.4 * few / few.max(), np.zeros(users), full, 2000)
    for worse, what in ((baseline - 0.1, "worse than"), (baseline, "equal to")):
        try:
            share_of_gain(transfer, baseline, worse, 10, rng)
        except Crashed as stop:
            if not isinstance(stop.__cause__, ValueError):
                raise Wrong(f"for an oracle {what} the baseline raise ValueError; yours stops with {stop}") from None
        else:
            raise Wrong(f"an oracle {what} the baseline leaves no gain to have a share of: raise ValueError.")


def _judge_interval(share_of_gain, transfer, baseline, oracle, draws=4000):
    def run(draws, seed):
        arrays = transfer, baseline, oracle
        returned = share_of_gain(*arrays, draws, np.random.default_rng(seed))
        return [numbers(part, "each result") for part in unpack(returned, "the share", "its low end", "its high end")]

    got, few, again, other, single = run(draws, 1), run(50, 1), run(50, 1), run(50, 2), run(1, 1)
    if shapes := [part.shape for part in got if part.ndim]:
        raise Wrong(f"share, low and high are one number each; one of yours has shape {shapes[0]}.")
    means = transfer.mean(), baseline.mean(), oracle.mean()
    gain, reach = means[2] - means[1], means[0] - means[1]
    each = (transfer - baseline) / (oracle - baseline)
    share, low, high = got
    if same(low, np.array(reach / gain)) and not same(low, share):
        raise Wrong("your share stands in the middle: return share, low, high.")
    if not same(share, other[0]):
        raise Wrong("your share changes with the draws: it comes from all users, once. Draws are for the interval.")
    whole = np.median(transfer) - np.median(baseline), np.median(oracle) - np.median(baseline)
    compare(
        share,
        reach / gain,
        "the share",
        (each.mean(), "you average the users' ratios, and a user with hardly any gain rules all: divide the means."),
        (np.median(each), "you take the median of the users' ratios: divide one mean by the other."),
        (whole[0] / whole[1], "you take medians: the metric is a mean over users."),
        (
            means[0] / means[2],
            "the baseline is missing: it reaches a share of the oracle's score without any transfer.",
        ),
        (reach / means[2], "below stands the oracle's whole score: take the baseline off there too."),
        (reach / means[1], "that is the gain over the baseline in parts of the baseline: divide by the oracle's gain."),
        (gain / reach, "the ratio is upside down: the transfer's gain over the oracle's."),
        (1 - reach / gain, "that is the share still missing: start from the baseline, not from the oracle."),
        (reach, "that is the gain itself: divide by the oracle's."),
        (100 * reach / gain, "that is in percent: asked is a share, 1 for all of the gain."),
        (np.clip(reach / gain, 0, 1), "you cut at 0 or 1: a transfer can do harm, and it can beat the oracle."),
        (abs(reach / gain), "you dropped the sign: a transfer worse than the baseline has a share below 0."),
    )
    if not same(few[1], again[1]) or not same(few[2], again[2]):
        raise Wrong("two calls with the same rng give two intervals: draw from `rng` and from nothing else.")
    if same(low, high):
        raise Wrong("low and high are the same: draw users with replacement, or every resample is the one you have.")
    if same(few[1], other[1]) and same(few[2], other[2]):
        raise Wrong("two different rngs give the same interval: resample with `rng`, and do not seed it anew.")
    if not same(single[1], single[2]):
        raise Wrong("one draw has one ratio, so low and high agree; yours do not. Make `draws` resamples.")
    if low > high:
        raise Wrong("low and high are swapped.")
    if high < share:
        raise Wrong("your interval lies below the share: np.percentile counts to 100, np.quantile to 1.")

    rng, n = np.random.default_rng(0), len(transfer)

    def drawn():
        """How often each user is drawn, resample by resample."""
        return rng.multinomial(n, np.full(n, 1 / n), size=10_000)

    def ratio(*drawn):
        top, floor, ceiling = (rows @ values for rows, values in zip(drawn, (transfer, baseline, oracle), strict=True))
        return (top - floor) / (ceiling - floor)

    def off(ratios, ends=(0.025, 0.975)):
        """How far the student's ends are off, in widths of the interval."""
        left, right = np.quantile(ratios, ends)
        return max(abs(low - left), abs(high - right)) / (right - left)

    counts = drawn()
    paired = ratio(counts, counts, counts)
    curve = "you lay a normal curve over the ratios: asked are their quantiles, which lie askew as they do."
    around = "you turn the quantiles round at the share: low and high are the quantiles themselves."
    normal = [np.array([centre, centre]) + np.array([-1.96, 1.96]) * paired.std() for centre in (paired.mean(), share)]
    near = [(off(each, (0, 1)), curve) for each in normal] + [(off(2 * share - paired), around)]
    whole = "your resamples leave the oracle's gain as it was: resample it too."
    near.append((off(counts @ (transfer - baseline) / n / gain), whole))
    if off(paired) < 0.05:  # 4,000 draws place an end to within .04 standard errors; a 95% interval has 4 of these
        return
    anew = "you draw the users anew for each array: what a user has in common in all three is lost. Draw once."
    ends = ": take 2.5% off each end."
    second, third = drawn(), drawn()
    named = sorted(
        (
            (off(ratio(counts, second, third)), anew),
            (off(ratio(counts, counts, third)), anew),
            (off(ratio(counts, second, second)), anew),
            (off(counts @ each / n), "in the resamples you average ratios: divide the means, as for the share."),
            *near,
            (off(paired, (0.05, 0.95)), "your interval holds 90%" + ends),
            (off(paired, (0.005, 0.995)), "your interval holds 99%" + ends),
            (off(paired, (0.159, 0.841)), "your interval is one standard error to each side, 68%" + ends),
            (off(paired, (0.25, 0.75)), "your interval holds the middle half" + ends),
        )
    )
    least, most = np.quantile(paired, (0.001, 0.999))
    if low < least and high > most and off(paired, (0, 1)) < 0.2:
        named.append(
            (0, "these are the least and the largest ratio, which drift apart with more draws: take quantiles.")
        )
    left, right = np.quantile(paired, (0.025, 0.975))
    about = f"the interval should run from about {left:.2f} to {right:.2f}; yours from {low:.2f} to {high:.2f}."
    close = [message for distance, message in named if distance < 0.05]
    raise Wrong(close[0] if close else about)


@exercise(
    "05.6",
    "Read an experiment in transfer",
    points=2,
    why="nothing sees a cold user's target events before the score, and few shared users carry only a small map.",
    hints=(
        "Cut the users first, in thought: known in both, and hidden. Whatever is fitted or counted sees the music of "
        "the first group only. What do you still need from the hidden ones, to have something to transfer?",
        "In the picture go from right to left, to fewer users, and see which curve crosses the dashed line first. For "
        "the index, work out the cosine of [3, 4] and of 2 * [3, 4] with [4, 3].",
    ),
)
def judge_experiment(reading):
    quiz(
        reading,
        {
            "cold split hides": Question(
                "music of some users",
                {
                    "some events": "most music of every user is still there: nobody is new in music.",
                    "last music event": "all other music of these users is still there: that tests known users.",
                    "all of some users": "without their books nothing can be carried over to them.",
                    "books of some users": "it is music that is to be new: the books are what you transfer from.",
                },
            ),
            "map is fitted on": Question(
                "visible users",
                {
                    "all users": "with the hidden users' music in the fit, the map has seen the answers.",
                    "hidden users": "their music is the answer: fitted on it, the map is scored on what it learned.",
                    "books alone": "a map from books to music has to see both ends of some users.",
                },
            ),
            "popularity counts": Question(
                "visible users",
                {
                    "all users": "the hidden events are scored: counting them lifts the very items to be found. A leak "
                    "that makes the baseline too strong is a leak too.",
                    "hidden users": "then popularity is made of the answers.",
                    "books alone": "books say nothing about how popular a piece of music is.",
                },
            ),
            "ridge is chosen by": Question(
                "part of the visible",
                {
                    "hidden users": "the best of several looks at the scored users is partly luck, and that "
                    "luck would be reported.",
                    "visible, as fitted": "on the users it was fitted on, the least ridge always looks best.",
                },
            ),
            "falls below content only first": Question(
                "products",
                {
                    "linear": "it does so too, but later: look at 20 shared users.",
                    "neither": "look at the left end: both curves are below the dashed line there.",
                    "both at once": "at 20 shared users one of them is still above the dashed line.",
                },
            ),
            "best with 20 shared users": Question(
                "linear",
                {
                    "products": "44 weights from 20 users are learned by heart: its curve is below the dashed line.",
                    "content only": "it needs no shared users, but at 20 one curve is above it already.",
                },
            ),
            "domain index changes": Question(
                "length",
                {
                    "order": "every score of a user takes the same factor, and the cosine loses even that.",
                    "direction": "all eight entries take the same factor: the vector points where it pointed.",
                    "both": "one factor for all entries cannot turn a vector, so no item overtakes another.",
                    "nothing": "almost: no order and no cosine changes, but one thing about the vector does.",
                },
            ),
        },
    )
