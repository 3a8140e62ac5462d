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


class DriveCycle:
    """The endless round of one truck, asked for in the order of time; only the legs in sight are kept.

    Each delivery takes a tenth to a third of a full load off; an empty truck is full again.
    """

    def __init__(self, seed: int, vehicle: int):
        self._random = random_source(seed, vehicle, "drive")
        self._ends = np.zeros(0)
        self._legs = np.zeros((5, 0))  # speed, slope, payload, door, stopped
        self._end = self._driven = self._taken = 0.0

    def at(self, seconds: np.ndarray) -> np.ndarray:
        """(5, seconds): speed (m/s), slope (rise over run), payload (share of a full load), whether the doors are open
        and whether the engine is off. `seconds` ascend, from call to call too."""
        while self._end <= seconds[-1]:
            self._draw()
        past = np.searchsorted(self._ends, seconds[0], side="right")
        self._ends, self._legs = self._ends[past:], self._legs[:, past:]
        return self._legs[:, np.searchsorted(self._ends, seconds, side="right")]

    def _draw(self) -> None:
        """Some more legs, with a break before each in which another four and a half hours of driving would be full."""
        which, lasts, speed, slope, load = self._random.random((DRAWN_AT_ONCE, 5)).T
        kind = np.searchsorted(np.cumsum([leg.share for leg in LEGS])[:-1], which, side="right")
        lasts = np.rint(_between([leg.lasts for leg in LEGS], kind, lasts))
        speed = _between([leg.speed for leg in LEGS], kind, speed) / 3.6
        slope = np.where(speed > 0, SLOPE * np.sqrt(3) * (2 * slope - 1), 0.0)
        door = np.array([leg.delivery for leg in LEGS], float)[kind]
        taken = self._taken + np.cumsum(door * (0.1 + 0.23 * load))
        driven = self._driven + np.cumsum(lasts)
        payload = 1 - taken % 1.0
        due = np.flatnonzero(np.diff(driven // DRIVING, prepend=self._driven // DRIVING))
        legs = np.insert([speed, slope, payload, door, np.zeros(len(kind))], due, 0.0, axis=1)
        breaks = due + np.arange(len(due))
        legs[2, breaks], legs[4, breaks] = payload[due], 1.0
        ends = self._end + np.cumsum(np.insert(lasts, due, float(BREAK)))
        self._ends, self._legs = np.append(self._ends, ends), np.append(self._legs, legs, axis=1)
        self._end, self._driven, self._taken = ends[-1], driven[-1], taken[-1] % 1.0


def _between(ranges: list[tuple[float, float]], kind: np.ndarray, share: np.ndarray) -> np.ndarray:
    low, high = np.array(ranges, float).T
    return low[kind] + (high - low)[kind] * share
