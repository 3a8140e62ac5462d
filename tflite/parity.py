"""Parity: two runtimes, the same state before every step, what differs after one step.

Integers are compared in their own quanta. A float32 tensor has a quantum too: that of the integers behind it
(tflite.quanta) where there are any, else FLOAT_QUANTUM of its largest element, or of 1: some ten times what the order
of a float32 sum changes.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from tflite.runtimes import StepRuntime

FLOAT_QUANTUM = 1e-5


def parity(
    runtime: StepRuntime,
    reference: StepRuntime,
    xs: Iterable[np.ndarray],
    quanta: Mapping[str, float | np.ndarray] | None = None,
) -> dict[str, float | int | str]:
    """Steps both over `xs`, the state of `reference` put into `runtime` before each step.

    Args:
        xs: readings as `step` takes them.
        quanta: by name; of a float32 output or state, the real size of one integer step behind each element, 0 = none;
            of an integer one, how many of its own steps count as one quantum, 1 by default.

    Returns:
        steps, max_lsb (largest difference of any element of any output or state, in quanta), by_tensor (the same for
        each), mismatched (share of elements that differ by more than half a quantum). NaN against a number is infinite.
    """
    quanta = dict(quanta or {})
    specs = {spec.name: spec for spec in (*reference.outputs, *reference.state_specs)}
    reference.reset()
    steps = elements = mismatched = 0
    largest = dict.fromkeys(specs, 0.0)
    for x in xs:
        runtime.set_states(reference.states)
        ours, theirs = (outputs_and_states(one, x) for one in (runtime, reference))
        steps += 1
        for name, spec in specs.items():
            difference = _in_quanta(ours[name], theirs[name], spec, quanta.get(name))
            elements += difference.size
            mismatched += int(np.sum(difference > 0.5))
            largest[name] = max(largest[name], round(float(difference.max(initial=0.0)), 4))
    return {
        "steps": steps,
        "max_lsb": max(largest.values()),
        "by_tensor": largest,
        "mismatched": mismatched / max(elements, 1),
    }


def outputs_and_states(runtime: StepRuntime, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs and new states of one step, by name, as they are in memory."""
    outputs = runtime.step(x, raw=True)
    if not isinstance(outputs, dict):
        outputs = {runtime.outputs[0].name: outputs}
    return {**outputs, **runtime.states}


def _in_quanta(ours: np.ndarray, theirs: np.ndarray, spec, quantum) -> np.ndarray:
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    if spec.dtype != "float32":
        quantum = 1.0 if quantum is None else quantum
    else:
        rounding = FLOAT_QUANTUM * max(1.0, float(np.max(np.abs(theirs), initial=0.0, where=np.isfinite(theirs))))
        quantum = rounding if quantum is None else np.maximum(np.reshape(quantum, theirs.shape), rounding)
    with np.errstate(invalid="ignore"):  # infinity against infinity: equal, see below
        difference = np.abs(ours - theirs) / quantum
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
