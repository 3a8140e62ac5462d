"""A simulated fleet as files: rows/<vehicle>.parquet or .csv, labels.parquet, and last fleet.json."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pipeline.atomic_write import atomic_write, write_json
from pipeline.fleet.faults import CODES, label_rows
from pipeline.fleet.fleet_settings import FleetSettings, vehicle_name
from pipeline.fleet.sensors import CHANNELS
from pipeline.fleet.simulate_fleet import AT_ONCE, ROWS, simulate_fleet
from pipeline.user_error import UserError

WRITERS: dict[str, Callable] = {
    "parquet": lambda path: pa.parquet.ParquetWriter(path, ROWS),
    "csv": lambda path: pa.csv.CSVWriter(path, ROWS),
}
LABELS = pa.schema(
    [
        ("vehicle", pa.string()),
        ("fault", pa.string()),
        ("code", pa.int8()),
        ("channel", pa.string()),
        ("begin", pa.timestamp("ms")),
        ("end", pa.timestamp("ms")),
    ]
)


def write_fleet(settings: FleetSettings, folder: str | Path, form: str = "parquet") -> list[Path]:
    """Simulates a fleet into `folder`; the same settings give the same bytes.

    Rows of other runs are taken away. fleet.json (settings, channels, fault codes) is written last: while it is absent
    the fleet is not whole. The labels have a row per fault: vehicle, fault, code as in the rows, the channel that shows
    it, begin and end (exclusive).

    Args:
        form: "parquet" or "csv".

    Returns:
        The files with rows, sorted.

    Raises:
        UserError: `folder` cannot be written.
    """
    folder = Path(folder)
    _begin(folder)
    paths = {number: folder / "rows" / f"{vehicle_name(number)}.{form}" for number in _numbers(settings)}
    for block in settings.blocks(AT_ONCE):
        with ExitStack() as files:
            writers = {}
            for vehicle in block:
                temporary = files.enter_context(atomic_write(paths[vehicle]))
                writers[vehicle] = files.enter_context(WRITERS[form](temporary))
            for vehicle, rows in simulate_fleet(settings, block):
                writers[vehicle].write_batch(rows)
    _remove_others(folder / "rows", paths.values())
    _write_labels(settings, folder / "labels.parquet")
    write_json(folder / "fleet.json", _manifest(settings))
    return sorted(paths.values())


def _numbers(settings: FleetSettings) -> range:
    return range(settings.first, settings.first + settings.vehicles)


def _begin(folder: Path) -> None:
    try:
        (folder / "rows").mkdir(parents=True, exist_ok=True)
        (folder / "fleet.json").unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror or error}); free the place or choose another folder"
        ) from error


def _write_labels(settings: FleetSettings, path: Path) -> None:
    with atomic_write(path) as temporary, pa.parquet.ParquetWriter(temporary, LABELS) as writer:
        for block in settings.blocks(AT_ONCE):
            labels = [row for vehicle in block for row in label_rows(settings, vehicle)]
            writer.write_table(pa.Table.from_pylist(labels, LABELS))


def _remove_others(folder: Path, paths: Iterable[Path]) -> None:
    """Takes away rows of other fleets, and what killed runs left; nothing that a simulation did not write."""
    kept = set(paths)
    for pattern in ("truck-*.parquet", "truck-*.csv", ".truck-*.tmp"):
        for path in folder.glob(pattern):
            if path not in kept:
                path.unlink()


def _manifest(settings: FleetSettings) -> dict:
    return {
        "settings": asdict(settings),
        "channels": [{"name": channel.name, "unit": channel.unit} for channel in CHANNELS],
        "faults": CODES,
    }
