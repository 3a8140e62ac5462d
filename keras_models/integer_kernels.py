"""The integer kernels of TensorFlow Lite Micro on TensorFlow tensors, bit for bit.

They work eagerly, in a `tf.function`, in its loops and under XLA. Tensors are int64, so that nothing overflows where
the int32 arithmetic of the kernels does not; leading dimensions are free, and scales and zero points may be
computed in the graph. Scales are as calibration gives them: where a kernel's own int32 overflows, nothing is promised.

Source of the arithmetic: TensorFlow Lite Micro's reference kernels and gemmlowp's fixed point.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_models.activation_tables import logistic_int8, sigmoid_table, tanh_int8
from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, Affine


class Form(NamedTuple):
    """The quantization of a tensor: real = scale * (integer - zero_point).

    `scale`: float64 scalar that holds a float32 value; `zero_point`: int64 scalar, 0 where `bits` is 16 instead of 8.
    """

    scale: tf.Tensor
    zero_point: tf.Tensor
    bits: int

    @property
    def smallest(self) -> int:
        return -(1 << self.bits - 1)

    @property
    def largest(self) -> int:
        return (1 << self.bits - 1) - 1


class Integers(NamedTuple):
    """int64 integers of any shape and what they stand for."""

    values: tf.Tensor
    form: Form


class Multiplier(NamedTuple):
    """A positive real as fixed * 2 ** (exponent - 31), two int64 scalars; 2 ** 30 <= fixed < 2 ** 31."""

    fixed: tf.Tensor
    exponent: tf.Tensor


def constant_form(affine: Affine) -> Form:
    """A quantization that is known when the graph is built."""
    return Form(tf.constant(affine.scale, tf.float64), _int64(affine.zero_point), affine.bits)


def nearest(reals: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """int64 integers nearest to reals / scale, ties away from zero, in float64: how constants are quantized."""
    quotients = tf.cast(reals, tf.float64) / scale
    return tf.cast(tf.sign(quotients) * tf.floor(tf.abs(quotients) + 0.5), tf.int64)


def quantize(reals: tf.Tensor, form: Form) -> Integers:
    """QUANTIZE of finite float32 reals: ties away from zero."""
    quotients = tf.cast(tf.cast(reals, tf.float32) / tf.cast(form.scale, tf.float32), tf.float64)
    bound = 2.0 ** (form.bits + 1)  # beyond every integer of the form, whatever its zero point
    quotients = tf.clip_by_value(quotients, -bound, bound)
    rounded = tf.sign(quotients) * tf.floor(tf.abs(quotients) + 0.5)
    return _saturated(tf.cast(rounded, tf.int64) + form.zero_point, form)


def dequantize(integers: Integers) -> tf.Tensor:
    """DEQUANTIZE: float32 reals of the same shape."""
    values, form = integers
    return tf.cast(form.scale * tf.cast(values - form.zero_point, tf.float64), tf.float32)


def requantize(integers: Integers, form: Form) -> Integers:
    """QUANTIZE of integers: another scale, zero point or width."""
    multiplier = _multiplier(integers.form.scale / form.scale)
    return _saturated(_rescale(_centred(integers), multiplier) + form.zero_point, form)


def add(a: Integers, b: Integers, form: Form) -> Integers:
    """ADD (int16: without power-of-two scales); shapes broadcast."""
    return _sum(a, b, _centred(b), form)


def sub(a: Integers, b: Integers, form: Form) -> Integers:
    """SUB (int16: without power-of-two scales); shapes broadcast."""
    return _sum(a, b, -_centred(b), form)


def mul(a: Integers, b: Integers, form: Form) -> Integers:
    """MUL; shapes broadcast."""
    multiplier = _multiplier(a.form.scale * b.form.scale / form.scale)
    return _saturated(_rescale(_centred(a) * _centred(b), multiplier) + form.zero_point, form)


def relu(integers: Integers) -> Integers:
    """RELU into the same quantization."""
    return integers._replace(values=tf.maximum(integers.values, integers.form.zero_point))


def maximum(a: Integers, b: Integers) -> Integers:
    """MAXIMUM of two tensors of one quantization; shapes broadcast."""
    return a._replace(values=tf.maximum(a.values, b.values))


def minimum(a: Integers, b: Integers) -> Integers:
    """MINIMUM of two tensors of one quantization; shapes broadcast."""
    return a._replace(values=tf.minimum(a.values, b.values))


def batch_matmul(integers: Integers, weights: Integers, form: Form, bias: tf.Tensor | None = None) -> Integers:
    """int8 BATCH_MATMUL, and FULLY_CONNECTED: (..., inputs) by symmetric weights (inputs, outputs).

    Args:
        bias: of FULLY_CONNECTED, int64 (outputs,) in quanta of scale(integers) * scale(weights).
    """
    multiplier = _multiplier(integers.form.scale * weights.form.scale / form.scale)
    sums = _products(integers, weights)
    return _saturated(_rescale(sums if bias is None else sums + bias, multiplier) + form.zero_point, form)


def fully_connected(integers: Integers, weights: Integers, bias: tf.Tensor | None, form: Form) -> Integers:
    """FULLY_CONNECTED 16x8: int16 (..., inputs) by symmetric int8 weights (inputs, outputs).

    Args:
        bias: int64 (outputs,) in quanta of scale(integers) * scale(weights); None is an operator without bias.
    """
    multiplier = _multiplier(integers.form.scale * weights.form.scale / form.scale)
    sums = _products(integers, weights)
    return _saturated(_rescale_64(sums if bias is None else sums + bias, multiplier), form)


def logistic(integers: Integers) -> Integers:
    """LOGISTIC, into the quantization its kernel fixes."""
    form = constant_form(SIGMOID_OUTPUT[integers.form.bits])
    if form.bits == 8:
        return Integers(_looked_up(integers, logistic_int8), form)
    inputs = _table_inputs(integers, shifts=(0,))
    results = _interpolated(tf.abs(inputs), 9, beyond=0x7FFF << 10)
    results = tf.where(inputs >= 0, results + (1 << 9), (1 << 25) - results + (1 << 9) - 1)
    return Integers(tf.bitwise.right_shift(results, _int64(10)), form)


def tanh(integers: Integers) -> Integers:
    """TANH, into the quantization its kernel fixes."""
    form = constant_form(TANH_OUTPUT[integers.form.bits])
    if form.bits == 8:
        return Integers(_looked_up(integers, tanh_int8), form)
    inputs = _table_inputs(integers, shifts=(0, 1))
    results = _interpolated(tf.abs(inputs), 8, beyond=0xFFFF << 8) - (1 << 23)
    results = tf.where(inputs >= 0, results, -results - 1) + (1 << 7)
    return Integers(tf.bitwise.right_shift(results, _int64(8)), form)


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _saturated(values: tf.Tensor, form: Form) -> Integers:
    return Integers(tf.clip_by_value(values, form.smallest, form.largest), form)


def _centred(integers: Integers) -> tf.Tensor:
    return integers.values - integers.form.zero_point


def _sum(a: Integers, b: Integers, addend: tf.Tensor, form: Form) -> Integers:
    """a + addend, an int of the scale of b: both brought to one scale, with bits to spare, then to that of `form`."""
    headroom = 1 << (15 if form.bits == 16 else 20)
    greatest = 2 * tf.maximum(a.form.scale, b.form.scale)
    total = _rescale(_centred(a) * headroom, _multiplier(a.form.scale / greatest))
    total += _rescale(addend * headroom, _multiplier(b.form.scale / greatest))
    return _saturated(_rescale(total, _multiplier(greatest / (headroom * form.scale))) + form.zero_point, form)


def _products(integers: Integers, weights: Integers) -> tf.Tensor:
    """Sums of products, in float64: faster than integers and as exact, up to 2 ** 53."""
    values, matrix = (tf.cast(part, tf.float64) for part in (_centred(integers), weights.values))
    return tf.cast(tf.matmul(values, matrix), tf.int64)


def _fraction(real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A positive float64 as int64 (fraction, exponent): fraction * 2 ** (exponent - 53), fraction of 53 bits."""
    bits = tf.bitcast(real, tf.int64)
    fraction = tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, (1 << 52) - 1), _int64(1 << 52))
    return fraction, tf.bitwise.right_shift(bits, _int64(52)) - 1022


