"""Raw batches -> clean batches: every cell read, every row that cannot be used set aside with its reason."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.cell_values import read_numbers, read_text, read_times, shown
from pipeline.row_schema import FILE, REJECTED, ROW, STREAM, TIME, read_columns, stream_column
from pipeline.scenario import Column, Scenario

FLOAT32_MAX = float(np.finfo(np.float32).max)
NOT_A_TIME = "not a time: expected ISO such as 2020-03-09 10:14:33, or seconds"


class Verdicts:
    """For each row of a batch the first reason found against it."""

    def __init__(self, size: int):
        self.kept = np.ones(size, bool)
        self.reasons: dict[int, tuple[str, str]] = {}

    def reject(self, where: np.ndarray, column: str, reason: str) -> None:
        rows = np.flatnonzero(where & self.kept)
        self.kept[rows] = False
        self.reasons |= dict.fromkeys(rows.tolist(), (column, reason))


def clean_batch(
    file: str, numbers: np.ndarray, raw: pa.RecordBatch, scenario: Scenario
) -> tuple[pa.RecordBatch, pa.RecordBatch, frozenset[str]]:
    """The rows that can be used, as numbers; the others, with the first reason against each; the offsets of the times.

    Args:
        numbers: (rows,) where in the file each row stands, from 1.
    """
    verdicts = Verdicts(len(raw))
    name = scenario.data.time
    times = read_times(raw[name], scenario.data.time_unit)
    verdicts.reject(times.missing, name, "time is missing")
    verdicts.reject(times.unreadable, name, NOT_A_TIME)
    columns = {
        ROW: pa.array(numbers, pa.int64()),
        STREAM: _streams(file, raw, scenario, verdicts),
        TIME: pa.array(times.values, pa.int64()),
    }
    for column in read_columns(scenario):
        columns[column.name] = pa.array(_numbers(raw, column, verdicts))
    clean = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    if verdicts.reasons:
        clean = clean.filter(pa.array(verdicts.kept))
    return clean.replace_schema_metadata({FILE: file}), _rejected(file, numbers, raw, verdicts), times.offsets


def _streams(file: str, raw: pa.RecordBatch, scenario: Scenario, verdicts: Verdicts) -> pa.DictionaryArray:
    name = stream_column(scenario)
    if name is None:
        stream = file if scenario.data.stream == "file" else scenario.name
        return pa.DictionaryArray.from_arrays(np.zeros(len(raw), np.int32), pa.array([stream]))
    streams = read_text(raw[name])
    unnamed = pc.fill_null(pc.equal(pc.utf8_length(streams), 0), True)
    verdicts.reject(unnamed.to_numpy(zero_copy_only=False), name, "stream is missing")
    return pc.dictionary_encode(pc.fill_null(streams, ""))


def _numbers(raw: pa.RecordBatch, column: Column, verdicts: Verdicts) -> np.ndarray:
    """Values (rows,) of one column in its unit, float32 where they are so in the file, else float64.

    A missing reading is NaN, no reason to reject; so are all where the file lacks the column.
    """
    if column.name not in raw.schema.names:
        return np.full(len(raw), np.nan, np.float32)
    cells = read_numbers(raw[column.name])
    values = cells.values
    checks = [
        (cells.unreadable, "not a number"),
        (np.isinf(values), "not finite"),
        (np.abs(values) > FLOAT32_MAX, "too large for float32"),
    ]
    if column.minimum is not None:
        checks.append((values < column.minimum, f"below min = {column.minimum:g} {column.unit}"))
    if column.maximum is not None:
        checks.append((values > column.maximum, f"above max = {column.maximum:g} {column.unit}"))
    for where, reason in checks:
        if where.any():
            verdicts.reject(where, column.name, reason)
    return values


def _rejected(file: str, numbers: np.ndarray, raw: pa.RecordBatch, verdicts: Verdicts) -> pa.RecordBatch:
    rows = [
        {
            "file": file,
            "row": int(numbers[row]),
            "column": column,
            "value": shown(raw[column][row]),
            "reason": reason,
        }
        for row, (column, reason) in sorted(verdicts.reasons.items())
    ]
    return pa.RecordBatch.from_pylist(rows, REJECTED)
