"""A trained forecaster where the field is not like its training: levels never seen, a clock that jumps, a dead channel.

Documented: forecasts stay finite and in order whatever comes, and what happened is forgotten once it has left the lags.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_models import quantize_aware
from keras_models.feature_encoding import FeatureEncoding, fill_missing
from keras_models.fit_model import fit_model
from keras_models.forecast_intervals import fit_intervals
from keras_models.forecaster import build_forecaster
from keras_models.qat_model import calibrate
from keras_models.shard_dataset import encode_window
from pipeline.scenario import ModelSettings
from tflite import convert
from tflite.runtimes import load_model

DAY, LENGTH, QUANTILES = 24, 90, (0.1, 0.9)
ENCODING = FeatureEncoding(
    columns=("rides", "warmth", "hour"), units=("rides/h", "degC", "h"), mean=(100.0, 15.0), std=(45.0, 7.0),
    readings=None, cycles=((0, 24.0), (0, 12.0)), advance=(1.0,), targets=(0,), leads=(1, 6), non_negative=True,
    lags=(DAY,), level=True, quantiles=QUANTILES)  # fmt: skip
SETTINGS = ModelSettings(cell="gru", units=8, epochs=1, batch=1, learning_rate=1.0, patience=1, hidden=12)
SETTLED = 2 * DAY  # steps after which nothing of what happened may be left: the lag, and as long again for the state


def rows(steps, seed):
    rng, hours = np.random.default_rng(seed), np.arange(steps)
    warmth = 15 + 7 * np.sin(hours / 97) + rng.normal(0, 1, steps)
    rides = (100 + 60 * np.sin(hours / DAY * 2 * np.pi)) * (1 + 0.02 * (warmth - 15)) + rng.normal(0, 5, steps)
    return np.stack([np.maximum(rides, 0), warmth, hours % DAY], axis=1).astype(np.float32)


def windows(seed, number):
    x = rows(number * 12 + LENGTH + 6, seed)
    cut = [encode_window(x[first : first + LENGTH + 6], LENGTH, ENCODING) for first in range(0, number * 12, 12)]
    features, forecast, following = map(np.stack, zip(*cut, strict=True))
    return tf.data.Dataset.from_tensor_slices((features, (forecast, following, forecast, forecast))).batch(16)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """int8, calibrated: the file alone."""
    keras.utils.set_random_seed(2)
    model, train, validation = build_forecaster(SETTINGS, ENCODING), windows(1, 96), windows(2, 24)
    options = {"epochs": 25, "rate": 0.02, "patience": 25, "warmup": 6, "weight_decay": 0.0, "quantiles": QUANTILES}
    fit_model(model, train, validation, **options, logs=tmp_path_factory.mktemp("logs"))
    qat = quantize_aware(model, "int8")
    calibrate(qat, [features.numpy() for features, _ in train])
    return convert(qat, encoding=fit_intervals(qat, ENCODING, validation, 6)).tflite


def run(model, xs):
    """(steps, 3, leads): forecast, low, high; checked to be finite, in order, and not negative."""
    runtime = load_model(model, "tflm")
    outputs = np.array([list(runtime.step(x).values()) for x in xs])
    assert np.isfinite(outputs).all() and (outputs >= 0).all()
    assert (outputs[:, 1] <= outputs[:, 0]).all() and (outputs[:, 0] <= outputs[:, 2]).all()
    return outputs


def truths(xs):
    return np.stack([xs[lead : len(xs) - 6 + lead, 0] for lead in range(1, 7)], axis=1)


def error(outputs, xs):
    return np.abs(outputs[:-6, 0] - truths(xs)) / 45.0


def test_it_learned(shipped):
    xs = rows(400, 3)
    outputs = run(shipped, xs)
    assert error(outputs, xs)[SETTLED:].mean() < 0.3
    held = (outputs[:-6, 1] <= truths(xs)) & (truths(xs) <= outputs[:-6, 2])
    assert held[SETTLED:].mean() == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("level", [0.0, 100_000.0])
def test_a_day_on_a_level_never_seen_is_forgotten(shipped, level):
    """A strike, or everybody at once: the day after the lag has passed it, forecasts are as if it had never been."""
    calm = rows(400, 3)
    strike = calm.copy()
    strike[150 : 150 + DAY, 0] = level
    undisturbed, outputs = run(shipped, calm), run(shipped, strike)
    back = 150 + DAY + SETTLED
    assert np.abs(outputs[160:170, 0] - undisturbed[160:170, 0]).max() > 20, "it is not ignored either"
    assert np.abs(outputs[back:, 0] - undisturbed[back:, 0]).mean() < 0.05 * 45
    assert error(outputs, strike)[back:].mean() < 0.3


def test_a_level_that_stays_is_followed(shipped):
    """Demand grows by half overnight and stays: a day later the forecasts are on the new level."""
    xs = rows(400, 3)
    xs[150:, 0] *= 1.5
    outputs = run(shipped, xs)[SETTLED:-6, 0]
    grown = slice(150 + 2 * DAY - SETTLED, None)
    assert outputs[grown].mean() == pytest.approx(truths(xs)[SETTLED:][grown].mean(), rel=0.1)


@pytest.mark.parametrize("jump", [7.0, -1.0, np.nan, 1e6])
def test_a_clock_that_jumps_is_forgotten_once_it_is_set(shipped, jump):
    """Hours wrong for a day, by seven, by one as in a change to summer time, missing, or nonsense."""
    calm = rows(400, 3)
    wrong = calm.copy()
    wrong[150 : 150 + DAY, 2] = (wrong[150 : 150 + DAY, 2] + jump) % 24 if abs(jump) < 24 else jump
    undisturbed, outputs = run(shipped, calm), run(shipped, wrong)
    back = 150 + DAY + SETTLED
    assert np.abs(outputs[back:, 0] - undisturbed[back:, 0]).mean() < 0.05 * 45
    if np.isnan(jump):  # the model's own clock runs on
        np.testing.assert_allclose(outputs, undisturbed, atol=3.0)


def test_a_clock_that_stays_wrong_costs_but_does_not_break(shipped):
    xs = rows(400, 3)
    xs[150:, 2] = (xs[150:, 2] + 3) % 24
    errors = error(run(shipped, xs), xs)
    assert errors[SETTLED:140].mean() < errors[200:].mean() < 2.0


@pytest.mark.parametrize("channel", [0, 1])
def test_a_channel_missing_in_the_field(shipped, channel):
    """It is replaced by the model's own forecast of it: of the target for two days, of the weather for good."""
    xs = rows(400, 3)
    dead = xs.copy()
    dead[150 : 150 + SETTLED if channel == 0 else None, channel] = np.nan
    outputs = run(shipped, dead)
    assert error(outputs, xs)[SETTLED:].mean() < 0.8
    if channel == 0:
        assert error(outputs, xs)[150 + 2 * SETTLED :].mean() < 0.3


def test_nothing_ever_measured(shipped):
    xs = np.full((100, 3), np.nan, np.float32)
    assert run(shipped, xs)[:, 0].max() < 1000
    assert fill_missing(ENCODING.encode(xs)).shape == (100, 6)
