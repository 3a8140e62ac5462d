"""Quantiles shifted until they hold on the validation part."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from plain_encoding import PLAIN

from keras_models.forecast_intervals import fit_intervals, save_intervals, with_intervals
from pipeline.user_error import UserError

QUANTILES = (0.1, 0.95)
ENCODING = dataclasses.replace(PLAIN, quantiles=QUANTILES)
WARMUP = 2


class FarOff:
    """Heads that are wrong by much, and not everywhere by as much: forecast, following, both quantiles."""

    def predict_on_batch(self, features):
        centre = features.numpy()[:, :, :4]
        return [centre, centre[..., :2], centre + 7.0, centre - [0, 1, 2, 3]]


def batches(seed=0):
    """Truth is the features with noise of another size for each lead and target; warm-up steps say nonsense."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(50, 42, 6)).astype(np.float32)
    truth = features[:, :, :4] + rng.normal(size=(50, 42, 4)) * [0.1, 1, 2, 5]
    truth[:, :WARMUP] = 1e6
    truth[3, 7] = np.nan
    return tf.data.Dataset.from_tensor_slices((features, (truth.astype(np.float32),))).batch(16)


def test_each_quantile_of_each_lead_and_target_holds():
    fitted = fit_intervals(FarOff(), ENCODING, batches(), WARMUP)
    truth = np.concatenate([truth[0].numpy() for _, truth in batches()])[:, WARMUP:]
    heads = np.concatenate([np.stack(FarOff().predict_on_batch(features)[2:]) for features, _ in batches()], axis=1)
    for quantile, head, shift in zip(QUANTILES, heads[:, :, WARMUP:], fitted.shifts, strict=True):
        below = np.nanmean(np.where(np.isnan(truth), np.nan, truth <= head + np.float32(shift)), axis=(0, 1))
        np.testing.assert_allclose(below, quantile, atol=0.001)


def test_they_are_kept_beside_the_model(tmp_path):
    fitted = fit_intervals(FarOff(), ENCODING, batches(), WARMUP)
    save_intervals(fitted, tmp_path / "intervals.json")
    assert with_intervals(ENCODING, tmp_path / "intervals.json") == fitted
    assert with_intervals(PLAIN, tmp_path / "absent.json") == PLAIN


@pytest.mark.parametrize("content", [None, "{}", "[1]", '{"shifts": [[1, 2, 3, 4]]}', '{"shifts": [["a"], 1]}', "{",
                                     json.dumps({"shifts": [[1, 2, 3, float("nan")]] * 2})])  # fmt: skip
def test_damaged_ones_are_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "intervals.json").write_text(content)
    with pytest.raises(UserError, match="intervals.json: missing or damaged .*edgernn train"):
        with_intervals(ENCODING, tmp_path / "intervals.json")
