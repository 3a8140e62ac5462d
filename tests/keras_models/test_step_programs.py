"""The step programs, executed in numpy's float64, are Keras' own cells."""

import keras
import numpy as np
import pytest

from keras_models.gru import GruProgram
from keras_models.lstm import LstmProgram
from keras_models.numeric_form import NumericForm
from keras_models.simple_rnn import SimpleRnnProgram
from keras_models.supported_layers import ACTIVATIONS

FLOAT = NumericForm("float32")
UNITS, FEATURES, STEPS = 4, 3, 4
PROGRAMS = {"SimpleRNN": SimpleRnnProgram, "GRU": GruProgram, "LSTM": LstmProgram}


class NumpyOperators:
    """The operators a float program needs, on float64 arrays."""

    def __init__(self, matrices):
        self.matrices = {
            name: (np.asarray(kernel, np.float64), 0.0 if bias is None else np.asarray(bias, np.float64))
            for name, (kernel, bias) in matrices.items()
        }

    def product(self, name, values, one=None):
        kernel, bias = self.matrices[name]
        return values @ kernel + bias

    def add(self, name, a, b, form=None):
        return a + b

    def sub(self, name, a, b, form=None):
        return a - b

    def mul(self, name, a, b, form=None):
        return a * b

    def activation(self, name, kind, values, form=None):
        if kind in CLOSED_FORMS:
            return CLOSED_FORMS[kind](values)
        return np.asarray(getattr(keras.activations, kind)(keras.ops.convert_to_tensor(values)))

    def split(self, name, values, sizes):
        return np.split(values, np.cumsum(sizes)[:-1], axis=-1)

    def operand(self, state):
        return state

    def widen(self, name, values, bits):
        return values


CLOSED_FORMS = {
    "linear": lambda a: a,
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "relu": lambda a: np.maximum(a, 0),
}


def layer(cell, **options):
    layer = getattr(keras.layers, cell)(UNITS, return_sequences=True, **options)
    layer.build((1, STEPS, FEATURES))
    rng = np.random.default_rng(0)
    # Gates beyond [0, 1] let a state grow without end, so the weights are small where such activations are tried.
    size = 0.2 if {"activation", "recurrent_activation"} & set(options) else 1.0
    layer.set_weights([rng.normal(0, size, weight.shape) for weight in layer.weights])
    return layer


def program_of(cell, activation="tanh", recurrent_activation="sigmoid", use_bias=True, **options):
    gated = {} if cell == "SimpleRNN" else {"recurrent_activation": recurrent_activation}
    return PROGRAMS[cell](UNITS, activation, **gated, **options)


def outputs(program, weights, xs):
    """(timesteps, units): the first state after each step."""
    kernel, recurrent_kernel, bias = [*weights, None][:3]
    op = NumpyOperators(program.matrices(kernel, recurrent_kernel, bias))
    states, results = tuple(np.zeros(UNITS) for _ in program.states), []
    for x in xs:
        states = program.step(op, FLOAT, program.project(op, x), states)
        results.append(states[0])
    return np.stack(results)


def check(cell, **options):
    expected_layer = layer(cell, **options)
    xs = np.random.default_rng(1).normal(0, 1, (STEPS, FEATURES)).astype(np.float32)
    expected = np.asarray(expected_layer(xs[None]))[0]
    ours = outputs(program_of(cell, **options), expected_layer.get_weights(), xs.astype(np.float64))
    assert np.abs(expected).max() > 1e-3, "a test of zeros tests nothing"
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-6)  # float32 against float64


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("cell", "options"), [
    ("SimpleRNN", {}), ("LSTM", {}), ("GRU", {"reset_after": True}), ("GRU", {"reset_after": False}),
])
def test_equals_keras(cell, options, use_bias):
    check(cell, use_bias=use_bias, **options)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", PROGRAMS)
def test_every_activation(cell, activation):
    check(cell, activation=activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("cell", "options"), [("LSTM", {}), ("GRU", {}), ("GRU", {"reset_after": False})])
def test_every_recurrent_activation(cell, options, activation):
    """The update gate of a GRU is negated only where 1 - f(a) = f(-a); else this fails."""
    check(cell, recurrent_activation=activation, **options)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_update_gate_is_negated_exactly_where_that_is_the_same(activation):
    """1 - z is then what the gate computes, and the update rounds at its own size, not at the state's."""
    inputs = np.linspace(-8, 8, 33)
    function = getattr(keras.activations, activation)
    plus, minus = (np.asarray(function(keras.ops.convert_to_tensor(a))) for a in (inputs, -inputs))
    is_odd = np.allclose(1 - plus, minus, atol=1e-6)
    assert GruProgram(UNITS, recurrent_activation=activation).negates_update == is_odd


def test_biases_are_added_once():
    """Each bias stands beside one matrix: two constants for one sum would be one more integer to round."""
    kernel, recurrent_kernel = np.ones((FEATURES, 12), np.float32), np.ones((UNITS, 12), np.float32)
    after = GruProgram(UNITS).matrices(kernel, recurrent_kernel, np.ones((2, 12), np.float32))
    before = GruProgram(UNITS, reset_after=False).matrices(kernel, recurrent_kernel, np.ones(12, np.float32))
    assert {name for name, (_, bias) in after.items() if bias is not None} == {
        "input_gates", "input_candidate", "state_candidate"}
    assert {name for name, (_, bias) in before.items() if bias is not None} == {"input_gates", "input_candidate"}
    np.testing.assert_array_equal(after["input_gates"][1], [-2] * UNITS + [2] * UNITS)  # 1 - z, and r
