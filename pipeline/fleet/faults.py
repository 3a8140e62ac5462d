"""What breaks: when, how fast, on which truck, and what it does to the health of a part or to a reading."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.fleet.fleet_settings import HOUR, FleetSettings, departure, random_source, vehicle_name
from pipeline.fleet.tyres import POSITIONS

SHORTEST, LONGEST = 1200, 2400  # s from onset to repair
# Healths (1 = sound) that a fault moves to (`left`, linearly within `fades` seconds), and the channel a driver is told.
#
# Leaks of refrigerant: capacity falls faster than power (Kim and Kim, Evaluation of Performance at Refrigerant
# Charge Levels, Int. J. Refrigeration 2010). A clogged filter: the pressure drop at equal flow multiplies.


@dataclass(frozen=True)
class HealthFault:
    """`left`: health by name, at the end of `fades` seconds."""

    channel: str
    left: dict[str, float]
    fades: int


HEALTH_FAULTS = {
    "coolant_leak": HealthFault("coolant", {"level": 0.08}, 300),
    "fan_failure": HealthFault("fan", {"fan": 0.05}, 30),
    "clogged_filter": HealthFault("intake_depression", {"clogging": 3.0}, 300),
    "compressor_failure": HealthFault("compressor", {"cooling": 0.0, "compressor": 0.0}, 1),
    "refrigerant_leak": HealthFault("cargo", {"cooling": 0.15, "compressor": 0.6}, 240),
    "alternator_failure": HealthFault("battery_voltage", {"alternator": 0.0}, 1),
}
GAS = tuple(f"gas_{position}" for position in POSITIONS)
HEALTHS = ("level", "fan", "clogging", "cooling", "compressor", "alternator", *GAS)
PUNCTURE = (900.0, 2400.0)  # s: time constant
# Channels whose sensor may drift, and how fast (unit per minute, up to ten minutes long); channels whose sensor may
# stick: those that never rest for long, for nobody can tell a stuck sensor of what does not move.
DRIFTS = {"coolant": 4.0, "cargo": 1.0, "battery_voltage": 0.4, "intake_depression": 0.6, "tyre_front_left": 25.0}
DRIFTING = 600.0  # s
STICKS = ("coolant", "cargo", "intake_depression", "fuel_rate")
KINDS = (*HEALTH_FAULTS, "slow_puncture", "stuck_sensor", "drifting_sensor")
CODES = {kind: code for code, kind in enumerate(KINDS, start=1)}  # 0 is healthy


@dataclass(frozen=True)
class Fault:
    """One fault: seconds `begin` to `end` (exclusive; then all is repaired). `rate`: of what grows, per second."""

    kind: str
    channel: str
    begin: int
    end: int
    rate: float = 0.0

    def seconds_in(self, first: int, number: int) -> slice:
        """The part of it within `number` seconds from `first` on, counted from there."""
        return slice(min(max(self.begin - first, 0), number), min(max(self.end - first, 0), number))


def draw_faults(settings: FleetSettings, vehicle: int) -> Iterator[Fault]:
    """The faults of one truck in order, one at a time; longer simulations begin the same.

    Kinds take turns, beginning with another one on each truck: every kind comes up about equally often.
    """
    source = random_source(settings.seed, vehicle, "faults")
    number, after = 0, round(settings.healthy_hours * HOUR)
    while True:
        gap, lasts, which, rate = source.random(4)
        begin = after + round((0.5 + gap) * settings.fault_hours * HOUR)
        if begin >= settings.seconds:
            return
        end = begin + round(SHORTEST + (LONGEST - SHORTEST) * lasts)
        yield _fault(KINDS[(vehicle + number) % len(KINDS)], begin, min(end, settings.seconds), which, rate)
        number, after = number + 1, end


def _fault(kind: str, begin: int, end: int, which: float, rate: float) -> Fault:
    if kind == "slow_puncture":
        constant = PUNCTURE[0] + (PUNCTURE[1] - PUNCTURE[0]) * rate
        return Fault(kind, f"tyre_{POSITIONS[int(which * len(POSITIONS))]}", begin, end, 1 / constant)
    if kind in HEALTH_FAULTS:
        return Fault(kind, HEALTH_FAULTS[kind].channel, begin, end)
    if kind == "stuck_sensor":
        return Fault(kind, STICKS[int(which * len(STICKS))], begin, end)
    channel = list(DRIFTS)[int(which * len(DRIFTS))]
    return Fault(kind, channel, begin, end, (1.0 if rate < 0.5 else -1.0) * DRIFTS[channel] / 60)


def apply_to_health(fault: Fault, health: dict[str, np.ndarray], first: int) -> None:
    """Writes what the fault does into healths (seconds,) that begin at second `first`.

    The gas of a punctured tyre leaves in proportion to what is there: the flow through a hole is choked, and grows with
    the pressure before it (Shapiro, Compressible Fluid Flow, 1953, equation 4.17).
    """
    part = fault.seconds_in(first, len(next(iter(health.values()))))
    since = np.arange(part.start, part.stop) + (first - fault.begin)
    if fault.kind == "slow_puncture":
        health[fault.channel.replace("tyre", "gas")][part] = np.exp(-fault.rate * since)
    elif fault.kind in HEALTH_FAULTS:
        breaks = HEALTH_FAULTS[fault.kind]
        for name, left in breaks.left.items():
            health[name][part] = 1 + (left - 1) * np.minimum((since + 1) / breaks.fades, 1.0)


def sensor_error(fault: Fault, seconds: np.ndarray) -> np.ndarray:
    """What a drifting sensor adds, in the channel's unit, at these seconds of the fault."""
    return fault.rate * np.minimum(seconds - fault.begin, DRIFTING)


def label_rows(settings: FleetSettings, vehicle: int) -> list[dict]:
    """The rows of the labels file: one per fault."""
    begin = departure(settings, vehicle)
    return [
        {
            "vehicle": vehicle_name(vehicle),
            "fault": fault.kind,
            "code": CODES[fault.kind],
            "channel": fault.channel,
            "begin": (begin + fault.begin) * 1000,
            "end": (begin + fault.end) * 1000,
        }
        for fault in draw_faults(settings, vehicle)
    ]
