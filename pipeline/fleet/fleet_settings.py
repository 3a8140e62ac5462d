"""Which fleet: how many trucks for how long, and how often something breaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pipeline import toml_table as toml
from pipeline.toml_table import entry

HOUR = 3600  # steps: the trucks report once a second, and are simulated hour by hour
MOST_VEHICLES = 10_000_000
MOST_HOURS = 100_000.0


@dataclass(frozen=True, kw_only=True)
class FleetSettings:
    """The `[fleet]` table of a scenario, and the options of `edgernn simulate`.

    `healthy_hours`: nothing breaks before. `fault_hours`: mean time from a repair to the next fault. `first`: number of
    the first vehicle; vehicle k is the same whatever else is simulated, so a fleet can be made in parts.
    """

    vehicles: int = entry(toml.whole(1, MOST_VEHICLES))
    hours: float = entry(toml.number(maximum=MOST_HOURS, above=0.0))
    seed: int = entry(toml.whole(0, 2**31 - 1), default=0)
    healthy_hours: float = entry(toml.number(0.0), default=1.0)
    fault_hours: float = entry(toml.number(above=0.0), default=1.0)
    first: int = entry(toml.whole(0, MOST_VEHICLES), default=0)
    begin: float = entry(toml.moment, default=datetime(2024, 6, 3, 5, tzinfo=UTC).timestamp())

    @property
    def seconds(self) -> int:
        """Steps of each vehicle."""
        return max(1, round(self.hours * HOUR))

    def blocks(self, size: int) -> Iterator[range]:
        """All vehicle numbers, in ranges of at most `size`."""
        end = self.first + self.vehicles
        return (range(number, min(number + size, end)) for number in range(self.first, end, size))


def random_source(seed: int, vehicle: int, what: str) -> np.random.Generator:
    """Random numbers of one vehicle for one purpose; no other vehicle and no other purpose moves them."""
    return np.random.default_rng([seed, vehicle, *what.encode()])


def departure(settings: FleetSettings, vehicle: int) -> int:
    """Epoch second a truck sets out at: some minute of the twelve hours after `begin`."""
    return round(settings.begin) + 60 * int(random_source(settings.seed, vehicle, "departure").integers(12 * 60))


def vehicle_name(vehicle: int) -> str:
    return f"truck-{vehicle:05d}"


def read_settings(options: dict[str, object]) -> FleetSettings:
    """Settings from the options of `edgernn simulate`.

    Raises:
        UserError: an option is out of its range.
    """
    return toml.read_table(FleetSettings, options, toml.Place("edgernn simulate"))
