"""A recorded stream with the model's own answers: what the app replays, and what it is tested against."""

from dataclasses import dataclass

import numpy as np

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Recording:
    """Rows as a device would receive them; a row that never came is absent, a reading that is missing is NaN.

    Attributes:
        time: (rows,) int64, epoch ms, rising.
        x: (rows, inputs) float32 in real units.
        outputs: by name, (rows, width) float32: what the model says of each row.
        truth: by name, (rows,) float32: what a person knows beside it (labels); not for the model.
    """

    time: np.ndarray
    x: np.ndarray
    outputs: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays in the order of the file, little-endian."""
        named = {"time": self.time.astype("<i8"), "x": self.x.astype("<f4")}
        named |= {f"output/{name}": values.astype("<f4") for name, values in self.outputs.items()}
        return named | {f"truth/{name}": values.astype("<f4") for name, values in self.truth.items()}

    def content(self) -> bytes:
        """The arrays, one after the other."""
        return b"".join(np.ascontiguousarray(values).tobytes() for values in self.arrays.values())

    def index(self, step_ms: int, max_gap_ms: int) -> dict:
        """What `content` holds: recording.json."""
        return {
            "format": FORMAT,
            "rows": len(self.time),
            "step_ms": step_ms,
            "max_gap_ms": max_gap_ms,
            "bytes": len(self.content()),
            "arrays": [
                {"name": name, "dtype": values.dtype.name, "width": 1 if values.ndim == 1 else values.shape[1]}
                for name, values in self.arrays.items()
            ],
        }
