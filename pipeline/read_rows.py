"""Files -> raw Arrow batches, with the number of each row. Cells are not looked at here."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pipeline.data_files import DataFile
from pipeline.facts import FACTS, Fact, count, problem
from pipeline.quiet_beam import beam
from pipeline.row_schema import FILE, REJECTED, ROW, needed_names
from pipeline.scenario import Scenario
from pipeline.user_error import UserError

BLOCK_BYTES = 4 << 20
BATCH_ROWS = 1 << 16


class ReadRows(beam.PTransform):
    """DataFile elements -> raw batches (main), rejected rows ("rejected"), facts ("facts")."""

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.scenario = scenario

    def expand(self, files):
        return (
            files | beam.Reshuffle() | beam.ParDo(_ReadFile(self.scenario)).with_outputs("rejected", FACTS, main="rows")
        )


class _ReadFile(beam.DoFn):
    def __init__(self, scenario: Scenario):
        self.scenario = scenario

    def process(self, file: DataFile):
        read = _parquet_batches if file.name.endswith(".parquet") else _csv_batches
        malformed = []
        rows = 0
        try:
            for batch in read(file, self.scenario, malformed):
                rows += len(batch)
                yield batch
            if rows + len(malformed) == 0:
                raise UserError(f"{file.path}: has a header but no rows; remove the file or fill it")
        except UserError as error:
            yield _fact(problem("read", str(error)))
        except OSError as error:
            yield _fact(problem("read", f"{file.path}: cannot be read ({error.strerror or error})"))
        if malformed:
            yield beam.pvalue.TaggedOutput("rejected", pa.RecordBatch.from_pylist(malformed, REJECTED))
        yield _fact(count("rows_in", rows + len(malformed)))


def _fact(fact: Fact) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(FACTS, fact)


def _csv_batches(file: DataFile, scenario: Scenario, malformed: list[dict]) -> Iterator[pa.RecordBatch]:
    """Batches of one CSV file; rows with too few or too many fields are added to `malformed`."""
    skipped = []

    def skip(row: pa.csv.InvalidRow) -> str:
        skipped.append(row.number - 1)
        malformed.append(
            {
                "file": file.name,
                "row": row.number - 1,
                "column": "",
                "value": row.text[:200],
                "reason": f"has {row.actual_columns} fields, expected {row.expected_columns}",
            }
        )
        return "skip"

    names = needed_names(scenario)
    try:
        reader = _open_csv(file, scenario, skip, names)
    except pa.ArrowKeyError:
        header = _open_csv(file, scenario, lambda row: "skip", None).schema.names
        raise _missing_column(file, names, header, scenario) from None
    number = 1
    try:
        for batch in reader:
            rows = _row_numbers(number, len(batch), skipped)
            number = int(rows[-1]) + 1 if len(rows) else number
            yield _raw(file, rows, batch)
    except pa.ArrowInvalid as error:
        raise UserError(f"{file.path}: is not readable as CSV: {error}") from error


def _open_csv(file: DataFile, scenario: Scenario, skip: Callable, names: tuple | None) -> pa.csv.CSVStreamingReader:
    """Every named column comes as bytes: whether a cell can be used is decided cell by cell, later."""
    try:
        return pa.csv.open_csv(
            file.path,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=pa.csv.ParseOptions(
                delimiter=scenario.data.delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=names,
                column_types=dict.fromkeys(names or (), pa.binary()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowKeyError:
        raise
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise UserError(f"{file.path}: is empty; remove the file or fill it") from error
        raise UserError(f"{file.path}: is not readable as CSV: {error}") from error


def _row_numbers(first: int, length: int, skipped: list[int]) -> np.ndarray:
    """The numbers of `length` rows from `first` on, where the `skipped` numbers belong to rows left out."""
    numbers = np.arange(first, first + length + len(skipped))
    return numbers[~np.isin(numbers, skipped)][:length]


def _parquet_batches(file: DataFile, scenario: Scenario, malformed: list[dict]) -> Iterator[pa.RecordBatch]:
    """Batches of one Parquet file; it has no malformed rows."""
    names = needed_names(scenario)
    try:
        with pa.parquet.ParquetFile(file.path) as parquet:
            header = parquet.schema_arrow.names
            if not set(names) <= set(header):
                raise _missing_column(file, names, header, scenario)
            number = 1
            for batch in parquet.iter_batches(BATCH_ROWS, columns=list(names)):
                yield _raw(file, np.arange(number, number + len(batch)), batch.select(list(names)))
                number += len(batch)
    except pa.ArrowInvalid as error:
        raise UserError(f"{file.path}: is not readable as Parquet: {error}") from error


def _raw(file: DataFile, rows: np.ndarray, batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pa.repeat(file.name, len(batch)), pa.array(rows, pa.int64()), *batch.columns]
    return pa.RecordBatch.from_arrays(columns, [FILE, ROW, *batch.schema.names])


def _missing_column(file: DataFile, names: tuple[str, ...], header: list[str], scenario: Scenario) -> UserError:
    missing = next(name for name in names if name not in header)
    hint = ""
    if len(header) == 1 and any(other in header[0] for other in ",;\t|"):
        found = next(other for other in ";\t|," if other in header[0])
        hint = f"; the header holds {found!r}: is data.delimiter = {scenario.data.delimiter!r} right?"
    return UserError(f'{file.path}: has no column "{missing}"; present: {", ".join(header)}{hint}')
