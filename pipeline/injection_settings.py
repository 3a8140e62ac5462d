"""Which faults are written into recorded readings (`injected_faults`)."""

from dataclasses import dataclass

from pipeline import toml_table as toml
from pipeline.toml_table import entry

KINDS = ("stuck", "offset", "drift")  # labels 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class FaultInjection:
    """The `[inject]` table: one fault of the sensor of `column` in each run of the test part, from a moment on.

    It begins after `sound_seconds` to half as long again and stays to the end: nobody repairs a sensor on the road.
    `offset`: of the column's unit, added or taken off at once. `drift`: of the unit, per minute. `resolution`: the
    smallest step of the sensor, which a changed reading keeps to.
    """

    column: str = entry(toml.text)
    seed: int = entry(toml.whole(0, 2**31 - 1))
    sound_seconds: float = entry(toml.duration, key="sound")
    offset: float = entry(toml.number(above=0.0))
    drift: float = entry(toml.number(above=0.0))
    resolution: float = entry(toml.number(above=0.0))
