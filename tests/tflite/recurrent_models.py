"""Small recurrent Keras models with random weights, and streams to drive them: seeded, nothing trained."""

from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True)
class Form:
    """Recurrent layers one on the other, then an optional Dense head. `cell`: "GRU", "LSTM" or "SimpleRNN"."""

    units: tuple[int, ...]
    features: int = 3
    reset_after: bool = True
    use_bias: bool = True
    return_sequences: bool = True
    head: int | None = 2
    cell: str = "GRU"

    def __str__(self):
        flags = ("bias" if self.use_bias else "nobias", "all" if self.return_sequences else "last")
        if self.cell == "GRU":
            flags = ("after" if self.reset_after else "before", *flags)
        return "-".join([self.cell, *map(str, self.units), *flags])


FORMS = (
    Form((1,), features=1),
    Form((3,), reset_after=False),
    Form((3,), use_bias=False),
    Form((16,), features=5),
    Form((16,), reset_after=False, use_bias=False),
    Form((8, 4)),
    Form((8, 4), reset_after=False),
    Form((6,), return_sequences=False),
    Form((4,), head=None),
    Form((1,), features=1, cell="LSTM"),
    Form((16,), use_bias=False, cell="LSTM"),
    Form((8, 4), cell="LSTM"),
    Form((1,), features=1, cell="SimpleRNN"),
    Form((16,), use_bias=False, cell="SimpleRNN"),
    Form((8, 4), head=None, cell="SimpleRNN"),
)


def recurrent_model(form: Form, seed: int = 0, gain: float = 1.5) -> keras.Model:
    """x (batch, timesteps, features) -> y. `gain` > 1: gates that open and close, not the mild ones of a new model."""
    x = values = keras.Input((None, form.features), name="x")
    options = {"reset_after": form.reset_after} if form.cell == "GRU" else {}
    for i, units in enumerate(form.units):
        return_sequences = form.return_sequences or i < len(form.units) - 1
        layer = getattr(keras.layers, form.cell)(
            units, use_bias=form.use_bias, return_sequences=return_sequences, name=f"{form.cell.lower()}{i}", **options
        )
        values = layer(values)
    if form.head:
        values = keras.layers.Dense(form.head, use_bias=form.use_bias, name="head")(values)
    model = keras.Model(x, values, name="small")
    randomize(model, seed, gain)
    return model


def randomize(model: keras.Model, seed: int, gain: float = 1.5) -> None:
    """Matrices of the usual size times `gain`, biases about 0.3."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for weight in layer.weights:
            size = 0.3 if weight.name == "bias" else gain / np.sqrt(weight.shape[0])
            weight.assign(rng.normal(0, size, weight.shape))


def stream(steps: int, features: int, seed: int = 1) -> np.ndarray:
    """(steps, features) float32: slow waves, noise, rests and jumps; standard deviation about 1."""
    rng = np.random.default_rng(seed)
    time = np.arange(steps)[:, None]
    waves = np.sin(time / rng.uniform(3, 60, features) + rng.uniform(0, 6, features))
    jumps = np.cumsum(rng.normal(0, 1.5, (steps, features)) * (rng.random((steps, features)) < 0.02), axis=0)
    noise = rng.normal(0, 0.5, (steps, features)) * (np.sin(time / 97) > -0.5)
    return np.clip(waves + np.sin(jumps) + noise, -4, 4).astype(np.float32)
