"""A kernel's rescaling as one line of 32-bit integers, proven equal to it for every input there can be.

TensorFlow Lite Micro rescales with 64-bit products and rounds two or three times. What comes out is still a staircase:
non-decreasing, of at most 256 or 65,536 steps. A line, cut off by a shift, that passes between the two integers on both
sides of every step is that very staircase, and costs a small core one or two multiplications. (Halves are rounded away
from zero, so the line of negative values may lie a little lower.) Lines are searched at generation time, and each is
held against every step; where none is found the kernel's own arithmetic stays.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import floor, log2
from typing import NamedTuple

import numpy as np

NEAR = (0, 1, -1, 2, -2)  # slopes tried beside the nearest one
MOST = 2**31 - 1


class Line(NamedTuple):
    """(value * high + constant + (value * low >> bits)) >> shift, nowhere beyond 32 bits; of several values their sums.

    `high`, `low`: a number for each value. `below`: added to the constant where the value, a single one, is negative.
    """

    high: tuple[int, ...]
    low: tuple[int, ...]
    bits: int
    constant: int
    shift: int
    below: int = 0

    def of(self, *values: np.ndarray) -> np.ndarray:
        """int64, for a check."""
        high, low = (sum(by * np.asarray(v, np.int64) for by, v in zip(part, values, strict=True))
                     for part in (self.high, self.low))
        below = np.where(values[0] < 0, self.below, 0) if self.below else 0
        return (high + self.constant + below + (low >> self.bits)) >> self.shift


def exact_line(
    staircase: Callable[[np.ndarray], np.ndarray], slope: float, first: int, last: int, bounds: tuple[int, int]
) -> Line | None:
    """The line that, clamped to the bounds, equals a staircase on first ... last; None where none was found.

    Args:
        staircase: int64 array -> int64 array within the bounds, non-decreasing.
        slope: about its rise for each value, positive.
    """
    low, high = (int(staircase(np.array([end], np.int64))[0]) for end in (first, last))
    rises = np.arange(low + 1, high + 1, dtype=np.int64)
    starts = _starts(staircase, rises, first, last)
    not_below = np.append(starts, first), np.append(rises, low if low > bounds[0] else -MOST)
    not_above = np.append(starts - 1, last), np.append(rises - 1, high if high < bounds[1] else MOST)
    limits = [[_on_side(limit, is_negative) for limit in (not_below, not_above)] for is_negative in (False, True)]
    return _first_line((slope,), [(first, last)], limits)


def _on_side(limits: tuple[np.ndarray, np.ndarray], is_negative: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """Of (values, heights) those of one sign that limit anything."""
    values, heights = limits
    chosen = ((values < 0) == is_negative) & (np.abs(heights) < MOST)
    return [values[chosen]], heights[chosen]


def exact_plane(staircase: np.ndarray, slopes: tuple[float, float], bounds: tuple[int, int]) -> Line | None:
    """The same of two int8 values.

    Args:
        staircase: int64 (256, 256), what becomes of (a, b) at [a + 128, b + 128].
        slopes: about its rise for each a and each b.
    """
    a, b = (part.reshape(-1) for part in np.meshgrid(*[np.arange(-128, 128)] * 2, indexing="ij"))
    y = staircase.reshape(-1)
    above, below = y > bounds[0], y < bounds[1]
    limits = [[([a[above], b[above]], y[above]), ([a[below], b[below]], y[below])]]
    return _first_line(slopes, [(-128, 127)] * 2, limits)


Limits = tuple[Sequence[np.ndarray], np.ndarray]


def _first_line(slopes: Sequence[float], ranges: Sequence[tuple[int, int]], limits: list[list[Limits]]) -> Line | None:
    """The cheapest line within the limits of each side: without a low factor if that goes, in as many places as fit."""
    magnitude = sum(max(abs(first), abs(last), 1) for first, last in ranges)
    steepest = max(max(abs(slope) for slope in slopes), 2.0**-31)
    places = min(31, floor(log2(2.0**31 / (magnitude * steepest))))
    for bits in (0, 31 - magnitude.bit_length()):
        for octaves in range(bits + places, bits - 1, -1):
            line = next(filter(None, _lines(slopes, bits, octaves, limits)), None)
            if line and _holds_32_bits(line, ranges):
                return line
            if line is None:  # fewer places find no more
                break
    return None


def _lines(slopes: Sequence[float], bits: int, octaves: int, limits: list[list[Limits]]) -> Iterator[Line | None]:
    """Lines with factors of 2 ** -octaves about the slopes, the nearest first."""
    for near in sorted(product(NEAR, repeat=len(slopes)), key=lambda steps: max(map(abs, steps))):
        factors = tuple(floor(slope * 2.0**octaves + 0.5) + by for slope, by in zip(slopes, near, strict=True))
        yield _line(factors, bits, octaves, *(_constants(factors, bits, octaves, *side) for side in limits))


def _constants(factors: tuple[int, ...], bits: int, octaves: int, not_below: Limits, not_above: Limits) -> tuple:
    """(least, greatest) constant of the line with these factors of 2 ** -octaves that keeps to both limits.

    A limit is (values, heights): there the line may not be less, or not be more, than the height.
    """
    low, high = -MOST, MOST
    (values, heights) = not_below
    if heights.size:
        low = int((-((_summed(factors, values) - (heights << octaves)) >> bits)).max())
    (values, heights) = not_above
    if heights.size:
        high = int(((((heights + 1) << octaves) - 1 - _summed(factors, values)) >> bits).min())
    return low, high


def _line(factors: tuple[int, ...], bits: int, octaves: int, *sides: tuple[int, int]) -> Line | None:
    """With constants between those of each side: one for both where that goes; None where a side has none."""
    if any(low > high for low, high in sides):
        return None
    low, high = max(low for low, _ in sides), min(high for _, high in sides)
    constants = [(low + high) // 2] if low <= high else [(low + high) // 2 for low, high in sides]
    mask = (1 << bits) - 1
    parts = tuple(factor >> bits for factor in factors), tuple(factor & mask for factor in factors)
    return Line(*parts, bits, constants[0], octaves - bits, constants[-1] - constants[0])


def _summed(factors: tuple[int, ...], values: Sequence[np.ndarray]) -> np.ndarray:
    return sum(factor * value.astype(np.int64) for factor, value in zip(factors, values, strict=True))


def _holds_32_bits(line: Line, ranges: Sequence[tuple[int, int]]) -> bool:
    """Whether no part of the line overflows, in whatever order its terms are added."""
    high, low = (sum(max(abs(by * first), abs(by * last)) for by, (first, last) in zip(part, ranges, strict=True))
                 for part in (line.high, line.low))
    return low <= MOST and high + abs(line.constant) + abs(line.below) + (low >> line.bits) + 1 <= MOST


def _starts(staircase: Callable, rises: np.ndarray, first: int, last: int) -> np.ndarray:
    """Where each height is reached first, by bisection."""
    below, there = np.full(rises.shape, first, np.int64), np.full(rises.shape, last, np.int64)
    while np.any(there - below > 1):
        middle = (below + there) >> 1
        reached = staircase(middle) >= rises
        there, below = np.where(reached, middle, there), np.where(reached, below, middle)
    return there