def _multiplier(real: tf.Tensor) -> Multiplier:
    """The positive real rounded to 31 bits, as the kernels prepare it."""
    fraction, exponent = _fraction(real)
    fixed = tf.bitwise.right_shift(fraction + (1 << 21), _int64(22))
    carry = tf.bitwise.right_shift(fixed, _int64(31))
    return Multiplier(tf.bitwise.right_shift(fixed, carry), exponent + carry)


def _rescale(values: tf.Tensor, multiplier: Multiplier) -> tf.Tensor:
    """values * multiplier rounded twice: before the shift to the right halves go up, after it away from zero."""
    zero = _int64(0)
    left, right = tf.maximum(multiplier.exponent, zero), tf.maximum(-multiplier.exponent, zero)
    products = tf.bitwise.left_shift(values, left) * multiplier.fixed
    high = tf.bitwise.right_shift(products + (1 << 30), _int64(31))
    half = tf.bitwise.right_shift(tf.bitwise.left_shift(_int64(1), right), _int64(1))
    # A negative half must go down: 1 less, but nothing where nothing is shifted out.
    down = tf.maximum(tf.bitwise.right_shift(high, _int64(63)), -half)
    return tf.bitwise.right_shift(high + (half + down), right)


def _rescale_64(values: tf.Tensor, multiplier: Multiplier) -> tf.Tensor:
    """values * multiplier as for 64-bit sums: a multiplier of 15 bits, rounded once, halves upwards."""
    reduced = tf.minimum(tf.bitwise.right_shift(multiplier.fixed + (1 << 15), _int64(16)), _int64(0x7FFF))
    shift = 15 - multiplier.exponent
    half = tf.bitwise.left_shift(_int64(1), shift - 1)
    return tf.bitwise.right_shift(values * reduced + half, shift)


