"""Two scenarios small enough to go the whole road in a test: a forecast and an anomaly score."""

import math
import random
from dataclasses import dataclass
from pathlib import Path

NETWORK = """[model]
cell = "gru"
units = 4
epochs = 2
batch = 16
learning_rate = 0.01
patience = 2

[quantization]
activations = "int8"
state = "external"
epochs = 1
learning_rate = 0.001

"""

FORECAST = (
    """
task = "forecast"
seed = 5

[data]
path = "rows"
time = "time"
step = "1h"

[[columns]]
name = "count"
unit = "rides/h"
min = 0.0

[[columns]]
name = "temperature"
unit = "degC"

[[columns]]
name = "hour_of_day"
unit = "h"
calendar = "hour_of_day"
cycles = [24.0]

[split]
by = "rows"
train = 360
validation = 96

[windows]
length = 24
stride = 6
warmup = 4

[forecast]
targets = ["count"]
leads = [1, 3]

"""
    + NETWORK
    + """[budgets]
bytes = 16000
parity_lsb = 30
"""
)

ANOMALY = (
    """
task = "anomaly"
seed = 5

[data]
path = "rows"
time = "time"
step = "1s"
stream = "file"

[[columns]]
name = "count"
unit = "g"

[[columns]]
name = "temperature"
unit = "A"

[[columns]]
name = "fault"
unit = "1"
role = "label"
aggregate = "max"

[split]
by = "rows"
train = 150
validation = 40

[windows]
length = 20
stride = 4
warmup = 4

[normalize]
by = "stream"
rows = 60

[forecast]
leads = [5, 5]

[anomaly]
ewma = 0.1
false_alarm_share = 0.01

"""
    + NETWORK
    + """[budgets]
bytes = 16000
"""
)


def write_rows(path: Path, rows: int, hours: bool, seed: int, missing: str = "temperature") -> None:
    """A CSV of waves and noise; the last fifth is a fault that lifts one channel. Of the channel `missing`, one reading
    in thirty is not there."""
    source = random.Random(seed)
    lines = ["time,count,temperature,fault"]
    for i in range(rows):
        day, clock = divmod(i, 24) if hours else (0, 0)
        time = f"2024-01-{1 + day:02d} {clock:02d}:00:00" if hours else f"2024-01-01 00:{i // 60:02d}:{i % 60:02d}"
        fault = int(i > 0.8 * rows)
        count = 50 + 40 * math.sin(i / 24 * 2 * math.pi) + source.gauss(0, 4) + (0 if hours else 80 * fault)
        cells = {"count": f"{max(count, 0):.3f}", "temperature": f"{10 + source.gauss(0, 2):.3f}"}
        if source.random() < 1 / 30:
            cells[missing] = ""
        lines.append(f"{time},{cells['count']},{cells['temperature']},{fault}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def forecast_scenario(folder: Path, missing: str = "temperature") -> Path:
    write_rows(folder / "rows" / "a.csv", 552, hours=True, seed=1, missing=missing)
    (folder / "tiny.toml").write_text(FORECAST)
    return folder / "tiny.toml"


def anomaly_scenario(folder: Path) -> Path:
    for seed, name in enumerate("ab"):
        write_rows(folder / "rows" / f"{name}.csv", 260, hours=False, seed=seed)
    (folder / "pump.toml").write_text(ANOMALY)
    return folder / "pump.toml"


EVERY_STAGE = ("preprocess", "train", "quantize", "convert", "validate", "gates", "report")


@dataclass(frozen=True)
class Built:
    """`status` of every stage by name; results are in `folder`."""

    scenario: Path
    build: Path
    status: dict[str, int]

    @property
    def folder(self) -> Path:
        return self.build / self.scenario.stem


def run_stages(scenario: Path, build: Path, stages=EVERY_STAGE) -> Built:
    import edgernn

    return Built(scenario, build, {s: edgernn.main([s, str(scenario), "--build", str(build)]) for s in stages})
