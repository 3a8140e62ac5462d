"""Statistics of float32 readings, exact: sums are whole numbers, so that their order can never matter.

Every finite float32 is a multiple of 2^-149. Sums of readings are kept in that unit and sums of squares in its square,
as integers of any size; only the mean and the standard deviation at the end are rounded, once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

UNIT_BITS = 149


@dataclass(frozen=True)
class Moments:
    """`bins` seen, `number` with a reading; `total` in 2^-149 and `squares` in 2^-298 of the unit; range."""

    bins: int = 0
    number: int = 0
    total: int = 0
    squares: int = 0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def mean(self) -> float:
        return self.total / (self.number << UNIT_BITS) if self.number else 0.0

    @property
    def std(self) -> float:
        """Population standard deviation, in the unit of the column."""
        spread = self.number * self.squares - self.total**2
        return math.sqrt(spread / (self.number**2 << 2 * UNIT_BITS)) if self.number else 0.0

    def as_dict(self) -> dict[str, float | None]:
        """As in dataset.json; without any reading there are only nulls."""
        known = self.number > 0
        return {
            "mean": self.mean if known else None,
            "std": self.std if known else None,
            "min": self.minimum,
            "max": self.maximum,
            "missing_share": 1 - self.number / self.bins if self.bins else None,
        }


def moments_of(values: np.ndarray) -> Moments:
    """Moments of float32 values (bins,), NaN = no reading."""
    present = values[~np.isnan(values)]
    if not len(present):
        return Moments(len(values))
    total, squares = exact_sums(present)
    return Moments(len(values), len(present), total, squares, float(present.min()), float(present.max()))


def exact_sums(values: np.ndarray) -> tuple[int, int]:
    """The sum of finite float32 values in 2^-149 and of their squares in 2^-298.

    A value is mantissa * 2^exponent; the mantissas of each exponent are summed, as floats far below 2^53.
    """
    total = squares = 0
    for block in np.array_split(values, len(values) // (1 << 24) + 1):
        bits = block.view(np.uint32)
        exponent = (bits >> 23 & 0xFF).astype(np.int64)
        mantissa = ((bits & 0x7FFFFF) + ((exponent > 0).astype(np.uint32) << 23)).astype(np.int64)
        square = mantissa * mantissa
        for name, weights in (
            ("total", np.where(bits >> 31, -mantissa, mantissa)),
            ("low", square & 0xFFFFFF),
            ("high", square >> 24),
        ):
            for place, amount in enumerate(np.bincount(exponent, weights).tolist()):
                shift = max(place, 1) - 1
                if name == "total":
                    total += int(amount) << shift
                else:
                    squares += int(amount) << 2 * shift + 24 * (name == "high")
    return total, squares


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """The moments of all parts together, the same in any order."""
    parts = list(parts)
    known = [part for part in parts if part.number]
    return Moments(
        sum(part.bins for part in parts),
        sum(part.number for part in parts),
        sum(part.total for part in parts),
        sum(part.squares for part in parts),
        min((part.minimum for part in known), default=None),
        max((part.maximum for part in known), default=None),
    )
