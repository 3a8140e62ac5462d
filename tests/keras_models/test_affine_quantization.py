"""Affine quantization against TensorFlow's fake-quantization kernels and its QUANTIZE kernel."""

import numpy as np
import pytest
import tensorflow as tf

from keras_models.affine_quantization import (
    Affine,
    affine_from_range,
    power_of_two_affine,
    quantize_weights,
    symmetric_weight_scale,
)

RANGES = [(-1.0, 1.0), (0.0, 6.0), (-3.0, 0.0), (0.5, 6.0), (-6.0, -0.5), (-1e-6, 2e-6), (-1e6, 3.3), (-0.001, 500.0)]
RANGES += [tuple(sorted(pair)) for pair in np.random.default_rng(0).normal(0, 5, (40, 2))]


def twelve_bits(scale):
    """The scale with a significand of 12 bits, by frexp: products of two such scales are exact in float32."""
    significand, exponent = np.frexp(np.float64(np.float32(scale)))
    return np.ldexp(np.floor(significand * 4096 + 0.5) / 4096, exponent)


def odd_twelve_bits(scale):
    """As `twelve_bits`, with the last of the 12 set."""
    significand, exponent = np.frexp(np.float64(np.float32(scale)))
    return np.ldexp((2 * np.floor(significand * 2048) + 1) / 4096, exponent)


def values_around(low, high, count=2000, seed=1):
    rng = np.random.default_rng(seed)
    span = max(high, 0) - min(low, 0)
    return rng.uniform(min(low, 0) - span / 4, max(high, 0) + span / 4, count).astype(np.float32)


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_equals_fake_quantization(low, high):
    """A range is widened to hold zero, its scale shortened; over that range the kernel gives the same values."""
    affine, values = affine_from_range(low, high), values_around(low, high)
    scale = odd_twelve_bits(np.float32(max(high, 0.0) - min(low, 0.0)) / np.float32(255))
    assert affine.scale == scale
    assert abs(scale * (-128 - affine.zero_point) - min(low, 0.0)) <= 0.6 * scale
    lowest, highest = (np.float32(scale * (integer - affine.zero_point)) for integer in (-128, 127))
    expected = tf.quantization.fake_quant_with_min_max_vars(values, lowest, highest).numpy()
    ours = affine.dequantize(affine.quantize(values))
    # A float32 quotient rounds: a value within 1e-4 of a quantum of a tie may go to the other side.
    tie = np.abs(values / scale - np.floor(values / scale) - 0.5) < 1e-4
    np.testing.assert_allclose(ours[~tie], expected[~tie], rtol=1e-6, atol=scale * 1e-3)
    np.testing.assert_allclose(ours[tie], expected[tie], rtol=0, atol=scale * 1.001)
    assert tie.mean() < 0.01


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_the_range_of_a_result_gives_the_same_result(low, high, bits):
    affine = affine_from_range(low, high, bits=bits)
    assert affine_from_range(*affine.range, bits=bits) == affine


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_int16_is_symmetric(low, high):
    """zero_point 0, the whole range, but for the rounding of the scale to 11 bits and 0.4 % beside a power of two."""
    affine = affine_from_range(low, high, bits=16)
    largest = max(-low, high, 0)
    assert (affine.zero_point, affine.bits, affine.dtype) == (0, 16, "int16")
    assert affine.scale == odd_twelve_bits(affine.scale)
    assert 1 - 1 / 2048 < 32767 * affine.scale / largest < 1 + 1 / 210
    values = values_around(low, high)
    expected = tf.quantization.fake_quant_with_min_max_vars(values, *affine.range, num_bits=16).numpy()
    ours = affine.dequantize(affine.quantize(values))
    assert np.mean(np.abs(ours - expected) > affine.scale * 0.01) < 0.02  # ties of a float32 quotient


@pytest.mark.parametrize("factor", np.linspace(-0.004, 0.004, 33))
def test_int16_keeps_away_from_powers_of_two(factor):
    """Within 0.1 % of an octave of one LiteRT's int16 LOGISTIC and TANH take a short cut, 11 quanta off."""
    affine = affine_from_range(-32767 * 2.0 ** (factor - 12), 1.0, bits=16)
    octave = np.log2(affine.scale)
    assert abs(octave - round(octave)) > 1.5e-3 and abs(octave + 12 - factor) < 8e-3
    assert affine.scale == odd_twelve_bits(affine.scale)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("seed", range(30))
