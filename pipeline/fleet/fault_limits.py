"""How soon the faults of a simulated fleet could be noticed at all: by one who knows what the sound truck would say.

Every truck is simulated twice, with its faults and without, all else equal. The difference in standard deviations of
the sensors' noise is the evidence; an optimal detector of false alarms every n steps waits until its likelihood ratio,
sum of squares over two, reaches log(n) (Lorden, Procedures for Reacting to a Change in Distribution, Annals of
Mathematical Statistics 1971). No detector that must learn what is healthy can be sooner.
"""

import math
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.fleet.faults import KINDS, draw_faults
from pipeline.fleet.fleet_settings import HOUR, FleetSettings
from pipeline.fleet.sensors import CHANNELS
from pipeline.fleet.simulate_fleet import AT_ONCE, simulate_fleet

# What rounding adds to the noise, and for a door, which has none, the smallest step it can take.
NOISE = np.array([math.hypot(channel.noise, channel.resolution / math.sqrt(12)) for channel in CHANNELS])


def fault_limits(settings: FleetSettings, hours_between_false_alarms: float = 100.0) -> dict[str, dict[str, float]]:
    """By kind of fault: number of trucks it came to first, median and longest delay in seconds.

    The first fault of each truck only: after a repair a truck is not what it would have been. A delay that is longer
    than the fault is infinite.
    """
    wanted = math.log(hours_between_false_alarms * HOUR)
    sound = replace(settings, healthy_hours=settings.hours + 1.0)
    delays: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for block in settings.blocks(AT_ONCE):
        broken, whole = _readings(settings, block), _readings(sound, block)
        for vehicle in block:
            fault = next(draw_faults(settings, vehicle), None)
            if fault is not None:
                part = slice(fault.begin, fault.end)
                difference = np.nan_to_num(broken[vehicle][part] - whole[vehicle][part]) / NOISE
                delays[fault.kind].append(_reached(np.square(difference).sum(axis=1).cumsum() / 2, wanted))
    return {kind: _figures(found) for kind, found in delays.items() if found}


def print_limits(limits: dict[str, dict[str, float]], title: str) -> None:
    """The figures as a table on stdout."""
    columns = "kind of fault", "trucks", "median, s", "longest, s"
    table = Table(*columns, title=f"{title}: delay of perfect knowledge")
    for kind, figures in limits.items():
        table.add_row(kind, *(f"{figures[key]:g}" for key in ("number", "median", "longest")))
    Console().print(table)


def _readings(settings: FleetSettings, block: range) -> dict[int, np.ndarray]:
    """(seconds, channels) of each vehicle."""
    names, hours = [channel.name for channel in CHANNELS], {vehicle: [] for vehicle in block}
    for vehicle, rows in simulate_fleet(settings, block):
        hours[vehicle].append(np.stack([rows[name].to_numpy(zero_copy_only=False) for name in names], axis=1))
    return {vehicle: np.concatenate(parts) for vehicle, parts in hours.items()}


def _reached(evidence: np.ndarray, wanted: float) -> float:
    steps = np.flatnonzero(evidence >= wanted)
    return float(steps[0]) if len(steps) else math.inf


def _figures(delays: list[float]) -> dict[str, float]:
    delays = sorted(delays)
    return {"number": len(delays), "median": delays[len(delays) // 2], "longest": delays[-1]}
