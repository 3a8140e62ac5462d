"""Split series -> training and validation windows, none across the border of a part."""

import zlib

import numpy as np
import pyarrow as pa

from pipeline.quiet_beam import beam
from pipeline.scenario import Scenario
from pipeline.split_rows import in_part

WINDOW_SHARDS = {"train": 8, "validation": 2}


class WindowRows(beam.PTransform):
    """Split series -> (shard name, table of windows).

    Its columns: stream, start (epoch ms of the first step), x (float32, steps * inputs, row-major).
    """

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.scenario = scenario

    def expand(self, series):
        return series | beam.FlatMap(_windows_by_shard, scenario=self.scenario)


def shard_names(part: str) -> list[str]:
    total = WINDOW_SHARDS[part]
    return [f"windows/{part}-{index:05d}-of-{total:05d}.tfrecord" for index in range(total)]


def _windows_by_shard(series: pa.Table, scenario: Scenario) -> list[tuple[str, pa.Table]]:
    result = []
    for part in WINDOW_SHARDS:
        windows = cut_windows(series, part, scenario)
        names = shard_names(part)
        starts = zip(windows["stream"].to_pylist(), windows["start"].to_pylist(), strict=True)
        shards = np.array([_shard(stream, start, len(names)) for stream, start in starts])
        result += [(names[shard], windows.filter(pa.array(shards == shard))) for shard in np.unique(shards)]
    return result


def _shard(stream: str, start: int, total: int) -> int:
    """A hash that is the same in every run; it also mixes the windows of all streams and times."""
    return zlib.crc32(f"{stream}\0{start}".encode()) % total


def cut_windows(series: pa.Table, part: str, scenario: Scenario) -> pa.Table:
    """All windows of one part, `stride` steps apart: `length` fed steps and the `last_lead` steps after."""
    steps = scenario.windows.length + scenario.forecast.last_lead
    places = np.flatnonzero(in_part(series, part))
    number = max(0, (len(places) - steps) // scenario.windows.stride + 1)
    begins = (places[0] if number else 0) + scenario.windows.stride * np.arange(number)
    values = np.stack([series[column.name].to_numpy() for column in scenario.inputs], axis=1)
    x = values[begins[:, None] + np.arange(steps)].astype(np.float32)  # (windows, steps, inputs)
    return pa.table(
        {
            "stream": series["stream"].take(pa.array(begins)),
            "start": series["time"].cast(pa.int64()).take(pa.array(begins)),
            "x": pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), steps * values.shape[1]),
        }
    )


def empty_windows(scenario: Scenario) -> pa.Table:
    """A table of no windows, with the schema of all window tables."""
    width = (scenario.windows.length + scenario.forecast.last_lead) * len(scenario.inputs)
    return pa.schema(
        [("stream", pa.string()), ("start", pa.int64()), ("x", pa.list_(pa.float32(), width))]
    ).empty_table()
