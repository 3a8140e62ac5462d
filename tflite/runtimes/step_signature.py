"""The signature of one step read out of a .tflite: which tensor carries which name, at which place."""

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.user_error import UserError
from tflite.runtimes.step_runtime import TensorSpec

STEP = "step"
RESET = "reset"

_DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.FLOAT16: "float16",
    schema.TensorType.INT8: "int8",
    schema.TensorType.INT16: "int16",
    schema.TensorType.INT32: "int32",
    schema.TensorType.UINT8: "uint8",
    schema.TensorType.INT64: "int64",
    schema.TensorType.BOOL: "bool",
}


@dataclass(frozen=True)
class StepPort:
    """One named end of the step.

    Attributes:
        spec: name, shape and quantization.
        tensor: index of the tensor in subgraph 0 (what LiteRT asks for).
        position: place among the subgraph's inputs or outputs (what TFLite Micro asks for).
    """

    spec: TensorSpec
    tensor: int
    position: int


@dataclass(frozen=True)
class StepSignature:
    """The ends of a step: states are the names that stand on both sides.

    Attributes:
        inputs, outputs: without the states.
        states_in, states_out: same names, same order.
        has_resources: True where the model keeps state inside, in resource variables.
        has_variables: True where it keeps state inside, in tensors of its operators (the fused LSTM).
        resets: True where it offers a signature `reset`; that reaches the resource variables only.
    """

    inputs: tuple[StepPort, ...]
    outputs: tuple[StepPort, ...]
    states_in: tuple[StepPort, ...]
    states_out: tuple[StepPort, ...]
    has_resources: bool
    has_variables: bool
    resets: bool

    @property
    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """What the caller sees: inputs, outputs, states."""
        return tuple(tuple(port.spec for port in side) for side in (self.inputs, self.outputs, self.states_in))

    @property
    def unnamed_states(self) -> tuple[tuple[str, str], ...]:
        """(input, output) at the same place, of one form but two names: perhaps a state, which nobody carries on.

        A step model names a state alike on both sides. One input at least is a reading: the first, where all could
        be states.
        """
        outputs = {port.position: port.spec for port in self.outputs}
        pairs = [(port.spec, outputs.get(port.position)) for port in self.inputs]
        alike = [(a.name, b.name) for a, b in pairs if b is not None and replace(a, name="") == replace(b, name="")]
        return tuple(alike[1:] if len(alike) == len(self.inputs) else alike)


def state_warnings(signature: StepSignature) -> list[str]:
    """A sentence for each of `unnamed_states`."""
    return [
        f"input {before} and output {after} may be a state, but have two names: nobody carries it on; name both alike"
        for before, after in signature.unnamed_states
    ]


def read_step_signature(model: bytes) -> StepSignature:
    """The ends of one step of `model` (a whole .tflite, already checked to be one).

    They are those of the signature `step`; else of the only one there is beside `reset`; else, without any, of
    subgraph 0, called as its tensors are (x0, x1, ... and y0, y1, ... where these have no names of their own).

    Raises:
        UserError: several signatures and none is `step`, one outside subgraph 0, a tensor without a fixed shape or
            whose batch is not 1,
            or a state whose two ends differ in shape, dtype or quantization.
    """
    root = schema.Model.GetRootAsModel(model, 0)
    if root.SubgraphsLength() == 0:
        raise UserError("model: holds no program; the file is damaged")
    graph = root.Subgraphs(0)
    signatures = {
        root.SignatureDefs(i).SignatureKey().decode(): root.SignatureDefs(i) for i in range(root.SignatureDefsLength())
    }
    ends_in, ends_out = _ends(graph, signatures)
    tensors_in, tensors_out = _end_tensors(graph)
    inputs, outputs = _ports(graph, ends_in, tensors_in), _ports(graph, ends_out, tensors_out)
    states = _states(inputs, outputs)
    return StepSignature(
        inputs=tuple(port for name, port in inputs.items() if name not in states),
        outputs=tuple(port for name, port in outputs.items() if name not in states),
        states_in=tuple(inputs[name] for name in states),
        states_out=tuple(outputs[name] for name in states),
        has_resources=any(
            root.OperatorCodes(i).BuiltinCode() == schema.BuiltinOperator.VAR_HANDLE
            for i in range(root.OperatorCodesLength())
        ),
        has_variables=any(
            part.Tensors(i).IsVariable()
            for part in map(root.Subgraphs, range(root.SubgraphsLength()))
            for i in range(part.TensorsLength())
        ),
        resets=RESET in signatures,
    )


