"""One model for many scenarios: the ways to share weights, and to keep them apart, that lesson 06 compares.

Every model makes an interest vector of the user, at this moment and in this scenario, multiplies it with the content
vector of an item, as the towers of lesson 03 do, and adds what the item brings along (popularity, strength).
"""

from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import softmax

from recsys_helpers.data.movielens import MovieLens
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.bootstrap import auc_interval
from recsys_helpers.models.base import Model, NewItem, Request, histories_of, register, with_row
from recsys_helpers.models.cross_domain import contents_of, moments, moments_of
from recsys_helpers.models.self_attention import gelu
from recsys_helpers.models.two_towers import fit_biases
from recsys_helpers.training.backend import keras
from recsys_helpers.training.fit import fit
from recsys_helpers.training.profiles import by_profile

ops = keras.ops
KINDS = (
    "one for all",  # never sees the scenario
    "one each",  # a network for each scenario
    "scenario as input",  # one network, the scenario is a feature
    "shared bottom",  # a hidden layer for all, an output layer for each scenario
    "mixture of experts",  # hidden layers mixed by a gate for each scenario, an output layer for each
    "star",  # weights for all times weights for each scenario
    "attention over experts",  # hidden layers mixed by attention; the embedding of the scenario is the query
)
EXPERTS, QUERY = 4, 8


class PerScenario(keras.layers.Layer):
    """A dense layer whose weights are those of the row's scenario: (x (batch, n), scenario (batch,)) -> (batch, units).

    Args:
        scenarios: how many there are. units, activation: as in `Dense`. start: initializer of the weights.
        star: the weights are shared weights times (kernel) and plus (bias) those of the scenario, which start as 1
            and 0. Source: Sheng et al., One Model to Serve All, CIKM 2021, equations 4 and 5.
    """

    def __init__(self, scenarios: int, units: int, activation=None, star: bool = False, start=None):
        super().__init__()
        self.scenarios, self.units, self.star, self.start = scenarios, units, star, start
        self.activation = keras.activations.get(activation)

    def build(self, shapes):
        kernel = (shapes[0][-1], self.units)
        self.kernels = self.add_weight((self.scenarios, *kernel), "ones" if self.star else self.start or _stack(kernel))
        self.biases = self.add_weight((self.scenarios, self.units), "zeros")
        if self.star:
            self.kernel, self.bias = self.add_weight(kernel, "glorot_uniform"), self.add_weight((self.units,), "zeros")

    def call(self, inputs):
        x, scenario = inputs
        kernels = self.kernels * self.kernel if self.star else self.kernels
        chosen = ops.one_hot(scenario, self.scenarios)
        outputs = ops.einsum("bi,sio->bso", x, kernels) + self.biases + (self.bias if self.star else 0)
        return self.activation(ops.einsum("bso,bs->bo", outputs, chosen))


def _stack(shape: tuple[int, int]):
    """Initial weights for each scenario as Dense would draw them for one."""
    glorot = keras.initializers.GlorotUniform()
    return lambda stack, dtype=None: ops.stack([glorot.clone()(shape, dtype) for _ in range(stack[0])])


