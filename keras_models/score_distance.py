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
    """Root mean square, over all windows behind their warm-up, of what the two forecasts differ by, smoothed and
    whitened as `score` does; 1.0 is as far as the alarm. Infinite where a forecast is no number.

    Args:
        windows: batches (features (batch, timesteps, features), ..).
    """
    squares = []
    for features, *_ in windows:
        one, other = (np.asarray(net.predict_on_batch(features)[0])[:, warmup:] for net in (model, reference))
        difference = np.moveaxis(one - other, 1, 0)  # (timesteps, batch, channels)
        if score.recentre:  # a difference that stays is learned as a part of the usual residual
            difference = difference - difference.mean(axis=0)
        white = smooth(difference, score.ewma) @ np.asarray(score.whitening)
        squares.append(np.square(white).sum(axis=-1).mean(axis=0))
    distance = float(np.sqrt(np.mean(np.concatenate(squares))))
    return distance if np.isfinite(distance) else np.inf
