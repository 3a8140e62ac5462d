"""The functions that TensorFlow Lite Micro's integer LOGISTIC and TANH compute or look up, in numpy, bit for bit.

Source of the arithmetic: TensorFlow Lite Micro's reference kernels and gemmlowp's fixed point.
"""

from functools import cache

import numpy as np

# int16 LOGISTIC and TANH: a table of sigmoid(i / 24) in units of 2 ** -16, linear in between. The table of the kernels
# is rounded to nearest but for these entries, which are 1 more.
# fmt: off
ROUNDED_UP = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46,
    49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)
# fmt: on


@cache
def sigmoid_table() -> np.ndarray:
    """int64 (256,): sigmoid(i / 24) in units of 2 ** -16, between whose entries int16 LOGISTIC and TANH interpolate."""
    table = np.round(2**16 / (1 + np.exp(-np.arange(256) / 24))).astype(np.int64)
    table[list(ROUNDED_UP)] += 1
    return table


# What follows is gemmlowp's fixed point on int64 arrays that hold int32 numbers.
LARGEST = (1 << 31) - 1


def logistic_int8(inputs: np.ndarray) -> np.ndarray:
    """int8 LOGISTIC, with output scale 1/256 and zero point -128, of numbers with 27 fractional bits."""
    positive = np.minimum(_one_over_one_plus(_exp_of_negative(-np.abs(inputs), 4)) << 1, LARGEST)
    results = np.where(inputs > 0, positive, LARGEST - positive)
    return np.clip(_rounded_shift(np.where(inputs == 0, 1 << 30, results), 23) - 128, -128, 127)


def tanh_int8(inputs: np.ndarray) -> np.ndarray:
    """int8 TANH, with output scale 1/128, of numbers with 27 fractional bits.

    (1 - exp(-2 x)) / (1 + exp(-2 x)): the same bits with one integer bit more are 2 x.
    """
    ratio = _one_over_one_plus(_exp_of_negative(-np.abs(inputs), 5)) - (1 << 29)
    positive = np.minimum(ratio << 2, LARGEST)
    return np.clip(_rounded_shift(np.sign(inputs) * positive, 24), -128, 127)


def _product(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """The product of numbers with 31 fractional bits, halves upwards."""
    return (a * b + (1 << 30)) >> 31


def _rounded_shift(values: np.ndarray, bits: int) -> np.ndarray:
    """values / 2 ** bits, halves away from zero."""
    return (values + (1 << bits - 1) - (values < 0)) >> bits


def _exp_of_negative(inputs: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp of numbers <= 0, with 31 fractional bits: a Taylor series below 1/4, times a constant per further bit."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << fraction_bits - 2
    small = (inputs & quarter - 1) - quarter
    x = (small << integer_bits) + (1 << 28)  # around -1/8
    x2 = _product(x, x)
    x3, x4 = _product(x2, x), _product(x2, x2)
    series = x + _rounded_shift(_product(_rounded_shift(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + _product(series, 1895147668)
    constants = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)  # exp(-(2 ** power)), from -2
    for power, constant in zip(range(-2, integer_bits), constants, strict=False):
        has_bit = (small - inputs) & (1 << fraction_bits + power) != 0
        result = np.where(has_bit, _product(result, constant), result)
    return np.where(inputs == 0, LARGEST, result)


def _one_over_one_plus(x: np.ndarray) -> np.ndarray:
    """2 / (1 + x) for 0 <= x <= 1, from 31 fractional bits to 29: Newton's division."""
    half = (x + (1 << 31)) >> 1
    result = 1515870810 + _product(half, -1010580540)
    for _ in range(3):
        result = result + (_product(result, (1 << 29) - _product(half, result)) << 2)
    return result
