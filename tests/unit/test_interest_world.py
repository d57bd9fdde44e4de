"""The simulated world: what it promises, that its files are its own, and that its optimum is one."""

import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from recsys_helpers.data import interest_world as iw
from recsys_helpers.data import interest_world_optimum
from recsys_helpers.errors import CourseError


@pytest.fixture(scope="module")
def world():
    return iw.load_interest_world()


@pytest.fixture(scope="module")
def test_users(world):
    return world.users.user_id[world.users.split == "test"].to_numpy()


@pytest.fixture(scope="module")
def optimum(world, test_users):
    return interest_world_optimum.next_interest_optimum(world, test_users)


def codes(column):
    return column.cat.codes.to_numpy().astype(int)


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*")}


# The files


def test_the_generator_writes_the_bundle_byte_for_byte(tmp_path):
    iw.write_world(tmp_path / "again")
    assert hashes(tmp_path / "again") == hashes(iw.BUNDLE)
    assert len(hashes(iw.BUNDLE)) == len(iw.COLUMNS) == 7


def test_chunks_of_any_size_and_seeds(tmp_path):
    iw.write_world(tmp_path / "one", users=300, chunk=300)
    iw.write_world(tmp_path / "many", users=300, chunk=37)
    iw.write_world(tmp_path / "other", users=300, seed=8)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "many")
    assert not hashes(tmp_path / "one").items() & hashes(tmp_path / "other").items()


def test_a_small_world_is_the_beginning_of_a_large_one(world):
    people, events = iw.make_users(iw.WorldModel(), iw.make_items(iw.WorldModel(), 7), 101, 110, 7)
    bundled = world.interactions.iloc[world.rows(np.arange(101, 111))]
    assert (events.time.to_numpy() == bundled.time.to_numpy()).all()
    assert people.main.tolist() == world.truth.users.main[100:110].tolist()


def test_memory_does_not_grow_with_the_world(tmp_path):
    def peak(users):
        code = (
            "import tracemalloc, pandas; from recsys_helpers.data import comments, interest_world as iw;"
            # Comments do not grow with the world, and are slow to trace.
            "comments.generate_comments = lambda *_: pandas.DataFrame(columns=list(iw.COLUMNS['comments']));"
            "tracemalloc.start();"
            f"iw.write_world({str(tmp_path / str(users))!r}, users={users}, chunk=300);"
            "print(tracemalloc.get_traced_memory()[1])"
        )
        return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    assert peak(1800) < 1.2 * peak(600)


def test_writing_refuses_a_folder_in_use_and_leaves_no_half_world(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CourseError, match="not an empty folder"):
        iw.write_world(tmp_path / "full", users=300)
    with pytest.raises(CourseError, match="at least 1 user"):
        iw.write_world(tmp_path / "none", users=0)
    with pytest.raises(CourseError):  # one user cannot write comments on eight interests
        iw.write_world(tmp_path / "tiny", users=1)
    with pytest.raises(SystemExit) as stop:
        iw.main(["--out", str(tmp_path / "full")])
    assert stop.value.code == 2
    iw.main(["--out", str(tmp_path / "empty"), "--users", "100"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full"]
    assert len(iw.load_interest_world(tmp_path / "empty").users) == 100


def edit(column, value):
    def damage(table):
        table.loc[3, column] = str(value)

    return damage


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("users", lambda t: t.drop(columns="split", inplace=True), "users.csv has no column 'split'"),
        ("users", edit("domains", "films"), "users.csv, column domains, line 5: must be one of books, music, both"),
        ("users", edit("user_id", 9), "users.csv, column user_id, line 5: ids must run"),
        ("items", edit("title", ""), "items.csv, column title, line 5: must be a text"),
        ("interactions", edit("liked", 2), "interactions.csv, column liked, line 5: must be 0 or 1"),
        ("interactions", edit("time", "noon"), "interactions.csv, column time, line 5: must be a whole number"),
        ("interactions", edit("time", "0"), "interactions.csv, column time, line 5: must grow"),
        ("interactions", edit("time", "1.5"), "interactions.csv, column time, line 5: must be a whole number"),
        (
            "interactions",
            edit("item_id", 1201),
            "interactions.csv, column item_id, line 5: this id is not in items.csv",
        ),
        ("interactions", edit("user_id", 2), "interactions.csv, column user_id, line 6: rows must be sorted"),
        ("comments", edit("user_id", 0), "comments.csv, column user_id, line 5: this id is not in users.csv"),
        ("truth_users", edit("main", "chess"), "truth_users.csv, column main, line 5: must be one of programming"),
        ("truth_interactions", edit("focus", 8), "truth_interactions.csv, column focus, line 5: must be an index"),
        ("truth_interactions", lambda t: t.drop(index=0, inplace=True), "truth_interactions.csv and interactions.csv"),
    ],
)
def test_a_broken_bundle_is_named_by_file_column_and_line(tmp_path, name, damage, message):
    shutil.copytree(iw.BUNDLE, tmp_path / "world")
    file = tmp_path / "world" / f"{name}.csv"
    table = pd.read_csv(file, dtype=str)
    damage(table)
    table.to_csv(file, index=False)
    with pytest.raises(CourseError, match=re.escape(message)) as error:
        iw.load_interest_world(tmp_path / "world")
    assert "restore" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", None], ids=["empty", "not text", "missing"])
