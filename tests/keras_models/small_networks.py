"""A GRU of 4 units over 3 features with random weights, and seeded waves to drive it."""

import keras
import numpy as np


def network(units=4, reset_after=True, use_bias=True, return_sequences=True, head=2) -> keras.Model:
    x = keras.Input((None, 3), name="x")
    values = keras.layers.GRU(units, reset_after=reset_after, use_bias=use_bias, return_sequences=return_sequences,
                              name="gru")(x)
    if head:
        values = keras.layers.Dense(head, use_bias=use_bias, name="head")(values)
    model, rng = keras.Model(x, values, name="small"), np.random.default_rng(0)
    for weight in model.weights:
        size = 0.3 if weight.name == "bias" else 0.8 / np.sqrt(weight.shape[0])
        weight.assign(rng.normal(0, size, weight.shape))
    return model


def waves(steps: int, seed: int = 1) -> np.ndarray:
    """(steps, 3) float32 within +-2."""
    rng = np.random.default_rng(seed)
    time = np.arange(steps)[:, None]
    return (np.sin(time / rng.uniform(3, 20, 3)) + rng.uniform(-1, 1, (steps, 3))).astype(np.float32)
