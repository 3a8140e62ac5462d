"""One round of training, float or quantization-aware: same loss, schedule, early stopping and logs."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf
from rich.progress import Progress

from pipeline.atomic_write import atomic_write, write_json

FOLLOWING_WEIGHT = 0.1  # the forecast is the job; the next readings only stand in for missing ones
HEAD_WEIGHT = 0.5  # of each that is beside these two
GRADIENT_NORM = 1.0
LAST_RATE = 0.02  # of the first, at the end of the cosine
LEAST_SQUARE = 1e-4  # added to each mean squared error, about a quantum of int8: none is worth any effort below
TINY = 1e-12  # whose logarithm is a number
LEVEL_WEIGHT = 0.3  # of the mean error of a window beside what moves in it: a score that learns its centre takes it out


def fit_model(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    epochs: int,
    rate: float,
    patience: int,
    warmup: int,
    weight_decay: float,
    logs: Path,
    loss: str = "absolute",
    quantiles: Sequence[float] = (),
    trust: float | None = None,
) -> list[dict[str, float]]:
    """Trains in place and leaves the weights of the best epoch by validation loss; returns a record per epoch.

    The outputs of the model are forecast, following and then a head for each of `quantiles`. `loss`: one of LOSSES.
    `trust`: the first is of `beside_trust`, and is learned with the errors of the forecast as a score smooths them, the
    newest by this weight.

    The weights the model came with count as epoch 0: fine-tuning never leaves a worse model than it was given.
    """
    schedule = keras.optimizers.schedules.CosineDecay(rate, len(train) * epochs, alpha=LAST_RATE)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay, clipnorm=GRADIENT_NORM)
    losses = [LOSSES[loss](warmup)] * (len(train.element_spec[1]) - len(quantiles))  # a target for each output
    losses += [masked_pinball(quantile, warmup) for quantile in quantiles]
    if trust is not None:
        losses[0] = masked_trusted(warmup, trust)
    weights = [1.0, FOLLOWING_WEIGHT] + [HEAD_WEIGHT] * (len(losses) - 2)
    model.compile(optimizer, loss=losses, loss_weights=weights)
    best = BestWeights(model.evaluate(validation, verbose=0, return_dict=True)["loss"], patience)
    history = model.fit(
        train,
        validation_data=validation,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[
            best,
            EpochBar(model.name, epochs),
            keras.callbacks.TensorBoard(logs),
            keras.callbacks.TerminateOnNaN(),
        ],
    ).history
    best.restore(model)
    return [
        {"epoch": i + 1, "loss": loss, "val_loss": val}
        for i, (loss, val) in enumerate(zip(history["loss"], history["val_loss"], strict=True))
    ]


def beside_trust(model: keras.Model) -> keras.Model:
    """The same layers, forecast and trust side by side in the first output: a loss sees one output only."""
    forecast, following, trust = model.outputs
    return keras.Model(model.inputs, [keras.layers.Concatenate()([forecast, trust]), following], name=model.name)


def masked_mae(warmup: int):
    """Mean absolute error over known targets after the first `warmup` steps; (batch, timesteps, outputs)."""

    def loss(truth, forecast):
        truth, forecast = truth[:, warmup:], forecast[:, warmup:]
        known = tf.math.is_finite(truth)
        error = tf.abs(tf.where(known, truth - forecast, 0.0))
        return tf.reduce_sum(error) / tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0)

    return loss


def masked_geometric(warmup: int):
    """Geometric mean over the outputs of their mean squared errors, over the same steps.

    What a score that whitens residuals wants: half its logarithm is the mean negative log-likelihood of each output's
    error as normal with a variance of its own. So an output counts by the share of its error that is taken away, and
    those that nothing explains do not drown the others; and one that mostly rests learns its mean, where `masked_mae`
    learns the median, rest.
    """

    def loss(truth, forecast):
        truth, forecast = truth[:, warmup:], forecast[:, warmup:]
        known = tf.math.is_finite(truth)
        squares = tf.reduce_sum(tf.square(tf.where(known, truth - forecast, 0.0)), axis=(0, 1))
        count = tf.reduce_sum(tf.cast(known, tf.float32), axis=(0, 1))
        return _geometric_mean(tf.math.log(squares / tf.maximum(count, 1.0) + LEAST_SQUARE), count)

    return loss


def masked_trusted(warmup: int, ewma: float):
    """`masked_geometric` of smoothed errors each of which counts `trust` times, over the geometric mean of the squared
    trust.

    Half its logarithm is the mean negative log-likelihood of each output's error as normal, its deviation c / trust
    with the best c for that output (Nix and Weigend, Estimating the Mean and Variance of the Target Probability
    Distribution, ICNN 1994): trust is low where the network cannot know. Of the mean error of each window, which is no
    fault of the moment, a share of LEVEL_WEIGHT stays.

    Smoothed as the score smooths, exponentially, the newest by `ewma`: noise averages out there, and what goes on for
    a while stays. By the errors of single steps a channel with little noise was trusted whose error drifts.
    """

    def loss(truth, forecast_and_trust):
        forecast, trust = tf.split(forecast_and_trust, 2, axis=-1)
        known = tf.math.is_finite(truth)
        judged = tf.cast(known & (tf.range(tf.shape(truth)[1]) >= warmup)[:, None], tf.float32)
        count = tf.reduce_sum(judged, axis=1, keepdims=True)
        error = tf.where(known, truth - forecast, 0.0)
        level = tf.reduce_sum(error * judged, axis=1, keepdims=True) / tf.maximum(count, 1.0)
        moved = tf.where(known, trust * (error - (1 - LEVEL_WEIGHT) * level), 0.0)
        squares = tf.square(_smoothed(moved, ewma)) + LEAST_SQUARE * tf.square(trust)
        count = tf.reduce_sum(count, axis=(0, 1))
        squares, logs = (
            tf.reduce_sum(part * judged, axis=(0, 1)) / tf.maximum(count, 1.0)
            for part in (squares, tf.math.log(tf.square(trust) + TINY))
        )
        return _geometric_mean(tf.math.log(squares + TINY) - logs, count)

    return loss


def _smoothed(values: tf.Tensor, weight: float) -> tf.Tensor:
    """Exponentially weighted mean over time of (batch, timesteps, channels), starting at zero; same shape."""
    steps = tf.range(tf.shape(values)[1])
    ago = tf.cast(steps[:, None] - steps[None, :], tf.float32)
    kernel = tf.where(ago >= 0, weight * tf.pow(1 - weight, tf.maximum(ago, 0.0)), 0.0)
    return tf.einsum("tu,buc->btc", kernel, values)


def _geometric_mean(logs: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Over the outputs with a known target, of what has these logarithms (outputs,); 0 where there is none."""
    logs = tf.where(count > 0, logs, 0.0)
    outputs = tf.reduce_sum(tf.cast(count > 0, tf.float32))
    return tf.where(outputs > 0, tf.exp(tf.reduce_sum(logs) / tf.maximum(outputs, 1.0)), 0.0)


