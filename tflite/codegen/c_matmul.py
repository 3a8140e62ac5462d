"""BATCH_MATMUL and FULLY_CONNECTED by constant weights."""

from collections.abc import Callable
from math import prod

import numpy as np

from keras_models.affine_quantization import Affine
from tflite.codegen.fixed_point import Multiplier, multiplier, short_multiplier
from tflite.codegen.step_writer import StepWriter, expect, integer_bounds, real_bounds
from tflite.step_graph import ABSENT, Op


def write_matmul(writer: StepWriter, op: Op) -> list[str]:
    """BATCH_MATMUL, FULLY_CONNECTED: constant weights as (rows, columns), a call for each vector of x."""
    (x, w), (y,), options = op.inputs[:2], op.outputs, dict(op.options)
    weights = writer.tensor(w).data
    expect(weights is not None, "with a matrix that is computed")
    expect(not options.get("adjX") and not options.get("weightsFormat"), f"with the options {options}")
    expect(weights.ndim == 2 or prod(weights.shape[:-2]) == 1, f"with weights {weights.shape}")
    weights = weights.reshape(weights.shape[-2:])
    if op.kind == "BATCH_MATMUL" and not options.get("adjY"):
        weights = np.ascontiguousarray(weights.T)
    rows, columns = weights.shape
    vectors = writer.size(x) // columns
    expect((writer.size(x), writer.size(y)) == (vectors * columns, vectors * rows), f"of sizes {writer.size(x)} and "
           f"{writer.size(y)} with weights {weights.shape}")
    bias = op.inputs[2] if len(op.inputs) > 2 and op.inputs[2] != ABSENT else None
    if bias is not None:
        expect(writer.tensor(bias).data is not None, "with a bias that is computed")
        expect(writer.size(bias) == rows, f"with a bias of {writer.size(bias)} for {rows} rows")
    dtypes = [writer.tensor(name).dtype for name in (x, w, y)]
    expect(tuple(dtypes) in MATMULS, f"on {', '.join(dtypes)}")
    statement = MATMULS[tuple(dtypes)](writer, op, weights, bias)
    offsets = ((f" + {vector * columns}", f" + {vector * rows}") if vector else ("", "") for vector in range(vectors))
    return [statement(writer.pointer(x) + source, writer.pointer(y) + target) + ";" for source, target in offsets]


def _matmul_float(writer: StepWriter, op: Op, weights: np.ndarray, bias: str | None) -> Callable[[str, str], str]:
    expect(real_bounds(op) == (None, None), "with a fused activation on float32")
    number, (rows, columns) = writer.numbers[op.inputs[1]], weights.shape
    matrix = writer.constant(f"t{number}", weights)
    summand = writer.constant(f"zeros_{rows}", np.zeros(rows, np.float32)) if bias is None else writer.pointer(bias)
    return lambda x, y: writer.call("matmul_float", x, matrix, summand, rows, columns, y)


def _matmul_int8(writer: StepWriter, op: Op, weights: np.ndarray, bias: str | None) -> Callable[[str, str], str]:
    x, w, y = *op.inputs[:2], op.outputs[0]
    expect(writer.form(w).zero_point == 0, "with a zero point of the weights")
    form = writer.form(y)
    by = multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    summand = None if bias is None else writer.tensor(bias).data
    call = int8_products(writer, w, weights, summand, writer.form(x))
    return lambda x, y: call(x, y, "int8", by, form, integer_bounds(op, form))


def int8_products(
    writer: StepWriter, name: str, weights: np.ndarray, bias: np.ndarray | None, x_form: Affine
) -> Callable[..., str]:
    """(x, y, dtype of y, multiplier, form of y, bounds) -> the call that multiplies int8 vectors x by the weights.

    What the zero point of x adds to a row is known beforehand and goes with its bias.
    """
    rows, columns = weights.shape
    offsets = -x_form.zero_point * weights.astype(np.int64).sum(axis=1) + (0 if bias is None else bias.astype(np.int64))
    reach = np.abs(weights.astype(np.int64)).sum(axis=1) * 128 + np.abs(offsets)
    expect(reach.max(initial=0) < 2**31, "whose sums may leave 32 bits")
    matrix = writer.constant(f"t{writer.numbers[name]}", weights)
    start = writer.constant(f"offsets_of_t{writer.numbers[name]}", offsets.astype(np.int32))

    def call(x: str, y: str, dtype: str, by: Multiplier, form: Affine, bounds: tuple[int, int]) -> str:
        arguments = (x, matrix, start, rows, columns, *by, form.zero_point, *bounds, y)
        return writer.call(f"matmul_int8_to_{dtype}", *arguments)

    return call


def _matmul_int16(writer: StepWriter, op: Op, weights: np.ndarray, bias: str | None) -> Callable[[str, str], str]:
    """A 64-bit bias, or none: rescaled from 64 bits. The sums over x stay in 32 bits where that is certain: a 64-bit
    multiply-add takes a small core several times as long."""
    x, w, y = *op.inputs[:2], op.outputs[0]
    expect(op.kind == "FULLY_CONNECTED", "on int16 and int8")
    expect(writer.form(w).zero_point == 0, "with a zero point of the weights")
    if bias is not None and writer.tensor(bias).dtype == "int32":
        return _matmul_int16_of_32_bits(writer, op, weights, bias)
    expect(bias is None or writer.tensor(bias).dtype == "int64", "with a bias of neither int32 nor int64")
    form, (rows, columns) = writer.form(y), weights.shape
    by = short_multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    matrix = writer.constant(f"t{writer.numbers[w]}", weights)
    summand = writer.constant(f"zeros_{rows}", np.zeros(rows, np.int64)) if bias is None else writer.pointer(bias)
    reach = np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0) * 32768
    kernel = f"matmul_int16_in_{'int32' if reach < 2**31 else 'int64'}"
    return lambda x, y: writer.call(
        kernel, x, matrix, summand, rows, columns, *by, *integer_bounds(op, form), y
    )


def _matmul_int16_of_32_bits(
    writer: StepWriter, op: Op, weights: np.ndarray, bias: str
) -> Callable[[str, str], str]:
    """A 32-bit bias: rescaled as int8 is."""
    x, w, y = *op.inputs[:2], op.outputs[0]
    form, (rows, columns) = writer.form(y), weights.shape
    summand = writer.tensor(bias).data
    reach = np.abs(weights.astype(np.int64)).sum(axis=1) * 32768 + np.abs(summand.astype(np.int64))
    expect(reach.max(initial=0) < 2**31, "whose sums may leave 32 bits; a bias of 64 bits is what it needs")
    by = multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    matrix = writer.constant(f"t{writer.numbers[w]}", weights)
    rest = writer.pointer(bias), rows, columns, *by, *integer_bounds(op, form)
    return lambda x, y: writer.call("matmul_int16_of_32_bits", x, matrix, *rest, y)


MATMULS = {
    ("float32", "float32", "float32"): _matmul_float,
    ("int8", "int8", "int8"): _matmul_int8,
    ("int16", "int8", "int16"): _matmul_int16,
}
