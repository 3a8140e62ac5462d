"""The anomaly score by hand."""

import json

import numpy as np
import pytest

from keras_models.anomaly_score import AnomalyScore, held_alarm, load_score, recentred, repeated, smooth
from keras_models.fit_score import fit_score, robust_covariance, threshold_by_rate
from pipeline.scenario import Anomaly
from pipeline.user_error import UserError

EYE = ((1.0, 0.0), (0.0, 1.0))


def fitted(streams, readings=None, **settings):
    return fit_score(streams, Anomaly(**{"ewma": 1.0, "false_alarm_share": 0.01, **settings}), 1.0, readings)


def correlated(count=4000, seed=0):
    """Two channels that move together."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=count)
    return np.stack([common + 0.2 * rng.normal(size=count), 3 * common + 0.6 * rng.normal(size=count)], axis=1)


def test_smooth_by_hand():
    np.testing.assert_allclose(smooth(np.array([[1.0], [1.0], [0.0]]), 0.5), [[0.5], [0.75], [0.375]])
    np.testing.assert_allclose(smooth(np.array([[1.0], [4.0]]), 1.0), [[1], [4]])


def test_score_by_hand():
    score = AnomalyScore(1.0, ((2.0, 0.0), (0.0, 1.0)))
    np.testing.assert_allclose(score.score(np.array([[1.5, 4.0], [0.0, 0.0]])), [5.0, 0.0])


def test_contributions_are_never_negative_and_add_up_to_the_squared_score():
    score = fitted([correlated()], ewma=0.2)
    judged = score.judge(correlated(300, seed=5))
    assert (judged["contributions"] >= 0).all()
    np.testing.assert_allclose(judged["contributions"].sum(axis=1), judged["score"] ** 2)


def test_the_channel_that_is_off_contributes_most():
    """Channels that are correlated at .6: what one does must not be blamed on the other."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(5000, 1))
    score = fitted([common + 0.8 * rng.normal(size=(5000, 3))])
    assert score.judge(10 * np.eye(3))["contributions"].argmax(axis=1).tolist() == [0, 1, 2]


def test_a_residual_counts_by_its_trust():
    """Where the network says that it cannot know, nothing is off; the whitening is of what counts."""
    rng = np.random.default_rng(5)
    trust = np.where(rng.random((3000, 2)) < 0.5, 0.01, 1.0)
    residuals = rng.normal(size=(3000, 2)) / trust
    off = recentred(residuals, 50, trust)
    centre = 0.0
    for t in range(60):  # the first channel by hand
        assert off[t, 0] == pytest.approx(trust[t, 0] * (residuals[t, 0] - centre))
        centre += off[t, 0] / min(t + 1, 51)
    score = fit_score([residuals], Anomaly(ewma=1.0, false_alarm_share=0.01, recentre=50), 1.0, trusts=[trust])
    alarms = score.judge(residuals, trust=trust)["score"][51:] >= 1
    assert alarms.mean() == pytest.approx(0.01, abs=0.005)
    for trusted in (True, False):
        assert alarms[trust[51:].min(axis=1) > 0.5 if trusted else trust[51:].max(axis=1) < 0.5].mean() < 0.03


def test_the_share_of_false_alarms_is_what_was_asked_for():
    streams = [correlated(seed=1), correlated(500, seed=2)]
    score = fitted(streams, ewma=0.3, false_alarm_share=0.02)
    alarms = np.concatenate([score.score(stream) >= 1 for stream in streams])
    assert alarms.mean() == pytest.approx(0.02, abs=2 / 4500)


def test_a_rate_rarer_than_the_training_rows_can_show():
    """Independent exponential scores: reached once in n steps is log(n), whatever was seen."""
    scores = [np.random.default_rng(seed).exponential(size=20_000) for seed in range(3)]
    assert threshold_by_rate(scores, 1e-6) == pytest.approx(np.log(1e6), rel=0.05)


def test_it_is_hotellings_distance():
    """Without smoothing: sqrt(r' C^-1 r), up to one factor, and the small ridge."""
    residuals = correlated()
    score = fitted([residuals]).score(residuals)
    inverse = np.linalg.inv(residuals.T @ residuals / len(residuals))
    distance = np.sqrt(np.einsum("ti,ij,tj->t", residuals, inverse, residuals))
    np.testing.assert_allclose(score / distance, np.median(score / distance), rtol=0.05)


