"""Delivery rounds and weather: within their ranges, and a longer one begins the same."""

import numpy as np
import pytest

from pipeline.fleet.drive_cycle import BREAK, DRIVING, DriveCycle
from pipeline.fleet.weather import Weather, draw_weather


def test_a_round_has_motorways_towns_and_stops():
    speed, slope, payload, door, stopped = DriveCycle(1, 0).at(np.arange(40_000))
    assert set(np.unique([door, stopped])) == {0.0, 1.0}
    assert speed.min() == 0 and 78 / 3.6 < speed.max() <= 88 / 3.6
    assert abs(slope).max() < 0.03 and slope[speed == 0].max() == 0
    assert 0 < payload.min() and payload.max() <= 1 and len(np.unique(payload)) > 5
    assert 0.02 < door.mean() < 0.4 and (speed[door > 0] == 0).all()


def test_the_driver_rests_after_four_and_a_half_hours():
    stopped = DriveCycle(1, 0).at(np.arange(60_000))[-1]
    edges = np.flatnonzero(np.diff(stopped, prepend=0))
    begins, ends = edges[::2], edges[1::2]
    assert len(begins) == 3 and (ends - begins == BREAK).all()
    assert (abs(np.diff([-BREAK, *begins]) - DRIVING - BREAK) < 600).all()


def test_a_round_asked_for_in_pieces_is_the_same():
    whole, pieces = DriveCycle(5, 3).at(np.arange(50_000)), DriveCycle(5, 3)
    for begin, end in zip([0, 1, 5_000, 5_001, 40_000], [1, 5_000, 5_001, 40_000, 50_000], strict=True):
        assert np.array_equal(pieces.at(np.arange(begin, end)), whole[:, begin:end])


def test_longer_weather_begins_the_same():
    assert (draw_weather(5, 3, 5_000).deviation == draw_weather(5, 3, 50_000).deviation[:3]).all()


def test_weather_of_a_plain_day():
    """Without deviations: warmest at 15 o'clock, dark at night, the sun highest at 13."""
    weather = Weather(15.0, 5.0, np.zeros(26), np.ones(26))
    air, sun = weather.at(np.arange(86_400), begin=0.0)
    assert (air.argmax(), air.max()) == (15 * 3600, pytest.approx(20)) and air.min() == pytest.approx(10)
    assert sun.argmax() == 13 * 3600 and sun.max() == pytest.approx(850)
    assert (sun[: 5 * 3600] == 0).all() and (sun[21 * 3600 :] == 0).all()
