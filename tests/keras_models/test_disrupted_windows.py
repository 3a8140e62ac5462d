"""Windows with a disruption: the targets a factor off for a while, all else as it was."""

from dataclasses import replace

import numpy as np
import pytest
from plain_encoding import PLAIN

from keras_models.disrupted_windows import FACTORS, LONGEST_RAMP, SHORTEST, disrupted
from keras_models.feature_encoding import fit_encoding
from keras_models.shard_dataset import training_batches
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import load_scenario

ROWS, DRAWS = 400, 300
LAGGED = replace(PLAIN, lags=(50, 100), targets=(1,))
READINGS = np.random.default_rng(0).uniform(1, 2, (ROWS, 3)).astype("float32")


def factors(encoding, x=READINGS):
    """(draws, rows) of the load, by what it was."""
    off = [disrupted(x, encoding, np.random.default_rng(seed)) for seed in range(DRAWS)]
    for one in off:
        np.testing.assert_array_equal(one[:, [0, 2]], x[:, [0, 2]])  # no target, and the calendar
    return np.stack([one[:, 1] / x[:, 1] for one in off])


def test_one_factor_for_a_while():
    found = factors(LAGGED)
    touched = np.abs(found - 1) > 1e-6
    runs = (np.diff(np.pad(touched, ((0, 0), (1, 1))).astype(int)) == 1).sum(axis=1)
    assert runs.max() == 1 and (runs == 1).mean() > 0.8  # the others ended before the first row
    assert touched.sum(axis=1).max() <= LAGGED.memory and touched.any(axis=0).all()
    assert found.min() >= FACTORS[0] and found.max() <= FACTORS[1] + 1e-6
    assert found.min() < FACTORS[0] + 0.1 and found.max() > FACTORS[1] - 0.1
    assert np.abs(np.diff(found)).max() <= (1 - FACTORS[0]) + 1e-6
    slow = np.abs(np.diff(found)).max(axis=1) < 2 * (1 - FACTORS[0]) / LONGEST_RAMP
    assert 0 < slow.mean() < 1  # at once, and by and by
    assert np.median(touched.sum(axis=1)[runs == 1]) == pytest.approx(np.sqrt(SHORTEST * LAGGED.memory), rel=0.3)


def test_it_touches_what_the_network_is_fed():
    """With `usual`, most of a window only teaches what is usual: rows before the lags stay as they were, but for the
    beginning of a long one."""
    usual = replace(LAGGED, level=True, usual=0.5, lags=(20,), leads=(1, 2))
    touched = np.abs(factors(usual) - 1) > 1e-6
    first = usual.history - usual.memory
    assert (usual.memory, first) == (19, 4 * 20), "or this test says nothing"
    assert not touched[:, : first - usual.memory // 2 - 1].any() and touched[:, first:].any(axis=0).all()


def test_a_missing_reading_stays_missing():
    x = READINGS.copy()
    x[::3, 1] = np.nan
    off = disrupted(x, LAGGED, np.random.default_rng(0))
    np.testing.assert_array_equal(np.isnan(off), np.isnan(x))


@pytest.fixture(scope="module")
def batches(built_forecast):
    """share of disrupted windows, seed -> training and validation batches."""
    scenario = load_scenario(built_forecast.scenario)
    folder, dataset = read_dataset(scenario, built_forecast.build)
    encoding = fit_encoding(scenario, dataset)
    return lambda share, seed=3: training_batches(
        folder, dataset, encoding, replace(scenario.model, disruptions=share), seed
    )


def features(part):
    return np.concatenate([batch[0].numpy() for batch in part])


def test_other_windows_each_epoch_and_the_same_ones_again(batches):
    train, _ = batches(0.5)
    first, second = features(train), features(train)
    again, _ = batches(0.5)
    assert (first != second).any() and len(train) == len(batches(0.0)[0])
    np.testing.assert_array_equal(features(again), first)
    np.testing.assert_array_equal(features(again), second)


def test_a_share_of_the_training_windows_and_none_of_those_that_judge(batches):
    sound, judged = (features(part) for part in batches(0.0))
    known = {window.tobytes() for window in sound}
    for share, least, most in ((0.5, 0.3, 0.6), (1.0, 0.7, 1.0)):
        train, validation = batches(share)
        np.testing.assert_array_equal(features(validation), judged)
        off = [window.tobytes() not in known for window in features(train)]
        assert least <= np.mean(off) <= most
