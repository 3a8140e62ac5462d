"""A step graph to and from the bytes of a `.tflite` file (TensorFlow Lite schema version 3).

The file is written through the schema's object API: no converter runs, so none can crash; the same graph gives
the same bytes. Tensor names are left out (the signature names what a caller needs), and what is equal is written once:
constants, shapes, quantizations, options of operators, names.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import repeat

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_models.affine_quantization import Affine
from tflite.builtin_operators import OPERATORS, operator_version
from tflite.runtimes.step_signature import RESET, STEP, read_step_signature
from tflite.state_variables import keep_states_inside, take_states_out
from tflite.step_graph import ABSENT, DTYPES, Op, StepGraph, Tensor

STATES = ("external", "internal")
IDENTIFIER = b"TFL3"


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


class _Shared:
    """A table that is written once however many refer to it."""

    def __init__(self, table):
        self._table, self._place = table, None

    def Pack(self, builder):
        if self._place is None:
            self._place = self._table.Pack(builder)
        return self._place


def _quantization(affine: Affine) -> _Shared:
    table = schema.QuantizationParametersT()
    table.scale, table.zeroPoint = np.array([affine.scale], np.float32), np.array([affine.zero_point], np.int64)
    return _Shared(table)


def _options(kind: str, values: tuple[tuple[str, object], ...]) -> _Shared:
    table = getattr(schema, f"{kind}T")()
    for name, value in values:
        setattr(table, name, value)
    return _Shared(table)


class _Pool:
    """What the tensors and operators of all programs of a file share."""

    def __init__(self):
        self.buffers = [_AlignedBuffer()]
        self.quantization = cache(_quantization)
        self._places, self._options = {}, {}

    def options(self, table: str, values: tuple[tuple[str, object], ...]) -> _Shared:
        """The options of an operator; a value may be an array, which no key can be."""
        key = repr((table, values))
        if key not in self._options:
            self._options[key] = _options(table, values)
        return self._options[key]

    def place(self, data: np.ndarray) -> int:
        """The index of the buffer that holds `data`."""
        content = data.tobytes()
        if content not in self._places:
            self._places[content] = len(self.buffers)
            buffer = _AlignedBuffer()
            buffer.data = data
            self.buffers.append(buffer)
        return self._places[content]


class _Builder(flatbuffers.Builder):
    """Writes equal vectors of integers, and equal strings, once: most tensors have the shape of another, which takes 12
    bytes each time, and a state outside has one name on both sides.
    """

    def __init__(self, size: int):
        super().__init__(size)
        self._vectors, self._strings = {}, {}

    def CreateString(self, s, *args, **kwargs) -> int:
        if s not in self._strings:
            self._strings[s] = super().CreateString(s, *args, **kwargs)
        return self._strings[s]

    def CreateNumpyVector(self, values: np.ndarray) -> int:
        """The place of the vector; data of buffers is in bytes, and aligned as it was put there."""
        if values.dtype != np.int32:
            return super().CreateNumpyVector(values)
        key = values.tobytes()
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(values)
        return self._vectors[key]


def write_flatbuffer(graph: StepGraph, state: str = "external") -> bytes:
    """The bytes of the `.tflite`, with a signature `step`.

    Args:
        state: "external": the states are inputs and outputs of `step`, named alike on both sides. "internal": they are
            resource variables of the same names, and a signature `reset` puts them to real 0; where the graph has
            no states there is none.

    Raises:
        ValueError: an unknown `state`.
    """
    if state not in STATES:
        raise ValueError(f"state: expected one of {', '.join(STATES)}, got {state!r}")
    programs = {STEP: graph}
    if state == "internal" and graph.states:
        programs = dict(zip((STEP, RESET), keep_states_inside(graph), strict=True))
    return write_signatures(programs)


def write_signatures(programs: Mapping[str, StepGraph]) -> bytes:
    """The bytes of a `.tflite` with a subgraph and a signature for each program, states outside."""
    model, pool = schema.ModelT(), _Pool()
    model.version, model.buffers = 3, pool.buffers
    codes = sorted({_operator_code(program, op) for program in programs.values() for op in program.ops})
    model.operatorCodes = [_pack_operator_code(*code) for code in codes]
    model.subgraphs = [_pack_program(program, codes, pool) for program in programs.values()]
    model.signatureDefs = [_pack_signature(key, i, program) for i, (key, program) in enumerate(programs.items())]
    builder = _Builder(1 << 14)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def read_flatbuffer(content: bytes) -> StepGraph:
    """The step graph of a `.tflite`; tensors without a name of their own are called `t<index>`.

    States are what stands on both sides of its signature (see `read_step_signature`), and resource variables.

    Raises:
        ValueError: no usable signature, or an operator, a quantization or a way to keep state that the step graph
            does not hold.
    """
    signature = read_step_signature(content)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    step = _unpack_program(model, 0)
    names = [tensor.name for tensor in step.tensors]
    inputs, outputs, before, after = (
        [(port.spec.name, names[port.tensor]) for port in side]
        for side in (signature.inputs, signature.outputs, signature.states_in, signature.states_out)
    )
    states = tuple((*entry, written) for entry, (_, written) in zip(before, after, strict=True))
    step = replace(step, inputs=tuple(inputs), outputs=tuple(outputs), states=states)
    if not signature.has_resources:
        return step
    called = [dict(op.options).get("initSubgraphIndex", 0) for op in step.ops if op.kind == "CALL_ONCE"]
    return take_states_out(step, [_unpack_program(model, index) for index in called])


def operator_names(content: bytes, subgraph: int = 0) -> list[str]:
    """The operators of a subgraph of any `.tflite`, in order; also those a step graph does not hold."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    return [_kind(op, model.operatorCodes) for op in model.subgraphs[subgraph].operators or []]


