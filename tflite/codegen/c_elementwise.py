"""Operators that write each element of the result from the same element of their inputs."""

import numpy as np

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, Affine
from tflite.codegen.exact_lines import Line, exact_line, exact_plane
from tflite.codegen.fixed_point import Multiplier, int8_table, int16_input, multiplier, rescale
from tflite.codegen.step_writer import (
    C_TYPES,
    StepWriter,
    c_number,
    expect,
    expect_float,
    expect_integers,
    integer_bounds,
    nearest_integer,
    plus,
    real_bounds,
    storage,
)
from tflite.step_graph import Op


def write_sum(writer: StepWriter, op: Op) -> list[str]:
    """ADD, SUB: both brought to one scale with bits to spare, then to that of the result."""
    (a, b), (y,) = op.inputs, op.outputs
    count = writer.size(y)
    if writer.tensor(y).dtype == "float32":
        return write_float_arithmetic(writer, op)
    expect_integers(writer, a, b, y)
    forms = [writer.form(name) for name in (a, b, y)]
    headroom = 1 << (15 if forms[2].bits == 16 else 20)
    greatest = 2 * max(forms[0].scale, forms[1].scale)
    by = [multiplier(form.scale / greatest) for form in forms[:2]]
    if op.kind == "SUB":
        by[1] = Multiplier(-by[1].fixed, by[1].shift)
    last = multiplier(greatest / (headroom * forms[2].scale))
    bounds = integer_bounds(op, forms[2])
    if forms[2].bits == 8:
        line = _plane(forms, by, headroom, last, bounds)
        if line is not None:
            values = [writer.element(name, count) for name in (a, b)]
            return writer.loop(y, writer.clamped(writer.plane(values, line), forms[2], bounds))
    centred = [plus(writer.element(name, count), -form.zero_point) for name, form in zip((a, b), forms, strict=False)]
    terms = [_spread(writer, value, headroom, factor) for value, factor in zip(centred, by, strict=True)]
    return writer.loop(y, writer.saturated(writer.rescaled(" + ".join(terms), last), forms[2], bounds))


def _spread(writer: StepWriter, value: str, headroom: int, by: Multiplier) -> str:
    """value * headroom, rescaled: a multiplication where the multiplier is a power of two that leaves no fraction."""
    power = headroom >> (1 - by.shift) if by.shift <= 0 else 0
    if abs(by.fixed) == 1 << 30 and power:
        return f"{value} * {power if by.fixed > 0 else -power}"
    return writer.rescaled(f"{value} * {headroom}", by)


def _plane(
    forms: list[Affine], by: list[Multiplier], headroom: int, last: Multiplier, bounds: tuple[int, int]
) -> Line | None:
    """One line for the three rescalings of a sum of int8, where it gives the same for each pair of values."""
    every = np.arange(-128, 128)
    a, b = (rescale((every - form.zero_point) * headroom, one) for form, one in zip(forms, by, strict=False))
    staircase = np.clip(rescale(a[:, None] + b[None], last), *bounds) + forms[2].zero_point
    slopes = [form.scale / forms[2].scale for form in forms[:2]]
    absolute = tuple(bound + forms[2].zero_point for bound in bounds)
    return exact_plane(staircase, (slopes[0], slopes[1] * (1 if by[1].fixed >= 0 else -1)), absolute)


def write_mul(writer: StepWriter, op: Op) -> list[str]:
    (a, b), (y,) = op.inputs, op.outputs
    if writer.tensor(y).dtype == "float32":
        return write_float_arithmetic(writer, op)
    expect_integers(writer, a, b, y)
    forms = [writer.form(name) for name in (a, b, y)]
    inputs = list(zip((a, b), forms, strict=False))
    product = " * ".join(plus(writer.element(x, writer.size(y)), -form.zero_point) for x, form in inputs)
    by = multiplier(forms[0].scale * forms[1].scale / forms[2].scale)
    ends = [(form.minimum_integer - form.zero_point, form.maximum_integer - form.zero_point) for form in forms[:2]]
    products = [one * other for one in ends[0] for other in ends[1]]
    reach, bounds = (min(products), max(products)), integer_bounds(op, forms[2])
    return writer.loop(y, _rescaled(writer, f"({product})", reach, by, forms[2], bounds))


