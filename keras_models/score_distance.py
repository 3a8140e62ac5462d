"""How far a quantized forecaster moves the anomaly score from where the float model has it.

A forecast loss does not say: it sums over channels what the score whitens, and over time what the score smooths away.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_models.anomaly_score import AnomalyScore, smooth


def score_distance(
    model: keras.Model, reference: keras.Model, score: AnomalyScore, windows: tf.data.Dataset, warmup: int
) -> float:
    """Root mean square, over all windows behind their warm-up, of what the residuals of the two differ by, smoothed and
    whitened as `score` does; 1.0 is as far as the alarm. Infinite where a forecast is no number.

    Args:
        windows: batches (features (batch, timesteps, features), targets), of which the first are those of the forecast.
    """
    squares = []
    for features, targets in windows:
        one, other = (
            _residuals(net.predict_on_batch(features), targets, score.reliance)[:, warmup:]
            for net in (model, reference)
        )
        difference = np.moveaxis(one - other, 1, 0)  # (timesteps, batch, channels)
        if score.recentre:  # a difference that stays is learned as a part of the usual residual
            difference = difference - difference.mean(axis=0)
        white = smooth(difference, score.ewma) @ np.asarray(score.whitening)
        squares.append(np.square(white).sum(axis=-1).mean(axis=0))
    distance = float(np.sqrt(np.mean(np.concatenate(squares))))
    return distance if np.isfinite(distance) else np.inf


def _residuals(outputs: list, targets: tuple, reliance: float) -> np.ndarray:
    """What enters the score, but for what is the same with every network: the readings where no trust weights them."""
    forecast, _, *trust = map(np.asarray, outputs)
    forecast = reliance * forecast
    if not trust:
        return -forecast
    truth = np.asarray(targets[0])
    return np.where(np.isfinite(truth), trust[0] * (truth - forecast), 0.0)
