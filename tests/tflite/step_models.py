"""Step models written straight into the flatbuffer schema: fixtures that need no converter and no training.

Everything is seeded, so the same call gives the same bytes.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TENSOR_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}


class StepModelWriter:
    """Collects tensors and operators of one subgraph, then writes them with a signature `step`."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name, shape=None, dtype=np.float32, scale=0.0, zero_point=0, data=None):
        """Adds a tensor; `data` (an array) makes it a constant. Returns its index."""
        tensor = schema.TensorT()
        tensor.name = name
        if data is not None:
            data = np.ascontiguousarray(data)
            shape, dtype = data.shape, data.dtype
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        tensor.shape = np.array(shape, np.int32)
        tensor.type = TENSOR_TYPES[np.dtype(dtype)]
        if np.any(scale):
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.array(scale, np.float32))
            tensor.quantization.zeroPoint = np.atleast_1d(np.array(zero_point, np.int64))
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(self, name, inputs, outputs, options=None):
        """Adds the builtin operator `name` (e.g. "MUL"); `options` is a schema options object."""
        code = getattr(schema.BuiltinOperator, name)
        codes = [c.builtinCode for c in self.model.operatorCodes]
        if code not in codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            self.model.operatorCodes.append(entry)
            codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = codes.index(code)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:  # the union's type is the class's own name
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.graph.operators.append(operator)
        return outputs[0] if outputs else None

    def write(self, inputs, outputs, position_order=None, reset=None):
        """The flatbuffer; `inputs`, `outputs`: {signature name: tensor index}.

        `position_order` "reversed" turns the subgraph's own order against the signature's, to catch code
        that relies on positions. `reset` is a second subgraph, for a signature of that name.
        """
        step = slice(None, None, -1) if position_order == "reversed" else slice(None)
        self.graph.inputs = np.array(list(inputs.values())[step], np.int32)
        self.graph.outputs = np.array(list(outputs.values())[step], np.int32)
        self.model.subgraphs = [self.graph]
        self.model.signatureDefs = [_signature("step", 0, inputs, outputs)]
        if reset is not None:
            self.model.subgraphs.append(reset)
            self.model.signatureDefs.append(_signature("reset", 1, {}, {}))
        builder = flatbuffers.Builder(4096)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _signature(key, subgraph, inputs, outputs):
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = key, subgraph
    signature.inputs, signature.outputs = _tensor_map(inputs), _tensor_map(outputs)
    return signature


def _tensor_map(names):
    entries = []
    for name, index in names.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    return entries


def quantized_gru_step(features=8, units=32, outputs=8, seed=0, position_order=None, float_io=True):
    """An int8 GRU step (reset_after, gates z r h) with a linear head; state `h0` int8, scale 1/128.

    Signature: step(x, h0) -> (y, h0). With float_io=False, x and y are int8 themselves.
    """
    rng = np.random.default_rng(seed)
    writer = StepModelWriter()
    x_q = writer.tensor("x_q", [1, features], np.int8, 4 / 128, 3)
    x = writer.tensor("x", [1, features]) if float_io else x_q
    h = writer.tensor("h", [1, units], np.int8, 1 / 128, 0)
    if float_io:
        writer.op("QUANTIZE", [x], [x_q])
    xg = _dense(writer, rng, x_q, features, 3 * units, "x_gates", 1 / 16)
    hg = _dense(writer, rng, h, units, 3 * units, "h_gates", 1 / 16)
    new_h = _gru_update(writer, xg, hg, h, units)
    y_q = _dense(writer, rng, new_h, units, outputs, "y_q", 1 / 32, zero_point=-5)
    y = y_q
    if float_io:
        y = writer.tensor("y", [1, outputs])
        writer.op("DEQUANTIZE", [y_q], [y])
    return writer.write({"x": x, "h0": h}, {"y": y, "h0": new_h}, position_order)


def _dense(writer, rng, source, fan_in, fan_out, name, scale, zero_point=0):
    source_scale = float(writer.graph.tensors[source].quantization.scale[0])
    weights = rng.normal(0, 1 / np.sqrt(fan_in), (fan_out, fan_in))
    weight_scale = np.abs(weights).max() / 127
    kernel = np.round(weights / weight_scale).astype(np.int8)
    bias = np.round(rng.normal(0, 0.1, fan_out) / (source_scale * weight_scale)).astype(np.int32)
    w = writer.tensor(name + "_w", scale=weight_scale, data=kernel)
    b = writer.tensor(name + "_b", scale=source_scale * weight_scale, data=bias)
    out = writer.tensor(name, [1, fan_out], np.int8, scale, zero_point)
    return writer.op("FULLY_CONNECTED", [source, w, b], [out], schema.FullyConnectedOptionsT())


