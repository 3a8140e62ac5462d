"""One file of JSON Lines -> raw batches: an object a line, keys in any order, absent keys are missing readings."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.file_columns import file_columns
from pipeline.open_file import open_file
from pipeline.read_csv import Malformed
from pipeline.scenario import Scenario
from pipeline.user_error import UserError

BATCH_ROWS = 1 << 14
BATCH_BYTES = 16 << 20  # of lines: parsed they take some ten times as much
LINE_BYTES = 1 << 20


def json_batches(path: str, scenario: Scenario, malformed: Malformed) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """(row numbers, cells as text); tells `malformed` the lines that are no JSON object.

    Raises:
        UserError, OSError: the file cannot be used, or not read to its end.
    """
    keys: dict[str, None] = {}  # of all rows so far: the header, in a fixed order
    numbers, rows, held = [], [], 0
    with io.BufferedReader(open_file(path), LINE_BYTES) as file:
        for number, line in _numbered_lines(path, file):
            row = _object(line)
            if row is None:
                malformed(number, line.decode("utf-8", "replace"), "is not a JSON object")
                continue
            keys |= dict.fromkeys(row)
            numbers.append(number)
            rows.append(row)
            held += len(line)
            if len(rows) == BATCH_ROWS or held >= BATCH_BYTES:
                yield np.array(numbers), _cells(path, list(keys), rows, scenario)
                numbers, rows, held = [], [], 0
    if rows:
        yield np.array(numbers), _cells(path, list(keys), rows, scenario)


def _numbered_lines(path: str, file: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LINE_BYTES + 1):
        number += 1
        if len(line) > LINE_BYTES:
            raise UserError(f"{path}: row {number}: longer than {LINE_BYTES:,} bytes; this is no file of JSON Lines")
        if line.strip():
            yield number, line


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _cells(path: str, keys: list[str], rows: list[dict], scenario: Scenario) -> pa.RecordBatch:
    columns = file_columns(path, keys, scenario)
    cells = {name: pa.array([_text(row.get(key)) for row in rows], pa.string()) for name, key in columns.items()}
    return pa.RecordBatch.from_pydict(cells)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
