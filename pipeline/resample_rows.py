"""Rows of a stream in the order of time -> one row per grid bin.

A bin is named by the time it begins at and holds the rows from there to the next bin. Within a segment every bin is
there, also those without a row: they are bridged, `observed` says so. Between segments there are none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.calendar_columns import calendar_values
from pipeline.scenario import Scenario
from pipeline.stream_segments import Runs


@dataclass(frozen=True, eq=False)
class Grid:
    """`bins` (bins,): the number of each since 1970; `segment` (bins,): which of the stream's segments it lies in."""

    bins: np.ndarray
    segment: np.ndarray

    def places(self, bins: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.bins, bins)


@dataclass(frozen=True, eq=False)
class Series:
    """A stretch of a stream on its grid. `rows` (bins,): how many fell in each; `values`: by column float32 (bins,)."""

    grid: Grid
    rows: np.ndarray
    values: dict[str, np.ndarray]


def segment_bins(segments: Runs, step_ms: int) -> np.ndarray:
    """(segments, 2): the first bin of each, and the first after it."""
    return segments // step_ms + [0, 1]


def grid_between(segments: Runs, step_ms: int, first: int | None, end: int | None) -> Grid:
    """The bins of the segments, of those from `first` to before `end`."""
    bounds = segment_bins(segments, step_ms)
    if first is not None:
        bounds = np.clip(bounds, first, end)
    number = bounds[:, 1] - bounds[:, 0]
    segment = np.repeat(np.arange(len(bounds), dtype=np.int32), number)
    within = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return Grid(bounds[:, 0][segment] + within, segment)


def resample(times: np.ndarray, values: dict[str, np.ndarray], grid: Grid, scenario: Scenario) -> Series:
    """Rows (sorted `times` in epoch ms) on the grid, which has a bin for each of them."""
    step = scenario.data.step_ms
    bins = times // step
    starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1)) if len(bins) else np.empty(0, np.int64)
    places = grid.places(bins[starts])
    rows = np.zeros(len(grid.bins), np.int32)
    rows[places] = np.diff(starts, append=len(bins))
    result = {}
    for column in scenario.inputs + scenario.labels:
        if column.calendar is not None:
            on_grid = calendar_values(column.calendar, grid.bins * step + round(column.ahead_seconds * 1000))
        else:
            on_grid = np.full(len(rows), np.nan, np.float32)
            if len(starts):
                on_grid[places] = aggregate(column.aggregate, values[column.name], starts)
            on_grid = moved_ahead(on_grid, grid, round(column.ahead_seconds * 1000) // step)
        result[column.name] = on_grid.astype(np.float32, copy=False)
    return Series(grid, rows, result)


def moved_ahead(values: np.ndarray, grid: Grid, steps: int) -> np.ndarray:
    """(bins,) -> (bins,): the value of each bin is that of the bin `steps` later, NaN where there is none."""
    if not steps:
        return values
    places = np.minimum(grid.places(grid.bins + steps), max(len(grid.bins) - 1, 0))
    return np.where(grid.bins[places] == grid.bins + steps, values[places], np.float32(np.nan))


def aggregate(how: str, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Values (rows,) -> (bins,), where bin i holds the rows from starts[i]; NaN where it has no reading."""
    if len(starts) == len(values):
        return values  # a row a bin: nothing to sum up
    return AGGREGATES[how](values, starts)


def _sum(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    present = ~np.isnan(values)
    sums = np.add.reduceat(np.where(present, values, 0.0).astype(np.float64), starts)
    return np.where(np.add.reduceat(present.astype(np.int64), starts) > 0, sums, np.nan)


def _mean(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    numbers = np.add.reduceat((~np.isnan(values)).astype(np.int64), starts)
    return _sum(values, starts) / np.maximum(numbers, 1)


def _last(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.reduceat(places, starts)
    return np.where(last >= 0, values[last], np.nan)


AGGREGATES: dict[str, Callable] = {"mean": _mean, "sum": _sum, "last": _last, "max": np.fmax.reduceat}
