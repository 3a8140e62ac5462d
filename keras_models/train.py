"""The train stage: a float forecaster from the windows of a dataset."""

from pathlib import Path

from keras_models.feature_encoding import fit_encoding
from keras_models.fit_model import fit_model, write_history, write_summary
from keras_models.forecast_intervals import fit_intervals, save_intervals
from keras_models.forecaster import build_forecaster
from keras_models.model_folder import save_model, seed_everything, start_clean
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario


def train(scenario: Scenario, build_dir: Path) -> Path:
    """Trains the float model: build/<scenario>/model/<cell>.keras, encoding.json, history.csv, logs/, float.json last.

    Raises:
        UserError: there is no dataset, or the folder cannot be written.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    folder = Path(build_dir) / scenario.name / "model"
    start_clean([folder])
    seed_everything(scenario.seed)
    settings, encoding = scenario.model, fit_encoding(scenario, dataset)
    model = build_forecaster(settings, encoding)
    batches = training_batches(dataset_folder, dataset, encoding, settings.batch, scenario.seed)
    history = fit_model(
        model,
        *batches,
        epochs=settings.epochs,
        rate=settings.learning_rate,
        patience=settings.patience,
        warmup=scenario.windows.warmup,
        weight_decay=settings.weight_decay,
        logs=folder / "logs" / "float",
        quantiles=encoding.quantiles,
    )
    encoding.save(folder / "encoding.json")
    if encoding.quantiles:
        fitted = fit_intervals(model, encoding, batches[1], scenario.windows.warmup)
        save_intervals(fitted, folder / "intervals.json")
    if scenario.anomaly is not None:
        streams = list(recorded_streams(scenario, dataset_folder))
        fit_stream_score(model, scenario, encoding, dataset, streams).save(folder / "score.json")
    write_history(folder / "history.csv", {"float": history})
    path = folder / f"{settings.cell}.keras"
    save_model(model, path)
    write_summary(folder / "float.json", history)
    return path