def _rescaled(
    writer: StepWriter, value: str, ends: tuple[int, int], by: Multiplier, form: Affine, bounds: tuple[int, int]
) -> str:
    """A value between the ends as an integer of the form: by a line where one is exact, else as the kernels do."""
    absolute = tuple(bound + form.zero_point for bound in bounds)
    slope = by.fixed * 2.0 ** (by.shift - 31)
    line = exact_line(lambda values: np.clip(rescale(values, by) + form.zero_point, *absolute), slope, *ends, absolute)
    if line is None:
        return writer.saturated(writer.rescaled(value, by), form, bounds)
    return writer.clamped(writer.scaled(value, line), form, bounds)


FLOAT_SIGNS = {"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/"}


def write_float_arithmetic(writer: StepWriter, op: Op) -> list[str]:
    (a, b), (y,) = op.inputs, op.outputs
    expect_float(writer, a, b, y)
    first, second = (writer.element(x, writer.size(y)) for x in (a, b))
    return writer.loop(y, _bounded(writer, op, f"{first} {FLOAT_SIGNS[op.kind]} {second}"))


def _bounded(writer: StepWriter, op: Op, value: str) -> str:
    low, high = real_bounds(op)
    if low is None:
        return value
    return writer.call("bounded", value, c_number(np.float32(low)), "INFINITY" if high is None else c_number(high))


FLOAT_FUNCTIONS = {
    "ABS": "fabsf({x})", "EXP": "expf({x})", "LOG": "logf({x})", "NEG": "-{x}", "RSQRT": "1.0f / sqrtf({x})",
    "SIN": "sinf({x})", "SQRT": "sqrtf({x})", "SQUARE": "{x} * {x}",
    "RELU": "{x} < 0.0f ? 0.0f : {x}", "RELU6": "{x} > 6.0f ? 6.0f : {x} < 0.0f ? 0.0f : {x}",
    "TANH": "tanhf({x})", "ELU": "{x} < 0.0f ? expm1f({x}) : {x}",
    "HARD_SWISH": "{x} * ({x} + 3.0f < 0.0f ? 0.0f : {x} + 3.0f > 6.0f ? 6.0f : {x} + 3.0f) / 6.0f",
}  # fmt: skip


