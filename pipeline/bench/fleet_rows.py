"""Rows of a made-up fleet for the benchmark: eight channels at 1 Hz, with holes, repeated rows and bad readings."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

VEHICLES = 20
CHANNELS = [f"channel{index}" for index in range(8)]
LOWEST, HIGHEST = -80.0, 80.0  # of a channel; one row in 5,000 lies outside
MAX_GAP_SECONDS = 60
LENGTH, STRIDE = 63, 64  # a window is 63 fed steps and the one after, and the next begins behind it
BEGIN_MS = 1_700_000_000_000

SCENARIO = """
task = "forecast"
seed = 1

[data]
path = "rows"
time = "time"
step = "1s"
stream = "vehicle"
max_gap = "{gap}s"

{columns}
[split]
by = "time"
validation = {validation}
test = {test}

[windows]
length = {length}
stride = {stride}

[forecast]
targets = ["channel0"]
leads = [1, 1]

[model]
cell = "gru"
units = 8
epochs = 1
batch = 8
learning_rate = 0.01
patience = 1

[quantization]
activations = "int8"
state = "external"
epochs = 0
learning_rate = 0.001
"""
COLUMN = '[[columns]]\nname = "{name}"\nunit = "1"\nmin = {low}\nmax = {high}\n\n'


def borders_ms(rows: int) -> tuple[int, int]:
    """Where validation and test begin: after 70 and 85 % of a vehicle's time."""
    seconds = rows // VEHICLES
    return BEGIN_MS + seconds * 7 // 10 * 1000, BEGIN_MS + seconds * 85 // 100 * 1000


def write_fleet(folder: Path, rows: int, kind: str) -> Path:
    """`rows` rows in a file for each vehicle, `kind` "parquet" or "csv"; returns the scenario file."""
    (folder / "rows").mkdir(parents=True)
    for vehicle in range(VEHICLES):
        table, path = _vehicle(vehicle, rows // VEHICLES), folder / "rows" / f"{vehicle:03d}.{kind}"
        if kind == "csv":
            pa.csv.write_csv(table, path)
        else:
            pa.parquet.write_table(table, path)
    validation, test = (np.datetime64(border, "ms").item().isoformat() for border in borders_ms(rows))
    columns = "".join(COLUMN.format(name=name, low=LOWEST, high=HIGHEST) for name in CHANNELS)
    scenario = folder / "fleet.toml"
    numbers = {"gap": MAX_GAP_SECONDS, "length": LENGTH, "stride": STRIDE}
    scenario.write_text(SCENARIO.format(columns=columns, validation=validation, test=test, **numbers))
    return scenario


def _vehicle(vehicle: int, rows: int) -> pa.Table:
    draw = np.random.default_rng(vehicle)
    times = BEGIN_MS + np.arange(rows) * 1000 + draw.integers(0, 300, rows)
    times += np.cumsum(draw.random(rows) < 1e-5) * 3_600_000
    twice = np.flatnonzero(draw.random(rows - 1) < 1e-3) + 1
    columns = {"vehicle": np.full(rows, f"truck {vehicle:03d}"), "time": times.astype("datetime64[ms]")}
    for index, name in enumerate(CHANNELS):
        waves = 40 * np.sin(np.arange(rows) / (20 + 7 * index) + vehicle)
        columns[name] = np.round(waves + draw.normal(0, 5, rows), 3).astype(np.float32)
    columns["channel0"][draw.random(rows) < 2e-4] = 500.0
    for values in columns.values():
        values[twice] = values[twice - 1]
    return pa.table(columns)
