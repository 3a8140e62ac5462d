"""The quantize stage: calibration of the ranges on rolled-out streams, then quantization-aware fine-tuning."""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

from keras_models.anomaly_score import AnomalyScore, load_score
from keras_models.choose_form import Candidate, Trial, allowed_forms, choose_form, print_choice
from keras_models.disturbed_windows import with_disturbed
from keras_models.feature_encoding import load_encoding
from keras_models.fit_model import LOSSES, fit_model, write_history, write_summary
from keras_models.forecast_intervals import fit_intervals, save_intervals
from keras_models.model_folder import load_model, save_model, seed_everything, start_clean
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import QuantizedModel, calibrate, quantize_aware
from keras_models.score_distance import score_distance
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from keras_models.trained_cell import with_trained_cell
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario
from pipeline.user_error import UserError

ALLOWED_LOSS = 0.01  # relative, where the scenario has no budget `metric_loss`


def taught_by(teacher: keras.Model, batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same features with the outputs of `teacher` as targets (distillation, Hinton et al. 2015).

    Fine-tuning then takes away what quantization added, and nothing else: trained on the truth again, the weights also
    wander by more than the loss of int8, and the validation loss cannot tell one from the other.
    """
    return batches.map(lambda features, _: (features, tuple(teacher(features, training=False))))


def lessons(scenario: Scenario, batches: Sequence[tf.data.Dataset]) -> list[tf.data.Dataset]:
    """What fine-tuning learns from and is judged by: of a detector that reads what it watches also windows in which a
    sensor lies. Where the network has inputs of its own no fault enters it.
    """
    if scenario.anomaly is None or scenario.forecast.inputs:
        return list(batches)
    return [with_disturbed(part, len(scenario.measured), scenario.seed) for part in batches]


def finetune_qat(scenario: Scenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/model/<cell>_qat.keras, score_qat.json, the QAT part of history.csv and, last, qat.json.

    Raises:
        UserError: the float model or the dataset is missing, the model cannot be quantized, or the folder cannot be
            written.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    scenario = with_trained_cell(scenario, build_dir)
    folder, cell = Path(build_dir) / scenario.name / "model", scenario.model.cell
    path, logs = folder / f"{cell}_qat.keras", folder / "logs" / "qat"
    start_clean([path, logs, folder / "qat.json"])
    float_model = load_model(folder / f"{cell}.keras", made_by=f"edgernn train {scenario.path}")
    encoding = load_encoding(folder / "encoding.json")
    score = load_score(folder / "score.json") if scenario.anomaly else None

    batches = partial(training_batches, dataset_folder, dataset, encoding, scenario.model, scenario.seed)
    validation = batches()[1]
    choice = choose_form(
        allowed_forms(scenario.quantization),
        lambda form: attempt(scenario, float_model, score, form, batches, logs / form.name),
        forecast_loss(scenario, float_model, validation),
        scenario.budgets.get("metric_loss", ALLOWED_LOSS),
    )
    print_choice(choice, f"{scenario.name}: forms tried, the cheapest first")
    qat, history = choice.chosen.kept.model, choice.chosen.history
    if encoding.quantiles:
        fitted = fit_intervals(qat, encoding, validation, scenario.windows.warmup)
        save_intervals(fitted, folder / "intervals_qat.json")
    if scenario.anomaly is not None:
        streams = list(recorded_streams(scenario, dataset_folder))
        fit_stream_score(qat, scenario, encoding, dataset, streams).save(folder / "score_qat.json")
    write_history(folder / "history.csv", {"float": float_history(folder / "history.csv"), "qat": history})
    save_model(qat, path)
    write_summary(folder / "qat.json", history, **choice.record())
    return path


def attempt(
    scenario: Scenario,
    float_model: keras.Model,
    score: AnomalyScore | None,
    form: NumericForm,
    batches: Callable[[], tuple[tf.data.Dataset, tf.data.Dataset]],
    logs: Path,
) -> Trial:
    """The float model in one form: calibrated, then fine-tuned where the scenario has epochs for it.

    Args:
        batches: gives the training and the validation part anew, in the same order each time, so that the same models
            come out whatever was tried before.

    Raises:
        UserError: the float model cannot be brought to the form.
    """
    settings = scenario.quantization
    seed_everything(scenario.seed)
    train, validation = batches()
    parts = lessons(scenario, (train, validation))
    taught = [taught_by(float_model, part) for part in parts]

    def twin() -> QuantizedModel:
        return quantize_aware(float_model, form.activations, state_dtype=form.state_dtype, state=settings.state)

    def judged(model: QuantizedModel) -> Candidate:
        if score is None:
            distance = forecast_loss(scenario, model, taught[1])
        else:
            distance = score_distance(model, float_model, score, parts[1], scenario.windows.warmup)
        return Candidate(model, forecast_loss(scenario, model, validation), distance)

    try:
        calibrated = twin()
        calibrate(calibrated, (features.numpy() for features, _ in train))
    except ValueError as error:  # NaN in the weights, a tensor that never moves, ...
        raise UserError(f"{scenario.path}: the float model cannot be brought to {form.name}: {error}") from error
    if not settings.epochs:
        return Trial(judged(calibrated))
    finetuned = twin()
    finetuned.set_weights(calibrated.get_weights())
    history = finetune(scenario, finetuned, taught, logs)
    return Trial(judged(calibrated), judged(finetuned), tuple(history))


def finetune(
    scenario: Scenario, model: keras.Model, batches: Sequence[tf.data.Dataset], logs: Path, trust: bool = False
) -> list[dict[str, float]]:
    """Trains on the first batches as the scenario says of fine-tuning, judged on the second; a record per epoch.

    `trust`: of `fit_model`, where the batches hold the truth and no teacher says what to trust.
    """
    settings = scenario.quantization
    return fit_model(
        model,
        *batches,
        epochs=settings.epochs,
        rate=settings.learning_rate,
        patience=settings.epochs,
        warmup=scenario.windows.warmup,
        weight_decay=scenario.model.weight_decay,
        logs=logs,
        loss=scenario.model.loss,
        quantiles=[quantile for quantile in scenario.forecast.quantiles if quantile != 0.5],
        trust=scenario.anomaly.ewma if trust else None,
    )


def forecast_loss(scenario: Scenario, model: keras.Model, batches: tf.data.Dataset) -> float:
    """The loss of the forecast, the model's first output, on the truth."""
    loss = LOSSES[scenario.model.loss](scenario.windows.warmup)
    losses = [float(loss(truth[0], model.predict_on_batch(features)[0])) for features, truth in batches]
    return sum(losses) / len(losses)


def float_history(path: Path) -> list[dict[str, float]]:
    """What the stage before wrote to history.csv."""
    with open(path, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["phase"] == "float"]
    return [{key: float(row[key]) for key in ("epoch", "loss", "val_loss")} for row in rows]
