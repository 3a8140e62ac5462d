"""Keyed tables -> files with fixed names: sorted, written whole, hashed."""

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from pipeline.atomic_write import atomic_write
from pipeline.facts import Fact, count, problem
from pipeline.fetch_data import sha256_of
from pipeline.quiet_beam import beam
from pipeline.user_error import UserError
from pipeline.window_record import encode_example, write_records

STREAM_SHARDS = 4
REJECTED_SHARD = "rejected/part-00000-of-00001.parquet"

WriteTable = Callable[[Path, pa.Table], None]


class WriteShards(beam.PTransform):
    """(name, table) elements -> a file for each of `names`, also for those without a table; gives facts."""

    def __init__(self, folder: Path, names: Iterable[str], empty: pa.Table, sort_by: list[str], write: WriteTable):
        super().__init__()
        self.folder = str(folder)
        self.names = list(names)
        self.empty = empty
        self.sort_by = sort_by
        self.write = write

    def expand(self, tables):
        every_name = tables.pipeline | beam.Create([(name, self.empty) for name in self.names])
        return (
            (every_name, tables)
            | beam.Flatten()
            | beam.GroupByKey()
            | beam.FlatMap(_write_shard, folder=self.folder, sort_by=self.sort_by, write=self.write)
        )


def _write_shard(
    grouped: tuple[str, Iterable[pa.Table]], folder: str, sort_by: list[str], write: WriteTable
) -> list[Fact]:
    name, tables = grouped
    table = pa.concat_tables(tables).sort_by([(column, "ascending") for column in sort_by])
    path = Path(folder) / name
    try:
        with atomic_write(path) as temporary:
            write(temporary, table)
    except UserError as error:
        return [problem("write", str(error))]
    return [("file", name, sha256_of(path)), count(f"written {name.split('-')[0]}", len(table))]


def write_parquet(path: Path, table: pa.Table) -> None:
    pa.parquet.write_table(table.combine_chunks(), path, compression="zstd")


def write_windows(path: Path, windows: pa.Table) -> None:
    """A TFRecord file of tf.train.Example, one for each window."""
    columns = (windows["stream"].to_pylist(), windows["start"].to_pylist(), windows["x"])
    write_records(
        path,
        (encode_example(stream, start, x.values.to_numpy()) for stream, start, x in zip(*columns, strict=True)),
    )


def stream_shard_names() -> list[str]:
    return [f"streams/part-{index:05d}-of-{STREAM_SHARDS:05d}.parquet" for index in range(STREAM_SHARDS)]


def stream_shard(series: pa.Table) -> str:
    """The shard of a stream: a hash of its name that is the same on every machine."""
    return stream_shard_names()[zlib.crc32(series["stream"][0].as_py().encode()) % STREAM_SHARDS]
