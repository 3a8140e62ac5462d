"""Small recurrent models in every form, converted once per test run: seeded, nothing trained."""

import itertools
from functools import cache

import keras
import numpy as np
from recurrent_models import randomize

from keras_models.qat_model import calibrate, quantize_aware
from tflite import convert
from tflite.seeded_stream import wander

FEATURES, UNITS, OUTPUTS, STEPS = 3, 5, 2, 120
CELLS = {"simple_rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
NUMBERS = {"float32": ("float32", None), "int8": ("int8", None), "state16": ("int8", "int16"), "int16": ("int16", None)}
STATES = ("external", "internal")
FORMS = tuple(itertools.product(CELLS, NUMBERS, STATES))


def stream(seed=1):
    return wander(STEPS, FEATURES, seed)


def rows(xs):
    return [{"x": x} for x in xs]


def is_fused(cell, numbers, state):
    """An int8 LSTM with its state inside is one operator, and a model of its own."""
    return cell == "lstm" and state == "internal" and numbers in ("int8", "state16")


@cache
def float_model(cell):
    x = keras.Input((None, FEATURES), name="x")
    values = CELLS[cell](UNITS, return_sequences=True)(x)
    model = keras.Model(x, keras.layers.Dense(OUTPUTS)(values), name=cell)
    randomize(model, seed=3, gain=0.9)
    return model


@cache
def quantized_model(cell, numbers, state):
    activations, state_dtype = NUMBERS[numbers]
    model = quantize_aware(float_model(cell), activations, state_dtype=state_dtype, state=state)
    calibrate(model, [np.stack([stream(seed) for seed in range(10, 16)])])
    return model, model.predict(stream()[None], verbose=0)[0]


@cache
def artifact(cell, numbers, state):
    """(bytes of the model, what the sequence model says of the stream)."""
    if numbers == "float32":
        model = float_model(cell)
        return convert(model, activations=numbers, state=state).tflite, model.predict(stream()[None], verbose=0)[0]
    model, sequence = quantized_model(cell, numbers, "internal" if is_fused(cell, numbers, state) else "external")
    return convert(model, state=state).tflite, sequence
