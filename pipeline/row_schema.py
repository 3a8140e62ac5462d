"""The Arrow schemas of the batches that travel through the pipeline.

raw     @row, then every needed column under its name in the scenario, as found in the file (text, or numbers)
clean   @row, @stream, @time (epoch ms), then the measured columns and labels as floats, NaN = missing; the name of the
        file is in the metadata of the schema
series  stream, time, part, segment, observed, rows, inputs, labels (float32, NaN = missing); one row per grid bin
"""

import pyarrow as pa

from pipeline.scenario import Column, Scenario

ROW, STREAM, TIME = "@row", "@stream", "@time"
FILE = b"file"  # the key of the file's name in the metadata

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


def stream_column(scenario: Scenario) -> str | None:
    """The column that names the stream; None when the file does, or there is only one stream."""
    return None if scenario.data.stream in (None, "file") else scenario.data.stream


def series_schema(scenario: Scenario) -> pa.Schema:
    """The schema of the stream shards."""
    return pa.schema(
        [
            ("stream", pa.string()),
            ("time", pa.timestamp("ms")),
            ("part", pa.string()),
            ("segment", pa.int32()),
            ("observed", pa.bool_()),
            ("rows", pa.int32()),
        ]
        + [(column.name, pa.float32()) for column in scenario.inputs + scenario.labels]
    )
