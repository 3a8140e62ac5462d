"""No thread of tf.data times what training reads, and what it reads stays the same."""

import json

import tensorflow as tf

from keras_models.feature_encoding import load_encoding
from keras_models.shard_dataset import window_batches
from keras_models.untuned_data import untuned


def test_the_same_elements_and_what_is_made_of_them_is_not_timed_either():
    doubled = untuned(tf.data.Dataset.range(3)).map(lambda n: 2 * n)
    assert list(doubled.as_numpy_iterator()) == [0, 2, 4]
    assert doubled.options().autotune.enabled is False


def test_windows_are_not_timed(built_forecast):
    folder = built_forecast.folder
    dataset = json.loads((folder / "dataset/dataset.json").read_text())
    encoding = load_encoding(folder / "model/encoding.json")
    windows = window_batches(folder / "dataset", "train", dataset, encoding, batch=4)
    assert windows.options().autotune.enabled is False
