"""Every operator in generated C against TensorFlow Lite Micro, which says what is right: not one bit may differ."""

from dataclasses import replace

import numpy as np
import operator_models as models
import pytest
from drawn_readings import drawn_readings
from fused_lstm_models import CASES, fused_model

from pipeline.user_error import UserError
from tflite.codegen.c_source import generate
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model
from tflite.step_graph import StepGraphBuilder

INTEGERS = ("int8", "int16")
SEEDS = range(4)
STEPS = 200


def assert_same_bits(content, seed=0, positive=False):
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in drawn_readings(ours, seed, STEPS):
        x = {name: np.abs(values) + np.float32(1e-3) for name, values in x.items()} if positive else x
        np.testing.assert_array_equal(ours.step(x, raw=True), theirs.step(x, raw=True))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH", "RELU"])
def test_integer_functions(kind, dtype, seed):
    assert_same_bits(models.unary(kind, dtype, seed))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("source", "target"), [(a, b) for a in (*INTEGERS, "float32") for b in INTEGERS])
def test_quantize(source, target, seed):
    assert_same_bits(models.unary("QUANTIZE", source, seed, to=target))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_dequantize(dtype):
    assert_same_bits(models.unary("DEQUANTIZE", dtype, 0, to="float32"))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
def test_sums_and_products(kind, dtype, seed):
    assert_same_bits(models.binary(kind, dtype, seed))


@pytest.mark.parametrize("width", [1, models.WIDTH])
@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"])
def test_one_number_for_all(kind, dtype, width):
    assert_same_bits(models.binary(kind, dtype, 1, width=width))


@pytest.mark.parametrize("fused", ["relu", "relu_n1_to_1", "relu6"])
@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
def test_fused_activations(kind, dtype, fused):
    assert_same_bits(models.binary(kind, dtype, 2, fused))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("kind", ["LESS", "DIV"])
def test_comparison_and_division(kind, dtype):
    if (kind, dtype) == ("DIV", "int8"):
        with pytest.raises(UserError, match="operator 0 DIV: on int8"):
            load_model(models.binary(kind, dtype, 0), "c")
        return
    assert_same_bits(models.binary(kind, dtype, 0))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("kind", "dtype", "bias"),
    [
        ("BATCH_MATMUL", "int8", "none"), ("BATCH_MATMUL", "float32", "none"),
        *(("FULLY_CONNECTED", dtype, bias) for dtype in ("int8", "float32") for bias in ("none", "absent", "given")),
        *(("FULLY_CONNECTED", "int16", bias) for bias in ("none", "absent", "given", "int32")),
    ],
)
def test_matrix_products(kind, dtype, bias, seed):
    assert_same_bits(models.product(kind, dtype, seed, bias), seed)


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (9, 10), (18, 5), (2, 20)], ids=str)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_matrices_of_any_size(dtype, size):
    """The kernels take two and four rows and columns at a time."""
    columns, rows = size
    assert_same_bits(models.product("FULLY_CONNECTED", dtype, 5, "given", columns=columns, rows=rows))


def test_weights_that_no_two_fit_into_16_bits():
    assert_same_bits(models.product("FULLY_CONNECTED", "int8", 1, "given", least=-128, columns=300))


def test_long_int8_sums():
    """256 times a sum is not held by 32 bits."""
    assert_same_bits(models.product("FULLY_CONNECTED", "int8", 0, "given", columns=3000))


def test_long_int16_sums():
    """Sums that 32 bits do not hold."""
    assert_same_bits(models.product("FULLY_CONNECTED", "int16", 0, "given", columns=1500))


@pytest.mark.parametrize(("bias", "message"), [(1 << 45, "rescaled sums may leave 32 bits"), (1 << 50, "the 48 bits")])
def test_a_bias_beyond_all_results(bias, message):
    """The kernel would wrap it around."""
    graph = read_flatbuffer(models.product("FULLY_CONNECTED", "int16", 0, "given"))
    name = graph.ops[0].inputs[2]
    tensors = [replace(t, data=np.full_like(t.data, bias)) if t.name == name else t for t in graph.tensors]
    with pytest.raises(ValueError, match=message):
        generate(write_flatbuffer(replace(graph, tensors=tuple(tensors))), "model")


def test_sums_that_32_bits_do_not_hold_are_refused_without_a_bias_of_64():
    with pytest.raises(UserError, match="operator 0 FULLY_CONNECTED: whose sums may leave 32 bits"):
        load_model(models.product("FULLY_CONNECTED", "int16", 0, "int32", columns=1500), "c")


