"""Shards with fixed names, written whole, hashed."""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from pipeline.atomic_write import atomic_write
from pipeline.facts import Fact, count, problem
from pipeline.fetch_data import sha256_of
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.resample_rows import Series
from pipeline.row_schema import REJECTED, series_schema
from pipeline.scenario import Scenario
from pipeline.split_rows import EMBARGO, PARTS, Parts
from pipeline.user_error import UserError
from pipeline.window_record import encode_windows
from pipeline.window_rows import WINDOW_SHARDS, Windows

ROW_GROUP = 1 << 20


def rejected_shard(unit: int, units: int) -> str:
    return f"rejected/part-{unit:05d}-of-{units:05d}.parquet"


def stream_shard(unit: int, units: int) -> str:
    return f"streams/part-{unit:05d}-of-{units:05d}.parquet"


def window_shards(part: str, unit: int, units: int) -> list[str]:
    own = WINDOW_SHARDS[part]
    return [f"windows/{part}-{unit * own + index:05d}-of-{units * own:05d}.tfrecord" for index in range(own)]


class UnitShards:
    """The shards of one unit of work, all open; they get their names when the block ends, or never.

    Streams and stretches are added in their order, so that the shards are sorted.
    """

    def __init__(self, folder: str, unit: int, units: int, scenario: Scenario):
        self.folder = folder
        self.scenario = scenario
        self.streams = stream_shard(unit, units)
        self.windows = {part: window_shards(part, unit, units) for part in WINDOW_SHARDS}
        self.written = dict.fromkeys(WINDOW_SHARDS, 0)
        self.sha256: dict[str, str] = {}

    def __enter__(self) -> "UnitShards":
        with ExitStack() as stack:
            schema = series_schema(self.scenario)
            # Read back as plain text: that a few names repeat is the file's own business.
            self._table = stack.enter_context(
                pa.parquet.ParquetWriter(
                    stack.enter_context(self._hashed(self.streams)),
                    _with_dictionaries(schema),
                    compression="zstd",
                    use_dictionary=["stream", "part", "segment", "rows"],  # readings seldom repeat: it only costs
                    store_schema=False,
                )
            )
            self._files = {
                name: stack.enter_context(open(stack.enter_context(self._hashed(name)), "wb"))
                for names in self.windows.values()
                for name in names
            }
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> bool | None:
        return self._stack.__exit__(*error)

    @contextmanager
    def _hashed(self, name: str) -> Iterator[Path]:
        """A shard on its way to its place: the sum is taken here, where it need not be fetched again."""
        with atomic_write(join(self.folder, name)) as temporary:
            yield temporary
            self.sha256[name] = sha256_of(temporary)

    def add_series(self, stream: str, series: Series, parts: Parts, bins: int) -> None:
        """The first `bins` bins of a series."""
        columns = {
            "stream": pa.DictionaryArray.from_arrays(np.zeros(bins, np.int32), pa.array([stream])),
            "time": pa.array(series.grid.bins[:bins] * self.scenario.data.step_ms, pa.timestamp("ms")),
            "part": pa.DictionaryArray.from_arrays(parts.codes[:bins].astype(np.int32), pa.array([*PARTS, EMBARGO])),
            "segment": pa.array(series.grid.segment[:bins]),
            "observed": pa.array(series.rows[:bins] > 0),
            "rows": pa.array(series.rows[:bins]),
        }
        columns |= {name: pa.array(values[:bins]) for name, values in series.values.items()}
        self._table.write_table(pa.table(columns, self._table.schema), row_group_size=ROW_GROUP)

    def add_windows(self, stream: str, part: str, windows: Windows) -> None:
        """Each to a shard drawn by a hash: the windows of all streams and times are mixed."""
        names = self.windows[part]
        for start, frame in zip(windows.start.tolist(), encode_windows(stream, windows.start, windows.x), strict=True):
            self._files[names[zlib.crc32(f"{stream}\0{start}".encode()) % len(names)]].write(frame)
        self.written[part] += len(windows.start)

    def facts(self) -> list[Fact]:
        """Of the closed shards: their hashes and the number of windows."""
        hashes: list[Fact] = [("file", name, digest) for name, digest in self.sha256.items()]
        return hashes + [count(f"windows {part}", number) for part, number in self.written.items()]


def _with_dictionaries(schema: pa.Schema) -> pa.Schema:
    for name in ("stream", "part"):
        place = schema.get_field_index(name)
        schema = schema.set(place, pa.field(name, pa.dictionary(pa.int32(), pa.string())))
    return schema


class WriteRejected(beam.PTransform):
    """Batches of rejected rows -> `units` Parquet files, every row of a file in one of them; gives facts."""

    def __init__(self, folder: str, units: int):
        super().__init__()
        self.folder = folder
        self.units = units

    def expand(self, batches):
        every_unit = batches.pipeline | beam.Create([(unit, REJECTED.empty_table()) for unit in range(self.units)])
        keyed = batches | beam.Map(lambda batch, units: (_unit_of(batch, units), pa.table(batch)), units=self.units)
        return (
            (every_unit, keyed)
            | beam.Flatten()
            | beam.GroupByKey()
            | beam.FlatMap(_write_rejected, folder=self.folder, units=self.units)
        )


def _unit_of(batch: pa.RecordBatch, units: int) -> int:
    return zlib.crc32(batch["file"][0].as_py().encode()) % units


def _write_rejected(grouped: tuple[int, Iterable[pa.Table]], folder: str, units: int) -> list[Fact]:
    unit, tables = grouped
    rows = pa.concat_tables(tables).sort_by([("file", "ascending"), ("row", "ascending")])
    name = rejected_shard(unit, units)
    try:
        with atomic_write(join(folder, name)) as temporary:
            pa.parquet.write_table(rows.combine_chunks(), temporary, compression="zstd")
            digest = sha256_of(temporary)
    except UserError as error:
        return [problem("write", str(error))]
    return [("file", name, digest), count("rows_rejected", len(rows))]
