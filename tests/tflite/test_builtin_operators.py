"""Every operator a step graph may hold, alone in a model, in every dtype a kernel has: what each runtime answers."""

import math

import numpy as np
import pytest
from runtime_ways import WAYS

from keras_models.affine_quantization import Affine
from pipeline.user_error import UserError
from tflite.builtin_operators import OPERATORS, operator_version
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model
from tflite.step_graph import ABSENT, StepGraphBuilder

X = np.array([[1.5, 0.5, 0.25, 1.0]], np.float32)
OTHER = np.array([[1.0, 2.0, 0.5, 1.5]], np.float32)
SIGNED = np.array([[-1.5, 0.5, -0.25, 1.0]], np.float32)
MATRIX = np.array([[0.5, -1.0, 0.25, 1.0], [0.125, 1.5, -1.0, 0.5], [-0.5, 0.25, 1.0, -1.25]], np.float32)
BIAS = np.array([0.25, -0.5, 1.0], np.float32)
AFFINES = {"float32": None, "int8": Affine(1 / 32, 0), "int16": Affine(1 / 4096, 0, 16)}
# LOGISTIC, TANH and SOFTMAX accept no other output quantization.
OUTPUTS = {"LOGISTIC": {"int8": Affine(1 / 256, -128)}, "SOFTMAX": {"int8": Affine(1 / 256, -128)},
           "TANH": {"int8": Affine(1 / 128, 0)}}
FRACTIONS = Affine(1 / 32768, 0, 16)

