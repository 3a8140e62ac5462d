"""Recorded history: Parquet files with a row for each step of the model, brought into whole segments in time order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.facts import FACTS, count, problem, tagged
from pipeline.open_file import open_parquet
from pipeline.place import is_remote
from pipeline.quiet_beam import beam
from pipeline.user_error import UserError

SEGMENT = "segment"
BATCH_ROWS = 1 << 16


@dataclass(frozen=True)
class History:
    """Which files and what their columns mean.

    `time`: a timestamp. `stream`: names the vehicle; None where all rows are one stream. `columns`: what the model
    reads, in its order. `max_gap_ms`: a longer hole starts a new segment; None: no hole does. Where the files have a
    column `segment`, so does every change of it.
    """

    paths: tuple[str, ...]
    time: str
    stream: str | None
    columns: tuple[str, ...]
    max_gap_ms: int | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.time, *filter(None, [self.stream]), *self.columns)


@dataclass(frozen=True, eq=False)
class Segment:
    """Steps without a hole, to be run from a reset: `times` (steps,) int64 epoch ms, `x` (steps, columns) float32."""

    stream: str
    number: int
    times: np.ndarray
    x: np.ndarray


def find_history(place: str | Path) -> tuple[str, ...]:
    """The Parquet files at a path or address, a folder's below it; sorted.

    Raises:
        UserError: there is none.
    """
    found = _remote(str(place)) if is_remote(place) else _local(Path(place))
    if not found:
        raise UserError(f"{place}: no Parquet file there; expected one, or a folder of them")
    return tuple(sorted(found))


def _local(place: Path) -> list[str]:
    if place.is_file():
        return [str(place)]
    return [str(path) for path in place.rglob("*.parquet") if not path.name.startswith(".")]


def _remote(place: str) -> list[str]:
    if place.endswith(".parquet"):
        return [place]
    try:
        found = beam.io.filesystems.FileSystems.match([f"{place.rstrip('/')}/**.parquet"])[0].metadata_list
    except Exception as error:  # each file system raises what its client does
        raise UserError(f"{place}: cannot be read ({error})") from error
    return [one.path for one in found if not one.path.rsplit("/", 1)[1].startswith(".")]


def check_history(history: History) -> None:
    """Raises a UserError that names the file and the column for the first that cannot be used."""
    for path in history.paths:
        try:
            schema = open_parquet(path).schema_arrow
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"{path}: not readable as Parquet: {error}") from error
        for name in history.needed:
            if name not in schema.names:
                raise UserError(f'{path}: has no column "{name}"; present: {", ".join(schema.names)}')
        if not pa.types.is_timestamp(schema.field(history.time).type):
            kind = schema.field(history.time).type
            raise UserError(
                f'{path}: column "{history.time}" holds {kind}, expected timestamps;'
                " bring rows to the grid of the model with `edgernn preprocess` first"
            )
        for name in history.columns:
            kind = schema.field(name).type
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
                raise UserError(f'{path}: column "{name}" holds {kind}, expected numbers')


class ReadHistory(beam.PTransform):
    """Pipeline -> `Segment` elements (main), facts ("facts")."""

    def __init__(self, history: History):
        super().__init__()
        self.history = history

    def expand(self, begin):
        return (
            begin
            | beam.Create(self.history.paths)
            | beam.Reshuffle()
            | beam.FlatMap(_read_file, history=self.history)
            | beam.GroupByKey()
            | beam.ParDo(_Segments(self.history)).with_outputs(FACTS, main="segments")
        )


def _read_file(path: str, history: History) -> Iterator[tuple[str, pa.Table]]:
    """(stream, its rows of one batch): time as epoch ms, segment, then the columns as float32, NaN = missing."""
    with open_parquet(path) as file:
        segment = [SEGMENT] if SEGMENT in file.schema_arrow.names and SEGMENT not in history.columns else []
        for batch in file.iter_batches(BATCH_ROWS, columns=[*history.needed, *segment]):
            yield from _by_stream(pa.Table.from_batches([batch]), history)


def _by_stream(rows: pa.Table, history: History) -> Iterator[tuple[str, pa.Table]]:
    times = pc.cast(pc.cast(rows[history.time], pa.timestamp("ms"), safe=False), pa.int64())
    segments = rows[SEGMENT] if SEGMENT in rows.column_names else pa.repeat(0, len(rows))
    values = [pc.fill_null(pc.cast(rows[name], pa.float32(), safe=False), np.nan) for name in history.columns]
    names = ["time", "segment", *map(str, range(len(values)))]
    table = pa.table([times, pc.cast(segments, pa.int64()), *values], names=names)
    if history.stream is None:
        yield "", table
        return
    streams = pc.dictionary_encode(pc.cast(rows[history.stream], pa.string())).combine_chunks()
    codes = streams.indices.fill_null(-1).to_numpy()
    for code in np.unique(codes):
        yield streams.dictionary[code].as_py() if code >= 0 else "", table.filter(pa.array(codes == code))


class _Segments(beam.DoFn):
    """The rows of a stream, in whatever pieces and order they came, cut into segments in time order."""

    def __init__(self, history: History):
        self.history = history

    def process(self, grouped: tuple[str, Iterable[pa.Table]]):
        stream, pieces = grouped
        rows = pa.concat_tables(pieces).combine_chunks()
        rows = rows.sort_by([("time", "ascending")])
        wrong = find_problem(stream, rows)
        if wrong:
            yield tagged(problem("history", wrong))
            return
        segments = list(cut_segments(stream, rows, self.history.max_gap_ms))
        yield tagged(count("steps", len(rows)))
        yield tagged(count("segments", len(segments)))
        yield tagged(count("streams", 1))
        yield from segments


def find_problem(stream: str, rows: pa.Table) -> str | None:
    """Why rows, sorted by time, are no history; None where they are."""
    if rows["time"].null_count:
        return f'stream "{stream}": {rows["time"].null_count} rows without a time; take them out'
    times = rows["time"].to_numpy()
    double = np.flatnonzero(np.diff(times) == 0)
    if len(double):
        return (
            f'stream "{stream}": two rows at {np.datetime64(int(times[double[0]]), "ms")}; a model takes one row per'
            " step: bring them to its grid with `edgernn preprocess`, or name the column that tells streams apart"
        )
    return None


def cut_segments(stream: str, rows: pa.Table, max_gap_ms: int | None) -> Iterator[Segment]:
    """The segments of a stream's rows, which are sorted by time; numbered from 0."""
    times, marks = rows["time"].to_numpy(), rows["segment"].fill_null(-1).to_numpy()
    x = np.stack([rows[name].to_numpy() for name in rows.column_names[2:]], axis=1)
    starts = np.diff(marks) != 0
    if max_gap_ms is not None:
        starts |= np.diff(times) > max_gap_ms
    borders: Sequence[int] = [0, *(np.flatnonzero(starts) + 1), len(times)]
    for number, (begin, end) in enumerate(zip(borders, borders[1:], strict=False)):
        yield Segment(stream, number, times[begin:end], x[begin:end])
