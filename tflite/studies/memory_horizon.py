"""How far back does a recurrent network remember? Gradient of a trained model, and recall of each cell, by lag."""

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from keras_models.feature_encoding import load_encoding
from keras_models.gradient_reach import gradient_norms, horizon
from keras_models.model_folder import load_model
from keras_models.recall_task import RecallTask, recall_accuracy
from keras_models.shard_dataset import window_batches
from keras_models.trained_cell import with_trained_cell
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.build_record import read_record
from tflite.convert_file import read_streams

CELLS = ("simple_rnn", "gru", "lstm")
SEEDS = (7, 8, 9)
SHARE = 0.01  # of the largest gradient norm: below it a reading is forgotten
LEVEL = 0.9  # share of right answers: below it a symbol is forgotten
WINDOWS = 64  # streams the gradient is averaged over


def scenario_horizon(scenario: Scenario, build_dir: Path, task: RecallTask | None = None) -> Path:
    """Of a scenario's float model over windows of its validation part; writes build/<scenario>/horizon.json.

    Raises:
        UserError: the dataset or the model is missing or damaged.
    """
    folder, scenario = Path(build_dir) / scenario.name, with_trained_cell(scenario, build_dir)
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    encoding = load_encoding(folder / "model" / "encoding.json")
    model = load_model(folder / "model" / f"{scenario.model.cell}.keras", made_by=f"edgernn train {scenario.path}")
    batches = window_batches(dataset_folder, "validation", dataset, encoding, WINDOWS)
    windows = np.concatenate([features.numpy() for features, _ in batches])
    spread = np.unique(np.linspace(0, len(windows) - 1, WINDOWS).astype(int))
    about = {"model": f"{scenario.name}, {scenario.model.cell}", "streams_of": "validation part"}
    return _study(model, windows[spread], about, folder / "horizon.json", build_dir, task)


def file_horizon(path: Path, build_dir: Path, streams: Path, task: RecallTask | None = None) -> Path:
    """Of a user's own Keras model over an array (streams, timesteps, features); writes build/horizon/<file>.json.

    Raises:
        UserError: a file is missing or damaged, or the model is not of one real input.
    """
    model, about = load_model(path, made_by="model.save"), {"model": path.name, "streams_of": streams.name}
    values, width = read_streams(streams), model.inputs[0].shape[-1]
    if values.shape[-1] != width or not np.isfinite(values).all():
        raise UserError(f"{streams}: shape {values.shape}, expected finite numbers (streams, timesteps, {width})")
    return _study(model, values, about, Path(build_dir) / "horizon" / f"{path.stem}.json", build_dir, task)


def _study(
    model: keras.Model, streams: np.ndarray, about: dict[str, str], path: Path, build_dir: Path, task: RecallTask | None
) -> Path:
    path.unlink(missing_ok=True)
    try:
        norms = gradient_norms(model, streams)
    except ValueError as error:
        raise UserError(f"{about['model']}: {error}") from error
    if not np.isfinite(norms).all() or not norms.max() > 0:
        raise UserError(f"{about['model']}: the gradient of its output is not finite, or 0 at every lag; train it anew")
    reach = horizon(norms / norms.max(), SHARE, begin=int(norms.argmax()))
    gradient = {
        **about,
        "streams": len(streams),
        "norms": [float(f"{norm:.6g}") for norm in norms],
        "share": SHARE,
        "horizon": reach,
        "beyond": reach == len(norms) - 1,  # the streams are no longer: it may reach further
    }
    record = {"gradient": gradient, "recall": _recall(task or RecallTask(), Path(build_dir) / "recall.json")}
    _print(record)
    write_json(path, record)
    return path


def _recall(task: RecallTask, path: Path) -> dict[str, Any]:
    """Accuracy of each cell by seed and lag; it depends on no scenario, so it is kept in build/recall.json."""
    sizes = asdict(task) | {"lags": list(task.lags)}
    made_of = {"task": sizes, "seeds": list(SEEDS), "tensorflow": version("tensorflow")}
    known = read_record(path, kind=dict, made_by="edgernn horizon") or {}
    if known.get("made_of") == made_of:
        return known
    runs = [(cell, seed) for cell in CELLS for seed in SEEDS]
    bar = track(runs, "recall", disable=not sys.stderr.isatty(), transient=True)
    shares = {run: recall_accuracy(task, *run) for run in bar}
    cells = {}
    for cell in CELLS:
        accuracy = [shares[cell, seed] for seed in SEEDS]
        index = horizon(np.mean(accuracy, axis=0), LEVEL)
        cells[cell] = {"accuracy": accuracy, "horizon": None if index is None else task.lags[index]}
    record = {"made_of": made_of, "level": LEVEL, "chance": 1 / task.symbols, "lags": list(task.lags), "cells": cells}
    write_json(path, record)
    return json.loads(path.read_text())


def _print(record: dict[str, Any]) -> None:
    gradient, recall = record["gradient"], record["recall"]
    lags = [str(lag) for lag in recall["lags"]]
    title = f"right answers by steps since the symbol, chance {recall['chance']:.3f}"
    table = Table("cell", *lags, "horizon", title=title)
    for cell, one in recall["cells"].items():
        means = np.mean(one["accuracy"], axis=0)
        least = "at least " if one["horizon"] == recall["lags"][-1] else ""
        table.add_row(cell, *(f"{mean:.2f}" for mean in means), least + _steps(one["horizon"]))
    table.caption = f"mean of {len(SEEDS)} seeds; horizon: up to where {recall['level']:.0%} are right"
    Console().print(table)
    reach = f"{'at least ' if gradient['beyond'] else ''}{_steps(gradient['horizon'])}"
    print(f"{gradient['model']}: the gradient stays over {gradient['share']:.0%} of its largest norm for {reach}")


def _steps(horizon: int | None) -> str:
    return "none" if horizon is None else f"{horizon} step{'' if horizon == 1 else 's'}"
