"""One Parquet file -> raw batches, row group by row group."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipeline.file_columns import file_columns
from pipeline.open_file import open_parquet
from pipeline.scenario import Scenario

BATCH_ROWS = 1 << 17


def parquet_batches(path: str, scenario: Scenario) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """(row numbers, cells under the names of the scenario).

    Raises:
        UserError, OSError, pa.ArrowInvalid: the file cannot be used, or not read to its end.
    """
    with open_parquet(path) as parquet:
        columns = file_columns(path, parquet.schema_arrow.names, scenario)
        number = 1
        for batch in parquet.iter_batches(BATCH_ROWS, columns=list(columns.values()), use_threads=False):
            yield np.arange(number, number + len(batch)), _renamed(batch, columns)
            number += len(batch)


def _renamed(batch: pa.RecordBatch, columns: dict[str, str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch[given] for given in columns.values()], list(columns))
