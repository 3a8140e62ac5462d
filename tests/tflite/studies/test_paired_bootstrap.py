"""The difference of two detectors over the same recordings: every case small enough to count by hand."""

import numpy as np
import pytest

from tflite.detection_error import count_steps
from tflite.studies.paired_bootstrap import PairedDifference, f1, paired_difference


def test_what_f1_is_made_of():
    anomalous, alarm = np.array([0, 0, 1, 1, 1], bool), np.array([1, 0, 1, 0, 0], bool)
    assert count_steps(anomalous, alarm) == (1, 1, 2)
    assert f1(np.array([[1, 1, 2], [0, 0, 0], [3, 0, 0]])).tolist() == [2 / 5, 0.0, 1.0]


def test_one_recording_leaves_nothing_to_chance():
    """F1 2/(2+1) against 4/(4+0): every draw is the same."""
    assert paired_difference([[(1, 0, 1)]], [[(2, 0, 0)]]) == PairedDifference(*[pytest.approx(1 / 3)] * 3)


def test_two_recordings_by_hand():
    """Pooled 8/10 against 9/10; the first recording twice 4/5 against 5/5, the second twice 4/5 against 4/5."""
    first, second = [(4, 1, 1), (4, 2, 0)], [(5, 0, 0), (4, 1, 1)]
    one = paired_difference([first], [second])
    assert one.value == pytest.approx(18 / 20 - 16 / 20)
    assert (one.low, one.high) == pytest.approx((8 / 10 - 8 / 10, 10 / 10 - 8 / 10))  # one draw in four each


def test_seeds_are_averaged_and_share_their_draws():
    """What one seed gains in a recording the other loses there: no draw shows a difference."""
    better, worse = [(5, 0, 0), (2, 3, 0)], [(4, 1, 0), (2, 3, 0)]
    one = paired_difference([better, worse], [worse, better])
    assert (one.value, one.low, one.high) == pytest.approx((0.0, 0.0, 0.0))


def test_the_same_draws_every_time():
    counts = np.random.default_rng(0).integers(1, 50, (2, 3, 34, 3))
    assert paired_difference(*counts) == paired_difference(*counts)
