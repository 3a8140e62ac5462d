"""How good alarms are against labelled time steps: F1, false-alarm rate, missed-alarm rate."""

import numpy as np


def detection_error(anomalous: np.ndarray, alarm: np.ndarray) -> dict[str, float]:
    """f1, far (alarms among normal steps), mar (no alarm among anomalous steps) of boolean arrays of one length.

    A rate whose denominator is empty is left out: it was not measured.
    """
    hits, false_alarms, misses = count_steps(anomalous, alarm)
    normal, faulty = int(np.sum(~anomalous)), int(np.sum(anomalous))
    rates = {"f1": (2 * hits, 2 * hits + false_alarms + misses), "far": (false_alarms, normal), "mar": (misses, faulty)}
    return {name: part / whole for name, (part, whole) in rates.items() if whole}


def count_steps(anomalous: np.ndarray, alarm: np.ndarray) -> tuple[int, int, int]:
    """Hits, false alarms and misses of (timesteps,) bool: all that F1 needs."""
    return int(np.sum(anomalous & alarm)), int(np.sum(~anomalous & alarm)), int(np.sum(anomalous & ~alarm))
