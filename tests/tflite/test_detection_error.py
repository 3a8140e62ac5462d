"""Alarms counted by hand: 3 anomalous of 8 steps, 4 alarms, 2 of them right."""

import numpy as np
import pytest

from tflite.detection_error import detection_error

ANOMALOUS = np.array([0, 0, 1, 1, 1, 0, 0, 0], bool)
ALARM = np.array([0, 1, 1, 1, 0, 0, 0, 1], bool)


def test_by_hand():
    precision, recall = 2 / 4, 2 / 3
    assert detection_error(ANOMALOUS, ALARM) == pytest.approx(
        {"f1": 2 * precision * recall / (precision + recall), "far": 2 / 5, "mar": 1 / 3})


def test_perfect_and_blind():
    assert detection_error(ANOMALOUS, ANOMALOUS) == {"f1": 1, "far": 0, "mar": 0}
    assert detection_error(ANOMALOUS, ~ANOMALOUS) == {"f1": 0, "far": 1, "mar": 1}


def test_a_rate_nobody_could_measure_is_absent():
    quiet = np.zeros(8, bool)
    assert detection_error(quiet, quiet) == {"far": 0}
    assert detection_error(~quiet, ~quiet) == {"f1": 1, "mar": 0}
    assert detection_error(quiet[:0], quiet[:0]) == {}
