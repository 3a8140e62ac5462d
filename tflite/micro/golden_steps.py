"""Steps as TensorFlow Lite Micro takes them: what an application on a device must give too."""

import io
from dataclasses import dataclass

import numpy as np

from tflite.runtimes import load_model
from tflite.seeded_stream import seeded_readings

STEPS, SEED = 32, 1


@dataclass(frozen=True)
class GoldenSteps:
    """Arrays (STEPS, elements) by name. A state is that after the step; before the first it is real 0."""

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    states: dict[str, np.ndarray]

    @property
    def by_name(self) -> dict[str, np.ndarray]:
        """All arrays: input_<name>, output_<name>, state_<name>."""
        sides = {"input": self.inputs, "output": self.outputs, "state": self.states}
        return {f"{side}_{name}": values for side, arrays in sides.items() for name, values in arrays.items()}

    def npz(self) -> bytes:
        content = io.BytesIO()
        np.savez(content, **self.by_name)
        return content.getvalue()


def golden_steps(model: bytes, rows: int = 1) -> GoldenSteps:
    """Seeded readings through TensorFlow Lite Micro, integers as they are; for a child process.

    Args:
        rows: identifiers among the inputs are below it.
    """
    runtime = load_model(model, "tflm")
    readings = seeded_readings(runtime.inputs, STEPS, SEED, rows)
    inputs, outputs, states = ({} for _ in range(3))
    for x in readings:
        y = runtime.step(x, raw=True)
        results = y if isinstance(y, dict) else {runtime.outputs[0].name: y}
        for side, values in ((inputs, x), (outputs, results), (states, runtime.states)):
            for name, array in values.items():
                side.setdefault(name, []).append(np.asarray(array).reshape(-1))
    return GoldenSteps(*({name: np.stack(rows) for name, rows in side.items()} for side in (inputs, outputs, states)))
