"""Where each stream is recorded without a hole longer than data.max_gap: its segments, known before any row is moved.

A batch of rows is a few runs of times; runs that lie closer together than the gap grow into one. In whatever order they
come, what is left at the end are the segments of the whole stream.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from pipeline.quiet_beam import beam
from pipeline.row_schema import STREAM, TIME
from pipeline.scenario import Scenario

Runs = np.ndarray  # (runs, 2) int64: first and last time of each in epoch ms, sorted, further apart than the gap


class StreamSegments(beam.PTransform):
    """Clean batches -> (stream, its segments), one for each stream."""

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.max_gap_ms = max_gap_ms(scenario)

    def expand(self, clean):
        return (
            clean
            | beam.FlatMap(runs_of_batch, max_gap_ms=self.max_gap_ms)
            | beam.CombinePerKey(merge_runs, max_gap_ms=self.max_gap_ms)
        )


def max_gap_ms(scenario: Scenario) -> int:
    return round(scenario.data.max_gap_seconds * 1000)


def runs_of_batch(clean: pa.RecordBatch, max_gap_ms: int) -> list[tuple[str, Runs]]:
    """(stream, runs) for each stream of a batch."""
    streams = clean[STREAM].dictionary.to_pylist()
    codes, times = clean[STREAM].indices.to_numpy(), clean[TIME].to_numpy()
    if len(streams) > 1:
        order = np.lexsort((times, codes))
        codes, times = codes[order], times[order]
    elif (np.diff(times) < 0).any():
        times = np.sort(times)
    begins = np.flatnonzero((np.diff(codes) != 0) | (np.diff(times) > max_gap_ms)) + 1
    firsts, lasts = np.append(0, begins), np.append(begins, len(times)) - 1
    runs = np.stack([times[firsts], times[lasts]], axis=1)
    owners = codes[firsts]
    return [(streams[code], runs[owners == code]) for code in np.unique(owners)]


def merge_runs(parts: Iterable[Runs], max_gap_ms: int) -> Runs:
    """The runs of all parts together."""
    runs = np.concatenate([np.empty((0, 2), np.int64), *parts])
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    lasts = np.maximum.accumulate(runs[:, 1])
    begins = np.flatnonzero(runs[1:, 0] - lasts[:-1] > max_gap_ms) + 1
    firsts = np.append(0, begins)[: len(runs)]
    return np.stack([runs[firsts, 0], lasts[np.append(begins, len(runs))[: len(runs)] - 1]], axis=1)
