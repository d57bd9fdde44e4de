"""Interest carried from one domain into another: interest that fades, scores from it, people hidden in one domain."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import rankdata

from recsys_helpers.data.event_log import EventLog
from recsys_helpers.data.movielens import MovieLens
from recsys_helpers.evaluation.ranks import ndcg, target_ranks
from recsys_helpers.models.base import Model, histories_of, register


def fading_mean(contents: np.ndarray, decay: float) -> np.ndarray:
    """Mean of the rows so far, each weighing `decay` times the one after it; (events, k) -> (events + 1, k).

    Before any event (NaN), after the first, after the second, ...
    """
    sums = lfilter([1], [1, -decay], np.c_[contents, np.ones(len(contents))], axis=0)
    return np.vstack([np.full(contents.shape[1], np.nan), sums[:, :-1] / sums[:, -1:]])


def fading_interest(contents: np.ndarray, users: np.ndarray, counts: np.ndarray, decay: float = 0.5) -> np.ndarray:
    """What a user took until now, as the mean of its contents, each event weighing `decay` times the one after it.

    Args:
        contents: content vector of each event, shape (events, k); events of a user together, oldest first.
        users: whose event it is, shape (events,).
        counts: True where the event is to be counted, such as those of one domain, shape (events,).

    Returns:
        Shape (events, k): the interest just before each event; NaN where nothing has been counted yet.
    """
    interests = np.empty(contents.shape)
    for rows in np.split(np.arange(len(users)), np.flatnonzero(users[1:] != users[:-1]) + 1):
        counted = rows[counts[rows]]
        interests[rows] = fading_mean(contents[counted], decay)[np.searchsorted(counted, rows)]
    return interests


def events_since(users: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many events ago the user's last counted event was, shape (events,); 1 is just before, NaN where none was."""
    place = pd.Series(np.arange(len(users), dtype="float64"))
    last = place.where(pd.Series(counts)).groupby(users).ffill().groupby(users).shift()
    return (place - last).to_numpy()