def _operator_code(graph: StepGraph, op: Op) -> tuple[int, int]:
    """(builtin code, version) of an operator over the tensors it reads."""
    return getattr(schema.BuiltinOperator, op.kind), operator_version(graph, op)


def _pack_operator_code(code: int, version: int) -> schema.OperatorCodeT:
    packed = schema.OperatorCodeT()
    packed.builtinCode, packed.deprecatedBuiltinCode, packed.version = code, min(code, 127), version
    return packed


def _pack_tensor(tensor: Tensor, pool: _Pool) -> schema.TensorT:
    packed = schema.TensorT()
    packed.shape = np.array(tensor.shape, np.int32)
    packed.isVariable = tensor.variable
    packed.type = getattr(schema.TensorType, tensor.dtype.upper())
    if tensor.data is not None:
        packed.buffer = pool.place(tensor.data)
    if tensor.affine is not None:
        packed.quantization = pool.quantization(tensor.affine)
    return packed


def _pack_op(op: Op, index: dict[str, int], opcode: int, pool: _Pool) -> schema.OperatorT:
    packed = schema.OperatorT()
    packed.opcodeIndex = opcode
    packed.inputs, packed.outputs = _indices(index, op.inputs), _indices(index, op.outputs)
    if op.intermediates:
        packed.intermediates = _indices(index, op.intermediates)
    table = OPERATORS[op.kind][0]
    if table is not None:
        packed.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        packed.builtinOptions = pool.options(table, op.options)
    return packed


def _pack_program(graph: StepGraph, codes: list[tuple[int, int]], pool: _Pool) -> schema.SubGraphT:
    """One subgraph; its constants join the pool."""
    index = _index(graph)
    packed = schema.SubGraphT()
    packed.tensors = [_pack_tensor(tensor, pool) for tensor in graph.tensors]
    packed.operators = [_pack_op(op, index, codes.index(_operator_code(graph, op)), pool) for op in graph.ops]
    packed.inputs, packed.outputs = (_indices(index, [tensor for _, tensor in side]) for side in _ends(graph))
    return packed


