"""The train stage: a float forecaster from the windows of a dataset."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from keras_models.anomaly_score import AnomalyScore
from keras_models.bounded_weights import bound_matrices
from keras_models.choose_cell import FIRST, CellChoice, Run, choose_cell, print_cells
from keras_models.feature_encoding import FeatureEncoding, fit_encoding
from keras_models.fit_model import beside_trust, fit_model, write_history, write_summary
from keras_models.forecast_intervals import fit_intervals, save_intervals
from keras_models.forecaster import build_forecaster
from keras_models.model_folder import save_model, seed_everything, start_clean
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from keras_models.validation_error import validation_error
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import CellRace, ModelSettings, Scenario

# (scenario, model, encoding, score) -> bytes of the integer file that ships; the lowering knows (`tflite.file_bytes`).
FileBytes = Callable[[Scenario, keras.Model, FeatureEncoding, AnomalyScore | None], int]


def train(scenario: Scenario, build_dir: Path, file_bytes: FileBytes | None = None) -> Path:
    """Trains the float model: build/<scenario>/model/<cell>.keras, encoding.json, history.csv, logs/, float.json last.

    Args:
        file_bytes: needed with `cell = "auto"`, which compares cells of equal bytes.

    Raises:
        UserError: there is no dataset, or the folder cannot be written.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    folder = Path(build_dir) / scenario.name / "model"
    start_clean([folder])
    encoding = fit_encoding(scenario, dataset)

    def attempt(settings: ModelSettings, seed: int) -> Run:
        seed_everything(seed)  # and batches of its own: the same model whatever was trained before
        batches = training_batches(dataset_folder, dataset, encoding, settings, seed)
        name = "float" if scenario.model.cell != "auto" else f"float_{settings.cell}_{seed}"
        return _attempt(scenario, settings, encoding, batches, folder / "logs" / name)

    def score_of(model: keras.Model) -> AnomalyScore | None:
        if scenario.anomaly is None:
            return None
        streams = list(recorded_streams(scenario, dataset_folder))
        return fit_stream_score(model, scenario, encoding, dataset, streams)

    if scenario.model.cell == "auto":
        choice = _choose(scenario, encoding, attempt, score_of, file_bytes)
        run, more = choice.chosen.run, {"cell_choice": choice.record()}
    else:
        run, more = attempt(scenario.model, scenario.seed), {}
    encoding.save(folder / "encoding.json")
    if encoding.quantiles:
        validation = training_batches(dataset_folder, dataset, encoding, run.settings, scenario.seed)[1]
        intervals = fit_intervals(run.model, encoding, validation, scenario.windows.warmup)
        save_intervals(intervals, folder / "intervals.json")
    if scenario.anomaly is not None:
        score_of(run.model).save(folder / "score.json")
    write_history(folder / "history.csv", {"float": run.history})
    path = folder / f"{run.settings.cell}.keras"
    save_model(run.model, path)
    write_summary(folder / "float.json", run.history, cell=run.settings.cell, units=run.settings.units, **more)
    return path


def _attempt(
    scenario: Scenario,
    settings: ModelSettings,
    encoding: FeatureEncoding,
    batches: tuple[tf.data.Dataset, tf.data.Dataset],
    logs: Path,
) -> Run:
    """A forecaster trained on the first batches, judged on the second."""
    model = build_forecaster(settings, encoding)
    if settings.weight_bound is not None:
        bound_matrices(model, settings.weight_bound)
    trained = beside_trust(model) if settings.trust else model
    history = fit_model(
        trained,
        *batches,
        epochs=settings.epochs,
        rate=settings.learning_rate,
        patience=settings.patience,
        warmup=scenario.windows.warmup,
        weight_decay=settings.weight_decay,
        logs=logs,
        loss=settings.loss,
        quantiles=encoding.quantiles,
        trust=scenario.anomaly.ewma if settings.trust else None,
    )
    metric = (settings.auto or CellRace()).metric
    error = validation_error(metric, trained if metric == "loss" else model, batches[1], scenario.windows.warmup)
    return Run(settings, model, tuple(history), error)


def _choose(
    scenario: Scenario,
    encoding: FeatureEncoding,
    attempt: Callable[[ModelSettings, int], Run],
    score_of: Callable[[keras.Model], AnomalyScore | None],
    file_bytes: FileBytes,
) -> CellChoice:
    """Every cell with every seed, the GRU first; the table is printed."""
    score = score_of(build_forecaster(replace(scenario.model, cell=FIRST), encoding))  # as large as that of any cell
    choice = choose_cell(
        scenario.model,
        scenario.seed,
        attempt,
        lambda settings: build_forecaster(settings, encoding),
        lambda model: file_bytes(scenario, model, encoding, score),
    )
    print_cells(choice, f"{scenario.name}: cells tried")
    return choice
