"""What quantization costs, and what fine-tuning gives back: float, calibrated and fine-tuned forms over several seeds.

A float control gets the same extra epochs as the fine-tuned forms: what it gains is not the merit of quantization-aware
training. Of detectors of labelled anomalies the difference between fine-tuned and calibrated stands there too, with the
interval in which it lies by chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_models.anomaly_score import ALARM, AnomalyScore, held_alarm
from keras_models.choose_form import Trial
from keras_models.feature_encoding import load_encoding
from keras_models.finetune_qat import attempt, finetune
from keras_models.fit_model import beside_trust
from keras_models.forecast_intervals import fit_intervals
from keras_models.model_folder import load_model, seed_everything
from keras_models.numeric_form import NumericForm
from keras_models.shard_dataset import training_batches
from keras_models.stream_residuals import fit_stream_score
from keras_models.train import train
from keras_models.trained_cell import with_trained_cell
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.alarm_verdict import judge_alarms
from tflite.artifact import Artifact
from tflite.conversion import convert
from tflite.detection_error import count_steps
from tflite.file_bytes import file_bytes
from tflite.forecast_verdict import judge_forecasts
from tflite.studies.paired_bootstrap import PairedDifference, paired_difference
from tflite.studies.seed_table import SEEDS, seed_folder, write_seeds

BESIDE = {"nrmse": "NRMSE", "coverage": "coverage", "far": "false alarm rate", "mar": "missed alarm rate"}
EVENTS = {  # of detectors, where events are labelled
    "recall": "events noticed",
    "median_delay": "median delay in seconds",
    "false_alarms_per_100_hours": "false alarms in 100 hours",
}
FORMS = (NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16"))
Counts = list[tuple[int, int, int]]  # hits, false alarms and misses, by recording


def seeds(scenario: Scenario, build_dir: Path) -> Path:
    """Trains with every seed below build/seeds/, prints the table and writes build/seeds/<scenario>.json.

    Raises:
        UserError: the dataset is missing, or the scenario is not fine-tuned.
    """
    if not scenario.quantization.epochs:
        raise UserError(f"{scenario.path}: quantization.epochs: 0, so there is no fine-tuning to study; give it epochs")
    read_dataset(scenario, build_dir)
    records, counts = [], []
    for seed in SEEDS:
        figures, steps = _study(replace(scenario, seed=seed), seed_folder(scenario.name, build_dir, seed))
        records.append({"seed": seed, **figures})
        counts.append(steps)
    differences = _differences(counts)
    caption = "at least, at most: 95 % of 10,000 draws of the recordings (paired bootstrap)" if differences else None
    return write_seeds(scenario.name, build_dir, records, _as_figures(differences), caption)


def _study(scenario: Scenario, folder: Path) -> tuple[dict[str, float], dict[str, Counts]]:
    """The metric of the test part, streamed on LiteRT, by form; "kept": what the quantize stage would ship.

    Of a detector of labelled anomalies also the counts of the integer forms, and the difference of the two in figures.
    """
    train(scenario, folder, file_bytes)
    one = _Seed(with_trained_cell(scenario, folder), folder)
    judge = _judge(one.scenario, one.encoding, one.dataset, one.streams)
    plain = one.artifact(one.plain)
    figures, _ = judge({"float": plain, "ptq": one.artifact(one.control())}, {"float": "float32", "ptq": "control"})
    counts: dict[str, Counts] = {}
    for form in FORMS:
        trial = one.attempt(form)
        artifacts = {"ptq": one.artifact(trial.calibrated.model), "quantized": one.artifact(trial.finetuned.model)}
        names = {"ptq": f"{form.name}, calibrated", "quantized": f"{form.name}, fine-tuned"}
        found, steps = judge({"float": plain, **artifacts}, names)
        counts |= steps
        kept = f"{form.name}, {trial.kept_name}"
        figures |= found | {name.replace(kept, f"{form.name}, kept"): found[name] for name in found if kept in name}
    return figures | _as_figures(_differences([counts])), counts


class _Seed:
    """The float model of one seed with its data, and what is made of it."""

    def __init__(self, scenario: Scenario, folder: Path):
        self.scenario, self.logs = scenario, folder / "logs"
        models, (dataset_folder, self.dataset) = folder / scenario.name / "model", read_dataset(scenario, folder)
        self.encoding = load_encoding(models / "encoding.json")
        order = scenario.model, scenario.seed
        self.batches = partial(training_batches, dataset_folder, self.dataset, self.encoding, *order)
        self.validation = self.batches()[1]
        self.streams = list(recorded_streams(scenario, dataset_folder))
        self.plain = load_model(models / f"{scenario.model.cell}.keras", made_by="edgernn train")
        self.score = self._fitted(self.plain)

    def control(self) -> keras.Model:
        """The float model, trained on the truth for the epochs of fine-tuning."""
        control, trust = keras.models.clone_model(self.plain), self.scenario.model.trust
        control.set_weights(self.plain.get_weights())
        seed_everything(self.scenario.seed)
        finetune(self.scenario, beside_trust(control) if trust else control, self.batches(), self.logs, trust)
        return control

    def attempt(self, form: NumericForm) -> Trial:
        """As the quantize stage makes it."""
        return attempt(self.scenario, self.plain, self.score, form, self.batches, self.logs)

    def artifact(self, model: keras.Model) -> Artifact:
        shell = self.encoding
        if shell.quantiles:
            shell = fit_intervals(model, shell, self.validation, self.scenario.windows.warmup)
        activations = None if hasattr(model, "form") else "float32"
        return convert(model, activations=activations, encoding=shell, score=self._fitted(model))

    def _fitted(self, model: keras.Model) -> AnomalyScore | None:
        if self.scenario.anomaly is None:
            return None
        return fit_stream_score(model, self.scenario, self.encoding, self.dataset, self.streams)


def _judge(scenario: Scenario, encoding, dataset, streams) -> Callable[[dict, dict], tuple[dict, dict]]:
    """(artefacts by place, names by place) -> metric by name, and counts by name."""
    tested = [stream for stream in streams if stream.tested.any()]

    def judge(artifacts, names):
        artifacts = {**artifacts, "quantized": artifacts.get("quantized", artifacts["ptq"])}
        if scenario.task == "forecast":
            (figures, _), counts = judge_forecasts(scenario, encoding, artifacts, tested), {}
        else:
            figures, trace = judge_alarms(scenario, encoding, artifacts, streams, dataset)
            counts = {name: _counts(scenario, trace, place) for place, name in names.items()} if scenario.labels else {}
        beside = {of: figures[key] for key, of in BESIDE.items() if key in figures}
        events = figures.get("events", {})
        found = {name: figures["metric"][place] for place, name in names.items()}
        for at, name in names.items():
            found |= {f"{name}, {of}": values[at] for of, values in beside.items()}
            found |= {f"{name}, {of}": events[at][key] for key, of in EVENTS.items() if key in events.get(at, {})}
        return found, counts

    return judge


def _counts(scenario: Scenario, trace: dict[str, np.ndarray], place: str) -> Counts:
    """`count_steps` of each recording's test part."""
    settings, score = scenario.anomaly, trace[f"score_{place}"]
    found = []
    for name in np.unique(trace["stream"]):
        of = trace["stream"] == name
        judged = ((trace["part"] == "test") & trace["observed"])[of]
        alarm = held_alarm(score[of] >= ALARM, settings.persistence, settings.cool_down)
        found.append(count_steps(trace["label"][of][judged] > 0.5, alarm[judged]))
    return found


def _differences(counts: Sequence[dict[str, Counts]]) -> dict[str, PairedDifference]:
    """By form what fine-tuning gives back of the metric, over the seeds."""
    pairs = [(form.name, *(f"{form.name}, {name}" for name in ("calibrated", "fine-tuned"))) for form in FORMS]
    return {
        f"{name}, fine-tuned less calibrated": paired_difference(*([one[key] for one in counts] for key in pair))
        for name, *pair in pairs
        if all(key in counts[0] for key in pair)
    }


def _as_figures(differences: dict[str, PairedDifference]) -> dict[str, float]:
    return {
        key: value
        for name, one in differences.items()
        for key, value in ((name, one.value), (f"{name}, at least", one.low), (f"{name}, at most", one.high))
    }
