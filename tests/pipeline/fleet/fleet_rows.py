"""Simulated rows as arrays, for the tests."""

import numpy as np
import pyarrow as pa

from pipeline.fleet.fleet_settings import FleetSettings
from pipeline.fleet.simulate_fleet import simulate_fleet


def tables(settings: FleetSettings, vehicles: range) -> dict[int, pa.Table]:
    """All rows by vehicle."""
    batches = {vehicle: [] for vehicle in vehicles}
    for vehicle, rows in simulate_fleet(settings, vehicles):
        batches[vehicle].append(rows)
    return {vehicle: pa.Table.from_batches(parts).combine_chunks() for vehicle, parts in batches.items()}


def columns(table: pa.Table) -> dict[str, np.ndarray]:
    """Values by channel, NaN = missing."""
    return {name: table[name].to_numpy() for name in table.column_names}
