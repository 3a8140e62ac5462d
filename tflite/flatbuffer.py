"""A step graph to and from the bytes of a `.tflite` file (TensorFlow Lite schema version 3).

The file is written through the schema's object API: no converter runs, so none can crash; the same graph gives
the same bytes. Tensor names are left out (the signature names what a caller needs), equal buffers are shared.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_models.affine_quantization import Affine
from tflite.step_graph import Op, StepGraph, Tensor

SIGNATURE = "step"
IDENTIFIER = b"TFL3"

# Operator -> (name of its options table, operator version by dtype of its first input; 1 where not given).
OPERATORS = {
    "ABS": ("AbsOptions", {}),
    "ADD": ("AddOptions", {"int8": 2}),
    "BATCH_MATMUL": ("BatchMatMulOptions", {"int8": 2}),
    "CAST": ("CastOptions", {}),
    "CONCATENATION": ("ConcatenationOptions", {"int8": 2}),
    "DEQUANTIZE": ("DequantizeOptions", {"int8": 2}),
    "DIV": ("DivOptions", {}),
    "LESS": ("LessOptions", {}),
    "LOGISTIC": (None, {"int8": 2}),
    "MAXIMUM": ("MaximumMinimumOptions", {}),
    "MINIMUM": ("MaximumMinimumOptions", {}),
    "MUL": ("MulOptions", {"int8": 2}),
    "QUANTIZE": ("QuantizeOptions", {}),
    "SELECT_V2": ("SelectV2Options", {}),
    "SIN": (None, {}),
    "SLICE": ("SliceOptions", {"int8": 2}),
    "SPLIT": ("SplitOptions", {"int8": 2}),
    "SPLIT_V": ("SplitVOptions", {"int8": 2}),
    "SQRT": (None, {}),
    "SUB": ("SubOptions", {"int8": 2}),
    "SUM": ("ReducerOptions", {}),
    "TANH": (None, {"int8": 2}),
}


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes start at a multiple of 16, as the schema demands and 32-bit cores need."""

    def Pack(self, builder):
        if self.data is None:
            return super().Pack(builder)
        raw = self.data.tobytes()
        builder.StartVector(1, len(raw), 16)
        builder.head = builder.head - len(raw)
        builder.Bytes[builder.head : builder.head + len(raw)] = raw
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def write_flatbuffer(graph: StepGraph) -> bytes:
    """The bytes of the `.tflite`: one subgraph, signature `step`, states named alike on both sides."""
    index = {tensor.name: i for i, tensor in enumerate(graph.tensors)}
    model = schema.ModelT()
    model.version = 3
    model.buffers = [_AlignedBuffer()]
    subgraph = schema.SubGraphT()
    subgraph.tensors = [_pack_tensor(tensor, model.buffers) for tensor in graph.tensors]
    codes = sorted({_operator_code(graph, op) for op in graph.ops})
    model.operatorCodes = [_pack_operator_code(*code) for code in codes]
    subgraph.operators = [_pack_op(op, index, codes.index(_operator_code(graph, op))) for op in graph.ops]
    inputs = [*graph.inputs, *((name, read) for name, read, _ in graph.states)]
    outputs = [*graph.outputs, *((name, written) for name, _, written in graph.states)]
    subgraph.inputs = _indices(index, [tensor for _, tensor in inputs])
    subgraph.outputs = _indices(index, [tensor for _, tensor in outputs])
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.inputs, signature.outputs = (_pack_names(side, index) for side in (inputs, outputs))
    model.signatureDefs, model.subgraphs = [signature], [subgraph]
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def read_flatbuffer(content: bytes) -> StepGraph:
    """The step graph of a `.tflite` with a signature `step`; tensors without a name are called `t<index>`.

    Raises:
        ValueError: no signature `step`, or an operator or quantization the step graph does not hold.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    signature = next((s for s in model.signatureDefs or [] if s.signatureKey == SIGNATURE.encode()), None)
    if signature is None:
        raise ValueError(f"the model has no signature {SIGNATURE!r}")
    subgraph = model.subgraphs[signature.subgraphIndex]
    tensors = tuple(_unpack_tensor(i, tensor, model.buffers) for i, tensor in enumerate(subgraph.tensors))
    ops = tuple(_unpack_op(op, model.operatorCodes, tensors) for op in subgraph.operators)
    inputs, outputs = (
        {entry.name.decode(): tensors[entry.tensorIndex].name for entry in side}
        for side in (signature.inputs, signature.outputs)
    )
    states = tuple((name, inputs[name], outputs[name]) for name in inputs if name in outputs)
    kept = {name for name, _, _ in states}
    return StepGraph(
        tensors,
        ops,
        tuple((n, t) for n, t in inputs.items() if n not in kept),
        tuple((n, t) for n, t in outputs.items() if n not in kept),
        states,
    )


def operator_names(content: bytes) -> list[str]:
    """The operators of the first subgraph of any `.tflite`, in order; also those a step graph does not hold."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    return [_kind(op, model.operatorCodes) for op in model.subgraphs[0].operators or []]


