"""Ridge regression and neighbours against series whose future is known, and blind to the test part."""

import numpy as np
import pytest

from tflite.learned_rivals import learned_rivals

HOUR = 3600.0
LEADS = (1, 3)


def parts(steps, train=0.6, validation=0.8):
    place = np.arange(steps) / steps
    return np.where(place < train, "train", np.where(place < validation, "validation", "test"))


def series(steps=1500, seed=0):
    """Two days that follow each other in no order, told apart by their first hours."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(rng.integers(0, 2, steps // 24 + 1), 24)[:steps]
    hours = np.arange(steps) % 24
    days = np.where(kinds, np.sin(hours / 24 * 2 * np.pi), np.cos(hours / 12 * 2 * np.pi))
    return (100 + 50 * days + rng.normal(0, 0.5, steps)).astype(np.float32)


def test_ridge_learns_a_recurrence():
    """x(t + 1) = 1.8 x(t) - 0.95 x(t - 1) + noise: its best forecast one step ahead errs by the noise alone."""
    rng, x = np.random.default_rng(1), np.zeros(3000)
    noise = rng.normal(0, 1, 3000)
    for t in range(2, 3000):
        x[t] = 1.8 * x[t - 1] - 0.95 * x[t - 2] + noise[t]
    found = learned_rivals(x.astype(np.float32), parts(3000), (1, 1), HOUR)["ridge regression on lags"][:, 0]
    error = x[2401:] - found[2400:-1]
    assert np.std(error) == pytest.approx(np.std(noise[2401:]), rel=0.1)
    assert np.isnan(found[:2400]).all()


def test_neighbours_recognize_a_day():
    x = series()
    found = learned_rivals(x, parts(len(x)), LEADS, HOUR)["nearest neighbours"]
    morning = np.flatnonzero((parts(len(x)) == "test") & (np.arange(len(x)) % 24 == 12))[:-1]
    errors = np.abs(found[morning] - np.stack([x[morning + lead] for lead in (1, 2, 3)], axis=1))
    assert errors.max() < 2.0


def test_a_rival_never_sees_what_comes_later():
    x = series()
    changed, now = x.copy(), 1350
    changed[now + 1 :] += 40
    before, after = (learned_rivals(one, parts(len(x)), LEADS, HOUR) for one in (x, changed))
    assert set(before) == {"ridge regression on lags", "nearest neighbours"}
    for name in before:
        np.testing.assert_array_equal(before[name][: now + 1], after[name][: now + 1])
        assert not np.array_equal(before[name][now + 1 :], after[name][now + 1 :])
        assert np.isfinite(before[name][1200:]).all()


def test_missing_readings_and_a_short_past():
    x = series()
    x[::17] = np.nan
    assert all(np.isfinite(one[1200:]).all() for one in learned_rivals(x, parts(len(x)), LEADS, HOUR).values())
    assert learned_rivals(x[:150], parts(150), LEADS, HOUR) == {}
    assert learned_rivals(x, np.full(len(x), "test"), LEADS, HOUR) == {}
    assert learned_rivals(np.full(900, np.nan, np.float32), parts(900), LEADS, HOUR) == {}
