"""Rows on their way from the files to the units of work: kept in files, only their places travel through the engine.

An embedded runner holds what is grouped in memory, several times over: 20 million rows of 8 channels took 6.3 GB, and
take 0.6 GB like this. The shards are written to a folder that all workers see; while the job runs, so are these files.
"""

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.quiet_beam import beam
from pipeline.row_schema import FILE, ROW
from pipeline.work_units import WorkUnits

DEALT = ".dealt"
DealtRows = tuple[str, int]  # name of the file, number of the batch in it


class DealRows(beam.PTransform):
    """Clean batches -> (unit, place of rows it needs)."""

    def __init__(self, units: WorkUnits, folder: Path):
        super().__init__()
        self.units = units
        self.folder = str(folder)

    def expand(self, clean):
        return clean | beam.FlatMap(deal_batch, units=self.units, folder=Path(self.folder))


def deal_batch(clean: pa.RecordBatch, units: WorkUnits, folder: Path) -> Iterator[tuple[int, DealtRows]]:
    """Writes a file for the batch, with a part for each unit. Its name says what is in it: who repeats, overwrites."""
    name = f"{hashlib.sha256(clean.schema.metadata[FILE]).hexdigest()[:32]}-{clean[ROW][0].as_py()}.arrow"
    dealt = list(units.deal(clean))
    (folder / DEALT).mkdir(exist_ok=True)
    temporary = folder / DEALT / f".{name}.{uuid.uuid4().hex}.tmp"
    with pa.ipc.new_file(str(temporary), clean.schema) as file:
        for _, rows in dealt:
            file.write_batch(rows)
    os.replace(temporary, folder / DEALT / name)  # not synced: after a fall of the machine the job begins anew
    return ((unit, (name, place)) for place, (unit, _) in enumerate(dealt))


def read_dealt(rows: DealtRows, folder: Path) -> pa.RecordBatch:
    """The rows at a place, not copied: they lie in the file until they are used."""
    name, place = rows
    return pa.ipc.open_file(pa.memory_map(str(folder / DEALT / name))).get_batch(place)
