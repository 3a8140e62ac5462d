"""Traction and engine, against hand calculations of a truck of 10 t."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.fleet import engine

TRUCK = SimpleNamespace(rolling=np.array([0.008]), drag_area=np.array([5.5]), power=np.array([160e3]))
MASS = np.array([10_000.0])


def go(speed, wish, slope=0.0, power=160e3, seconds=1):
    """(speed, traction) after so many seconds."""
    speed, traction = np.array([float(speed)]), None
    for _ in range(seconds):
        speed, traction = engine.drive(TRUCK, speed, np.array([float(wish)]), slope, MASS, np.array([power]))
    return float(speed[0]), float(traction[0])


def test_power_at_constant_speed_is_resistance_times_speed():
    resistance = 10_000 * 9.81 * 0.008 + 0.5 * 1.2 * 5.5 * 20**2  # 785 N rolling + 1320 N of air
    speed, traction = go(20, 20)
    assert speed == pytest.approx(20) and traction == pytest.approx(resistance * 20 / 0.92)


def test_a_hill_takes_more_power_and_a_descent_brakes():
    assert go(20, 20, slope=0.02)[1] == pytest.approx(go(20, 20)[1] + 10_000 * 9.81 * 0.02 * 20 / 0.92)
    assert go(20, 20, slope=-0.05)[1] < 0


def test_power_limits_the_speed_on_a_steep_hill():
    """Steady state on 6 %: the speed at which resistance times speed is all the engine has."""
    speed, traction = go(20, 24, slope=0.06, seconds=600)
    resistance = 10_000 * 9.81 * 0.068 + 0.5 * 1.2 * 5.5 * speed**2
    assert speed < 24 and traction == pytest.approx(160e3, rel=1e-3)
    assert resistance * speed == pytest.approx(0.92 * 160e3, rel=1e-3)


def test_braking_and_accelerating_stay_comfortable_and_end_at_the_wish():
    assert go(20, 0)[0] == pytest.approx(20 + engine.SOFTEST)
    assert go(0, 20)[0] <= engine.HARDEST
    assert go(20, 0, seconds=60)[0] == 0.0 and go(0, 15, seconds=90)[0] == pytest.approx(15, abs=0.01)


def test_without_power_there_is_no_acceleration():
    assert go(0, 20, power=0.0, seconds=10)[0] == 0.0


def test_gears_keep_the_engine_in_its_range():
    speeds = np.arange(3.0, 25.0, 0.1)
    rpm = engine.engine_speed(speeds, np.ones_like(speeds))
    assert rpm.min() >= 700 and rpm.max() < 1700
    assert engine.engine_speed(np.array([0.0, 20.0]), np.array([1.0, 0.0])).tolist() == [700.0, 0.0]


def test_idle_takes_one_and_a_half_litres_an_hour():
    litres = engine.fuel_power(np.zeros(1), np.array([700.0])) / engine.DIESEL * 3600
    assert litres == pytest.approx(160e3 * 6.7e-3 / 120 * 700 / 0.42 / 35.9e6 * 3600) == pytest.approx(1.49, abs=0.01)


def test_fuel_is_cut_when_the_wheels_drive_the_engine_and_off_when_it_is_off():
    assert engine.fuel_power(np.array([-50e3, 1e3]), np.array([1200.0, 0.0])).tolist() == [0.0, 0.0]


def test_fuel_of_a_motorway_hour_is_that_of_a_truck():
    """85 km/h, 10 t: some 20 to 30 l/100 km."""
    _, traction = go(23.6, 23.6)
    litres = engine.fuel_power(np.array([traction]), np.array([1510.0]))[0] / engine.DIESEL * 3600
    assert 20 < litres / 85 * 100 < 30


def test_the_filter_drops_with_the_square_of_the_air():
    drop = engine.intake_depression(np.array([700.0, 1400.0]), np.zeros(2), np.ones(2))
    assert drop[1] == pytest.approx(4 * drop[0])
    assert engine.intake_depression(np.array([1400.0]), np.zeros(1), np.array([3.0]))[0] == pytest.approx(3 * drop[1])
