"""Damaged `.tflite` files: sound ones with bytes overwritten, cut or moved, or with fields changed; seeded."""

from collections.abc import Callable

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SIZES = (-1, 0, 1, 2, 3, 5, 8, 100, 1 << 20, (1 << 31) - 1)
SCALES = (0.0, -0.1, np.nan, np.inf, 1e-30, 1e-4, 0.01, 0.3, 1.0, 300.0, 1e30)
POINTS = (-(1 << 40), -32768, -129, -128, -1, 0, 1, 127, 128, 1 << 40)
WORDS = (0, 1, 2, 4, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(content: bytes, seed: int) -> bytes:
    """The file with one to three changes: of its bytes where the seed is even, of its fields where it is odd."""
    rng = np.random.default_rng(seed)
    if seed % 2 == 0:
        return _overwritten(content, rng)
    for _ in range(100):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        try:
            for _ in range(_one_of(rng, (1, 1, 2, 3))):
                _one_of(rng, CHANGES)(model, rng)
            builder = flatbuffers.Builder(1 << 14)
            builder.Finish(model.Pack(builder), b"TFL3")
            return bytes(builder.Output())
        except (TypeError, ValueError, OverflowError, AttributeError, IndexError):
            continue  # nothing left to change, or a change that no file can hold
    raise RuntimeError(f"seed {seed}: no change that a file can hold")


def _one_of(rng: np.random.Generator, values):
    return values[int(rng.integers(len(values)))]


# Bytes. Most of a file are constants: half of the changes go where the tables are, before or behind them.


def _overwritten(content: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(content)
    for _ in range(_one_of(rng, (1, 1, 2, 3))):
        place = int(_one_of(rng, (rng.integers(len(data)), rng.integers(min(400, len(data))),
                                  len(data) - 1 - rng.integers(min(2000, len(data))))))
        kind = rng.integers(5)
        if kind == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[place] = int(rng.integers(256))
        elif kind == 2:
            start = place & ~3
            data[start : start + 4] = int(_one_of(rng, WORDS)).to_bytes(4, "little")[: len(data) - start]
        elif kind == 3:
            del data[place : place + int(_one_of(rng, (1, 4, 16, len(data))))]
        else:
            length = int(_one_of(rng, (4, 16, 64)))
            other = int(rng.integers(len(data)))
            data[place : place + length] = data[other : other + length]
        if len(data) < 8:
            break
    return bytes(data)


# Fields.


def _tensor(model: schema.ModelT, rng: np.random.Generator) -> schema.TensorT:
    return _one_of(rng, model.subgraphs[0].tensors)


def _operator(model: schema.ModelT, rng: np.random.Generator) -> schema.OperatorT:
    return _one_of(rng, model.subgraphs[0].operators)


def _shape(model, rng):
    tensor = _tensor(model, rng)
    shape = list(tensor.shape if tensor.shape is not None else [])
    kind = rng.integers(3)
    if kind == 0 and shape:
        shape[int(rng.integers(len(shape)))] = _one_of(rng, SIZES)
    elif kind == 1:
        shape = shape[1:]
    else:
        shape = [_one_of(rng, (1, 1, 2)), *shape]
    tensor.shape = np.array(shape, np.int32)


def _type(model, rng):
    _tensor(model, rng).type = int(rng.integers(0, 20))


def _scale(model, rng):
    quantization = _tensor(model, rng).quantization
    if quantization is not None and quantization.scale is not None:
        quantization.scale = np.array([_one_of(rng, SCALES)] * _one_of(rng, (1, 1, 1, 2)), np.float32)


def _zero_point(model, rng):
    quantization = _tensor(model, rng).quantization
    if quantization is not None and quantization.scale is not None:
        points = [_one_of(rng, POINTS)] * _one_of(rng, (0, 1, 1, 1, 2))
        quantization.zeroPoint = np.array(points, np.int64)


def _no_quantization(model, rng):
    _tensor(model, rng).quantization = None


def _buffer(model, rng):
    _tensor(model, rng).buffer = int(rng.integers(len(model.buffers) + 1))


def _variable(model, rng):
    tensor = _tensor(model, rng)
    tensor.isVariable = not tensor.isVariable


def _data(model, rng):
    buffer = _one_of(rng, model.buffers)
    if buffer.data is not None and len(buffer.data):
        kind, data = rng.integers(3), np.array(buffer.data, np.uint8)
        noise = rng.integers(0, 256, len(data)).astype(np.uint8)
        buffer.data = (data[: len(data) // 2], np.concatenate([data, data]), noise)[kind]


def _ends(model, rng):
    """An operator reads or writes another tensor, or none."""
    operator, side = _operator(model, rng), _one_of(rng, ("inputs", "outputs"))
    places = np.array(getattr(operator, side), np.int32)
    if len(places):
        last = len(model.subgraphs[0].tensors)
        places[rng.integers(len(places))] = _one_of(rng, (*rng.integers(0, last, 6), last, -1, 1 << 20))
    setattr(operator, side, places[: len(places) - _one_of(rng, (0, 0, 0, 1))])


def _option(model, rng):
    options = _operator(model, rng).builtinOptions
    if options is not None:
        name = _one_of(rng, sorted(vars(options)))
        value = getattr(options, name)
        if isinstance(value, bool):
            setattr(options, name, not value)
        elif isinstance(value, int | np.integer):
            setattr(options, name, int(_one_of(rng, (-1, 0, 1, 2, 3, 4, 5, 100))))
        elif isinstance(value, float):
            setattr(options, name, float(_one_of(rng, (-1.0, 0.0, 0.5, 10.0, np.nan))))


def _no_options(model, rng):
    operator = _operator(model, rng)
    operator.builtinOptions, operator.builtinOptionsType = None, 0


def _kind(model, rng):
    code = _one_of(rng, model.operatorCodes)
    code.builtinCode = int(rng.integers(0, 163))
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)


def _exchanged_kinds(model, rng):
    _operator(model, rng).opcodeIndex = int(rng.integers(len(model.operatorCodes) + 1))


def _order(model, rng):
    operators = model.subgraphs[0].operators
    a, b = rng.integers(len(operators), size=2)
    operators[a], operators[b] = operators[b], operators[a]


def _dropped(model, rng):
    operators = model.subgraphs[0].operators
    del operators[int(rng.integers(len(operators)))]


def _repeated(model, rng):
    operators = model.subgraphs[0].operators
    operators.append(_one_of(rng, operators))


def _signature(model, rng):
    signature = _one_of(rng, model.signatureDefs)
    side = _one_of(rng, (signature.inputs, signature.outputs))
    if not side:
        return
    kind, entry = rng.integers(4), _one_of(rng, side)
    if kind == 0:
        entry.name = _one_of(rng, ("x", "y", "h0", "", "z"))
    elif kind == 1:
        entry.tensorIndex = int(rng.integers(len(model.subgraphs[0].tensors) + 1))
    elif kind == 2:
        side.remove(entry)
    else:
        signature.subgraphIndex = int(rng.integers(3))


def _subgraph_ends(model, rng):
    subgraph, side = model.subgraphs[0], _one_of(rng, ("inputs", "outputs"))
    ends = np.array(getattr(subgraph, side), np.int32)
    if len(ends):
        ends[rng.integers(len(ends))] = rng.integers(len(subgraph.tensors))
    setattr(subgraph, side, ends[: len(ends) - _one_of(rng, (0, 1))])


def _second_subgraph(model, rng):
    model.subgraphs.append(model.subgraphs[0])


CHANGES: tuple[Callable, ...] = (
    _shape, _type, _scale, _scale, _zero_point, _no_quantization, _buffer, _variable, _data, _ends, _ends, _option,
    _option, _no_options, _kind, _exchanged_kinds, _order, _dropped, _repeated, _signature, _subgraph_ends,
    _second_subgraph,
)  # fmt: skip
