"""Statistics of the readings on the grid, exact sums, merged in the order of the stream names.

Sums are rounded once (math.fsum): the same readings give the same bits in any order and on any machine.
"""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa

from pipeline.facts import Fact
from pipeline.quiet_beam import beam
from pipeline.scenario import Scenario
from pipeline.split_rows import PARTS, in_part


@dataclass(frozen=True)
class Moments:
    """`bins` seen, `number` with a reading; of the readings mean, sum of squared deviations and range."""

    bins: int
    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def std(self) -> float:
        """Population standard deviation, in the unit of the column."""
        return math.sqrt(self.squares / self.number) if self.number else 0.0

    def as_dict(self) -> dict[str, float | None]:
        """As in dataset.json; without any reading there are only nulls."""
        known = self.number > 0
        return {
            "mean": self.mean if known else None,
            "std": self.std if known else None,
            "min": self.minimum,
            "max": self.maximum,
            "missing_share": 1 - self.number / self.bins if self.bins else None,
        }


class FeatureStats(beam.PTransform):
    """Split series -> facts: per stream its bins by part and the moments of its training bins."""

    def __init__(self, scenario: Scenario):
        super().__init__()
        self.scenario = scenario

    def expand(self, series):
        return series | beam.FlatMap(stream_facts, scenario=self.scenario)


def stream_facts(series: pa.Table, scenario: Scenario) -> list[Fact]:
    """`bins` and `training_moments` of one series; with normalize.by = "stream" `stream_moments` too."""
    stream = series["stream"][0].as_py()
    bins = {part: int(in_part(series, part).sum()) for part in PARTS}
    missing = int((~series["observed"].to_numpy()).sum())
    facts = [
        ("bins", stream, bins | {"missing": missing}),
        ("training_moments", stream, _columns_moments(series, in_part(series, "train"), scenario)),
    ]
    if scenario.normalize.by == "stream":
        rows = series["rows"].to_numpy()
        first = np.cumsum(rows) - rows < scenario.normalize.rows
        facts.append(("stream_moments", stream, _columns_moments(series, first, scenario)))
    return facts


def _columns_moments(series: pa.Table, where: np.ndarray, scenario: Scenario) -> dict[str, tuple]:
    """Of the inputs only: nobody looks at labels before the test."""
    return {column.name: astuple(moments_of(series[column.name].to_numpy()[where])) for column in scenario.inputs}


def moments_of(values: np.ndarray) -> Moments:
    """Moments of float values (bins,), NaN = no reading."""
    present = values[~np.isnan(values)].astype(np.float64)
    if not len(present):
        return Moments(len(values))
    mean = math.fsum(present) / len(present)
    squares = math.fsum((present - mean) ** 2)
    return Moments(len(values), len(present), mean, squares, float(present.min()), float(present.max()))


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """The moments of all parts together (Chan, Golub and LeVeque 1983, equation 2.1).

    The order matters in the last bits: give the parts in a fixed order.
    """
    whole = Moments(0)
    for part in parts:
        bins = whole.bins + part.bins
        number = whole.number + part.number
        if not part.number or not whole.number:
            known = part if part.number else whole
            whole = Moments(bins, number, known.mean, known.squares, known.minimum, known.maximum)
            continue
        apart = part.mean - whole.mean
        mean = whole.mean + apart * part.number / number
        squares = whole.squares + part.squares + apart**2 * whole.number * part.number / number
        whole = Moments(bins, number, mean, squares, min(whole.minimum, part.minimum), max(whole.maximum, part.maximum))
    return whole
