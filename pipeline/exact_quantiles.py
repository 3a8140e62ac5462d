"""Exact quantiles of the training readings in two counts, however many there are.

As unsigned integers, sorted like the numbers they stand for, float32 readings are first counted by their upper 16 bits
while the shards are written. That says which upper half holds each quantile; the shards are read once more, and only
readings with that half are counted by their lower 16 bits.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow.compute as pc

from pipeline.facts import Fact
from pipeline.open_file import open_parquet
from pipeline.place import join
from pipeline.quiet_beam import beam

HALVES = 1 << 16
PERCENT = (1, 5, 25, 50, 75, 95, 99)


class ExactQuantiles(beam.PTransform):
    """(names of written stream shards, upper counts by column) -> facts ("quantiles", column, {quantile: value})."""

    def __init__(self, folder: str):
        super().__init__()
        self.folder = folder

    def expand(self, inputs):
        names, upper = inputs
        upper = upper | "Upper" >> beam.CombinePerKey(_sum)
        return (
            names
            | beam.Reshuffle()
            | beam.FlatMap(_lower_counts, beam.pvalue.AsDict(upper), folder=self.folder)
            | "Lower" >> beam.CombinePerKey(_sum)
            | beam.FlatMap(_quantiles, beam.pvalue.AsDict(upper))
        )


def upper_counts(values: np.ndarray) -> np.ndarray:
    """Float32 values (n,), NaN left out -> how many have each upper half (65536,)."""
    return np.bincount(sortable(values) >> 16, minlength=HALVES)


def sortable(values: np.ndarray) -> np.ndarray:
    """Float32 -> uint32 in the same order, without NaN; -0 is 0."""
    bits = (values[~np.isnan(values)] + np.float32(0)).view(np.uint32)
    return bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))


def value_of(key: int) -> float:
    """The number of a sortable integer."""
    bits = np.uint32(key ^ (0x80000000 if key >> 31 else 0xFFFFFFFF))
    return float(bits.view(np.float32))


def rank(percent: int, number: int) -> int:
    """The place, from 0, of a quantile among sorted values: of the least value with at least this share up to it."""
    return max(0, -(-percent * number // 100) - 1)


def _halves(upper: np.ndarray) -> dict[int, tuple[int, int]]:
    """For each percentage the upper half its quantile lies in, and its rank there."""
    if not upper.sum():
        return {}
    until = np.cumsum(upper)
    ranks = {percent: rank(percent, int(until[-1])) for percent in PERCENT}
    halves = {percent: int(np.searchsorted(until, place, side="right")) for percent, place in ranks.items()}
    return {percent: (half, ranks[percent] - int(until[half] - upper[half])) for percent, half in halves.items()}


def _lower_counts(name: str, upper: dict[str, np.ndarray], folder: str) -> Iterable[tuple[tuple[str, int], np.ndarray]]:
    with open_parquet(join(folder, name)) as shard:
        for group in range(shard.num_row_groups):
            table = shard.read_row_group(group, columns=["part", *upper])
            train = pc.equal(table["part"], "train")
            for column, counts in upper.items():
                keys = sortable(table[column].filter(train).to_numpy())
                for half in sorted({half for half, _ in _halves(counts).values()}):
                    lower = (keys[keys >> 16 == half] & 0xFFFF).astype(np.uint16)
                    if len(lower):
                        yield (column, half), np.bincount(lower, minlength=HALVES)


def _quantiles(counted: tuple[tuple[str, int], np.ndarray], upper: dict[str, np.ndarray]) -> Iterable[Fact]:
    (column, here), lower = counted
    until = np.cumsum(lower)
    found = {
        f"{percent / 100:g}": value_of(here << 16 | int(np.searchsorted(until, place, side="right")))
        for percent, (half, place) in _halves(upper[column]).items()
        if half == here
    }
    yield ("quantiles", column, found)


def _sum(counts: Iterable[np.ndarray]) -> np.ndarray:
    return sum(counts, np.zeros(HALVES, np.int64))
