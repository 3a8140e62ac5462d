"""Small seeded build folders, one per task, for the tests of budgets and report."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.scenario import load_scenario

SHARED = """
[windows]
length = 24
stride = 12
[model]
cell = "gru"
units = 8
epochs = 2
batch = 16
learning_rate = 0.003
patience = 1
[quantization]
activations = "int8"
state = "external"
epochs = 1
learning_rate = 0.0005
"""

FORECAST = (
    """
task = "forecast"
seed = 7
[data]
set = "bikeshare"
time = "ts"
step = "1h"
[[columns]]
name = "count"
unit = "rides/h"
[[columns]]
name = "hour_of_week"
unit = "h"
calendar = "hour_of_week"
cycles = [24.0, 168.0]
[split]
by = "time"
validation = 2017-09-01
test = 2018-09-01
[forecast]
targets = ["count"]
leads = [1, 24]
"""
    + SHARED
    + """
[budgets]
bytes = 16000
metric_loss = 0.01
parity_lsb = 1
[[published]]
name = "LSTM of others"
value = 0.21
nrmse = 0.55
source = "their paper"
"""
)

ANOMALY = (
    """
task = "anomaly"
seed = 7
[data]
path = "pumps"
time = "datetime"
step = "1s"
stream = "file"
[[columns]]
name = "Current"
unit = "A"
[[columns]]
name = "anomaly"
unit = "1"
role = "label"
[split]
by = "rows"
train = 40
validation = 10
[forecast]
leads = [5, 5]
[anomaly]
ewma = 0.05
false_alarm_share = 0.001
"""
    + SHARED
    + """
