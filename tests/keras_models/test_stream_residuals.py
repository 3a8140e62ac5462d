"""What of a stream an anomaly score is fitted to."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from plain_encoding import PLAIN

from keras_models.stream_residuals import training_residuals
from pipeline.recorded_streams import RecordedStream

LEAD = PLAIN.leads[0]


def recorded(name, parts, seed):
    bins = len(parts)
    x = np.random.default_rng(seed).normal((*PLAIN.mean, 12), (*PLAIN.std, 1), size=(bins, 3)).astype(np.float32)
    nothing = np.arange(bins)
    return RecordedStream(name, 0, nothing, np.array(parts), nothing > -1, x, {})


def zero_forecasts(features, verbose):
    """A model that forecasts the mean: its residuals are the standardized readings."""
    return [np.zeros((*features.shape[:2], 2), np.float32)] * 2


def test_the_normal_run_of_every_stream_that_is_long_enough():
    """Not the test part, not the embargo before it; streams of the test part alone have none."""
    long = recorded("a", ["train"] * 20 + ["embargo"] * 3 + ["validation"] * 10 + ["embargo"] * 4 + ["test"] * 9, 1)
    streams = [recorded("0", ["test"] * 50, 2), long, recorded("b", ["train"] * (5 + LEAD), 3)]
    model = SimpleNamespace(predict=zero_forecasts)
    (residuals,), (readings,), trusts = training_residuals(model, PLAIN, {}, streams, warmup=5)
    assert trusts is None
    mean, std = np.array(PLAIN.mean), np.array(PLAIN.std)
    expected = ((long.x[5 + LEAD : 33, :2] - mean) / std)[:, list(PLAIN.targets)]
    np.testing.assert_allclose(residuals, expected, rtol=1e-4, atol=1e-5)


def test_residuals_of_forecasts_made_of_a_silent_input_are_not_known():
    """Lost at step 12: no residual of what was forecast from then on, until less is left than one step weighs."""
    encoding = replace(PLAIN, inputs=(0,), targets=(1,))
    stream = recorded("a", ["train"] * 40, 1)
    stream.x[12:, 0] = np.nan
    model = SimpleNamespace(predict=zero_forecasts)
    (residuals,), _, _ = training_residuals(model, encoding, {}, [stream], warmup=5, ewma=0.3)
    silent = np.flatnonzero(np.isnan(residuals[:, 0])) + 5  # the step of the forecast
    assert silent.tolist() == list(range(12, 16)), "0.7^3 is .34, 0.7^4 is .24"


def test_trust_stands_beside_the_residual_of_its_forecast():
    """The model trusts each step by its number: that of a residual is of the forecast made `lead` steps before."""
    stream = recorded("a", ["train"] * 25, 1)

    def predict(features, verbose):
        steps = np.tile(np.arange(features.shape[1], dtype=np.float32)[None, :, None], (1, 1, 2))
        return [0 * steps, steps, steps]

    (residuals,), _, (trust,) = training_residuals(SimpleNamespace(predict=predict), PLAIN, {}, [stream], warmup=5)
    assert trust.shape == residuals.shape
    np.testing.assert_array_equal(trust[:, 0], np.arange(5, 25 - LEAD))