def test_of_a_factor_the_quotient_with_the_product_is_short(seed, bits):
    """Then LiteRT (float32) and TensorFlow Lite Micro (float64) rescale a MUL by the same number."""
    rng = np.random.default_rng(seed)
    unit = affine_from_range(*np.sort(rng.normal(0, 5, 2)), bits=bits).scale
    # Every third scale just beside a power of two, from which int16 keeps away elsewhere.
    limit = 32767 * 2.0 ** rng.integers(-14, -8) if seed % 3 == 0 else abs(rng.normal(0, 5))
    affine = affine_from_range(-limit, limit / 2, unit, bits)
    quotient = affine.scale / unit
    assert quotient == odd_twelve_bits(quotient)
    assert np.float64(np.float32(affine.scale) / np.float32(unit)) == quotient
    span = 1.5 * limit / 255 if bits == 8 else limit / 32767
    assert 1 - 1 / 2048 < affine.scale / span < 1 + 1 / 240


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_beside_a_power_of_two_there_are_no_ties(low, high):
    """No int8 of any range lies halfway between two integers of a power of two, up to 8 times finer than its own."""
    scale = affine_from_range(low, high).scale
    for power_of_two in 2.0 ** (np.floor(np.log2(scale)) + np.arange(-2, 8)):
        halves = np.arange(-255, 256) * scale / power_of_two % 1
        assert (halves != 0.5).all()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.9), (-0.3, 1.0), (-5.0, 8.001), (-2e-6, 1e-6), (0.0, 300.0)])
def test_the_least_power_of_two_that_covers_a_range(low, high, bits):
    affine = power_of_two_affine(low, high, bits)
    largest, limit = max(-low, high), affine.scale * 2 ** (bits - 1)
    assert np.log2(affine.scale) % 1 == 0 and affine.zero_point == 0 and affine.bits == bits
    assert limit / 2 < largest <= limit
    assert power_of_two_affine(*affine.range, bits) == affine


@pytest.mark.parametrize("seed", range(20))
def test_the_product_of_two_scales_is_exact_in_float32(seed):
    one, other = (affine_from_range(*pair).scale for pair in np.sort(np.random.default_rng(seed).normal(0, 5, (2, 2))))
    assert np.float64(np.float32(one) * np.float32(other)) == one * other


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_zero_is_an_integer_and_the_range_its_ends(low, high):
    affine = affine_from_range(low, high)
    assert -128 <= affine.zero_point <= 127
    assert affine.dequantize(affine.quantize(0.0)) == 0
    assert np.float32(affine.scale) == affine.scale
    np.testing.assert_array_equal(affine.quantize(np.array([-1e30, 1e30])), [-128, 127])
    np.testing.assert_allclose(affine.range, affine.dequantize(np.array([-128, 127])), rtol=1e-5, atol=1e-12)


def test_every_integer_survives():
    integers = np.arange(-128, 128)
    for low, high in RANGES:
        affine = affine_from_range(low, high)
        np.testing.assert_array_equal(affine.quantize(affine.dequantize(integers)), integers)


def test_ties_go_away_from_zero_as_in_the_kernel():
    np.testing.assert_array_equal(Affine(1.0, 0).quantize(np.array([0.5, -0.5, 1.5, -1.5, 2.5])), [1, -1, 2, -2, 3])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (np.nan, 1.0), (-1.0, np.nan), (0.0, np.inf), (-np.inf, 0.0)])
def test_a_range_that_is_none(low, high):
    for bits in (8, 16):
        with pytest.raises(ValueError, match="finite range"):
            affine_from_range(low, high, bits=bits)
        with pytest.raises(ValueError, match="finite range"):
            power_of_two_affine(low, high, bits)


def test_not_a_number():
    with pytest.raises(ValueError, match="NaN"):
        Affine(0.1, 0).quantize(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="finite weights"):
        symmetric_weight_scale(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="finite weights"):
        symmetric_weight_scale(np.array([1.0, np.inf]))


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_symmetric(seed):
    """[-127, 127], zero point 0, one short scale: what TensorFlow's narrow-range fake quantization does with it."""
    weights = np.random.default_rng(seed).normal(0, seed + 0.1, (7, 5)).astype(np.float32)
    integers, affine = quantize_weights(weights)
    assert affine.scale == twelve_bits(np.abs(weights).max() / np.float32(127))
    largest = np.float32(127 * affine.scale)
    expected = tf.quantization.fake_quant_with_min_max_vars(weights, -largest, largest, narrow_range=True).numpy()
    np.testing.assert_allclose(affine.dequantize(integers), expected, rtol=1e-5, atol=affine.scale * 1e-3)
    assert affine.zero_point == 0 and np.abs(integers.astype(int)).max() == 127
    np.testing.assert_array_equal(quantize_weights(-weights)[0], -integers)


def test_weights_all_zero():
    integers, affine = quantize_weights(np.zeros((2, 2)))
    assert (integers == 0).all() and affine.scale > 0
