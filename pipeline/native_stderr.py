"""What native libraries write to file descriptor 2, past Python: held back, shown only if something fails."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def stderr_into(file: IO[bytes]) -> Iterator[int]:
    """Sends everything written to file descriptor 2 inside to `file`; yields a descriptor of where it went before."""
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield saved
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


@contextmanager
def withheld_stderr() -> Iterator[None]:
    """Holds back everything written to file descriptor 2 inside; an exception, but not an interrupt, lets it out first.

    TensorFlow and LiteRT announce themselves there before any log level can be set. Process-wide: keep it short.
    """
    with tempfile.TemporaryFile() as held, stderr_into(held) as saved:
        try:
            yield
        except Exception:
            sys.stderr.flush()
            held.seek(0)
            os.write(saved, held.read())
            raise
