"""The distance of two scores, against the loop over time written out."""

import math

import numpy as np
import pytest
import tensorflow as tf

from keras_models.anomaly_score import AnomalyScore
from keras_models.score_distance import score_distance

WARMUP, WHITENING = 3, ((0.5, 0.1), (0.1, 0.8))


class Forecaster:
    """Of two channels; what it forecasts is the features times `gain`; it says `trust` of all of them or nothing."""

    def __init__(self, gain, trust=None):
        self.gain, self.trust = gain, trust

    def predict_on_batch(self, features):
        features = np.asarray(features)
        trust = [] if self.trust is None else [np.full_like(features, self.trust)]
        return [features * self.gain, features, *trust]


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


@pytest.mark.parametrize("trust", [None, 0.7])
def test_half_of_the_forecast_taken_off_is_half_of_the_difference(trust):
    targets = [(np.zeros_like(part),) for part in windows()]
    networks = Forecaster(1.5, trust), Forecaster(1.0, trust)
    data = list(zip(map(tf.constant, windows()), targets, strict=True))
    whole, half = (
        score_distance(*networks, AnomalyScore(0.2, WHITENING, reliance=reliance), data, WARMUP)
        for reliance in (1.0, 0.5)
    )
    assert half == pytest.approx(whole / 2, rel=1e-6)


def test_trust_weights_what_enters_the_score():
    """Two networks that trust otherwise differ by that much of the residuals; what is not known is no residual."""
    score, squares = AnomalyScore(0.2, WHITENING), []
    rng, parts, targets = np.random.default_rng(2), windows(), []
    for part in parts:
        truth = rng.normal(size=part.shape).astype(np.float32)
        truth[:, 6] = np.nan
        targets.append(truth)
        for window, readings in zip(part, truth, strict=True):
            smoothed = np.zeros(2)
            for row, reading in zip(window[WARMUP:], readings[WARMUP:], strict=True):
                off = 0.25 * (reading - 1.5 * row) - 0.75 * (reading - row) if np.isfinite(reading[0]) else np.zeros(2)
                smoothed = 0.8 * smoothed + 0.2 * off
                squares.append(np.sum((smoothed @ np.array(WHITENING)) ** 2))
    given = [(tf.constant(part), (tf.constant(truth),)) for part, truth in zip(parts, targets, strict=True)]
    found = score_distance(Forecaster(1.5, 0.25), Forecaster(1.0, 0.75), score, given, WARMUP)
    assert found == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-5)
    assert score_distance(Forecaster(np.nan, 0.5), Forecaster(1.0, 0.5), score, given, WARMUP) == math.inf


def test_equal_forecasts_have_none_and_broken_ones_are_infinitely_far():
    score = AnomalyScore(0.2, WHITENING)
    assert score_distance(Forecaster(2.0), Forecaster(2.0), score, batches(windows()), WARMUP) == 0.0
    assert score_distance(Forecaster(np.nan), Forecaster(2.0), score, batches(windows()), WARMUP) == math.inf
