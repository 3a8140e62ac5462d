"""The constants in generated C are those of the integer kernels, which are proven against TensorFlow Lite Micro."""

import numpy as np
import pytest
import tensorflow as tf

from keras_models import integer_kernels as kernels
from keras_models.affine_quantization import Affine
from keras_models.integer_kernels import Integers, constant_form
from tflite.codegen.fixed_point import Multiplier, int8_table, multiplier, rescale, short_multiplier

RNG = np.random.default_rng(0)
REALS = [*np.exp(RNG.uniform(np.log(1e-7), np.log(1e3), 50)), 1.0, 0.5, 2.0, 1 - 2.0**-40, 0.75]


@pytest.mark.parametrize("real", REALS)
def test_multiplier(real):
    expected = kernels._multiplier(tf.constant(real, tf.float64))
    ours = multiplier(float(real))
    assert ours == (int(expected.fixed), int(expected.exponent))
    assert ours.fixed * 2.0 ** (ours.shift - 31) == pytest.approx(real, rel=2.0**-30)
    short = short_multiplier(float(real))
    assert short.fixed * 2.0**-short.shift == pytest.approx(real, rel=2.0**-14)


def test_multipliers_at_the_ends():
    assert multiplier(2.0**-33) == Multiplier(0, 0)
    with pytest.raises(ValueError, match="scales are"):
        multiplier(2.0**31)


@pytest.mark.parametrize("real", REALS)
def test_rescale(real):
    values = RNG.integers(-(2**20), 2**20, 1000)
    by = kernels._multiplier(tf.constant(real, tf.float64))
    expected = kernels._rescale(tf.constant(values), by).numpy()
    np.testing.assert_array_equal(rescale(values, multiplier(float(real))), expected)


@pytest.mark.parametrize("affine", [Affine(0.05, 3), Affine(0.15, -100), Affine(1 / 16, 0), Affine(0.004, 127)])
@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_int8_tables(kind, affine):
    every = Integers(tf.range(-128, 128, dtype=tf.int64), constant_form(affine))
    expected = {"LOGISTIC": kernels.logistic, "TANH": kernels.tanh}[kind](every).values.numpy()
    np.testing.assert_array_equal(int8_table(kind, affine), expected)
