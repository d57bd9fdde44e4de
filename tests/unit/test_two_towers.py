import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from recsys_helpers.evaluation.bootstrap import rmse_interval
from recsys_helpers.models import two_towers
from recsys_helpers.training.backend import keras


def test_a_damped_mean_by_hand():
    means = two_towers.damped_mean(np.array([0, 0, 2]), np.array([1.5, 1.5, -1.0]), 3, damping=10)
    assert np.allclose(means, [3 / 12, 0, -1 / 11])


def test_biases_find_what_made_the_ratings():
    rng = np.random.default_rng(0)
    users, items = (a.ravel() for a in np.meshgrid(np.arange(40), np.arange(60), indexing="ij"))
    of_user, of_item = rng.normal(size=40), rng.normal(size=60)
    of_user, of_item = of_user - of_user.mean(), of_item - of_item.mean()
    biases = two_towers.fit_biases(users, items, 3 + of_user[users] + of_item[items], (40, 60), (0, 0))
    assert np.allclose(biases(users, items), 3 + of_user[users] + of_item[items], atol=1e-6)
    unrated = two_towers.fit_biases(users, items, np.full(len(users), 4.0), (41, 61))
    assert unrated(np.array([40]), np.array([60])) == 4.0


@pytest.fixture(scope="module")
def towers():
    rng = np.random.default_rng(1)
    known = rng.normal(size=(5, 7)) * (rng.random((5, 7)) < 0.6)
    features = rng.normal(size=(5, 3)), rng.normal(size=(7, 2))
    keras.utils.set_random_seed(1)
    weights = two_towers.two_towers(known, *features, width=4).get_weights()

    def predict(known, user, item):
        model = two_towers.two_towers(known, *features, width=4)
        model.set_weights([10 * w for w in weights])
        return float(two_towers.predict(model, [np.array([user]), np.array([item]), np.array([3.0])])[0])

    return known, predict


def test_a_tower_hides_the_rating_that_it_predicts(towers):
    known, predict = towers
    changed, other = known.copy(), known.copy()
    changed[2, 3] = 9
    other[2, 4] = 9
    assert predict(changed, 2, 3) == pytest.approx(predict(known, 2, 3), abs=1e-6)
    assert abs(predict(other, 2, 3) - predict(known, 2, 3)) > 1e-3


def test_towers_read_both_sides(towers):
    known, predict = towers
    of_another = known.copy()
    of_another[1, 3] = 9  # another user's rating of the same film is read by the film's tower
    assert abs(predict(of_another, 2, 3) - predict(known, 2, 3)) > 1e-3


@pytest.mark.parametrize("corrected", [False, True])
def test_in_batch_loss_is_the_softmax_without_twins(corrected):
    rng = np.random.default_rng(2)
    items, scores, log_q = np.array([4, 1, 4, 0]), rng.normal(size=(4, 4)), np.log(rng.dirichlet(np.ones(5)))
    losses = []
    for row in range(4):
        allowed = [c for c in range(4) if c == row or items[c] != items[row]]
        shifted = scores[row] - (log_q[items] if corrected else 0)
        losses.append(logsumexp(shifted[allowed]) - shifted[row])
    loss = two_towers.in_batch_loss(log_q if corrected else None)(items, scores.astype("float32"))
    assert float(loss) == pytest.approx(np.mean(losses), abs=1e-5)


def test_fading_shares_know_the_past_only():
    events = pd.DataFrame(
        {"user_id": [1, 1, 1, 2], "interest": pd.Categorical(["art", "sport", "art", "art"]), "liked": [1, 0, 1, 1]}
    )
    shares = two_towers.fading_shares(events, alphas=(0.5,))
    assert shares[0].tolist() == shares[3].tolist() == [0, 0, 0, 0]
    assert shares[1].tolist() == [1, 0, 1, 0]  # art, sport, art liked, sport liked
    assert np.allclose(shares[2], [1 / 3, 2 / 3, 1 / 3, 0])


def test_reliability_by_hand():
    table = two_towers.reliability(np.array([0.05, 0.55, 0.57, 1.0]), np.array([0, 1, 0, 1]))
    assert table.index.tolist() == [0, 5, 9]
    assert np.allclose(table.loc[5, ["predicted", "observed", "share"]], [0.56, 0.5, 0.5])
    assert two_towers.calibration_error(np.array([0.05, 0.55, 0.57, 1.0]), np.array([0, 1, 0, 1])) == pytest.approx(
        0.25 * 0.05 + 0.5 * 0.06
    )


@given(st.integers(0, 10_000), st.floats(0.3, 5))
def test_temperature_mends_logits_that_were_stretched(seed, stretch):
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 1.5, size=4000)
    labels = rng.random(4000) < two_towers.sigmoid(honest)
    found = two_towers.temperature(honest * stretch, labels)
    assert found == pytest.approx(stretch * two_towers.temperature(honest, labels), rel=1e-2)
    assert two_towers.temperature(honest, labels) == pytest.approx(1, abs=0.25)


def test_log_loss_survives_large_logits():
    assert two_towers.log_loss(np.array([1000.0, -1000.0]), np.array([1, 1])) == pytest.approx(500)
    assert two_towers.log_loss(np.zeros(3), np.array([0, 1, 1])) == pytest.approx(np.log(2))


def test_rmse_and_its_interval_over_users():
    users = np.repeat(np.arange(200), 5)
    errors = np.random.default_rng(3).normal(size=1000)
    value, low, high = rmse_interval(errors, users)
    assert value == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert low < value < high and high - low < 0.2
    together = rmse_interval(np.repeat(np.random.default_rng(3).normal(size=200), 5), users)
    assert together[2] - together[1] > 1.5 * (high - low), "five equal errors of one user are not five witnesses"
