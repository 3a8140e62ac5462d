"""BATCH_MATMUL and FULLY_CONNECTED by constant weights."""

from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np

from keras_models.affine_quantization import Affine
from tflite.codegen.exact_lines import exact_line
from tflite.codegen.fixed_point import Multiplier, multiplier, rescale, short_multiplier
from tflite.codegen.step_writer import StepWriter, expect, integer_bounds, real_bounds, scaled_arguments
from tflite.step_graph import ABSENT, Op

Products = Callable[[str, str], list[str]]  # (vector x, vector y) as C -> statements


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
    calls = [statement(writer.pointer(x) + source, writer.pointer(y) + target) for source, target in offsets]
    return [line for lines in calls for line in lines]


def _matmul_float(writer: StepWriter, op: Op, weights: np.ndarray, bias: str | None) -> Products:
    expect(real_bounds(op) == (None, None), "with a fused activation on float32")
    number, (rows, columns) = writer.numbers[op.inputs[1]], weights.shape
    matrix = writer.constant(f"t{number}", weights)
    summand = writer.constant(f"zeros_{rows}", np.zeros(rows, np.float32)) if bias is None else writer.pointer(bias)
    return lambda x, y: [writer.call("matmul_float", x, matrix, summand, rows, columns, y) + ";"]


def _matmul_int8(writer: StepWriter, op: Op, weights: np.ndarray, bias: str | None) -> Products:
    x, w, y = *op.inputs[:2], op.outputs[0]
    expect(writer.form(w).zero_point == 0, "with a zero point of the weights")
    form = writer.form(y)
    by = multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    summand = None if bias is None else writer.tensor(bias).data
    call = int8_products(writer, w, weights, summand, writer.form(x))
    return lambda x, y: call(x, y, "int8", by, form, integer_bounds(op, form))


def int8_products(
    writer: StepWriter, name: str, weights: np.ndarray, bias: np.ndarray | None, x_form: Affine
) -> Callable[..., list[str]]:
    """(x, y, dtype of y, multiplier, form of y, bounds) -> the statements that multiply int8 vectors x by the weights.

    What the zero point of x adds to a row is known beforehand and goes with its bias.
    """
    rows, columns = weights.shape
    weights = weights.astype(np.int64)
    offsets = -x_form.zero_point * weights.sum(axis=1) + (0 if bias is None else bias.astype(np.int64))
    lowest, highest = (np.minimum(-128 * sign * weights, 127 * sign * weights).sum(axis=1) * sign for sign in (1, -1))
    lowest, highest = (offsets + sums for sums in (lowest, highest))
    first, last = int(lowest.min(initial=0)), int(highest.max(initial=0))
    expect(-(2**31) <= first and last < 2**31, "whose sums may leave 32 bits")
    number = writer.numbers[name]
    pairs = paired_rows(weights) if 257 * max(-first, last) < 2**31 else None

    def call(x: str, y: str, dtype: str, by: Multiplier, form: Affine, bounds: tuple[int, int]) -> list[str]:
        if pairs is None:
            matrix = writer.constant(f"t{number}", weights.astype(np.int8))
            start = writer.constant(f"offsets_of_t{number}", offsets.astype(np.int32))
            finish = (*by, form.zero_point)
            return [writer.call(f"matmul_int8_to_{dtype}", x, matrix, start, rows, columns, *finish, *bounds, y) + ";"]
        bounds = tuple(bound + form.zero_point for bound in bounds)
        staircase = partial(_rescaled, by=by, zero=form.zero_point, bounds=bounds)
        line = exact_line(staircase, by.fixed * 2.0 ** (by.shift - 31), first, last, bounds)
        kernel = f"matmul_pairs_{'scaled' if line else 'rescale'}_to_{dtype}"
        finish = scaled_arguments(line) if line else (*by, form.zero_point)
        matrix = writer.constant(f"t{number}", pairs)
        start = writer.constant(f"offsets_of_t{number}", paired_offsets(offsets))
        widen, wide = writer.widened(x, columns)
        product = writer.call(kernel, wide, matrix, start, rows, columns + columns % 2, *finish, y) + ";"
        return [*widen, product, *_bounded(writer, y, rows, form, bounds)]

    return call


def _bounded(writer: StepWriter, y: str, rows: int, form: Affine, bounds: tuple[int, int]) -> list[str]:
    """What keeps saturated results within the closer bounds of an activation."""
    if bounds == (form.minimum_integer, form.maximum_integer):
        return []
    value = writer.call("clamped", f"({y})[i]", *bounds)
    return [f"for (int i = 0; i < {rows}; ++i) {{", f"    ({y})[i] = ({form.dtype}_t){value};", "}"]


