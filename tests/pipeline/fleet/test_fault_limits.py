"""How soon faults could be noticed: checked where physics says it."""

from pipeline.fleet.fault_limits import fault_limits
from pipeline.fleet.faults import KINDS
from pipeline.fleet.fleet_settings import FleetSettings


def test_faults_that_come_at_once_are_seen_at_once_and_slow_ones_later():
    limits = fault_limits(FleetSettings(vehicles=9, hours=1.0, seed=3, healthy_hours=0.3, fault_hours=0.2))
    assert set(limits) == set(KINDS), "kinds take turns"
    assert limits["alternator_failure"]["median"] == 0, "150 A that are not there any more, with a noise of .6"
    assert 0 < limits["slow_puncture"]["median"] < 20, "a third to a whole kPa per second, with a noise of .8"
    assert limits["coolant_leak"]["median"] > 15, "a litre less is not seen before it is missed"


def test_no_faults_no_limits():
    assert fault_limits(FleetSettings(vehicles=2, hours=0.5, healthy_hours=2.0)) == {}