def _ends(graph: schema.SubGraph, signatures: dict[str, schema.SignatureDef]) -> list[list[tuple[str, int]]]:
    """(name, tensor) of every input, and of every output, of one step."""
    others = [key for key in signatures if key != RESET]
    if STEP not in signatures and len(others) > 1:
        raise UserError(
            f"model: no signature `{STEP}` (found: {', '.join(sorted(others))}); convert the model with edgernn"
        )
    if not others:
        return [_tensor_names(graph, side, letter) for side, letter in zip(_end_tensors(graph), "xy", strict=True)]
    key = STEP if STEP in signatures else others[0]
    signature = signatures[key]
    if signature.SubgraphIndex() != 0:
        raise UserError(f"model: signature `{key}` is subgraph {signature.SubgraphIndex()}, expected 0")
    inputs = [signature.Inputs(i) for i in range(signature.InputsLength())]
    outputs = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    return [[(end.Name().decode(), int(end.TensorIndex())) for end in side] for side in (inputs, outputs)]


def _end_tensors(graph: schema.SubGraph) -> list[list[int]]:
    return [
        [graph.Inputs(i) for i in range(graph.InputsLength())],
        [graph.Outputs(i) for i in range(graph.OutputsLength())],
    ]


def _tensor_names(graph: schema.SubGraph, tensors: list[int], letter: str) -> list[tuple[str, int]]:
    names = [(graph.Tensors(index).Name() or b"").decode() for index in tensors]
    if len(set(names)) < len(names) or not all(names):
        names = [f"{letter}{place}" for place in range(len(tensors))] if len(tensors) > 1 else [letter]
    return list(zip(names, tensors, strict=True))


def _ports(graph: schema.SubGraph, ends: list[tuple[str, int]], positions: list[int]) -> dict[str, StepPort]:
    ports = {}
    for name, index in ends:
        if index not in positions:
            raise UserError(f"model: tensor {name} of the signature is not an end of subgraph 0; the file is damaged")
        ports[name] = StepPort(_tensor_spec(name, graph.Tensors(index)), index, positions.index(index))
    return ports


def _tensor_spec(name: str, tensor: schema.Tensor) -> TensorSpec:
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    if any(size < 0 for size in shape):
        raise UserError(f"model: tensor {name} has no fixed shape: {shape}; convert the model with one")
    if not shape or shape[0] != 1:
        raise UserError(f"model: tensor {name} has shape {shape}, expected a leading batch dimension of 1")
    if tensor.Type() not in _DTYPES:
        raise UserError(f"model: tensor {name} has the element type {tensor.Type()}, which no runtime here can feed")
    quantization = tensor.Quantization()
    scales = quantization.ScaleAsNumpy() if quantization and quantization.ScaleLength() else np.zeros(1)
    points = quantization.ZeroPointAsNumpy() if quantization and quantization.ZeroPointLength() else np.zeros(1)
    return TensorSpec(name, shape[1:], _DTYPES[tensor.Type()], float(scales[0]), int(points[0]))


def _states(inputs: dict[str, StepPort], outputs: dict[str, StepPort]) -> list[str]:
    states = [name for name in inputs if name in outputs]
    for name in states:
        if inputs[name].spec != outputs[name].spec:
            raise UserError(
                f"model: state {name} enters as {inputs[name].spec} and leaves as {outputs[name].spec}; "
                "both must be equal"
            )
    return states
