"""Speed against a rival, in one run: our public `step`, the float step it was made from in ONNX Runtime."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.atomic_write import write_json
from tflite.latency import interleaved_ratio
from tflite.onnx_rival import OPERATORS, BoundOnnxStep, OnnxStep, StepWeights, onnx_step
from tflite.runtimes.step_runtime import StepRuntime

RIVALS = {"session.run": OnnxStep, "io binding": BoundOnnxStep}
ROUNDS = 21
FILE_WIDTH = 140  # of a table that goes into a file or a pipe, where nobody can widen it
Entry = dict[str, object]


def bench_step(
    name: str, ours: StepRuntime, readings: np.ndarray, weights: StepWeights, features: np.ndarray
) -> list[Entry]:
    """Our model's step against the float one it was made from, in both ways ONNX Runtime's Python API offers.

    The rival gets no more than the recurrent layer and its heads: its `features` come encoded, for nothing, while ours
    reads raw `readings` and also replaces what is missing, standardizes and converts to real units. So the ratio
    understates ours.

    Args:
        name: of the entries, e.g. "demand: LiteRT int8 step".
        ours: loaded model with one input.
        readings: (timesteps, columns) float32 raw readings for `ours`.
        weights: of the float model.
        features: (timesteps, features) float32, what the float model sees for the same steps.

    Returns:
        One entry per rival: {name, unit, ours, rival, rival_name, ratio{min, median, max}}, in us per step.
    """
    model, kind = onnx_step(weights), OPERATORS[weights.cell][0]
    entries = []
    for way, rival_class in RIVALS.items():
        rival, rival_name = rival_class(model), f"ONNX Runtime float {kind}, {way}"
        ours.reset()
        figures = _interleaved(ours, rival, _rows(readings), _rows(features))
        entries.append({"name": name, "unit": "us/step", "rival_name": rival_name, **figures})
    return entries


def write_bench(entries: Sequence[Entry], path: str | Path) -> None:
    """Writes the entries as JSON, whole or not at all."""
    write_json(path, list(entries))


def print_bench(entries: Sequence[Entry]) -> None:
    """A table on stdout, an entry per row."""
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "ours", "rival", "rival's name", "ratio (min .. max)", title="bench")
    for entry in entries:
        ratio, unit = entry["ratio"], entry["unit"]
        table.add_row(
            entry["name"],
            f"{entry['ours']:.2f} {unit}",
            f"{entry['rival']:.2f} {unit}",
            entry["rival_name"],
            f"{ratio['median']:.2f} ({ratio['min']:.2f} .. {ratio['max']:.2f})",
        )
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)


def _interleaved(ours: StepRuntime, rival: object, readings: list, features: list) -> dict[str, object]:
    if len(readings) != len(features):
        raise ValueError(f"expected as many features as readings, got {len(features)} and {len(readings)}")
    return interleaved_ratio(ours.step, rival.step, readings, features, rounds=ROUNDS)


def _rows(values: np.ndarray) -> list[np.ndarray]:
    """Contiguous float32 rows, cut before the clock runs."""
    return list(np.ascontiguousarray(values, np.float32))
