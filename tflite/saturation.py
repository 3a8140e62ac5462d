"""Saturation: how often the integers of a step stand at the ends of their type, tensor by tensor.

LiteRT's reference kernels run the model and keep every tensor of a step to look at. Files have no tensor names: a state
goes by its own, what an operator computes by the operator's place and kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.native_stderr import withheld_stderr
from tflite.exposed_states import KEEPS, states_of_operators
from tflite.flatbuffer import operator_names
from tflite.runtimes.step_signature import StepSignature, read_step_signature

# They only pass on what another operator computed.
PASSING = ("SPLIT", "SPLIT_V", "RESHAPE", "CONCATENATION", "SLICE", "STRIDED_SLICE", "READ_VARIABLE", "GATHER")
SETTLED = 16  # steps after a reset
# What LiteRT's fused LSTM leaves in the four int16 tensors it computes in, by their order.
FUSED_GATES = ("cell output", "forget gate", "candidate", "output gate")


@dataclass(frozen=True)
class Saturation:
    """One integer tensor over a stream.

    Attributes:
        name: of the state, or place and kind of the operator that writes it ("7 LOGISTIC").
        share: of all elements at all steps, how many stood at an end of the type.
        stuck: elements that came to stand there and stayed, throughout the second half of the stream.
        is_state: whether it is carried to the next step.
        bounded: its range is that of tanh, [-1, 1), so at an end it is off by a quantum at most. Not so a cell state
            (c0, c1, ...), which sums up.
    """

    name: str
    share: float
    stuck: int
    is_state: bool
    bounded: bool


@dataclass(frozen=True)
class _Watched:
    """A tensor of the interpreter."""

    name: str
    tensor: int
    is_state: bool


def saturations(model: bytes, xs: Sequence[Mapping[str, np.ndarray]]) -> list[Saturation]:
    """Every int8 and int16 tensor that an operator computes or that is a state, in order; [] for a float32 model.

    Args:
        model: the bytes of a .tflite.
        xs: readings by input name, in the dtypes of the inputs; the model runs freely over them from real 0.
    """
    signature = read_step_signature(model)
    interpreter = _open(model, signature)
    watched = _watched(model, signature, interpreter)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    watched = [one for one in watched if np.dtype(details[one.tensor]["dtype"]).name in ("int8", "int16")]
    at_end = {one.name: [] for one in watched}
    for x in xs:
        for port in signature.inputs:
            interpreter.set_tensor(port.tensor, np.asarray(x[port.spec.name])[np.newaxis])
        interpreter.invoke()
        for one in watched:
            values = interpreter.get_tensor(one.tensor)
            limits = np.iinfo(values.dtype)
            at_end[one.name].append((values <= limits.min) | (values >= limits.max))
        _carry_on(interpreter, signature)
    return [_figures(one, np.stack(at_end[one.name]), details[one.tensor]) for one in watched] if len(xs) else []


def _figures(one: _Watched, at_end: np.ndarray, detail: dict) -> Saturation:
    """`at_end`: bool (steps, ...)."""
    like_tanh = detail["quantization"] == (2.0 ** (1 - 8 * np.dtype(detail["dtype"]).itemsize), 0)
    half = len(at_end) // 2
    from_the_start = np.all(at_end[min(SETTLED, half) :], axis=0)  # a unit that always says the same
    stuck = np.all(at_end[half:], axis=0) & ~from_the_start
    bounded = like_tanh and not one.name.startswith("c")
    return Saturation(one.name, float(np.mean(at_end)), int(np.sum(stuck)), one.is_state, bounded)


def _open(model: bytes, signature: StepSignature) -> Interpreter:
    """An interpreter that keeps every tensor of a step, its states at real 0."""
    with withheld_stderr():
        interpreter = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
    for port in signature.states_in:
        interpreter.set_tensor(port.tensor, port.spec.reset_value()[np.newaxis])
    return interpreter


def _carry_on(interpreter: Interpreter, signature: StepSignature) -> None:
    """The states outside, all read before the first is written: one may leave through another's entry."""
    new = [interpreter.get_tensor(port.tensor) for port in signature.states_out]
    for port, values in zip(signature.states_in, new, strict=True):
        interpreter.set_tensor(port.tensor, values)


def _watched(model: bytes, signature: StepSignature, interpreter: Interpreter) -> list[_Watched]:
    """States first, then the tensors operators compute."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    ops = list(zip(operator_names(model), file.subgraphs[0].operators, strict=True))
    states = [(port.spec.name, port.tensor) for port in signature.states_out] + _assigned(ops)
    taken = [name for name, _ in states] + [port.spec.name for port in (*signature.inputs, *signature.outputs)]
    states += states_of_operators(((kind, op.inputs) for kind, op in ops), taken)
    states = list({int(tensor): name for name, tensor in reversed(states)}.items())[::-1]
    kept = {tensor for tensor, _ in states}
    computed = [
        (int(tensor), f"{place} {kind}" + (f":{number}" if number else ""))
        for place, (kind, op) in enumerate(ops)
        if kind not in PASSING
        for number, tensor in enumerate(op.outputs if op.outputs is not None else [])
        if tensor not in kept
    ]
    computed += _fused_gates(ops, interpreter, len(file.subgraphs[0].tensors))
    return [_Watched(name, tensor, tensor in kept) for tensor, name in states + computed]


def _assigned(ops: list) -> list[tuple[str, int]]:
    """(name, tensor) of what resource variables are assigned."""
    variables = {op.outputs[0]: op.builtinOptions.sharedName.decode() for kind, op in ops if kind == "VAR_HANDLE"}
    return [(variables[op.inputs[0]], op.inputs[1]) for kind, op in ops if kind == "ASSIGN_VARIABLE"]


def _fused_gates(ops: list, interpreter: Interpreter, tensors: int) -> list[tuple[int, str]]:
    """The int16 tensors that LiteRT adds, behind those of the file, for each fused integer LSTM in turn."""
    added = [d["index"] for d in interpreter.get_tensor_details() if d["index"] >= tensors and d["dtype"] is np.int16]
    names = [f"{place} {gate}" for place, (kind, _) in enumerate(ops) if kind in KEEPS for gate in FUSED_GATES]
    return list(zip(added, names, strict=False))
