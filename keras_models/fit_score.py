"""Whitening and threshold of an anomaly score, by the residuals of normal rows."""

import math

import numpy as np

from keras_models.anomaly_score import AnomalyScore, recentred, repeated, smooth
from pipeline.scenario import Anomaly
from pipeline.user_error import UserError

RIDGE = 1e-3  # share of the mean variance added to each: two channels that moved as one may part later
CONCENTRATIONS = 5  # steps until a robust covariance hardly moves
PEAKS_FROM = 0.98  # quantile of the scores over which a peak counts as one of the tail


def fit_score(
    streams: list[np.ndarray],
    anomaly: Anomaly,
    step_seconds: float,
    readings: list[np.ndarray] | None = None,
    trusts: list[np.ndarray] | None = None,
) -> AnomalyScore:
    """The score of a scenario's section [anomaly].

    Args:
        streams: arrays (timesteps, channels) of residuals, each the normal run of one stream; NaN: missing. What is
            taken off of forecasts is `anomaly.reliance` of them.
        step_seconds: of one step, for alarms per hour.
        readings: the standardized readings beside them, for channels that stand still.
        trusts: what each residual counts, beside them; None: all the same.

    Raises:
        UserError: no stream is longer than `settle` and `recentre`.
    """
    memory = anomaly.recentre or 0
    unscored = anomaly.settle + memory
    long = [i for i, stream in enumerate(streams) if len(stream) > unscored]
    if not long:
        raise UserError(
            f"anomaly.recentre: expected fewer steps than the longest normal run has, {max(map(len, streams))} after "
            f"warm-up and lead, got {unscored}"
        )
    trusts = trusts or [np.ones_like(stream) for stream in streams]
    smoothed = [_smoothed(streams[i], trusts[i], anomaly) for i in long]
    whitening = symmetric_whitening(robust_covariance(np.concatenate(smoothed), anomaly.trusted))
    scores = [np.sqrt(np.square(rows @ whitening).sum(axis=-1)) for rows in smoothed]
    threshold = _threshold(scores, anomaly, step_seconds) or 1.0  # 0: none ever was off
    repeats = None
    if anomaly.repeats is not None:
        repeats = most_repeats([readings[i][anomaly.settle :] for i in long], anomaly.repeats)
    return AnomalyScore(
        anomaly.ewma,
        tuple(tuple(float(value) for value in row) for row in whitening / threshold),
        anomaly.recentre,
        anomaly.settle,
        anomaly.freeze,
        repeats,
        anomaly.persistence,
        anomaly.cool_down,
        anomaly.contributions,
        anomaly.reliance,
        anomaly.own_limit,
    )


def _smoothed(residuals: np.ndarray, trust: np.ndarray, anomaly: Anomaly) -> np.ndarray:
    """What the score squares, from the first step with a score on; normal rows never freeze the centre."""
    residuals, trust, memory = residuals[anomaly.settle :], trust[anomaly.settle :], anomaly.recentre
    if not memory:
        return smooth(np.nan_to_num(residuals) * trust, anomaly.ewma)
    return smooth(recentred(residuals, memory, trust)[memory:], anomaly.ewma)


def robust_covariance(rows: np.ndarray, trusted: float) -> np.ndarray:
    """(channels, channels) covariance about zero of the share `trusted` of the rows, without those far out.

    Concentration steps as in FAST-MCD (Rousseeuw and Van Driessen, A Fast Algorithm for the Minimum Covariance
    Determinant Estimator, Technometrics 1999) from the covariance of all rows; what its scale lacks, the threshold has.
    """
    covariance = _covariance(rows)
    for _ in range(CONCENTRATIONS if trusted < 1 else 0):
        distance = np.square(rows @ symmetric_whitening(covariance)).sum(axis=-1)
        covariance = _covariance(rows[distance <= np.quantile(distance, trusted)])
    return covariance


def _covariance(rows: np.ndarray) -> np.ndarray:
    covariance = rows.T @ rows / len(rows)
    return covariance + np.eye(len(covariance)) * (RIDGE * np.trace(covariance) / len(covariance) or 1.0)


def symmetric_whitening(covariance: np.ndarray) -> np.ndarray:
    """C^-1/2, over the square root of the channels: every row of it stays with its own channel."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(values)) @ vectors.T / np.sqrt(len(values))


def _threshold(scores: list[np.ndarray], anomaly: Anomaly, step_seconds: float) -> float:
    if anomaly.false_alarm_share is not None:
        return float(np.quantile(np.concatenate(scores), 1 - anomaly.false_alarm_share))
    if anomaly.false_alarms_per_hour is not None:
        return threshold_by_rate(scores, anomaly.false_alarms_per_hour * step_seconds / 3600)
    return float(np.median([rows[-anomaly.own_limit :].max() for rows in scores]))


def threshold_by_rate(scores: list[np.ndarray], wanted: float) -> float:
    """The score that normal streams reach `wanted` times per step, however rarely that is.

    Peaks over a high score, one of each run over it, taken as exponential (Pickands, Statistical Inference Using
    Extreme Order Statistics, Annals of Statistics 1975; Siffer et al., Anomaly Detection in Streams with Extreme Value
    Theory, KDD 2017, with shape 0): a rate of alarms can be asked for that the training rows are too few to show.
    """
    base = float(np.quantile(np.concatenate(scores), PEAKS_FROM))
    peaks = np.concatenate([_peaks(stream, base) for stream in scores])
    rate = len(peaks) / sum(map(len, scores))
    if not len(peaks) or rate <= wanted:
        return base
    return base + float(np.mean(peaks - base)) * math.log(rate / wanted)


def _peaks(score: np.ndarray, base: float) -> np.ndarray:
    """The greatest score of every run over `base`."""
    over = np.concatenate([[False], score > base, [False]])
    edges = np.flatnonzero(over[1:] != over[:-1])
    return np.array([score[begin:end].max() for begin, end in zip(edges[::2], edges[1::2], strict=True)])


def most_repeats(readings: list[np.ndarray], factor: float) -> tuple[float, ...]:
    """By channel `factor` times the most repeats of a reading in normal rows, at least one.

    A channel that never moved there gets more than the longest run: its standing still says nothing.
    """
    longest = np.max([repeated(rows).max(axis=0) for rows in readings], axis=0)
    return tuple(float(count) for count in np.maximum(1.0, factor * longest))
