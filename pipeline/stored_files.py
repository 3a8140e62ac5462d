"""Files of a folder where results go, on the local disk or any file system Beam knows: named, taken away, put there."""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.place import is_remote, join
from pipeline.quiet_beam import beam
from pipeline.user_error import UserError

FileSystems = beam.io.filesystems.FileSystems
BLOCK_BYTES = 1 << 20


def file_names(folder: str) -> list[str]:
    """The names of the files in a folder, those below it left out; none where there is no folder.

    Raises:
        UserError: it cannot be read.
    """
    with _told(folder, "read"):
        if not is_remote(folder):
            return [path.name for path in Path(folder).glob("*") if path.is_file()]
        found = FileSystems.match([join(folder, "*")])[0].metadata_list
        return [one.path.rsplit("/", 1)[1] for one in found]


def remove_files(folder: str, names: Iterable[str]) -> None:
    """Takes files away; one that is not there is no matter.

    Raises:
        UserError: one cannot be taken away.
    """
    with _told(folder, "cleared"):
        for place in [join(folder, name) for name in names]:
            if not is_remote(folder):
                Path(place).unlink(missing_ok=True)
            elif FileSystems.exists(place):
                FileSystems.delete([place])


def remove_folder(folder: str) -> None:
    """Takes a folder away with the files in it, where there is one.

    Raises:
        UserError: it cannot be taken away.
    """
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with _told(folder, "cleared"):
        if names := file_names(folder):
            FileSystems.delete([join(folder, name) for name in names])
        if FileSystems.exists(folder):  # where folders are things of their own
            FileSystems.delete([folder])


def upload(source: Path, place: str) -> None:
    """Copies a local file to an address: under another name first, so that it is whole there or absent.

    Raises:
        UserError: it cannot be written there.
    """
    folder, name = place.rsplit("/", 1)
    temporary = join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    plain = beam.io.filesystem.CompressionTypes.UNCOMPRESSED
    with _told(place, "written"):
        try:
            with open(source, "rb") as read, FileSystems.create(temporary, compression_type=plain) as written:
                shutil.copyfileobj(read, written, BLOCK_BYTES)
            if FileSystems.exists(place):
                FileSystems.delete([place])  # HDFS renames onto nothing
            FileSystems.rename([temporary], [place])
        except BaseException:
            with suppress(Exception):
                FileSystems.delete([temporary])
            raise


@contextmanager
def _told(place: str, done: str) -> Iterator[None]:
    """What goes wrong on a file system, in one line: each raises what its client does."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{place}: cannot be {done} ({getattr(error, 'strerror', None) or error}); free the place, or choose"
            " another folder"
        ) from error
