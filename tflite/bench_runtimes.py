"""A step of a shipped model on every runtime against its rivals: one process, in turns, every call by itself."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.user_error import UserError
from tflite.bench import FILE_WIDTH, Entry
from tflite.latency import Racer, percentiles, race, ratio_figures
from tflite.onnx_rival import OPERATORS, BoundOnnxStep, OnnxStep, StepWeights, onnx_step, step_weights
from tflite.runtimes import load_model
from tflite.window_rivals import WINDOW, window_rivals

# How ours is named -> what loads it. The first is what latency budgets are about.
RUNTIMES = {
    "{scenario}: LiteRT {form} step": {},
    "{scenario}: {form} as generated C": {"runtime": "c"},
    "{scenario}: {form} on LiteRT's built-in kernels": {"kernels": "builtin"},
    "{scenario}: {form} on TFLM": {"runtime": "tflm"},
}
FIRST_CLASS = 2  # of these race every rival, the others the first
RIVALS = {"session.run": OnnxStep, "io binding": BoundOnnxStep}
ROUNDS = 21
CALLS, WINDOW_CALLS, KERAS_CALLS = 300, 30, 3  # a round: milliseconds of each


def bench_runtimes(
    scenario: str, form: str, shipped: bytes, readings: np.ndarray, model: Any, features: np.ndarray
) -> list[Entry]:
    """Our step, one raw reading and the state, against a rival's step or its run over a whole window.

    Rivals get no more than the recurrent layer and its heads: their features come encoded, for nothing, while ours
    also replaces what is missing, standardizes and converts to real units. So the ratios understate ours.

    Args:
        shipped: the .tflite, with one input.
        readings: (timesteps, columns) float32 raw readings.
        model: the float Keras model it was made from.
        features: (timesteps, features) float32, what `model` sees of the readings; a window of them at least.

    Returns:
        An entry for each pair, {name, unit, ours, rival, rival_name, ratio{min, median, max}, latency_us{ours, rival}},
        in us: ours, rival and the ratio are of the median call of a round, latency_us {p50, p99} of all calls.
    """
    ours = _ours(scenario, form, shipped, list(np.ascontiguousarray(readings, np.float32)))
    rivals = _rivals(model, np.ascontiguousarray(features, np.float32))
    times = race([*ours, *rivals], ROUNDS)
    medians = {name: [float(np.median(calls)) / 1000 for calls in rounds] for name, rounds in times.items()}
    spread = {name: percentiles(np.concatenate(rounds)) for name, rounds in times.items()}
    pairs = [(our.name, rival.name) for place, our in enumerate(ours)
             for rival in (rivals if place < FIRST_CLASS else rivals[:1])]  # fmt: skip
    return [
        {"name": our, "unit": "us", "rival_name": rival, **ratio_figures(medians[our], medians[rival]),
         "latency_us": {"ours": spread[our], "rival": spread[rival]}}
        for our, rival in pairs
    ]  # fmt: skip


def _ours(scenario: str, form: str, shipped: bytes, xs: Sequence[np.ndarray]) -> list[Racer]:
    """By runtime; a machine without a C compiler has none of generated C."""
    racers = []
    for name, options in RUNTIMES.items():
        name = name.format(scenario=scenario, form=form)
        try:
            racers.append(Racer(name, load_model(shipped, **options).step, xs, CALLS))
        except UserError as refusal:
            print(f"warning: {name} is left out ({refusal})")
    return racers


def _rivals(model: Any, features: np.ndarray) -> list[Racer]:
    weights, rows = step_weights(model.layers), list(features)
    steps = {**_onnx_steps(weights), "Keras predict_on_batch, one step": _keras_step(model)}
    racers = [Racer(name, step, rows, KERAS_CALLS if "Keras" in name else CALLS) for name, step in steps.items()]
    windows = [features[end - WINDOW : end] for end in range(WINDOW, len(features) + 1)]
    racers += [Racer(name, run, windows, KERAS_CALLS if "Keras" in name else WINDOW_CALLS)
               for name, run in window_rivals(model, weights).items()]  # fmt: skip
    return racers


def _onnx_steps(weights: StepWeights) -> dict[str, Callable[[np.ndarray], object]]:
    onnx, kind = onnx_step(weights), OPERATORS[weights.cell][0]
    return {f"ONNX Runtime float {kind}, {way}": rival(onnx).step for way, rival in RIVALS.items()}


def _keras_step(model: Any) -> Callable[[np.ndarray], object]:
    """Without a state: Keras' own way to keep one costs more."""
    return lambda row: model.predict_on_batch(row[np.newaxis, np.newaxis])


def print_race(title: str, entries: Sequence[Entry]) -> None:
    """Two tables on stdout: what a call takes, and how many times as long the rivals take."""
    calls = {entry[key]: entry["latency_us"][side] for key, side in (("name", "ours"), ("rival_name", "rival"))
             for entry in entries}  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    table = Table("call", "p50", "p99", title=f"{title}: one call, us")
    for name, figures in calls.items():
        table.add_row(name, f"{figures['p50']:,.2f}", f"{figures['p99']:,.2f}")
    console.print(table)
    table = Table("ours", "rival", "rival takes times as long (min .. max)", title=f"{title}: in the same rounds")
    for entry in entries:
        least, median, most = (1 / entry["ratio"][name] for name in ("max", "median", "min"))
        table.add_row(entry["name"], entry["rival_name"], f"{median:,.3g} ({least:,.3g} .. {most:,.3g})")
    console.print(table)