def test_rows_far_out_do_not_widen_the_covariance():
    """Three per cent of the rows a hundred standard deviations away: the covariance of all is a hundred times wider."""
    rows = np.random.default_rng(0).normal(size=(5000, 2))
    expected = robust_covariance(rows, 0.95)
    rows[:150] += 100
    np.testing.assert_allclose(robust_covariance(rows, 0.95), expected, atol=0.1)
    assert robust_covariance(rows, 1.0).min() > 200, "all rows trusted: 3 % of 100 squared"


def test_channels_that_part_are_an_anomaly():
    """Each within its own spread, together impossible: what a threshold per channel cannot see."""
    together, apart = fitted([correlated()]).score(np.array([[1.0, 3.0], [1.0, -3.0]]))
    assert together < 1 < apart


def test_channels_that_moved_as_one_or_not_at_all_do_not_break_it():
    common = np.random.default_rng(0).normal(size=(500, 1))
    for stream in (np.concatenate([common, common], axis=1), np.concatenate([common, 0 * common], axis=1), 0 * common):
        assert np.isfinite(fitted([stream], ewma=0.5).whitening).all()


def test_recentred_by_hand():
    """The mean of all before; from `memory` residuals on the last ones count 1 / (memory + 1)."""
    np.testing.assert_allclose(recentred(np.array([[4.0], [2.0], [6.0], [5.0]]), 2)[:, 0], [4, -2, 3, 1])


def test_a_constant_offset_is_learned_away_and_a_fault_is_not():
    score = AnomalyScore(0.5, EYE, recentre=20, freeze=0.5)
    residuals = np.full((400, 2), [3.0, -7.0])
    assert score.score(residuals).max() == 0
    residuals[200:, 0] += 2.0
    scores = score.score(residuals)
    assert scores[200:].min() >= 0.5 and scores[-1] == pytest.approx(2.0, abs=0.1), "frozen as soon as it shows"
    thawed = AnomalyScore(0.5, EYE, recentre=20, freeze=1e9).score(residuals)
    assert thawed[-1] < 0.01, "without the freeze it is learned away, or this test says nothing"


def test_the_limit_of_a_machine_is_the_greatest_it_reached_while_learned():
    score = AnomalyScore(1.0, EYE, own_limit=3)
    residuals = np.array([[9.0, 0.0], [0.0, 1.0], [3.0, 4.0], [1.0, 0.0], [6.0, 8.0], [0.0, -2.5]])
    judged = score.judge(residuals, first=4)
    np.testing.assert_allclose(judged["score"], [0, 0, 0, 0, 2, 0.5], err_msg="5 in steps 1 to 3; 9 was before")
    np.testing.assert_allclose(judged["contributions"][4], [36 / 25, 64 / 25])
    calm = score.judge(0.1 * residuals, first=4)["score"]
    assert calm[4] == pytest.approx(1.0), "that of all machines, for one that rested"


def test_with_limits_of_their_own_it_is_the_median_machine_whose_limit_is_one():
    """Machines alike but for how restless they are: the same score from those above the median."""
    streams = [factor * correlated(600, seed=3) for factor in (0.5, 1.0, 4.0)]
    score = fitted(streams, false_alarm_share=None, own_limit=500)
    greatest = [np.sqrt(np.square(rows[-500:] @ np.array(score.whitening)).sum(axis=1)).max() for rows in streams]
    np.testing.assert_allclose(greatest, [0.5, 1.0, 4.0])
    calm, median, restless = (score.judge(rows, first=500)["score"] for rows in streams)
    np.testing.assert_allclose(restless, median)


def test_beside_a_rate_the_limit_of_a_machine_is_for_the_restless_only():
    streams = [factor * correlated(2000, seed=4) for factor in (0.5, 1.0, 4.0)]
    by_rate, both = (fitted(streams, own_limit=own) for own in (None, 400))
    assert both.whitening == by_rate.whitening
    for rows, restless in zip(streams, (False, False, True), strict=True):
        alone, limited = (score.judge(rows, first=400)["score"][400:] for score in (by_rate, both))
        assert (limited.max() < alone.max()) == restless
        if not restless:
            # One has averaged before: an average of weight 1, a + (x - a), is x but for its last bit.
            np.testing.assert_allclose(limited, alone, rtol=1e-14)


