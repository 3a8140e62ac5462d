"""The verdict on an anomaly detector: its alarms over recorded streams, in every form, beside the simplest rivals."""

import numpy as np

from keras_models.anomaly_score import ALARM, fit_score
from keras_models.feature_encoding import FeatureEncoding, fill_missing, stream_statistics
from pipeline.recorded_streams import RecordedStream
from pipeline.scenario import Scenario
from tflite.artifact import Artifact
from tflite.detection_error import detection_error
from tflite.drift import drift_figures, joined, run_forms


def judge_alarms(
    scenario: Scenario,
    encoding: FeatureEncoding,
    artifacts: dict[str, Artifact],
    streams: list[RecordedStream],
    dataset: dict,
) -> tuple[dict, dict]:
    """F1, false-alarm and missed-alarm rate pooled over the observed test rows of all streams, for each form and rival.

    Without a label column nothing is known to be wrong: the metric then is the share of rows with an alarm.

    Returns:
        The figures of the validation record (metric, far, mar, drift), and the columns of the trace.
    """
    scores, truths, traces, saturated = [], [], [], 0.0
    for stream in streams:
        outputs, share = run_forms(artifacts, stream.x, stream.name)
        judged = stream.tested & stream.observed
        runs = {run: values[:, 0] for run, values in outputs.items()}
        label = _label(scenario, stream)
        scores.append({run: values[judged] for run, values in runs.items()})
        truths.append(label[judged])
        traces.append(_trace(stream, label, runs, encoding))
        saturated = max(saturated, share)
    scores, truth = joined(scores), np.concatenate(truths)
    alarms = {run: values >= ALARM for run, values in scores.items()}
    rivals = _rivals(scenario, encoding, streams, dataset)
    return {**_figures(truth, alarms, rivals), "drift": drift_figures(scores, saturated)}, joined(traces)


def _figures(truth: np.ndarray, alarms: dict, rivals: dict) -> dict[str, dict]:
    """metric, far and mar of the record, by run and by rival."""
    if np.isnan(truth).all():
        shares = {run: float(np.mean(alarm)) for run, alarm in alarms.items()}
        rivals = {name: float(np.mean(alarm)) for name, alarm in rivals.items()}
        return {"metric": {"name": "alarm_share", **shares, "rivals": rivals}}
    anomalous = truth > 0.5
    ours, theirs = (
        {name: detection_error(anomalous, alarm) for name, alarm in group.items()} for group in (alarms, rivals)
    )
    figures = {}
    for rate in ("f1", "far", "mar"):
        values, beside = ({n: one[rate] for n, one in group.items() if rate in one} for group in (ours, theirs))
        figures[rate] = {**values, "rivals": beside}
    return {"metric": {"name": "f1", **figures.pop("f1")}, **figures}


def _rivals(scenario, encoding, streams, dataset) -> dict[str, np.ndarray]:
    """Alarms at every row, and those of the same score over the readings themselves, without any network."""
    statistics = stream_statistics(dataset, encoding)
    readings = [
        fill_missing(encoding.encode(stream.x, *statistics(stream.name)))[:, list(encoding.targets)]
        for stream in streams
    ]
    normal = [x[~stream.tested] for x, stream in zip(readings, streams, strict=True)]
    anomaly = scenario.anomaly
    score = fit_score(normal, anomaly.ewma, anomaly.quantile, anomaly.factor)
    judged = [stream.tested & stream.observed for stream in streams]
    alarms = np.concatenate([score.score(x)[rows] >= ALARM for x, rows in zip(readings, judged, strict=True)])
    return {"always alarm": np.ones_like(alarms), "T2 of the readings, no network": alarms}


def _label(scenario: Scenario, stream: RecordedStream) -> np.ndarray:
    """(bins,) the first label column, NaN where there is none."""
    if not scenario.labels:
        return np.full(len(stream.x), np.nan, np.float32)
    return stream.labels[scenario.labels[0].name].astype(np.float32)


def _trace(stream: RecordedStream, label: np.ndarray, runs: dict, encoding: FeatureEncoding) -> dict[str, np.ndarray]:
    return {
        "stream": np.full(len(stream.x), stream.name),
        "time": stream.time,
        "part": stream.part,
        "observed": stream.observed,
        "label": label,
        **{f"score_{form}": runs[form] for form in ("float", "ptq", "quantized")},
        "alarm": runs["quantized"] >= ALARM,
        **{f"x: {name}": stream.x[:, i] for i, name in enumerate(encoding.columns)},
    }
