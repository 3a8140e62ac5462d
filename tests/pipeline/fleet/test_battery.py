"""The 24 V net, against hand calculations."""

import numpy as np
import pytest

from pipeline.fleet.battery import alternator_power, charge


def net(soc=0.9, drawn=50.0, rpm=1600.0, air=25.0, health=1.0):
    """(state of charge, volts, amperes into the battery, amperes of the alternator) after one second."""
    given = (soc, drawn, rpm, air, 170.0, 28.2, health)
    return [float(value[0]) for value in charge(*(np.array([one]) for one in given))]


def test_a_healthy_net_is_at_the_regulated_voltage():
    """Open circuit 23.6 + 2 * .9 = 25.4 V; the battery takes (28.2 - 25.4) / (.02 / .13)."""
    soc, volts, current, given = net()
    assert volts == pytest.approx(28.2) and current == pytest.approx(2.8 * 0.13 / 0.02)
    assert given == pytest.approx(current + 50) and soc == pytest.approx(0.9 + current / 170 / 3600)


def test_a_full_battery_takes_little_and_a_cold_one_is_charged_higher():
    assert net(soc=1.0)[2] < net(soc=0.9)[2] < net(soc=0.6)[2]
    assert net(air=-5.0)[1] == pytest.approx(28.2 + 30 * 0.036)


def test_the_battery_gives_what_the_alternator_cannot():
    """At idle (700 rpm) 90 + 110 * 700 / 1600 A."""
    soc, volts, current, given = net(drawn=200.0, rpm=700.0)
    assert given == pytest.approx(90 + 110 * 700 / 1600) and current == pytest.approx(given - 200)
    assert volts == pytest.approx(25.4 + 0.015 * current) and soc < 0.9


@pytest.mark.parametrize("without", [{"rpm": 0.0}, {"health": 0.0}])
def test_without_an_alternator_it_discharges(without):
    soc, volts, current, given = net(**without)
    assert (current, given) == (-50.0, 0.0) and volts == pytest.approx(25.4 - 0.75)
    assert soc == pytest.approx(0.9 - 50 / 170 / 3600)


def test_the_alternator_takes_more_from_the_engine_than_it_gives():
    assert alternator_power(np.array([28.0]), np.array([100.0]))[0] == pytest.approx(2800 / 0.6)
