"""A task that asks for memory alone: one of several symbols is shown, then noise, and the symbol is to be named.

After Bengio et al. 1994 and Hochreiter and Schmidhuber 1997. For each lag a fresh network is trained on lags up to it,
short ones as often as long ones by their logarithm: what a symbol is, it can learn before it has to keep it for long.
"""

from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
import tensorflow as tf

from keras_models.forecaster import CELLS
from keras_models.model_folder import seed_everything


@dataclass(frozen=True)
class RecallTask:
    """Sizes of task, network and training.

    Attributes:
        lags: steps from the symbol to the question, rising.
        before: steps of noise before the symbol.
        noise: standard deviation, where the symbol is a 1 among zeros.
        tested: sequences per lag.
    """

    lags: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    symbols: int = 8
    units: int = 24
    before: int = 4
    noise: float = 0.5
    batch: int = 64
    steps: int = 800
    rate: float = 5e-3
    tested: int = 512


def recall_sequences(task: RecallTask, lag: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x (count, before + 1 + lag, symbols + 1) and the symbols (count,) that were shown `lag` steps before the end.

    The last column marks the step of the symbol; noise is in the others, at every other step.
    """
    steps = task.before + 1 + lag
    x = np.zeros((count, steps, task.symbols + 1), np.float32)
    x[..., :-1] = rng.normal(0, task.noise, (count, steps, task.symbols))
    shown = rng.integers(task.symbols, size=count)
    x[:, task.before] = 0
    x[np.arange(count), task.before, shown] = 1
    x[:, task.before, -1] = 1
    return x, shown.astype(np.int32)


def recall_accuracy(task: RecallTask, cell: str, seed: int) -> list[float]:
    """The share of right answers at each lag, of networks of one recurrent layer, each trained for its lag."""
    shares = []
    for i, lag in enumerate(task.lags):
        seed_everything(seed)
        model = _trained(task, cell, task.lags[: i + 1], np.random.default_rng([seed, lag]))
        x, shown = recall_sequences(task, lag, task.tested, np.random.default_rng([seed, lag, 1]))  # never trained on
        shares.append(float(np.mean(np.argmax(model(x, training=False), axis=-1) == shown)))
    return shares


def _trained(task: RecallTask, cell: str, lags: tuple[int, ...], rng: np.random.Generator) -> keras.Model:
    x = keras.Input((None, task.symbols + 1))
    model = keras.Model(x, keras.layers.Dense(task.symbols)(CELLS[cell](task.units)(x)))
    schedule = keras.optimizers.schedules.CosineDecay(task.rate, task.steps, alpha=0.02)
    optimizer = keras.optimizers.Adam(schedule, clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(input_signature=[tf.TensorSpec((None, None, task.symbols + 1)), tf.TensorSpec((None,), tf.int32)])
    def learn(x, shown):
        with tf.GradientTape() as tape:
            value = loss(shown, model(x, training=True))
        optimizer.apply(tape.gradient(value, model.trainable_variables))

    for lag in _lags_of_training(lags, task.steps, rng):
        learn(*recall_sequences(task, lag, task.batch, rng))
    return model


def _lags_of_training(lags: tuple[int, ...], steps: int, rng: np.random.Generator) -> list[int]:
    """One lag per batch, between a drawn one of `lags` and the next; never more than the last."""
    spans = list(pairwise((*lags, lags[-1] + 1)))
    return [int(rng.integers(*spans[rng.integers(len(spans))])) for _ in range(steps)]
