"""Scores -> Parquet files with fixed names: sorted, written whole, hashed."""

import zlib
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet

from pipeline.atomic_write import atomic_write
from pipeline.facts import Fact, problem
from pipeline.fetch_data import sha256_of
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.user_error import UserError

SHARDS = tuple(f"scores/part-{index:05d}-of-00004.parquet" for index in range(4))


class WriteScores(beam.PTransform):
    """Tables of one stream each -> all of `SHARDS` below `folder`, also those without a row; gives facts."""

    def __init__(self, folder: str, schema: pa.Schema):
        super().__init__()
        self.folder, self.schema = folder, schema

    def expand(self, tables):
        every_shard = tables.pipeline | beam.Create([(name, self.schema.empty_table()) for name in SHARDS])
        return (
            (every_shard, tables | beam.Map(lambda table: (_shard(table), table)))
            | beam.Flatten()
            | beam.GroupByKey()
            | beam.FlatMap(_write, folder=self.folder)
        )


def _shard(table: pa.Table) -> str:
    """A hash of the stream's name that is the same on every machine: a stream lies whole in one file."""
    return SHARDS[zlib.crc32(table["stream"][0].as_py().encode()) % len(SHARDS)]


def _write(grouped: tuple[str, Iterable[pa.Table]], folder: str) -> list[Fact]:
    name, tables = grouped
    scores = pa.concat_tables(tables).sort_by([("stream", "ascending"), ("time", "ascending")])
    try:
        with atomic_write(join(folder, name)) as temporary:
            pa.parquet.write_table(scores.combine_chunks(), temporary, compression="zstd")
            digest = sha256_of(temporary)
    except UserError as error:
        return [problem("write", str(error))]
    return [("file", name, digest)]
