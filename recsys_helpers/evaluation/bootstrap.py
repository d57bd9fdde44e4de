"""How sure we are: bootstrap intervals over users, of means, errors, areas under curves and logged policies."""

import numpy as np
import pandas as pd

from recsys_helpers.evaluation.ranks import hit, ndcg


def _draws(n: int, resamples: int, seed: int = 0) -> np.ndarray:
    """Numbers of users, drawn with replacement, shape (resamples, n): the rows of every bootstrap over users."""
    return np.random.default_rng(seed).integers(0, n, size=(resamples, n))


def _percentiles(drawn: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of what the resamples gave."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_interval(
    values: np.ndarray, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of one value a user, with a percentile bootstrap interval over users: (mean, low, high).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values = np.asarray(values, dtype="float64")
    drawn = values[_draws(len(values), resamples, seed)].mean(axis=1)
    return float(values.mean()), *_percentiles(drawn, level)


def rmse_interval(
    errors: np.ndarray, users: np.ndarray, seed: int = 0, resamples: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Root mean squared error with a percentile bootstrap interval: (value, low, high), in the unit of the errors.

    Users are drawn, each with all their ratings, because the errors of one user are not independent.

    Args:
        errors: predicted minus true, shape (ratings,). users: whose rating it is, shape (ratings,).
    """
    _, place = np.unique(users, return_inverse=True)
    squares, counts = np.bincount(place, np.asarray(errors, "float64") ** 2), np.bincount(place)
    draws = _draws(len(counts), resamples, seed)
    drawn = np.sqrt(squares[draws].sum(axis=1) / counts[draws].sum(axis=1))
    return float(np.sqrt(squares.sum() / counts.sum())), *_percentiles(drawn, level)


def auc_by_draw(scores: np.ndarray, labels: np.ndarray, users: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, once for each row of `draws`, shape (n_draws,).

    The probability that a row with label 1 has a higher score than a row with label 0; equal scores count one half.

    Args:
        scores, labels, users: shape (rows,); labels are 0 or 1, users are numbered from 0.
        draws: how often each user counts, shape (n_draws, n_users); all 1 is the plain AUC.

    Source: Fawcett, An introduction to ROC analysis, Pattern Recognition Letters, 2006; ties as in Mann and Whitney
    (1947).
    """
    _, place = np.unique(scores, return_inverse=True)
    values, one = np.empty(len(draws)), labels == 1
    sides = [(place[rows], users[rows], place.max() + 1) for rows in (one, ~one)]
    for row, counts in enumerate(draws):
        ones, zeros = (np.bincount(places, counts[owners], length) for places, owners, length in sides)
        values[row] = ones @ (np.cumsum(zeros) - zeros / 2) / (ones.sum() * zeros.sum())
    return values


def auc_interval(
    scores: np.ndarray, labels: np.ndarray, users: np.ndarray, minus: np.ndarray | None = None, resamples: int = 200
) -> tuple[float, float, float]:
    """AUC with a 95% bootstrap interval over users: (value, low, high).

    `minus` gives the scores of a second model for the same rows: then it is the difference of the two, with the same
    users drawn for both. Users are drawn with all their rows, because rows of one user are not independent.
    """
    _, users = np.unique(users, return_inverse=True)
    n = users.max() + 1  # how often each user is drawn, not which: an AUC weighs users, and need not repeat their rows
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples)
    draws = np.vstack([np.ones(n), counts])
    value, *drawn = auc_by_draw(scores, labels, users, draws) - (
        0 if minus is None else auc_by_draw(minus, labels, users, draws)
    )
    return float(value), *_percentiles(drawn)


def policy_value(
    rewards: np.ndarray, weights: np.ndarray, users: np.ndarray, resamples: int = 1000
) -> dict[str, tuple[float, float, float]]:
    """What another policy would have earned an event, (value, low, high) with 95% bootstrap intervals over users.

    Args:
        rewards: of each logged event, shape (events,). users: whose event it is, shape (events,).
        weights: probability of the item under the new policy / under the one that showed it, shape (events,).

    Returns:
        "inverse propensity", the mean of weight times reward, and "self-normalised", which divides by the sum of the
        weights instead of their number.

    Source: Horvitz and Thompson, JASA 1952; Swaminathan and Joachims, The Self-Normalized Estimator for Counterfactual
    Learning, NeurIPS 2015.
    """
    _, users = np.unique(users, return_inverse=True)
    sums = np.stack([np.bincount(users, values) for values in (weights * rewards, np.ones(len(users)), weights)])
    drawn, whole = sums[:, _draws(sums.shape[1], resamples)].sum(axis=2), sums.sum(axis=1)
    figures = {}
    for place, name in enumerate(("inverse propensity", "self-normalised"), start=1):
        figures[name] = float(whole[0] / whole[place]), *_percentiles(drawn[0] / drawn[place])
    return figures


def compare(ranks: dict[str, np.ndarray], k: int = 10) -> pd.DataFrame:
    """HR@k and NDCG@k of several models with 95% intervals over users; one row a model."""
    rows = {}
    for model, values in ranks.items():
        (hr, *hr_band), (gain, *gain_band) = bootstrap_interval(hit(values, k)), bootstrap_interval(ndcg(values, k))
        rows[model] = {f"HR@{k}": hr, "HR 95%": _band(hr_band), f"NDCG@{k}": gain, "NDCG 95%": _band(gain_band)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model").round(4)


def _band(band: list[float]) -> str:
    return f"{band[0]:.3f} to {band[1]:.3f}"
