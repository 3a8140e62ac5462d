"""Raw batches -> clean batches: every cell read, every row that cannot be used set aside with its reason."""

import numpy as np
import pyarrow as pa

from pipeline.cell_values import read_numbers, read_text, read_times, shown
from pipeline.quiet_beam import beam
from pipeline.row_schema import FILE, REJECTED, ROW, clean_schema, read_columns, stream_column
from pipeline.scenario import Column, Scenario

FLOAT32_MAX = float(np.finfo(np.float32).max)
NOT_A_TIME = "not a time: expected ISO such as 2020-03-09 10:14:33, or seconds"


class CleanRows(beam.PTransform):
    """Raw batches -> clean batches (main), rejected rows ("rejected")."""

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.scenario = scenario

    def expand(self, raw):
        return raw | beam.ParDo(_CleanBatch(self.scenario)).with_outputs("rejected", main="rows")


class _CleanBatch(beam.DoFn):
    def __init__(self, scenario: Scenario):
        self.scenario = scenario

    def process(self, raw: pa.RecordBatch):
        clean, rejected = clean_batch(raw, self.scenario)
        if len(clean):
            yield clean
        if len(rejected):
            yield beam.pvalue.TaggedOutput("rejected", rejected)


class Verdicts:
    """For each row of a batch the first reason found against it."""

    def __init__(self, raw: pa.RecordBatch):
        self.raw = raw
        self.column = np.full(len(raw), None, object)
        self.reason = np.full(len(raw), None, object)

    def reject(self, where: np.ndarray, column: str, reason: str) -> None:
        where = where & (self.reason == None)  # noqa: E711 (element by element)
        self.column[where] = column
        self.reason[where] = reason

    @property
    def kept(self) -> np.ndarray:
        return self.reason == None  # noqa: E711

    def rejected(self) -> pa.RecordBatch:
        rows = np.flatnonzero(~self.kept)
        values = [shown(self.raw[self.column[row]][row]) for row in rows]
        taken = self.raw.take(pa.array(rows))
        return pa.RecordBatch.from_arrays(
            [
                taken[FILE],
                taken[ROW],
                pa.array(self.column[rows], pa.string()),
                pa.array(values, pa.string()),
                pa.array(self.reason[rows], pa.string()),
            ],
            schema=REJECTED,
        )


def clean_batch(raw: pa.RecordBatch, scenario: Scenario) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The rows that can be used, as floats; and the others, with the first reason against each."""
    verdicts = Verdicts(raw)
    times = read_times(raw[scenario.data.time])
    verdicts.reject(times.missing, scenario.data.time, "time is missing")
    verdicts.reject(
        times.unreadable, scenario.data.time, "not a time: expected ISO such as 2020-03-09 10:14:33, or seconds"
    )
    streams = _streams(raw, scenario, verdicts)
    values = [_numbers(raw, column, verdicts) for column in read_columns(scenario)]
    columns = [raw[FILE], raw[ROW], streams, pa.array(times.values, pa.int64()), *map(pa.array, values)]
    clean = pa.RecordBatch.from_arrays(columns, schema=clean_schema(scenario))
    return clean.filter(pa.array(verdicts.kept)), verdicts.rejected()


def _streams(raw: pa.RecordBatch, scenario: Scenario, verdicts: Verdicts) -> pa.Array:
    if scenario.data.stream == "file":
        return raw[FILE]
    name = stream_column(scenario)
    if name is None:
        return pa.repeat(scenario.name, len(raw))
    streams = read_text(raw[name])
    unnamed = [not stream for stream in streams.to_pylist()]
    verdicts.reject(np.array(unnamed, bool), name, "stream is missing")
    return streams


def _numbers(raw: pa.RecordBatch, column: Column, verdicts: Verdicts) -> np.ndarray:
    """Float64 values (rows,) of one column in its unit; a missing reading is NaN, no reason to reject."""
    cells = read_numbers(raw[column.name])
    values = cells.values
    verdicts.reject(cells.unreadable, column.name, "not a number")
    verdicts.reject(np.isinf(values), column.name, "not finite")
    verdicts.reject(np.abs(values) > FLOAT32_MAX, column.name, "too large for float32")
    if column.minimum is not None:
        verdicts.reject(values < column.minimum, column.name, f"below min = {column.minimum:g} {column.unit}")
    if column.maximum is not None:
        verdicts.reject(values > column.maximum, column.name, f"above max = {column.maximum:g} {column.unit}")
    return values
