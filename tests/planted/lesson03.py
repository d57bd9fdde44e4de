"""Planted answers to the exercises of lesson 03."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import optimize, special

from planted.common import Tensor, one_wrong, remembering, softmax

RIGHT: dict[str, list[tuple]] = {}
WRONG: dict[str, list[tuple[tuple, str]]] = {}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# --- 03.1 damped biases ---------------------------------------------------------------------------------------------


def shrunk(index, value, size, damping):
    return np.bincount(index, value, size) / np.maximum(damping + np.bincount(index, minlength=size), 1)


def biases(user, item, rating, n_users, n_items, damping, by_item=shrunk, by_user=shrunk):
    mu = rating.mean()
    b_item = by_item(item, rating - mu, n_items, damping)
    return mu, by_user(user, rating - mu - np.nan_to_num(b_item[item]), n_users, damping), b_item


def biases_with_loops(user, item, rating, n_users, n_items, damping):
    mu = sum(rating) / len(rating)
    films, people = [0.0] * n_items, [0.0] * n_users
    for i in range(n_items):
        rest = [r - mu for r, j in zip(rating, item, strict=True) if j == i]
        films[i] = sum(rest) / (damping + len(rest)) if rest else 0.0
    for u in range(n_users):
        rest = [r - mu - films[i] for r, v, i in zip(rating, user, item, strict=True) if v == u]
        people[u] = sum(rest) / (damping + len(rest)) if rest else 0.0
    return [mu, people, films]


def biases_of_a_dense_table(user, item, rating, n_users, n_items, damping):
    table = np.full((n_users, n_items), np.nan)
    table[user, item] = rating - rating.mean()
    real = ~np.isnan(table)
    n = real.sum(0) + damping
    b_item = np.divide(np.nansum(table, 0), n, out=np.zeros(n_items), where=n > 0)
    n = real.sum(1) + damping
    b_user = np.divide(np.nansum(table - b_item, 1), n, out=np.zeros(n_users), where=n > 0)
    return Tensor(rating.mean()), b_user.astype("float32"), Tensor(b_item)


def biases_with(**parts):
    return (lambda *given: biases(*given, **parts),)


def biases_users_first(user, item, rating, n_users, n_items, damping):
    mu, b_item, b_user = biases(item, user, rating, n_items, n_users, damping)
    return mu, b_user, b_item


def biases_in_rounds(user, item, rating, n_users, n_items, damping):
    mu, b_user, b_item = biases(user, item, rating, n_users, n_items, damping)
    for _ in range(4):
        b_item = shrunk(item, rating - mu - b_user[user], n_items, damping)
        b_user = shrunk(user, rating - mu - b_item[item], n_users, damping)
    return mu, b_user, b_item


def biases_apart(user, item, rating, n_users, n_items, damping):
    mu, _, b_item = biases(user, item, rating, n_users, n_items, damping)
    return mu, shrunk(user, rating - mu, n_users, damping), b_item


def biases_of_mean(of):
    """With another mu than the mean of all ratings."""

    def damped_biases(user, item, rating, *rest):
        mu = of(user, item, rating)
        return mu, *biases(user, item, rating, *rest)[1:]

    return (damped_biases,)


def mean_of_means(index, rating):
    return np.mean([rating[index == one].mean() for one in set(index.tolist())])


def written_once(index, value, size, damping):
    total = np.zeros(size)
    total[index] += value
    return total / np.maximum(damping + np.bincount(index, minlength=size), 1)


def films_with_mu(user, item, rating, n_users, n_items, damping):
    mu, b_user, _ = biases(user, item, rating, n_users, n_items, damping)
    return mu, b_user, shrunk(item, rating, n_items, damping)


def users_with_mu(user, item, rating, n_users, n_items, damping):
    mu, _, b_item = biases(user, item, rating, n_users, n_items, damping)
    return mu, shrunk(user, rating - b_item[item], n_users, damping), b_item


def undamped(index, value, size, damping):
    return np.nan_to_num(shrunk_or_nan(index, value, size, 0))


def shrunk_or_nan(index, value, size, damping):
    return np.bincount(index, value, size) / (damping + np.bincount(index, minlength=size))


def too_short(index, value, size, damping):
    return np.bincount(index, value) / np.maximum(damping + np.bincount(index), 1)


def added_up(index, value, size, damping):
    return np.bincount(index, value, size)


def divided_by_damping(index, value, size, damping):
    return shrunk(index, value, size, 0) / (damping or 1)


def biases_in_pandas(user, item, rating, n_users, n_items, damping):
    frame = pd.DataFrame({"user": user, "item": item, "rest": rating - np.average(rating)})

    def shrunk_by(column, size):
        found = frame.groupby(column)["rest"].agg(["sum", "size"])
        return (found["sum"] / (found["size"] + damping)).reindex(range(size), fill_value=0.0)

    films = shrunk_by("item", n_items)
    frame["rest"] -= films[frame["item"]].to_numpy()
    return {"mu": rating.mean(), "users": shrunk_by("user", n_users), "films": films}.values()


def biases_by_one_hot(user, item, rating, n_users, n_items, damping):
    people, films = np.eye(n_users)[user], np.eye(n_items)[item]
    rest = rating - (mu := rating.sum() / rating.size)
    b_item = films.T @ rest / (films.sum(0) + damping + (films.sum(0) == 0))
    return mu, people.T @ (rest - films @ b_item) / (people.sum(0) + damping + (people.sum(0) == 0)), b_item


def biases_added_at(user, item, rating, n_users, n_items, damping):
    mu, result = np.mean(rating), []
    rest = rating - mu
    for index, size in ((item, n_items), (user, n_users)):
        total, count = np.zeros(size), np.zeros(size)
        np.add.at(total, index, rest)
        np.add.at(count, index, 1)
        bias = np.nan_to_num(total / (count + damping))
        rest = rest - bias[index]
        result.insert(0, bias)
    return mu, *result


RIGHT["03.1"] = [
    (biases,),
    (biases_with_loops,),
    (biases_of_a_dense_table,),
    (biases_in_pandas,),
    (biases_by_one_hot,),
    (biases_added_at,),
]
WRONG["03.1"] = [
    (biases_of_mean(lambda u, i, r: mean_of_means(u, r)), "the users' means"),
    (biases_of_mean(lambda u, i, r: mean_of_means(i, r)), "the films' means"),
    (biases_of_mean(lambda u, i, r: 3), "middle of the scale"),
    (biases_of_mean(lambda u, i, r: np.median(r)), "that is the median"),
    (biases_of_mean(lambda u, i, r: r.mean() + 0.1), "mu: "),
    ((lambda *given: [biases(*given)[k] for k in (0, 2, 1)],), "biases are swapped"),
    ((biases_users_first,), "users' biases first"),
    ((biases_apart,), "passes for generous"),
    ((biases_in_rounds,), "after the first round"),
    (biases_with(by_item=shrunk_or_nan), "nobody rated, the films' biases"),
    (biases_with(by_user=shrunk_or_nan), "nobody rated, the users' biases"),
    (biases_with(by_item=undamped), "no difference in the films' biases"),
    (biases_with(by_user=undamped), "no difference in the users' biases"),
    (biases_with(by_item=added_up), "films' biases are only added up"),
    (biases_with(by_user=added_up), "users' biases are only added up"),
    ((films_with_mu,), "mu is still in the films' biases"),
    ((users_with_mu,), "mu is still in the users' biases"),
    (biases_with(by_item=written_once), "films' biases only the last rating"),
    (biases_with(by_user=written_once), "users' biases only the last rating"),
    (biases_with(by_item=too_short), "films' biases end too early"),
    (biases_with(by_user=too_short), "users' biases end too early"),
    (biases_with(by_item=divided_by_damping), "films' biases you divided the means"),
    (biases_with(by_user=divided_by_damping), "users' biases you divided the means"),
    ((lambda *given: biases(*given)[1:],), "return 3 results"),
    ((remembering(biases),), "mu: 3"),
    (
        (lambda *given: [np.round(part, 1) for part in biases(*given)],),
        "mu: 2.636 is expected, yours is 2.6; yours is rounded to 1",
    ),
    ((lambda *given: (biases(*given)[2], *biases(*given)[:2]),), "in the place of mu"),
]

# --- 03.2 backpropagation -------------------------------------------------------------------------------------------


def gradients(
    x,
    liked,
    w1,
    w2,
    error=lambda strength, liked: strength - liked,
    size=lambda liked: liked.size,
    way=lambda layer_input, error: layer_input.T @ error,
    way_1=None,
    back=lambda error, w2: error @ w2.T,
    gate=lambda before, hidden: before > 0,
):
    before = x @ w1
    hidden = np.maximum(before, 0)
    at_logit = error(sigmoid(hidden @ w2), liked) / size(liked)
    at_hidden = back(at_logit, w2) * gate(before, hidden)
    return (way_1 or way)(x, at_hidden), way(hidden, at_logit)


def gradients_with_loops(x, liked, w1, w2):
    d_w1, d_w2 = np.zeros(w1.shape), np.zeros(w2.shape)
    for row, labels in zip(x, liked, strict=True):
        hidden = [max(row @ column, 0.0) for column in w1.T]
        for k, label in enumerate(labels):
            error = (1 / (1 + math.exp(-(np.array(hidden) @ w2[:, k]))) - label) / liked.size
            for h, value in enumerate(hidden):
                d_w2[h, k] += error * value
                d_w1[:, h] += error * w2[h, k] * row * (value > 0)
    return [d_w1, d_w2]


def gradients_by_moving(x, liked, w1, w2, step=1e-5):
    """No backpropagation at all: the loss, moved a little in each weight."""

    def loss(first, second):
        s = np.maximum(x @ first, 0) @ second
        return np.mean(np.logaddexp(0, s) - liked * s)

    result = np.zeros(w1.shape), np.zeros(w2.shape)
    for which, weights in enumerate((w1, w2)):
        for place in np.ndindex(*weights.shape):
            move = [np.zeros(w1.shape), np.zeros(w2.shape)]
            move[which][place] = step
            up, down = loss(w1 + move[0], w2 + move[1]), loss(w1 - move[0], w2 - move[1])
            result[which][place] = (up - down) / (2 * step)
    return Tensor(result[0]), Tensor(result[1])


def gradients_with(**parts):
    return (lambda *given: gradients(*given, **parts),)


def no_input(layer_input, error):
    return error.sum(axis=0)


def square_only(error, w2):
    return error @ w2


def article_error(strength, liked):
    return strength * strength * (1 - strength)


def hidden_sigmoid(before, hidden):
    return sigmoid(before) * (1 - sigmoid(before))


RIGHT["03.2"] = [
    (gradients,),
    (gradients_with_loops,),
    (gradients_by_moving,),
    gradients_with(way=lambda a, e: np.einsum("ui,uj->ij", a, e).astype("float32")),
]
RIGHT["03.2"] += [
    gradients_with(error=lambda s, y: np.where(y == 1, s - 1, s), back=lambda e, w2: np.dot(w2, e.T).T),
    gradients_with(gate=lambda before, hidden: np.sign(hidden), size=lambda y: y.shape[0] * y.shape[1]),
    gradients_with(gate=lambda before, hidden: np.heaviside(before, 0), way=lambda a, e: np.tensordot(a, e, (0, 0))),
]
WRONG["03.2"] = [
    ((remembering(gradients),), "yours is"),
    (gradients_with(size=lambda y: 8), "the gradient of w2: 0"),
    # the article's three mistakes together, then mended one after the other
    (gradients_with(error=article_error, way=no_input, back=square_only, size=len), "the article's, the sigmoid times"),
    (gradients_with(way=no_input, back=square_only), "input is missing in the gradient of w2"),
    (gradients_with(way_1=no_input, back=square_only), "w2 is not transposed"),
    (gradients_with(way_1=no_input), "input is missing in the gradient of w1"),
    (gradients_with(error=lambda s, y: (s - y) * s * (1 - s)), "squared error"),
    (gradients_with(error=lambda s, y: y - s), "sign is turned round"),
    (gradients_with(error=lambda s, y: s), "not strength"),
    (gradients_with(size=lambda y: 1), "those of a sum"),
    (gradients_with(size=len), "divide by the users"),
    (gradients_with(gate=lambda before, hidden: 1), "ReLU is missing"),
    (gradients_with(gate=lambda before, hidden: hidden), "the ReLU's output"),
    (gradients_with(gate=hidden_sigmoid), "activation is a ReLU"),
    (gradients_with(way=lambda a, e: e.T @ a), "the gradient of w2 is transposed"),
    (gradients_with(way_1=lambda a, e: e.T @ a), "the gradient of w1 is transposed"),
    (gradients_with(way_1=lambda a, e: a.T @ e / len(a)), "is not the mean over all pairs"),
    ((lambda *given: gradients(*given)[::-1],), "swapped"),
    (gradients_with(error=lambda s, y: np.sign(s - y)), "the gradient of w2: "),
    ((lambda *given: gradients(*given)[0],), "return 2 results"),
]
# --- 03.3 leaks -----------------------------------------------------------------------------------------------------

LEAKS = {
    "rating given",
    "film mean, all",
    "user mean, this one included",
    "favourite",
    "film vector, all",
    "views next week",
}
RIGHT["03.3"] = [
    (LEAKS,),
    (sorted(LEAKS),),
    (np.array(sorted(LEAKS)),),
    ({name.upper() for name in LEAKS},),
    (dict.fromkeys(LEAKS, True),),
    (pd.Series(sorted(LEAKS)),),
    (tuple(f" {name} " for name in LEAKS),),
]
WRONG["03.3"] = [
    ((LEAKS - {"rating given"},), "article's mistake"),
    ((LEAKS - {"film mean, all"},), "this very rating, and later ones"),
    ((LEAKS - {"user mean, this one included"},), "work out the rating itself"),
    ((LEAKS - {"favourite"},), "comes too late"),
    ((LEAKS - {"film vector, all"},), "trained that vector"),
    ((LEAKS - {"views next week"},), "has not happened"),
    ((LEAKS | {"film genres"},), "the catalogue had them"),
    ((LEAKS | {"film mean, earlier"},), "what makes it honest"),
    ((LEAKS | {"films rated earlier"},), "counts the past only"),
    ((LEAKS | {"age"},), "filled in at registration"),
    ((LEAKS | {"friend's rating"},), "somebody else's"),
    ((LEAKS | {"shoe size"},), "there is no feature 'shoe size'"),
    (("favourite",), "give a set"),
]

# --- 03.4 in-batch softmax ------------------------------------------------------------------------------------------


def in_batch_loss(
    scores,
    items,
    probability,
    correct=lambda scores, log_q, own: scores - log_q,
    copies=lambda items, own: (items[:, None] == items) & ~own,
    struck=-np.inf,
    axis=1,
    result=lambda share: -np.log(share).mean(),
):
    own = np.eye(len(items), dtype=bool)
    logits = np.where(copies(items, own), struck, correct(scores, np.log(probability), own))
    return result(np.diag(softmax(logits, axis)))


def in_batch_with(**parts):
    return (lambda *given: in_batch_loss(*given, **parts),)


def stable(scores, items, probability):
    logits = np.where((items[:, None] == items) & ~np.eye(len(items), dtype=bool), -1e9, scores - np.log(probability))
    logits = logits - logits.max(axis=1, keepdims=True)
    return Tensor(np.mean(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)))


def in_batch_with_loops(scores, items, probability):
    losses = []
    for u, own in enumerate(items):
        others = [j for j in range(len(items)) if items[j] != own]
        logits = [scores[u][j] - math.log(probability[j]) for j in [u, *others]]
        top = max(logits)
        losses.append(top + math.log(sum(math.exp(logit - top) for logit in logits)) - logits[0])
    return sum(losses) / len(losses)


def in_batch_by_differences(scores, items, probability):
    logits = scores - np.log(probability)
    gap = logits - np.diag(logits)[:, None]
    gap[items[:, None] == items] = -np.inf
    return np.logaddexp(0, np.logaddexp.reduce(gap, axis=1)).mean()


def in_batch_overflowing(scores, items, probability):
    powers = np.exp(scores) / probability
    return np.mean(-np.log(np.diag(powers) / np.where(in_batch_copies(items), 0, powers).sum(axis=1)))


def in_batch_copies(items):
    return (items[:, None] == items) & ~np.eye(len(items), dtype=bool)


def later_copies(items, own):
    return np.array([one in items[:j] for j, one in enumerate(items)]) & ~own


def without_positive(scores, items, probability):
    logits = scores - np.log(probability)
    others = np.where(items[:, None] == items, -np.inf, logits)
    return np.mean(np.logaddexp.reduce(others, axis=1) - np.diag(logits))


def pairwise_sigmoid(scores, items, probability):
    logits, own, kept = scores - np.log(probability), np.eye(len(items)), ~in_batch_copies(items)
    return np.mean((np.logaddexp(0, logits) - own * logits)[kept])


def in_batch_by_scipy(scores, items, probability):
    logits = scores - np.log(probability)[None, :]
    logits[(items[None, :] == items[:, None]) ^ np.eye(len(items), dtype=bool)] = -np.inf
    return -np.diagonal(special.log_softmax(logits, axis=-1)).mean()


def in_batch_by_entropy(scores, items, probability):
    same_film = np.equal.outer(items, items)
    weight = np.where(same_film & (np.identity(len(items)) == 0), 0, 1 / probability)
    return np.average(special.logsumexp(scores, axis=1, b=weight) - scores.diagonal() + np.log(probability))


def less_positive(scores, items, probability):
    logits = np.where(in_batch_copies(items), -np.inf, scores - np.log(probability))
    return np.log(np.exp(logits - np.diag(logits)[:, None]).sum(1)).mean()


RIGHT["03.4"] = [
    (stable,),
    (in_batch_with_loops,),
    (in_batch_by_differences,),
    (in_batch_by_scipy,),
    (in_batch_by_entropy,),
]
WRONG["03.4"] = [
    (in_batch_with(copies=lambda items, own: own & False), "counts against it as a negative"),
    (in_batch_with(correct=lambda s, q, own: s), "correction makes no difference"),
    (in_batch_with(correct=lambda s, q, own: s + q), "pay twice"),
    (in_batch_with(correct=lambda s, q, own: s - np.exp(q)), "probability itself"),
    (in_batch_with(correct=lambda s, q, own: s / np.exp(q)), "divides their exponentials"),
    (in_batch_with(correct=lambda s, q, own: np.where(own, s, s - q)), "positive is not corrected"),
    (in_batch_with(correct=lambda s, q, own: np.where(own, s - q, s)), "only the positives"),
    (in_batch_with(axis=0), "down the columns"),
    ((without_positive,), "positive is missing"),
    (
        in_batch_with(copies=lambda items, own: items[:, None] == items, result=lambda share: np.inf),
        "keep the diagonal",
    ),
    (in_batch_with(struck=0), "a copy with the logit 0"),
    (
        (lambda s, i, p: in_batch_loss(np.where(in_batch_copies(i), 0, s), i, p, copies=lambda i, own: own & False),),
        "a copy with the score 0",
    ),
    (in_batch_with(copies=later_copies), "out of every row"),
    (in_batch_with(result=lambda share: -np.log(share).sum()), "sum over the batch"),
    (in_batch_with(result=lambda share: np.log(share).mean()), "sign is turned round"),
    (in_batch_with(result=lambda share: share.mean()), "mean probability of the positives"),
    (in_batch_with(result=lambda share: -np.log(share.mean())), "log of a mean"),
    ((pairwise_sigmoid,), "by itself with a sigmoid"),
    ((in_batch_overflowing,), "overflow"),
    ((less_positive,), "your loss is infinite"),
    ((remembering(stable),), "the loss of the films"),
    ((lambda s, i, p: stable(s, i, p + 1e-8),), "the loss of the films [3, 8, 3, 4, 3, 8]"),
    ((lambda s, i, p: stable(s.T, i, p),), "of the films [3, 8, 4, 6, 9]"),
    (in_batch_with(result=lambda share: -np.log2(share).mean()), "1.443 times what is expected"),
    ((lambda *given: [in_batch_with_loops(*given)] * 2,), "should have shape ()"),
]

# --- 03.5 expected calibration error --------------------------------------------------------------------------------


def calibration_error(p, liked, bins):
    place = np.minimum((p * bins).astype(int), bins - 1)
    return np.abs(np.bincount(place, p - liked)).sum() / len(p)


def filled_bins(p, liked, bins, last=1.1, first=0.0):
    """(share of the pairs, mean probability, share of likes) of each bin with pairs, bin by bin."""
    edges = np.linspace(0, 1, bins + 1)
    edges[0], edges[-1] = first, last
    parts = [(p >= low) & (p < high) for low, high in pairwise(edges)]
    return np.array([(part.mean(), p[part].mean(), liked[part].mean()) for part in parts if part.any()]).T


def error_of(rule, **ends):
    """The error that this rule makes of shares, promises and outcomes by bin."""
    return (lambda p, liked, bins: rule(*filled_bins(p, liked, bins, **ends)),)


def with_loops(p, liked, bins):
    total = 0
    for b in range(bins):
        inside = [i for i in range(len(p)) if b / bins <= p[i] < (b + 1) / bins or (b == bins - 1 and p[i] == 1)]
        if inside:
            total += abs(sum(p[i] - liked[i] for i in inside))
    return total / len(p)


def by_upper_edge(p, liked, bins):
    """Bins that hold their upper edge, as in much of the literature, with 0 in the first."""
    place = np.digitize(p, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    return Tensor(np.bincount(place, np.abs(np.bincount(place, p - liked) / np.bincount(place))[place]).sum() / len(p))


def not_a_number(p, liked, bins):
    place = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    return (count / len(p) * np.abs(np.bincount(place, p - liked, bins) / count)).sum()


def equal_bins(p, liked, bins):
    order = np.argsort(p)
    return sum(abs((p - liked)[part].sum()) for part in np.array_split(order, bins)) / len(p)


def by_class(p, liked, bins):
    return calibration_error(np.maximum(p, 1 - p), (p >= 0.5) == liked, bins)


def beyond_the_last(p, liked, bins):
    return np.abs(np.bincount((p * bins).astype(int), p - liked)).sum() / len(p)


def above_zero(p, liked, bins):
    return calibration_error(p[p > 0], liked[p > 0], bins) * np.mean(p > 0)


RIGHT["03.5"] = [
    (calibration_error,),
    (with_loops,),
    (by_upper_edge,),
    error_of(lambda share, p, y: (share * np.abs(p - y)).sum()),
]


def in_pandas(p, liked, bins):
    frame = pd.DataFrame({"p": p, "y": liked, "bin": pd.cut(p, np.linspace(0, 1, bins + 1), include_lowest=True)})
    means = frame.groupby("bin", observed=True).agg({"p": "mean", "y": "mean", "bin": "size"})
    return np.average(abs(means["p"] - means["y"]), weights=means["bin"])


def by_histogram(p, liked, bins):
    ends = (0, 1)
    count, promised, got = (np.histogram(p, bins, ends, weights=w)[0] for w in (None, p, liked))
    return np.sum(count * np.abs(promised - got) / np.maximum(count, 1)) / np.sum(count)


RIGHT["03.5"] += [(in_pandas,), (by_histogram,), (lambda p, y, b: np.float32(calibration_error(p, y, b)),)]
WRONG["03.5"] = [
    ((not_a_number,), "leave it out"),
    (error_of(lambda share, p, y: np.abs(p - y).mean()), "every bin counts the same"),
    (error_of(lambda share, p, y: np.abs(p - y).sum()), "sum of the distances"),
    ((lambda p, y, b: calibration_error(p, y, b) * len(p),), "by the number of pairs"),
    (
        (lambda p, y, b: sum(n * abs((int(q * b + 1e-9) + 0.5) / b - r) for n, q, r in filled_bins(p, y, b).T),),
        "middle of the bin",
    ),
    (error_of(lambda share, p, y: abs((share * (p - y)).sum())), "absolute values first"),
    (error_of(lambda share, p, y: (share * (p - y) ** 2).sum()), "distances are squared"),
    (error_of(lambda share, p, y: (share * (p - y) ** 2).sum() ** 0.5), "root of mean squares"),
    (error_of(lambda share, p, y: np.abs(p - y).max()), "largest distance"),
    ((lambda p, liked, bins: np.abs(p - liked).mean(),), "its own label"),
    ((lambda p, liked, bins: ((p - liked) ** 2).mean(),), "Brier"),
    ((equal_bins,), "equally many pairs"),
    ((by_class,), "how sure the answer is"),
    (error_of(lambda share, p, y: (share * np.abs(p - y)).sum(), last=1.0), "1.0 fall into no bin"),
    ((beyond_the_last,), "a bin of its own"),
    ((above_zero,), "0 fall into no bin"),
    ((lambda p, liked, bins: calibration_error(p, liked, 10),), "always make ten bins"),
    ((lambda p, liked, bins: 2 * calibration_error(p, liked, bins),), "2 times what is expected"),
    ((lambda p, liked, bins: round(calibration_error(p, liked, bins), 2),), "rounded to 2 decimals"),
    ((remembering(calibration_error),), "the error of 240 pairs in 10 bins: "),
]

# --- 03.6 the calibration plot --------------------------------------------------------------------------------------

PLOT = {
    "liked in the last bin, before": 0.78,
    "the model before is": "overconfident",
    "the temperature is": "above 1",
    "AUC after": "stays",
    "first dot on the right is": "noise",
    "ECE of answering .5 to all": 0,
}
RIGHT["03.6"] = [(PLOT,), ({**PLOT, "the temperature is": "Above 1", "liked in the last bin, before": "0.776"},)]
WRONG["03.6"] = one_wrong(
    PLOT,
    [
        ("liked in the last bin, before", 0.967, "on the axis across"),
        ("liked in the last bin, before", 0.22, "share that was not liked"),
        ("liked in the last bin, before", 0.19, "gap between"),
        ("liked in the last bin, before", 0.5, "beside the dot"),
        ("the model before is", "underconfident", "promise .7 where .9"),
        ("the model before is", "too generous", "all dots would lie below"),
        ("the model before is", "leaky", "choose one of overconfident, too generous, underconfident"),
        ("the temperature is", "below 1", "out to 0 and 1"),
        ("the temperature is", 1, "changes nothing"),
        ("AUC after", "rises", "changes no order"),
        ("AUC after", "falls", "still stand in the same order"),
        ("first dot on the right is", "miscalibrated", "look at its bar"),
        ("first dot on the right is", "a leak", "too good"),
        ("ECE of answering .5 to all", 0.5, "judged as a whole"),
        ("ECE of answering .5 to all", 1, "no gap"),
        ("ECE of answering .5 to all", 0.25, "Brier score"),
        ("ECE of answering .5 to all", 0.1, "one bin: what was promised"),
    ],
)

# --- 03.7 temperature -----------------------------------------------------------------------------------------------


def cross_entropy(s, y):
    return np.mean(np.logaddexp(0, s) - y * s)


def naive_cross_entropy(s, y):
    p = sigmoid(s)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def calibrate(
    logit,
    liked,
    split,
    of=("validation",),
    loss=cross_entropy,
    grid=np.geomspace(0.02, 30, 700),  # noqa: B008  never written to
    best=np.argmin,
    answer=lambda t: t,
    apply=lambda s, t: sigmoid(s / t),
    to=("test",),
):
    s, y = logit[np.isin(split, of)], liked[np.isin(split, of)]
    t = grid[best([loss(s / t, y) for t in grid])]
    return answer(t), apply(logit[np.isin(split, to)], t)


def calibrate_with(**parts):
    return (lambda *given: calibrate(*given, **parts),)


def calibrate_by_scipy(logit, liked, split):
    from scipy.optimize import minimize

    s, y = logit[split == "validation"], liked[split == "validation"]
    log_t = minimize(lambda x: cross_entropy(s / np.exp(x[0]), y), [0.0], method="Nelder-Mead").x
    return Tensor(np.exp(log_t)), Tensor(sigmoid(logit[split == "test"] / np.exp(log_t)))


def calibrate_by_descent(logit, liked, split):
    s, y = logit[split == "validation"], liked[split == "validation"]
    a = 1 / s.std()
    for _ in range(300):
        p = sigmoid(a * s)
        a -= 0.5 * np.mean((p - y) * s) / np.mean(p * (1 - p) * s * s)
    return 1 / a, (sigmoid(a * logit[split == "test"])).tolist()


def accuracy_loss(s, y):
    return -np.mean((s > 0) == y)


def calibration_loss(s, y):
    return calibration_error(sigmoid(s), y, 10)


def clipped_cross_entropy(s, y):
    p = np.clip(sigmoid(s), 1e-12, 1 - 1e-12)
    return -np.mean(np.log(np.where(y == 1, p, 1 - p)))


RIGHT["03.7"] = [
    (calibrate,),
    (calibrate_by_scipy,),
    (calibrate_by_descent,),
    calibrate_with(loss=clipped_cross_entropy),
]


def calibrate_by_root(logit, liked, split):
    s, y = (part[split == "validation"] for part in (logit, liked))
    a = optimize.brentq(lambda a: np.mean((special.expit(a * s) - y) * s), 1e-3, 1e3)
    return np.array([1 / a]), special.expit(logit[split == "test"] * a)


def calibrate_by_search(logit, liked, split):
    own = split == "validation"
    t = optimize.minimize_scalar(lambda x: cross_entropy(logit[own] / np.exp(x), liked[own]), (-1, 1)).x
    return {"T": float(np.exp(t)), "p": 1 - sigmoid(-logit[split == "test"] * np.exp(-t))}.values()


RIGHT["03.7"] += [(calibrate_by_root,), (calibrate_by_search,)]
WRONG["03.7"] = [
    ((remembering(calibrate),), "for each of the data sets"),
    (calibrate_with(of=("test",)), "fitted on the test pairs"),
    (calibrate_with(of=("train",)), "whose labels the model has seen"),
    (calibrate_with(of=("train", "validation", "test")), "on all pairs"),
    (calibrate_with(of=("train", "validation")), "training pairs helped"),
    (calibrate_with(of=("test", "validation")), "test pairs helped"),
    (calibrate_with(loss=accuracy_loss, grid=np.linspace(0.05, 20, 400)), "the first one tried wins"),
    (calibrate_with(loss=accuracy_loss, grid=np.linspace(1, 20, 400)), "T = 1 leaves"),
    (calibrate_with(loss=naive_cross_entropy, grid=np.linspace(0.05, 20, 800)), "0 times log 0"),
    (calibrate_with(loss=lambda s, y: np.mean((sigmoid(s) - y) ** 2)), "squared error"),
    (calibrate_with(loss=calibration_loss), "jumps from bin to bin"),
    (calibrate_with(loss=lambda s, y: np.abs(sigmoid(s) - y).mean()), "rewards overconfidence"),
    (calibrate_with(grid=np.array([0.01, 0.1, 0.5, 1, 2, 4, 8, 16])), "search in finer steps"),
    (calibrate_with(answer=lambda t: 1 / t), "return 1 over it"),
    (calibrate_with(answer=lambda t: -t), "one number above 0"),
    (calibrate_with(answer=lambda t: 3 * t), "Take the T where it is lowest"),
    (calibrate_with(apply=lambda s, t: sigmoid(s)), "have not been calibrated"),
    (calibrate_with(apply=lambda s, t: sigmoid(s * t)), "multiply the test logits"),
    (calibrate_with(apply=lambda s, t: sigmoid(s) / t), "divide the probabilities by T"),
    (calibrate_with(apply=lambda s, t: s / t), "sigmoid is still to come"),
    (calibrate_with(to=("train", "validation", "test")), "these are all pairs"),
    (calibrate_with(to=("validation",)), "these are the validation pairs"),
    ((lambda *given: calibrate(*given)[0],), "return 2 results"),
]
