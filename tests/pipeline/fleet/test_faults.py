"""Faults: a sound and a broken life of the same truck, in the same weather, with the same noise."""

import numpy as np
import pyarrow as pa
import pytest
from fleet_rows import columns, tables

from pipeline.fleet import simulate_fleet as simulation
from pipeline.fleet.faults import CODES, DRIFTS, KINDS, PUNCTURE, Fault, draw_faults
from pipeline.fleet.fleet_settings import FleetSettings

SETTINGS = FleetSettings(vehicles=1, hours=2.4, seed=3)
ROWS = 8640
BEGIN, END = 5400, 7500  # across the end of an hour


def two_lives(monkeypatch, kind, channel, rate=0.0):
    """(sound, broken) readings by channel; the fault lasts from BEGIN to END."""
    lives = []
    for faults in ((), (Fault(kind, channel, BEGIN, END, rate),)):
        monkeypatch.setattr(simulation, "draw_faults", lambda settings, vehicle, faults=faults: faults)
        lives.append(columns(tables(SETTINGS, range(1))[0]))
    return lives


def mean_change(sound, broken, channel, part=slice(BEGIN + 600, END)):
    return np.nanmean((broken[channel] - sound[channel])[part])


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("coolant_leak", {"coolant": +3.0, "fan": +300.0}),
        ("fan_failure", {"fan": -500.0}),
        ("clogged_filter", {"intake_depression": +0.5}),
        ("compressor_failure", {"cargo": +1.0, "compressor": -0.2}),
        ("refrigerant_leak", {"cargo": +0.5, "compressor": +0.1}),
        ("alternator_failure", {"battery_voltage": -2.5, "battery_current": -20.0}),
    ],
)
def test_a_part_that_breaks_moves_its_channels(monkeypatch, kind, changes):
    sound, broken = two_lives(monkeypatch, kind, "")
    for channel, change in changes.items():
        found = mean_change(sound, broken, channel)
        assert found * np.sign(change) > abs(change), (channel, found)
    for channel in set(sound) - {"time", "vehicle", "fault"}:
        before = slice(0, BEGIN)
        assert np.array_equal(sound[channel][before], broken[channel][before], equal_nan=True), channel


def test_a_fan_failure_makes_the_coolant_hotter_where_the_fan_is_needed(monkeypatch):
    sound, broken = two_lives(monkeypatch, "fan_failure", "fan")
    needed = np.flatnonzero(sound["fan"][BEGIN + 60 : END] > 800) + BEGIN + 60
    assert len(needed) > 60 and np.nanmean((broken["coolant"] - sound["coolant"])[needed]) > 0.5


def test_a_puncture_leaves_the_other_tyres(monkeypatch):
    sound, broken = two_lives(monkeypatch, "slow_puncture", "tyre_rear_left", 1 / 2000)
    absolute = (broken["tyre_rear_left"] + 101.3) / (sound["tyre_rear_left"] + 101.3)
    assert absolute[BEGIN + 2000] == pytest.approx(np.exp(-1), abs=0.005)
    # From END on the fresh cargo takes less of the engine: even the speed may differ then.
    assert np.array_equal(sound["tyre_rear_right"][:END], broken["tyre_rear_right"][:END], equal_nan=True)


def test_a_stuck_sensor_says_one_thing_only(monkeypatch):
    sound, broken = two_lives(monkeypatch, "stuck_sensor", "coolant")
    said = broken["coolant"][BEGIN:END]
    assert len(np.unique(said[~np.isnan(said)])) == 1 and said[0] == sound["coolant"][BEGIN]
    assert np.nanstd(sound["coolant"][BEGIN:END]) > 0.5
    assert np.array_equal(sound["fan"][:END], broken["fan"][:END], equal_nan=True)  # only the reading is wrong


def test_a_drifting_sensor_drifts_for_ten_minutes(monkeypatch):
    sound, broken = two_lives(monkeypatch, "drifting_sensor", "cargo", 1 / 60)
    change = broken["cargo"] - sound["cargo"]
    assert change[BEGIN + 300] == pytest.approx(5.0, abs=0.06) and change[END - 1] == pytest.approx(10.0, abs=0.06)


def test_the_workshop_repairs(monkeypatch):
    sound, broken = two_lives(monkeypatch, "alternator_failure", "")
    assert broken["fault"].tolist() == [0] * BEGIN + [CODES["alternator_failure"]] * (END - BEGIN) + [0] * (ROWS - END)
    assert abs(mean_change(sound, broken, "battery_voltage", slice(END + 5, ROWS))) < 0.1


def test_the_schedule():
    settings = FleetSettings(vehicles=90, hours=50.0, seed=1, healthy_hours=2.0, fault_hours=1.0)
    for vehicle in range(90):
        faults = list(draw_faults(settings, vehicle))
        assert faults[0].kind == KINDS[vehicle % len(KINDS)] and faults[0].begin >= 2 * 3600
        assert all(one.end < two.begin for one, two in zip(faults, faults[1:], strict=False))
        assert all(1200 <= one.end - one.begin <= 2400 for one in faults[:-1])
        for fault in faults:
            if fault.kind == "slow_puncture":
                assert 1 / PUNCTURE[1] <= fault.rate <= 1 / PUNCTURE[0]
            if fault.kind == "drifting_sensor":
                assert abs(fault.rate) == DRIFTS[fault.channel] / 60
    kinds = [fault.kind for vehicle in range(90) for fault in draw_faults(settings, vehicle)]
    counts = [kinds.count(kind) for kind in KINDS]
    assert min(counts) > 0.9 * max(counts)


def test_healthy_hours_without_end_mean_no_fault():
    table = tables(FleetSettings(vehicles=2, hours=2.0, healthy_hours=100.0), range(2))
    assert pa.compute.max(pa.concat_tables(table.values())["fault"]).as_py() == 0
