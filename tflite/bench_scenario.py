"""`edgernn bench`: a step of a scenario's shipped model against its rivals, in one process, in turns."""

import json
from pathlib import Path

import numpy as np

from keras_models.feature_encoding import fill_missing, load_encoding, stream_statistics
from keras_models.model_folder import load_model
from keras_models.trained_cell import with_trained_cell
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario
from tflite.artifact import read_artifact
from tflite.bench_runtimes import bench_runtimes, print_race
from tflite.validation_record import form_name

STEPS = 2000


def bench_scenario(scenario: Scenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/bench.json, and build/bench.json with the entries of every scenario that has one.

    Raises:
        UserError: a model or the dataset of the stages before is missing.
    """
    folder, scenario = Path(build_dir) / scenario.name, with_trained_cell(scenario, build_dir)
    shipped = read_artifact(folder / "tflite")
    encoding = load_encoding(folder / "model" / "encoding.json")
    plain = load_model(folder / "model" / f"{scenario.model.cell}.keras", made_by=f"edgernn train {scenario.path}")
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    stream = next(recorded_streams(scenario, dataset_folder))
    readings = np.resize(stream.x, (STEPS + encoding.history, stream.x.shape[1]))
    features = fill_missing(encoding.encode(readings, *stream_statistics(dataset, encoding)(stream.name)))
    readings, features = readings[encoding.history :], encoding.with_lags(features)
    entries = bench_runtimes(scenario.name, form_name(shipped.manifest), shipped.tflite, readings, plain, features)
    print_race(scenario.name, entries)
    path = folder / "bench.json"
    write_json(path, entries)
    everything = [
        entry for part in sorted(Path(build_dir).glob("*/bench.json")) for entry in json.loads(part.read_text())
    ]
    write_json(Path(build_dir) / "bench.json", everything)
    return path