def _pack_signature(key: str, subgraph: int, graph: StepGraph) -> schema.SignatureDefT:
    packed = schema.SignatureDefT()
    packed.signatureKey, packed.subgraphIndex = key, subgraph
    packed.inputs, packed.outputs = (_pack_names(side, _index(graph)) for side in _ends(graph))
    return packed


def _ends(graph: StepGraph) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(name, tensor) of every input and output, the states last."""
    return (
        [*graph.inputs, *((name, read) for name, read, _ in graph.states)],
        [*graph.outputs, *((name, written) for name, _, written in graph.states)],
    )


def _index(graph: StepGraph) -> dict[str, int]:
    return {ABSENT: -1} | {tensor.name: i for i, tensor in enumerate(graph.tensors)}


def _pack_names(side: list[tuple[str, str]], index: dict[str, int]) -> list[schema.TensorMapT]:
    entries = []
    for name, tensor in side:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index[tensor]
        entries.append(entry)
    return entries


def _indices(index: dict[str, int], names) -> np.ndarray:
    return np.array([index[name] for name in names], np.int32)


def _unpack_program(model: schema.ModelT, index: int) -> StepGraph:
    """One subgraph, its ends left out."""
    subgraph = model.subgraphs[index]
    given = [(tensor.name or b"").decode() for tensor in subgraph.tensors]
    uses = Counter(given)
    names = [name if name and uses[name] == 1 else f"t{i}" for i, name in enumerate(given)]
    tensors = tuple(map(_unpack_tensor, names, subgraph.tensors, repeat(model.buffers)))
    operators = enumerate(subgraph.operators)
    ops = tuple(_unpack_op(index, op, model.operatorCodes, tensors) for index, op in operators)
    return StepGraph(tensors, ops, (), ())


def _unpack_tensor(name: str, packed: schema.TensorT, buffers: list) -> Tensor:
    dtype = next(name for name, value in vars(schema.TensorType).items() if value == packed.type).lower()
    if dtype not in DTYPES:
        raise ValueError(f"tensor {name!r} is of {dtype}, which the step graph does not hold")
    shape = tuple(int(n) for n in packed.shape) if packed.shape is not None else ()
    raw = buffers[packed.buffer].data
    data = None if raw is None or not packed.buffer else np.frombuffer(bytes(raw), dtype).reshape(shape)
    return Tensor(name, shape, dtype, _unpack_affine(name, dtype, packed.quantization), data, bool(packed.isVariable))


def _unpack_affine(name: str, dtype: str, quantization) -> Affine | None:
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return None
    if len(quantization.scale) != 1:
        raise ValueError(f"tensor {name!r} is quantized per channel; the step graph holds one scale per tensor")
    zero_point = 0 if quantization.zeroPoint is None else int(quantization.zeroPoint[0])
    return Affine(float(quantization.scale[0]), zero_point, 8 * np.dtype(dtype).itemsize)


def _kind(packed: schema.OperatorT, codes: list) -> str:
    code = max(codes[packed.opcodeIndex].builtinCode, codes[packed.opcodeIndex].deprecatedBuiltinCode)
    return next(name for name, value in vars(schema.BuiltinOperator).items() if value == code)


def _unpack_op(index: int, packed: schema.OperatorT, codes: list, tensors: tuple[Tensor, ...]) -> Op:
    kind = _kind(packed, codes)
    if kind not in OPERATORS:
        raise ValueError(f"operator {index} {kind} is not one the step graph holds")
    changed = {}
    if packed.builtinOptions is not None:
        defaults = vars(type(packed.builtinOptions)())
        values = {k: _option_value(v) for k, v in vars(packed.builtinOptions).items()}
        changed = {k: v for k, v in values.items() if v != defaults[k]}
    inputs, outputs, intermediates = (
        tuple(ABSENT if i < 0 else tensors[i].name for i in (side if side is not None else ()))
        for side in (packed.inputs, packed.outputs, packed.intermediates)
    )
    return Op(kind, inputs, outputs, tuple(sorted(changed.items())), intermediates)


def _option_value(value: object) -> object:
    """Text as str and vectors as tuples, the way a step graph holds them."""
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value