def _operator_code(graph: StepGraph, op: Op) -> tuple[int, int]:
    """(builtin code, version) of an operator over the tensors it reads."""
    data = op.inputs[1] if op.kind == "SPLIT" else op.inputs[0]
    version = OPERATORS[op.kind][1].get(graph.tensor(data).dtype, 1)
    return getattr(schema.BuiltinOperator, op.kind), version


def _pack_operator_code(code: int, version: int) -> schema.OperatorCodeT:
    packed = schema.OperatorCodeT()
    packed.builtinCode, packed.deprecatedBuiltinCode, packed.version = code, min(code, 127), version
    return packed


def _pack_tensor(tensor: Tensor, buffers: list) -> schema.TensorT:
    packed = schema.TensorT()
    packed.shape = np.array(tensor.shape, np.int32)
    packed.type = getattr(schema.TensorType, tensor.dtype.upper())
    if tensor.data is not None:
        buffer = _AlignedBuffer()
        buffer.data = tensor.data
        buffers.append(buffer)
        packed.buffer = len(buffers) - 1
    if tensor.affine is not None:
        packed.quantization = schema.QuantizationParametersT()
        packed.quantization.scale = np.array([tensor.affine.scale], np.float32)
        packed.quantization.zeroPoint = np.array([tensor.affine.zero_point], np.int64)
    return packed


def _pack_op(op: Op, index: dict[str, int], opcode: int) -> schema.OperatorT:
    packed = schema.OperatorT()
    packed.opcodeIndex = opcode
    packed.inputs, packed.outputs = _indices(index, op.inputs), _indices(index, op.outputs)
    table = OPERATORS[op.kind][0]
    if table is not None:
        packed.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        packed.builtinOptions = getattr(schema, table + "T")()
        for name, value in op.options:
            setattr(packed.builtinOptions, name, value)
    return packed


def _pack_names(side: list[tuple[str, str]], index: dict[str, int]) -> list[schema.TensorMapT]:
    entries = []
    for name, tensor in side:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index[tensor]
        entries.append(entry)
    return entries


def _indices(index: dict[str, int], names) -> np.ndarray:
    return np.array([index[name] for name in names], np.int32)


def _unpack_tensor(index: int, packed: schema.TensorT, buffers: list) -> Tensor:
    dtype = next(name for name, value in vars(schema.TensorType).items() if value == packed.type).lower()
    shape = tuple(int(n) for n in packed.shape) if packed.shape is not None else ()
    raw = buffers[packed.buffer].data
    data = None if raw is None or not packed.buffer else np.frombuffer(bytes(raw), dtype).reshape(shape)
    name = packed.name.decode() if packed.name else f"t{index}"
    return Tensor(name, shape, dtype, _unpack_affine(name, packed.quantization), data)


def _unpack_affine(name: str, quantization) -> Affine | None:
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return None
    if len(quantization.scale) != 1:
        raise ValueError(f"tensor {name!r} is quantized per channel; the step graph holds one scale per tensor")
    return Affine(float(quantization.scale[0]), int(quantization.zeroPoint[0]))


def _kind(packed: schema.OperatorT, codes: list) -> str:
    code = max(codes[packed.opcodeIndex].builtinCode, codes[packed.opcodeIndex].deprecatedBuiltinCode)
    return next(name for name, value in vars(schema.BuiltinOperator).items() if value == code)


def _unpack_op(packed: schema.OperatorT, codes: list, tensors: tuple[Tensor, ...]) -> Op:
    kind = _kind(packed, codes)
    if kind not in OPERATORS:
        raise ValueError(f"operator {kind} is not one the step graph holds")
    changed = {}
    if packed.builtinOptions is not None:
        defaults = vars(type(packed.builtinOptions)())
        changed = {k: v for k, v in vars(packed.builtinOptions).items() if v != defaults[k]}
    names = [tuple(tensors[i].name for i in side) for side in (packed.inputs, packed.outputs)]
    return Op(kind, *names, tuple(sorted(changed.items())))
