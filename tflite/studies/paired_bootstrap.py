"""How much better one detector is than another on the same recordings, and whether that is more than chance.

The recordings are drawn anew with replacement, the same for both (paired bootstrap, Efron and Tibshirani, An
Introduction to the Bootstrap, 1993): rows of one recording hang together, and would make an interval too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
SEED = 7
LEVEL = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """`value`: F1 of the second less that of the first; between `low` and `high` lie 95 % of the draws."""

    value: float
    low: float
    high: float


def f1(counts: np.ndarray) -> np.ndarray:
    """(..., 3) hits, false alarms, misses -> (...); 0 where there is nothing to find and nothing was found."""
    hits, false_alarms, misses = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return 2 * hits / np.maximum(2 * hits + false_alarms + misses, 1)


def paired_difference(first: Sequence, second: Sequence) -> PairedDifference:
    """The difference of F1, pooled over the recordings and averaged over the seeds.

    Args:
        first, second: (seeds, recordings, 3) counts of `detection_error.count_steps` of the two detectors.
    """
    pair = np.stack([np.asarray(first), np.asarray(second)])  # (2, seeds, recordings, 3)
    drawn = np.random.default_rng(SEED).multinomial(pair.shape[2], np.full(pair.shape[2], 1 / pair.shape[2]), DRAWS)
    draws = np.einsum("dr,psrc->dpsc", drawn, pair)
    differences = np.diff(f1(draws), axis=1).mean(axis=(1, 2))
    value = float(np.diff(f1(pair.sum(axis=2)), axis=0).mean())
    return PairedDifference(value, *map(float, np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))
