"""The fused LSTM's step in integers against TensorFlow Lite Micro, and its fake-quantized twin against both."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from fused_lstm_models import CASES, UNITS, fused_model, run

from keras_models.affine_quantization import Affine
from keras_models.fused_lstm import (
    CellQuantizer,
    FakeQuantLstm,
    IntegerLstm,
    bias_affine,
    cell_affine,
    check_cell_affine,
    fake_quant_gates,
    fused_lstm_step,
    integer_gates,
)
from keras_models.integer_kernels import Integers
from keras_models.quantizers import FixedQuantizer
from tflite.runtimes import load_model

STEPS = 2_500  # of each case


@pytest.fixture(scope="module", params=CASES)
def driven(request):
    """(case, weights, integers by name): x, the states before each step, y and the states after it."""
    case = CASES[request.param]
    weights, readings = case.weights(), case.readings(STEPS)
    after = run(load_model(fused_model(case, weights), "tflm"), readings)
    zero = {"h": np.full((1, UNITS), case.h.zero_point, np.int8), "c": np.zeros((1, UNITS), np.int16)}
    before = {f"{name}_before": np.concatenate([zero[name], after[name][:-1]]) for name in zero}
    return case, weights, {"x": readings, **before, **after}


def integers(values, affine: Affine) -> Integers:
    return Integers(tf.constant(values, tf.int64), FixedQuantizer(affine).form)


def integer_lstm(case, weights) -> IntegerLstm:
    return IntegerLstm(weights, *(FixedQuantizer(affine).form for affine in (case.x, case.h, case.c)))


def fake_quant_lstm(case, weights) -> FakeQuantLstm:
    return FakeQuantLstm(weights, FixedQuantizer(case.h), FixedQuantizer(case.c))


def all_at_once(case, weights, driven_integers):
    """Every step from the states that TensorFlow Lite Micro had before it: as one batch."""
    op = integer_lstm(case, weights)
    x, h, c = (
        integers(driven_integers[name], affine)
        for name, affine in (("x", case.x), ("h_before", case.h), ("c_before", case.c))
    )
    return fused_lstm_step(op, op.input_gates(x), h, c)


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["eager", "graph"])
def test_integers_are_those_of_tflm(driven, wrap):
    case, weights, expected = driven
    h, c = wrap(lambda: all_at_once(case, weights, expected))()
    np.testing.assert_array_equal(h.values, expected["h"])
    np.testing.assert_array_equal(c.values, expected["c"])


def test_the_cases_reach_the_ends_of_int16(driven):
    """Else the comparison above says nothing about saturation."""
    case, _, expected = driven
    if case is CASES["saturating"]:
        assert expected["c"].max() == 32767 and expected["c"].min() == -32768


def test_integers_stream_alone():
    """Over a sequence in a loop of the graph, from zero states: the projections of x outside the loop."""
    case = CASES["mild"]
    weights, readings = case.weights(), case.readings(200)
    expected = run(load_model(fused_model(case, weights), "tflm"), readings)

    @tf.function
    def stream(sequence):
        op = integer_lstm(case, weights)
        gates = op.input_gates(Integers(sequence, FixedQuantizer(case.x).form))

        def step(states, input_gates):
            h, c = (Integers(values, op.forms[name]) for name, values in zip("hc", states, strict=True))
            return tuple(state.values for state in fused_lstm_step(op, gates._replace(values=input_gates), h, c))

        h = tf.fill((1, UNITS), tf.constant(case.h.zero_point, tf.int64))
        return tf.scan(step, gates.values[:, None], (h, tf.zeros((1, UNITS), tf.int64)))

    h, c = stream(tf.constant(readings, tf.int64))
    np.testing.assert_array_equal(h[:, 0], expected["h"])
    np.testing.assert_array_equal(c[:, 0], expected["c"])


def test_without_bias():
    case = CASES["mild"]
    kernel, recurrent_kernel, bias = case.weights()
    x, h, c = integers(case.readings(50), case.x), integers(np.zeros((50, UNITS)), case.h), integers(0, case.c)
    both = []
    for no_bias in (None, np.zeros_like(bias)):
        op = integer_lstm(case, (kernel, recurrent_kernel, no_bias))
        both.append(fused_lstm_step(op, op.input_gates(x), h, c)[0].values)
    np.testing.assert_array_equal(*both)


def test_fake_quantization_takes_the_same_steps(driven):
    """From equal states h differs by one quantum at most, and rarely: where a value lies between two.

    Training leaves int16 values unrounded: c differs by three quanta, of its two products and their sum, and by the
    1e-3 that the kernel's gates are off: a gate's two sums are rounded to 1/4096, and its sigmoid and tanh are
    interpolated in a table. So an h within 1e-3 of a tie, of one in 40 to 250 with these scales, may go either way.
    """
    case, weights, expected = driven
    op = fake_quant_lstm(case, weights)
    x, h, c = (
        tf.constant(affine.dequantize(expected[name]))
        for name, affine in (("x", case.x), ("h_before", case.h), ("c_before", case.c))
    )
    h, c = fused_lstm_step(op, op.input_gates(x), h, c)
    h_error = np.abs(h.numpy() / case.h.scale - (expected["h"].astype(int) - case.h.zero_point))
    c_error = np.abs(c.numpy() / case.c.scale - expected["c"])
    assert h_error.max() < 1.01 and np.mean(h_error > 0.01) < 0.05
    assert c_error.max() * case.c.scale < 3.01 * case.c.scale + 1e-3
    assert np.mean(c_error) * case.c.scale < 0.4 * case.c.scale + 1e-4  # three values unrounded: 0.3 on average


def test_fake_quantized_states_are_representable():
    """h in its quanta; c, an int16, in its range: training leaves its step of 1/65536 of that out."""
    case = CASES["mild"]
    op = fake_quant_lstm(case, case.weights())
    x = case.x.dequantize(case.readings(100))
    h, c = fused_lstm_step(op, op.input_gates(x), tf.zeros((100, UNITS)), tf.fill((100, UNITS), 1e3))
    np.testing.assert_allclose(h, case.h.dequantize(case.h.quantize(h.numpy())), atol=1e-6)
    assert np.abs(h).max() > 0
    assert (np.abs(c) <= case.c.range[1]).all()


def test_it_is_the_lstm_of_keras():
    """Gates in the same order: the sequence, fake-quantized with fine ranges, follows the float layer."""
    case = CASES["mild"]
    weights, sequence = case.weights(), case.x.dequantize(case.readings(80)[:40])
    layer = keras.layers.LSTM(UNITS, return_sequences=True)
    layer.build((None, None, sequence.shape[1]))
    layer.set_weights(weights)
    op, states = fake_quant_lstm(case, weights), (tf.zeros((1, UNITS)),) * 2
    ours = []
    for gates in op.input_gates(sequence[:, None]):
        states = fused_lstm_step(op, gates, *states)
        ours.append(states[0][0])
    assert np.abs(np.stack(ours) - layer(sequence[None])[0]).max() < 4 * case.h.scale


def test_gradients_pass_straight_through():
    """To every weight, in the direction of the unquantized step's."""
    case = CASES["mild"]
    variables = [tf.Variable(weight) for weight in case.weights()]
    x = case.x.dequantize(case.readings(64))
    state = tf.constant(np.random.default_rng(3).normal(0, 0.3, (64, UNITS)).astype(np.float32))

    class RealLstm(FakeQuantLstm):
        def __init__(self):
            self.kernel, self.recurrent_kernel, self.bias = variables

        def _store(self, form, values):
            return values

        sigmoid, tanh = staticmethod(tf.sigmoid), staticmethod(tf.tanh)

    def gradients(make):
        with tf.GradientTape() as tape:
            op = make()
            loss = tf.reduce_sum(fused_lstm_step(op, op.input_gates(x), state, state)[0] ** 2)
        return tape.gradient(loss, variables)

    for ours, real in zip(gradients(lambda: fake_quant_lstm(case, variables)), gradients(RealLstm), strict=True):
        cosine = tf.reduce_sum(ours * real) / (tf.norm(ours) * tf.norm(real))
        assert cosine > 0.99 and 0.95 < tf.norm(ours) / tf.norm(real) < 1.05


