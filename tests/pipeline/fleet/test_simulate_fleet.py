"""The whole fleet: the same trucks whatever is simulated beside them, and plausible ones."""

import numpy as np
import pytest
from fleet_rows import columns, tables

from pipeline.fleet.fleet_settings import FleetSettings
from pipeline.fleet.simulate_fleet import SPAN

SETTINGS = FleetSettings(vehicles=40, hours=1.4, seed=9, healthy_hours=0.1, fault_hours=0.3)

# What a sound truck may say on any day: lowest and highest of nearly all readings (0.1 % on either side left out).
PLAUSIBLE = {
    "speed": (0, 90),
    "engine_speed": (0, 1700),
    "engine_load": (0, 104),
    "fuel_rate": (0, 50),
    "coolant": (0, 100),
    "fan": (0, 2450),
    "intake_depression": (0, 5),
    "battery_voltage": (21, 29.6),
    "battery_current": (-200, 60),
    "tyre_front_left": (700, 1000),
    "tyre_rear_right": (700, 1000),
    "cargo": (1, 20),
    "compressor": (0, 3),
    "door": (0, 1),
    "ambient": (-5, 40),
}


@pytest.fixture(scope="module")
def fleet():
    return tables(SETTINGS, range(40))


@pytest.mark.parametrize("vehicles", [range(17, 18), range(10, 33), range(39, 40)], ids=str)
def test_a_truck_is_the_same_alone_and_in_company(fleet, vehicles):
    found = tables(SETTINGS, vehicles)
    assert list(found) == list(vehicles)
    for vehicle, table in found.items():
        assert table.equals(fleet[vehicle])


def test_trucks_differ_from_each_other_and_from_seed_to_seed(fleet):
    assert not fleet[0]["speed"].equals(fleet[9]["speed"])
    other = tables(FleetSettings(vehicles=1, hours=1.4, seed=10), range(1))[0]
    assert not other["speed"].equals(fleet[0]["speed"])


@pytest.mark.parametrize("hours", [0.3, 1.0, 2.1])
def test_a_longer_simulation_begins_the_same(fleet, hours):
    settings = FleetSettings(vehicles=2, hours=hours, seed=9, healthy_hours=0.1, fault_hours=0.3)
    for vehicle, table in tables(settings, range(2)).items():
        common = min(len(table), len(fleet[vehicle]))
        assert table.slice(0, common).equals(fleet[vehicle].slice(0, common))
        assert len(table) == round(hours * 3600)


def test_a_row_a_second(fleet):
    for table in fleet.values():
        times = table["time"].to_numpy().astype(np.int64)
        assert (np.diff(times) == 1000).all() and len(table) == 5040 and 5040 % SPAN


def test_a_sound_fleet_is_plausible():
    settings = FleetSettings(vehicles=30, hours=6.0, seed=2, healthy_hours=100.0)
    fleet = [columns(table) for table in tables(settings, range(30)).values()]
    for channel, (low, high) in PLAUSIBLE.items():
        values = np.concatenate([one[channel] for one in fleet])
        lowest, highest = np.nanquantile(values, [0.001, 0.999])
        assert low <= lowest < highest <= high, channel
    for one in fleet:
        warm = (one["engine_speed"] > 600) & (np.arange(len(one["coolant"])) > 3600)
        assert 60 < np.nanmin(one["coolant"][warm]) and np.nanmax(one["coolant"]) < 105
        distance, fuel = np.nansum(one["speed"]) / 3600, np.nansum(one["fuel_rate"]) / 3600
        assert 15 < fuel / distance * 100 < 40  # l/100 km
        assert np.nanmean(one["battery_voltage"][one["engine_speed"] > 600]) > 27.5
        assert np.nanmean(one["battery_voltage"][one["engine_speed"] < 100]) < 26
        assert np.nanmean(one["cargo"][one["door"] == 1]) > np.nanmean(one["cargo"][one["door"] == 0])
        assert 0.1 < np.nanmean(one["speed"] < 1) < 0.6


def test_warm_tyres_have_more_pressure(fleet):
    for table in fleet.values():
        one = columns(table)
        if one["fault"].max() == 0:
            assert np.nanmean(one["tyre_front_left"][3000:3600]) > np.nanmean(one["tyre_front_left"][:60]) + 10
