"""Files -> clean batches: every row read, judged, and passed on or set aside with its reason."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline import read_csv
from pipeline.clean_rows import clean_batch
from pipeline.data_files import DataFile, file_state
from pipeline.facts import FACTS, count, problem, tagged
from pipeline.fetch_data import sha256_of
from pipeline.quiet_beam import beam
from pipeline.read_csv import csv_batches
from pipeline.read_json_lines import json_batches
from pipeline.read_parquet import parquet_batches
from pipeline.row_schema import REJECTED, STREAM, TIME
from pipeline.scenario import Scenario
from pipeline.user_error import UserError


class ReadRows(beam.PTransform):
    """DataFile elements -> clean batches (main), rejected rows ("rejected"), facts ("facts")."""

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
        malformed = _Malformed(file.name)
        rows, late, offsets, latest = 0, 0, set(), {}
        try:
            for numbers, cells in _raw_batches(file, self.scenario, malformed):
                rows += len(cells)
                clean, rejected, seen = clean_batch(file.name, numbers, cells, self.scenario)
                late += count_late(clean, latest)
                offsets |= seen
                if len(clean):
                    yield clean
                if len(rejected):
                    yield beam.pvalue.TaggedOutput("rejected", rejected)
            digest = sha256_of(file.path)  # by the worker: whoever starts the job need not read every file
            _check_whole(file, rows + len(malformed.rows), offsets)
            yield tagged(("sha256", file.name, digest))
        except UserError as error:
            yield tagged(problem("read", str(error)))
        except OSError as error:
            yield tagged(problem("read", f"{file.path}: cannot be read ({error.strerror or error})"))
        except pa.ArrowException as error:
            yield tagged(problem("read", f"{file.path}: is not readable as {_kind(file)}: {_plain(error)}"))
        if malformed.rows:
            yield beam.pvalue.TaggedOutput("rejected", pa.RecordBatch.from_pylist(malformed.rows, REJECTED))
        yield tagged(count("rows_in", rows + len(malformed.rows)))
        yield tagged(count("rows_out_of_order", late))


class _Malformed:
    """Collects the rows that are no rows."""

    def __init__(self, file: str):
        self.file = file
        self.rows: list[dict] = []

    def __call__(self, row: int, text: str, reason: str) -> None:
        self.rows.append({"file": self.file, "row": row, "column": "", "value": text[:200], "reason": reason})


def _kind(file: DataFile) -> str:
    name = file.name.removesuffix(".gz")
    return "Parquet" if name.endswith(".parquet") else "JSON Lines" if name.endswith((".jsonl", ".ndjson")) else "CSV"


def _plain(error: pa.ArrowException) -> str:
    """Arrow's message in words that tell the user what to look for."""
    if "straddling object" in str(error):
        return f"a line is longer than {read_csv.BLOCK_BYTES:,} bytes, or a quote is never closed"
    return str(error)


def _raw_batches(
    file: DataFile, scenario: Scenario, malformed: _Malformed
) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """(row numbers from 1, cells) of one file, whatever its kind."""
    match _kind(file):
        case "Parquet":
            return parquet_batches(file.path, scenario)
        case "JSON Lines":
            return json_batches(file.path, scenario, malformed)
        case _:
            return csv_batches(file.path, scenario, malformed)


def _check_whole(file: DataFile, rows: int, offsets: set[str]) -> None:
    if rows == 0:
        raise UserError(f"{file.path}: has a header but no rows; remove the file or fill it")
    if file_state(file.path) != file.state:
        raise UserError(f"{file.path}: changed while it was read; run again when nothing writes to it")
    if len(offsets) > 1:
        raise UserError(
            f"{file.path}: some times have an offset from UTC and some have none; nobody can say how they lie to each"
            " other: give all of them one, or none"
        )


def count_late(clean: pa.RecordBatch, latest: dict[str, int]) -> int:
    """How many rows are earlier than one of their stream before them in the file; `latest` goes from batch to batch."""
    times, codes = clean[TIME].to_numpy(), clean[STREAM].indices.to_numpy()
    late = 0
    for code, stream in enumerate(clean[STREAM].dictionary.to_pylist()):
        own = times if len(clean[STREAM].dictionary) == 1 else times[codes == code]
        highest = np.maximum.accumulate(np.append(latest.get(stream, own[0] if len(own) else 0), own))
        latest[stream] = int(highest[-1])
        late += int((own < highest[1:]).sum())
    return late
