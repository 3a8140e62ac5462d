"""A model over rows as they arrive: what an app does between the sensor and `step`."""

import numpy as np

from tflite.runtimes import StepRuntime


def replay(model: StepRuntime, time: np.ndarray, x: np.ndarray, step_ms: int, max_gap_ms: int) -> dict[str, np.ndarray]:
    """Steps a model over rows from a reset.

    A hole longer than `max_gap_ms` resets the states; in a shorter one each bin of the grid that got no row is a step
    of missing readings, as the pipeline laid the training data on its grid.

    Args:
        time: (rows,) epoch ms, rising.
        x: (rows, inputs) float32, NaN = missing.

    Returns:
        By output name, (rows, width) float32.
    """
    model.reset()
    missing = np.full(x.shape[1], np.nan, np.float32)
    names = [output.name for output in model.outputs]
    said = {name: [] for name in names}
    for t, reading in enumerate(x):
        hole = int(time[t] - time[t - 1]) if t else step_ms
        if hole > max_gap_ms:
            model.reset()
        else:
            for _ in range(hole // step_ms - 1):
                model.step(missing)
        y = model.step(reading)
        for name, values in (y if isinstance(y, dict) else {names[0]: y}).items():
            said[name].append(values)
    return {name: np.stack(values) for name, values in said.items()}
