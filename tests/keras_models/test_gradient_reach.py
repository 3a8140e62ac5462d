"""Gradients by lag against what pencil and paper, and finite differences, say."""

import keras
import numpy as np
import pytest

from keras_models.gradient_reach import gradient_norms, horizon


def linear_rnn(kernel, recurrent):
    """h' = x @ kernel + h @ recurrent, whole sequences out."""
    rnn = keras.layers.SimpleRNN(len(recurrent), activation="linear", use_bias=False, return_sequences=True)
    model = keras.Sequential([keras.Input((None, len(kernel))), rnn])
    rnn.set_weights([np.array(kernel, np.float32), np.array(recurrent, np.float32)])
    return model


def test_a_linear_rnn_forgets_by_the_powers_of_its_weight():
    model = linear_rnn([[2.0]], [[0.5]])
    norms = gradient_norms(model, np.random.default_rng(0).normal(size=(3, 12, 1)))
    np.testing.assert_allclose(norms, 2.0 * 0.5 ** np.arange(12), rtol=1e-5)
    assert horizon(norms / norms.max(), 0.01) == 6  # 0.5^6 = 0.0156, 0.5^7 = 0.0078


def test_the_norm_is_frobenius_s_over_all_outputs_and_features():
    kernel, recurrent = np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]]), np.array([[0.3, 0.4], [-0.2, 0.6]])
    norms = gradient_norms(linear_rnn(kernel, recurrent), np.zeros((1, 5, 3)))
    expected = [np.linalg.norm(kernel @ np.linalg.matrix_power(recurrent, lag)) for lag in range(5)]
    np.testing.assert_allclose(norms, expected, rtol=1e-5)


@pytest.mark.parametrize("last_only", [False, True])
def test_a_gru_against_finite_differences(last_only):
    keras.utils.set_random_seed(3)
    x = keras.Input((None, 2))
    state = keras.layers.GRU(3, return_sequences=not last_only)(x)
    model = keras.Model(x, [keras.layers.Dense(2)(state), keras.layers.Dense(1)(state)])
    stream, size = np.random.default_rng(1).normal(size=(1, 6, 2)).astype(np.float32), 1e-2

    def first(values):
        return np.reshape(model(values)[0].numpy(), (-1, 2))[-1].astype(np.float64)

    squares = np.zeros(6)
    for t in range(6):
        for feature in range(2):
            up, down = stream.copy(), stream.copy()
            up[0, t, feature] += size
            down[0, t, feature] -= size
            squares[t] += np.square((first(up) - first(down)) / (2 * size)).sum()
    np.testing.assert_allclose(gradient_norms(model, stream), np.sqrt(squares)[::-1], rtol=2e-2)


def test_models_it_says_nothing_of():
    a, b = keras.Input((None, 2)), keras.Input((None, 2))
    with pytest.raises(ValueError, match="one input"):
        gradient_norms(keras.Model([a, b], keras.layers.GRU(2)(a + b)), np.zeros((1, 4, 2)))
    tokens = keras.Input((None,), dtype="int32")
    with pytest.raises(ValueError, match="real numbers"):
        gradient_norms(keras.Model(tokens, keras.layers.GRU(2)(keras.layers.Embedding(4, 2)(tokens))), np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("values", "begin", "expected"),
    [
        ([1.0, 0.9, 0.4, 0.9], 0, 1),
        ([1.0, 0.9, 0.5], 0, 2),
        ([0.1, 1.0, 0.6, 0.2], 1, 2),
        ([0.4, 1.0], 0, None),
        ([1.0, np.nan, 1.0], 0, 0),
    ],
)
def test_the_horizon_ends_where_it_first_falls_below(values, begin, expected):
    assert horizon(np.array(values), 0.5, begin) == expected
