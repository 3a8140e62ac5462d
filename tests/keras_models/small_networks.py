"""Small models with random weights, seeded, and waves to drive them."""

import keras
import numpy as np

FEATURES = 3


def with_random_weights(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model, its trainable weights drawn: kernels so that sums stay near 1, biases within +-1."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        size = 0.3 if len(weight.shape) == 1 or weight.name == "bias" else 0.8 / np.sqrt(weight.shape[-2])
        weight.assign(rng.normal(0, size, weight.shape))
    return model


def sequential(*layers: keras.layers.Layer, shape=(None, FEATURES), dtype="float32", seed: int = 0) -> keras.Model:
    return with_random_weights(keras.Sequential([keras.Input(shape, name="x", dtype=dtype), *layers]), seed)


def functional(*calls, shape=(None, FEATURES), seed: int = 0) -> keras.Model:
    """A model of `calls`, each a function of the input and the tensors of the calls before it; the last is its output.

    A list of tensors from the last call makes as many outputs.
    """
    tensors = [keras.Input(shape, name="x")]
    for call in calls:
        tensors.append(call(*tensors))
    return with_random_weights(keras.Model(tensors[0], tensors[-1], name="small"), seed)


def network(cell: str = "GRU", units: int = 4, head: int | None = 2, return_sequences: bool = True, **options):
    """A recurrent layer "rnn" and, where `head` is given, a Dense "head" behind it."""
    recurrent = getattr(keras.layers, cell)(units, return_sequences=return_sequences, name="rnn", **options)
    layers = [recurrent, keras.layers.Dense(head, name="head")] if head else [recurrent]
    return sequential(*layers)


def waves(steps: int, seed: int = 1, batch: int = 1) -> np.ndarray:
    """(batch, steps, 3) float32 within +-2."""
    rng = np.random.default_rng(seed)
    time = np.arange(steps)[:, None]
    noise = rng.uniform(-1, 1, (batch, steps, FEATURES))
    return (np.sin(time / rng.uniform(3, 20, (batch, 1, FEATURES))) + noise).astype(np.float32)
