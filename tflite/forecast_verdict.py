"""The verdict on a forecaster: its error over recorded streams, in every form, beside the simplest rivals."""

import numpy as np

from keras_models.feature_encoding import FeatureEncoding
from pipeline.recorded_streams import RecordedStream
from pipeline.scenario import Scenario
from tflite.artifact import Artifact
from tflite.drift import FORMS, drift_figures, joined, run_forms
from tflite.forecast_error import coverage, lead_truth, nrmse, seasonal_rivals, wape
from tflite.learned_rivals import learned_rivals

SETTLE_STEPS = 672  # at least so many steps before the test part only settle the state: four weeks of hours


def judge_forecasts(
    scenario: Scenario, encoding: FeatureEncoding, artifacts: dict[str, Artifact], streams: list[RecordedStream]
) -> tuple[dict, dict]:
    """Errors of the first target over all leads, every step of the test part an origin, for each form and rival.

    Returns:
        The figures of the validation record (metric, nrmse, metric by lead, coverage and width of intervals, drift),
        and the columns of the trace.
    """
    target, count = encoding.targets[0], len(encoding.targets)
    truths, forecasts, rivals, traces, saturated = [], [], [], [], 0.0
    intervals = []
    firsts = [max(0, int(np.flatnonzero(one.tested)[0]) - max(SETTLE_STEPS, encoding.history)) for one in streams]
    stretches = [stream.since(first) for stream, first in zip(streams, firsts, strict=True)]
    ran = run_forms(artifacts, [stretch.x for stretch in stretches])
    for stream, first, stretch, (outputs, share) in zip(streams, firsts, stretches, ran, strict=True):
        truths.append(lead_truth(stretch.x[:, target], encoding.leads)[stretch.tested])
        number = 1 + len(encoding.quantiles)
        heads = {run: np.split(values[:, ::count], number, axis=1) for run, values in outputs.items()}
        runs = {run: parts[0] for run, parts in heads.items()}
        simple = seasonal_rivals(stream.x[:, target], encoding.leads, scenario.data.step_seconds)
        simple |= learned_rivals(stream.x[:, target], stream.part, encoding.leads, scenario.data.step_seconds)
        simple = {name: values[first:] for name, values in simple.items()}
        if encoding.quantiles:
            intervals.append({run: np.stack(parts[1:], axis=-1)[stretch.tested] for run, parts in heads.items()})
        forecasts.append({run: values[stretch.tested] for run, values in runs.items()})
        rivals.append({name: values[stretch.tested] for name, values in simple.items()})
        traces.append(_trace(stretch, encoding, runs, simple) | _band(stretch, encoding, heads["quantized"][1:]))
        saturated = max(saturated, share)
    truth, forecasts, rivals = np.concatenate(truths), joined(forecasts), joined(rivals)
    metric = {"name": "wape", **{run: wape(truth, values) for run, values in forecasts.items()}}
    simple = {name: wape(truth, values) for name, values in rivals.items()}
    metric["rivals"] = {name: value for name, value in simple.items() if np.isfinite(value)}  # else too short a past
    figures = {"metric": metric, **_spread_figures(streams, target, truth, forecasts, rivals)}
    seconds = [lead * scenario.data.step_seconds for lead in range(encoding.leads[0], encoding.leads[1] + 1)]
    figures["by_lead"] = _lead_figures(seconds, truth, forecasts, {name: rivals[name] for name in metric["rivals"]})
    if encoding.quantiles:
        figures |= _interval_figures(encoding, truth, joined(intervals))
    return {**figures, "drift": drift_figures(forecasts, saturated)}, joined(traces)


def _lead_figures(seconds: list[float], truth: np.ndarray, forecasts: dict, rivals: dict) -> dict:
    """WAPE of each lead by itself, by run and rival: lists, None where no truth of that lead is known or all is zero.

    Args:
        seconds: (leads,) how far ahead each looks.
    """

    def each(values):
        pairs = zip(truth.T, values.T, strict=True)
        return [wape(known, said) if np.any(np.abs(known) > 0) else None for known, said in pairs]

    errors = {run: each(values) for run, values in forecasts.items()}
    return {"seconds": seconds, "wape": {**errors, "rivals": {name: each(values) for name, values in rivals.items()}}}


def _spread_figures(streams: list[RecordedStream], target: int, truth, forecasts: dict, rivals: dict) -> dict:
    """NRMSE, the error that counts large ones more; absent where the series never moves."""
    spread = float(np.nanstd(np.concatenate([stream.x[:, target] for stream in streams]), dtype=np.float64))
    if not spread > 0:
        return {}
    simple = {name: nrmse(truth, values, spread) for name, values in rivals.items()}
    simple = {name: value for name, value in simple.items() if np.isfinite(value)}
    return {"nrmse": {**{run: nrmse(truth, values, spread) for run, values in forecasts.items()}, "rivals": simple}}


def _interval_figures(encoding: FeatureEncoding, truth: np.ndarray, intervals: dict[str, np.ndarray]) -> dict:
    """Coverage of the outermost quantiles and their mean distance as a share of the mean truth, by run.

    Args:
        intervals: by run (origins, leads, quantiles).
    """
    nominal = encoding.quantiles[-1] - encoding.quantiles[0]
    level = float(np.mean(np.abs(truth[np.isfinite(truth)])))
    covered = {run: coverage(truth, values[..., 0], values[..., -1]) for run, values in intervals.items()}
    width = {run: float(np.mean(values[..., -1] - values[..., 0])) / level for run, values in intervals.items()}
    return {"coverage": {"nominal": round(nominal, 6), **covered}, "interval_width": width}


def _band(stream: RecordedStream, encoding: FeatureEncoding, quantiles: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Columns low and high of the trace: the outermost quantiles of the last lead, at the time they speak of."""
    if not quantiles:
        return {}
    ends = {"low": quantiles[0], "high": quantiles[-1]}
    return {name: _due(stream, values[:, -1], encoding.leads[1]) for name, values in ends.items()}


def _due(stream: RecordedStream, values: np.ndarray, lead: int) -> np.ndarray:
    """What was said `lead` steps before, at the steps of the test part."""
    moved = np.concatenate([np.full(lead, np.nan), values[: len(values) - lead]])
    return moved[stream.tested].astype(np.float32)


def _trace(stream: RecordedStream, encoding: FeatureEncoding, runs: dict, rivals: dict) -> dict[str, np.ndarray]:
    """The forecasts of the last lead, and of the first, moved to the time they speak of; test part only."""
    first, last = encoding.leads
    kept = stream.tested
    columns = {"truth": stream.x[:, encoding.targets[0]][kept]}
    columns |= {form: _due(stream, runs[form][:, -1], last) for form in FORMS}
    columns |= {f"rival: {name}": _due(stream, values[:, -1], last) for name, values in rivals.items()}
    columns["quantized_lead1"] = _due(stream, runs["quantized"][:, 0], first)
    return {"stream": np.full(int(kept.sum()), stream.name), "time": stream.time[kept], **columns}