def write_float_function(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect_float(writer, x, y)
    return writer.loop(y, FLOAT_FUNCTIONS[op.kind].format(x=writer.element(x, writer.size(y))))


def write_squash(writer: StepWriter, op: Op) -> list[str]:
    """LOGISTIC, TANH: int8 by a table of all results, int16 by lines between the entries of a table."""
    (x,), (y,) = op.inputs, op.outputs
    value, dtype = writer.element(x, writer.size(y)), writer.tensor(x).dtype
    if dtype == "float32" and op.kind == "TANH":
        return write_float_function(writer, op)
    if dtype == "float32":
        expect_float(writer, x, y)
        return writer.loop(y, writer.call("logistic_float", value))
    expect_integers(writer, x, y)
    form, fixed = writer.form(x), {"LOGISTIC": SIGMOID_OUTPUT, "TANH": TANH_OUTPUT}[op.kind]
    expect(writer.form(y) == fixed[form.bits], f"into {writer.form(y)}; its kernel gives {fixed[form.bits]}")
    if form.bits == 8:
        table = writer.constant(f"{op.kind.lower()}_of_t{writer.numbers[x]}", int8_table(op.kind, form))
        return writer.loop(y, f"{table}[{value} + 128]")
    return writer.loop(y, squashed_int16(writer, op.kind, value, form.scale))


def squashed_int16(writer: StepWriter, kind: str, value: str, scale: float) -> str:
    """LOGISTIC or TANH of an int16 of this scale, in units of 2 ** -15."""
    fixed, shift = int16_input(kind, scale)
    position = f"{value} * {fixed}"
    if shift:
        position = f"({position} + {1 << (shift - 1)}) >> {shift}"
    return writer.call(f"{kind.lower()}_int16", position)


def write_relu(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    if writer.tensor(x).dtype == "float32":
        return write_float_function(writer, op)
    expect_integers(writer, x, y)
    low, high = 0, writer.form(y).maximum_integer - writer.form(y).zero_point
    if op.kind == "RELU6":
        high = min(high, nearest_integer(6 / writer.form(y).scale))
    return _requantized(writer, x, y, (low, high))


def _requantized(writer: StepWriter, x: str, y: str, bounds: tuple[int, int]) -> list[str]:
    source, form = writer.form(x), writer.form(y)
    centred = plus(writer.element(x, writer.size(y)), -source.zero_point)
    if source.scale == form.scale:
        return writer.loop(y, writer.saturated(centred, form, bounds))
    ends = source.minimum_integer - source.zero_point, source.maximum_integer - source.zero_point
    return writer.loop(y, _rescaled(writer, centred, ends, multiplier(source.scale / form.scale), form, bounds))


def write_quantize(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect(writer.tensor(y).dtype in ("int8", "int16"), f"to {writer.tensor(y).dtype}")
    form = writer.form(y)
    bounds = integer_bounds(Op("", (), ()), form)
    if writer.tensor(x).dtype in ("int8", "int16"):
        return _requantized(writer, x, y, bounds)
    expect_float(writer, x)
    value = f"{writer.element(x, writer.size(y))} / {c_number(np.float32(form.scale))}"
    return writer.loop(y, f"({C_TYPES[form.dtype]}){plus(writer.call('nearest', value, *bounds), form.zero_point)}")


def write_dequantize(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect(writer.tensor(x).dtype in ("int8", "int16"), f"of {writer.tensor(x).dtype}")
    expect_float(writer, y)
    form = writer.form(x)
    integer = plus(writer.element(x, writer.size(y)), -form.zero_point)
    return writer.loop(y, f"{c_number(np.float32(form.scale))} * (float){integer}")


def write_leaky_relu(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect_float(writer, x, y)
    value, slope = writer.element(x, writer.size(y)), c_number(np.float32(dict(op.options).get("alpha", 0.0)))
    return writer.loop(y, f"{value} > 0.0f ? {value} : {value} * {slope}")


COMPARISONS = {"MAXIMUM": "{a} > {b} ? {a} : {b}", "MINIMUM": "{a} < {b} ? {a} : {b}", "LESS": "(uint8_t)({a} < {b})",
               "GREATER": "(uint8_t)({a} > {b})"}


def write_compare(writer: StepWriter, op: Op) -> list[str]:
    (a, b), (y,) = op.inputs, op.outputs
    expect(storage(writer, a) == storage(writer, b), "of different quantizations")
    if op.kind in ("MAXIMUM", "MINIMUM"):
        expect(storage(writer, a) == storage(writer, y), "into another quantization")
    expect(writer.tensor(a).dtype in ("float32", "int8", "int16"), f"on {writer.tensor(a).dtype}")
    first, second = (writer.element(x, writer.size(y)) for x in (a, b))
    return writer.loop(y, COMPARISONS[op.kind].format(a=first, b=second))


def write_select(writer: StepWriter, op: Op) -> list[str]:
    (y,) = op.outputs
    expect(len({storage(writer, name) for name in (*op.inputs[1:], y)}) == 1, "of different quantizations")
    chosen, a, b = (writer.element(x, writer.size(y)) for x in op.inputs)
    return writer.loop(y, f"{chosen} ? {a} : {b}")
