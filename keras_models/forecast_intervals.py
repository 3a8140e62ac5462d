"""Quantiles that hold what they promise: each shifted until the wanted share of the validation part lies below it.

Conformalized quantile regression (Romano, Patterson and Candes 2019), for each quantile, lead and target by itself.
"""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_models.feature_encoding import FeatureEncoding
from pipeline.atomic_write import write_json
from pipeline.user_error import UserError


def fit_intervals(
    model: keras.Model, encoding: FeatureEncoding, validation: tf.data.Dataset, warmup: int
) -> FeatureEncoding:
    """The encoding with the shifts of `model` by its validation batches, the first `warmup` steps of each left out."""
    truths, forecasts = [], []
    for features, truth in validation:
        truths.append(truth[0].numpy()[:, warmup:].reshape(-1, encoding.outputs))
        outputs = model.predict_on_batch(features)[2:]
        forecasts.append([output[:, warmup:].reshape(-1, encoding.outputs) for output in outputs])
    truth = np.concatenate(truths)
    shifts = []
    for quantile, parts in zip(encoding.quantiles, zip(*forecasts, strict=True), strict=True):
        shift = np.nanquantile(truth - np.concatenate(parts), quantile, axis=0)
        shifts.append(tuple(float(one) for one in shift))
    return replace(encoding, shifts=tuple(shifts))


def save_intervals(encoding: FeatureEncoding, path: Path) -> None:
    """What `with_intervals` reads."""
    write_json(path, {"shifts": encoding.shifts})


def with_intervals(encoding: FeatureEncoding, path: Path) -> FeatureEncoding:
    """The encoding with the shifts saved at `path`; as it is where it has no quantiles.

    Raises:
        UserError: they are missing, damaged, or of another model.
    """
    if not encoding.quantiles:
        return encoding
    try:
        shifts = np.array(json.loads(Path(path).read_text())["shifts"], np.float64)
        if shifts.shape != (len(encoding.quantiles), encoding.outputs) or not np.isfinite(shifts).all():
            raise ValueError(f"shifts of shape {shifts.shape}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); make it with `edgernn train` and `quantize`") from error
    return replace(encoding, shifts=tuple(map(tuple, shifts.tolist())))
