"""The rows of a history on their way to their stream: sorted pieces in files; only places go through the engine."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.atomic_write import atomic_write
from pipeline.dealt_rows import DEALT
from pipeline.facts import FACTS, problem, tagged
from pipeline.open_file import open_parquet
from pipeline.place import join
from pipeline.quiet_beam import beam
from pipeline.user_error import UserError
from tflite.scoring.history import SEGMENT, History

BATCH_ROWS = 1 << 16
TIME, MARK = "time", "mark"  # of a piece: epoch ms; the value of the history's column `segment`
WITHOUT_SEGMENT = -1


@dataclass(frozen=True, order=True)
class Piece:
    """Rows of one stream sorted by time, no two of a time: batch `number` of a file below DEALT.

    `first`: epoch ms of the earliest.
    """

    first: int
    name: str
    number: int


class DealHistory(beam.PTransform):
    """Paths -> (stream, `Piece`), and facts ("facts") about what cannot be used."""

    def __init__(self, history: History, folder: str):
        super().__init__()
        self.history = history
        self.folder = folder

    def expand(self, paths):
        deal = beam.ParDo(_Deal(self.history, self.folder)).with_outputs(FACTS, main="pieces")
        return paths | beam.Reshuffle() | deal


class _Deal(beam.DoFn):
    def __init__(self, history: History, folder: str):
        self.history = history
        self.folder = folder

    def process(self, path: str):
        try:
            yield from deal_file(path, self.history, self.folder)
        except UserError as error:
            yield tagged(problem("history", str(error)))
        except (OSError, pa.ArrowInvalid) as error:
            yield tagged(problem("history", f"{path}: not readable as Parquet: {error}"))


def deal_file(path: str, history: History, folder: str) -> Iterator[tuple[str, Piece]]:
    """(stream, piece) of every batch of a Parquet file.

    Raises:
        UserError: a row has no time, two of a stream have the same.
        OSError, pa.ArrowInvalid: the file is damaged.
    """
    digest = hashlib.sha256(path.encode()).hexdigest()[:32]
    with open_parquet(path) as file:
        mark = [SEGMENT] if SEGMENT in file.schema_arrow.names and SEGMENT not in history.columns else []
        for index, batch in enumerate(file.iter_batches(BATCH_ROWS, columns=[*history.needed, *mark])):
            if absent := batch[history.time].null_count:
                raise UserError(f"{path}: {absent} rows without a time; take them out")
            if len(batch):
                yield from _deal_batch(pa.table(batch), history, folder, f"{digest}-{index}.arrow")


def _deal_batch(rows: pa.Table, history: History, folder: str, name: str) -> Iterator[tuple[str, Piece]]:
    """Writes a file for the batch, with a piece for each stream. Who repeats, overwrites."""
    streams, codes = _streams(rows, history)
    plain = plain_rows(rows, history)
    times = plain[TIME].to_numpy()
    order = np.lexsort((times, codes))
    plain, times, codes = plain.take(pa.array(order)), times[order], codes[order]
    borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    with (
        atomic_write(join(folder, DEALT, name), sync=False) as temporary,  # after a fall of the machine it begins anew
        pa.ipc.new_file(str(temporary), plain.schema) as file,
    ):
        for begin, end in zip(borders, borders[1:], strict=False):
            check_times(streams[codes[begin]], times[begin:end])
            file.write_batch(plain.slice(begin, end - begin))
    for number, begin in enumerate(borders[:-1]):
        yield streams[codes[begin]], Piece(int(times[begin]), name, number)


def _streams(rows: pa.Table, history: History) -> tuple[list[str], np.ndarray]:
    """The names of the streams, and of each row the place of its own among them. A row that names none is of ""."""
    if history.stream is None:
        return [""], np.zeros(len(rows), np.int64)
    names = pc.fill_null(pc.cast(rows[history.stream], pa.string()), "")
    encoded = pc.dictionary_encode(names).combine_chunks()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def plain_rows(rows: pa.Table, history: History) -> pa.RecordBatch:
    """time (epoch ms), mark, then a column "0", "1", .. for each the model reads: float32, NaN = missing."""
    times = pc.cast(pc.cast(rows[history.time], pa.timestamp("ms"), safe=False), pa.int64())
    marks = rows[SEGMENT] if SEGMENT in rows.column_names else pa.repeat(0, len(rows))
    marks = pc.fill_null(pc.cast(marks, pa.int64()), WITHOUT_SEGMENT)
    values = [pc.fill_null(pc.cast(rows[name], pa.float32(), safe=False), np.nan) for name in history.columns]
    table = pa.table([times, marks, *values], names=[TIME, MARK, *map(str, range(len(values)))])
    return table.combine_chunks().to_batches()[0]


def check_times(stream: str, times: np.ndarray) -> None:
    """Raises a UserError where two rows, sorted by time, have the same."""
    double = np.flatnonzero(np.diff(times) == 0)
    if len(double):
        raise UserError(
            f'stream "{stream}": two rows at {np.datetime64(int(times[double[0]]), "ms")}; a model takes one row per'
            " step: bring them to its grid with `edgernn preprocess`, or name the column that tells streams apart"
        )