def test_a_missing_reading_is_as_usual():
    """Of this machine: that of the others is far from it."""
    residuals = np.full((100, 2), [3.0, -7.0])
    residuals[[0, 50, 51], [1, 0, 0]] = np.nan
    residuals[60:75] = np.nan
    assert AnomalyScore(0.5, EYE, recentre=20).score(residuals[1:]).max() == 0
    np.testing.assert_allclose(recentred(np.array([[4.0], [np.nan], [6.0]]), 2)[:, 0], [4, 0, 2])


def test_a_cold_start_is_not_learned():
    residuals = np.concatenate([np.full((30, 2), 9.0), np.zeros((60, 2))])
    assert AnomalyScore(0.5, EYE, recentre=20, settle=30).score(residuals).max() == 0
    assert AnomalyScore(0.5, EYE, recentre=20).score(residuals).max() > 1, "or this test says nothing"


def test_repeats_by_hand():
    readings = np.array([[1.0, 5.0], [1.0, 6.0], [1.0, 6.0], [2.0, np.nan], [2.0, 6.0]])
    assert repeated(readings).T.tolist() == [[0, 1, 2, 0, 1], [0, 0, 1, 0, 0]]


def test_a_reading_that_stands_still_is_an_alarm_of_its_own():
    rng = np.random.default_rng(0)
    readings = np.round(rng.normal(size=(3000, 2)), 1)
    longest = repeated(readings).max(axis=0)
    score = fitted([0 * readings], [readings], repeats=1.5)
    assert score.repeats == tuple(1.5 * longest)
    readings[100:, 1] = 0.3
    judged = score.judge(0 * readings, readings)
    first = np.flatnonzero(judged["score"] >= 1)[0]
    assert first == 100 + np.ceil(1.5 * longest[1])
    assert judged["contributions"][first].argmax() == 1


def test_a_cold_sensor_that_rests_until_the_machine_is_warm_is_not_what_is_usual():
    rng = np.random.default_rng(0)
    readings = np.round(rng.normal(size=(3000, 1)), 1)
    readings[:400] = 0.5
    warm = fitted([0 * readings], [readings], repeats=1.5, settle=450)
    assert warm.repeats == (1.5 * repeated(readings[450:]).max(),)
    readings[1000:] = 0.5
    alarm = np.flatnonzero(warm.score(0 * readings, readings) >= 1)[0]
    assert alarm == 1000 + np.ceil(warm.repeats[0]) < 1020


def test_a_sensor_that_never_moved_in_training_does_not_alarm_by_resting():
    readings = np.zeros((500, 1))
    score = fitted([np.random.default_rng(0).normal(size=(500, 1))], [readings], repeats=1.2)
    assert score.judge(0 * readings, readings)["score"].max() < 1


@pytest.mark.parametrize(("persistence", "cool_down", "expected"), [
    (1, 0, "0110100111"), (2, 0, "0010000011"), (1, 1, "0111110111"), (2, 2, "0011111111"), (3, 5, "0000000001")])
def test_persistence_and_cool_down_by_hand(persistence, cool_down, expected):
    over = np.array([int(c) for c in "0110100111"]) > 0
    assert "".join(str(int(a)) for a in held_alarm(over, persistence, cool_down)) == expected


def test_a_normal_run_shorter_than_the_centre_needs():
    with pytest.raises(UserError, match="anomaly.recentre: expected fewer steps .* 50 .* got 60"):
        fitted([correlated(50)], recentre=40, settle=20)


def test_saved_and_loaded(tmp_path):
    for score in (fitted([correlated(100)]), AnomalyScore(0.1, EYE, 5, 7, 0.3, (4.0, 2.5), 2, 3, True, 0.5, 4)):
        score.save(tmp_path / "score.json")
        assert load_score(tmp_path / "score.json") == score


@pytest.mark.parametrize("damage", ["{", "[]", json.dumps({"ewma": 0.1}), json.dumps({"ewma": 1, "whitening": 3})])
def test_damaged(tmp_path, damage):
    (tmp_path / "score.json").write_text(damage)
    with pytest.raises(UserError, match="score.json: missing or damaged .*edgernn train"):
        load_score(tmp_path / "score.json")
