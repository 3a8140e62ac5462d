"""A simulated fleet as a Beam source."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.fleet.fleet_settings import FleetSettings
from pipeline.fleet.simulate_fleet import AT_ONCE, simulate_fleet
from pipeline.quiet_beam import beam


class SimulateFleet(beam.PTransform):
    """Pipeline -> record batches (`simulate_fleet.ROWS`), each an hour of one truck, in no order.

    However the work is cut and wherever it runs, the batches are those of `simulate_fleet`.

    Args:
        at_once: vehicles that one worker simulates together, half a megabyte each.
    """

    def __init__(self, settings: FleetSettings, at_once: int = AT_ONCE):
        super().__init__()
        self.settings, self.at_once = settings, at_once

    def expand(self, begin):
        blocks = [(block.start, block.stop) for block in self.settings.blocks(self.at_once)]
        return begin | beam.Create(blocks) | beam.Reshuffle() | beam.FlatMap(_simulate, settings=self.settings)


def _simulate(block: tuple[int, int], settings: FleetSettings) -> Iterator[pa.RecordBatch]:
    return (rows for _, rows in simulate_fleet(settings, range(*block)))
