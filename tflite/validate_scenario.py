"""The validate stage: the recorded streams through every form of the model, one step per invoke, state fed back."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from keras_models.anomaly_score import fit_score
from keras_models.feature_encoding import FeatureEncoding, fill_missing, load_encoding, stream_statistics
from pipeline.atomic_write import atomic_write, write_json
from pipeline.recorded_streams import RecordedStream, recorded_streams
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.artifact import Artifact, read_artifact
from tflite.build_record import require_record
from tflite.detection_error import detection_error
from tflite.drift import rmse, run_stream
from tflite.flatbuffer import read_flatbuffer
from tflite.forecast_error import lead_truth, seasonal_rivals, wape
from tflite.latency import step_latency
from tflite.memory import arena_bytes
from tflite.parity import parity
from tflite.quanta import output_quanta
from tflite.runtimes import load_model
from tflite.validation_table import print_record

SETTLE_STEPS = 672  # forecast: steps before the test part that only settle the state (four weeks of hours)
PARITY_STEPS = 8000
LATENCY_STEPS = 2000
KERNELS = {"builtin": "litert (builtin)", "reference": "litert (reference)", "default": "xnnpack (LiteRT default)"}
FORMS = ("float", "ptq", "quantized")
RUNS = {**{form: (form, "litert") for form in FORMS}, "quantized_tflm": ("quantized", "tflm")}


def validate_scenario(scenario: Scenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/trace.parquet and validation.json.

    Raises:
        UserError: a model or the dataset of the stages before is missing or damaged.
    """
    folder = Path(build_dir) / scenario.name
    artifacts = dict(
        zip(FORMS, (read_artifact(folder / "tflite" / place) for place in ("float32", "ptq", "")), strict=True)
    )
    encoding = load_encoding(folder / "model" / "encoding.json")
    streams = list(recorded_streams(scenario, folder / "dataset"))
    judge = judge_forecasts if scenario.task == "forecast" else judge_alarms
    figures, trace = judge(scenario, encoding, artifacts, streams, dataset_folder=folder / "dataset")
    xs = np.concatenate([_test_stretch(scenario, stream).x for stream in streams])
    seconds = require_record(folder / "tflite" / "seconds.json", kind=dict, made_by=f"edgernn convert {scenario.path}")
    figures["ptq_bytes"] = len(artifacts["ptq"].tflite)
    record = {"scenario": scenario.name, **figures, **_proof(artifacts["quantized"], xs), **seconds}
    float_record = {
        "scenario": scenario.name,
        **_proof(artifacts["float"], xs),
        "metric": {"name": figures["metric"]["name"], "float": figures["metric"]["float"]},
    }
    with atomic_write(folder / "trace.parquet") as temporary:
        pyarrow.parquet.write_table(pa.table(trace), temporary, compression="zstd")
    path = folder / "validation.json"
    write_json(path, {"models": [record, float_record]})
    print_record(record)
    return path


def _proof(artifact: Artifact, xs: np.ndarray) -> dict[str, Any]:
    """What does not depend on the task: bytes, operators, parity, memory, latency."""
    model, manifest = artifact.tflite, artifact.manifest
    graph = read_flatbuffer(model)
    quanta = output_quanta(graph)
    tflm = load_model(model, "tflm")
    pairs = [
        {
            "runtime": name,
            "reference": "tflm",
            **parity(load_model(model, kernels=kernels), tflm, xs[:PARITY_STEPS], quanta),
        }
        for kernels, name in KERNELS.items()
    ]
    arena = arena_bytes(model)
    return {
        **{key: manifest[key] for key in ("cell", "activations", "state", "bytes")},
        "ops": [op.kind for op in graph.ops],
        "parity": pairs,
        "memory": {
            "arena_bytes": arena["total"],
            "arena_head_bytes": arena["head"],
            "arena_tail_bytes": arena["tail"],
            "state_bytes": sum(
                graph.tensor(read).shape[-1] * np.dtype(graph.tensor(read).dtype).itemsize
                for _, read, _ in graph.states
            ),
        },
        "latency_us": step_latency(load_model(model, "litert"), list(xs[:LATENCY_STEPS])),
    }


