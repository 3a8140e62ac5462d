"""Clean rows -> one series per stream on a regular grid.

The rows of a stream meet on one worker: memory is bounded by the longest stream, not by the set.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.calendar_columns import calendar_values
from pipeline.facts import FACTS, count, problem
from pipeline.quiet_beam import beam
from pipeline.row_schema import FILE, REJECTED, ROW, STREAM, TIME, series_schema
from pipeline.scenario import Column, Scenario


class ResampleRows(beam.PTransform):
    """Clean batches -> one series table per stream (main), rejected rows ("rejected"), facts ("facts")."""

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.scenario = scenario

    def expand(self, clean):
        return (
            clean
            | beam.FlatMap(_by_stream)
            | beam.GroupByKey()
            | beam.ParDo(_ResampleStream(self.scenario)).with_outputs("rejected", FACTS, main="series")
        )


def _by_stream(batch: pa.RecordBatch) -> list[tuple[str, pa.RecordBatch]]:
    names = pc.unique(batch[STREAM]).to_pylist()
    if len(names) == 1:
        return [(names[0], batch)]
    return [(name, batch.filter(pc.equal(batch[STREAM], name))) for name in names]


class _ResampleStream(beam.DoFn):
    def __init__(self, scenario: Scenario):
        self.scenario = scenario

    def process(self, grouped: tuple[str, Iterable[pa.RecordBatch]]):
        stream, batches = grouped
        rows = pa.Table.from_batches(batches).sort_by([(FILE, "ascending"), (ROW, "ascending")])
        yield beam.pvalue.TaggedOutput(FACTS, count("rows_out_of_order", count_out_of_order(rows)))
        rows, doubles = drop_doubles(rows, self.scenario.data.time)
        if len(doubles):
            yield beam.pvalue.TaggedOutput("rejected", doubles)
        yield beam.pvalue.TaggedOutput(FACTS, count("rows_kept", len(rows)))
        gap = find_gap(rows, stream, self.scenario)
        if gap:
            yield beam.pvalue.TaggedOutput(FACTS, problem("gap", gap))
        else:
            yield resample(rows, stream, self.scenario)


def count_out_of_order(rows: pa.Table) -> int:
    """How many rows, in the order of the files, are earlier than a row before them."""
    times = rows[TIME].to_numpy()
    return int((times < np.maximum.accumulate(times)).sum())


def drop_doubles(rows: pa.Table, time_column: str) -> tuple[pa.Table, pa.RecordBatch]:
    """The first row of each time, sorted by time, and the others as rejected; `rows` are in file order."""
    order = np.argsort(rows[TIME].to_numpy(), kind="stable")
    rows = rows.take(pa.array(order))
    times = rows[TIME].to_numpy()
    double = np.zeros(len(rows), bool)
    double[1:] = times[1:] == times[:-1]
    dropped = rows.filter(pa.array(double)).combine_chunks()
    rejected = pa.RecordBatch.from_arrays(
        [
            dropped[FILE].combine_chunks(),
            dropped[ROW].combine_chunks(),
            pa.repeat(time_column, len(dropped)),
            pa.array([iso(time) for time in dropped[TIME].to_pylist()], pa.string()),
            pa.repeat("the time is there already; its first row is kept", len(dropped)),
        ],
        schema=REJECTED,
    )
    return rows.filter(pa.array(~double)), rejected


def find_gap(rows: pa.Table, stream: str, scenario: Scenario) -> str | None:
    """The message about the longest hole when it is longer than allowed."""
    times = rows[TIME].to_numpy()
    holes = np.diff(times)
    if not len(holes) or holes.max() <= scenario.data.max_gap_seconds * 1000:
        return None
    longest = int(holes.argmax())
    length, allowed = (timedelta(seconds=seconds) for seconds in (holes[longest] / 1000, scenario.data.max_gap_seconds))
    return (
        f'stream "{stream}": no row for {length} after {iso(times[longest])}, longer than data.max_gap'
        f" ({allowed}); raise data.max_gap, or make two streams of it"
    )


@dataclass(frozen=True)
class Grid:
    """`first` time (ms) and `size`; for each observed bin the row it starts with and its place."""

    first: int
    size: int
    starts: np.ndarray
    places: np.ndarray


def resample(rows: pa.Table, stream: str, scenario: Scenario) -> pa.Table:
    """One row per grid bin from the first to the last row of the stream; `rows` are sorted by time.

    A bin is named by the time it begins at and holds the rows from there to the next bin.
    """
    step = scenario.data.step_ms
    bins = rows[TIME].to_numpy() // step
    starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
    grid = Grid(int(bins[0]) * step, int(bins[-1] - bins[0]) + 1, starts, bins[starts] - bins[0])
    times = grid.first + step * np.arange(grid.size)
    number = np.zeros(grid.size, np.int32)
    number[grid.places] = np.diff(starts, append=len(rows))
    columns = {
        "stream": pa.repeat(stream, grid.size),
        "time": pa.array(times, pa.timestamp("ms")),
        "part": pa.nulls(grid.size, pa.string()),
        "observed": pa.array(number > 0),
        "rows": pa.array(number),
    }
    for column in scenario.inputs + scenario.labels:
        values = (
            calendar_values(column.calendar, times)
            if column.calendar is not None
            else on_grid(rows[column.name].to_numpy(), column, grid)
        )
        columns[column.name] = pa.array(values.astype(np.float32))
    return pa.Table.from_pydict(columns, schema=series_schema(scenario))


def on_grid(values: np.ndarray, column: Column, grid: Grid) -> np.ndarray:
    """Values (rows,) -> (bins,), aggregated as the column says; NaN where a bin has no reading."""
    result = np.full(grid.size, np.nan)
    result[grid.places] = AGGREGATES[column.aggregate](values, grid.starts)
    return result


def _sum(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    present = ~np.isnan(values)
    sums = np.add.reduceat(np.where(present, values, 0.0), starts)
    return np.where(np.add.reduceat(present.astype(np.int64), starts) > 0, sums, np.nan)


def _mean(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    numbers = np.add.reduceat((~np.isnan(values)).astype(np.int64), starts)
    return _sum(values, starts) / np.maximum(numbers, 1)


def _last(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.reduceat(places, starts)
    return np.where(last >= 0, values[last], np.nan)


AGGREGATES = {"mean": _mean, "sum": _sum, "last": _last, "max": np.fmax.reduceat}


def iso(time_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(time_ms))).strftime("%Y-%m-%dT%H:%M:%S")
