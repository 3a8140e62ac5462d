"""The constants that TensorFlow Lite Micro's integer kernels prepare from scales, on Python's exact numbers.

Source: QuantizeMultiplier of TensorFlow Lite and the Prepare functions of TensorFlow Lite Micro's kernels.
"""

from math import floor, frexp, log2
from typing import NamedTuple

import numpy as np

from keras_models.activation_tables import logistic_int8, tanh_int8
from keras_models.affine_quantization import Affine

INT8_FUNCTIONS = {"LOGISTIC": logistic_int8, "TANH": tanh_int8}


class Multiplier(NamedTuple):
    """A positive real as fixed * 2 ** (shift - 31), 2 ** 30 <= fixed < 2 ** 31; or (0, 0), too small to count."""

    fixed: int
    shift: int


def multiplier(real: float) -> Multiplier:
    """The nearest to a positive real.

    Raises:
        ValueError: beyond what the kernels shift by.
    """
    fraction, shift = frexp(real)
    fixed = floor(fraction * 2**31 + 0.5)
    if fixed == 1 << 31:
        fixed, shift = fixed // 2, shift + 1
    if shift > 30:
        raise ValueError(f"scales are {real:.3g} apart; the kernels multiply by less than 2 ** 30")
    return Multiplier(fixed, shift) if shift >= -31 else Multiplier(0, 0)


def short_multiplier(real: float) -> Multiplier:
    """For 64-bit sums: 15 bits, real = fixed * 2 ** -shift."""
    fixed, shift = multiplier(real)
    return Multiplier(min(fixed + (1 << 15) >> 16, 0x7FFF), 15 - shift)


def rescale(values: np.ndarray, by: Multiplier) -> np.ndarray:
    """values * by, rounded twice as the kernels do: halves upwards, then after the shift away from zero."""
    left, right = max(by.shift, 0), max(-by.shift, 0)
    high = ((np.asarray(values, np.int64) << left) * by.fixed + (1 << 30)) >> 31
    mask = (1 << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def int8_table(kind: str, affine: Affine) -> np.ndarray:
    """int8 (256,): LOGISTIC or TANH of the inputs -128 ... 127 of this quantization."""
    by = multiplier(affine.scale * (1 << 27))
    radius = (15 << 27) >> max(by.shift, 0)  # beyond it the kernels give the end of the function
    inputs = np.clip(np.arange(-128, 128) - affine.zero_point, -radius, radius)
    return INT8_FUNCTIONS[kind](rescale(inputs, by)).astype(np.int8)


def int16_input(kind: str, scale: float) -> Multiplier:
    """What brings an int16 input of LOGISTIC or TANH to quanta of 2 ** -12 / 3: fixed * 2 ** -shift."""
    octaves = log2(scale) + 12
    short = round(octaves)
    if abs(octaves - short) < 1e-3 and short in {"LOGISTIC": (0,), "TANH": (0, 1)}[kind]:
        return Multiplier(3 << short, 0)
    real, shift = scale * 4096.0 * 3.0, 0
    while real <= 32767.0 / 2.0 and shift <= 30:
        real, shift = 2 * real, shift + 1
    return Multiplier(int(real), shift)
