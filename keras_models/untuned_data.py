"""tf.data as it is written, without the thread that times it and looks for something better.

There is nothing for that thread to find in batches that are mapped and read one after the other; and beside it, on two
processors, training stood still every few epochs for up to a minute, until that thread woke up (TensorFlow 2.21).
"""

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same elements; also what is made of it is not timed."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
