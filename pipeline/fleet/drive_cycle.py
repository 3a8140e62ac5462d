"""What the driver wants: legs of a delivery round, each with a speed, a slope, a load, doors open or shut."""

from dataclasses import dataclass

import numpy as np

from pipeline.fleet.fleet_settings import random_source

DRAWN_AT_ONCE = 64  # legs


@dataclass(frozen=True)
class LegKind:
    """`share` of legs; `lasts` (s) and `speed` (km/h) from .. to.

    At a delivery the doors are open; the engine idles on, for the compressor needs it.
    """

    share: float
    lasts: tuple[float, float]
    speed: tuple[float, float]
    delivery: bool = False


# Means as in the WHVC (Worldwide Harmonized Vehicle Cycle, UN GTR 4): urban, rural, motorway, stops between.
LEGS = (
    LegKind(0.06, (180, 480), (0, 0), delivery=True),
    LegKind(0.24, (8, 50), (0, 0)),
    LegKind(0.34, (20, 100), (22, 50)),
    LegKind(0.24, (60, 240), (55, 75)),
    LegKind(0.12, (180, 600), (78, 88)),
)
SLOPE = 0.015  # standard deviation of rise over run
# After so many seconds on the road the engine is off for so many: Regulation (EC) 561/2006, article 7.
DRIVING, BREAK = 16200, 2700


@dataclass(frozen=True)
class DriveCycle:
    """Legs of one truck: `ends` in seconds, then of each leg speed (m/s), slope (rise over run), payload (share of a
    full load), and whether the doors are open and whether the engine is off."""

    ends: np.ndarray
    speed: np.ndarray
    slope: np.ndarray
    payload: np.ndarray
    door: np.ndarray
    stopped: np.ndarray

    def at(self, seconds: np.ndarray) -> tuple[np.ndarray, ...]:
        """(speed, slope, payload, door, stopped), each (seconds,)."""
        leg = np.searchsorted(self.ends, seconds, side="right")
        return tuple(values[leg] for values in (self.speed, self.slope, self.payload, self.door, self.stopped))


def draw_drive_cycle(seed: int, vehicle: int, seconds: int) -> DriveCycle:
    """The round of one truck for so long; a longer one begins the same.

    Each delivery takes a tenth to a third of a full load off; an empty truck is full again.
    """
    source = random_source(seed, vehicle, "drive")
    drawn, ends = [], np.zeros(1)
    while ends[-1] <= seconds:
        drawn.append(source.random((DRAWN_AT_ONCE, 5)))
        which, lasts, speed, slope, load = np.concatenate(drawn).T
        kind = np.searchsorted(np.cumsum([leg.share for leg in LEGS])[:-1], which, side="right")
        ends = np.cumsum(np.rint(_between([leg.lasts for leg in LEGS], kind, lasts)))
    delivery = np.array([leg.delivery for leg in LEGS])[kind]
    wanted = _between([leg.speed for leg in LEGS], kind, speed) / 3.6
    taken = np.cumsum(delivery * (0.1 + 0.23 * load))
    slope = np.where(wanted > 0, SLOPE * np.sqrt(3) * (2 * slope - 1), 0.0)
    return _with_breaks(DriveCycle(ends, wanted, slope, 1 - taken % 1.0, delivery, np.zeros(len(ends), bool)))


def _with_breaks(cycle: DriveCycle) -> DriveCycle:
    """The same round with a break before each leg in which another four and a half hours of driving would be full."""
    due = np.diff(cycle.ends // DRIVING, prepend=0)
    before = np.flatnonzero(due)
    ends = np.insert(cycle.ends + BREAK * np.cumsum(due), before, 0)
    ends[before + np.arange(len(before))] = ends[before + np.arange(len(before)) - 1] + BREAK
    return DriveCycle(
        ends,
        np.insert(cycle.speed, before, 0.0),
        np.insert(cycle.slope, before, 0.0),
        np.insert(cycle.payload, before, cycle.payload[before]),
        np.insert(cycle.door, before, False),
        np.insert(cycle.stopped, before, True),
    )


def _between(ranges: list[tuple[float, float]], kind: np.ndarray, share: np.ndarray) -> np.ndarray:
    low, high = np.array(ranges, float).T
    return low[kind] + (high - low)[kind] * share
