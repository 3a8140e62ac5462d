"""The quantize stage: calibration of the ranges on rolled-out streams, then quantization-aware fine-tuning."""

import csv
from pathlib import Path

import keras
import tensorflow as tf

from keras_models.feature_encoding import load_encoding
from keras_models.fit_model import fit_model, write_history, write_summary
from keras_models.model_folder import load_model, save_model, seed_everything, start_clean
from keras_models.qat_model import calibrate, quantize_aware
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario


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
    qat = quantize_aware(float_model, settings.activations)
    calibrate(qat, (features.numpy() for features, _ in train))
    history = []
    if settings.epochs:
        history = fit_model(
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