def _test_stretch(scenario: Scenario, stream: RecordedStream) -> RecordedStream:
    """The part of a stream the validation steps through: the test part and what settles the state before it."""
    tested = np.flatnonzero(stream.part == "test")
    if len(tested) == 0:
        raise UserError(f"stream {stream.name}: no row in the test part; check [split] of {scenario.path}")
    first = 0 if scenario.task == "anomaly" else max(0, tested[0] - SETTLE_STEPS)
    kept = slice(first, None)
    return RecordedStream(
        stream.name,
        stream.time[kept],
        stream.part[kept],
        stream.observed[kept],
        stream.x[kept],
        {name: values[kept] for name, values in stream.labels.items()},
    )


def judge_forecasts(
    scenario: Scenario, encoding: FeatureEncoding, artifacts: dict[str, Artifact], streams: list[RecordedStream], **_
) -> tuple[dict, dict]:
    """WAPE of the first target over all leads, every step of the test part an origin, for each form and rival."""
    target, count = encoding.targets[0], len(encoding.targets)
    truths, forecasts, saturated, traces = [], {run: [] for run in RUNS}, 0.0, []
    rivals = {}
    for stream in streams:
        stretch = _test_stretch(scenario, stream)
        tested = stretch.part == "test"
        truth = lead_truth(stretch.x[:, target], encoding.leads)[tested]
        truths.append(truth)
        outputs, share = _run_all(artifacts, stretch)
        saturated = max(saturated, share)
        runs = {run: values[:, ::count] for run, values in outputs.items()}
        for run, values in runs.items():
            forecasts[run].append(values[tested])
        baselines = seasonal_rivals(stream.x[:, target], encoding.leads, scenario.data.step_seconds)
        baselines = {name: values[-len(stretch.x) :] for name, values in baselines.items()}
        for name, values in baselines.items():
            rivals.setdefault(name, []).append(values[tested])
        traces.append(_forecast_trace(stretch, encoding, runs, baselines))
    truth = np.concatenate(truths)
    stacked = {run: np.concatenate(parts) for run, parts in forecasts.items()}
    metric = {
        "name": "wape",
        **{run: wape(truth, values) for run, values in stacked.items()},
        "rivals": {name: wape(truth, np.concatenate(parts)) for name, parts in rivals.items()},
    }
    return {"metric": metric, "drift": _drift(stacked, saturated)}, _joined(traces)


def _run_all(artifacts: dict[str, Artifact], stream: RecordedStream) -> tuple[dict[str, np.ndarray], float]:
    """Outputs of every run over a stream, free-running, and the saturated share of the shipped model's states."""
    outputs, saturated = {}, {}
    for run, (form, runtime) in RUNS.items():
        model = load_model(artifacts[form].tflite, runtime)
        outputs[run], saturated[run] = run_stream(model, stream.x, f"{stream.name} {run}")
    return outputs, saturated["quantized"]


def _drift(outputs: dict[str, np.ndarray], saturated: float) -> dict[str, float]:
    """How far the shipped model, running free, leaves the float model, and LiteRT leaves TFLite Micro."""
    return {
        "steps": len(outputs["quantized"]),
        "rmse": rmse(outputs["quantized"], outputs["float"]),
        "rmse_tflm": rmse(outputs["quantized"], outputs["quantized_tflm"]),
        "saturated": saturated,
    }


