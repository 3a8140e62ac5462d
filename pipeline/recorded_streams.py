"""The gridded streams of a dataset, read back whole: for calibration, scores and validation, not for training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset

from pipeline.scenario import Scenario


@dataclass(frozen=True, eq=False)
class RecordedStream:
    """One stream on its grid, every bin present.

    `x`: (bins, inputs) float32 in real units, NaN = missing. `labels`: by column, (bins,). `part`: "train",
    "validation" or "test" of each bin. `observed`: a row fell into the bin. `time`: datetime64[ms].
    """

    name: str
    time: np.ndarray
    part: np.ndarray
    observed: np.ndarray
    x: np.ndarray
    labels: dict[str, np.ndarray]

    @property
    def tested(self) -> np.ndarray:
        """(bins,) bool: the bin belongs to the test part."""
        return self.part == "test"

    def since(self, first: int) -> "RecordedStream":
        """The stream from bin `first` on."""
        return RecordedStream(
            self.name,
            self.time[first:],
            self.part[first:],
            self.observed[first:],
            self.x[first:],
            {name: values[first:] for name, values in self.labels.items()},
        )


def recorded_streams(scenario: Scenario, dataset_folder: Path) -> Iterator[RecordedStream]:
    """Every stream of the dataset, in the order of their names."""
    table = pyarrow.dataset.dataset(Path(dataset_folder) / "streams", format="parquet")
    names = sorted(pc.unique(table.to_table(columns=["stream"])["stream"]).to_pylist())
    for name in names:
        rows = table.to_table(filter=pc.field("stream") == name).sort_by("time")
        yield RecordedStream(
            name=name,
            time=rows["time"].to_numpy().astype("datetime64[ms]"),
            part=np.array(rows["part"].to_pylist()),
            observed=rows["observed"].to_numpy(zero_copy_only=False),
            x=np.stack([rows[column.name].to_numpy() for column in scenario.inputs], axis=1).astype(np.float32),
            labels={column.name: rows[column.name].to_numpy() for column in scenario.labels},
        )
