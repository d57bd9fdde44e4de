"""What nobody can beat in InterestWorld: the best predictions of one who knows how the world works."""

from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

from recsys_helpers.data.interest_world import DOMAINS, SCENARIOS, TASTES, InterestWorld, _by_group, _pick
from recsys_helpers.errors import CourseError


def interest_given_scenario(world: InterestWorld, rows: np.ndarray, scenario: str | None = None) -> np.ndarray:
    """True interest q at these rows of `world.interactions`, shape (rows, 8), rows sum to 1.

    `scenario` asks "what if it had been this one" of every row; None takes the scenario that was.
    """
    if scenario is not None and scenario not in SCENARIOS:
        raise CourseError(f"unknown scenario {scenario!r}: choose one of {', '.join(SCENARIOS)}.")
    taste, focus, domain, acted_in = _state(world, rows)
    return world.model.interest[taste, focus, domain, acted_in if scenario is None else SCENARIOS.index(scenario)]


def take_items(world: InterestWorld, rows: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Items taken at these rows if their scenario had been a new one, positions in `world.items`, shape (rows,).

    Args:
        rows: positions in `world.interactions`; user, focus and domain are as they were there.
        weights: how the new scenario reweights each interest, shape (8,).
    """
    wanted = interest_given_scenario(world, rows, "home") * weights  # at home all weights are 1
    interest = _pick(wanted / wanted.sum(axis=1, keepdims=True), rng.random(len(rows)))
    rank = _pick(world.model.popularity, rng.random(len(rows)))
    known = world.items.assign(popularity_rank=world.truth.items.popularity_rank)
    return _by_group(known)[world.interactions.domain.cat.codes.to_numpy()[rows], interest, rank]


def strength_optimum(world: InterestWorld, rows: np.ndarray) -> np.ndarray:
    """True P(liked) at these rows of `world.interactions`, shape (rows,), for one who knows focus and quality."""
    events = world.interactions.iloc[rows]
    q = interest_given_scenario(world, rows)[np.arange(len(events)), events.interest.cat.codes]
    return world.model.strength(q, world.truth.items.quality.to_numpy()[events.item_id - 1])


def propensity(world: InterestWorld, rows: np.ndarray) -> np.ndarray:
    """P(the item that was shown | user, moment, scenario, domain) at these rows of `world.interactions`, (rows,)."""
    events, wanted = world.interactions.iloc[rows], interest_given_scenario(world, rows)
    shown = (1 - world.model.exploration) * wanted + world.model.exploration / 8
    rank = world.truth.items.popularity_rank.to_numpy()[events.item_id - 1]
    return shown[np.arange(len(events)), events.interest.cat.codes] * world.model.popularity[rank]


def like_rate(world: InterestWorld, rows: np.ndarray, policy: np.ndarray) -> float:
    """Mean P(liked) over these rows of `world.interactions`, had `policy` chosen the items.

    Args:
        policy: P(item | its domain), shape (items,); sums to 1 within each domain.
    """
    wanted, happened = interest_given_scenario(world, rows), world.interactions.domain.cat.codes.to_numpy()[rows]
    domain, subject = world.items.domain.cat.codes.to_numpy(), world.items.interest.cat.codes.to_numpy()
    quality, total = world.truth.items.quality.to_numpy(), 0.0
    for place in product(range(len(DOMAINS)), range(8)):
        items, moments = (domain == place[0]) & (subject == place[1]), happened == place[0]
        total += (world.model.strength(wanted[moments, place[1], None], quality[items]) @ policy[items]).sum()
    return total / len(rows)


def _state(world: InterestWorld, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Codes of taste, focus, domain and scenario at these rows."""
    events = world.interactions.iloc[rows]
    people = world.truth.users.iloc[events.user_id - 1]
    main, side = people.main.cat.codes.to_numpy().astype(int), people.side.cat.codes.to_numpy().astype(int)
    taste = main * 7 + side - (side > main)  # the place of (main, side) in TASTES
    focus = world.truth.interactions.focus.cat.codes.to_numpy()[rows]
    return taste, focus, events.domain.cat.codes.to_numpy(), events.scenario.cat.codes.to_numpy()


def next_interest_optimum(
    world: InterestWorld, user_ids: np.ndarray, given: tuple[str, ...] = ("scenario", "domain")
) -> np.ndarray:
    """The best possible forecast of the interest of every event from the events before it.

    P(interest | interests, domains, scenarios and likes of the user's earlier events, and what `given` tells of the
    event to come), by filtering the hidden state (taste, focus, previous focus, events spent in the focus): the forward
    algorithm (Rabiner 1989, "A Tutorial on Hidden Markov Models", section III A), scaled at each step. Of an item only
    the domain and interest are used; its quality, which makes a like tell more or less, is averaged over.

    Args:
        user_ids: users to forecast.
        given: what is known of the event to come, of "scenario" and "domain"; the rest is averaged over.

    Returns:
        float32, shape (events, 8), rows sum to 1, in the order of `world.rows(user_ids)`.
    """
    if unknown := set(given) - {"scenario", "domain"}:
        raise CourseError(f"given={min(unknown)!r} is unknown: name 'scenario', 'domain', both or none.")
    histories = world._rows_by_user(user_ids)
    starts = np.cumsum([0, *map(len, histories)])
    forecast = np.empty((starts[-1], 8), np.float32)
    longest_first = np.argsort([-len(rows) for rows in histories], kind="stable")
    with threadpool_limits(1):  # the products are small: threads would only wait for each other
        for few in np.split(longest_first, np.arange(64, len(histories), 64)):  # 64 users at a time stay in the cache
            _filter(world, [histories[i] for i in few], [forecast[starts[i] : starts[i + 1]] for i in few], given)
    return forecast


def _filter(
    world: InterestWorld, histories: list[np.ndarray], forecasts: list[np.ndarray], given: tuple[str, ...]
) -> None:
    """Fill in the forecasts of some users, longest history first."""
    model, events = world.model, world.interactions
    code = {name: events[name].cat.codes.to_numpy() for name in ("interest", "domain", "scenario")}
    liked = events.liked.to_numpy()
    membership = world.users.domains.cat.codes.to_numpy()[
        events.user_id.to_numpy()[[rows[0] for rows in histories]] - 1
    ]
    music = np.array(model.music_share)[membership]
    usual_domain, usual_scenario = np.stack([1 - music, music], 1), np.array(model.scenario_shares)

    like = _like_chance(world)
    evidence = np.float32(np.stack([model.shown * (1 - like), model.shown * like]))  # of interest and like, together
    shown = np.float32(model.shown).reshape(len(TASTES) * 8, -1)
    arrive = np.ascontiguousarray(
        model.next_focus.swapaxes(2, 3), np.float32
    )  # taste, focus, next focus, previous focus
    stay = 1 - np.float32(model.leave)[:, None, None, None, None]

    # belief has axes: events spent in the focus, taste, focus, previous focus, user
    start = model.taste[:, :, None] * (1 - np.eye(8)) / (7 * len(TASTES))
    belief = np.zeros((len(stay), *start.shape, len(histories)), np.float32)
    belief[0] = start[..., None]
    for t in range(len(histories[0])):
        now = np.array([rows[t] for rows in histories if len(rows) > t])
        belief = belief[..., : len(now)]
        if t:
            staying = belief * stay
            leaving = (belief - staying).sum(0)
            belief = np.concatenate([np.swapaxes(arrive @ leaving, 1, 2)[None], staying[:-1]])
            belief[-1] += staying[-1]

        interest, domain, scenario = (code[name][now] for name in ("interest", "domain", "scenario"))
        by_domain = np.eye(2)[domain] if "domain" in given else usual_domain[: len(now)]
        by_scenario = np.eye(4)[scenario] if "scenario" in given else np.tile(usual_scenario, (len(now), 1))
        each = belief.sum((0, 3)).reshape(-1, len(now)).T @ shown  # forecasts for every domain and scenario
        ahead = np.einsum("udsk,ud,us->uk", each.reshape(-1, 2, 4, 8), by_domain, by_scenario)
        for forecast, row in zip(forecasts, ahead, strict=False):  # the users still active come first
            forecast[t] = row / row.sum()

        belief *= np.moveaxis(evidence[liked[now], :, :, domain, scenario, interest], 0, -1)[:, :, None]
        belief /= belief.sum((0, 1, 2, 3))


def _like_chance(world: InterestWorld) -> np.ndarray:
    """P(liked) when only what the item is about is known, shape and axes of `WorldModel.interest`."""
    model, known = world.model, world.items.assign(popularity_rank=world.truth.items.popularity_rank)
    quality = world.truth.items.quality.to_numpy()[_by_group(known)]  # domain, interest, rank
    by_rank = (model.strength(model.interest, quality[:, None, :, rank]) for rank in range(model.items_per_group))
    return sum(chance * strength for chance, strength in zip(model.popularity, by_rank, strict=True))
