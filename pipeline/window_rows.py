"""Split series -> training and validation windows, none across the border of a part or a segment."""

from dataclasses import dataclass

import numpy as np

from pipeline.resample_rows import Series
from pipeline.scenario import Scenario
from pipeline.split_rows import PARTS, Parts

WINDOW_SHARDS = {"train": 8, "validation": 2}  # for each unit of work


@dataclass(frozen=True, eq=False)
class Windows:
    """`start` (windows,): epoch ms of the first step; `x` (windows, steps * inputs): float32, row-major."""

    start: np.ndarray
    x: np.ndarray


def cut_windows(
    series: Series, parts: Parts, part: str, segment_begins: np.ndarray, end: int, scenario: Scenario
) -> Windows:
    """All windows of one part, `stride` steps apart: `length` fed steps and the `last_lead` steps after.

    They are counted from where the part begins in its segment, wherever the stretch at hand begins.

    Args:
        segment_begins: (segments,) the first bin of each segment of the stream.
        end: windows that begin at this bin or later are another unit's.
    """
    steps = scenario.windows.length + scenario.forecast.reach
    code = PARTS.index(part)
    places = []
    for first, last in part_runs(series, parts, code):
        begin, run_end = series.grid.bins[first], series.grid.bins[last] + 1
        anchor = max(segment_begins[series.grid.segment[first]], parts.begins[code])
        ahead = -(begin - anchor) % scenario.windows.stride
        starts = np.arange(begin + ahead, min(end, run_end - steps + 1), scenario.windows.stride)
        places.append(first + starts - begin)
    begins = np.concatenate([np.empty(0, np.int64), *places])
    values = np.stack([series.values[column.name] for column in scenario.inputs], axis=1)
    x = values[begins[:, None] + np.arange(steps)]  # (windows, steps, inputs)
    return Windows(series.grid.bins[begins] * scenario.data.step_ms, x.reshape(len(begins), steps * values.shape[1]))


def part_runs(series: Series, parts: Parts, code: int) -> list[tuple[int, int]]:
    """First and last place of each run of bins that lie in one segment and in the part."""
    inside = np.flatnonzero(parts.codes == code)
    if not len(inside):
        return []
    breaks = np.flatnonzero((np.diff(inside) > 1) | (np.diff(series.grid.segment[inside]) > 0))
    return list(zip(inside[np.append(0, breaks + 1)], inside[np.append(breaks, len(inside) - 1)], strict=True))
