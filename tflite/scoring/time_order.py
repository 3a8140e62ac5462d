"""The pieces of a stream, merged by time a block at a time: a worker never holds a vehicle's whole history."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from pipeline.dealt_rows import read_dealt
from tflite.scoring.deal_history import TIME, Piece, check_times

BLOCK_ROWS = 1 << 16
AT_ONCE = 1 << 12  # rows of a piece that are merged together: pieces that all overlap cost so many each


def blocks_in_time_order(stream: str, pieces: Iterable[Piece], folder: str) -> Iterator[pa.RecordBatch]:
    """Blocks of BLOCK_ROWS rows, the last one shorter, by time; the same ones however the rows came in pieces.

    Raises:
        UserError: two rows have the same time.
    """
    last = pa.array([], pa.int64())
    for block in _of_equal_size(merged(pieces, folder)):
        times = pa.concat_arrays([last, block[TIME]])
        check_times(stream, times.to_numpy())
        last = times[-1:]
        yield block


def merged(pieces: Iterable[Piece], folder: str) -> Iterator[pa.RecordBatch]:
    """The rows of sorted pieces by time, in batches of any size. Only pieces that overlap are open together."""
    waiting, held = deque(sorted(pieces)), []
    while waiting or held:
        if waiting and (not held or waiting[0].first <= min(map(_first, held))):
            piece = waiting.popleft()
            held.append(read_dealt((piece.name, piece.number), folder))
            continue
        # Later than the first row held: no piece has two rows of a time, and no piece that waits begins as early.
        bounds = [one[TIME][AT_ONCE].as_py() for one in held if len(one) > AT_ONCE]
        bound = min([*bounds, waiting[0].first] if waiting else bounds, default=None)
        places = [len(one) if bound is None else _place(one, bound) for one in held]
        yield _by_time([one.slice(0, place) for one, place in zip(held, places, strict=True)])
        held = [one.slice(place) for one, place in zip(held, places, strict=True) if place < len(one)]


def _first(rows: pa.RecordBatch) -> int:
    return rows[TIME][0].as_py()


def _place(rows: pa.RecordBatch, bound: int) -> int:
    """How many rows are earlier."""
    return int(np.searchsorted(rows[TIME].to_numpy(), bound))


def _by_time(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    rows = pa.concat_batches(parts)
    times = rows[TIME].to_numpy()
    return rows if (np.diff(times) >= 0).all() else rows.take(pa.array(np.argsort(times, kind="stable")))


def _of_equal_size(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    kept, size = [], 0
    for batch in batches:
        kept, size = [*kept, batch], size + len(batch)
        while size >= BLOCK_ROWS:
            rows = pa.concat_batches(kept)
            yield rows.slice(0, BLOCK_ROWS)
            kept, size = [rows.slice(BLOCK_ROWS)], size - BLOCK_ROWS
    if size:
        yield pa.concat_batches(kept)