LOSSES = {"absolute": masked_mae, "geometric": masked_geometric}  # by [model] loss


def masked_pinball(quantile: float, warmup: int):
    """Twice the pinball loss (Koenker and Bassett 1978), least at the quantile; of .5 it is `masked_mae`."""

    def loss(truth, forecast):
        truth, forecast = truth[:, warmup:], forecast[:, warmup:]
        known = tf.math.is_finite(truth)
        error = tf.where(known, truth - forecast, 0.0)
        total = tf.reduce_sum(2 * tf.maximum(quantile * error, (quantile - 1) * error))
        return total / tf.maximum(tf.reduce_sum(tf.cast(known, tf.float32)), 1.0)

    return loss


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the lowest validation loss, the starting ones included, and stops when it stalls."""

    def __init__(self, lowest: float, patience: int):
        super().__init__()
        self.lowest = lowest
        self.patience, self.waited, self.weights = patience, 0, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_loss"] < self.lowest:
            self.lowest, self.waited, self.weights = logs["val_loss"], 0, self.model.get_weights()
        else:
            self.waited += 1
            self.model.stop_training = self.waited >= self.patience

    def on_train_begin(self, logs=None):
        self.weights = self.model.get_weights()

    def restore(self, model: keras.Model) -> None:
        model.set_weights(self.weights)


class EpochBar(keras.callbacks.Callback):
    """A bar over epochs where a person watches; nothing elsewhere."""

    def __init__(self, title: str, epochs: int):
        super().__init__()
        self.bar = Progress(disable=not sys.stderr.isatty(), transient=True)
        self.task = self.bar.add_task(title, total=epochs)

    def on_train_begin(self, logs=None):
        self.bar.start()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.update(self.task, advance=1, description=f"loss {logs['loss']:.4f}  validation {logs['val_loss']:.4f}")

    def on_train_end(self, logs=None):
        self.bar.stop()


def write_history(path: Path, rounds: dict[str, Sequence[dict[str, float]]]) -> None:
    """history.csv: epoch, loss, val_loss, phase."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.DictWriter(file, ["epoch", "loss", "val_loss", "phase"])
        table.writeheader()
        for phase, records in rounds.items():
            table.writerows({**{k: f"{v:.6g}" for k, v in record.items()}, "phase": phase} for record in records)


def write_summary(path: Path, history: Sequence[dict[str, float]], **more: object) -> None:
    """The record that a round of training is whole: its epochs, their lowest validation loss, and what `more` says."""
    losses = [record["val_loss"] for record in history]
    lowest = {"lowest_val_loss": round(min(losses), 6)} if losses else {}
    write_json(path, {"epochs": len(history), **lowest, **more})
