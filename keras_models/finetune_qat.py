"""The quantize stage: calibration of the ranges on rolled-out streams, then quantization-aware fine-tuning."""

import csv
from pathlib import Path

import keras
import tensorflow as tf

from keras_models.choose_form import FORMS, choose_form, print_choice
from keras_models.feature_encoding import load_encoding
from keras_models.fit_model import fit_model, masked_mae, write_history, write_summary
from keras_models.model_folder import load_model, save_model, seed_everything, start_clean
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate, quantize_aware
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario

ALLOWED_LOSS = 0.01  # relative, where the scenario has no budget `metric_loss`


def taught_by(teacher: keras.Model, batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same features with the outputs of `teacher` as targets (distillation, Hinton et al. 2015).

    Fine-tuning then takes away what quantization added, and nothing else: trained on the truth again, the weights also
    wander by more than the loss of int8, and the validation loss cannot tell one from the other.
    """
    return batches.map(lambda features, _: (features, tuple(teacher(features, training=False))))


def finetune_qat(scenario: Scenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/model/<cell>_qat.keras, score_qat.json, the QAT part of history.csv and, last, qat.json.

    Raises:
        UserError: the float model or the dataset is missing, or the folder cannot be written.
    """
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    folder, cell = Path(build_dir) / scenario.name / "model", scenario.model.cell
    path, logs = folder / f"{cell}_qat.keras", folder / "logs" / "qat"
    start_clean([path, logs, folder / "qat.json"])
    seed_everything(scenario.seed)
    float_model = load_model(folder / f"{cell}.keras", made_by=f"edgernn train {scenario.path}")
    encoding, settings = load_encoding(folder / "encoding.json"), scenario.quantization
    train, validation = training_batches(dataset_folder, dataset, encoding, scenario.model.batch, scenario.seed)
    forms = FORMS if settings.activations == "auto" else [NumericForm(settings.activations, settings.state_dtype)]
    loss = masked_mae(scenario.windows.warmup)
    float_loss, allowed = _loss(float_model, validation, loss), scenario.budgets.get("metric_loss", ALLOWED_LOSS)

    def calibrated(form: NumericForm):
        qat = quantize_aware(float_model, form.activations, state_dtype=form.state_dtype, state=settings.state)
        calibrate(qat, (features.numpy() for features, _ in train))
        return qat, _loss(qat, validation, loss)

    def finetuned(qat: keras.Model):
        records = fit_model(
            qat,
            taught_by(float_model, train),
            taught_by(float_model, validation),
            epochs=settings.epochs,
            rate=settings.learning_rate,
            patience=settings.epochs,
            warmup=scenario.windows.warmup,
            weight_decay=scenario.model.weight_decay,
            logs=logs,
        )
        return records, _loss(qat, validation, loss)

    choice = choose_form(forms, float_loss, allowed, calibrated, finetuned if settings.epochs else None)
    print_choice(choice, float_loss, allowed, f"{scenario.name}: forms tried, the cheapest first")
    qat, history = choice.model, choice.history
    if scenario.anomaly is not None:
        streams = list(recorded_streams(scenario, dataset_folder))
        fit_stream_score(qat, scenario, encoding, dataset, streams).save(folder / "score_qat.json")
    with open(folder / "history.csv", newline="") as file:
        float_history = [
            {k: float(row[k]) for k in ("epoch", "loss", "val_loss")}
            for row in csv.DictReader(file)
            if row["phase"] == "float"
        ]
    write_history(folder / "history.csv", {"float": float_history, "qat": history})
    save_model(qat, path)
    write_summary(folder / "qat.json", history)
    return path


def _loss(model: keras.Model, batches: tf.data.Dataset, loss) -> float:
    """The loss of the forecast, the model's first output, on the truth."""
    losses = [float(loss(truth[0], model.predict_on_batch(features)[0])) for features, truth in batches]
    return sum(losses) / len(losses)
