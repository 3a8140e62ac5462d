"""The Arrow schemas of the batches that travel through the pipeline.

raw     @file, @row, then every needed column as found in the file (CSV: bytes)
clean   @file, @row, @stream, @time (epoch ms), then the measured columns and labels as float64, NaN = missing
series  stream, time, part, observed, rows, inputs, labels (float32, NaN = missing);
        one table per stream, one row per grid bin
"""

import pyarrow as pa

from pipeline.scenario import Column, Scenario

FILE, ROW, STREAM, TIME = "@file", "@row", "@stream", "@time"

REJECTED = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column", pa.string()),
        ("value", pa.string()),
        ("reason", pa.string()),
    ]
)


def read_columns(scenario: Scenario) -> tuple[Column, ...]:
    """The columns whose values are read from the files: measured inputs, then labels."""
    return scenario.measured + scenario.labels


def needed_names(scenario: Scenario) -> tuple[str, ...]:
    """The names that every file must have: time, stream (where it is a column), values."""
    names = [scenario.data.time]
    if stream_column(scenario):
        names.append(stream_column(scenario))
    return tuple(names + [column.name for column in read_columns(scenario)])


def stream_column(scenario: Scenario) -> str | None:
    """The column that names the stream; None when the file does, or there is only one stream."""
    return None if scenario.data.stream in (None, "file") else scenario.data.stream


def clean_schema(scenario: Scenario) -> pa.Schema:
    return pa.schema(
        [(FILE, pa.string()), (ROW, pa.int64()), (STREAM, pa.string()), (TIME, pa.int64())]
        + [(column.name, pa.float64()) for column in read_columns(scenario)]
    )


def series_schema(scenario: Scenario) -> pa.Schema:
    """The schema of the stream shards."""
    return pa.schema(
        [
            ("stream", pa.string()),
            ("time", pa.timestamp("ms")),
            ("part", pa.string()),
            ("observed", pa.bool_()),
            ("rows", pa.int32()),
        ]
        + [(column.name, pa.float32()) for column in scenario.inputs + scenario.labels]
    )
