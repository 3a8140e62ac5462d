"""From readings to features and back, by hand."""

import dataclasses

import numpy as np
import pytest
from plain_encoding import PLAIN

from keras_models.feature_encoding import load_encoding


def test_widths():
    assert (PLAIN.measured, PLAIN.width, PLAIN.lead_count) == (2, 6, 2)


def test_encode_by_hand():
    features = PLAIN.encode(np.array([[14.0, -1.5, 6.0], [10.0, -1.0, 0.0]], np.float32))
    np.testing.assert_allclose(features, [[2, -1, 1, 0, 0, -1], [0, 0, 0, 1, 0, 1]], atol=1e-6)
    assert features.dtype == np.float32


def test_far_readings_are_clipped_and_missing_ones_stay_missing():
    features = PLAIN.encode(np.array([[1e9, -1e9, 0.0], [np.nan, 0.0, 0.0]], np.float32))
    np.testing.assert_array_equal(features[0, :2], [5, -5])
    assert np.isnan(features[1, 0]) and features[1, 1] == 2


def test_statistics_of_a_stream_and_their_floor():
    readings = np.array([[3.0, 3.0]], np.float32)
    np.testing.assert_allclose(PLAIN.standardize(readings, np.array([1.0, 1.0]), np.array([4.0, 0.1])), [[0.5, 4.0]])


def test_decode_by_hand():
    """Lead after lead, each with every target in the order of `targets`: load, speed, load, speed."""
    real = PLAIN.decode(np.array([1.0, 1.0, -2.0, -6.0]))
    np.testing.assert_allclose(real, [[-0.5, 12.0], [-2.0, -2.0]])
    clamped = dataclasses.replace(PLAIN, non_negative=True).decode(np.array([1.0, 1.0, -2.0, -6.0]))
    np.testing.assert_allclose(clamped, [[0.0, 12.0], [0.0, 0.0]])


@pytest.mark.parametrize("encoding", [PLAIN, dataclasses.replace(PLAIN, readings=60, cycles=(), advance=())])
def test_saved_and_loaded(tmp_path, encoding):
    encoding.save(tmp_path / "encoding.json")
    assert load_encoding(tmp_path / "encoding.json") == encoding
