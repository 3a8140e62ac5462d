"""Windows to features and targets, by hand."""

import dataclasses

import numpy as np
from plain_encoding import PLAIN

from keras_models.shard_dataset import encode_window, fill_missing, stream_statistics

NAN = np.nan


def test_fill_missing_takes_the_last_value_or_the_mean():
    filled = fill_missing(np.array([[NAN, 1.0], [2.0, NAN], [NAN, NAN], [3.0, 4.0]]))
    np.testing.assert_array_equal(filled, [[0, 1], [2, 1], [2, 1], [3, 4]])


def test_window_by_hand():
    """Length 3, leads 2 and 3: the forecast made at step t speaks of t + 2 and t + 3; `following` of t + 1."""
    speed = np.array([10.0, 12, 14, NAN, 18, 20])
    x = np.stack([speed, -1 + np.arange(6) / 2, np.arange(6)], axis=1).astype(np.float32)
    features, forecast, following = encode_window(x, 3, PLAIN)
    np.testing.assert_allclose(features[:, 0], [0, 1, 2])
    np.testing.assert_allclose(forecast, [[2, 2, 3, NAN], [3, NAN, 4, 4], [4, 4, 5, 5]])
    np.testing.assert_allclose(following, [[1, 1], [2, 2], [NAN, 3]])


def test_window_with_lags_by_hand():
    """Lags 3 and 4 of leads 2 and 3: at step t the readings of t - 1, t and t - 2, t - 1 are fed, targets load, speed;
    the first two of the five readings are no steps."""
    lagged = dataclasses.replace(PLAIN, lags=(3, 4))
    speed, load = 10 + 2 * np.arange(8.0), -1 + 0.5 * np.arange(8)
    speed[1] = NAN
    x = np.stack([speed, load, np.arange(8)], axis=1).astype(np.float32)
    features, forecast, following = encode_window(x, 5, lagged)
    plain, ahead, next_one = encode_window(x, 5, PLAIN)
    assert lagged.memory == 2 and lagged.width == PLAIN.width + 8
    np.testing.assert_array_equal(features[:, :-8], plain[2:])
    np.testing.assert_array_equal(forecast, ahead[2:])
    np.testing.assert_array_equal(following, next_one[2:])
    # Standardized, load at t is t and so is speed; that of 1 is missing, and is the one before, 0.
    by_lag = [[1, 0, 2, 2, 0, 0, 1, 0], [2, 2, 3, 3, 1, 0, 2, 2], [3, 3, 4, 4, 2, 2, 3, 3]]
    np.testing.assert_allclose(features[:, -8:], by_lag)


def test_window_of_a_virtual_sensor():
    """Lead 0: the load of the same moment, by the speed alone."""
    virtual = dataclasses.replace(PLAIN, cycles=(), inputs=(0,), targets=(1,), leads=(0, 0))
    x = np.stack([np.arange(10.0, 18, 2), -1 + np.arange(4) / 2, np.arange(4)], axis=1).astype(np.float32)
    features, forecast, following = encode_window(x, 3, virtual)
    np.testing.assert_allclose(features, [[0], [1], [2]])
    np.testing.assert_allclose(forecast, [[0], [1], [2]])
    np.testing.assert_allclose(following, [[1, 1], [2, 2], [3, 3]])


def test_features_never_see_what_comes_later():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 3)).astype(np.float32)
    changed = x.copy()
    changed[4:] = 99
    np.testing.assert_array_equal(encode_window(x, 6, PLAIN)[0][:4], encode_window(changed, 6, PLAIN)[0][:4])


def test_statistics_by_stream():
    assert stream_statistics({}, PLAIN)("any") == (None, None)
    learned = dataclasses.replace(PLAIN, readings=5)
    columns = {"load": {"mean": 1.0, "std": 2.0}, "speed": {"mean": 3.0, "std": 4.0}}
    mean, std = stream_statistics({"stream_statistics": {"a": columns}}, learned)("a")
    np.testing.assert_array_equal((mean, std), [[3, 1], [4, 2]])


def test_what_is_usual_of_a_stream_that_repeats_itself_is_what_comes():
    """And a reading that never was before moves it by its share, a period later and at that place only."""
    weekly = dataclasses.replace(PLAIN, targets=(1,), leads=(1, 2), lags=(3,), level=True, usual=0.5)
    assert (weekly.memory, weekly.history) == (2, 2 + 4 * 3)
    x = np.stack([np.zeros(24), -1 + 0.5 * np.tile([0, 1, 2], 8), np.arange(24)], axis=1).astype(np.float32)
    features, forecast, _ = encode_window(x, 22, weekly)
    assert features.shape == (22 - weekly.history, weekly.width)
    np.testing.assert_allclose(features[:, -2:], forecast, atol=1e-6)
    x[16, 1] += 1.5  # three deviations; the level of its own time has risen by one
    moved = encode_window(x, 22, weekly)[0][:, -2:] - features[:, -2:]
    np.testing.assert_allclose(moved[[17 - 14, 18 - 14]], [[0.0, 0.5 * 2], [0.5 * 2, -0.5]], atol=1e-6)
    np.testing.assert_allclose(moved[: 15 - 14], 0, atol=1e-6)