ALL, INTEGERS = ("float32", "int8", "int16"), ("int8", "int16")
# Operator -> (dtypes some kernel has, real value for x).
UNARY = {
    "ABS": (ALL, np.abs), "ELU": (("float32", "int8"), lambda x: np.where(x > 0, x, np.expm1(x))), "EXP": (ALL, np.exp),
    "GELU": (ALL, lambda x: x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2),
    "HARD_SWISH": (("float32", "int8"), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "LEAKY_RELU": (ALL, lambda x: np.where(x > 0, x, 0.25 * x)), "LOGISTIC": (ALL, lambda x: 1 / (1 + np.exp(-x))),
    "NEG": (ALL, np.negative), "RELU": (ALL, lambda x: np.maximum(x, 0)), "RELU6": (ALL, lambda x: np.clip(x, 0, 6)),
    "SIN": (("float32",), np.sin), "SOFTMAX": (ALL, lambda x: np.exp(x) / np.exp(x).sum()),
    "SQUARE": (("float32",), np.square), "TANH": (ALL, np.tanh),
}
POSITIVE = {"LOG": (ALL, np.log), "SQRT": (ALL, np.sqrt)}
BINARY = {
    "ADD": (ALL, np.add), "DIV": (ALL, np.divide), "GREATER": (("float32", "int8"), np.greater),
    "LESS": (ALL, np.less),
    "MAXIMUM": (ALL, np.maximum), "MINIMUM": (ALL, np.minimum), "MUL": (ALL, np.multiply), "SUB": (ALL, np.subtract),
    "SQUARED_DIFFERENCE": (ALL, lambda a, b: (a - b) ** 2),
}
OPTIONS = {"LEAKY_RELU": {"alpha": 0.25}, "SOFTMAX": {"beta": 1.0}}

# Kernels that are missing, by (operator, dtype): loading or the first step says so.
MISSING = {
    "tflm": {("DIV", "int16"), ("EXP", "int8"), ("EXP", "int16"), ("GELU", "float32"), ("GELU", "int8"),
             ("GELU", "int16"), ("LESS", "int16"), ("LOG", "int8"), ("LOG", "int16"), ("NEG", "int8"),
             ("NEG", "int16"), ("SQRT", "int8"), ("SQRT", "int16"), ("GATHER", "int16")},
    "litert-reference": {("ELU", "float32"), ("ELU", "int8"), ("SQUARED_DIFFERENCE", "int16")},
    "litert-builtin": {("SQUARED_DIFFERENCE", "int16")},
    "litert-default": {("SQUARED_DIFFERENCE", "int16")},
}
# Kernels that answer something else, without a word: no lowering may rely on these. (TFLM's GREATER in int16, which
# leaves in its output what the memory held, is left out: it may be right by chance.)
WRONG = {("litert-reference", "SUM", "int16")}
# Integer tables of 513 entries with lines between.
COARSE = {("EXP", "int16"), ("LOG", "int16")}


def constant(builder, name, values, dtype):
    affine = AFFINES[dtype]
    return builder.constant(name, affine.quantize(values) if affine else values.astype(dtype), affine)


def started(dtype, width=4):
    """A builder and its float32 or integer input x."""
    builder = StepGraphBuilder()
    x = builder.tensor("x", width, AFFINES[dtype])
    builder.inputs.append(("x", x))
    return builder, x


def finished(builder, outputs):
    builder.outputs += [(f"y{i}", output) for i, output in enumerate(outputs)]
    return builder.build()


def plain(kind, dtype, second=None):
    """x, or x and a constant, in; one tensor of the same width out."""
    builder, x = started(dtype)
    inputs = [x] if second is None else [x, constant(builder, "other", second, dtype)]
    affine = OUTPUTS.get(kind, {}).get(dtype, FRACTIONS if kind in OUTPUTS and dtype == "int16" else AFFINES[dtype])
    compares = kind in ("LESS", "GREATER")
    y = builder.tensor("y", 4, *((None, "bool") if compares else (affine,)))
    wide = {"potScaleInt16": False} if kind in ("ADD", "SUB") and dtype == "int16" else {}
    return finished(builder, [builder.op(kind, inputs, y, **OPTIONS.get(kind, {}), **wide)])


def outcome(graph, way, x, dtype):
    """Real outputs of one step, one after the other; None where the runtime has no such kernel."""
    content = write_flatbuffer(graph)
    assert write_flatbuffer(read_flatbuffer(content)) == content
    try:
        runtime = load_model(content, **WAYS[way])
        results = runtime.step(x[0].astype(dtype) if dtype in ("int32", "bool") else x[0])
    except (UserError, RuntimeError):
        return None
    values = results.values() if isinstance(results, dict) else [results]
    return np.concatenate([np.ravel(value) for value in values])


def check(kind, dtype, graph, expected, way, x=X, quanta=1.5):
    """Within rounding to the nearest integer and half another for the kernel's own arithmetic."""
    result = outcome(graph, way, x, dtype)
    quanta = 4 if (kind, dtype) in COARSE else quanta
    if (kind, dtype) in MISSING[way]:
        assert result is None, f"{way} has {kind} in {dtype} now"
        return
    assert result is not None, f"{way} has no {kind} in {dtype}"
    quantum = AFFINES[dtype].scale if AFFINES.get(dtype) else 1e-6
    close = np.allclose(result, np.ravel(expected), rtol=0, atol=quanta * quantum)
    assert close != ((way, kind, dtype) in WRONG), (result, expected)


def cases(table):
    return [(kind, dtype) for kind, (dtypes, _) in table.items() for dtype in dtypes]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "dtype"), cases(UNARY))
def test_unary(kind, dtype, way):
    check(kind, dtype, plain(kind, dtype), UNARY[kind][1](SIGNED), way, SIGNED)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "dtype"), cases(BINARY))
def test_binary(kind, dtype, way):
    check(kind, dtype, plain(kind, dtype, OTHER), BINARY[kind][1](X, OTHER), way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "dtype"), cases(POSITIVE))
def test_of_positive_numbers(kind, dtype, way):
    check(kind, dtype, plain(kind, dtype), POSITIVE[kind][1](X), way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ALL)
