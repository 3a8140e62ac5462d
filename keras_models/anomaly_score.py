"""The anomaly score: how far the smoothed residuals of old forecasts are from their normal spread.

residual r_t = z_t - forecast of z_t made `lead` steps before; e_t = e_{t-1} + weight * (r_t - e_{t-1});
score = sqrt(mean over channels of the whitened e_t squared) / threshold: 1.0 is the alarm. It is Hotelling's T2 of the
exponentially weighted residuals (Lowry et al., A Multivariate EWMA Control Chart, Technometrics 1992).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.atomic_write import write_json
from pipeline.user_error import UserError

ALARM = 1.0  # the score from which on there is an alarm; thresholds are divided out of the whitening
RIDGE = 1e-3  # share of the mean variance added to each: two channels that moved as one may part later


@dataclass(frozen=True)
class AnomalyScore:
    """`whitening`: (channels, channels), scaled so that the norm of e @ whitening is the score, alarm at 1.0."""

    ewma: float
    whitening: tuple[tuple[float, ...], ...]

    def score(self, residuals: np.ndarray) -> np.ndarray:
        """(timesteps, channels) residuals in standard deviations -> (timesteps,) score."""
        return np.linalg.norm(smooth(residuals, self.ewma) @ np.asarray(self.whitening), axis=-1)

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))


def load_score(path: Path) -> AnomalyScore:
    """The score saved beside a trained model.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        content = json.loads(Path(path).read_text())
        return AnomalyScore(content["ewma"], tuple(tuple(row) for row in content["whitening"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); make it with `edgernn train`") from error


def smooth(residuals: np.ndarray, weight: float) -> np.ndarray:
    """Exponentially weighted mean over time (axis 0), starting at zero; same shape."""
    smoothed, last = np.empty_like(residuals), np.zeros_like(residuals[0])
    for t, residual in enumerate(residuals):
        last = last + weight * (residual - last)
        smoothed[t] = last
    return smoothed


def fit_score(streams: list[np.ndarray], ewma: float, quantile: float, factor: float) -> AnomalyScore:
    """Whitening and threshold by the residuals of training rows.

    Args:
        streams: arrays (timesteps, channels) of residuals, each the normal run of one stream.
        ewma: weight of the newest residual.
        quantile: of the training scores; times `factor` it is the threshold.
    """
    smoothed = np.concatenate([smooth(stream, ewma) for stream in streams])
    covariance = smoothed.T @ smoothed / len(smoothed)
    covariance += np.eye(len(covariance)) * RIDGE * np.trace(covariance) / len(covariance)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T / np.sqrt(len(covariance))
    threshold = factor * np.quantile(np.linalg.norm(smoothed @ whitening, axis=-1), quantile)
    return AnomalyScore(ewma, tuple(tuple(float(v) for v in row) for row in whitening / threshold))
