"""The rearranged weights give Keras' own GRU: h' = h + (1 - z) * (n - h), biases as rows of the matrices."""

import keras
import numpy as np
import pytest

from keras_models.gru_kernels import balanced_one, gru_kernels


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def one_step(kernels, x, h, ones, reset_after):
    units = h.shape[-1]
    x, h_one = np.append(x, ones[0]), np.append(h, ones[1])
    gates = sigmoid(x @ kernels.input_gates + h_one @ kernels.state_gates)
    keep_not, reset = gates[:units], gates[units:]
    if reset_after:
        recurrent = reset * (h_one @ kernels.state_candidate)
    else:
        recurrent = np.append(reset * h, ones[1]) @ kernels.state_candidate
    return h + keep_not * (np.tanh(x @ kernels.input_candidate + recurrent) - h)


@pytest.mark.parametrize("ones", [(1.0, 1.0), (0.25, 3.0)])
@pytest.mark.parametrize("units", [1, 5])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("reset_after", [True, False])
def test_equals_keras(reset_after, use_bias, units, ones):
    rng = np.random.default_rng(units)
    layer = keras.layers.GRU(units, reset_after=reset_after, use_bias=use_bias, return_sequences=True)
    layer.build((1, 40, 3))
    layer.set_weights([rng.normal(0, 1, weight.shape) for weight in layer.weights])
    xs = rng.normal(0, 1, (40, 3)).astype(np.float32)
    expected = layer(xs[None]).numpy()[0]
    bias = layer.cell.bias.value if use_bias else None
    kernels = gru_kernels(layer.cell.kernel.value, layer.cell.recurrent_kernel.value, bias, *ones)
    kernels = type(kernels)(*(np.asarray(kernel, np.float64) for kernel in kernels))
    h = np.zeros(units)
    for x, wanted in zip(xs, expected, strict=True):
        h = one_step(kernels, x, h, ones, reset_after)
        np.testing.assert_allclose(h, wanted, rtol=0, atol=2e-6)  # float32 against float64, 40 steps


def test_balanced_one_makes_the_bias_row_as_large_as_the_weights():
    matrix, bias = np.array([[0.5, -2.0]]), np.array([8.0, 1.0])
    one = balanced_one([matrix], [bias])
    assert np.abs(bias / one).max() == np.abs(matrix).max()


@pytest.mark.parametrize(("matrix", "biases"), [([[1.0]], []), ([[1.0]], [[0.0]]), ([[0.0]], [[3.0]])])
def test_balanced_one_never_is_zero(matrix, biases):
    assert balanced_one([np.array(matrix)], [np.array(bias) for bias in biases]) == 1.0
