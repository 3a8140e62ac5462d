"""How far back an output still depends on the inputs: the norm of its gradient by lag, exact, of a trained model."""

import keras
import numpy as np
import tensorflow as tf


def gradient_norms(model: keras.Model, streams: np.ndarray) -> np.ndarray:
    """Frobenius norm of d(first output, last step) / d(input, `lag` steps before), mean over the streams.

    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks": this product of Jacobians vanishes
    (or explodes) exponentially with the lag in a plain RNN.

    Args:
        model: one input (batch, timesteps, features) of real numbers.
        streams: (streams, timesteps, features).

    Returns:
        (timesteps,) by lag, lag 0 first; in units of the output per unit of the input.

    Raises:
        ValueError: the model has several inputs, or one of tokens.
    """
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 3 or "float" not in model.inputs[0].dtype:
        raise ValueError("expected a model of one input (timesteps, features) of real numbers")
    x, squares = tf.constant(streams, tf.float32), 0.0
    count = _last_step(model, x[:1]).shape[-1]

    @tf.function
    def gradient(element):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.gather(_last_step(model, x), element, axis=1))  # of all streams: they do not mix
        return tape.gradient(total, x)

    for element in range(count):
        squares = squares + np.square(gradient(tf.constant(element)).numpy(), dtype=np.float64).sum(axis=-1)
    return np.sqrt(squares).mean(axis=0)[::-1]


def horizon(values: np.ndarray, level: float, begin: int = 0) -> int | None:
    """The largest index up to which, from `begin` on, every value is at least `level`; None if not even the first."""
    below = np.flatnonzero(~(np.asarray(values[begin:]) >= level))  # NaN is below
    last = begin + (int(below[0]) if below.size else len(values) - begin) - 1
    return last if last >= begin else None


def _last_step(model: keras.Model, x: tf.Tensor) -> tf.Tensor:
    """(streams, elements) of the first output."""
    outputs = model(x, training=False)
    first = outputs[0] if isinstance(outputs, list | tuple) else outputs
    return first[:, -1] if len(first.shape) == 3 else first
