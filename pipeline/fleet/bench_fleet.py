"""How fast the fleet is simulated, in processor time of one core."""

import statistics
import time

import numpy as np

from pipeline.fleet.fleet_settings import FleetSettings
from pipeline.fleet.sensors import CHANNELS
from pipeline.fleet.simulate_fleet import AT_ONCE, simulate_fleet

ROUNDS = 5


def bench_fleet(vehicles: int = AT_ONCE, hours: float = 1.0) -> dict[str, object]:
    """An entry as those of bench.json, in microseconds of processor time per row: at most 1 is a million rows a second.

    The rival does none of the physics: numpy draws one normal number for each reading, the floor of any simulator with
    noise. Both run in turns, so that what else the machine does meets both.
    """
    settings = FleetSettings(vehicles=vehicles, hours=hours, seed=1, healthy_hours=0.2, fault_hours=0.2)
    _simulate(FleetSettings(vehicles=2, hours=0.1))  # what numpy and pyarrow import when first used
    ours, rival, ratios = [], [], []
    for _ in range(ROUNDS):
        ours.append(_microseconds_per_row(_simulate, settings))
        rival.append(_microseconds_per_row(_draw_noise, settings))
        ratios.append(ours[-1] / rival[-1])
    return {
        "name": "simulate-fleet",
        "unit": "us/row",
        "ours": statistics.median(ours),
        "rival": statistics.median(rival),
        "rival_name": "numpy, a normal number per reading",
        "ratio": {"min": min(ratios), "median": statistics.median(ratios), "max": max(ratios)},
    }


def _microseconds_per_row(run, settings: FleetSettings) -> float:
    began = time.process_time()
    run(settings)
    return (time.process_time() - began) * 1e6 / (settings.vehicles * settings.seconds)


def _simulate(settings: FleetSettings) -> None:
    for block in settings.blocks(AT_ONCE):
        for _ in simulate_fleet(settings, block):
            pass


def _draw_noise(settings: FleetSettings) -> None:
    source = np.random.default_rng(0)
    for _ in range(settings.vehicles):
        source.standard_normal((len(CHANNELS), settings.seconds), np.float32)
