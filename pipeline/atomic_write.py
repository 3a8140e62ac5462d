"""Files that are whole or absent: written beside their place, synced, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.user_error import UserError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`: on success it replaces `path`, on any exception it is removed.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
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


def _concerns(error: OSError, temporary: Path) -> bool:
    """Whether the error is about the place written to, not about some other file read meanwhile."""
    named = Path(os.fsdecode(error.filename))
    return named == temporary or named in temporary.parents


def _remove(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        pass  # the folder itself is not reachable: there is nothing to remove
