"""The verdict on an anomaly detector: its alarms over recorded streams, in every form, beside the simplest rivals."""

import numpy as np

from keras_models.anomaly_score import ALARM
from keras_models.feature_encoding import FeatureEncoding, fill_missing, stream_statistics
from keras_models.fit_score import fit_score
from keras_models.pca_alarm import fit_pca_alarm
from pipeline.recorded_streams import RecordedStream
from pipeline.scenario import Scenario
from tflite.artifact import Artifact
from tflite.detection_error import detection_error
from tflite.drift import drift_figures, joined, run_forms
from tflite.event_error import EventCount, count_events, event_figures

PCA_SHARE = 0.01  # of normal rows beyond a limit, where the scenario asks for alarms per hour: that needs runs of rows


def judge_alarms(
    scenario: Scenario,
    encoding: FeatureEncoding,
    artifacts: dict[str, Artifact],
    streams: list[RecordedStream],
    dataset: dict,
) -> tuple[dict, dict]:
    """F1, false-alarm and missed-alarm rate pooled over the observed test rows of all streams, for each form and rival.

    Without a label column nothing is known to be wrong: the metric then is the share of rows with an alarm.

    Args:
        streams: all of them; those that do not reach into the test part only teach the rivals what is normal.

    Returns:
        The figures of the validation record (metric, far, mar, events, drift), and the columns of the trace.
    """
    runs_of, rivals_of, truths, traces, saturated = [], [], [], [], 0.0
    events: dict[str, EventCount] = {}
    rivals = _rivals(scenario, encoding, streams, dataset)
    tested = _tested(streams)
    ran = run_forms(artifacts, [stream.x for stream in tested])
    for stream, simple, (outputs, share) in zip(tested, rivals, ran, strict=True):
        runs = {run: _alarms(values, scenario) for run, values in outputs.items()}
        judged, label = stream.tested & stream.observed, _label(scenario, stream)
        for name, values in {**{run: alarm for run, (_, alarm) in runs.items()}, **simple}.items():
            blamed = _blamed(outputs[name], scenario, encoding) if name in outputs else None
            count = count_events(label, values, judged, scenario.data.step_seconds, blamed)
            events[name] = events[name] + count if name in events else count
        runs_of.append({run: np.stack(pair, axis=1)[judged] for run, pair in runs.items()})
        rivals_of.append({name: values[judged] for name, values in simple.items()})
        truths.append(label[judged])
        traces.append(_trace(stream, label, runs, encoding))
        saturated = max(saturated, share)
    runs, truth = joined(runs_of), np.concatenate(truths)
    figures = _figures(truth, {run: values[:, 1] > 0.5 for run, values in runs.items()}, joined(rivals_of))
    if scenario.labels and not np.isnan(truth).all():
        figures["events"] = _events(scenario, events, list(rivals[0]))
    drift = drift_figures({run: values[:, 0] for run, values in runs.items()}, saturated)
    return {**figures, "drift": drift}, joined(traces)


def _alarms(outputs: np.ndarray, scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """(timesteps,) score and (timesteps,) bool alarm from what a model puts out, in the order of its manifest."""
    score = outputs[:, 0]
    return score, outputs[:, 1] > 0.5 if _holds(scenario) else score >= ALARM


def _holds(scenario: Scenario) -> bool:
    return scenario.anomaly.persistence > 1 or scenario.anomaly.cool_down > 0


def _blamed(outputs: np.ndarray, scenario: Scenario, encoding: FeatureEncoding) -> np.ndarray | None:
    """(timesteps,) name of the channel that contributes most, where the model says so."""
    if not scenario.anomaly.contributions:
        return None
    names = np.array([encoding.columns[target] for target in encoding.targets])
    return names[outputs[:, -len(names) :].argmax(axis=1)]


def _events(scenario: Scenario, events: dict[str, EventCount], rivals: list[str]) -> dict[str, dict]:
    """Figures of every run, and below `rivals` those of each rival."""
    kinds = scenario.labels[0].kinds
    figures = {name: event_figures(count, kinds) for name, count in events.items()}
    return {
        **{name: one for name, one in figures.items() if name not in rivals},
        "rivals": {name: figures[name] for name in rivals},
    }


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


def _tested(streams: list[RecordedStream]) -> list[RecordedStream]:
    return [stream for stream in streams if stream.tested.any()]


def _rivals(scenario, encoding, streams, dataset) -> list[dict[str, np.ndarray]]:
    """Of each tested stream alarms at every row, and by the readings of the targets: the same score, and T2 and Q of
    PCA."""
    statistics = stream_statistics(dataset, encoding)

    def learned(stream: RecordedStream) -> int:
        """Bins of the readings that mean and spread are learned from."""
        return int(np.searchsorted(np.cumsum(stream.observed), encoding.readings)) + 1 if encoding.readings else 0

    def readings(stream: RecordedStream) -> np.ndarray:
        known = stream.x[:, : encoding.measured]
        return fill_missing(encoding.standardize(known, *statistics(stream.name))[:, list(encoding.targets)])

    normal = [readings(stream)[~stream.tested] for stream in streams if not stream.tested.all()]
    score = fit_score(normal, scenario.anomaly, scenario.data.step_seconds, normal)
    pca = fit_pca_alarm(np.concatenate(normal), scenario.anomaly.false_alarm_share or PCA_SHARE)

    def alarms(stream: RecordedStream) -> dict[str, np.ndarray]:
        x = readings(stream)
        return {
            "always alarm": np.ones(len(x), bool),
            "T2 of the readings, no network": score.judge(x, x, first=learned(stream))["alarm"],
            "T2 and Q of PCA, no memory": pca.alarm(x),
        }

    return [alarms(stream) for stream in _tested(streams)]


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
        **{f"score_{form}": runs[form][0] for form in ("float", "ptq", "quantized")},
        "alarm": runs["quantized"][1],
        **{f"x: {name}": stream.x[:, i] for i, name in enumerate(encoding.columns)},
    }
