"""Residuals of a forecaster over the normal run of each stream: what its anomaly score is fitted to."""

import keras
import numpy as np

from keras_models.anomaly_score import AnomalyScore, guessed
from keras_models.feature_encoding import FeatureEncoding, fill_missing, stream_statistics
from keras_models.fit_score import fit_score
from pipeline.recorded_streams import RecordedStream
from pipeline.scenario import Scenario


def fit_stream_score(
    model: keras.Model, scenario: Scenario, encoding: FeatureEncoding, dataset: dict, streams: list[RecordedStream]
) -> AnomalyScore:
    """The anomaly score of `model` by the training rows (validation rows included) of all streams."""
    anomaly, warmup = scenario.anomaly, scenario.windows.warmup
    residuals, readings, trusts = training_residuals(
        model, encoding, dataset, streams, warmup, anomaly.reliance, anomaly.ewma
    )
    return fit_score(residuals, anomaly, scenario.data.step_seconds, readings, trusts)


def training_residuals(
    model: keras.Model,
    encoding: FeatureEncoding,
    dataset: dict,
    streams: list[RecordedStream],
    warmup: int,
    reliance: float = 1.0,
    ewma: float = 1.0,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray] | None]:
    """Per stream (timesteps, targets): standardized reading minus `reliance` of its forecast made `lead` steps before.

    Beside them the readings; missing: NaN in both. NaN, too, is a residual whose forecast was made of inputs that had
    just fallen silent (`guessed`, with `ewma`). And what each residual counts, where the model says that.

    Of the streams whose normal run is longer than the warm-up and the lead.
    """
    statistics, lead = stream_statistics(dataset, encoding), encoding.leads[0]
    pairs = [(stream, _normal_run(stream)) for stream in streams]
    streams, normal = zip(*((stream, x) for stream, x in pairs if len(x) > warmup + lead), strict=True)
    longest = max(len(x) for x in normal)
    features = np.zeros((len(normal), longest, encoding.width), np.float32)
    for i, (stream, x) in enumerate(zip(streams, normal, strict=True)):
        features[i, : len(x)] = fill_missing(encoding.encode(x, *statistics(stream.name)))
    forecasts, _, *trust = model.predict(features, verbose=0)
    residuals, judged = [], []
    for stream, x, forecast in zip(streams, normal, forecasts, strict=True):
        readings = encoding.standardize(x[:, : encoding.measured], *statistics(stream.name))[:, list(encoding.targets)]
        judged.append(readings[warmup + lead :])
        off = judged[-1] - reliance * forecast[warmup : len(x) - lead]
        missing = np.isnan(x[:, list(encoding.only_read)]).sum(axis=1)
        off[guessed(missing, ewma)[warmup : len(x) - lead]] = np.nan
        residuals.append(off)
    trusts = [part[warmup : len(x) - lead] for x, part in zip(normal, *trust, strict=True)] if trust else None
    return residuals, judged, trusts


def _normal_run(stream: RecordedStream) -> np.ndarray:
    """The readings up to the last one of training or validation, without an embargo behind it."""
    known = np.flatnonzero(np.isin(stream.part, ["train", "validation"]))
    return stream.x[: known[-1] + 1] if len(known) else stream.x[:0]