[budgets]
f1 = 0.7
far = 0.3
mar = 0.3
"""
)

FORECAST_RECORD = {
    "scenario": "demand",
    "cell": "gru",
    "activations": "int8",
    "state": "external",
    "bytes": 12344,
    "ops": ["QUANTIZE", "FULLY_CONNECTED", "MUL", "MUL"],
    "convert_seconds": 0.4,
    "metric": {
        "name": "wape",
        "float": 0.14,
        "quantized": 0.141,
        "ptq": 0.15,
        "rivals": {"same hour last week": 0.302, "same hour yesterday": 0.351},
    },
    "nrmse": {"float": 0.29, "quantized": 0.3, "rivals": {"same hour last week": 0.61}},
    "coverage": {"nominal": 0.8, "float": 0.79, "quantized": 0.82},
    "interval_width": {"float": 0.4, "quantized": 0.41},
    "by_lead": {
        "seconds": [3600.0 * lead for lead in range(1, 9)],
        "wape": {
            "float": [0.08] * 8,
            "quantized": [0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, None],
            "rivals": {"same hour last week": [0.302] * 8, "same hour yesterday": [None] * 8},
        },
    },
    "parity": [{"runtime": "litert", "reference": "tflm", "steps": 5000, "max_lsb": 1, "mismatched": 0.0012}],
    "drift": {"steps": 5000, "rmse": 1.5, "saturated": 0.002},
    "memory": {"arena_bytes": 9216},
    "latency_us": {"p50": 9.5, "p99": 21.0},
}

FLOAT_RECORD = {
    "scenario": "demand",
    "cell": "gru",
    "activations": "float32",
    "state": "external",
    "bytes": 31000,
    "metric": {"name": "wape", "float": 0.14},
}

ANOMALY_RECORD = {
    "scenario": "pump",
    "cell": "gru",
    "activations": "int8",
    "state": "external",
    "bytes": 14000,
    "metric": {
        "name": "f1",
        "float": 0.84,
        "quantized": 0.83,
        "ptq": 0.8,
        "rivals": {"EWMA + Mahalanobis": 0.823},
    },
    "far": {"float": 0.2, "quantized": 0.21, "ptq": 0.22},
    "mar": {"float": 0.17, "quantized": 0.18},
    "events": {
        "float": {"number": 5, "recall": 1.0, "median_delay": 3.0, "false_alarms_per_100_hours": 12.5},
        "quantized": {
            "number": 5,
            "recall": 0.8,
            "median_delay": 4.0,
            "false_alarms": 2,
            "hours": 16.0,
            "false_alarms_per_100_hours": 12.5,
            "blamed": {"Current": 4},
            "kinds": {"shut_valve": {"number": 5, "recall": 0.8, "blamed": {"Current": 4}}},
        },
        "rivals": {"always alarm": {"number": 5, "recall": 0.0, "false_alarms_per_100_hours": 0.0}},
    },
}


def make_forecast(root):
    """Write `demand.toml` and its build folder under `root`; returns (scenario, build_dir)."""
    folder = _folders(root, "demand")
    rng = np.random.default_rng(7)
    steps = 100 * 24
    time = np.datetime64("2018-09-03T00", "ms") + np.arange(steps) * np.timedelta64(1, "h")
    truth = 200 + 150 * np.sin(np.arange(steps) * 2 * np.pi / 24) + np.linspace(0, 90, steps)
    forecast = truth + rng.normal(0, 20, steps)
    table = {
        "stream": ["bike"] * steps,
        "time": pa.array(time),
        "truth": truth,
        "float": forecast,
        "ptq": forecast + rng.normal(0, 6, steps),
        "quantized": forecast + rng.normal(0, 2, steps),
        "rival: same hour last week": np.roll(truth, 168),
        "quantized_lead1": truth + rng.normal(0, 5, steps),
        "low": forecast - 25,
        "high": forecast + 25,
    }
    pq.write_table(pa.table(table), folder / "trace.parquet")
    write(folder / "validation.json", {"models": [FORECAST_RECORD, FLOAT_RECORD]})
    write(
        folder / "gates.json",
        {
            "gates": [
                {
                    "budget": "bytes",
                    "model": "gru_int8_external",
                    "measured": 12344.0,
                    "allowed": 16000.0,
                    "ok": True,
                    "margin": 3656.0,
                    "unit": "B",
                }
            ]
        },
    )
    _write_common(folder, "bikeshare")
    return load_scenario(_write_text(root / "demand.toml", FORECAST)), root / "build"


def make_anomaly(root):
    """Write `pump.toml` and its build folder under `root`; returns (scenario, build_dir)."""
    folder = _folders(root, "pump")
    rng = np.random.default_rng(7)
    parts = []
    for number in range(5):
        rows = 200 + 10 * number
        label = ((np.arange(rows) > 100) & (np.arange(rows) < 150)).astype("float32")
        score = np.where(label > 0, 2.0, 0.4) * np.exp(rng.normal(0, 0.15 * number, rows))
        score[:40] = np.nan
        start = np.datetime64("2020-03-09T10:14:33", "ms")
        parts.append(
            pa.table(
                {
                    "stream": [f"valve/{number}.csv"] * rows,
                    "time": pa.array(start + np.arange(rows) * np.timedelta64(1, "s")),
                    "observed": np.ones(rows, bool),
                    "label": label,
                    "score_float": score * 1.02,
                    "score_ptq": score * 1.1,
                    "score_quantized": score,
                    "part": ["train"] * 40 + ["test"] * (rows - 40),
                    "alarm": np.nan_to_num(score) > 1,
                    "x: Current": (rng.normal(2, 0.1, rows) + label).astype("float32"),
                }
            )
        )
    pq.write_table(pa.concat_tables(parts), folder / "trace.parquet")
    write(folder / "validation.json", {"models": [ANOMALY_RECORD]})
    write(
        folder / "gates.json",
        {
            "gates": [
                {
                    "budget": "f1",
                    "model": "gru_int8_external",
                    "measured": 0.83,
                    "allowed": 0.9,
                    "ok": False,
                    "margin": -0.07,
                    "unit": "",
                    "at_least": True,
                }
            ]
        },
    )
    _write_common(folder, None)
    return load_scenario(_write_text(root / "pump.toml", ANOMALY)), root / "build"


def write(path, content):
    """Write one JSON record."""
    path.write_text(json.dumps(content), encoding="utf-8")


def _folders(root, name):
    for part in ("dataset", "model", "tflite"):
        (root / "build" / name / part).mkdir(parents=True)
    return root / "build" / name


def _write_text(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def _write_common(folder, registered):
    write(
        folder / "dataset" / "dataset.json",
        {
            "format": 1,
            "columns": [{"name": "count", "unit": "rides/h", "role": "input"}],
            "counts": {
                "rows_in": 5003,
                "rows_kept": 5000,
                "rows_rejected": 3,
                "bins": 5100,
                "missing_bins": 100,
                "windows": {"train": 300, "validation": 40},
            },
            "statistics": {
                "count": {"mean": 200.0, "std": 100.0, "min": 0.0, "max": 900.0, "missing_share": 0.0196}
            },
            "source": {"set": registered, "sha256": {"hourly.csv": "ab" * 32}},
            "streams": ["bike"],
        },
    )
    write(
        folder / "tflite" / "artifact.json",
        {
            "tflite": "m.tflite",
            "sha256": "cd" * 32,
            "versions": {"keras": "3.15.1"},
            "inputs": [
                {
                    "name": "x",
                    "shape": [2],
                    "dtype": "float32",
                    "columns": [{"name": "count", "unit": "rides/h"}],
                }
            ],
            "outputs": [
                {"name": "forecast", "shape": [24], "dtype": "float32", "unit": "rides/h", "quantum": 2.3}
            ],
            "states": [{"name": "h0", "shape": [8], "dtype": "int8", "scale": 0.0078, "zero_point": 0}],
        },
    )
    write(
        folder / "model" / "qat.json",
        {
            "epochs": 1,
            "form": "int8",
            "good_enough": True,
            "float_loss": 0.2,
            "allowed_loss": 0.01,
            "trials": [{"form": "int8", "calibrated": 0.206, "finetuned": 0.201}],
        },
    )
    with open(folder / "model" / "history.csv", "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["epoch", "loss", "val_loss", "phase"])
        lines.writerows([[0, 0.3, 0.32, "float"], [1, 0.2, 0.22, "float"], [0, 0.19, 0.215, "qat"]])
