"""Exercises of lesson 06, one model for many scenarios: NumPy only; scenarios and experts count from 0."""

import numpy as np

from recsys_helpers.checks.core import Question, Wrong, compare, exercise, quiz


def softmax(logits: np.ndarray, axis: int | None = -1) -> np.ndarray:
    """The reference: exp(logits) divided by its sum over `axis`, shifted so that nothing overflows."""
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def by_row(vectors: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Each row, (batch, n), times a matrix of its own, (batch, n, m): weights by experts, or x by a kernel."""
    return np.einsum("bn,bnm->bm", vectors, matrices)


def misread(scenario: np.ndarray, n_scenarios: int):
    """Scenarios that a row may be given by mistake, each with its message."""
    yield 0 * scenario, "every row gets what belongs to scenario 0: index with `scenario`, which names each row's own."
    yield 0 * scenario + scenario[0], "every row gets what belongs to the first row's scenario: each row has its own."
    yield scenario - 1, "every row gets what belongs to the scenario before its own: scenarios count from 0."
    yield (
        np.arange(len(scenario)) % n_scenarios,
        "row i gets what belongs to scenario i; its scenario is scenario[i]: index with the whole array.",
    )


def wrong_kernels(shared: np.ndarray, own: np.ndarray, scenario: np.ndarray):
    """What may be made of the shared kernel and the scenarios' own, in the place of their product by entries."""
    mine = own[scenario]
    yield shared + mine, "the kernels are added (or what they make of x is): multiply them, entry by entry."
    yield shared + 0 * mine, "the scenario's kernel makes no difference: multiply the shared kernel by it."
    yield mine, "the shared kernel makes no difference, and a small scenario is left to itself: multiply the two."
    yield shared * (1 + mine), "you add 1 to the scenario's kernel: it starts from ones, so they stand in it already."
    with np.errstate(invalid="ignore"):
        power = shared**mine
    yield (
        power,
        "you raise the shared kernel to the power of the scenario's: that of a negative entry may not exist, "
        "and a 0 there turns no input off. Multiply them, entry by entry.",
    )
    yield shared * own.mean(0) + 0 * mine, "you average the scenarios' kernels: each row takes that of its scenario."
    if shared.shape[0] == shared.shape[1]:
        yield mine @ shared, "that is a matrix product, the scenario's kernel first: multiply them entry by entry."
        yield shared @ mine, "that is a matrix product, one layer after the other: multiply them entry by entry."
        yield np.swapaxes(shared * mine, 1, 2), "your kernel is transposed: x goes with axis 0, the output is axis 1."
    for other, message in misread(scenario, len(own)):
        yield shared * own[other], message


def wrong_weights(logits: np.ndarray):
    """What may be made of logits, shape (batch, experts), in the place of a softmax over the experts."""
    yield (
        softmax(logits, axis=0),
        "your weights sum to 1 over the batch, but rows are strangers: each shares out 1 among its experts.",
    )
    yield softmax(logits, axis=None), "your weights sum to 1 over all rows together: each row has its own 1 to share."
    yield logits, "there is no softmax: the logits themselves weigh the experts, some negatively. They must be shares."
    yield np.exp(logits), "the exponentials are right but nothing divides them: divide by their sum over the experts."
    yield (
        logits / logits.sum(1, keepdims=True),
        "you divide the logits by their sum; a softmax divides their exponentials, so that no share is negative.",
    )
    yield (
        1 / (1 + np.exp(-logits)),
        "you take a sigmoid of each logit: the experts then do not compete, and the weights do not sum to 1.",
    )
    yield (
        np.eye(logits.shape[1])[logits.argmax(1)],
        "only the best expert speaks: the softmax lets every expert in, by its weight (and lets all of them learn).",
    )


def wrong_sums(weights: np.ndarray, outputs: np.ndarray):
    """What may become of the experts' outputs once the weights are right."""
    weighted = weights[:, :, None] * outputs
    yield outputs.sum(1), "the experts are added up without weights: weigh each before you add."
    yield outputs.mean(1), "every expert weighs the same, and the scenario has no say: use the weights."
    yield weighted, "the weighing is done; now add up over the experts, axis 1."
    yield weighted.mean(1), "you average what is weighted already: the weights sum to 1, so take the sum."
    yield weighted.sum(2), "you add up over the width, and one number is left of each expert: add up over the experts."
    if weights.shape[1] == outputs.shape[2]:
        yield (
            (weights[:, None, :] * outputs).sum(1),
            "the weights lie along the width, not along the experts: give them a *last* axis of length 1.",
        )


def overflown(logits: np.ndarray):
    """What a softmax over the experts gives of large logits if it is not shifted, or not by each row's maximum."""
    shifts = 0, logits.max(), logits.min(1, keepdims=True), logits.mean(1, keepdims=True)
    naive, one, low, mean = (np.exp(logits - shift) for shift in shifts)
    middle = np.exp(logits - np.median(logits, axis=1, keepdims=True))
    for powers, message in (
        (mean, "you take off the mean, and a logit far above it still overflows: take off the maximum."),
        (middle, "you take off the median, and a logit far above it still overflows: take off the maximum."),
    ):
        yield powers / powers.sum(1, keepdims=True), message
    yield (
        naive / naive.sum(1, keepdims=True),
        "large logits overflow: e to the 1000 is infinite, and infinity by infinity is no number. Take each row's "
        "maximum off before np.exp; the weights stay the same.",
    )
    yield (
        one / one.sum(1, keepdims=True),
        "one maximum for all rows turns a row of low logits into 0 by 0: take off each row's own maximum.",
    )
    yield (
        low / low.sum(1, keepdims=True),
        "you take off the minimum, so the rest can still be huge: take off the maximum.",
    )


# Logits, two rows each: without a shift all overflow; by the mean, the median or the least of a row, some do.
LARGE = (
    [[1000.0, 999.0, -1000.0], [-1000.0, -1001.0, -1002.0]],
    [[1000.0, 0.0, -10.0], [-2000.0, 1.0, 0.0]],
    [[2000.0, 2000.0, -3000.0], [-1.0, 0.0, -2000.0]],
)


@exercise(
    "06.1",
    "A gate for each scenario",
    points=2,
    why="the scenario decides whom to ask, while every event, from whichever scenario, may teach every expert.",
    hints=(
        "First pick each row's logits, one row of the gate table for each example; then the softmax over the experts; "
        "then the weighted sum over the expert axis.",
        "gate_logits[scenario] has shape (batch, experts). Take each row's maximum off, np.exp, divide by the row's "
        "sum. Give the weights a last axis of length 1, multiply, and sum over axis 1.",
    ),
)
def judge_mixture(mixture):
    rng = np.random.default_rng(61)
    for rows, scenarios, experts, width in (([1, 3, 0, 1], 4, 2, 2), ([2, 1, 0, 3, 2], 4, 3, 2), ([1], 3, 4, 3)):
        scenario, batch = np.array(rows), len(rows)
        outputs, gates = rng.normal(size=(batch, experts, width)), rng.normal(size=(scenarios, experts))

        weights = softmax(gates[scenario])
        compare(
            mixture(outputs, gates, scenario),
            by_row(weights, outputs),
            "the mixture",
            (
                by_row(softmax(gates, axis=0)[scenario], outputs),
                "your softmax runs over the scenarios: an expert's weights sum to 1 across scenarios. Each "
                "scenario has its own 1 to share out among the experts.",
            ),
            (
                by_row(softmax(gates, axis=None)[scenario], outputs),
                "your softmax runs over the whole gate table: each scenario, a row of it, has its own 1 to share out.",
            ),
            *((by_row(made, outputs), message) for made, message in wrong_weights(gates[scenario])),
            *((by_row(softmax(gates[other]), outputs), message) for other, message in misread(scenario, scenarios)),
            *(
                (mean @ outputs, "you average the gates of all scenarios: that is one gate for all.")
                for mean in (softmax(gates.mean(0)), softmax(gates).mean(0))
            ),
            *wrong_sums(weights, outputs),
        )
    for table in LARGE:
        gates, scenario, outputs = np.array(table), np.array([1, 0, 1]), rng.normal(size=(3, 3, 2))
        with np.errstate(all="ignore"):
            compare(
                mixture(outputs, gates, scenario),
                by_row(softmax(gates[scenario]), outputs),
                "the mixture with logits near 1000",
                *((by_row(w, outputs), message) for w, message in overflown(gates[scenario])),
            )


@exercise(
    "06.2",
    "A star-shaped layer",
    points=2,
    why="the shared kernel learns from all events; a small scenario only learns where it differs, starting at ones.",
    hints=(
        "Each row needs a kernel of its own: the shared one, entry by entry scaled by the kernel of the row's "
        "scenario. Only then does x come in.",
        "kernel = shared_kernel * scenario_kernels[scenario] has shape (batch, in, out). np.einsum('bi,bio->bo', x, "
        "kernel) multiplies each row by its own. Both biases are added.",
    ),
)
def judge_star(star_layer):
    rng = np.random.default_rng(62)
    for rows, scenarios, size, out in (([2, 1, 0, 1], 3, 3, 3), ([2, 1, 0, 3, 2], 4, 3, 2), ([1], 2, 2, 4)):
        scenario, x, shared = np.array(rows), rng.normal(size=(len(rows), size)), rng.normal(size=(size, out))
        own, bias = rng.normal(size=(scenarios, size, out)), rng.normal(size=out)
        biases = rng.normal(size=(scenarios, out))
        right = by_row(x, shared * own[scenario])
        compare(
            star_layer(x, shared, 0 * bias, own, 0 * biases, scenario),
            right,
            "x times the kernels, with all biases 0",
            *((by_row(x, wrong), message) for wrong, message in wrong_kernels(shared, own, scenario)),
            ((x @ shared) * by_row(x, own[scenario]), "you multiply two outputs: multiply the kernels first."),
            (
                np.einsum("bi,sio->bso", x, shared * own),
                "each row has an output for every scenario: only the one of its own is asked.",
            ),
            (np.maximum(right, 0), "no activation is asked: negative outputs stay."),
        )
        compare(
            star_layer(x, shared, bias, own, biases, scenario),
            right + bias + biases[scenario],
            "the output with biases",
            (right, "both biases are forgotten: add the shared one and the scenario's."),
            (right + bias, "the scenario's bias is forgotten: each row adds that of its scenario."),
            (right + biases[scenario], "the shared bias is forgotten: it is added in every scenario."),
            (right + bias * biases[scenario], "the biases are multiplied as the kernels are: biases are added."),
            (
                right + bias + biases[0],
                "every row adds the bias of scenario 0: each adds that of its own scenario.",
            ),
            (
                right + bias + biases.mean(0),
                "you average the scenarios' biases: each row adds that of its scenario.",
            ),
            (
                right + bias * by_row(x, own[scenario]) + biases[scenario],
                "you scale the shared bias by the scenario's kernel: it is added as it is.",
            ),
        )


@exercise(
    "06.3",
    "Attention over experts, asked by the scenario",
    points=2,
    why="the scenario asks, and what it gets depends on it: nothing that leaves it out can weigh by it.",
    hints=(
        "Compare each query with every expert's key by a dot product, calm the scores by the square root of a "
        "key's size, make shares over the experts, mix each row's own values.",
        "scores = scenario_query @ expert_keys.T / np.sqrt(d), shape (batch, experts); softmax along each row; the "
        "output is (weights[:, :, None] * expert_values).sum(axis=1). Return outputs first, weights second.",
    ),
)
def judge_attend(attend):
    rng = np.random.default_rng(63)
    for batch, d, experts, width in ((3, 4, 2, 2), (5, 3, 3, 2), (1, 2, 5, 4)):
        query, keys = rng.normal(size=(batch, d)), rng.normal(size=(experts, d))
        values = rng.normal(size=(batch, experts, width))
        product = query @ keys.T
        scores = product / np.sqrt(d)
        right = softmax(scores)
        lengths = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(keys, axis=1)
        outputs, weights = _two(attend(query, keys, values))
        mixed = by_row(right, values)
        compare(
            weights,
            right,
            "the weights",
            (mixed, "outputs and weights are swapped: return the outputs first."),
            (
                softmax(product),
                "the scores are not scaled: divide by sqrt(d), or long queries settle on one expert.",
            ),
            (
                softmax(product / d),
                "you divide by d; the spread of a dot product grows with sqrt(d): divide by that.",
            ),
            (softmax(product * np.sqrt(d)), "you multiply by sqrt(d): scaling calms the scores, so divide."),
            (
                softmax(product / np.sqrt(experts)),
                "you divide by the root of the number of experts: take that of d.",
            ),
            (softmax(product) / np.sqrt(d), "you scale after the softmax; scale the scores, and weights sum to 1."),
            (
                softmax(product / lengths),
                "you take cosines: a dot product keeps the lengths; divide by sqrt(d) only.",
            ),
            *wrong_weights(scores),
            (product, "there is neither scale nor softmax: these are the bare dot products."),
            (np.maximum(scores, 0), "a ReLU makes no shares: the weights of a row sum to 1. That takes a softmax."),
            (
                np.tile(softmax(query.mean(0) @ keys.T / np.sqrt(d)), (batch, 1)),
                "you ask with the mean query, so all rows get the same weights: each row asks with its own.",
            ),
            (np.tile(right[0], (batch, 1)), "the first row asks for all: each row asks with its own query."),
            (np.full_like(right, 1 / experts), "every expert weighs the same, as in the article: nobody is asked."),
        )
        compare(
            outputs,
            mixed,
            "the outputs",
            (right @ keys, "you mix the keys; they only say whom to ask. Mix the values."),
            *wrong_sums(right, values),
            (by_row(scores, values), "you mix by the scores: their softmax, which you return, weighs the values."),
            (values[np.arange(batch), right.argmax(1)], "you take the best expert's value alone: mix them all."),
            (
                right @ values,
                "`weights @ values` gives every row's weights to every row's values: row by row instead.",
            ),
            (right @ values[0], "all rows mix the first row's values: each row has its own."),
            (
                np.maximum(np.concatenate([query, *np.moveaxis(values, 1, 0)], axis=1), 0),
                "that is the article's fusion, side by side under a ReLU: nothing is weighed. Add up by the weights.",
            ),
            (np.maximum(mixed, 0), "no ReLU is asked: a mixture may be negative."),
        )
    long = np.array([[9000.0, 0], [-9000, 100]]), np.array([[1.0, 0.5], [0.9, 0.5], [0.8, 0.5]])
    for query, keys in (long, *((np.array(table), np.eye(3) * 3**0.5) for table in LARGE)):
        scores = query @ keys.T / np.sqrt(keys.shape[1])
        with np.errstate(all="ignore"):
            weights = _two(attend(query, keys, rng.normal(size=(2, 3, 1))))[1]
            compare(weights, softmax(scores), "the weights of long queries", *overflown(scores))


def _two(returned):
    try:
        outputs, weights = returned
    except (TypeError, ValueError):
        raise Wrong("return two arrays in this order: the outputs, the weights.") from None
    return outputs, weights


def auc(scores: np.ndarray, labels: np.ndarray, others: np.ndarray | None = None, tie: float = 0.5) -> float:
    """Share of (liked, not liked) pairs in which the liked one scores higher; NaN without a pair."""
    gap = scores[labels == 1][:, None] - (scores[labels == 0] if others is None else others)
    return np.mean((gap > 0) + tie * (gap == 0)) if gap.size else np.nan


@exercise(
    "06.4",
    "AUC by scenario, macro and micro",
    points=2,
    why="micro also rewards telling scenarios apart, which ranks nothing for anybody; macro lets the cart speak.",
    hints=(
        "Write the AUC of any rows first: all differences of a liked and a not liked score; a positive one counts 1, "
        "a 0 one half. Then use it on each scenario's rows, and once on all rows.",
        "gap = liked[:, None] - not_liked; the AUC is the mean of (gap > 0) + (gap == 0) / 2, and np.nan if gap.size "
        "is 0. The macro figure is np.nanmean over scenarios; the micro figure never looks at `scenario`.",
    ),
)
def judge_auc(auc_by_scenario):
    rng = np.random.default_rng(64)
    for sizes, levels, low, step in (
        ((40, 12, 0, 9, 5), 9, 0, 1 / 13),
        ((6, 25, 14), 6, 0, 0.1),
        ((3, 30), 40, 0, 1 / 44),
        ((20, 14, 0), 9, 0, 1 / 13),  # the last scenario has no rows yet
        ((9, 16, 7, 0, 0), 9, -1, 0.25),
        ((15, 12), 9, 0, 2.0**-30),  # as of a softmax over a million items
        ((20, 15), 9, 1, 2.0**-19),  # of scores near 1, told apart in 32 bits
    ):
        scenario = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
        labels = (rng.random(len(scenario)) < np.where(scenario % 2, 0.7, 0.3)).astype(int)
        labels[scenario == 3], labels[scenario == 4] = 1, 0  # of one class only
        scores = low + step * np.round(rng.random(len(scenario)) * levels + labels + scenario % 2 * 2)
        _judge_auc(auc_by_scenario(scores, labels, scenario, len(sizes)), scores, labels, scenario, len(sizes))


def _judge_auc(returned, scores, labels, scenario, n):
    try:
        per, macro, micro = returned
    except (TypeError, ValueError):
        raise Wrong("return three things: an array with the AUC of each scenario, macro, micro.") from None
    parts = [scenario == s for s in range(n)]

    def each(measure):
        return np.array([measure(scores[part], labels[part]) for part in parts])

    def by_place(scores, labels):
        ranks = scores.argsort(kind="stable").argsort(kind="stable")
        return auc(ranks, labels)

    def by_near(scores, labels):
        gap = scores[labels == 1][:, None] - scores[labels == 0]
        level = np.isclose(gap, 0, atol=1e-8 + 1e-5 * abs(scores).max(initial=0))
        return np.mean(np.where(level, 0.5, gap > 0)) if gap.size else np.nan

    right = each(auc)
    known = ~np.isnan(right)
    compare(
        per,
        right,
        "the AUC of each scenario",
        (each(lambda s, y: auc(s, y, tie=0)), "a tie counts nothing with you: it is half won, so count .5."),
        (each(lambda s, y: auc(s, y, tie=1)), "a tie counts as won with you, so that equal scores for all get 1."),
        (each(by_place), "you break ties by the place in the table: equal scores are a tie, and count one half."),
        *(
            (tied, "scores that differ by little are ties with you (rounded, np.isclose?): only equal ones are.")
            for tied in (each(by_near), np.where(known, 0.5, np.nan))
        ),
        (
            right[: scenario.max() + 1],
            "the last scenarios have no rows here, and no place in your array: n_scenarios tells how many there are.",
        ),
        (1 - right, "you count the pairs in the wrong order: the liked one should score higher."),
        (2 * right - 1, "that is Gini, 2 AUC - 1, where chance is 0: the AUC is the share of pairs won, chance is .5."),
        *(
            (
                np.where(known, right, filler),
                f"a scenario without a pair of liked and not liked has no AUC, not even {filler}: give np.nan.",
            )
            for filler in (0, 0.5, 1)
        ),
        (right[known], "a scenario that has no AUC is left out: keep its place in the array, with np.nan."),
        (
            each(lambda s, y: auc(s, y, others=scores[labels == 0])),
            "you compare a scenario's likes with what was not liked in all scenarios: stay within its own rows.",
        ),
        (
            each(lambda s, y: np.mean((s > 0.5) == y) if y.size else np.nan),
            "that is the accuracy at a threshold of .5: an AUC compares pairs.",
        ),
    )
    rows = np.array([part.sum() for part in parts])
    pairs = np.array([labels[part].sum() * (1 - labels[part]).sum() for part in parts])
    overall, filled = auc(scores, labels), np.where(known, right, 0)
    by_rows, by_pairs = (np.average(right[known], weights=count[known]) for count in (rows, pairs))
    compare(
        macro,
        right[known].mean(),
        "the macro AUC",
        (overall, "your macro figure is the AUC over all rows, which is the micro one: take the mean over scenarios."),
        *(
            (value, f"your macro figure is weighted by {what}: give every scenario the same weight.")
            for what, value in (("the number of rows", by_rows), ("the number of pairs", by_pairs))
        ),
        (right.mean(), "one scenario without an AUC makes your macro figure NaN: average the others (np.nanmean)."),
        (filled.mean(), "a scenario that has no AUC counts as 0 in your macro figure: leave it out of the mean."),
        (np.where(known, right, 0.5).mean(), "a scenario that has no AUC counts as .5 in your macro figure."),
        (np.median(right[known]), "that is the median over scenarios: macro is their mean."),
    )
    compare(
        micro,
        overall,
        "the micro AUC",
        (right[known].mean(), "your micro figure is the macro one: take the AUC over all rows at once."),
        *(
            (
                value,
                f"your micro figure is a mean weighted by {what}: an AUC of all rows has pairs across scenarios, too.",
            )
            for what, value in (("the number of rows", by_rows), ("the number of pairs", by_pairs))
        ),
        (1 - overall, "micro counts the pairs in the wrong order."),
        (auc(scores, labels, tie=0), "micro counts a tie as nothing: count one half, as in each scenario."),
        (auc(scores, labels, tie=1), "micro counts a tie as won: count one half, as in each scenario."),
        (by_near(scores, labels), "micro takes scores that differ by little for ties: only equal ones are."),
        (by_place(scores, labels), "micro breaks ties by the place in the table: count one half, as in each scenario."),
    )


@exercise(
    "06.5",
    "A new scenario with few events",
    points=2,
    why="without events a scenario passes for the others; after `strength` events of its own it is half itself.",
    hints=(
        "Add events nobody has seen: `strength` of them, split up as the prior says. Then make shares of seen and "
        "added ones together.",
        "(counts + strength * prior) / (n + strength), where n is the sum over the last axis with keepdims=True. Only "
        "where n + strength is 0 does the prior stand alone.",
    ),
)
def judge_shrinkage(new_scenario_weights):
    rng = np.random.default_rng(65)
    for sizes, k, strength in (
        ((9, 4, 30), 4, 6.0),
        ((12,), 4, 20.0),
        ((7, 0, 5, 40), 4, 0.5),
        ((3, 1, 0), 6, 2.0),
        ((20_000, 1), 2, 300.0),
    ):
        prior = rng.dirichlet(np.full(k, 3.0))
        counts = np.array([rng.multinomial(size, rng.dirichlet(np.ones(k))) for size in sizes])
        counts = counts if len(sizes) > 1 else counts[0]
        _judge_shares(new_scenario_weights(counts, prior, strength), counts, prior, strength)
    prior = np.array([0.5, 0.3, 0.2])
    for counts in (np.array([[3, 0, 1], [0, 0, 0]]), np.zeros(3, dtype=int)):
        none = counts.sum(-1, keepdims=True) == 0
        own = counts / np.maximum(counts.sum(-1, keepdims=True), 1)
        compare(
            new_scenario_weights(counts, prior, 0),
            np.where(none, prior, own),
            "the shares with strength 0",
            (np.where(none, np.nan, own), "no events and strength 0 make 0 by 0: all that is known is the prior."),
            (np.where(none, 0.0, own), "a scenario without events has shares of 0 with you: give it the prior's."),
            (
                np.where(none, 1 / 3, own),
                "a scenario without events gets equal shares with you: give it the prior's.",
            ),
        )


def _judge_shares(got, counts, prior, strength):
    k, n, total = len(prior), counts.sum(-1, keepdims=True), counts.sum()
    added = counts + strength * prior
    with np.errstate(all="ignore"):
        own = np.where(n > 0, counts / n, 0)
        compare(
            got,
            added / (n + strength),
            "the shares",
            (own, "the prior makes no difference: a few events decide alone, and what was not seen is impossible."),
            (prior + 0 * own, "the scenario's own events make no difference: mix them in by their number."),
            (
                (counts + strength / k) / (n + strength),
                "you shrink towards equal shares: the other scenarios know better. Shrink towards `prior`.",
            ),
            (
                (counts + strength) / (n + k * strength),
                "you add `strength` to every count: it is the number of all added events; split it as the prior says.",
            ),
            (
                (counts + strength) / (n + strength),
                f"you add `strength` {k} times and divide by it once: add strength * prior to the counts.",
            ),
            (
                added / (n + k * strength),
                f"you divide by n + {k} * strength: the prior sums to 1, so only `strength` events are added in all.",
            ),
            (added, "these are counts: divide by n + strength, so that they sum to 1."),
            (added / n, "you divide by the seen events alone, and the shares exceed 1: the added ones count too."),
            ((counts + prior) / (n + 1), "you add one event in all, whatever `strength` is."),
            ((counts + prior) / (n + strength), "you add the prior once and divide as if it were `strength` times."),
            ((own + prior) / 2, "half own, half prior, whatever was seen: with more events the own ones weigh more."),
            (
                np.where(n > strength, own, prior),
                "you switch to the own shares above `strength` events: blend, so that each event moves them a bit.",
            ),
            (
                (own + strength * prior) / (1 + strength),
                "you weigh the shares by `strength`, so 10 events count as much as 10,000: add to the counts, "
                "then divide.",
            ),
            (
                (strength * own + n * prior) / (n + strength),
                "the weights are swapped: the own shares weigh n, the prior weighs `strength`.",
            ),
            (added / (total + strength), "you divide by the events of all scenarios: each has its own n (last axis)."),
            (added / added.sum(), "all scenarios together sum to 1: each has its own 1 to share (last axis)."),
            (
                added / (counts.sum(0) + strength),
                "your sum runs over the scenarios, axis 0: sum over the interests, the last axis.",
            ),
            (added / added.sum(0), "your columns sum to 1: each scenario, a row, has its own 1 to share out."),
            (
                (added - 1) / (n + strength - k),
                "that is the most probable shares, the mode: asked is the mean, which takes no 1 off.",
            ),
            (
                counts * prior / (counts * prior).sum(-1, keepdims=True),
                "you multiply counts by the prior: what was not seen stays impossible. Add to the counts.",
            ),
        )


@exercise(
    "06.6",
    "Read the table of models and scenarios",
    points=2,
    why="an average hides who pays: look at each scenario, with its interval, at an equal number of parameters.",
    hints=(
        "Read the figure scenario by scenario. Starving: its own model is worse than the one for all. Negative "
        "transfer: the reverse. Where the bars overlap by much, nothing is shown.",
        "The largest gaps without overlap are one in the search and one in the cart. For macro, work out the mean of "
        "the four AUCs of each model and put it beside the micro column. And look at the column of parameters.",
    ),
)
def judge_table(reading):
    seen = "look at the figure again: the intervals overlap, so nothing is shown there."
    quiz(
        reading,
        {
            "one each starves in": Question(
                "cart",
                {
                    "home": f"home has 70% of the events, it is fed best; {seen}",
                    "search": "there a model of its own is far better; that is the other question.",
                    "evening": f"it is a little below, .712 and .718, but {seen}",
                },
            ),
            "one for all suffers negative transfer in": Question(
                "search",
                {
                    "home": f"home makes up 70% of what the one model learns; {seen}",
                    "evening": "there the one for all is a little above, .718 and .712: if anything, transfer helps.",
                    "cart": "there the one for all is far above: that is transfer at its best.",
                },
            ),
            "mixture above one each in home": Question(
                "not shown",
                {
                    "real": ".747 and .744 with intervals of .003 to either side: they share half their width. Compare "
                    "the two on the same events, difference by difference, before you say so.",
                    "equal": "overlap does not prove that two are equal; it may be a small difference that this test "
                    "cannot show.",
                },
            ),
            "may win by size alone": Question(
                "star",
                {
                    "mixture": "it has 40,000 parameters, as many as one for all: what it wins, it wins by its shape.",
                    "one each": "4 times 10,000 are 40,000 parameters in all: a fair comparison.",
                    "one for all": "it has 40,000 parameters, as two others have: it is what they are measured by.",
                },
            ),
            "macro rises and micro falls from the mixture to": Question(
                "star",
                {
                    "one for all": "its mean over scenarios is .708, below the .728 of the mixture: both fall.",
                    "one each": "its mean over scenarios is .701, below the .728 of the mixture: both fall.",
                    "none": "it can happen: a quarter of the macro figure is the cart, 2% of the events. Work out the "
                    "four means.",
                },
            ),
            "age group is no scenario because it is": Question(
                "a trait",
                {
                    "private": "it may be, and may not be used then; but that is no matter of scenario or segment.",
                    "a number": "in groups it is a category like any other; numbers could tell a scenario too, an "
                    "hour for one.",
                    "useless": "as an input it may help; the question is whether it changes between two events of one "
                    "user.",
                },
            ),
        },
    )
