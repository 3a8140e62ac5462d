"""Windows with a sensor that lies: one channel, from one step on, by one constant; all else as it was."""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from keras_models.disturbed_windows import disturbed, with_disturbed
from keras_models.feature_encoding import CLIP
from keras_models.finetune_qat import lessons

WINDOWS, STEPS, WIDTH, CHANNELS = 200, 12, 5, 3
FEATURES = np.random.default_rng(0).normal(size=(WINDOWS, STEPS, WIDTH)).astype("float32")


def test_one_channel_from_one_step_on():
    off = disturbed(tf.constant(FEATURES), CHANNELS, tf.constant([7, 0])).numpy() - FEATURES
    channels, begins, sizes = [], [], []
    for window in off:
        (channel,) = np.flatnonzero(window.any(axis=0))
        begin = np.flatnonzero(window[:, channel])[0]
        inside = np.abs(window[begin:, channel] + 0) < CLIP
        assert not window[:begin].any() and inside.any()
        channels.append(channel), begins.append(begin), sizes.append(np.median(window[begin:, channel]))
    assert set(channels) == set(range(CHANNELS))  # never one behind the readings
    assert set(begins) == set(range(STEPS))
    assert min(sizes) < -CLIP / 2 and max(sizes) > CLIP / 2


def test_by_a_constant_within_what_is_clipped():
    off = disturbed(tf.zeros((WINDOWS, STEPS, WIDTH)), CHANNELS, tf.constant([7, 0])).numpy()
    assert all(len(np.unique(window[window != 0])) == 1 for window in off)
    wild = disturbed(tf.constant(FEATURES * 3), CHANNELS, tf.constant([7, 0])).numpy()
    assert np.abs(wild[wild != FEATURES * 3]).max() <= CLIP


def test_every_window_twice_with_its_targets():
    targets = FEATURES[..., :2]
    batches = tf.data.Dataset.from_tensor_slices((FEATURES, (targets, targets))).batch(64)
    once = [(features.numpy(), [part.numpy() for part in parts]) for features, parts in batches]
    twice = [(features.numpy(), [part.numpy() for part in parts]) for features, parts in with_disturbed(batches, 3, 7)]
    assert len(once) == len(twice) == batches.cardinality() == with_disturbed(batches, 3, 7).cardinality()
    for (features, parts), (both, doubled) in zip(once, twice, strict=True):
        first, second = np.split(both, 2)
        np.testing.assert_array_equal(first, features)
        assert (first != second).any(axis=(1, 2)).all()
        for part, double in zip(parts, doubled, strict=True):
            np.testing.assert_array_equal(double, np.concatenate([part, part]))


def test_the_same_every_time_but_not_in_every_batch():
    same = tf.data.Dataset.from_tensor_slices((np.zeros((8, 6, 2), np.float32), np.zeros((8, 6)))).batch(4)
    one, other = ([features.numpy() for features, _ in with_disturbed(same, 2, 7)] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (one[0] != one[1]).any()


def test_only_a_detector_that_reads_what_it_watches_is_taught_by_them():
    batches = [tf.data.Dataset.from_tensor_slices((FEATURES, FEATURES)).batch(64)] * 2
    apart, together = SimpleNamespace(inputs=("speed",)), SimpleNamespace(inputs=())
    scenario = SimpleNamespace(anomaly=None, forecast=together, measured=("speed", "coolant"), seed=7)
    assert all(one is other for one, other in zip(lessons(scenario, batches), batches, strict=True))
    scenario.anomaly, scenario.forecast = object(), apart
    assert all(one is other for one, other in zip(lessons(scenario, batches), batches, strict=True))
    scenario.forecast = together
    for part in lessons(scenario, batches):
        off = np.concatenate([np.subtract(*np.split(features.numpy(), 2)) for features, _ in part])
        assert off[..., :2].any(axis=(0, 1)).all() and not off[..., 2:].any()  # the readings, nothing behind