def scenario_model(
    kind: str, features: int, contents: int, extras: int, scenarios: int = 4, weights: int = 3500
) -> keras.Model:
    """(features, contents, extras, scenario) -> logit (batch, 1) that the item is taken, in about so many weights.

    Args:
        kind: one of `KINDS`.
        features: length of what is known of the user at this moment. contents: length of an item's content vector.
        extras: length of what else is known of the item, such as log popularity.
        weights: the width of the hidden layers is chosen so that the whole model has about this many.

    Layer `interest` gives the interest vector (batch, contents), layer `gate` the weights of the experts.
    Source: multi-gate mixture of experts: Ma et al., Modeling Task Relationships in Multi-task Learning, KDD 2018.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it has to be one of {', '.join(KINDS)}")
    sizes = tuple(int(size) for size in (features, contents, extras, scenarios))
    few, more = (_build(kind, width, *sizes).count_params() for width in (1, 2))  # the count grows by a line
    return _build(kind, max(1, round((weights - few) / (more - few) + 1)), *sizes)


def _build(kind: str, width: int, features: int, contents: int, extras: int, scenarios: int) -> keras.Model:
    dense = keras.layers.Dense
    x, content, extra = keras.Input((features,)), keras.Input((contents,)), keras.Input((extras,))
    scenario = keras.Input((), dtype="int32")

    def each(units, activation=None, **how):
        layer = PerScenario(scenarios, units, activation, **how)
        return lambda inputs: layer([inputs, scenario])

    output, worth = dense(contents), dense(1, kernel_initializer="zeros")
    if kind == "one for all":
        hidden = dense(width, "gelu")(x)
    elif kind == "one each":
        hidden, output, worth = each(width, "gelu")(x), each(contents), each(1, start="zeros")
    elif kind == "scenario as input":
        hidden = dense(width, "gelu")(ops.concatenate([x, ops.one_hot(scenario, scenarios)], axis=-1))
    elif kind == "shared bottom":
        hidden, output = dense(width, "gelu")(x), each(contents)
    elif kind == "star":
        hidden, output = each(width, "gelu", star=True)(x), each(contents, star=True)
    else:
        experts = ops.stack([dense(width, "gelu")(x) for _ in range(EXPERTS)], axis=1)
        if kind == "mixture of experts":
            scores, output = each(EXPERTS)(x), each(contents)
        else:
            wide = keras.initializers.RandomNormal(stddev=1.0)
            query = keras.layers.Embedding(scenarios, QUERY, wide, name="scenario_embedding")(scenario)
            scores = dense(EXPERTS, use_bias=False, name="keys")(query) / QUERY**0.5
        gate = keras.layers.Softmax(name="gate")(scores)
        hidden = ops.einsum("be,bew->bw", gate, experts)
        if kind == "attention over experts":
            hidden = ops.concatenate([hidden, query], axis=-1)
    interest = keras.layers.Identity(name="interest")(output(hidden))
    logit = ops.sum(interest * content, axis=-1, keepdims=True) + worth(extra)
    return keras.Model([x, content, extra, scenario], logit, name=kind.replace(" ", "_"))


def candidates(
    rows: np.ndarray, took: np.ndarray, second_domain: np.ndarray, negatives: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row the item that was taken, label 1, and some drawn evenly from the same domain, label 0.

    Args:
        rows: any numbers of the rows, repeated for each candidate. took: positions of the items taken, shape (rows,).
        second_domain: which items belong to the second of two domains of equal size, bool, shape (items,).

    Returns:
        rows, item positions and labels, each of shape (len(rows) * (1 + negatives),).
    """
    domains = np.stack([np.flatnonzero(~second_domain), np.flatnonzero(second_domain)])
    which = second_domain[took].astype(int)[:, None]
    drawn = domains[which, rng.integers(0, domains.shape[1], (len(took), negatives))]
    labels = np.tile(np.eye(1, negatives + 1)[0], len(took))
    return np.repeat(rows, negatives + 1), np.c_[took, drawn].ravel(), labels


def part_of(model: keras.Model, layer: str, x: np.ndarray, scenario: int) -> np.ndarray:
    """Output of a layer (`interest` or `gate`) for rows of features, all taken to be in this scenario."""
    inner = keras.Model([model.inputs[0], model.inputs[3]], model.get_layer(layer).output)
    where = np.full(len(x), scenario, "int32")
    return keras.ops.convert_to_numpy(inner([x.astype("float32"), where], training=False))