def test_each_gate_has_a_scale_of_its_own():
    """A gate of small weights keeps its 127 steps beside one of large weights, fake-quantized and in integers."""
    kernel = np.random.default_rng(0).normal(0, 1, (3, 4 * UNITS)).astype(np.float32)
    kernel[:, UNITS : 2 * UNITS] /= 1000
    quantized = integer_gates(kernel)
    for gate in np.split(np.abs(quantized.values), 4, axis=1):
        assert gate.max() == 127
    reals = quantized.values.numpy() * quantized.form.scale.numpy()
    np.testing.assert_allclose(fake_quant_gates(kernel), reals, rtol=1e-5)


def test_cell_affine_covers_with_a_power_of_two():
    assert cell_affine(-3.2, 1.0) == Affine(2.0**-13, 0, 16)
    assert cell_affine(0.0, 8.0) == Affine(2.0**-12, 0, 16)
    assert cell_affine(-1e-3, 1e-3).scale == 2.0**-15, "the least that LiteRT computes with"
    assert cell_affine(-500, 3).scale == 2.0**-9, "the largest"
    with pytest.raises(ValueError, match="finite range"):
        cell_affine(0.0, 0.0)


@pytest.mark.parametrize(
    "affine", [Affine(2.0**-16, 0, 16), Affine(2.0**-8, 0, 16), Affine(3e-4, 0, 16), Affine(2.0**-9, 0, 8)], ids=str
)
def test_a_cell_state_without_kernel_is_refused(affine):
    with pytest.raises(ValueError, match="cell state: expected int16"):
        check_cell_affine(affine)


def test_cell_quantizer_settles_on_what_the_kernels_compute_with():
    quantizer = CellQuantizer(keras.layers.Layer(name="lstm"))
    quantizer(tf.constant([-0.1, 0.2]), observe=True)
    quantizer.settle()
    assert quantizer.affine == Affine(2.0**-15, 0, 16) and float(quantizer.form.scale) == 2.0**-15
    np.testing.assert_allclose(quantizer(tf.constant([-2.0, 2.0])), [-1, 1], atol=1e-4)


def test_a_bias_has_the_scale_of_the_sums():
    assert bias_affine(Affine(0.5, 3), Affine(0.25, 0)) == Affine(0.125, 0, 32)