def test_rsqrt(dtype, way):
    """LiteRT's integer kernel refuses 0 at run time, so x is kept away from it, as a variance plus epsilon is."""
    builder, x = started(dtype)
    above = builder.op("MAXIMUM", [x, constant(builder, "least", X * 0 + 0.25, dtype)],
                       builder.tensor("above", 4, AFFINES[dtype]))
    graph = finished(builder, [builder.op("RSQRT", [above], builder.tensor("y", 4, AFFINES[dtype]))])
    check("RSQRT", dtype, graph, 1 / np.sqrt(X), way, quanta=4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("dtype", "bias"), [*((dtype, bias) for dtype in ALL for bias in ("none", "absent", "given")), ("int16", "int32")]
)
def test_fully_connected(dtype, bias, way):
    """int16 activations take a bias of int64, or of int32 where they are told."""
    builder, x = started(dtype)
    inputs, options = [x, constant(builder, "w", MATRIX, "int8" if dtype != "float32" else dtype)], {}
    if bias == "absent":
        inputs.append(ABSENT)
    if bias in ("given", "int32"):
        kind = "int32" if bias == "int32" else {"float32": "float32", "int8": "int32", "int16": "int64"}[dtype]
        scale = AFFINES[dtype].scale / 32 if AFFINES[dtype] else 1.0
        options = {"quantizedBiasType": 2} if bias == "int32" else {}
        inputs.append(builder.constant("b", (BIAS / scale).astype(kind), Affine(scale, 0) if AFFINES[dtype] else None))
    graph = finished(
        builder, [builder.op("FULLY_CONNECTED", inputs, builder.tensor("y", 3, AFFINES[dtype]), **options)]
    )
    expected = X @ MATRIX.T + (BIAS if bias in ("given", "int32") else 0)
    check("FULLY_CONNECTED", dtype, graph, expected, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("dtype", "weights"), [("float32", "float32"), ("int8", "int8"), ("int16", "int16")])
