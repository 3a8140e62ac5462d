"""Sensors: noise, resolution, dropouts, and hours that follow each other."""

import numpy as np
import pytest

from pipeline.fleet.sensors import CHANNELS, DROPOUT_SECONDS, DROPOUTS, PLACE, Sensors


def report(vehicle, hours=1, value=50.0):
    sensors = Sensors(1, vehicle)
    truth = np.full((len(CHANNELS), 3600), value, np.float32)
    return np.concatenate([sensors.report(truth.copy(), 3600 * hour) for hour in range(hours)], axis=1)


def test_noise_and_offset_are_as_said():
    readings = report(0)
    for channel, values in zip(CHANNELS, readings, strict=True):
        spread = np.hypot(channel.noise, channel.resolution / np.sqrt(12)) if channel.noise else 0.0
        assert np.nanstd(values) == pytest.approx(spread, rel=0.1), channel.name
        assert abs(np.nanmean(values) - 50) <= channel.offset + 0.05 * channel.noise + channel.resolution / 2
    means = [np.nanmean(report(vehicle)[PLACE["coolant"]]) for vehicle in range(20)]
    assert np.std(means) > 0.2  # each truck has sensors of its own


def test_readings_are_on_the_grid_of_the_resolution():
    for channel, values in zip(CHANNELS, report(0), strict=True):
        steps = values[~np.isnan(values)] / channel.resolution
        assert np.abs(steps - np.rint(steps)).max() < 1e-3, channel.name
    assert str(report(0)[PLACE["coolant"], 0]) in {f"{value / 10:.1f}" for value in range(480, 520)}


def test_nothing_reads_below_what_it_can():
    readings = report(0, value=0.0)
    assert np.nanmin(readings[PLACE["speed"]]) == 0.0 and np.nanmin(readings[PLACE["cargo"]]) < 0.0


def test_share_of_dropouts():
    lost = np.isnan(report(0, hours=100))
    assert lost.mean() == pytest.approx(DROPOUTS * DROPOUT_SECONDS / 3600, rel=0.2)
    assert lost.any(axis=1).all() and not lost.all(axis=0).any()


def test_an_hour_cut_short_begins_like_a_whole_one():
    truth = np.full((len(CHANNELS), 3600), 50.0, np.float32)
    whole, part = (Sensors(1, 7).report(truth[:, :length].copy(), 0) for length in (3600, 1000))
    assert np.array_equal(whole[:, :1000], part, equal_nan=True)
