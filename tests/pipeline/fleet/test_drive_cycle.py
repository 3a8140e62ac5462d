"""Delivery rounds and weather: within their ranges, and a longer one begins the same."""

import numpy as np
import pytest

from pipeline.fleet.drive_cycle import BREAK, DRIVING, draw_drive_cycle
from pipeline.fleet.weather import Weather, draw_weather


def test_a_round_has_motorways_towns_and_stops():
    speed, slope, payload, door, stopped = draw_drive_cycle(1, 0, 40_000).at(np.arange(40_000))
    assert speed.min() == 0 and 78 / 3.6 < speed.max() <= 88 / 3.6
    assert abs(slope).max() < 0.03 and slope[speed == 0].max() == 0
    assert 0 < payload.min() and payload.max() <= 1 and len(np.unique(payload)) > 5
    assert 0.02 < door.mean() < 0.4 and (speed[door] == 0).all()


def test_the_driver_rests_after_four_and_a_half_hours():
    cycle = draw_drive_cycle(1, 0, 60_000)
    stopped = cycle.at(np.arange(60_000))[-1]
    edges = np.flatnonzero(np.diff(stopped.astype(int), prepend=0))
    begins, ends = edges[::2], edges[1::2]
    assert len(begins) == 3 and (ends - begins == BREAK).all()
    assert (abs(np.diff([-BREAK, *begins]) - DRIVING - BREAK) < 600).all() and (np.diff(cycle.ends) > 0).all()


def test_a_longer_round_begins_the_same():
    short, long = (draw_drive_cycle(5, 3, seconds) for seconds in (5_000, 50_000))
    for ours, theirs in zip(short.at(np.arange(5_000)), long.at(np.arange(5_000)), strict=True):
        assert (ours == theirs).all()
    assert (draw_weather(5, 3, 5_000).deviation == draw_weather(5, 3, 50_000).deviation[:3]).all()


def test_weather_of_a_plain_day():
    """Without deviations: warmest at 15 o'clock, dark at night, the sun highest at 13."""
    weather = Weather(15.0, 5.0, np.zeros(26), np.ones(26))
    air, sun = weather.at(np.arange(86_400), begin=0.0)
    assert (air.argmax(), air.max()) == (15 * 3600, pytest.approx(20)) and air.min() == pytest.approx(10)
    assert sun.argmax() == 13 * 3600 and sun.max() == pytest.approx(850)
    assert (sun[: 5 * 3600] == 0).all() and (sun[21 * 3600 :] == 0).all()