def test_batch_matmul(dtype, weights, way):
    builder, x = started(dtype)
    inputs = [x, constant(builder, "w", MATRIX, weights)]
    graph = finished(builder, [builder.op("BATCH_MATMUL", inputs, builder.tensor("y", 3, AFFINES[dtype]), adjY=True)])
    check("BATCH_MATMUL", dtype, graph, X @ MATRIX.T, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("kind", ["FULLY_CONNECTED", "BATCH_MATMUL"])
def test_dynamic_range(kind, asymmetric, way):
    """float x int8 weights: on a phone only."""
    builder, x = started("float32")
    options = {"asymmetricQuantizeInputs": asymmetric} | ({"adjY": True} if kind == "BATCH_MATMUL" else {})
    inputs = [x, constant(builder, "w", MATRIX, "int8")]
    graph = finished(builder, [builder.op(kind, inputs, builder.tensor("y", 3), **options)])
    result = outcome(graph, way, X, "float32")
    if way == "tflm":
        assert result is None
    else:
        np.testing.assert_allclose(result, (X @ MATRIX.T)[0], rtol=0, atol=2.5 * 1.5 / 127)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("target", INTEGERS)
@pytest.mark.parametrize("source", ALL)
def test_quantize(source, target, way):
    builder, x = started(source)
    affine = Affine(1 / 16, 3) if target == "int8" else Affine(1 / 1024, 0, 16)
    graph = finished(builder, [builder.op("QUANTIZE", [x], builder.tensor("y", 4, affine))])
    check("QUANTIZE", target, graph, X, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_dequantize(dtype, way):
    builder, x = started(dtype)
    check("DEQUANTIZE", dtype, finished(builder, [builder.op("DEQUANTIZE", [x], builder.tensor("y", 4))]), X, way)


@pytest.mark.parametrize("way", WAYS)
def test_float16_constants(way):
    """Half the bytes of a float model: on a phone only."""
    builder, x = started("float32")
    half = builder.constant("half", OTHER.astype(np.float16))
    other = builder.op("DEQUANTIZE", [half], builder.tensor("other", 4))
    result = outcome(finished(builder, [builder.op("ADD", [x, other], builder.tensor("y", 4))]), way, X, "float32")
    assert result is None if way == "tflm" else np.array_equal(result, (X + OTHER)[0])


def moved(kind, dtype):
    """(graph, expected): operators that put values elsewhere."""
    builder, x = started(dtype)

    def tensor(width=None, shape=None):
        return builder.tensor("y", width, AFFINES[dtype], shape=shape)

    def numbers(*values):
        return builder.constant("numbers", np.array(values, np.int32))

    axis = builder.constant("axis", np.array(1, np.int32))
    options, expected = {}, X
    if kind == "CONCATENATION":
        inputs, outputs, options = [x, constant(builder, "o", OTHER, dtype)], [tensor(8)], {"axis": 1}
        expected = np.concatenate([X, OTHER], axis=1)
    elif kind == "SPLIT":
        inputs, outputs, options = [axis, x], [tensor(2), tensor(2)], {"numSplits": 2}
    elif kind == "SPLIT_V":
        inputs, outputs, options = [x, numbers(1, 3), axis], [tensor(1), tensor(3)], {"numSplits": 2}
    elif kind == "SLICE":
        inputs, outputs, expected = [x, numbers(0, 1), numbers(1, 2)], [tensor(2)], X[:, 1:3]
    elif kind == "STRIDED_SLICE":
        inputs, outputs, expected = [x, numbers(0, 1), numbers(1, 4), numbers(1, 2)], [tensor(2)], X[:, 1:4:2]
    elif kind == "RESHAPE":
        inputs, outputs, options = [x, numbers(1, 2, 2)], [tensor(shape=(1, 2, 2))], {"newShape": (1, 2, 2)}
    elif kind == "SELECT_V2":
        chosen = np.array([[True, False, True, False]])
        inputs, outputs = [builder.constant("c", chosen), x, constant(builder, "o", OTHER, dtype)], [tensor(4)]
        expected = np.where(chosen, X, OTHER)
    else:  # MEAN, SUM
        inputs, outputs, options = [x, numbers(1)], [tensor(1)], {"keepDims": True}
        expected = X.mean() if kind == "MEAN" else X.sum()
    builder.op(kind, inputs, outputs, **options)
    return finished(builder, outputs), expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize(
    "kind",
    ["CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "RESHAPE", "SELECT_V2", "MEAN", "SUM"],
)
def test_moving_and_summing(kind, dtype, way):
    check(kind, dtype, *moved(kind, dtype), way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ALL)
def test_gather(dtype, way):
    """An embedding: the row of an int32 index."""
    builder = StepGraphBuilder()
    x = builder.tensor("x", dtype="int32", shape=(1,))
    builder.inputs.append(("x", x))
    y = builder.tensor("y", 4, AFFINES[dtype])
    graph = finished(builder, [builder.op("GATHER", [constant(builder, "table", MATRIX, dtype), x], y, axis=0)])
    result = outcome(graph, way, np.array([2]), "int32")
    if ("GATHER", dtype) in MISSING[way]:
        assert result is None
    else:
        np.testing.assert_array_equal(result, MATRIX[2])


def test_all_operators_are_tried_somewhere():
    here = {*UNARY, *BINARY, *POSITIVE, "RSQRT", "FULLY_CONNECTED", "BATCH_MATMUL", "QUANTIZE", "DEQUANTIZE", "GATHER",
            "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE", "RESHAPE", "SELECT_V2", "MEAN", "SUM"}
    states = {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}
    elsewhere = {"CAST", "PACK"}  # test_lower_sensors, test_lower_fused_lstm; the states: test_state_variables
    assert set(OPERATORS) == here | states | elsewhere


@pytest.mark.parametrize(
    ("dtype", "weights", "options", "expected"),
    [
        ("float32", "float32", {}, 1), ("int8", "int8", {}, 4), ("int16", "int8", {}, 7),
        ("float32", "int8", {}, 3), ("float32", "int8", {"asymmetricQuantizeInputs": True}, 9),
        ("float32", "float32", {"keepNumDims": True}, 5), ("int16", "int8", {"quantizedBiasType": 2}, 11),
    ],
)
def test_version_of_fully_connected(dtype, weights, options, expected):
    """As TensorFlow's converter gives them; two inputs need 6."""
    builder, x = started(dtype)
    inputs = [x, constant(builder, "w", MATRIX, weights)]
    y = builder.tensor("y", 3, AFFINES[dtype])
    builder.op("FULLY_CONNECTED", [*inputs, ABSENT], y, **options)
    builder.op("FULLY_CONNECTED", inputs, builder.tensor("y", 3, AFFINES[dtype]), **options)
    graph = finished(builder, [y])
    assert [operator_version(graph, op) for op in graph.ops] == [expected, max(expected, 6)]
