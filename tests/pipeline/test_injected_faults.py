"""Injected faults: where, what, and nothing anywhere else."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.injected_faults import InjectedFault, broken, draw_injected
from pipeline.injection_settings import KINDS, FaultInjection
from pipeline.user_error import UserError

INJECTION = FaultInjection(column="speed", seed=3, sound_seconds=10.0, offset=4.0, drift=60.0, resolution=0.5)
READINGS = np.array([1.0, 1.5, np.nan, 2.5, 3.0], np.float32)


@pytest.mark.parametrize(
    "kind, sign, expected",
    [
        ("stuck", 1, [1.0, 1.0, np.nan, 1.0, 1.0]),
        ("offset", 1, [5.0, 5.5, np.nan, 6.5, 7.0]),
        ("offset", -1, [-3.0, -2.5, np.nan, -1.5, -1.0]),
        ("drift", 1, [1.0, 2.5, np.nan, 5.5, 7.0]),  # one a second
        ("drift", -1, [1.0, 0.5, np.nan, -0.5, -1.0]),
    ],
)
def test_by_hand(kind, sign, expected):
    fault = InjectedFault(1 + KINDS.index(kind), 0, sign)
    np.testing.assert_array_equal(broken(READINGS, fault, INJECTION, 1.0), np.array(expected, np.float32))


def test_a_changed_reading_is_one_the_sensor_can_say():
    coarse = replace(INJECTION, drift=7.0, resolution=0.25)
    said = broken(np.full(50, 20.0, np.float32), InjectedFault(3, 0, 1), coarse, 2.0)
    assert (said * 4 % 1 == 0).all() and said[-1] == pytest.approx(20 + 7 * 98 / 60, abs=0.125)


def test_a_sensor_that_says_nothing_stays_silent():
    silent = np.full(5, np.nan, np.float32)
    for code in (1, 2, 3):
        assert np.isnan(broken(silent, InjectedFault(code, 0, 1), INJECTION, 1.0)).all()


def test_faults_differ_from_stream_to_stream_and_are_drawn_anew_the_same():
    faults = [draw_injected(INJECTION, f"drive{i}.csv", 0, 2.0) for i in range(300)]
    assert faults == [draw_injected(INJECTION, f"drive{i}.csv", 0, 2.0) for i in range(300)]
    assert min(Counter(fault.code for fault in faults).values()) > 70
    assert {fault.begin for fault in faults} == {5, 6, 7}, "10 to 15 s, 2 s a step"
    other = replace(INJECTION, seed=4)
    assert [fault.code for fault in faults] != [draw_injected(other, f"drive{i}.csv", 0, 2.0).code for i in range(300)]


INJECT = """
[inject]
column = "speed"
seed = 3
sound = "2s"
offset = 40.0
drift = 60.0
resolution = 0.001
"""
CHANGES = (
    ('task = "forecast"', 'task = "anomaly"'),
    ('name = "fault"', 'name = "broken"\noptional = true\nkinds = ["stuck", "offset", "drift"]'),
    ("leads = [1, 2]", "leads = [1, 1]"),
    ("[model]", "[anomaly]\newma = 0.1\nfalse_alarm_share = 0.1\n[model]"),
)


def test_only_the_test_part_of_the_column_is_changed(job):
    """Rows 0 to 44 of each stream are not the test; from its third or fourth row on the sensor is broken."""
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        job.rows(job.seconds(60), name)
    job.scenario(*CHANGES)
    job.manifest()
    recorded = job.series()
    job.scenario(*CHANGES, ("[windows]", f"{INJECT}\n[windows]"))
    job.manifest()
    found = job.series()
    assert found["load"] == recorded["load"]
    codes = np.array(found["broken"]).reshape(4, 60)
    assert (codes[:, :47] == 0).all() and (codes[:, 48:] > 0).all()
    assert (codes.max(axis=1) == codes[:, -1]).all(), "one fault a stream, to its end"
    said, was = (np.array(one["speed"]).reshape(4, 60) for one in (found, recorded))
    np.testing.assert_array_equal(said[codes == 0], was[codes == 0])
    assert (np.abs(said - was)[:, 49:] > 1e-3).all()


@pytest.mark.parametrize(
    "changes, message",
    [
        (CHANGES[1:2], "inject: belongs to task"),
        ((CHANGES[0], *CHANGES[2:]), "inject: expected exactly one column with role"),
        ((*CHANGES, ('column = "speed"', 'column = "mood"')), "inject.column: expected a measured column, one of:"),
        ((*CHANGES, ("offset = 40.0", "offset = 0.0")), "inject.offset: expected a number above 0"),
    ],
)
def test_what_cannot_be_injected(job, changes, message):
    with pytest.raises(UserError, match=message):
        job.scenario(("[windows]", f"{INJECT}\n[windows]"), *changes)
