"""A task that asks for memory alone: one of several symbols is shown, then noise, and the symbol is to be named.

After Hochreiter and Schmidhuber 1997, and Bengio et al. 1994. A network is trained on all lags at once, short ones as
often as long ones by their logarithm, so that it learns what a symbol is before it has to keep it.
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
        lags: steps from the symbol to the question, rising; accuracy is measured at each.
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
    steps: int = 1200
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
    """Trains a fresh network of one recurrent layer and returns its share of right answers at each lag."""
    seed_everything(seed)
    rng = np.random.default_rng(seed)
    model = _trained(task, cell, rng)
    tested = np.random.default_rng([seed, 1])  # sequences training never saw
    shares = []
    for lag in task.lags:
        x, shown = recall_sequences(task, lag, task.tested, tested)
        shares.append(float(np.mean(np.argmax(model(x, training=False), axis=-1) == shown)))
    return shares


def _trained(task: RecallTask, cell: str, rng: np.random.Generator) -> keras.Model:
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

    for lag in _lags_of_training(task, rng):
        learn(*recall_sequences(task, lag, task.batch, rng))
    return model


def _lags_of_training(task: RecallTask, rng: np.random.Generator) -> list[int]:
    """One lag per batch, between a drawn one of `lags` and the next."""
    spans = list(pairwise((*task.lags, task.lags[-1] + 1)))
    return [int(rng.integers(*spans[rng.integers(len(spans))])) for _ in range(task.steps)]
