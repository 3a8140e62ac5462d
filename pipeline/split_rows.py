"""Which part each grid bin belongs to: training, then validation, then test, never mixed."""

import hashlib
from dataclasses import dataclass

import numpy as np

from pipeline.resample_rows import Series
from pipeline.scenario import Scenario

PARTS = ("train", "validation", "test")
EMBARGO = "embargo"  # just before a border: in no part
TRAIN, VALIDATION, TEST, UNUSED = range(4)
SINCE_EVER = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Parts:
    """`codes` (bins,): index into PARTS + EMBARGO; `begins`: the bin each part begins at, as far as it has one."""

    codes: np.ndarray
    begins: tuple[int, int, int]


def split(series: Series, stream: str, scenario: Scenario) -> Parts:
    """The part of each bin of a series."""
    match scenario.split.by:
        case "time":
            return _by_time(series.grid.bins, scenario)
        case "rows":
            return _by_rows(series, scenario)
        case _:
            code = _drawn(stream, scenario)
            return Parts(np.full(len(series.rows), code, np.int8), (SINCE_EVER,) * 3)


def _by_time(bins: np.ndarray, scenario: Scenario) -> Parts:
    """A bin belongs to the part it begins in."""
    step, split = scenario.data.step_ms, scenario.split
    borders = [-(-round(moment * 1000) // step) for moment in (split.validation, split.test)]
    codes = sum((bins >= border).astype(np.int8) for border in borders)
    if split.embargo is not None:
        unused = -(-round(split.embargo * 1000) // step)
        for border in borders:
            codes[(bins >= border - unused) & (bins < border)] = UNUSED
    return Parts(codes, (SINCE_EVER, *borders))


def _by_rows(series: Series, scenario: Scenario) -> Parts:
    """A bin belongs to the part its first row is in; the series is the whole stream."""
    before = np.cumsum(series.rows) - series.rows
    split = scenario.split
    firsts = np.searchsorted(before, [split.train - split.validation, split.train])
    codes = sum((np.arange(len(before)) >= first).astype(np.int8) for first in firsts)
    beyond = np.append(series.grid.bins, series.grid.bins[-1] + 1)
    return Parts(codes, (SINCE_EVER, *(int(beyond[first]) for first in firsts)))


def _drawn(stream: str, scenario: Scenario) -> int:
    """The part of a whole stream: the same on every machine, another with another salt."""
    split = scenario.split
    digest = hashlib.sha256(f"{split.salt}\0{stream}".encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    return TEST if drawn < split.test else VALIDATION if drawn < split.test + split.validation else TRAIN
