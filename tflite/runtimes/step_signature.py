"""The signature `step` read out of a .tflite: which tensor carries which name, at which place."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.user_error import UserError
from tflite.runtimes.step_runtime import TensorSpec

STEP = "step"
RESET = "reset"

_DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.INT8: "int8",
    schema.TensorType.INT16: "int16",
    schema.TensorType.INT32: "int32",
    schema.TensorType.UINT8: "uint8",
    schema.TensorType.INT64: "int64",
    schema.TensorType.BOOL: "bool",
}


@dataclass(frozen=True)
class StepPort:
    """One named end of the signature.

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
    """The ends of `step`: states are the names that stand on both sides.

    Attributes:
        inputs, outputs: without the states.
        states_in, states_out: same names, same order.
        has_resources: True where the model keeps state inside (resource variables).
        resets: True where it offers a signature `reset` for them.
    """

    inputs: tuple[StepPort, ...]
    outputs: tuple[StepPort, ...]
    states_in: tuple[StepPort, ...]
    states_out: tuple[StepPort, ...]
    has_resources: bool
    resets: bool

    @property
    def specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """What the caller sees: inputs, outputs, states."""
        return tuple(tuple(port.spec for port in side) for side in (self.inputs, self.outputs, self.states_in))


def read_step_signature(model: bytes) -> StepSignature:
    """The signature `step` of `model` (a whole .tflite, already checked to be one).

    Raises:
        UserError: no signature `step`, one outside subgraph 0, a tensor whose batch is not 1, or a
            state whose two ends differ in shape, dtype or quantization.
    """
    root = schema.Model.GetRootAsModel(model, 0)
    signatures = {
        root.SignatureDefs(i).SignatureKey().decode(): root.SignatureDefs(i) for i in range(root.SignatureDefsLength())
    }
    if STEP not in signatures:
        found = ", ".join(sorted(signatures)) or "none"
        raise UserError(f"model: no signature `{STEP}` (found: {found}); convert the model with edgernn")
    signature = signatures[STEP]
    if signature.SubgraphIndex() != 0:
        raise UserError(f"model: signature `{STEP}` is subgraph {signature.SubgraphIndex()}, expected 0")
    graph = root.Subgraphs(0)
    ends_in = [signature.Inputs(i) for i in range(signature.InputsLength())]
    ends_out = [signature.Outputs(i) for i in range(signature.OutputsLength())]
    inputs = _ports(graph, ends_in, list(graph.InputsAsNumpy()))
    outputs = _ports(graph, ends_out, list(graph.OutputsAsNumpy()))
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
        resets=RESET in signatures,
    )


def _ports(graph: schema.SubGraph, ends: list, positions: list[int]) -> dict[str, StepPort]:
    ports = {}
    for end in ends:
        name, index = end.Name().decode(), end.TensorIndex()
        if index not in positions:
            raise UserError(f"model: tensor {name} of the signature is not an end of subgraph 0; the file is damaged")
        ports[name] = StepPort(_tensor_spec(name, graph.Tensors(index)), int(index), positions.index(index))
    return ports


def _tensor_spec(name: str, tensor: schema.Tensor) -> TensorSpec:
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
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
