"""What models are chosen by: one figure of the validation part, lower is better."""

import keras
import numpy as np
import tensorflow as tf


def validation_error(metric: str, model: keras.Model, batches: tf.data.Dataset, warmup: int) -> float:
    """"loss": what the model was compiled to lower; "rmse": of its first output, the forecast, in standard deviations.

    Args:
        batches: (features, (forecast, following)), unknown targets NaN.
        warmup: steps at the beginning of a window that do not count.

    Raises:
        ValueError: "rmse" of an output that is no forecast of the targets, one by one.
    """
    if metric == "loss":
        return float(model.evaluate(batches, verbose=0, return_dict=True)["loss"])
    squares = count = 0.0
    for features, (truth, *_) in batches:
        truth, forecast = truth.numpy()[:, warmup:], model.predict_on_batch(features)[0][:, warmup:]
        if truth.shape != forecast.shape:
            raise ValueError(f"rmse: expected an output of shape {truth.shape} as the targets, got {forecast.shape}")
        known = np.isfinite(truth)
        squares += float(np.square(np.where(known, truth - forecast, 0.0), dtype=np.float64).sum())
        count += float(known.sum())
    return float(np.sqrt(squares / count)) if count else float("nan")
