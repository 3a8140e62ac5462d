"""Rows on their way from the files to the units of work: kept in files, only their places travel through the engine.

An embedded runner holds what is grouped in memory, several times over: 20 million rows of 8 channels took 6.3 GB, and
take 0.6 GB like this. The shards are written to a folder that all workers see; while the job runs, so are these files.
"""

import hashlib
from collections.abc import Iterator

import pyarrow as pa

from pipeline.atomic_write import atomic_write
from pipeline.open_file import open_file
from pipeline.place import is_remote, join
from pipeline.quiet_beam import beam
from pipeline.row_schema import FILE, ROW
from pipeline.work_units import WorkUnits

DEALT = ".dealt"
DealtRows = tuple[str, int]  # name of the file, number of the batch in it


class DealRows(beam.PTransform):
    """Clean batches -> (unit, place of rows it needs)."""

    def __init__(self, units: WorkUnits, folder: str):
        super().__init__()
        self.units = units
        self.folder = folder

    def expand(self, clean):
        return clean | beam.FlatMap(deal_batch, units=self.units, folder=self.folder)


def deal_batch(clean: pa.RecordBatch, units: WorkUnits, folder: str) -> Iterator[tuple[int, DealtRows]]:
    """Writes a file for the batch, with a part for each unit. Its name says what is in it: who repeats, overwrites."""
    name = f"{hashlib.sha256(clean.schema.metadata[FILE]).hexdigest()[:32]}-{clean[ROW][0].as_py()}.arrow"
    dealt = list(units.deal(clean))
    place = join(folder, DEALT, name)
    with (
        atomic_write(place, sync=False) as temporary,  # after a fall of the machine the job begins anew
        pa.ipc.new_file(str(temporary), clean.schema) as file,
    ):
        for _, rows in dealt:
            file.write_batch(rows)
    return ((unit, (name, place)) for place, (unit, _) in enumerate(dealt))


def read_dealt(rows: DealtRows, folder: str) -> pa.RecordBatch:
    """The rows at a place; from a local file not copied: they lie in it until they are used."""
    name, number = rows
    place = join(folder, DEALT, name)
    return pa.ipc.open_file(open_file(place) if is_remote(place) else pa.memory_map(place)).get_batch(number)
