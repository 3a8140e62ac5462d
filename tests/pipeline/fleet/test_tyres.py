"""Tyres: equilibrium and pressure by hand."""

import numpy as np
import pytest

from pipeline.fleet.tyres import axle_loads, gauge_pressure, warm

ONE = np.ones(1)


def test_axle_loads_carry_the_whole_truck():
    front, rear = axle_loads(6500 * ONE, 4000 * ONE)
    assert 2 * (front + rear) == pytest.approx(9.81 * 10_500)
    assert front == pytest.approx(9.81 / 2 * (3250 + 1000))


@pytest.mark.parametrize("twin", [1.0, 2.0])
def test_rolling_heats_until_the_wind_takes_as_much(twin):
    tyre = 20 * ONE
    for _ in range(20_000):
        tyre = warm(tyre, 20_000 * ONE, 0.008, 20 * ONE, 20 * ONE, twin)
    assert tyre == pytest.approx(20 + 0.008 * 20_000 * 20 / (twin * (10 + 4 * 20)), abs=0.01)


def test_standing_it_cools_to_the_air():
    tyre = 60 * ONE
    for _ in range(200_000):
        tyre = warm(tyre, 20_000 * ONE, 0.008, 0 * ONE, 15 * ONE, 1.0)
    assert tyre == pytest.approx(15, abs=0.01)


def test_pressure_of_a_warm_and_of_a_leaking_tyre():
    """About 1 % per 3 K; half of the gas is half of the absolute pressure; never below the atmosphere."""
    assert gauge_pressure(800 * ONE, 20 * ONE, ONE) == pytest.approx(800)
    assert gauge_pressure(800 * ONE, 50 * ONE, ONE) == pytest.approx(901.3 * 323.15 / 293.15 - 101.3)
    assert gauge_pressure(800 * ONE, 20 * ONE, 0.5 * ONE) == pytest.approx(901.3 / 2 - 101.3)
    assert gauge_pressure(800 * ONE, 20 * ONE, 0 * ONE) == 0.0
