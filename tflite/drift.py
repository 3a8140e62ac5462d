"""Drift: how far a free-running model leaves a reference over a long stream, and whether its states saturate."""

from collections.abc import Sequence

import numpy as np
from rich.progress import track

from tflite.runtimes import StepRuntime


def run_stream(runtime: StepRuntime, xs: Sequence[np.ndarray], title: str = "") -> tuple[np.ndarray, float]:
    """Steps a model with one output freely over (timesteps, features) from a reset.

    Returns:
        Outputs (timesteps, outputs), and the share of integer state elements at a limit of their type.
    """
    import sys

    runtime.reset()
    limits = {s.name: np.iinfo(s.dtype) for s in runtime.state_specs if s.is_quantized}
    outputs = np.empty((len(xs), *runtime.outputs[0].shape), np.float32)
    saturated = elements = 0
    for t, x in enumerate(track(xs, title, transient=True, disable=not sys.stderr.isatty())):
        outputs[t] = runtime.step(x)
        if limits and t % 16 == 0:  # every state of every step would cost more than the step itself
            for name, values in runtime.states.items():
                if name in limits:
                    saturated += int(np.sum((values == limits[name].min) | (values == limits[name].max)))
                    elements += values.size
    return outputs, saturated / max(elements, 1)


def rmse(values: np.ndarray, reference: np.ndarray) -> float:
    """Root mean squared difference of arrays of equal shape; NaN wherever one has it and the other has not."""
    both = ~(np.isnan(values) & np.isnan(reference))
    return float(np.sqrt(np.mean((values[both] - reference[both]) ** 2)))
