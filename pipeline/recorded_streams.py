"""The gridded streams of a dataset, read back whole: for calibration, scores and validation, not for training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from pipeline.scenario import Scenario


@dataclass(frozen=True, eq=False)
class RecordedStream:
    """One segment of a stream on its grid, every bin present; a model starts it with its state reset.

    `x`: (bins, inputs) float32 in real units, NaN = missing. `labels`: by column, (bins,). `part`: "train",
    "validation" or "test" of each bin. `observed`: a row fell into the bin. `time`: datetime64[ms].
    """

    name: str
    segment: int
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
            self.segment,
            self.time[first:],
            self.part[first:],
            self.observed[first:],
            self.x[first:],
            {name: values[first:] for name, values in self.labels.items()},
        )


def recorded_streams(scenario: Scenario, dataset_folder: Path) -> Iterator[RecordedStream]:
    """Every segment of every stream of the dataset, in the order of their names and times."""
    table = pyarrow.dataset.dataset(Path(dataset_folder) / "streams", format="parquet")
    names = sorted(pc.unique(table.to_table(columns=["stream"])["stream"]).to_pylist())
    for name in names:
        stream = table.to_table(filter=pc.field("stream") == name).sort_by("time")
        segments = stream["segment"].to_numpy()
        for segment in np.unique(segments).tolist():
            first, end = np.searchsorted(segments, [segment, segment + 1])
            yield _recorded(name, segment, stream.slice(first, end - first), scenario)


def _recorded(name: str, segment: int, rows: pa.Table, scenario: Scenario) -> RecordedStream:
    return RecordedStream(
        name=name,
        segment=segment,
        time=rows["time"].to_numpy().astype("datetime64[ms]"),
        part=np.array(rows["part"].to_pylist()),
        observed=rows["observed"].to_numpy(zero_copy_only=False),
        x=np.stack([rows[column.name].to_numpy() for column in scenario.inputs], axis=1).astype(np.float32),
        labels={column.name: rows[column.name].to_numpy() for column in scenario.labels},
    )
