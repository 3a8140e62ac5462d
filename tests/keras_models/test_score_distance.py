"""The distance of two scores, against the loop over time written out."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_models.anomaly_score import AnomalyScore
from keras_models.score_distance import score_distance

WARMUP, WHITENING = 3, ((0.5, 0.1), (0.1, 0.8))


class Forecaster:
    """Of two channels; what it forecasts is the features times `gain`."""

    def __init__(self, gain):
        self.gain = gain

    def predict_on_batch(self, features):
        return [np.asarray(features) * self.gain, None]


def windows():
    rng = np.random.default_rng(1)
    return [rng.normal(1.0, 1.0, (size, 20, 2)).astype(np.float32) for size in (4, 3)]


def batches(parts):
    return [(tf.constant(part), None) for part in parts]


@pytest.mark.parametrize("recentre", [None, 5])
def test_it_is_the_difference_smoothed_and_whitened(recentre):
    score, squares = AnomalyScore(0.2, WHITENING, recentre), []
    for window in np.concatenate(windows()):
        difference = window[WARMUP:] * np.array([0.5, 0.25])
        if recentre:
            difference = difference - difference.mean(axis=0)
        smoothed = np.zeros(2)
        for row in difference:
            smoothed = 0.8 * smoothed + 0.2 * row
            squares.append(np.sum((smoothed @ np.array(WHITENING)) ** 2))
    found = score_distance(
        Forecaster(np.array([1.5, 1.25])), Forecaster(1.0), score, batches(windows()), WARMUP
    )
    assert found == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-5)


def test_equal_forecasts_have_none_and_broken_ones_are_infinitely_far():
    score = AnomalyScore(0.2, WHITENING)
    assert score_distance(Forecaster(2.0), Forecaster(2.0), score, batches(windows()), WARMUP) == 0.0
    assert score_distance(Forecaster(np.nan), Forecaster(2.0), score, batches(windows()), WARMUP) == math.inf