def implied_weights(model: keras.Model, x: np.ndarray, scenarios: int = 4) -> np.ndarray:
    """What the model makes of each scenario, shape (scenarios, contents): the mean interest of the same rows there.

    Rows have mean 0, and scenario 0 is taken off, so the entries compare with log weights relative to scenario 0.
    """
    means = np.stack([part_of(model, "interest", x, scenario).mean(axis=0) for scenario in range(scenarios)])
    means -= means.mean(axis=1, keepdims=True)
    return means - means[0]


def auc_by_scenario(scores, labels, users, scenario, names, minus=None) -> dict[str, tuple[float, float, float]]:
    """AUC in each scenario with its interval over users, (value, low, high) by name; see `bootstrap.auc_interval`.

    Args:
        scores, labels, users, scenario: shape (rows,). names: of the scenarios 0, 1, 2, ...
        minus: scores of a second model for the same rows; then the figures are gains over it.
    """
    figures = {}
    for number, name in enumerate(names):
        here = scenario == number
        other = None if minus is None else minus[here]
        figures[name] = auc_interval(scores[here], labels[here], users[here], other)
    return figures


def liking_rows(movielens: MovieLens, test: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is known of the user and the film of each rating: (features, genres, extras), ratings in file order.

    Features: how much the user's stars in each genre exceed the biases of lesson 03, the rating itself not counted,
    and gender, occupation and age. Extras: the sum of the biases, and the film's log number of ratings. Columns have
    mean 0 and deviation 1. Nothing is learned from the rows where `test` (bool, shape (ratings,)) holds.
    """
    ratings, users, films = movielens.ratings, movielens.users, movielens.films
    _, user = np.unique(ratings["user_id"], return_inverse=True)
    film, stars = ratings["film_id"].to_numpy() - 1, ratings["rating"].to_numpy("float64")
    genres = films["genres"].str.join("|").str.get_dummies().to_numpy("float64")
    baseline = fit_biases(user[~test], film[~test], stars[~test], (len(users), len(films)))(user, film)
    excess = np.where(test, 0, stars - baseline)[:, None] * genres[film]
    seen = np.where(test, 0, 1)[:, None] * genres[film]
    total, count = (pd.DataFrame(values).groupby(user).transform("sum").to_numpy() for values in (excess, seen))
    taste = (total - excess) / (5 + count - seen)
    people = pd.get_dummies(users[["gender", "occupation"]]).assign(age=users["age"]).to_numpy("float64")
    often = np.log(1 + np.bincount(film[~test], minlength=len(films)))
    features, extras = np.c_[taste, people[user]], np.c_[baseline, often[film]]
    scaled = [(values - values[~test].mean(0)) / (values[~test].std(0) + 1e-6) for values in (features, extras)]
    return scaled[0].astype("float32"), genres[film].astype("float32"), scaled[1].astype("float32")


@register
class ScenarioFusion(Model):
    """Attention over experts by scenario: what is wanted now and here, from the interest in each domain.

    Trained by Keras to tell what was taken from four items drawn evenly, from what `moments` says of the time before,
    and of the item its contents, popularity and strength; run in NumPy.

    Args:
        profile: how much to train. seed: of the weights' start and of the items that are drawn.
    """

    name = "fusion"
    learned: ClassVar = {
        "contents_": "number items domains subjects",
        "extras_": "number items 2",
        "mean_": "number features",
        "spread_": "positive features",
        "scenario_": "number scenarios query",
        "keys_": "number query experts",
        "experts_": "number experts features width",
        "experts_bias_": "number experts width",
        "output_": "number joined contents",  # the width and the query
        "output_bias_": "number contents",
        "worth_": "number 2 1",
        "worth_bias_": "number 1",
        "parameters_": "whole",
    }

    def __init__(self, profile: str = "quick", seed: int = 7):
        self.profile, self.seed = profile, seed

    def fit(self, log, part="test"):
        events, histories, n = log.before(part), log.split.history(part), log.split.n_items
        taken, scenario, liked = (events[name].to_numpy() for name in ("item", "scenario", "strength"))
        taken = taken - 1
        contents = contents_of(log)
        found, followed = moments_of(contents, histories)
        mean = np.nanmean(found, axis=0)
        spread = np.where(np.isnan(found), mean, found).std(axis=0) + 1e-6
        x = np.nan_to_num((found[followed] - mean) / spread).astype("float32")
        counts = np.bincount(taken, minlength=n)
        extras = np.c_[np.log(counts + 1), (np.bincount(taken, liked, n) + 4 * liked.mean()) / (counts + 4)]
        extras = ((extras - extras.mean(axis=0)) / (extras.std(axis=0) + 1e-6)).astype("float32")
        self.mean_, self.spread_ = mean.astype("float32"), spread.astype("float32")
        self.contents_, self.extras_ = contents.astype("float32"), extras
        return self._train(x, scenario.astype("int32"), taken, len(log.scenarios))

    def _train(self, x: np.ndarray, scenario: np.ndarray, taken: np.ndarray, scenarios: int) -> Self:
        n, flat = len(self.contents_), self.contents_.reshape(len(self.contents_), -1)
        keras.utils.set_random_seed(self.seed)
        model = scenario_model("attention over experts", x.shape[1], flat.shape[1], 2, scenarios, weights=8000)
        epochs, rng = by_profile(self.profile, smoke=1, quick=4, full=12), np.random.default_rng(self.seed)
        rate = keras.optimizers.schedules.CosineDecay(5e-3, -(-5 * len(taken) // 2048) * epochs)
        model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
        row, labels = np.repeat(np.arange(len(taken)), 5), np.tile(np.eye(1, 5, dtype="float32")[0], len(taken))
        for _ in range(epochs):  # negatives are drawn anew each time
            item = np.c_[taken, rng.integers(0, n, (len(taken), 4))].ravel()
            rows = [x[row], flat[item], self.extras_[item], scenario[row]]
            fit(model, (rows, labels), 1, lines=0, batch_size=2048)
        *experts, output, worth = [
            layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.Dense) and layer.use_bias
        ]
        [self.scenario_], [self.keys_] = (model.get_layer(n).get_weights() for n in ("scenario_embedding", "keys"))
        self.experts_, self.experts_bias_ = (np.stack(arrays) for arrays in zip(*experts, strict=True))
        (self.output_, self.output_bias_), (self.worth_, self.worth_bias_) = output, worth
        self.parameters_ = model.count_params()
        return self

    def interests(self, requests: list[Request]) -> np.ndarray:
        """What each user is taken to want, shape (requests, domains * subjects)."""
        found = np.stack([moments(self.contents_[items - 1])[-1] for items in histories_of(requests)])
        x, query = np.nan_to_num((found - self.mean_) / self.spread_), self.scenario_[[r.scenario for r in requests]]
        gate = softmax(query @ self.keys_ / np.sqrt(query.shape[1]), axis=1)
        hidden = np.einsum("re,erw->rw", gate, gelu(x @ self.experts_ + self.experts_bias_[:, None]))
        return np.c_[hidden, query] @ self.output_ + self.output_bias_

    def scores(self, requests):
        worth = self.extras_ @ self.worth_[:, 0] + self.worth_bias_
        return self.interests(requests) @ self.contents_.reshape(len(self.contents_), -1).T + worth

    def with_item(self, item: NewItem) -> Self:
        """Popularity and strength are the mean of those of the items with the nearest texts.

        Raises:
            CourseError: a domain that does not exist.
        """
        if not 0 <= item.domain < self.contents_.shape[1]:
            raise CourseError(f"domain {item.domain} does not exist; give one from 0 to {self.contents_.shape[1] - 1}")
        content = np.eye(self.contents_.shape[1])[item.domain][:, None] * item.subjects
        extras = with_row(self.extras_, self.extras_[item.near].mean(axis=0))
        return self._with(contents_=with_row(self.contents_, content), extras_=extras)
