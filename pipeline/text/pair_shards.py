"""Tokenized pairs in Parquet: one shard for each part and bucket of lengths, sorted, the same bytes every time."""

import bisect
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from pipeline.atomic_write import atomic_write
from pipeline.facts import Fact, count, problem
from pipeline.fetch_data import sha256_of
from pipeline.place import join
from pipeline.user_error import UserError

IDS = pa.list_(pa.int32())
SCHEMA = pa.schema([("source", pa.string()), ("target", pa.string()), ("source_ids", IDS), ("target_ids", IDS)])
# Steps of a bucket, END included: a batch is padded to them, so that few shapes are compiled and little is padding.
BOUNDS = (6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 513)


def bucket(source_ids: list[int], target_ids: list[int]) -> tuple[int, int]:
    """Steps of source and target, each rounded up to the next bound."""
    return _steps(source_ids), _steps(target_ids)


def _steps(ids: list[int]) -> int:
    return BOUNDS[min(bisect.bisect_left(BOUNDS, len(ids) + 1), len(BOUNDS) - 1)]


def shard_name(part: str, steps: tuple[int, int]) -> str:
    return f"{part}/source{steps[0]:03}_target{steps[1]:03}.parquet"


def write_shard(grouped: tuple, folder: str) -> list[Fact]:
    """((part, steps), [(pair, source ids, target ids)]) to one file; gives facts."""
    (part, steps), members = grouped
    rows = sorted(members)
    table = pa.table(
        {
            "source": [pair.source for pair, *_ in rows],
            "target": [pair.target for pair, *_ in rows],
            "source_ids": [source for _, source, _ in rows],
            "target_ids": [target for *_, target in rows],
        },
        SCHEMA,
    )
    name = shard_name(part, tuple(steps))
    try:
        with atomic_write(join(folder, name)) as temporary:
            pa.parquet.write_table(table, temporary, compression="zstd", store_schema=False)
            digest = sha256_of(temporary)
    except UserError as error:
        return [problem("write", str(error))]
    return [("file", name, digest), count(f"pairs {part}", len(rows))]


def read_shards(folder: Path, files: Iterable[str], part: str) -> list[tuple[tuple[int, int], pa.Table]]:
    """(steps, table) of every shard of a part, by name.

    Raises:
        UserError: a shard is missing or damaged.
    """
    shards = []
    for name in sorted(name for name in files if name.startswith(f"{part}/")):
        try:
            table = pa.parquet.read_table(Path(folder) / name)
        except (OSError, pa.ArrowException) as error:
            place = Path(folder) / name
            raise UserError(f"{place}: cannot be read ({error}); preprocess the scenario again") from error
        source, target = Path(name).stem.split("_")
        shards.append(((int(source.removeprefix("source")), int(target.removeprefix("target"))), table))
    return shards


def references(folder: Path, files: Iterable[str], part: str) -> dict[str, list[str]]:
    """All targets of each source sentence of a part, sorted."""
    found: dict[str, list[str]] = {}
    for _, table in read_shards(folder, files, part):
        for source, target in zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True):
            found.setdefault(source, []).append(target)
    return {source: sorted(targets) for source, targets in sorted(found.items())}
