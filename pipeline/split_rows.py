"""Which part each grid bin belongs to: training, then validation, then test, never mixed."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.quiet_beam import beam
from pipeline.scenario import Scenario, Split

PARTS = ("train", "validation", "test")


class SplitRows(beam.PTransform):
    """Series tables -> series tables with their `part` filled in."""

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.split = scenario.split

    def expand(self, series):
        return series | beam.Map(split_series, split=self.split)


def split_series(series: pa.Table, split: Split) -> pa.Table:
    """The series with `part` set; the parts follow each other in time."""
    borders = _by_rows(series, split) if split.by == "rows" else _by_time(series, split)
    later = np.arange(len(series))[:, None] >= np.asarray(borders)
    parts = pa.array(np.array(PARTS, object)[later.sum(axis=1)], pa.string())
    return series.set_column(series.schema.get_field_index("part"), "part", parts)


def in_part(series: pa.Table, part: str) -> np.ndarray:
    """Mask (bins,) of one part; its bins are one run."""
    return pc.equal(series["part"], part).to_numpy()


def _by_time(series: pa.Table, split: Split) -> tuple[int, int]:
    """The first bins of validation and test: a bin belongs to the part it begins in."""
    times = series["time"].cast(pa.int64()).to_numpy()
    return tuple(np.searchsorted(times, round(moment * 1000)) for moment in (split.validation, split.test))


def _by_rows(series: pa.Table, split: Split) -> tuple[int, int]:
    """The first bins of validation and test: a bin belongs to the part its first row is in."""
    rows = series["rows"].to_numpy()
    before = np.cumsum(rows) - rows
    return tuple(np.searchsorted(before, number) for number in (split.train - split.validation, split.train))
