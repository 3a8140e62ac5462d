"""The verdict on a forecaster: its error over recorded streams, in every form, beside the simplest rivals."""

import numpy as np

from keras_models.feature_encoding import FeatureEncoding
from pipeline.recorded_streams import RecordedStream
from pipeline.scenario import Scenario
from tflite.artifact import Artifact
from tflite.drift import FORMS, drift_figures, joined, run_forms
from tflite.forecast_error import lead_truth, seasonal_rivals, wape

SETTLE_STEPS = 672  # steps before the test part that only settle the state: four weeks of hours


def judge_forecasts(
    scenario: Scenario, encoding: FeatureEncoding, artifacts: dict[str, Artifact], streams: list[RecordedStream]
) -> tuple[dict, dict]:
    """WAPE of the first target over all leads, every step of the test part an origin, for each form and rival.

    Returns:
        The figures of the validation record (metric, drift), and the columns of the trace.
    """
    target, count = encoding.targets[0], len(encoding.targets)
    truths, forecasts, rivals, traces, saturated = [], [], [], [], 0.0
    for stream in streams:
        first = max(0, int(np.flatnonzero(stream.tested)[0]) - SETTLE_STEPS)
        stretch = stream.since(first)
        truths.append(lead_truth(stretch.x[:, target], encoding.leads)[stretch.tested])
        outputs, share = run_forms(artifacts, stretch.x, stream.name)
        runs = {run: values[:, ::count] for run, values in outputs.items()}
        simple = seasonal_rivals(stream.x[:, target], encoding.leads, scenario.data.step_seconds)
        simple = {name: values[first:] for name, values in simple.items()}
        forecasts.append({run: values[stretch.tested] for run, values in runs.items()})
        rivals.append({name: values[stretch.tested] for name, values in simple.items()})
        traces.append(_trace(stretch, encoding, runs, simple))
        saturated = max(saturated, share)
    truth, forecasts = np.concatenate(truths), joined(forecasts)
    metric = {"name": "wape", **{run: wape(truth, values) for run, values in forecasts.items()}}
    simple = {name: wape(truth, values) for name, values in joined(rivals).items()}
    metric["rivals"] = {name: value for name, value in simple.items() if np.isfinite(value)}  # else too short a past
    return {"metric": metric, "drift": drift_figures(forecasts, saturated)}, joined(traces)


def _trace(stream: RecordedStream, encoding: FeatureEncoding, runs: dict, rivals: dict) -> dict[str, np.ndarray]:
    """The forecasts of the last lead, and of the first, moved to the time they speak of; test part only."""
    first, last = encoding.leads
    kept = stream.tested

    def due(values, lead):
        return np.concatenate([np.full(lead, np.nan), values[: len(values) - lead]])[kept].astype(np.float32)

    columns = {"truth": stream.x[:, encoding.targets[0]][kept]}
    columns |= {form: due(runs[form][:, -1], last) for form in FORMS}
    columns |= {f"rival: {name}": due(values[:, -1], last) for name, values in rivals.items()}
    columns["quantized_lead1"] = due(runs["quantized"][:, 0], first)
    return {"stream": np.full(int(kept.sum()), stream.name), "time": stream.time[kept], **columns}
