"""The anomaly score by hand."""

import numpy as np
import pytest

from keras_models.anomaly_score import AnomalyScore, fit_score, load_score, smooth


def test_smooth_by_hand():
    np.testing.assert_allclose(smooth(np.array([[1.0], [1.0], [0.0]]), 0.5), [[0.5], [0.75], [0.375]])
    np.testing.assert_allclose(smooth(np.array([[1.0], [4.0]]), 1.0), [[1], [4]])


def test_score_by_hand():
    score = AnomalyScore(1.0, ((2.0, 0.0), (0.0, 1.0)))
    np.testing.assert_allclose(score.score(np.array([[1.5, 4.0], [0.0, 0.0]])), [5.0, 0.0])


def correlated(count=4000, seed=0):
    """Two channels that move together."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=count)
    return np.stack([common + 0.2 * rng.normal(size=count), 3 * common + 0.6 * rng.normal(size=count)], axis=1)


def test_threshold_is_the_quantile_of_training_scores_times_the_factor():
    streams = [correlated(seed=1), correlated(500, seed=2)]
    score = fit_score(streams, ewma=0.3, quantile=0.99, factor=1.5)
    scores = np.concatenate([score.score(stream) for stream in streams])
    assert np.quantile(scores, 0.99) == pytest.approx(1 / 1.5)


def test_it_is_hotellings_distance():
    """Without smoothing: sqrt(r' C^-1 r), up to one factor and the small ridge."""
    residuals = correlated()
    score = fit_score([residuals], ewma=1.0, quantile=0.99, factor=1.0).score(residuals)
    inverse = np.linalg.inv(residuals.T @ residuals / len(residuals))
    distance = np.sqrt(np.einsum("ti,ij,tj->t", residuals, inverse, residuals))
    np.testing.assert_allclose(score / distance, np.median(score / distance), rtol=0.05)


def test_channels_that_part_are_an_anomaly():
    """Each within its own spread, together impossible: what a threshold per channel cannot see."""
    score = fit_score([correlated()], ewma=1.0, quantile=0.99, factor=1.0)
    together, apart = score.score(np.array([[1.0, 3.0], [1.0, -3.0]]))
    assert together < 1 < apart


def test_channels_that_moved_as_one_do_not_break_it():
    common = np.random.default_rng(0).normal(size=(500, 1))
    score = fit_score([np.concatenate([common, common], axis=1)], ewma=0.5, quantile=0.99, factor=1.0)
    assert np.isfinite(score.whitening).all()


def test_saved_and_loaded(tmp_path):
    score = fit_score([correlated(100)], 0.3, 0.9, 1.1)
    score.save(tmp_path / "score.json")
    assert load_score(tmp_path / "score.json") == score
