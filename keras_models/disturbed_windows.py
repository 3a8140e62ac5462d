"""Windows in which a sensor lies: what a detector is there for, and what its training data has none of.

A fine-tuning that sees sound windows only gives up what the network says of all others, where no loss tells.
"""

import tensorflow as tf

from keras_models.feature_encoding import CLIP


def with_disturbed(batches: tf.data.Dataset, channels: int, seed: int) -> tf.data.Dataset:
    """Every batch with each of its windows twice: as it is, and `disturbed`; the targets stay as they are.

    Args:
        batches: (features (batch, timesteps, features), targets), the first `channels` features standardized readings.
    """

    def both(number, batch):
        features, targets = batch
        off = disturbed(features, channels, tf.stack([tf.constant(seed, tf.int64), number]))
        return tf.concat([features, off], 0), tf.nest.map_structure(lambda part: tf.concat([part, part], 0), targets)

    return batches.enumerate().map(both)


def disturbed(features: tf.Tensor, channels: int, seed: tf.Tensor) -> tf.Tensor:
    """From a random step of each window on one of its channels is off by a constant, up to what is clipped.

    Args:
        seed: (2,) integers; the same ones disturb in the same way.
    """
    windows, steps, width = tf.unstack(tf.shape(features))
    seeds = tf.unstack(tf.random.split(seed, 3))
    channel = tf.random.stateless_uniform([windows], seeds[0], 0, channels, tf.int32)
    begin = tf.random.stateless_uniform([windows], seeds[1], 0, steps, tf.int32)
    size = tf.random.stateless_uniform([windows], seeds[2], -CLIP, CLIP)
    broken = (tf.range(steps) >= begin[:, None])[..., None] & (tf.range(width) == channel[:, None])[:, None]
    return tf.where(broken, tf.clip_by_value(features + size[:, None, None], -CLIP, CLIP), features)