@pytest.mark.parametrize("fused", ["relu", "relu6"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_matrix_products_with_an_activation(dtype, fused):
    assert_same_bits(models.product("FULLY_CONNECTED", dtype, 0, "given", fused))


@pytest.mark.parametrize(
    "kind", ["ABS", "EXP", "LOG", "NEG", "RSQRT", "SIN", "SQRT", "RELU", "RELU6", "TANH", "LOGISTIC", "SOFTMAX",
             "ELU", "HARD_SWISH", "SQUARE"]
)
def test_float_functions(kind):
    """The library's functions are the same here as in the wheel; on another machine an ulp may lie between."""
    content = models.unary(kind, "float32", 0)
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in drawn_readings(ours, 1, STEPS):
        x = {"x0": np.abs(x["x0"]) + np.float32(1e-3)} if kind in ("LOG", "RSQRT", "SQRT") else x
        np.testing.assert_array_max_ulp(ours.step(x), theirs.step(x), maxulp=2)


def test_softmax_of_several_vectors():
    content = models.softmax_of_vectors()
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in drawn_readings(ours, 1, STEPS):
        np.testing.assert_array_max_ulp(ours.step(x), theirs.step(x), maxulp=2)


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
@pytest.mark.parametrize("case", models.SLICES, ids=str)
def test_slices(dtype, case):
    assert_same_bits(models.sliced(dtype, "SLICE", *case))


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
@pytest.mark.parametrize("case", models.STRIDED_SLICES, ids=str)
def test_strided_slices(dtype, case):
    assert_same_bits(models.sliced(dtype, "STRIDED_SLICE", *case))


@pytest.mark.parametrize(
    ("kind", "shape", "bounds", "options", "message"),
    [
        ("SLICE", (3, 4, 3), ([0, 0, 3], [3, 4, 3]), {}, "from .0, 0, 3. to .3, 4, 6."),
        ("STRIDED_SLICE", (3, 4, 5), ([0, 0, 0], [3, 4, 5], [1, 0, 1]), {}, "a stride of 0"),
        ("STRIDED_SLICE", (3, 4, 5), ([0, 0, 0], [3, 4, 5], [1, 1, 1]), {"ellipsisMask": 1}, "ellipsisMask"),
        ("STRIDED_SLICE", (3, 4, 4), ([0, 0, 0], [3, 4, 5], [1, 1, 1]), {}, "of 60 elements into 48"),
    ],
)
def test_slices_beyond_their_tensor(kind, shape, bounds, options, message):
    with pytest.raises(ValueError, match=message):
        generate(models.sliced("int8", kind, shape, bounds, options), "model")


CAST = ["int8", "int16", "int32", "bool", "float32"]


@pytest.mark.parametrize("target", CAST)
@pytest.mark.parametrize("source", CAST)
def test_casts(source, target):
    """Reals stay within the integer: beyond it the kernel leaves the result to the processor."""
    content = models.cast(source, target)
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in drawn_readings(ours, 1, STEPS):
        np.testing.assert_array_equal(ours.step(x, raw=True), theirs.step(x, raw=True))


def test_casts_beyond_an_integer():
    ours = load_model(models.cast("float32", "int32"), "c")
    x = np.zeros(models.WIDTH, np.float32)
    x[:5] = np.nan, np.inf, -np.inf, 3e9, -3e9
    ends = np.iinfo(np.int32)
    np.testing.assert_array_equal(ours.step(x)[:6], [0, ends.max, ends.min, ends.max, ends.min, 0])


@pytest.mark.parametrize("case", CASES)
def test_the_fused_lstm_on_reals(case):
    """Bit for bit, over a free run: the C rounds in the order of the kernel."""
    weights = CASES[case].weights()
    content = fused_model(CASES[case], weights, quantized=False)
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in np.random.default_rng(0).normal(0, 2, (STEPS, weights[0].shape[0])).astype(np.float32):
        expected = theirs.step(x)
        for name, values in ours.step(x).items():
            np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("kind", ["EXP", "SQRT"])
def test_an_operator_without_c_is_named_with_its_place(kind):
    builder = StepGraphBuilder()
    x = builder.tensor("x", 4, models.SIGMOID_OUTPUT[8])
    builder.inputs.append(("x", x))
    negative = builder.op("RELU", [x], builder.tensor("y", 4, models.SIGMOID_OUTPUT[8]))
    builder.outputs.append(("z", builder.op(kind, [negative], builder.tensor("z", 4, models.SIGMOID_OUTPUT[8]))))
    with pytest.raises(UserError, match=f"operator 1 {kind}: on int8"):
        load_model(write_flatbuffer(builder.build()), "c")