def test_an_unreadable_file_is_named(tmp_path, content):
    shutil.copytree(iw.BUNDLE, tmp_path / "world")
    file = tmp_path / "world" / "items.csv"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(CourseError, match=r"items\.csv is (missing|not a readable CSV file).*restore") as error:
        iw.load_interest_world(tmp_path / "world")
    assert "\n" not in str(error.value)


# What the world holds


def test_sizes_shares_and_order(world):
    events, users = world.interactions, world.users
    assert (len(users), len(world.items)) == (2400, 1200)
    assert 154_000 < len(events) < 159_000
    assert events.groupby("user_id").size().agg(["min", "max"]).tolist() == [30, 120]
    assert users.split.value_counts().to_dict() == {"train": 1680, "test": 480, "validation": 240}
    assert sum(file.stat().st_size for file in iw.BUNDLE.glob("*")) < 6_000_000

    shares = events.scenario.value_counts(normalize=True)
    assert np.allclose(shares[list(iw.SCENARIOS)], world.model.scenario_shares, atol=0.005)
    assert np.allclose(users.domains.value_counts(normalize=True, sort=False), [0.15, 0.10, 0.75], atol=0.02)
    by_membership = (events.domain == "music").groupby(users.domains.take(events.user_id - 1).to_numpy()).mean()
    assert by_membership["books"] == 0 and by_membership["music"] == 1 and abs(by_membership["both"] - 0.4) < 0.005

    assert (events.groupby("user_id").time.diff().dropna() > 0).all()
    assert (
        (events.time.min() >= 0)
        and (events.time.max() < iw.DAYS * iw.DAY)
        and (events.day == events.time // iw.DAY).all()
    )
    hour = events.time % iw.DAY / iw.HOUR
    assert hour[events.scenario == "evening"].between(18, 24).all() and hour.min() >= 7


def test_items_are_unique_balanced_and_do_not_name_their_interest(world):
    items = world.items
    assert items.title.is_unique
    assert (items.groupby(["domain", "interest"], observed=True).size() == 75).all()
    assert not items.title.str.lower().str.contains("|".join(rf"\b{name}\b" for name in iw.INTERESTS)).any()
    order = (
        np.corrcoef(items.item_id, codes(items.interest))[0, 1],
        np.corrcoef(items.item_id, codes(items.domain))[0, 1],
    )
    assert np.abs(order).max() < 0.1
    seen = world.interactions.item_id.map(world.truth.items.set_index("item_id").popularity_rank).value_counts(
        normalize=True
    )
    assert np.allclose(seen.sort_index(), world.model.popularity, atol=0.003)


def test_types_and_public_weights(world):
    assert list(world.interactions.scenario.cat.categories) == list(iw.SCENARIOS)
    assert list(world.truth.interactions.focus.cat.categories) == list(iw.INTERESTS)
    assert world.scenario_weights.shape == (4, 8) and world.scenario_weights.loc["home"].eq(1).all()
    assert np.allclose(world.domain_map.sum(axis=1), 1) and np.linalg.cond(world.domain_map) < 3
    assert world.domain_map.loc["programming"].idxmax() == "technology"
    table = codes(world.truth.users.main) * 7 + codes(world.truth.users.side)
    assert (world.truth.users.main != world.truth.users.side).all() and len(np.unique(table)) > 40


def test_the_focus_stays_and_moves_as_the_model_says(world):
    """Read from the truth alone: the chance to leave after 1, 2, ... events, and how often the successor follows."""
    user, focus = world.interactions.user_id.to_numpy(), codes(world.truth.interactions.focus)
    main, side = codes(world.truth.users.main)[user - 1], codes(world.truth.users.side)[user - 1]
    tries, moves, followed, expected, known = np.zeros(5), np.zeros(5), 0, 0, 0
    spent, before = 1, None
    for i in range(1, len(focus)):
        if user[i] != user[i - 1]:
            spent, before = 1, None
            continue
        moved = focus[i] != focus[i - 1]
        tries[min(spent, 5) - 1] += 1
        moves[min(spent, 5) - 1] += moved
        if moved and before is not None:
            known += 1
            successor = world.model.successor[focus[i - 1], before]
            followed += focus[i] == successor
            taste = iw.TASTES.index((main[i], side[i]))
            expected += world.model.next_focus[taste, focus[i - 1], before, successor]
        spent, before = (1, focus[i - 1]) if moved else (spent + 1, before)
    assert np.allclose(moves / tries, world.model.leave, atol=0.012)
    assert abs(followed - expected) / known < 0.01 and followed / known > world.model.to_successor


def test_scenarios_and_domains_reweight_as_said(world):
    """In every cell of focus, domain and scenario, the shares of interests are those of the model."""
    rows = np.arange(len(world.interactions))
    q = interest_world_optimum.interest_given_scenario(world, rows)
    assert np.allclose(q.sum(1), 1)
    expected = (1 - world.model.exploration) * q + world.model.exploration / 8
    seen = np.eye(8)[codes(world.interactions.interest)]
    domain, scenario = codes(world.interactions.domain), codes(world.interactions.scenario)
    cell = (codes(world.truth.interactions.focus) * 2 + domain) * 4 + scenario
    count = np.bincount(cell, minlength=64)
    for k in range(8):
        surplus = np.bincount(cell, seen[:, k] - expected[:, k], 64)
        spread = np.sqrt(np.bincount(cell, expected[:, k] * (1 - expected[:, k]), 64))
        assert np.abs(surplus / spread).max() < 4.5, f"{iw.INTERESTS[k]}: {count[np.argmax(np.abs(surplus / spread))]}"

    what_if = interest_world_optimum.interest_given_scenario(world, rows[:500], "home")
    assert np.allclose(what_if[scenario[:500] == 0], q[:500][scenario[:500] == 0])
    reweighted = what_if * world.scenario_weights.to_numpy()[scenario[:500]]
    assert np.allclose(reweighted / reweighted.sum(1, keepdims=True), q[:500])
    with pytest.raises(CourseError, match="choose one of home, search"):
        interest_world_optimum.interest_given_scenario(world, rows, "checkout")


def test_strength_is_calibrated_and_separates(world):
    strength, liked = (
        interest_world_optimum.strength_optimum(world, np.arange(len(world.interactions))),
        world.interactions.liked,
    )
    assert np.abs(strength - world.truth.interactions.strength).max() < 0.00051
    for _, part in pd.DataFrame({"p": strength, "liked": liked}).groupby(pd.qcut(strength, 20)):
        assert abs(part.liked.mean() - part.p.mean()) < 4 * np.sqrt((part.p * (1 - part.p)).sum()) / len(part)
    assert 0.43 < liked.mean() < 0.48 and 0.79 < roc_auc_score(liked, strength) < 0.82


# The optimum


def forecast_by_enumeration(world, rows, given):
    """The same forecasts with plain loops over a dictionary of hidden states, from the raw constants of the model."""
    m, events, people = world.model, world.interactions, world.users
    columns = ("domain", "scenario", "interest")
    domain, scenario, interest = (codes(events[name].iloc[rows]) for name in columns)
    music = m.music_share[iw.MEMBERSHIPS.index(people.domains[events.user_id.iloc[rows[0]] - 1])]

    def taste(main, side):
        return np.eye(8)[main] * m.main + np.eye(8)[side] * m.side + (1 - m.main - m.side) / 8

    def shown(state, at_domain, at_scenario):
        main, side, c = state[:3]
        vector = m.focus_share * np.eye(8)[c] + (1 - m.focus_share) * taste(main, side)
        if at_domain:
            vector = (
                m.partner_share * sum(vector[i] * np.eye(8)[m.partner[i]] for i in range(8)) + (1 - m.partner_share) / 8
            )
        q = vector * np.array(m.scenario_weights[at_scenario])
        q = q / q.sum()
        return q, (1 - m.exploration) * q + m.exploration / 8

    def of_event(t):
        domains = {domain[t]: 1.0} if "domain" in given else {0: 1 - music, 1: music}
        scenarios = {scenario[t]: 1.0} if "scenario" in given else dict(enumerate(m.scenario_shares))
        return {(a, b): x * y for (a, x), (b, y) in product(domains.items(), scenarios.items()) if x}

    items = world.items.assign(quality=world.truth.items.quality, rank=world.truth.items.popularity_rank)
    belief = {
        (main, side, c, p, 0): taste(main, side)[c] / 56 / 7
        for main, side, c, p in product(range(8), repeat=4)
        if main != side and c != p
    }
    forecasts = []
    for t in range(len(rows)):
        if t:
            ahead = {}
            for (main, side, c, p, d), chance in belief.items():
                stays = (main, side, c, p, min(d + 1, len(m.leave) - 1))
                ahead[stays] = ahead.get(stays, 0) + chance * (1 - m.leave[d])
                after = c + 1 if 1 <= (c - p) % 8 <= 4 else c - 1
                for to in set(range(8)) - {c}:
                    liking = taste(main, side)[to] / (1 - taste(main, side)[c])
                    target = m.to_successor * (to == after % 8) + m.to_taste * liking
                    target += (1 - m.to_successor - m.to_taste) / 7
                    moved = (main, side, to, c, 0)
                    ahead[moved] = ahead.get(moved, 0) + chance * m.leave[d] * target
            belief = ahead
        forecasts.append(
            sum(x * w * shown(s, *where)[1] for s, x in belief.items() for where, w in of_event(t).items())
        )
        mine = items[(codes(items.domain) == domain[t]) & (codes(items.interest) == interest[t])]
        popular = (mine["rank"] + 1.0) ** -m.zipf
        for state in belief:
            q, p = shown(state, domain[t], scenario[t])
            like = 1 / (1 + np.exp(-(m.like_bias + m.like_slope * q[interest[t]] + mine.quality.to_numpy())))
            like = (like * popular).sum() / popular.sum()
            belief[state] *= p[interest[t]] * (like if events.liked.iloc[rows[t]] else 1 - like)
        total = sum(belief.values())
        belief = {state: chance / total for state, chance in belief.items()}
    return np.array(forecasts)


@pytest.mark.parametrize(("given", "events"), [(("scenario", "domain"), 3), (("scenario",), 2), (("domain",), 2)])
def test_the_filter_is_exact(world, given, events):
    """For any model: with two chances to leave, not five, three events already meet the last one, which repeats."""
    model = replace(world.model, leave=(0.3, 0.8)) if events == 3 else world.model
    user = world.users.user_id[(world.users.domains == "both") & (world.users.split == "test")].iloc[1]
    rows = world.rows([user])[:events]
    short = replace(world, interactions=world.interactions.iloc[: rows[-1] + 1], model=model)
    exact = forecast_by_enumeration(short, rows, given)
    assert np.allclose(interest_world_optimum.next_interest_optimum(short, [user], given), exact, atol=2e-6)


def test_the_optimum_is_calibrated(world, test_users, optimum):
    """Outcomes occur as often as forecast: for every interest, early and late, and after every run of one interest."""
    events = world.interactions.iloc[world.rows(test_users)]
    interest, user = codes(events.interest), events.user_id.to_numpy()
    place = events.groupby("user_id").cumcount().to_numpy()

    def check(forecast, happened, groups):
        surplus, variance = np.bincount(groups, happened - forecast), np.bincount(groups, forecast * (1 - forecast))
        assert np.abs(surplus[variance > 0] / np.sqrt(variance[variance > 0])).max() < 4

    forecast = optimum.astype(float)
    for part in (place == 0, (place > 0) & (place < 10), place >= 10, place >= 60):
        p, happened = forecast[part].ravel(), np.eye(8)[interest[part]].ravel()
        check(p, happened, np.searchsorted(np.quantile(p, np.linspace(0, 1, 16)[1:-1]), p))

    # How long an interest has lasted, and which came before, is what separates the filter from a Markov chain.
    run, before = np.ones(len(user), int), np.full(len(user), -1)
    for i in np.flatnonzero(place):
        again = interest[i] == interest[i - 1]
        run[i], before[i] = (run[i - 1] + 1, before[i - 1]) if again else (1, interest[i - 1])
    now, past = np.flatnonzero(place), np.flatnonzero(place) - 1
    books = (world.users.domains.cat.codes.to_numpy()[user - 1] == 0)[now]  # their interests are seen as they are
    now, past = now[books], past[books]
    length = np.minimum(run[past], 9)
    check(forecast[now, interest[past]], interest[now] == interest[past], length)
    onward = (before[past] >= 0) & (length > 1)
    follows = world.model.successor[interest[past], before[past]]
    check(forecast[now, follows][onward], (interest[now] == follows)[onward], length[onward])


def test_the_more_is_given_the_better_and_any_order_of_users(world, test_users, optimum):
    some = test_users[[5, 2, 77]]
    rows = np.isin(world.rows(test_users), world.rows(some))
    again = interest_world_optimum.next_interest_optimum(world, np.sort(some))
    assert np.allclose(again, optimum[rows], atol=1e-5)
    backwards = interest_world_optimum.next_interest_optimum(world, some[::-1])
    assert np.allclose(backwards[np.argsort(world.rows(some[::-1]))], again, atol=1e-5)
    with pytest.raises(CourseError, match="'time' is unknown"):
        interest_world_optimum.next_interest_optimum(world, some, ("time",))
    with pytest.raises(CourseError, match="user 2401 is not in this world"):
        interest_world_optimum.next_interest_optimum(world, [1, 2401])


def markov_forecasts(world, users, order):
    """Forecasts for these users by a chain over (domain, interest) of the last `order` events, given the next domain.

    Counted on the training users; a context is drawn towards the next shorter one by 10 pseudo-counts.
    """
    events = world.interactions
    interest, domain, user = codes(events.interest), codes(events.domain), events.user_id.to_numpy()
    train = (world.users.split == "train").to_numpy()[user - 1]
    context, forecast = domain * (order > 0), np.full((len(events), 8), 1 / 8)
    for back in range(order + 1):
        if back:
            same = np.concatenate([np.zeros(back, bool), user[back:] == user[:-back]])
            context = context * 17 + np.where(same, np.roll(domain * 8 + interest, back) + 1, 0)
        counts = np.zeros((context.max() + 1, 8))
        np.add.at(counts, (context[train], interest[train]), 1)
        forecast = (counts[context] + 10 * forecast) / (counts[context].sum(1, keepdims=True) + 10)
    return forecast[world.rows(users)]


def test_majority_then_markov_chains_then_the_optimum(world, test_users, optimum):
    """Each forecaster beats the one before, in accuracy and log loss; 95% intervals of the gaps over users."""
    events = world.interactions.iloc[world.rows(test_users)]
    truth, user = codes(events.interest), np.searchsorted(test_users, events.user_id)
    draws = np.random.default_rng(0).multinomial(len(test_users), np.full(len(test_users), 1 / len(test_users)), 1000)
    ladder = [markov_forecasts(world, test_users, order) for order in (0, 1, 2)] + [optimum]
    right = [np.bincount(user, p.argmax(1) == truth) for p in ladder]
    loss = [np.bincount(user, -np.log(p[np.arange(len(truth)), truth])) for p in ladder]

    def gap(worse, better):
        return np.quantile(draws @ (better - worse) / (draws @ np.bincount(user)), [0.025, 0.975])

    for step, accuracy_gap, loss_gap in [(0, 0.25, 0.30), (1, 0.003, 0.04), (2, 0.06, 0.28)]:
        assert gap(right[step], right[step + 1])[0] > accuracy_gap
        assert gap(loss[step], loss[step + 1])[1] < -loss_gap
    mean = {"accuracy": [r.sum() / len(truth) for r in right], "log loss": [x.sum() / len(truth) for x in loss]}
    assert np.allclose(mean["accuracy"], [0.136, 0.465, 0.472, 0.550], atol=0.003)
    assert np.allclose(mean["log loss"], [2.079, 1.664, 1.609, 1.286], atol=0.005)


def test_propensities_are_what_the_log_shows(world):
    chance = interest_world_optimum.propensity(world, np.arange(len(world.interactions)))
    assert ((chance > 0) & (chance < 1)).all()
    assert (1 / chance).mean() == pytest.approx(600, rel=0.05)  # each of a domain's items, by chance, weighs 1


def test_the_like_rate_of_a_policy_that_shows_one_book_and_one_song(world):
    rows = np.arange(0, len(world.interactions), 7)
    shows = np.array([np.flatnonzero(world.items["domain"] == domain)[3] for domain in iw.DOMAINS])
    item = shows[world.interactions["domain"].cat.codes.to_numpy()[rows]]
    subject, quality = world.items["interest"].cat.codes.to_numpy()[item], world.truth.items["quality"].to_numpy()[item]
    wanted = interest_world_optimum.interest_given_scenario(world, rows)[np.arange(len(rows)), subject]
    policy = np.bincount(shows, minlength=len(world.items))
    assert interest_world_optimum.like_rate(world, rows, policy) == pytest.approx(
        world.model.strength(wanted, quality).mean()
    )