def _rescaled(values: np.ndarray, by: Multiplier, zero: int, bounds: tuple[int, int]) -> np.ndarray:
    return np.clip(rescale(values, by) + zero, *bounds)


def paired_rows(weights: np.ndarray) -> np.ndarray | None:
    """int16 as the kernel row_sums has them: (rows / 4, columns / 2, row pair, column), filled up by zeros.

    None where two weights do not fit into 16 bits.
    """
    rows, columns = weights.shape
    padded = np.pad(weights, ((0, -rows % 4), (0, columns % 2)))
    pairs = padded[::2] + 256 * padded[1::2]
    if np.any(pairs != pairs.astype(np.int16)):
        return None
    return pairs.astype(np.int16).reshape(-1, 2, padded.shape[1] // 2, 2).transpose(0, 2, 1, 3)


def paired_offsets(offsets: np.ndarray) -> np.ndarray:
    """int32 as the kernel row_sums has them: a row's, a row's + 256 * the next one's, filled up by zeros."""
    padded = np.pad(offsets, (0, -len(offsets) % 4))
    return np.stack([padded[::2], padded[::2] + 256 * padded[1::2]], axis=1).astype(np.int32)


def _matmul_int16(writer: StepWriter, op: Op, weights: np.ndarray, bias: str | None) -> Products:
    """A 64-bit bias, or none: rescaled from 64 bits; in 32 bits where that is certain to give the same, since 64-bit
    arithmetic takes a small core several times as long."""
    x, w, y = *op.inputs[:2], op.outputs[0]
    expect(op.kind == "FULLY_CONNECTED", "on int16 and int8")
    expect(writer.form(w).zero_point == 0, "with a zero point of the weights")
    if bias is not None and writer.tensor(bias).dtype == "int32":
        return _matmul_int16_of_32_bits(writer, op, weights, bias)
    expect(bias is None or writer.tensor(bias).dtype == "int64", "with a bias of neither int32 nor int64")
    form, (rows, columns) = writer.form(y), weights.shape
    by = short_multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    name, bounds = f"t{writer.numbers[w]}", integer_bounds(op, form)
    summand = np.zeros(rows, np.int64) if bias is None else writer.tensor(bias).data.reshape(-1)
    largest = (np.abs(weights.astype(np.int64)).sum(axis=1) * 32768.0 + np.abs(summand.astype(float))).max(initial=0)
    expect(largest < 2**47 and by.shift > 0, "whose sums may leave the 48 bits that the kernel rescales")
    expect(largest * by.fixed < 2.0 ** (31 + by.shift), "whose rescaled sums may leave 32 bits")
    if largest < 2**30 and 16 <= by.shift <= 46:
        matrix = writer.constant(name, rows_in_fours(weights))
        start = writer.constant(f"offsets_of_{name}", np.pad(summand, (0, -rows % 4)).astype(np.int32))
        return lambda x, y: [
            writer.call("matmul_fours", x, matrix, start, rows, columns, *by, y) + ";",
            *_bounded(writer, y, rows, form, bounds),
        ]
    matrix = writer.constant(name, weights)
    start = writer.constant(f"zeros_{rows}", summand) if bias is None else writer.pointer(bias)
    return lambda x, y: [writer.call("matmul_int16", x, matrix, start, rows, columns, *by, *bounds, y) + ";"]


def rows_in_fours(weights: np.ndarray) -> np.ndarray:
    """int8 as the kernel matmul_fours has them: (rows / 4, columns / 4, row, column of the order 0 2 1 3)."""
    rows, columns = weights.shape
    padded = np.pad(weights, ((0, -rows % 4), (0, -columns % 4)))
    blocks = padded.reshape(len(padded) // 4, 4, padded.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks[..., [0, 2, 1, 3]])


def _matmul_int16_of_32_bits(writer: StepWriter, op: Op, weights: np.ndarray, bias: str) -> Products:
    """A 32-bit bias: rescaled as int8 is."""
    x, w, y = *op.inputs[:2], op.outputs[0]
    form, (rows, columns) = writer.form(y), weights.shape
    summand = writer.tensor(bias).data
    reach = np.abs(weights.astype(np.int64)).sum(axis=1) * 32768 + np.abs(summand.astype(np.int64))
    expect(reach.max(initial=0) < 2**31, "whose sums may leave 32 bits; a bias of 64 bits is what it needs")
    by = multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    matrix = writer.constant(f"t{writer.numbers[w]}", weights)
    rest = writer.pointer(bias), rows, columns, *by, *integer_bounds(op, form)
    return lambda x, y: [writer.call("matmul_int16_of_32_bits", x, matrix, *rest, y) + ";"]


MATMULS = {
    ("float32", "float32", "float32"): _matmul_float,
    ("int8", "int8", "int8"): _matmul_int8,
    ("int16", "int8", "int16"): _matmul_int16,
}
