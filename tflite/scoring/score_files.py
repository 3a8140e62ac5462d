"""Scores -> a Parquet file for each stream: in the order of time, written whole, hashed."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from pipeline.atomic_write import atomic_write
from pipeline.facts import Fact, count
from pipeline.fetch_data import sha256_of
from pipeline.place import join
from tflite.runtimes.step_runtime import TensorSpec

SCORES = "scores"
NAME = re.compile(r".+-[0-9a-f]{8}\.parquet")  # a file of ours
KILLED = re.compile(r"\..+-[0-9a-f]{8}\.parquet\.[0-9a-f]+\.tmp")  # left by a run that was killed


def score_file_name(stream: str) -> str:
    """Readable, allowed on every file system, and another for another stream."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", stream)[:80].lstrip(".") or "stream"
    return f"{readable}-{hashlib.sha256(stream.encode()).hexdigest()[:8]}.parquet"


def score_schema(outputs: Sequence[TensorSpec]) -> pa.Schema:
    """A column per output: a number, or a list of fixed length where it has several."""
    return pa.schema(
        [("stream", pa.string()), ("time", pa.timestamp("ms")), ("segment", pa.int32())]
        + [(spec.name, _column_type(spec)) for spec in outputs]
    )


def _column_type(spec: TensorSpec) -> pa.DataType:
    kind = pa.from_numpy_dtype(np.dtype("float32" if spec.is_quantized else spec.dtype))
    width = int(np.prod(spec.shape))
    return kind if width == 1 else pa.list_(kind, width)


@contextmanager
def score_file(folder: str, stream: str, outputs: Sequence[TensorSpec]) -> Iterator["ScoreFile"]:
    """The file of one stream; it gets its name when the block ends, or never.

    Raises:
        UserError: it cannot be written.
    """
    name, schema = f"{SCORES}/{score_file_name(stream)}", score_schema(outputs)
    with atomic_write(join(folder, name)) as temporary:
        with pa.parquet.ParquetWriter(temporary, schema, compression="zstd") as table:
            file = ScoreFile(name, stream, table)
            yield file
        file.sha256 = sha256_of(temporary)


class ScoreFile:
    """An open file of scores."""

    def __init__(self, name: str, stream: str, table: pa.parquet.ParquetWriter):
        self._name, self._stream, self._table = name, stream, table
        self._steps = self._segments = 0
        self.sha256 = ""

    def add(self, times: np.ndarray, segments: np.ndarray, outputs: Mapping[str, np.ndarray]) -> None:
        """The steps after those before, as a row group.

        Args:
            times: (steps,) epoch ms. segments: (steps,) numbers. outputs: (steps, width) by name.
        """
        size, schema = len(times), self._table.schema
        stamps = pa.array(times).cast(pa.timestamp("ms"))
        columns = [pa.repeat(self._stream, size), stamps, pa.array(segments, pa.int32())]
        for field in schema:
            if field.name in outputs:
                flat = pa.array(outputs[field.name].reshape(-1))
                is_list = pa.types.is_fixed_size_list(field.type)
                columns.append(pa.FixedSizeListArray.from_arrays(flat, field.type.list_size) if is_list else flat)
        self._table.write_table(pa.table(columns, schema=schema))
        self._steps += size
        self._segments = int(segments[-1]) + 1

    def facts(self) -> list[Fact]:
        """Of the closed file."""
        counts = {"steps": self._steps, "segments": self._segments, "streams": 1}
        return [("file", self._name, self.sha256), *(count(name, number) for name, number in counts.items())]
