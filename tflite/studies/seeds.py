"""What quantization costs, and what fine-tuning gives back: float, calibrated and fine-tuned forms over several seeds.

A float control gets the same extra epochs as the fine-tuned forms: what it gains is not the merit of quantization-aware
training.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_models.choose_form import Trial
from keras_models.feature_encoding import load_encoding
from keras_models.finetune_qat import forecast_loss, taught_by
from keras_models.fit_model import fit_model
from keras_models.forecast_intervals import fit_intervals
from keras_models.model_folder import load_model, seed_everything
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate, quantize_aware
from keras_models.score_distance import score_distance
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from keras_models.train import train
from keras_models.trained_cell import with_trained_cell
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario
from tflite.alarm_verdict import judge_alarms
from tflite.conversion import convert
from tflite.file_bytes import file_bytes
from tflite.forecast_verdict import judge_forecasts

SEEDS = (7, 8, 9)
BESIDE = {"nrmse": "NRMSE", "coverage": "coverage"}  # of forecasts, beside the metric
FORMS = (NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16"))


def seeds(scenario: Scenario, build_dir: Path) -> Path:
    """Trains with every seed below build/seeds/, prints the table and writes build/seeds/<scenario>.json.

    Raises:
        UserError: the dataset is missing.
    """
    read_dataset(scenario, build_dir)
    records = []
    for seed in SEEDS:
        folder = Path(build_dir) / "seeds" / str(seed)
        (folder / scenario.name).mkdir(parents=True, exist_ok=True)
        dataset = folder / scenario.name / "dataset"
        if not dataset.exists():
            dataset.symlink_to((Path(build_dir) / scenario.name / "dataset").resolve())
        records.append({"seed": seed, **_study(replace(scenario, seed=seed), folder)})
    _print(scenario, records)
    path = Path(build_dir) / "seeds" / f"{scenario.name}.json"
    write_json(path, records)
    return path


def _study(scenario: Scenario, folder: Path) -> dict[str, float]:
    """The metric of the test part, streamed on LiteRT, by form."""
    train(scenario, folder, file_bytes)
    scenario = with_trained_cell(scenario, folder)
    dataset_folder, dataset = read_dataset(scenario, folder)
    models = folder / scenario.name / "model"
    encoding, settings = load_encoding(models / "encoding.json"), scenario.quantization
    batches = training_batches(dataset_folder, dataset, encoding, scenario.model.batch, scenario.seed)
    streams = list(recorded_streams(scenario, dataset_folder))
    plain = load_model(models / f"{scenario.model.cell}.keras", made_by="edgernn train")

    def finetune(model: keras.Model, parts) -> None:
        seed_everything(scenario.seed)
        fit_model(
            model,
            *parts,
            epochs=settings.epochs,
            rate=settings.learning_rate,
            patience=settings.epochs,
            warmup=scenario.windows.warmup,
            weight_decay=scenario.model.weight_decay,
            logs=folder / "logs",
            loss=scenario.model.loss,
            quantiles=encoding.quantiles,
        )

    def artifact(model: keras.Model):
        score = fit_stream_score(model, scenario, encoding, dataset, streams) if scenario.anomaly else None
        activations = None if hasattr(model, "form") else "float32"
        shell = fit_intervals(model, encoding, batches[1], scenario.windows.warmup) if encoding.quantiles else encoding
        return convert(model, activations=activations, encoding=shell, score=score)

    score = fit_stream_score(plain, scenario, encoding, dataset, streams) if scenario.anomaly else None

    def distances(model: keras.Model) -> tuple[float, float | None]:
        """Loss of the validation part; how far the score is from the float model's."""
        loss = forecast_loss(scenario, model, batches[1])
        return loss, score and score_distance(model, plain, score, batches[1], scenario.windows.warmup)

    control = keras.models.clone_model(plain)
    control.set_weights(plain.get_weights())
    finetune(control, batches)
    judge = _judge(scenario, encoding, dataset, streams)
    float_artifact, figures = artifact(plain), {}
    figures |= judge({"float": float_artifact, "ptq": artifact(control)}, {"float": "float32", "ptq": "control"})
    for form in FORMS:
        qat = quantize_aware(plain, form.activations, state_dtype=form.state_dtype)
        calibrate(qat, (features.numpy() for features, _ in batches[0]))
        calibrated, before = artifact(qat), distances(qat)
        finetune(qat, [taught_by(plain, part) for part in batches])
        after = distances(qat)
        names = {"ptq": f"{form.name}, calibrated", "quantized": f"{form.name}, fine-tuned"}
        found = judge({"float": float_artifact, "ptq": calibrated, "quantized": artifact(qat)}, names)
        trial = Trial(qat, before[0], after[0], distances=(before[1], after[1]) if score else None)
        kept = names["quantized" if trial.keeps_finetuned else "ptq"]
        shipped = {name.replace(kept, f"{form.name}, kept"): value for name, value in found.items() if kept in name}
        figures |= found | shipped
    return figures


def _judge(scenario: Scenario, encoding, dataset, streams) -> Callable[[dict, dict], dict[str, float]]:
    """(artefacts by place, names by place) -> metric by name."""
    tested = [stream for stream in streams if stream.tested.any()]

    def judge(artifacts, names):
        artifacts = {**artifacts, "quantized": artifacts.get("quantized", artifacts["ptq"])}
        if scenario.task == "forecast":
            figures, _ = judge_forecasts(scenario, encoding, artifacts, tested)
        else:
            figures, _ = judge_alarms(scenario, encoding, artifacts, streams, dataset)
        beside = {name: figures[key] for key, name in BESIDE.items() if key in figures}
        found = {name: figures["metric"][place] for place, name in names.items()}
        return found | {f"{name}, {of}": values[at] for at, name in names.items() for of, values in beside.items()}

    return judge


def _print(scenario: Scenario, records: list[dict]) -> None:
    table = Table("form", *(f"seed {record['seed']}" for record in records), "mean", "spread", title=scenario.name)
    for name in records[0]:
        if name != "seed":
            values = [record[name] for record in records]
            figures = (*values, np.mean(values), np.std(values, ddof=1))
            table.add_row(name, *(f"{value:.4f}" for value in figures))
    Console().print(table)
