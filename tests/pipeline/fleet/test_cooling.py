"""The coolant circuit: equilibria by hand, and what leaks and fans do to them."""

import numpy as np
import pytest

from pipeline.fleet.cooling import BOILS, cool, fan_power, fan_share

ONE = np.ones(1)


def settle(fuel, air=20.0, speed=20.0, fan=0.25, level=1.0, start=20.0, seconds=20_000):
    coolant = start * ONE
    for _ in range(seconds):
        coolant = cool(coolant, fuel * ONE, air * ONE, speed * ONE, fan * ONE, 2100.0 * ONE, level * ONE)
    return float(coolant[0])


def test_below_the_thermostat_only_the_block_loses_heat():
    """0.3 * 6 kW = 40 W/K * 45 K."""
    assert settle(6e3, seconds=100_000) == pytest.approx(20 + 0.3 * 6e3 / 40, abs=0.01)


def test_equilibrium_with_an_open_thermostat():
    """(radiator * open + block) * (T - air) = heat is a quadratic equation of T."""
    radiator = 2100 * (0.3 * 20 + 6 * 0.25) / (0.3 * 20 + 6 * 0.25 + 3.5) / 13
    # (radiator * (T - 82) + 40) * (T - 20) = 45 kW
    root = np.roots([radiator, 40 - radiator * 102, radiator * 82 * 20 - 40 * 20 - 45e3]).max()
    assert 82 < root < 95
    assert settle(150e3) == pytest.approx(root, abs=0.01)


def test_it_cools_when_it_is_hotter_and_warms_when_it_is_colder_than_its_equilibrium():
    goal = settle(150e3)
    assert settle(150e3, start=goal + 5, seconds=1) < goal + 5
    assert settle(150e3, start=goal - 5, seconds=1) > goal - 5


def test_an_engine_that_is_off_cools_to_the_air():
    assert settle(0.0, start=85.0, seconds=200_000) == pytest.approx(20.0, abs=0.01)


@pytest.mark.parametrize(
    "harder",
    [{"level": 0.3}, {"air": 35.0}, {"speed": 5.0}, {"fuel": 300e3}],
    ids=["leak", "hot day", "slow", "more load"],
)
def test_what_makes_it_hotter(harder):
    assert settle(**{"fuel": 150e3, **harder}) > settle(150e3) + 1


def test_the_fan_cools_and_the_cap_limits():
    assert settle(150e3, fan=1.0, speed=5.0) < settle(150e3, fan=0.25, speed=5.0) - 2
    assert settle(300e3, level=0.0) == BOILS


def test_the_fan_follows_the_coolant():
    share = fan_share(np.array([20.0, 88.0, 92.0, 96.0, 120.0]), np.ones(5), np.ones(5))
    assert share.tolist() == pytest.approx([0.25, 0.25, 0.625, 1.0, 1.0])
    assert fan_share(100 * ONE, 0 * ONE, ONE)[0] == 0.0 and fan_share(100 * ONE, ONE, 0 * ONE)[0] == 0.0
    assert fan_power(0.5 * ONE)[0] == pytest.approx(5000 / 8)
