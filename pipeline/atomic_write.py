"""Files that are whole or absent: written beside their place, synced, then renamed; or put to an address so."""

import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.place import is_remote
from pipeline.user_error import UserError


@contextmanager
def atomic_write(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary local path: on success it becomes `path`, on any exception it is removed.

    Args:
        path: on the local disk, or an address on a file system of Beam.
        sync: wait until the disk has it; False: for what a fall of the machine may take.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    temporary = _temporary(path)
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _give_name(temporary, path, sync)
    except OSError as error:
        if error.filename is not None and not _concerns(error, temporary):
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); free the place or choose another folder"
        ) from error
    finally:
        _remove(temporary)


def write_json(path: str | Path, content: Any) -> None:
    """Writes `content` as JSON: keys sorted, one-space indent, newline at the end; NaN and Inf are refused.

    Raises:
        UserError: `path` cannot be written.
        ValueError: `content` holds a NaN or an infinity.
    """
    text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _temporary(path: str | Path) -> Path:
    """Beside a local place, so that it can be renamed; what goes elsewhere is first written to this machine's disk."""
    if is_remote(path):
        return Path(tempfile.gettempdir()) / f"edgernn.{uuid.uuid4().hex}.tmp"
    return Path(path).with_name(f".{Path(path).name}.{uuid.uuid4().hex}.tmp")


def _give_name(temporary: Path, path: str | Path, sync: bool) -> None:
    if is_remote(path):
        from pipeline.stored_files import upload  # brings Beam, whose import takes two seconds

        upload(temporary, path)
        return
    if sync:
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
    os.replace(temporary, path)


def _concerns(error: OSError, temporary: Path) -> bool:
    """Whether the error is about the place written to, not about some other file read meanwhile."""
    named = Path(os.fsdecode(error.filename))
    return named == temporary or named in temporary.parents


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        pass  # the folder itself is not reachable: there is nothing to remove
