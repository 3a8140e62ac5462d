"""The batches of one unit of work -> the rows of each of its streams, in the order of time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.row_schema import FILE, ROW, STREAM, TIME


@dataclass(frozen=True, eq=False)
class StreamRows:
    """Rows of one stream sorted by time, then file, then row. All arrays (rows,)."""

    times: np.ndarray  # epoch ms
    file: np.ndarray  # index into `files`
    row: np.ndarray
    values: dict[str, np.ndarray]  # float32 or float64 by column, NaN = missing
    files: list[str]

    def __len__(self) -> int:
        return len(self.times)

    def where(self, chosen: np.ndarray | slice) -> "StreamRows":
        values = {name: one[chosen] for name, one in self.values.items()}
        return StreamRows(self.times[chosen], self.file[chosen], self.row[chosen], values, self.files)


def rows_by_stream(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, StreamRows]]:
    """(stream, its rows) in the order of the streams' names. The order in which the batches come does not matter."""
    batches = sorted(batches, key=lambda batch: (batch.schema.metadata[FILE], batch[ROW][0].as_py()))
    if not batches:
        return
    files = sorted({batch.schema.metadata[FILE] for batch in batches})
    streams = sorted({stream for batch in batches for stream in batch[STREAM].dictionary.to_pylist()})
    codes = np.concatenate([_codes(batch, streams) for batch in batches])
    times = np.concatenate([batch[TIME].to_numpy() for batch in batches])
    order = None if _is_sorted(codes, times) else np.lexsort((times, codes))

    def gathered(parts: Iterable[np.ndarray]) -> np.ndarray:
        whole = np.concatenate(list(parts))
        return whole if order is None else whole[order]

    rows = StreamRows(
        times=times if order is None else times[order],
        file=gathered(np.full(len(batch), files.index(batch.schema.metadata[FILE]), np.int32) for batch in batches),
        row=gathered(batch[ROW].to_numpy() for batch in batches),
        values={
            name: gathered(batch[name].to_numpy() for batch in batches) for name in batches[0].schema.names[3:]
        },
        files=[file.decode() for file in files],
    )
    codes = codes if order is None else codes[order]
    del batches
    for code, stream in enumerate(streams):
        first, end = np.searchsorted(codes, [code, code + 1])
        if end > first:
            yield stream, rows.where(slice(first, end))


def _codes(batch: pa.RecordBatch, streams: list[str]) -> np.ndarray:
    """The place of each row's stream among all `streams`."""
    own = batch[STREAM].dictionary.to_pylist()
    if len(streams) == 1:
        return np.zeros(len(batch), np.int32)
    place = {stream: code for code, stream in enumerate(streams)}
    return np.array([place[stream] for stream in own], np.int32)[batch[STREAM].indices.to_numpy()]


def _is_sorted(codes: np.ndarray, times: np.ndarray) -> bool:
    later, same = codes[1:] > codes[:-1], codes[1:] == codes[:-1]
    return bool((later | (same & (times[1:] >= times[:-1]))).all())
