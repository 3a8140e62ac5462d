"""How the rows are dealt out: a stream is cut into spans of time, and the spans are hashed onto units of work.

A unit gets the rows of its spans, and behind each the halo that windows beginning there reach into. It holds a part of
the set that is bounded by the number of units, however long a stream is. The number of units follows from the size of
the files alone, so that every engine deals in the same way.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.data_files import DataFile
from pipeline.row_schema import STREAM, TIME
from pipeline.scenario import Scenario
from pipeline.stream_segments import max_gap_ms

UNIT_BYTES = 32 << 20  # of files, compressed as they are
SPAN_BINS = 1 << 16


@dataclass(frozen=True)
class WorkUnits:
    """`total` units; spans of `span_ms` (None: a stream is one span) and a halo of `halo_ms` behind each."""

    total: int
    span_ms: int | None
    halo_ms: int

    @classmethod
    def of(cls, scenario: Scenario, files: Iterable[DataFile]) -> "WorkUnits":
        total = 1 + sum(file.size for file in files) // UNIT_BYTES
        steps = scenario.windows.length + scenario.forecast.reach + scenario.steps_ahead
        step = scenario.data.step_ms
        # Row counts, the first readings of a stream and its faults are only known to who holds it from its start.
        whole = scenario.split.by == "rows" or scenario.normalize.by == "stream" or scenario.inject is not None
        # A span is longer than any gap that is bridged and than any halo: no unit needs more than the next span.
        span = max(SPAN_BINS * step, 4 * steps * step, 2 * max_gap_ms(scenario) // step * step + step)
        return cls(total, None if whole else span, (steps - 1) * step)

    def unit(self, stream: str, span: int) -> int:
        return zlib.crc32(f"{stream}\0{span}".encode()) % self.total

    def spans(self, times: np.ndarray) -> np.ndarray:
        return np.zeros_like(times) if self.span_ms is None else times // self.span_ms

    def deal(self, clean: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(unit, rows) for each unit that needs rows of this batch."""
        if self.total == 1:
            yield 0, clean
            return
        times = clean[TIME].to_numpy()
        streams, codes = clean[STREAM].dictionary.to_pylist(), clean[STREAM].indices.to_numpy().astype(np.int64)
        spans = self.spans(times)
        first, width = int(spans.min()), int(spans.max() - spans.min()) + 1
        keys, places = np.unique(codes * width + spans - first, return_inverse=True)
        owners = np.array([self.unit(streams[key // width], key % width + first) for key in keys.tolist()])[places]
        before = owners
        if self.span_ms is not None:
            earlier = np.array([self.unit(streams[key // width], key % width + first - 1) for key in keys.tolist()])
            before = np.where(times % self.span_ms < self.halo_ms, earlier[places], owners)
        for unit in np.union1d(owners, before).tolist():
            needed = (owners == unit) | (before == unit)
            yield unit, clean if needed.all() else clean.filter(pa.array(needed))