LAST_INTERVAL = 254  # of the table of sigmoid


def _table_inputs(integers: Integers, shifts: tuple[int, ...]) -> tf.Tensor:
    """int16 inputs in quanta of 2 ** -12 / 3.

    Args:
        shifts: a scale of 2 ** (shift - 12), or within 0.1 % of an octave of it, takes a short cut.
    """
    fraction, exponent = _fraction(integers.form.scale * (3 << 12))
    # The kernels double the factor while it is at most 32767 / 2: where that leaves no 15 bits, it has 14.
    full = tf.cast(fraction > (32767 << 38), tf.int64)
    shift = tf.clip_by_value(15 - exponent - full, 0, 31)
    factor = tf.bitwise.right_shift(fraction, 53 - exponent - shift)
    octaves = tf.math.log(integers.form.scale) / np.log(2) + 12
    for short in shifts:
        is_short = tf.abs(octaves - short) < 1e-3
        factor, shift = tf.where(is_short, _int64(3 << short), factor), tf.where(is_short, _int64(0), shift)
    half = tf.bitwise.right_shift(tf.bitwise.left_shift(_int64(1), shift), _int64(1))
    return tf.bitwise.right_shift(integers.values * factor + half, shift)


def _interpolated(positions: tf.Tensor, bits: int, beyond: int) -> tf.Tensor:
    """Table values in units of 2 ** (-16 - bits) at positions with `bits` bits after the point; `beyond` its end."""
    table = sigmoid_table()
    whole = tf.bitwise.right_shift(positions, _int64(bits))
    index = tf.minimum(whole, LAST_INTERVAL)
    rest = tf.bitwise.bitwise_and(positions, _int64((1 << bits) - 1))
    inside = tf.gather(table << bits, index) + rest * tf.gather(np.diff(table), index)
    return tf.where(whole > LAST_INTERVAL, _int64(beyond), inside)


# int8 LOGISTIC and TANH: functions, with 256 values, of a fixed-point number with 4 integer and 27 fractional bits.
def _looked_up(integers: Integers, function: Callable[[np.ndarray], np.ndarray]) -> tf.Tensor:
    every = tf.range(-128, 128, dtype=tf.int64) - integers.form.zero_point
    multiplier = _multiplier(integers.form.scale * (1 << 27))
    radius = tf.bitwise.right_shift(_int64(15 << 27), multiplier.exponent)  # more overflows; the outputs end before
    inputs = _rescale(tf.clip_by_value(every, -radius, radius), multiplier)
    starts, outputs = _steps(function)
    table = tf.gather(outputs, tf.searchsorted(starts, inputs, side="right"))
    return tf.gather(table, integers.values + 128)


@cache
def _steps(function: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A step function to int8 as the inputs where it changes, ascending, and the outputs before, between and after.

    Bisection finds where each output is reached; rounding makes the function waver on the last few inputs around it.
    """
    goals = np.arange(-127, 128)
    below, reached = np.full(255, -(1 << 31)), np.full(255, (1 << 31) - 1)
    while (reached - below).max() > 1:
        middle = (below + reached) >> 1
        is_reached = function(middle) >= goals
        below, reached = np.where(is_reached, below, middle), np.where(is_reached, middle, reached)
    inputs = np.unique(reached[:, None] + np.arange(-16, 17))
    outputs = function(inputs)
    changes = 1 + np.flatnonzero(np.diff(outputs))
    return inputs[changes], outputs[np.concatenate([[0], changes])]
