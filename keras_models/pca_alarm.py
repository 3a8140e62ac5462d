"""Alarms by principal components of the readings, without a network or a memory: the textbook's rival.

T2 within the components that hold most of the variance, Q (squared prediction error) outside of them; an alarm where
either is beyond its quantile in normal rows (Jackson and Mudholkar, Control Procedures for Residuals Associated with
Principal Component Analysis, Technometrics 1979; quantiles instead of their normal approximation).
"""

from dataclasses import dataclass

import numpy as np

EXPLAINED = 0.9  # share of the variance that the components kept must hold


@dataclass(frozen=True, eq=False)
class PcaAlarm:
    """`components` (kept, channels) over `variances` (kept,); `limits`: of T2 and of Q."""

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    limits: tuple[float, float]

    def alarm(self, readings: np.ndarray) -> np.ndarray:
        """(timesteps, channels) standardized readings -> (timesteps,) bool."""
        t2, q = _statistics(readings - self.mean, self.components, self.variances)
        return (t2 > self.limits[0]) | (q > self.limits[1])


def fit_pca_alarm(normal: np.ndarray, false_alarm_share: float) -> PcaAlarm:
    """By normal rows (timesteps, channels), of which each of the two statistics calls `false_alarm_share` an alarm."""
    mean = normal.mean(axis=0)
    _, sizes, components = np.linalg.svd(normal - mean, full_matrices=False)
    variances = sizes**2 / len(normal)
    held = np.cumsum(variances) / max(variances.sum(), np.finfo(float).tiny)
    kept = min(int(np.searchsorted(held, EXPLAINED)) + 1, int((variances > 0).sum()) or 1)
    components, variances = components[:kept], np.maximum(variances[:kept], np.finfo(float).tiny)
    statistics = _statistics(normal - mean, components, variances)
    limits = tuple(float(np.quantile(values, 1 - false_alarm_share)) for values in statistics)
    return PcaAlarm(mean, components, variances, limits)


def _statistics(centred, components, variances):
    inside = centred @ components.T
    return np.square(inside / np.sqrt(variances)).sum(axis=1), np.square(centred - inside @ components).sum(axis=1)
