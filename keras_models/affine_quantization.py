"""Affine quantization: real = scale * (integer - zero_point), as TensorFlow Lite defines it.

Source of the formulas: TensorFlow Lite 8-bit quantization specification, and the range nudging of
`tf.quantization.fake_quant_with_min_max_vars`, whose result a converted tensor must reproduce exactly.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Affine:
    """The quantization of one tensor of int8 or int16. `scale` holds a float32 value; int16 has zero_point 0."""

    scale: float
    zero_point: int
    bits: int = 8

    @property
    def dtype(self) -> str:
        return f"int{self.bits}"

    @property
    def minimum_integer(self) -> int:
        return -(1 << self.bits - 1)

    @property
    def maximum_integer(self) -> int:
        return (1 << self.bits - 1) - 1

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """Nearest integers (ties away from zero, as the QUANTIZE kernel), saturated; NaN is refused."""
        real = np.asarray(real, np.float64)
        if np.isnan(real).any():
            raise ValueError("a NaN cannot be quantized")
        scaled = real / np.float64(np.float32(self.scale))
        rounded = np.sign(scaled) * np.floor(np.abs(scaled) + 0.5)
        return np.clip(rounded + self.zero_point, self.minimum_integer, self.maximum_integer).astype(self.dtype)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """float32 reals of the same shape."""
        return (np.asarray(integers, np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest real that can be represented."""
        low, high = self.minimum_integer - self.zero_point, self.maximum_integer - self.zero_point
        return self.scale * low, self.scale * high


# Fixed by the kernels, by width: LOGISTIC and TANH accept no other output quantization.
SIGMOID_OUTPUT = {8: Affine(1 / 256, -128), 16: Affine(1 / 32768, 0, 16)}
TANH_OUTPUT = {8: Affine(1 / 128, 0), 16: Affine(1 / 32768, 0, 16)}


# Bits of a float32 scale that are dropped, leaving 12 of its 24: the product of two scales is then exact in float32.
# LiteRT multiplies input and weight scale in float32, TensorFlow Lite Micro in float64; only where the product is exact
# do both rescale a sum to the same integer, always.
DROPPED_BITS = 12


def short_scale(scale: float) -> float:
    """The nearest float32 with a 12-bit significand."""
    bits = np.float32(scale).view(np.int32)
    kept = (bits + np.int32(1 << DROPPED_BITS - 1)) & np.int32(-1 << DROPPED_BITS)
    return float(kept.view(np.float32))


def odd_scale(scale: float) -> float:
    """The nearest float32 whose significand has 12 bits, the last of them set.

    Integers of this scale, added to those of a power of two, never lie halfway between two of the latter: LiteRT's
    built-in ADD rounds a negative tie up, its reference kernel and TensorFlow Lite Micro's away from zero.
    """
    bits = np.float32(scale).view(np.int32)
    kept = bits & np.int32(-1 << DROPPED_BITS) | np.int32(1 << DROPPED_BITS)
    return float(kept.view(np.float32))


def affine_from_range(minimum: float, maximum: float, unit: float = 1.0, bits: int = 8) -> Affine:
    """The quantization that fake quantization over [minimum, maximum] uses, its scale shortened.

    The range is widened to hold 0. For int8 it is nudged so that 0 is exactly an integer, as the kernel of
    `fake_quant_with_min_max_vars` does; for int16 it is made symmetric. A range of the result gives the same again.

    Args:
        unit: the scale becomes `unit` times an odd 12-bit number. For the factor of a MUL `unit` is the scale of the
            product: LiteRT divides the two in float32, TensorFlow Lite Micro in float64, and so the quotient is exact.

    Raises:
        ValueError: the range is empty or not finite.
    """
    low, high = np.float32(min(minimum, 0.0)), np.float32(max(maximum, 0.0))
    if not (np.isfinite(low) and np.isfinite(high)) or low >= high:
        raise ValueError(f"expected a finite range with minimum < maximum, got [{minimum}, {maximum}]")
    if bits == 16:
        ratio = odd_scale(max(-low, high) / np.float32(32767) / np.float32(unit))
        # Within 0.1 % of an octave of a power of two LiteRT's int16 LOGISTIC and TANH go another way, 11 quanta off.
        octave = np.log2(unit * ratio)
        if abs(octave - np.round(octave)) < 2e-3:
            ratio = odd_scale(ratio * (1 + 2.0**-8))
        return Affine(unit * ratio, 0, 16)
    scale = unit * odd_scale((high - low) / np.float32(255) / np.float32(unit))
    from_zero = np.clip(np.floor(-float(low) / scale + 0.5), 0, 255)
    return Affine(scale, int(from_zero) - 128)


def power_of_two_affine(minimum: float, maximum: float, bits: int) -> Affine:
    """A symmetric quantization whose scale is the least power of two that covers the range.

    For a MUL both of whose factors may have any scale: only a power of two keeps the quotient of scales exact.

    Raises:
        ValueError: the range is empty or not finite.
    """
    largest = np.max([-minimum, maximum])  # NaN if one is
    if not np.isfinite(largest) or largest <= 0:
        raise ValueError(f"expected a finite range with minimum < maximum, got [{minimum}, {maximum}]")
    return Affine(float(2.0 ** (np.ceil(np.log2(largest)) - (bits - 1))), 0, bits)


def symmetric_weight_scale(weights: np.ndarray) -> float:
    """Scale of int8 weights in [-127, 127], one for the whole tensor, shortened.

    Raises:
        ValueError: a weight is NaN or infinite.
    """
    largest = np.float32(np.max(np.abs(weights)))
    if not np.isfinite(largest):
        raise ValueError("expected finite weights, got NaN or infinity")
    return short_scale(largest / np.float32(127)) if largest > 0 else 1.0 / 128


def quantize_weights(weights: np.ndarray) -> tuple[np.ndarray, Affine]:
    """int8 weights of the same shape and their quantization (zero_point 0)."""
    affine = Affine(symmetric_weight_scale(weights), 0)
    return np.clip(affine.quantize(weights), -127, 127).astype(np.int8), affine
