"""Stage 1 of the capstone: nine parts, each of which gives every item a score, and the candidates drawn from them.

What the parts know is a dict of plain arrays; the two networks among them, of lessons 04 and 06, are trained by Keras
and run in NumPy, where one request takes a few milliseconds.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.signal import lfilter
from scipy.special import erf, softmax

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.splits import pad_right
from recsys_helpers.models import self_attention
from recsys_helpers.models.baselines import interaction_matrix, item_similarity
from recsys_helpers.models.multi_scenario import scenario_model
from recsys_helpers.models.next_item import Windows, next_item_loss
from recsys_helpers.models.two_towers import fit_biases
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import fit, on_device
from recsys_helpers.training.profiles import by_profile

PARTS = {
    "order": "self-attention over the last 50 items (lessons 01 and 04)",
    "neighbours": "similarity to the last 10 items, fading (lesson 04)",
    "fusion": "what is wanted now, in this scenario, from interest in each domain (lessons 05 and 06)",
    "chain": "what tends to follow the last 15 items, fading",
    "company": "what tends to stand in one history with all the items",
    "text": "BERT vectors like those of the last 10 items, fading (lesson 02)",
    "strength": "how much people, and this user in these subjects, like it (lesson 03)",
    "time": "how much more often than usual it was taken in the four weeks before",
    "popularity": "how often it was taken (lesson 00)",
}
FADES = {"neighbours": (0.6, 10), "chain": (0.8, 15), "company": (1.0, 1000), "text": (0.6, 10)}
LENGTH, CANDIDATES, WEEKS = 50, 250, 4 * 7 * 86_400


@dataclass(frozen=True)
class Request:
    """Someone asks for a list: what they took (item numbers, oldest first) and how much they liked it, where and when.

    `gap` is the time since their last event; times are in seconds.
    """

    history: np.ndarray
    strengths: np.ndarray
    scenario: int
    time: float
    gap: float = 0.0


def requests_of(log: EventLog, part: str = "test") -> list[Request]:
    """One request a user, just before the target of `part`."""
    known = [
        (g["item"].to_numpy(), g["strength"].to_numpy(), g["time"].iloc[-1])
        for _, g in log.before(part).groupby("user")
    ]
    asked = log.requests(part)
    return [
        Request(items, strengths, scenario, time, time - last)
        for (items, strengths, last), scenario, time in zip(known, asked["scenario"], asked["time"], strict=True)
    ]


def train_order(histories: list[np.ndarray], n_items: int, profile: str, seed: int) -> dict[str, np.ndarray]:
    """The weights of a `next_item_transformer` trained as in lesson 04, as plain arrays."""
    keras.utils.set_random_seed(seed)
    with on_device():
        dropout = by_profile(profile, smoke=0.2, quick=0.2, full=0.3)
        model = self_attention.next_item_transformer(n_items, LENGTH, dropout=dropout)
        model.compile(keras.optimizers.Adam(3e-3, use_ema=True, ema_momentum=0.99), next_item_loss(smoothing=0.1))
    windows = Windows(histories, LENGTH, seed=seed)
    steps = by_profile(profile, smoke=1, quick=500, full=1600)
    fit(model, windows, -(-steps // len(windows)), lines=2)
    return {f"order/{weight.path}": keras.ops.convert_to_numpy(weight).astype("float32") for weight in model.weights}


def states(know: dict[str, np.ndarray], histories: list[np.ndarray]) -> np.ndarray:
    """What `next_item_transformer` makes of each history, shape (histories, width): its last position, in NumPy.

    One request needs one position only, so this is faster than the network. Who has no history gets the mean state of
    those who have one, if `know` holds it.
    """
    w = _of("order", know)

    def norm(x, name):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
        return scaled * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def project(x, name):  # (batch, length, width) -> (batch, heads, length, width / heads)
        kernel, bias = w[f"attention_1/{name}/kernel"], w[f"attention_1/{name}/bias"]
        return np.einsum("blw,whd->bhld", x, kernel, optimize=True) + bias[:, None]

    windows = pad_right(histories, max(1, min(LENGTH, max(map(len, histories)))))
    real = windows != 0
    last = np.arange(len(windows)), np.maximum(real.sum(axis=1) - 1, 0)
    items = w["item_embedding/embeddings"]
    x = items[windows] * (items.shape[1] ** 0.5 / 2) + w["position_embedding/embeddings"][: windows.shape[1]]
    normed = norm(x, "attention_norm_1")
    query = project(normed[last][:, None], "query")
    mask = np.where(real.any(axis=1, keepdims=True), real, True)[:, None, None]
    looked, _ = self_attention.attention(query, project(normed, "key"), project(normed, "value"), mask)
    output = w["attention_1/attention_output/kernel"], w["attention_1/attention_output/bias"]
    x = x[last] + np.einsum("bhd,hdw->bw", looked[:, :, 0], output[0]) + output[1]
    hidden = _gelu(norm(x, "mlp_norm_1") @ w["mlp_in_1/kernel"] + w["mlp_in_1/bias"])
    x = x + hidden @ w["mlp_out_1/kernel"] + w["mlp_out_1/bias"]
    return np.where(real.any(axis=1, keepdims=True), norm(x, "final_norm"), know.get("usual_state", 0))


def train_fusion(log: EventLog, part: str, profile: str, seed: int) -> dict[str, np.ndarray]:
    """The weights of lesson 06's attention over experts, and what it knows of the items, as plain arrays.

    Trained to tell what was taken from four items drawn evenly, from what `features` says of the moment, and of the
    item its contents, popularity and strength.
    """
    events, histories, n = log.before(part), log.split.history(part), log.split.n_items
    taken, scenario, liked = (events[name].to_numpy() for name in ("item", "scenario", "strength"))
    taken = taken - 1
    contents = np.eye(len(log.domains))[log.items["domain"], :, None] * log.subjects[:, None]
    moments = np.vstack([features(contents[items - 1]) for items in histories])
    mean = np.nanmean(moments, axis=0)
    spread = np.where(np.isnan(moments), mean, moments).std(axis=0) + 1e-6
    asked = np.cumsum([len(items) + 1 for items in histories]) - 1
    x = np.nan_to_num((np.delete(moments, asked, axis=0) - mean) / spread).astype("float32")
    counts = np.bincount(taken, minlength=n)
    extras = np.c_[np.log(counts + 1), (np.bincount(taken, liked, n) + 4 * liked.mean()) / (counts + 4)]
    extras = ((extras - extras.mean(axis=0)) / (extras.std(axis=0) + 1e-6)).astype("float32")
    flat = contents.reshape(n, -1).astype("float32")
    keras.utils.set_random_seed(seed)
    model = scenario_model("attention over experts", x.shape[1], flat.shape[1], 2, len(log.scenarios), weights=8000)
    epochs, rng = by_profile(profile, smoke=1, quick=4, full=12), np.random.default_rng(seed)
    rate = keras.optimizers.schedules.CosineDecay(5e-3, -(-5 * len(taken) // 2048) * epochs)
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
    row, labels = np.repeat(np.arange(len(taken)), 5), np.tile(np.eye(1, 5, dtype="float32")[0], len(taken))
    for _ in range(epochs):  # others are drawn anew each time
        item = np.c_[taken, rng.integers(0, n, (len(taken), 4))].ravel()
        rows = [x[row], flat[item], extras[item], scenario[row].astype("int32")]
        fit(model, (rows, labels), 1, lines=0, batch_size=2048)
    *experts, output, worth = [
        layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.Dense) and layer.use_bias
    ]
    arrays = {
        "contents": contents,
        "extras": extras,
        "mean": mean,
        "spread": spread,
        "scenario": model.get_layer("scenario_embedding").get_weights()[0],
        "keys": model.get_layer("keys").get_weights()[0],
        "experts": np.stack([kernel for kernel, _ in experts]),
        "experts_bias": np.stack([bias for _, bias in experts]),
        "output": output[0],
        "output_bias": output[1],
        "worth": worth[0][:, 0],
        "worth_bias": worth[1],
    }
    return {f"fusion/{name}": _single(array) for name, array in arrays.items()}


def features(about: np.ndarray) -> np.ndarray:
    """What is known just before each event of a history, and after the last, shape (events + 1, features).

    The share of the domains, fading; for each domain, from its events only, interest that fades fast and slowly, and
    how long ago it was last chosen, as -log(events). NaN where nothing is known yet.

    Args:
        about: what the item of each event is about in its domain, shape (events, domains, subjects).
    """
    domains, subjects, moment = about.sum(axis=2), about.sum(axis=1), np.arange(len(about) + 1)

    def fading(contents, fade):  # before any event, after the first, after the second, ...
        sums = lfilter([1], [1, -fade], np.c_[contents, np.ones(len(contents))], axis=0)
        return np.vstack([np.full(contents.shape[1], np.nan), sums[:, :-1] / sums[:, -1:]])

    views = [fading(domains, 0.9)]
    for here in map(np.flatnonzero, domains.T > 0.5):
        so_far = np.searchsorted(here, moment)  # how many events of this domain lie before each moment
        views += [fading(subjects[here], fade)[so_far] for fade in (0.5, 0.9)]
        views.append(-np.log(moment - np.r_[np.nan, here][so_far])[:, None])
    return np.hstack(views)


def interests_of(know: dict[str, np.ndarray], requests: list[Request]) -> np.ndarray:
    """What the network of `train_fusion` takes each user to want, shape (requests, domains * subjects), in NumPy."""
    w = _of("fusion", know)
    moments = np.stack([features(w["contents"][request.history - 1])[-1] for request in requests])
    x, query = np.nan_to_num((moments - w["mean"]) / w["spread"]), w["scenario"][[r.scenario for r in requests]]
    gate = softmax(query @ w["keys"] / np.sqrt(query.shape[1]), axis=1)
    hidden = np.einsum("re,erw->rw", gate, _gelu(x @ w["experts"] + w["experts_bias"][:, None]))
    return np.c_[hidden, query] @ w["output"] + w["output_bias"]


def _of(part: str, know: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{part}/"): array for name, array in know.items() if name.startswith(f"{part}/")}


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + erf(x / np.sqrt(2))) / 2


def learn(log: EventLog, part: str, trained: dict[str, np.ndarray], text: np.ndarray) -> dict[str, np.ndarray]:
    """What the parts know from the events before the targets of `part`: a dict of arrays, items by number - 1.

    `trained` is what `train_order` and `train_fusion` gave, `text` the BERT vectors of the items.
    """
    events, histories, n = log.before(part), log.split.history(part), log.split.n_items
    items = events["item"].to_numpy() - 1
    counts = np.bincount(items, minlength=n)
    biases = fit_biases(events["user"].to_numpy(), items, events["strength"].to_numpy(), (log.split.n_users, n))
    when = np.argsort(events["time"].to_numpy(), kind="stable")
    known = {
        "neighbours": item_similarity(histories, n, neighbours=n),
        "chain": _chain(histories, n),
        "company": _company(histories, n),
        "text": unit(text - text.mean(axis=0)),  # what all texts share says nothing
        "text_mean": text.mean(axis=0),
        "mean": np.array(biases.mean),
        "liked": biases.item,
        "subjects": log.subjects,
        "counts": counts,
        "usual_state": states(trained, histories).mean(axis=0),
        "event_items": items[when],
    }
    times = {"event_times": events["time"].to_numpy("float64")[when]}
    return {name: _single(array) for name, array in known.items()} | times | trained


def trained_numbers(know: dict[str, np.ndarray]) -> int:
    """How many numbers of the two networks were trained; what was only counted or measured is none of them."""
    counted = ("contents", "extras", "mean", "spread")
    fusion = sum(array.size for name, array in _of("fusion", know).items() if name not in counted)
    return fusion + sum(array.size for array in _of("order", know).values())


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors with length 1; a zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _single(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype == np.float64 else array


def _nearby(histories: list[np.ndarray], fade: float, last: int) -> sparse.spmatrix:
    """For each event of all histories the `last` events before it, the k-th weighing fade^(k-1); (events, events)."""
    owner = np.repeat(np.arange(len(histories)), [len(items) for items in histories])
    steps = range(1, min(last, len(owner) - 1) + 1)
    bands = [fade ** (k - 1) * (owner[k:] == owner[:-k]) for k in steps]
    return sparse.diags(bands, [-k for k in steps], shape=(len(owner), len(owner)), format="csr")


def _chain(histories: list[np.ndarray], n_items: int, ridge: float = 100.0) -> np.ndarray:
    """Ridge regression from the fading past of each event to its fading future: a Markov chain with a longer memory.

    Source: Choi et al., Session-aware Linear Item-Item Models for Session-based Recommendation, WWW 2021.
    """
    fade, last = FADES["chain"]
    taken = interaction_matrix([items for items in np.concatenate(histories)[:, None]], n_items)
    near = _nearby(histories, fade, last)
    past, future = near @ taken, taken + fade * (near.T @ taken)
    return np.linalg.solve((past.T @ past).toarray() + ridge * np.eye(n_items), (past.T @ future).toarray())


def _company(histories: list[np.ndarray], n_items: int, ridge: float = 200.0) -> np.ndarray:
    """Ridge regression from each history to itself, an item never explaining itself.

    Source: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
    """
    taken = interaction_matrix(histories, n_items)
    inverse = np.linalg.inv((taken.T @ taken).toarray() + ridge * np.eye(n_items))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def part_scores(know: dict[str, np.ndarray], requests: list[Request], names=tuple(PARTS)) -> np.ndarray:
    """The score that each part gives to each item, shape (requests, parts, items); nothing after a request is read."""

    def faded(name, rows):  # the fading sum of rows of items of the history
        fade, last = FADES[name]
        recent = [request.history[-last:][::-1] - 1 for request in requests]
        return np.stack([(fade ** np.arange(len(items), dtype="float32")) @ rows[items] for items in recent])

    def strength(request):
        items = request.history - 1
        excess = request.strengths - know["mean"] - know["liked"][items]
        excess = excess - excess.sum() / (15 + len(excess))  # how generous the user is
        about = know["subjects"][items]
        return know["liked"] + know["subjects"] @ (excess @ about / (5 + about.sum(axis=0)))

    def fusion():
        contents, extras = know["fusion/contents"], know["fusion/extras"]
        worth = extras @ know["fusion/worth"] + know["fusion/worth_bias"]
        return interests_of(know, requests) @ contents.reshape(len(contents), -1).T + worth

    def text():
        return unit(faded("text", know["text"])) @ know["text"].T

    def lately(request):
        first, end = np.searchsorted(know["event_times"], [request.time - WEEKS, request.time])
        share = (know["counts"] + 1) / (know["counts"] + 1).sum()
        recent = np.bincount(know["event_items"][first:end], minlength=len(share))
        return np.log((recent + 50 * share) / ((end - first + 50) * share))

    score = {
        "order": lambda: states(know, [r.history for r in requests]) @ know["order/item_embedding/embeddings"][1:].T,
        "neighbours": lambda: faded("neighbours", know["neighbours"]),
        "fusion": fusion,
        "chain": lambda: faded("chain", know["chain"]),
        "company": lambda: faded("company", know["company"]),
        "text": text,
        "strength": lambda: np.stack([strength(request) for request in requests]),
        "time": lambda: np.stack([lately(request) for request in requests]),
        "popularity": lambda: np.tile(np.log1p(know["counts"]), (len(requests), 1)),
    }
    return np.stack([score[name]() for name in names], axis=1).astype("float32")


def candidates(
    order: np.ndarray, neighbours: np.ndarray, requests: list[Request], size: int = CANDIDATES
) -> np.ndarray:
    """Positions of the items that the ranker looks at, shape (requests, size), best first; seen items come last.

    The first of "order", and half as many of "neighbours".
    """
    ranks = np.minimum(_ranks(order), 2 * _ranks(neighbours) + 1)
    for row, request in zip(ranks, requests, strict=True):
        row[request.history - 1] = ranks.shape[1] * 3
    size = min(size, ranks.shape[1])
    return np.argsort(ranks, axis=1, kind="stable")[:, :size]


def _ranks(scores: np.ndarray) -> np.ndarray:
    order, places = np.argsort(-scores, axis=1, kind="stable"), np.empty(scores.shape, int)
    np.put_along_axis(places, order, np.arange(scores.shape[1])[None], axis=1)
    return places


# Large catalogues -----------------------------------------------------------------------------------------------------


def approximate_index(vectors: np.ndarray, probes: int = 16):
    """An index that finds the largest dot products without looking at all vectors (faiss).

    The vectors are sorted into about sqrt(items) cells (k-means); a search looks into the `probes` nearest ones.

    Args:
        vectors: shape (items, width), with at least a few hundred items.

    Source: Jegou et al., Product Quantization for Nearest Neighbor Search, IEEE TPAMI 2011, section 4 (without codes).
    """
    import faiss  # here, so that a recommender can be used without it

    cells, vectors = int(len(vectors) ** 0.5), np.ascontiguousarray(vectors, "float32")
    index = faiss.index_factory(vectors.shape[1], f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(np.random.default_rng(0).permutation(vectors)[: 40 * cells])
    index.add(vectors)
    index.nprobe = probes
    return index


def recall_of(index, vectors: np.ndarray, queries: np.ndarray, k: int = 200) -> float:
    """Share of the k vectors with the largest dot product that the index finds, mean over the queries."""
    exact = np.argpartition(-(queries @ vectors.T), k - 1, axis=1)[:, :k]
    _, found = index.search(np.ascontiguousarray(queries, "float32"), k)
    return float(np.mean([np.isin(right, got).mean() for right, got in zip(exact, found, strict=True)]))
