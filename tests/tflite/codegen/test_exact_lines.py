"""A line is its staircase for every input, in 32 bits at every operation."""

import numpy as np
import pytest

from tflite.codegen.exact_lines import Line, exact_line, exact_plane
from tflite.codegen.fixed_point import Multiplier, multiplier, rescale

RNG = np.random.default_rng(0)
INT8 = (-128, 127)


def in_32_bits(line, *values):
    """What the C computes, each intermediate checked to be an int32."""

    def checked(numbers):
        assert np.abs(numbers).max() < 2**31
        return numbers

    values = [np.asarray(value, np.int64) for value in values]
    high = checked(sum(checked(value * by) for value, by in zip(values, line.high, strict=True)))
    low = checked(sum(checked(value * by) for value, by in zip(values, line.low, strict=True)))
    below = (values[0] >> 31) & line.below if line.below else 0
    return checked(checked(checked(high + line.constant) + below) + (low >> line.bits)) >> line.shift


def rescaled_sum(scale, zero, reach):
    by = multiplier(scale)
    return lambda values: np.clip(rescale(values, by) + zero, *INT8), scale, -reach, reach


# Scales and reaches as a row of 8 to 64 weights has them; the last two are those of a product of two int8.
@pytest.mark.parametrize("scale", [0.003, 0.0017, 2.0**-8, 0.0009, 0.0051, 0.0101])
@pytest.mark.parametrize(("reach", "zero"), [(16_000, 5), (200_000, -19), (65_025, 0), (33_000, 100)])
def test_a_line_is_the_rescaling_of_every_sum(scale, reach, zero):
    staircase, *ends = rescaled_sum(scale, zero, reach)
    line = exact_line(staircase, *ends, INT8)
    every = np.arange(-reach, reach + 1)
    np.testing.assert_array_equal(np.clip(in_32_bits(line, every), *INT8), staircase(every))
    np.testing.assert_array_equal(line.of(every), in_32_bits(line, every))


@pytest.mark.parametrize("bounds", [(-128, 127), (0, 100), (-20, 127)])
def test_bounds_closer_than_the_type(bounds):
    staircase = lambda values: np.clip(rescale(values, multiplier(0.004)), *bounds)  # noqa: E731
    line, every = exact_line(staircase, 0.004, -90_000, 90_000, bounds), np.arange(-90_000, 90_001)
    np.testing.assert_array_equal(np.clip(in_32_bits(line, every), *bounds), staircase(every))


def test_no_line_where_there_is_none():
    """Halves of both signs away from zero, ten times over: no straight line does that."""
    crooked = lambda values: np.where(values < 500, values // 10, values // 7 - 21)  # noqa: E731
    assert exact_line(crooked, 0.1, 0, 1000, (-200, 200)) is None


@pytest.mark.parametrize("seed", range(12))
def test_a_plane_is_the_sum_of_every_pair(seed):
    rng = np.random.default_rng(seed)
    scales, zeros = rng.uniform(0.01, 0.06, 3), rng.integers(-100, 100, 3)
    greatest, every, sign = 2 * scales[:2].max(), np.arange(-128, 128), int(rng.choice([-1, 1]))
    by = [multiplier(scale / greatest) for scale in scales[:2]]
    by[1] = Multiplier(sign * by[1].fixed, by[1].shift)
    a, b = (rescale((every - zero) << 20, one) for zero, one in zip(zeros, by, strict=False))
    total = rescale(a[:, None] + b[None], multiplier(greatest / ((1 << 20) * scales[2])))
    staircase = np.clip(total + zeros[2], *INT8)
    line = exact_plane(staircase, (scales[0] / scales[2], sign * scales[1] / scales[2]), INT8)
    values = np.meshgrid(every, every, indexing="ij")
    np.testing.assert_array_equal(np.clip(in_32_bits(line, *values), *INT8), staircase)


def test_a_line_that_is_off_by_one_is_not_taken_for_exact():
    staircase, *ends = rescaled_sum(0.0031, 4, 100_000)
    line, every = exact_line(staircase, *ends, INT8), np.arange(-100_000, 100_001)
    moved = Line(line.high, line.low, line.bits, line.constant + (1 << line.shift - 4), line.shift, line.below)
    assert (np.clip(moved.of(every), *INT8) != staircase(every)).any()