def item_scores(interests: np.ndarray, contents: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """Log probability of every item, of shape (rows, items): an interest is drawn, then an item of that interest.

    Args:
        interests: shape (rows, k), not negative; scaled to sum to 1.
        contents: how much each item is about each interest, shape (items, k).
        popularity: how often each item was taken, shape (items,).
    """
    of_interest = contents * popularity[:, None]
    of_interest = of_interest / of_interest.sum(axis=0)  # P(item | interest)
    return np.log(interests / interests.sum(axis=1, keepdims=True) @ of_interest.T)


def contents_of(log: EventLog) -> np.ndarray:
    """What each item is about in its own domain, shape (items, domains, subjects); 0 in the others."""
    return np.eye(len(log.domains))[log.items["domain"], :, None] * log.subjects[:, None]


def moments(about: np.ndarray) -> np.ndarray:
    """What is known just before each event of one history, and after the last, shape (events + 1, features).

    The share of the domains, fading; for each domain, from its events only, interest that fades fast and slowly, and
    how long ago it was last chosen, as -log(events). NaN where nothing is known yet.

    Args:
        about: rows of `contents_of` for the items of the history, shape (events, domains, subjects).
    """
    domains, subjects, moment = about.sum(axis=2), about.sum(axis=1), np.arange(len(about) + 1)
    views = [fading_mean(domains, 0.9)]
    for here in map(np.flatnonzero, domains.T > 0.5):
        so_far = np.searchsorted(here, moment)  # how many events of this domain lie before each moment
        views += [fading_mean(subjects[here], decay)[so_far] for decay in (0.5, 0.9)]
        views.append(-np.log(moment - np.r_[np.nan, here][so_far])[:, None])
    return np.hstack(views)


def moments_of(contents: np.ndarray, histories: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`moments` of all histories, and which of them are followed by an event: shapes (moments, features), (moments,).

    Args:
        contents: as `contents_of` gives them.
    """
    after_the_last = np.cumsum([len(items) + 1 for items in histories]) - 1
    found = np.vstack([moments(contents[items - 1]) for items in histories])
    return found, ~np.isin(np.arange(len(found)), after_the_last)


@register
class MappedInterest(Model):
    """Interest in each domain, mapped by least squares to what comes next (lesson 05), times popularity within it."""

    name = "transfer"
    learned: ClassVar = {
        "contents_": "number items domains subjects",
        "counts_": "count items",
        "mean_": "number features",
        "weights_": "number features+1 contents",
    }

    def fit(self, log, part="test"):
        histories, contents = log.split.history(part), contents_of(log)
        taken = np.concatenate(histories) - 1
        found, followed = moments_of(contents, histories)
        self.mean_ = np.nanmean(found, axis=0)
        self.contents_ = contents
        self.counts_ = np.bincount(taken, minlength=log.split.n_items) + 1.0
        flat = contents.reshape(len(contents), -1)
        self.weights_ = np.linalg.lstsq(self._inputs(found[followed]), flat[taken], rcond=None)[0]
        self.parameters_ = self.weights_.size
        return self

    def scores(self, requests):
        found = np.stack([moments(self.contents_[items - 1])[-1] for items in histories_of(requests)])
        interests = np.maximum(self._inputs(found) @ self.weights_, 1e-3)
        return item_scores(interests, self.contents_.reshape(len(self.contents_), -1), self.counts_)

    def _inputs(self, found: np.ndarray) -> np.ndarray:
        """What is not known counts as usual; the last column is for the constant."""
        return np.c_[np.where(np.isnan(found), self.mean_, found), np.ones(len(found))]


def ndcg_by_user(scores: np.ndarray, items: np.ndarray, users: np.ndarray) -> np.ndarray:
    """NDCG@10 over all items, mean of each user's rows, users in increasing order.

    Args:
        scores: shape (rows, items). items: column that was taken, shape (rows,). users: whose row it is, shape (rows,).
    """
    ranks = target_ranks(scores, [np.empty(0, int)] * len(scores), items + 1)
    return pd.Series(ndcg(ranks)).groupby(users).mean().to_numpy()


@dataclass(frozen=True)
class TwoDomains:
    """Users of two disjoint sets of items, some of them hidden in the second.

    Attributes:
        source_items, target_items: positions in the catalogue, shapes (n,) and (m,).
        source, target: 1 where a user took an item, shapes (users, n) and (users, m); nobody is hidden in them.
        shared: users (rows) with enough in both domains, not hidden. hidden: users whose target domain is hidden.
        known, relevant: the earlier and the later half of what the hidden users took, shape (hidden, m) each.
    """

    source_items: np.ndarray
    target_items: np.ndarray
    source: np.ndarray
    target: np.ndarray
    shared: np.ndarray
    hidden: np.ndarray
    known: np.ndarray
    relevant: np.ndarray

    @property
    def visible(self) -> np.ndarray:
        """All users (rows) that are not hidden."""
        return np.setdiff1d(np.arange(len(self.source)), self.hidden)


def film_domains(movielens: MovieLens, source: set[str], target: set[str], hide: float = 0.2, seed: int = 7):
    """Films whose genres all lie in `source` or all in `target` as two domains; `hide` of the shared users hidden.

    Shared are users with at least 5 films in the source and 10 in the target domain.
    """
    genres = [set(film) for film in movielens.films["genres"]]
    domains = [np.flatnonzero([bool(film) and film <= domain for film in genres]) for domain in (source, target)]
    ratings = movielens.ratings.sort_values("time", kind="stable")
    users, films = np.unique(ratings["user_id"], return_inverse=True)[1], ratings["film_id"].to_numpy() - 1
    order = np.zeros((users.max() + 1, len(genres)))
    order[users, films] = np.arange(1, len(ratings) + 1)  # 0 is not rated; else the place in time
    taken = [(order[:, items] > 0).astype("float64") for items in domains]
    shared = np.flatnonzero((taken[0].sum(axis=1) >= 5) & (taken[1].sum(axis=1) >= 10))
    hidden = np.sort(np.random.default_rng(seed).choice(shared, int(hide * len(shared)), replace=False))
    places = np.where(taken[1][hidden] > 0, order[hidden][:, domains[1]], np.nan)
    earlier = places <= np.nanmedian(places, axis=1, keepdims=True)
    later = places > np.nanmedian(places, axis=1, keepdims=True)
    return TwoDomains(*domains, *taken, np.setdiff1d(shared, hidden), hidden, 1.0 * earlier, 1.0 * later)


def relevant_ndcg(scores: np.ndarray, domains: TwoDomains) -> np.ndarray:
    """NDCG@10 of each hidden user, shape (hidden,): all later films are right, the earlier ones are no candidates.

    Films whose scores agree to six decimals, such as a film that is listed twice, share their places: each gains the
    mean of what these places give. So a processor's rounding decides nothing.

    Args:
        scores: of every target item, shape (hidden, m) or, the same for all, (m,).
    """
    candidates = np.where(domains.known > 0, -np.inf, np.broadcast_to(np.round(scores, 6), domains.known.shape))
    first, last = (rankdata(-candidates, method, axis=1).astype(int) for method in ("min", "max"))
    gained = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, 12)))])  # by the first 0, 1, ... 10 places
    gain = (gained[np.minimum(last, 10)] - gained[np.minimum(first - 1, 10)]) / (last - first + 1)
    ideal = gained[np.minimum(domains.relevant.sum(axis=1), 10).astype(int)]
    return (domains.relevant * gain).sum(axis=1) / ideal
