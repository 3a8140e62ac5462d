"""What the driver wants: legs of a delivery round, each with a speed, a slope, a load and an engine that runs or not."""

from dataclasses import dataclass

import numpy as np

from pipeline.fleet.fleet_settings import random_source

DRAWN_AT_ONCE = 64  # legs


@dataclass(frozen=True)
class LegKind:
    """`share` of legs; `lasts` (s) and `speed` (km/h) from .. to; a delivery has the engine off and the doors open."""

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


@dataclass(frozen=True)
class DriveCycle:
    """Legs of one truck: `ends` in seconds, then of each leg speed (m/s), slope (rise over run), payload (share of a
    full load) and whether it is a delivery."""

    ends: np.ndarray
    speed: np.ndarray
    slope: np.ndarray
    payload: np.ndarray
    delivery: np.ndarray

    def at(self, seconds: np.ndarray) -> tuple[np.ndarray, ...]:
        """(speed, slope, payload, delivery), each (seconds,)."""
        leg = np.searchsorted(self.ends, seconds, side="right")
        return tuple(values[leg] for values in (self.speed, self.slope, self.payload, self.delivery))


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
    return DriveCycle(ends, wanted, slope, 1 - taken % 1.0, delivery)


def _between(ranges: list[tuple[float, float]], kind: np.ndarray, share: np.ndarray) -> np.ndarray:
    low, high = np.array(ranges, float).T
    return low[kind] + (high - low)[kind] * share
