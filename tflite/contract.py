"""The contract of a step model: what must hold on every runtime it ships to, each point a measured figure and a limit.

Per runtime: nothing is ever NaN; reset equals a fresh load; a stream in pieces equals the stream in one go; instances
share no state; a step from the same state differs from TFLite Micro's by a quantum at most; states kept inside give
the very bits of states carried outside; running freely it does not leave TFLite Micro, nor the sequence model it was
made of. And of the file: a state has one form on both sides of the step, and no state stands at the end of its type.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.user_error import UserError
from tflite.exposed_states import KEEPS, exposed_states
from tflite.flatbuffer import operator_names, read_flatbuffer
from tflite.parity import outputs_and_states, parity
from tflite.quanta import output_quanta
from tflite.runtimes import StepRuntime, load_model
from tflite.runtimes.step_runtime import TensorSpec
from tflite.runtimes.step_signature import read_step_signature
from tflite.saturation import saturations
from tflite.stream_trace import Trace, differing, distance, largest, stacked, steps_that_differ, trace

REFERENCE = "tflm"
KEEPS_ALL = "litert reference"  # lets every tensor of a step be read
RUNTIMES = {
    "litert reference": {"runtime": "litert", "kernels": "reference"},
    "litert builtin": {"runtime": "litert", "kernels": "builtin"},
    "litert default": {"runtime": "litert", "kernels": "default"},  # XNNPACK where it has a kernel: a phone
    REFERENCE: {"runtime": "tflm"},
}
FILE = "file"  # stands for the runtime where a check needs none

# Quanta a step may differ from TFLite Micro's: of int8 tensors and reals, of int16 tensors, of int16 states fed by
# int8 products, one quantum of which is 256 of theirs. LiteRT's built-in kernels approximate int16 TANH and LOGISTIC in
# their own way, and their int8 ADD drops bits (one sum in 100,000 is another, of which a steep TANH makes up to 8);
# XNNPACK rounds int8 products in its own way, as does the fused LSTM, another kernel in either runtime.
PARITY_QUANTA = {
    "litert reference": (1, 1, 1),
    "litert builtin": (8, 16, 8 * 256),
    "litert default": (8, 16, 8 * 256),
}
FUSED_QUANTA = (2, 2, 2 * 256)
# Free runs: root mean squared distance from TFLite Micro, in terms of the spread of the output.
FREE_RUN = {"float32": 1e-3, "int": 0.1}
# ... and from the float model: above it, more than a sixteenth of the variance is lost.
DRIFT = 0.25
SEQUENCE_FLOAT = 1e-5
SATURATED_STATE = 0.05
SATURATION = "saturation of"  # begins the name of the check
OTHER_WORK = 0.1  # share of the stream that another instance reads between two pieces


@dataclass(frozen=True)
class CheckResult:
    """One check on one runtime.

    Attributes:
        figure: what was measured, in `unit`; NaN where that failed.
        allowed: the largest figure that passes; None where it is reported only.
    """

    check: str
    runtime: str
    figure: float
    allowed: float | None
    unit: str

    @property
    def passed(self) -> bool:
        """NaN never passes."""
        return bool(np.isfinite(self.figure)) if self.allowed is None else bool(self.figure <= self.allowed)

    def record(self) -> dict[str, str | float | bool | None]:
        """For JSON."""
        return {**vars(self), "passed": self.passed}


@dataclass(frozen=True)
class Subject:
    """The model the checks are about.

    Attributes:
        model: the bytes of a .tflite.
        xs: readings by input name as `step(x, raw=True)` takes them; a stream from zero states.
        load: opens a model on a runtime of `RUNTIMES`.
        exposed: the same model with all states outside; None where the step graph cannot hold it.
    """

    model: bytes
    xs: Sequence[Mapping[str, np.ndarray]]
    load: Callable[[bytes, str], StepRuntime]
    exposed: bytes | None

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return read_step_signature(self.model).specs[1]

    @cached_property
    def keeps_state_inside(self) -> bool:
        signature = read_step_signature(self.model)
        return signature.has_resources or signature.has_variables

    @cached_property
    def is_fused(self) -> bool:
        return any(kind in KEEPS for kind in operator_names(self.model))

    @cached_property
    def computed_types(self) -> set[int]:
        """Element types (of the schema) of all tensors that are no constants."""
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self.model, 0))
        return {tensor.type for tensor in model.subgraphs[0].tensors if model.buffers[tensor.buffer].data is None}

    @property
    def is_float(self) -> bool:
        return not self.computed_types & {schema.TensorType.INT8, schema.TensorType.INT16}


def open_on(model: bytes, runtime: str) -> StepRuntime:
    """The model on a runtime of `RUNTIMES`."""
    return load_model(model, **RUNTIMES[runtime])


def check_contract(
    model: bytes,
    xs: Sequence[Mapping[str, np.ndarray]],
    *,
    runtimes: Sequence[str] = tuple(RUNTIMES),
    sequence: Mapping[str, np.ndarray] | None = None,
    float_outputs: Mapping[str, np.ndarray] | None = None,
    strict: bool = True,
    load: Callable[[bytes, str], StepRuntime] = open_on,
) -> list[CheckResult]:
    """Every check that applies to the model.

    Args:
        model: the bytes of a .tflite that is known to be sound (see `tflite.runtimes.probe`).
        xs: readings by input name as `step(x, raw=True)` takes them, at least 20: a stream from zero states.
        runtimes: names of `RUNTIMES` that should run it; one that refuses is a failed check, and has no others.
        sequence: what the Keras model it was made of says of `xs`, (steps, outputs) by output name: `predict` of the
            float model, or of a `QuantizedModel`, which says the integers of the converted model.
        float_outputs: what the float model says of `xs`, to measure drift by.
        strict: False for a model of another maker and readings that are not its own: what one runtime makes of it
            against another, and how its integers saturate, is then reported without a limit, and a state that cannot
            be set from outside is no failure.
        load: opens the model on a runtime.
    """
    subject = Subject(model, xs, load, _exposed(model))
    traces, refused = _free_runs(subject, runtimes)
    results = _state_forms(subject) + refused
    own = _saturation(subject) if KEEPS_ALL in traces else []
    for runtime, free in traces.items():
        results += _alone(subject, runtime, free)
        results += _kept_inside(subject, runtime, free, strict)
        if REFERENCE in traces and runtime != REFERENCE:
            own += _against_reference(subject, runtime, free, traces[REFERENCE])
        if sequence is not None:
            results += _against_sequence(subject, runtime, free, sequence)
        if float_outputs is not None:
            results.append(_drift(subject, runtime, free, float_outputs))
    return results + (own if strict else [replace(result, allowed=None) for result in own])


def _free_runs(subject: Subject, runtimes: Sequence[str]) -> tuple[dict[str, Trace], list[CheckResult]]:
    """The stream on every runtime, freshly loaded; a failed check for each that refuses the model."""
    traces, refused = {}, []
    for runtime in runtimes:
        try:
            traces[runtime] = trace(subject.load(subject.model, runtime), subject.xs, reset=False)
        except UserError:
            refused.append(CheckResult("opens the model", runtime, np.nan, None, "-"))
    return traces, refused


def _alone(subject: Subject, runtime: str, free: Trace) -> list[CheckResult]:
    """What a runtime owes by itself."""
    not_finite = sum(int(np.sum(~np.isfinite(values))) for values in free.values())
    figures = {
        "all numbers are finite": not_finite,
        "reset equals a fresh load": differing(_after_reset(subject, runtime), free),
        "pieces equal one go": differing(_in_pieces(subject, runtime), free),
        "instances share nothing": differing(_beside_another(subject, runtime), free),
    }
    return [CheckResult(check, runtime, figure, 0, "elements") for check, figure in figures.items()]


def _after_reset(subject: Subject, runtime: str) -> Trace:
    loaded = subject.load(subject.model, runtime)
    trace(loaded, subject.xs[::-1])
    return trace(loaded, subject.xs)


def _in_pieces(subject: Subject, runtime: str) -> Trace:
    """Between two pieces another instance works; before the last a new one is given the states, where it can be."""
    work = subject.xs[-max(1, int(OTHER_WORK * len(subject.xs))) :]
    other, loaded = (subject.load(subject.model, runtime) for _ in range(2))
    loaded.reset()
    cut = max(2, len(subject.xs) // 3)
    pieces = []
    for piece in (subject.xs[:1], subject.xs[1:cut]):
        pieces.append(trace(loaded, piece, reset=False))
        trace(other, work, reset=False)
    if loaded.state_specs and not subject.keeps_state_inside:
        states, loaded = loaded.states, subject.load(subject.model, runtime)
        loaded.set_states(states)
    pieces.append(trace(loaded, subject.xs[cut:], reset=False))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _beside_another(subject: Subject, runtime: str) -> Trace:
    """In turns with an instance that reads the stream backwards and is reset in its midst."""
    loaded, other = (subject.load(subject.model, runtime) for _ in range(2))
    loaded.reset()
    steps = []
    for count, (x, noise) in enumerate(zip(subject.xs, subject.xs[::-1], strict=True)):
        steps.append(outputs_and_states(loaded, x))
        other.step(noise, raw=True)
        if count == len(subject.xs) // 2:
            other.reset()
    return stacked(steps)


def _kept_inside(subject: Subject, runtime: str, free: Trace, strict: bool) -> list[CheckResult]:
    """States inside the model against the same operators with the states outside, running freely."""
    if not subject.keeps_state_inside or (subject.exposed is None and not strict):
        return []
    figure = np.nan
    if subject.exposed is not None:
        outside = trace(subject.load(subject.exposed, runtime), subject.xs)
        figure = differing(free, {name: outside[name] for name in free})
    return [CheckResult("inside equals outside", runtime, figure, 0, "elements")]


def _against_reference(subject: Subject, runtime: str, free: Trace, theirs: Trace) -> list[CheckResult]:
    """Step by step from the same state, where states can be set; and running freely."""
    names = [spec.name for spec in subject.outputs]
    from_theirs = largest(distance(free[name], theirs[name]) for name in names)
    allowed = FREE_RUN["float32" if subject.is_float else "int"]
    results = [CheckResult(f"free run against {REFERENCE}", runtime, from_theirs, allowed, "of the spread")]
    if not subject.is_float:
        unlike = np.any([steps_that_differ(free[name], theirs[name]) for name in names], axis=0)
        share = float(np.mean(unlike))
        results.append(CheckResult(f"free run unlike {REFERENCE}", runtime, share, None, "of the steps"))
    if subject.exposed is not None or not subject.keeps_state_inside:
        results += _forced_parity(subject, runtime)
    return results


def _forced_parity(subject: Subject, runtime: str) -> list[CheckResult]:
    """The largest difference after a step from the same state."""
    model = subject.exposed or subject.model
    ours, theirs = (subject.load(model, name) for name in (runtime, REFERENCE))
    by_tensor = parity(ours, theirs, subject.xs, _quanta(model))["by_tensor"]
    wide = {spec.name for spec in (*theirs.outputs, *theirs.state_specs) if spec.dtype == "int16"}
    has_int8 = schema.TensorType.INT8 in subject.computed_types
    if not (has_int8 or subject.is_float):
        wide = set(by_tensor)
    fused = subject.is_fused and not subject.is_float
    narrow_limit, *wide_limits = FUSED_QUANTA if fused else PARITY_QUANTA[runtime]
    parts = (("", set(by_tensor) - wide, narrow_limit), (", int16", wide, wide_limits[has_int8]))
    check = f"step against {REFERENCE}, state forced equal"
    return [
        CheckResult(check + part, runtime, largest(by_tensor[name] for name in names), limit, "quanta")
        for part, names, limit in parts
        if names
    ]


def _against_sequence(
    subject: Subject, runtime: str, free: Trace, sequence: Mapping[str, np.ndarray]
) -> list[CheckResult]:
    """Integers bit for bit where the kernels are those the sequence model mirrors; reals to rounding, everywhere."""
    ours = {spec.name: _real(free[spec.name], spec) for spec in subject.outputs}
    theirs = {name: np.reshape(sequence[name], values.shape) for name, values in ours.items()}
    if subject.is_float:
        scale = {name: max(1.0, float(np.max(np.abs(values)))) for name, values in theirs.items()}
        figure = largest(np.max(np.abs(ours[name] - theirs[name])) / scale[name] for name in ours)
        return [CheckResult("stream equals the sequence model", runtime, figure, SEQUENCE_FLOAT, "of the largest")]
    if runtime == REFERENCE or (runtime == "litert reference" and not subject.is_fused):
        figure = differing(ours, theirs)
        return [CheckResult("stream equals the sequence model", runtime, figure, 0, "elements")]
    return []


def _drift(subject: Subject, runtime: str, free: Trace, float_outputs: Mapping[str, np.ndarray]) -> CheckResult:
    figure = largest(distance(_real(free[spec.name], spec), float_outputs[spec.name]) for spec in subject.outputs)
    return CheckResult("free run against the float model", runtime, figure, DRIFT, "of the spread")


def _state_forms(subject: Subject) -> list[CheckResult]:
    """A state that leaves in another scale than it enters would be multiplied at every step."""
    try:
        graph = read_flatbuffer(subject.model)
    except ValueError:
        return []
    ends = [[graph.tensor(name) for name in state[1:]] for state in graph.states]
    differ = sum((a.shape, a.dtype, a.affine) != (b.shape, b.dtype, b.affine) for a, b in ends)
    return [CheckResult("states keep their form", FILE, differ, 0, "states")]


def _saturation(subject: Subject) -> list[CheckResult]:
    """A state like tanh may stand at an end often; any other loses what is beyond. None may come there for good."""
    results = []
    for tensor in saturations(subject.model, subject.xs):
        allowed = SATURATED_STATE if tensor.is_state and not tensor.bounded else None
        name = f"state {tensor.name}" if tensor.is_state else f"operator {tensor.name}"
        results.append(CheckResult(f"{SATURATION} {name}", KEEPS_ALL, tensor.share, allowed, "of elements"))
        if tensor.is_state:
            results.append(CheckResult(f"{name} saturates for good", KEEPS_ALL, tensor.stuck, 0, "elements"))
    return results


def _real(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    return spec.dequantize(values) if spec.is_quantized else values


def _exposed(model: bytes) -> bytes | None:
    try:
        return exposed_states(model)
    except ValueError:
        return None


def _quanta(model: bytes) -> dict[str, np.ndarray]:
    """Quanta of the float outputs, where the model is made of operators whose quanta can be followed."""
    try:
        return output_quanta(read_flatbuffer(model))
    except ValueError:
        return {}