def _forecast_trace(
    stream: RecordedStream, encoding: FeatureEncoding, runs: dict, rivals: dict
) -> dict[str, np.ndarray]:
    """The forecasts of the last lead, and of the first, moved to the time they speak of; test part only."""
    first, last = encoding.leads
    kept = stream.part == "test"

    def due(values, lead):
        return np.concatenate([np.full(lead, np.nan), values[: len(values) - lead]])[kept].astype(np.float32)

    columns = {"truth": stream.x[:, encoding.targets[0]][kept]}
    columns |= {form: due(runs[form][:, -1], last) for form in FORMS}
    columns |= {f"rival: {name}": due(values[:, -1], last) for name, values in rivals.items()}
    columns["quantized_lead1"] = due(runs["quantized"][:, 0], first)
    return {"stream": np.full(int(kept.sum()), stream.name), "time": stream.time[kept], **columns}


def judge_alarms(
    scenario: Scenario,
    encoding: FeatureEncoding,
    artifacts: dict[str, Artifact],
    streams: list[RecordedStream],
    dataset_folder: Path,
) -> tuple[dict, dict]:
    """F1, false-alarm and missed-alarm rate pooled over the observed test rows of all streams, for each form."""
    label = scenario.labels[0].name
    judged_scores = {run: [] for run in RUNS}
    labels, traces, saturated = [], [], 0.0
    for stream in streams:
        outputs, share = _run_all(artifacts, stream)
        saturated = max(saturated, share)
        scores = {run: values[:, 0] for run, values in outputs.items()}
        judged = (stream.part == "test") & stream.observed
        labels.append(stream.labels[label][judged] > 0.5)
        for run, values in scores.items():
            judged_scores[run].append(values[judged])
        traces.append(_alarm_trace(stream, label, scores, encoding))
    anomalous = np.concatenate(labels)
    scored = {run: np.concatenate(parts) for run, parts in judged_scores.items()}
    found = {run: detection_error(anomalous, scores >= 1.0) for run, scores in scored.items()}
    rivals = _detection_rivals(scenario, encoding, streams, dataset_folder, anomalous)
    figures = {
        name: {
            **{run: one[name] for run, one in found.items()},
            "rivals": {rival: one[name] for rival, one in rivals.items() if name in one},
        }
        for name in ("f1", "far", "mar")
    }
    metric = {"name": "f1", **figures.pop("f1")}
    return {"metric": metric, **figures, "drift": _drift(scored, saturated)}, _joined(traces)


def _detection_rivals(scenario, encoding, streams, dataset_folder, anomalous) -> dict[str, dict[str, float]]:
    """An alarm at every row, and the same score over the readings themselves, without any network."""
    import json

    dataset = json.loads((dataset_folder / "dataset.json").read_text())
    statistics = stream_statistics(dataset, encoding)
    readings = [
        fill_missing(encoding.encode(stream.x, *statistics(stream.name)))[:, list(encoding.targets)]
        for stream in streams
    ]
    normal = [x[stream.part != "test"] for x, stream in zip(readings, streams, strict=True)]
    anomaly = scenario.anomaly
    score = fit_score(normal, anomaly.ewma, anomaly.quantile, anomaly.factor)
    alarms = [
        score.score(x)[(stream.part == "test") & stream.observed] >= 1.0
        for x, stream in zip(readings, streams, strict=True)
    ]
    return {
        "always alarm": detection_error(anomalous, np.ones_like(anomalous)),
        "T2 of the readings, no network": detection_error(anomalous, np.concatenate(alarms)),
    }


def _alarm_trace(stream: RecordedStream, label: str, scores: dict, encoding: FeatureEncoding) -> dict[str, np.ndarray]:
    return {
        "stream": np.full(len(stream.x), stream.name),
        "time": stream.time,
        "part": stream.part,
        "observed": stream.observed,
        "label": stream.labels[label].astype(np.float32),
        "score_float": scores["float"],
        "score_ptq": scores["ptq"],
        "score_quantized": scores["quantized"],
        "alarm": scores["quantized"] >= 1.0,
        **{f"x: {name}": stream.x[:, i] for i, name in enumerate(encoding.columns)},
    }


def _joined(traces: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([trace[name] for trace in traces]) for name in traces[0]}