def _gru_update(writer, xg, hg, h, units):
    def int8(name, scale, zero_point=0):
        return writer.tensor(name, [1, units], np.int8, scale, zero_point)

    def split(source, name):
        axis = writer.tensor(name + "_axis", data=np.array(1, np.int32))
        parts = [int8(f"{name}_{gate}", 1 / 16) for gate in "zrh"]
        options = schema.SplitOptionsT()
        options.numSplits = 3
        writer.op("SPLIT", [axis, source], parts, options)
        return parts

    def binary(op, a, b, name, scale):
        options = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[op]()
        return writer.op(op, [a, b], [int8(name, scale)], options)

    (xz, xr, xh), (hz, hr, hh) = split(xg, "xg"), split(hg, "hg")
    z = writer.op("LOGISTIC", [binary("ADD", xz, hz, "z_in", 1 / 16)], [int8("z", 1 / 256, -128)])
    r = writer.op("LOGISTIC", [binary("ADD", xr, hr, "r_in", 1 / 16)], [int8("r", 1 / 256, -128)])
    rh = binary("MUL", r, hh, "rh", 1 / 16)
    n = writer.op("TANH", [binary("ADD", xh, rh, "n_in", 1 / 16)], [int8("n", 1 / 128)])
    keep = binary("SUB", h, n, "h_minus_n", 2 / 128)
    return binary("ADD", n, binary("MUL", z, keep, "z_keep", 2 / 128), "new_h", 1 / 128)


def delay_line_step(width=2):
    """Float, two inputs, two outputs, two states that swap: step(a, b, s0, s1) -> (total, late, s0, s1).

    total = a + b; late = the a of two steps ago; s0' = total, s1' = s0: s1 leaves through the entry of s0,
    so copying the states one after the other would lose it.
    """
    writer = StepModelWriter()
    a, b, s0, s1 = (writer.tensor(name, [1, width]) for name in ("a", "b", "s0", "s1"))
    total, late, kept = (writer.tensor(name, [1, width]) for name in ("total", "late", "kept"))
    zero = writer.tensor("zero", data=np.zeros((1, width), np.float32))
    writer.op("ADD", [a, b], [total], schema.AddOptionsT())
    writer.op("ADD", [s1, zero], [late], schema.AddOptionsT())
    writer.op("ADD", [total, zero], [kept], schema.AddOptionsT())
    inputs = {"a": a, "b": b, "s0": s0, "s1": s1}
    return writer.write(inputs, {"total": total, "late": late, "s0": kept, "s1": s0})


def running_sum_step(width=3):
    """Float with state inside: step(x) -> y = sum of all x since the last `reset()`."""
    writer = StepModelWriter()
    x, total, before = (writer.tensor(name, [1, width]) for name in ("x", "total", "before"))
    writer.op("CALL_ONCE", [], [], _options(schema.CallOnceOptionsT(), initSubgraphIndex=1))
    handle = _variable(writer)
    writer.op("READ_VARIABLE", [handle], [before], schema.ReadVariableOptionsT())
    writer.op("ADD", [before, x], [total], schema.AddOptionsT())
    writer.op("ASSIGN_VARIABLE", [handle, total], [], schema.AssignVariableOptionsT())
    main = writer.graph
    writer.graph = schema.SubGraphT()
    writer.graph.tensors, writer.graph.operators = [], []
    writer.graph.inputs = writer.graph.outputs = np.zeros(0, np.int32)
    handle = _variable(writer)
    zeros = writer.tensor("zeros", data=np.zeros((1, width), np.float32))
    writer.op("ASSIGN_VARIABLE", [handle, zeros], [], schema.AssignVariableOptionsT())
    reset, writer.graph = writer.graph, main
    return writer.write({"x": x}, {"y": total}, reset=reset)


def _variable(writer):
    handle = writer.tensor("variable", [1], np.int32)
    writer.graph.tensors[handle].type = schema.TensorType.RESOURCE
    options = _options(schema.VarHandleOptionsT(), container="", sharedName="total")
    return writer.op("VAR_HANDLE", [], [handle], options)


def _options(options, **values):
    for name, value in values.items():
        setattr(options, name, value)
    return options
