"""Recorded history: Parquet files with a row for each step of the model."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.open_file import open_parquet
from pipeline.place import is_remote
from pipeline.quiet_beam import beam
from pipeline.user_error import UserError

SEGMENT = "segment"


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
        return (self.time, *([] if self.stream is None else [self.stream]), *self.columns)


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
