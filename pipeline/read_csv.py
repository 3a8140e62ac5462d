"""One CSV file -> raw batches. Arrow reads numbers where every cell is one; from the first that is not on, text."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv

from pipeline.cell_values import MISSING_SPELLINGS, SECONDS
from pipeline.file_columns import file_columns
from pipeline.open_file import open_file
from pipeline.row_schema import read_columns
from pipeline.scenario import Scenario
from pipeline.user_error import UserError

BLOCK_BYTES = 4 << 20
FIRST_LINES = 100
AFTER_LAST = "@after the last comma"

Malformed = Callable[[int, str, str], None]  # row, its text, reason


class CsvFile:
    """The columns and the form of one CSV file, from its first lines."""

    def __init__(self, path: str, scenario: Scenario):
        self.path = path
        self.delimiter = scenario.data.delimiter
        header, first = _header_and_row(path, self.delimiter)
        names = _names(header, first)
        self.columns = file_columns(path, names, scenario)
        self.names = None if names == header else names
        readings = (self.columns[column.name] for column in read_columns(scenario) if column.name in self.columns)
        kinds = dict.fromkeys(readings, pa.float64())
        cells = dict(zip(names, first, strict=False))
        counted = re.match(SECONDS, cells.get(self.columns[scenario.data.time], "").strip())
        self.kinds = kinds | {self.columns[scenario.data.time]: pa.float64() if counted else pa.timestamp("ms")}

    def open(self, typed: bool, malformed: Malformed) -> pa.csv.CSVStreamingReader:
        text = dict.fromkeys(self.columns.values(), pa.binary())

        def skip(row: pa.csv.InvalidRow) -> str:
            malformed(row.number - 1, row.text, f"has {row.actual_columns} fields, expected {row.expected_columns}")
            return "skip"

        return pa.csv.open_csv(
            open_file(self.path),
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=self.names,
                skip_rows=1 if self.names else 0,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(self.columns.values()),
                column_types=text | self.kinds if typed else text,
                strings_can_be_null=False,
                null_values=MISSING_SPELLINGS if typed else [],
            ),
        )


def csv_batches(path: str, scenario: Scenario, malformed: Malformed) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """(row numbers, cells under the names of the scenario); tells `malformed` rows with too few or too many cells.

    Raises:
        UserError, OSError, pa.ArrowInvalid: the file cannot be used, or not read to its end.
    """
    file = CsvFile(path, scenario)
    skipped: set[int] = set()

    def tell_once(row: int, text: str, reason: str) -> None:
        if row not in skipped:
            skipped.add(row)
            malformed(row, text, reason)

    number = 0
    for batch in _typed_then_text(file, tell_once):
        rows = _row_numbers(number + 1, len(batch), skipped)
        number = int(rows[-1]) if len(rows) else number
        yield rows, batch.rename_columns(list(file.columns))


def _typed_then_text(file: CsvFile, malformed: Malformed) -> Iterator[pa.RecordBatch]:
    """The same blocks both times: those read already are passed over."""
    blocks = 0
    try:
        for batch in file.open(True, malformed):
            yield batch
            blocks += 1
        return
    except pa.ArrowInvalid:
        pass  # some cell is not what it should be; the second reading says which, or fails in the same way
    for block, batch in enumerate(file.open(False, malformed)):
        if block >= blocks:
            yield batch


def _row_numbers(first: int, length: int, skipped: set[int]) -> np.ndarray:
    """The numbers of `length` rows from `first` on, where the `skipped` numbers belong to rows left out."""
    if not skipped:
        return np.arange(first, first + length)
    numbers = np.arange(first, first + length + len(skipped))
    return numbers[~np.isin(numbers, list(skipped))][:length]


def _header_and_row(path: str, delimiter: str) -> tuple[list[str], list[str]]:
    """The header, and the first row that has as many cells as most of the first rows have."""
    with open_file(path) as file:
        start = file.read(BLOCK_BYTES)
    if not start.strip():
        raise UserError(f"{path}: is empty; remove the file or fill it")
    lines = start.decode("utf-8-sig", "replace").splitlines(keepends=True)
    lines = lines[:-1] if len(start) == BLOCK_BYTES else lines  # the last one is cut
    try:
        rows = [row for row in csv.reader(lines[:FIRST_LINES], delimiter=delimiter) if row]
    except csv.Error as error:
        raise UserError(f"{path}: is not readable as CSV: {error}") from error
    if not rows:
        raise UserError(f"{path}: is not readable as CSV: no header in the first {BLOCK_BYTES:,} bytes")
    header, *rows = rows
    usual = Counter(map(len, rows)).most_common(1)
    return header, next((row for row in rows if len(row) == usual[0][0]), [])


def _names(header: list[str], row: list[str]) -> list[str]:
    """The names of the cells of a usual row, which can have one more or fewer than the header names.

    A comma after the last cell makes one more: Arrow would refuse every row, others shift them. A file whose rows all
    end early lacks the columns at the end.
    """
    if len(row) == len(header) + 1 and not row[-1].strip():
        return [*header, AFTER_LAST]
    return header[: len(row)] if row else header
