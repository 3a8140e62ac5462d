"""Time constants of integer states, and whether their quantum is fine enough for them.

A state that follows its target with a time constant of tau steps moves by 1/tau of the way per step. Where that is less
than half a quantum it does not move at all: it stays up to tau / 2 quanta short. The time constant is measured from
outside, on any model: one element is displaced, and what is left of that after some steps of the same readings tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tflite.exposed_states import exposed_states
from tflite.runtimes import StepRuntime, TensorSpec, load_model

RUNTIME = "litert builtin"  # the fastest that gives the integers of a microcontroller
DISPLACEMENT = 0.25  # of the range the state was seen in, ...
LEAST_DISPLACEMENT = 16  # ... and quanta, for a state that hardly moves: it may be one that stalled at once
STEPS = 8  # after which is looked what is left
MOMENTS = 5  # of the stream at which an element is displaced; the median counts
MAXIMUM_ELEMENTS = 64  # looked at, spread over the state
ALLOWED_GAP = 0.05  # of the range the state was seen in, ...
ALLOWED_QUANTA = 4  # ... and quanta: less is no stall, but the resolution


@dataclass(frozen=True)
class StatePace:
    """How slow an integer state is, and how far it may stop from its target.

    Attributes:
        name, dtype, quantum: of the state; `quantum` in real units.
        spread: range of its values over the stream, less the outermost percents, in real units.
        displacement: by how much an element was displaced, in real units.
        steps: time constant of each element looked at; infinite where the displacement stayed as it was.
    """

    name: str
    dtype: str
    quantum: float
    spread: float
    displacement: float
    steps: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """How far each element may stop from its target, in real units; not further than it was displaced."""
        return np.minimum(self.steps * self.quantum / 2, self.displacement)

    @property
    def stalls(self) -> np.ndarray:
        """Whether an element may stop too far from its target."""
        return self.gap > max(ALLOWED_GAP * self.spread, ALLOWED_QUANTA * self.quantum)

    @property
    def warning(self) -> str | None:
        """One sentence with the remedy; None where no element stalls."""
        if not self.stalls.any():
            return None
        slowest, gap = float(np.max(self.steps)), float(np.max(self.gap))
        pace = f"up to {slowest:.0f} steps" if np.isfinite(slowest) else f"more than {self.longest_measured:.0f} steps"
        capped = "" if gap < self.displacement else "at least "
        share = f"{min(gap / self.spread, 1):.0%} of" if self.spread > 0 else "more than"
        remedy = 'state_dtype="int16"' if self.dtype == "int8" else 'activations="float32"'
        return (
            f"state {self.name}: {self.stalls.sum()} of {self.stalls.size} elements have a time constant of {pace}, "
            f"too long for a quantum of {self.quantum:.2g} ({self.dtype}): they may stop {capped}{gap:.2g} short of "
            f"their target, {share} the state's spread; convert with {remedy}"
        )

    @property
    def longest_measured(self) -> float:
        """A time constant that leaves all but a quantum of a displacement."""
        return STEPS * self.displacement / self.quantum


def state_paces(model: bytes, xs: Sequence[Mapping[str, np.ndarray]]) -> list[StatePace]:
    """Every integer state of a model over a stream; [] where there is none, or none that can be set.

    Args:
        model: the bytes of a .tflite that is known to be sound.
        xs: readings as `step(x, raw=True)` takes them, some hundred.
    """
    try:
        model = exposed_states(model)
    except ValueError:
        pass  # then the states that are outside already
    runtime = load_model(model, kernels="builtin")
    states = [spec for spec in runtime.state_specs if spec.is_quantized]
    if not states or len(xs) <= MOMENTS * STEPS:
        return []
    run = _Run(runtime, xs)
    return [_pace(run, spec) for spec in states]


def stall_warnings(model: bytes, xs: Sequence[Mapping[str, np.ndarray]]) -> list[str]:
    """A sentence for every state whose time constant is too long for its quantum; see `state_paces`."""
    return [pace.warning for pace in state_paces(model, xs) if pace.warning]


class _Run:
    """A model and the states it had after every step of a stream."""

    def __init__(self, runtime: StepRuntime, xs: Sequence):
        self.runtime, self.xs, self.states = runtime, xs, []
        runtime.reset()
        for x in xs:
            runtime.step(x, raw=True)
            self.states.append(runtime.states)

    def share_left(self, spec: TensorSpec, element: int, moment: int, displacement: int) -> float:
        """What is left, after `STEPS` steps, of displacing one element of a state, by integers, after step `moment`."""
        states = {name: values.copy() for name, values in self.states[moment].items()}
        values, limits = states[spec.name].reshape(-1), np.iinfo(spec.dtype)
        before = int(values[element])
        values[element] = np.clip(before + displacement, limits.min, limits.max)
        moved = int(values[element]) - before
        self.runtime.set_states(states)
        for x in self.xs[moment + 1 : moment + 1 + STEPS]:
            self.runtime.step(x, raw=True)
        after, otherwise = (one[spec.name].reshape(-1) for one in (self.runtime.states, self.states[moment + STEPS]))
        return (int(after[element]) - int(otherwise[element])) / moved


def _pace(run: _Run, spec: TensorSpec) -> StatePace:
    """Elements are displaced towards the middle of where the state was seen, so that they stay in its range."""
    seen = np.stack([states[spec.name].reshape(-1) for states in run.states])
    low, high = np.percentile(seen, [1, 99])
    quanta = max(int(DISPLACEMENT * (high - low)), LEAST_DISPLACEMENT)
    size = seen.shape[1]
    elements = np.unique(np.linspace(0, size - 1, min(size, MAXIMUM_ELEMENTS)).astype(int))
    moments = np.linspace(len(seen) // 4, len(seen) - STEPS - 1, MOMENTS).astype(int)
    left = [
        [
            run.share_left(spec, element, moment, quanta if seen[moment, element] < (low + high) / 2 else -quanta)
            for element in elements
        ]
        for moment in moments
    ]
    spread, displacement = (high - low) * spec.scale, quanta * spec.scale
    return StatePace(spec.name, spec.dtype, spec.scale, spread, displacement, _steps(np.median(left, axis=0)))


def _steps(left: np.ndarray) -> np.ndarray:
    """Time constants from the shares left; what swings past the target is fast."""
    with np.errstate(divide="ignore"):
        return np.where(left >= 1, np.inf, -STEPS / np.log(np.clip(left, 1e-9, 1 - 1e-9)))
