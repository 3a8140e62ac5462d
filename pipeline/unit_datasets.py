"""One unit of work: its rows, as they came -> its shards, whole, and the facts about them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from pipeline.dealt_rows import DealtRows, read_dealt
from pipeline.exact_quantiles import upper_counts
from pipeline.facts import FACTS, count, problem
from pipeline.feature_stats import Moments, merge_moments, moments_of
from pipeline.injected_faults import inject_faults
from pipeline.quiet_beam import beam
from pipeline.resample_rows import Series, grid_between, resample, segment_bins
from pipeline.row_schema import REJECTED
from pipeline.same_times import CONTRADICTION, Judged, judge_same_times, overlaps
from pipeline.scenario import Scenario
from pipeline.split_rows import PARTS, TRAIN, Parts, split
from pipeline.stream_segments import Runs
from pipeline.unit_rows import StreamRows, rows_by_stream
from pipeline.user_error import UserError
from pipeline.window_rows import WINDOW_SHARDS, cut_windows, part_runs
from pipeline.work_units import WorkUnits
from pipeline.write_shards import UnitShards


class UnitDatasets(beam.PTransform):
    """(unit, place of rows) and the segments of all streams -> shards.

    Gives the names of the stream shards (main), upper counts for the quantiles ("counts"), rejected rows ("rejected")
    and facts ("facts").
    """

    def __init__(self, scenario: Scenario, units: WorkUnits, folder: str):
        super().__init__()
        self.scenario = scenario
        self.units = units
        self.folder = folder

    def expand(self, inputs):
        rows, segments = inputs
        every_unit = rows.pipeline | beam.Create([(unit, None) for unit in range(self.units.total)])
        return (
            (every_unit, rows)
            | beam.Flatten()
            | beam.GroupByKey()
            | beam.ParDo(_WriteUnit(self.scenario, self.units, self.folder), beam.pvalue.AsDict(segments)).with_outputs(
                "counts", "rejected", FACTS, main="shards"
            )
        )


class _WriteUnit(beam.DoFn):
    def __init__(self, scenario: Scenario, units: WorkUnits, folder: str):
        self.scenario = scenario
        self.units = units
        self.folder = folder

    def process(self, grouped: tuple[int, Iterable[DealtRows | None]], segments: dict[str, Runs]):
        unit, places = grouped
        rows = rows_by_stream([read_dealt(place, self.folder) for place in places if place])
        found = UnitFindings(self.scenario)
        try:
            with UnitShards(self.folder, unit, self.units.total, self.scenario) as shards:
                for stream, own in rows:
                    for stretch, begin, end in stretches(stream, own, unit, self.units):
                        found.rejected += write_stretch(
                            stream, stretch, segments[stream], begin, end, self.scenario, shards, found
                        )
            facts = found.facts() + shards.facts()
            yield shards.streams
        except UserError as error:
            facts = [problem("write", str(error))]
        for name, tag in ((FACTS, facts), ("counts", found.counts.items()), ("rejected", found.rejected)):
            yield from (beam.pvalue.TaggedOutput(name, one) for one in tag)


def stretches(
    stream: str, rows: StreamRows, unit: int, units: WorkUnits
) -> Iterator[tuple[StreamRows, int | None, int | None]]:
    """(rows, begin, end): the unit's spans that follow each other, with their halo.

    Times from `begin` to before `end`, in epoch ms, are the unit's own; None: all are.
    """
    if units.span_ms is None:
        yield rows, None, None
        return
    spans = np.unique(units.spans(rows.times))
    own = [span for span in spans.tolist() if units.unit(stream, span) == unit]
    breaks = np.flatnonzero(np.diff(own) > 1)
    for first, last in zip(np.append(0, breaks + 1), np.append(breaks, len(own) - 1), strict=True):
        if own:
            begin, end = own[first] * units.span_ms, (own[last] + 1) * units.span_ms
            yield rows.where(slice(*np.searchsorted(rows.times, [begin, end + units.halo_ms]))), begin, end


class UnitFindings:
    """What a unit finds out on its way."""

    def __init__(self, scenario: Scenario):
        self.scenario = scenario
        self.totals: Counter[str] = Counter()
        self.bins: dict[str, Counter[str]] = {}
        self.overlaps: Counter[tuple[str, str, str]] = Counter()
        self.moments: dict[str, list[Moments]] = {column.name: [] for column in scenario.inputs}
        self.stream_moments: dict[str, dict[str, tuple]] = {}
        self.counts: dict[str, np.ndarray] = {}
        self.longest: Counter[str] = Counter()
        self.rejected: list[pa.RecordBatch] = []

    def add_rows(self, stream: str, rows: StreamRows, judged: Judged, own: int) -> None:
        self.totals["rows_kept"] += int(judged.kept[:own].sum())
        self.totals["rows_merged"] += int(judged.merged[:own].sum())
        for files, number in overlaps(rows, ~judged.kept[:own]).items():
            self.overlaps[(stream, *files)] += number

    def add_series(self, stream: str, series: Series, parts: Parts, own: int) -> None:
        bins = self.bins.setdefault(stream, Counter())
        codes = parts.codes[:own]
        bins.update({part: int((codes == code).sum()) for code, part in enumerate(PARTS)})
        bins["bins"] += own
        bins["missing"] += int((series.rows[:own] == 0).sum())
        for code, part in enumerate(PARTS):
            runs = part_runs(series, parts, code)
            self.longest[part] = max([self.longest[part], *(last - first + 1 for first, last in runs)])
        train = codes == TRAIN
        for column in self.scenario.inputs:
            values = series.values[column.name][:own]
            values = values if train.all() else values[train]
            self.moments[column.name].append(moments_of(values))
            self.counts[column.name] = self.counts.get(column.name, 0) + upper_counts(values)
        if self.scenario.normalize.by == "stream":
            first = np.cumsum(series.rows) - series.rows < self.scenario.normalize.rows
            self.stream_moments[stream] = {
                column.name: astuple(moments_of(series.values[column.name][first])) for column in self.scenario.inputs
            }

    def facts(self) -> list:
        moments = {name: astuple(merge_moments(parts)) for name, parts in self.moments.items()}
        return [
            *(count(name, number) for name, number in self.totals.items()),
            *(("bins", stream, bins) for stream, bins in self.bins.items()),
            *(("overlap", stream, [first, other, number]) for (stream, first, other), number in self.overlaps.items()),
            *(("moments", name, one) for name, one in moments.items()),
            *(("stream_moments", stream, columns) for stream, columns in self.stream_moments.items()),
            *(("longest", part, int(length)) for part, length in self.longest.items()),
        ]


def write_stretch(
    stream: str,
    rows: StreamRows,
    segments: Runs,
    begin: int | None,
    end: int | None,
    scenario: Scenario,
    shards: UnitShards,
    found: UnitFindings,
) -> list[pa.RecordBatch]:
    """Judges, grids, splits and windows a stretch; returns the rows it rejects."""
    step = scenario.data.step_ms
    judged = judge_same_times(rows, scenario.data.same_time == "keep")
    own_rows = len(rows) if end is None else int(np.searchsorted(rows.times, end))
    found.add_rows(stream, rows, judged, own_rows)
    kept = rows if judged.kept.all() else rows.where(judged.kept)
    halo = (scenario.windows.length + scenario.forecast.reach + scenario.steps_ahead - 1) * step
    bounds = (None, None) if end is None else (begin // step, (end + halo) // step)
    grid = grid_between(segments, step, *bounds)
    series = resample(kept.times, kept.values, grid, scenario)
    parts = split(series, stream, scenario)
    if scenario.inject is not None:
        label, seconds = scenario.labels[0].name, scenario.data.step_seconds
        series = inject_faults(series, parts, stream, scenario.inject, label, seconds)
    own_end = int(grid.bins[-1]) + 1 if end is None else end // step
    own_bins = int(np.searchsorted(grid.bins, own_end))
    found.add_series(stream, series, parts, own_bins)
    shards.add_series(stream, series, parts, own_bins)
    begins = segment_bins(segments, step)[:, 0]
    for part in WINDOW_SHARDS:
        shards.add_windows(stream, part, cut_windows(series, parts, part, begins, own_end, scenario))
    return rejected_rows(rows, judged.rejected[:own_rows], scenario.data.time)


def rejected_rows(rows: StreamRows, rejected: np.ndarray, time_column: str) -> list[pa.RecordBatch]:
    """Batches of rejected rows, one for each file."""
    places = np.flatnonzero(rejected)
    batches = []
    for file in np.unique(rows.file[places]).tolist():
        own = places[rows.file[places] == file]
        listed = [
            {"file": rows.files[file], "row": row, "column": time_column, "value": iso(time), "reason": CONTRADICTION}
            for row, time in zip(rows.row[own].tolist(), rows.times[own].tolist(), strict=True)
        ]
        batches.append(pa.RecordBatch.from_pylist(listed, REJECTED))
    return batches


def iso(time_ms: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(time_ms))).strftime("%Y-%m-%dT%H:%M:%S")
