"""A whole stream through a step model, everything it puts out kept, and how two such traces differ."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tflite.parity import outputs_and_states
from tflite.runtimes import StepRuntime

Trace = Mapping[str, np.ndarray]


def trace(runtime: StepRuntime, xs: Sequence, reset: bool = True) -> Trace:
    """Outputs and outer states after every step as they are in memory, (steps, ...) by name; from a reset on.

    Args:
        xs: readings as `step(x, raw=True)` takes them, at least one.
    """
    if reset:
        runtime.reset()
    return stacked(outputs_and_states(runtime, x) for x in xs)


def stacked(steps: Iterable[Trace]) -> Trace:
    """One array (steps, ...) by name from what every step gave."""
    steps = list(steps)
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


def differing(ours: Trace, theirs: Trace) -> int:
    """Elements that are not equal; NaN equals nothing. A name that one side lacks counts with all of its elements."""
    lacking = sum(side[name].size for side in (ours, theirs) for name in set(ours) ^ set(theirs) if name in side)
    return lacking + sum(int(np.sum(~(ours[name] == theirs[name]))) for name in set(ours) & set(theirs))


def steps_that_differ(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """bool (steps,) of arrays (steps, ...)."""
    return np.any(np.reshape(ours != theirs, (len(ours), -1)), axis=1)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Root mean squared difference in terms of the spread of `theirs`; 0 where all is equal, NaN stays NaN."""
    ours, theirs = ours.astype(np.float64), np.reshape(theirs, ours.shape).astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity against infinity is NaN
        error, spread = np.sqrt(np.mean((ours - theirs) ** 2)), np.std(theirs)
    if error == 0:
        return 0.0
    return float(error / spread) if spread > 0 else float("inf") if np.isfinite(error) else float("nan")


def largest(figures: Iterable[float]) -> float:
    """Not Python's max: a NaN can get lost in that."""
    return float(np.max(list(figures)))
