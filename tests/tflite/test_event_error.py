"""Events counted by hand."""

import numpy as np
import pytest

from tflite.event_error import count_events, event_figures

#                  0  1  2  3  4  5  6  7  8  9 10 11 12 13
LABEL = np.array([0, 0, 2, 2, 2, 0, 0, 1, 1, 0, 0, 2, 2, 0], float)
ALL = np.ones(14, bool)


def alarms(*steps):
    alarm = np.zeros(14, bool)
    alarm[list(steps)] = True
    return alarm


def count(alarm, label=LABEL, judged=ALL, blamed=None):
    return count_events(label, alarm, judged, 10.0, blamed)


def test_by_hand():
    """Kind 2 is seen after two steps and at once, kind 1 is missed; steps 6 and 9 begin alarms for nothing."""
    figures = event_figures(count(alarms(4, 5, 6, 9, 11)), ("leak", "puncture"))
    assert figures["number"] == 3 and figures["recall"] == pytest.approx(2 / 3)
    assert figures["median_delay"] == 20.0, "of 0, 20 and never"
    assert (figures["false_alarms"], figures["hours"]) == (1, round(7 * 10 / 3600, 3)), "step 6 goes on from the event"
    assert figures["false_alarms_per_100_hours"] == pytest.approx(100 / (70 / 3600))
    assert figures["kinds"]["puncture"] == {"number": 2, "recall": 1.0, "median_delay": 20.0}
    assert figures["kinds"]["leak"] == {"number": 1, "recall": 0.0}


def test_an_alarm_that_never_ends_detects_nothing_and_one_that_outlasts_its_event_is_not_false():
    everything = event_figures(count(ALL))
    assert (everything["recall"], everything["false_alarms"]) == (0.0, 1)
    outlasting = event_figures(count(alarms(3, 4, 5, 6)))
    assert outlasting["false_alarms"] == 0


def test_only_what_begins_in_a_judged_row_counts():
    judged = np.arange(14) >= 6
    figures = event_figures(count(alarms(1, 3, 9), judged=judged))
    assert (figures["number"], figures["false_alarms"], figures["hours"]) == (2, 1, round(4 * 10 / 3600, 3))


def test_an_unknown_label_is_that_of_the_row_before():
    label = LABEL.copy()
    label[[0, 3, 12]] = np.nan
    assert count(alarms(4, 11), label) == count(alarms(4, 11))


def test_streams_add_up_and_the_channel_blamed_is_that_of_the_first_alarm():
    names = np.array(["a", "b"] * 7)
    both = count(alarms(3, 12), blamed=names) + count(alarms(2, 7), blamed=names)
    figures = event_figures(both)
    assert (figures["number"], figures["blamed"]) == (6, {"a": 2, "b": 2})
    assert figures["kinds"]["label 2"]["blamed"] == {"b": 1, "a": 2}


def test_without_events_or_without_normal_rows():
    none = event_figures(count(alarms(3), label=np.zeros(14)))
    assert "recall" not in none and none["false_alarms"] == 1
    assert "false_alarms_per_100_hours" not in event_figures(count(alarms(), label=np.ones(14)))
