"""A small job over files written by the test: 60 rows a stream, one a second, two waves."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import load_scenario
from pipeline.__main__ import main

SCENARIO = """
task = "forecast"
seed = 1

[data]
path = "rows"
time = "time"
step = "1s"
stream = "file"
max_rejected = 0.5

[[columns]]
name = "speed"
unit = "m/s"
min = -50.0
max = 50.0

[[columns]]
name = "load"
unit = "N"

[[columns]]
name = "fault"
unit = "1"
role = "label"

[split]
by = "rows"
train = 45
validation = 15

[windows]
length = 8
stride = 3
warmup = 2

[forecast]
targets = ["speed"]
leads = [1, 2]

[model]
cell = "gru"
units = 4
epochs = 1
batch = 8
learning_rate = 0.01
patience = 1

[quantization]
activations = "int8"
state = "external"
epochs = 1
learning_rate = 0.001
"""
HEADER = "time,speed,load,fault,note"


def one_row(second: int) -> list[str]:
    time = f"2024-05-01 10:{second // 60:02d}:{second % 60:02d}"
    return [
        time,
        f"{10 * math.sin(second / 5):.3f}",
        f"{5 + math.cos(second / 3):.3f}",
        str(second // 50),
        "ok",
    ]


def csv_text(rows: list[list[str]], header: str = HEADER, delimiter: str = ",") -> str:
    lines = [header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]
    return "\n".join(lines) + "\n"


@dataclass
class Job:
    """A scenario, its files and its build folder below one temporary folder."""

    # Changes that make it an anomaly scenario.
    anomaly = (
        ('task = "forecast"', 'task = "anomaly"'),
        ("leads = [1, 2]", "leads = [2, 2]\n\n[anomaly]\newma = 0.1\nfalse_alarm_share = 0.1"),
    )

    folder: Path
    capsys: pytest.CaptureFixture

    @property
    def scenario_file(self) -> Path:
        return self.folder / "pump.toml"

    @property
    def dataset(self) -> Path:
        return self.folder / "build" / "pump" / "dataset"

    def scenario(self, *changes: tuple[str, str]):
        text = SCENARIO
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.scenario_file.write_text(text)
        return load_scenario(self.scenario_file)

    @staticmethod
    def seconds(*span: int) -> list[list[str]]:
        """The rows of range(*span) seconds: time, speed, load, fault, note."""
        return [one_row(second) for second in range(*span)]

    def rows(self, rows: list[list[str]], name: str = "a.csv", **text) -> None:
        self.text(csv_text(rows, **text), name)

    def text(self, text: str | bytes, name: str = "a.csv") -> None:
        path = self.folder / "rows" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def run(self, build: str = "build") -> int:
        if not self.scenario_file.exists():
            self.scenario()
        return main([str(self.scenario_file), "--build", str(self.folder / build)])

    def refusal(self) -> str:
        """Runs; the one line on stderr of a job that must be refused and leave nothing like a dataset."""
        assert self.run() == 2
        errors = self.capsys.readouterr().err
        assert errors.startswith("edgernn: ") and errors.count("\n") == 1, errors
        assert not (self.dataset / "dataset.json").exists()
        assert not list(self.folder.rglob("*.tmp"))
        return errors

    def manifest(self) -> dict:
        """Runs; the dataset.json of a job that must succeed."""
        assert self.run() == 0, self.capsys.readouterr().err
        return json.loads((self.dataset / "dataset.json").read_text())

    def rejected(self) -> list[dict]:
        return pq.read_table(self.dataset / "rejected").to_pylist()

    def series(self) -> dict[str, list]:
        table = pq.read_table(self.dataset / "streams")
        return table.sort_by([("stream", "ascending"), ("time", "ascending")]).to_pydict()


@pytest.fixture
def job(tmp_path, capsys) -> Job:
    return Job(tmp_path, capsys)
