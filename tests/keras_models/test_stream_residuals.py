"""What of a stream an anomaly score is fitted to."""

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
    return [np.zeros((*features.shape[:2], 2), np.float32)]


def test_the_normal_run_of_every_stream_that_is_long_enough():
    """Not the test part, not the embargo before it; streams of the test part alone have none."""
    long = recorded("a", ["train"] * 20 + ["embargo"] * 3 + ["validation"] * 10 + ["embargo"] * 4 + ["test"] * 9, 1)
    streams = [recorded("0", ["test"] * 50, 2), long, recorded("b", ["train"] * (5 + LEAD), 3)]
    model = SimpleNamespace(predict=zero_forecasts)
    ((residuals,), (readings,)) = training_residuals(model, PLAIN, {}, streams, warmup=5)
    mean, std = np.array(PLAIN.mean), np.array(PLAIN.std)
    expected = ((long.x[5 + LEAD : 33, :2] - mean) / std)[:, list(PLAIN.targets)]
    np.testing.assert_allclose(residuals, expected, rtol=1e-4, atol=1e-5)
