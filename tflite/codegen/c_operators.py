"""Operators of a step graph as C statements that compute the very integers of TensorFlow Lite Micro's kernels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import numpy as np
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, Affine
from tflite.codegen.fixed_point import Multiplier, int8_table, int16_input, multiplier, short_multiplier
from tflite.codegen.memory_plan import MemoryPlan, is_view
from tflite.step_graph import ABSENT, Op, StepGraph, Tensor

C_TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
           "bool": "uint8_t"}
BOUNDS = {  # real bounds of an activation that an operator may carry
    ActivationFunctionType.NONE: (None, None),
    ActivationFunctionType.RELU: (0.0, None),
    ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    ActivationFunctionType.RELU6: (0.0, 6.0),
}


class NotInC(ValueError):
    """What a model asks for and the generated C does not offer."""


@dataclass
class StepWriter:
    """The statements of a step, and what they need.

    Attributes:
        kernels: names of the C functions the statements call.
        constants: C identifier -> its values; equal ones are there once.
    """

    graph: StepGraph
    plan: MemoryPlan
    kernels: set[str] = field(default_factory=set)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        self.numbers = {tensor.name: number for number, tensor in enumerate(self.graph.tensors)}

    def tensor(self, name: str) -> Tensor:
        return self.graph.tensor(name)

    def size(self, name: str) -> int:
        return prod(self.tensor(name).shape)

    def form(self, name: str) -> Affine:
        """The quantization of a tensor; int16 and wider have zero point 0."""
        tensor = self.tensor(name)
        expect(tensor.affine is not None, f"{tensor.dtype} without a quantization")
        expect(tensor.affine.scale > 0, f"scale {tensor.affine.scale}")
        expect(tensor.affine.bits == 8 or tensor.affine.zero_point == 0, f"{tensor.dtype} with a zero point")
        return tensor.affine

    def pointer(self, name: str) -> str:
        """The C identifier of a tensor's elements."""
        tensor = self.tensor(name)
        if tensor.data is None:
            return f"t{self.numbers[name]}"
        return self.constant(f"t{self.numbers[name]}", tensor.data)

    def element(self, name: str, count: int) -> str:
        """The tensor's element i of `count`; a single one serves all."""
        size = self.size(name)
        expect(size in (1, count), f"{size} elements beside {count}")
        return f"{self.pointer(name)}[{'i' if size == count else '0'}]"

    def constant(self, identifier: str, values: np.ndarray) -> str:
        """The identifier under which the values are kept."""
        for known, kept in self.constants.items():
            if kept.dtype == values.dtype and np.array_equal(kept.reshape(-1), values.reshape(-1)):
                return known
        self.constants[identifier] = values
        return identifier

    def call(self, kernel: str, *arguments: object) -> str:
        """A call of a kernel, as an expression."""
        self.kernels.add(kernel)
        return f"{kernel}({', '.join(map(str, arguments))})"

    def rescaled(self, value: str, by: Multiplier) -> str:
        return self.call("rescale", value, *by)

    def saturated(self, value: str, form: Affine, bounds: tuple[int, int]) -> str:
        """`value`, counted from the zero point, as an integer of the form."""
        within = self.call("clamped", value, *bounds)
        return f"({C_TYPES[form.dtype]}){_plus(within, form.zero_point)}"

    def loop(self, name: str, value: str) -> list[str]:
        """Writes an expression of i to every element of a tensor."""
        return [f"for (int i = 0; i < {self.size(name)}; ++i) {{", f"    {self.pointer(name)}[i] = {value};", "}"]


def expect(condition: bool, what_else: str) -> None:
    """Raises NotInC unless the condition holds."""
    if not condition:
        raise NotInC(what_else)


def write_operator(writer: StepWriter, op: Op) -> list[str]:
    """The statements of one operator; none where its outputs are views of its input.

    Raises:
        NotInC: saying what about the operator has no C.
    """
    if is_view(writer.graph, op):
        source = op.inputs[1] if op.kind == "SPLIT" else op.inputs[0]
        expect(sum(map(writer.size, op.outputs)) == writer.size(source), "parts that are not the whole")
        return []
    if op.kind not in WRITERS:
        raise NotInC("no C for this operator")
    return WRITERS[op.kind](writer, op)


def integer_bounds(op: Op, form: Affine) -> tuple[int, int]:
    """Smallest and largest result of an operator, counted from the zero point: the type's, or its activation's."""
    low, high = form.minimum_integer - form.zero_point, form.maximum_integer - form.zero_point
    least, most = _real_bounds(op)
    low = low if least is None else max(low, _nearest(least / form.scale))
    return low, high if most is None else min(high, _nearest(most / form.scale))


def _real_bounds(op: Op) -> tuple[float | None, float | None]:
    activation = dict(op.options).get("fusedActivationFunction", 0)
    expect(activation in BOUNDS, f"fused activation {activation}")
    return BOUNDS[activation]


def _nearest(value: float) -> int:
    return int(np.sign(value) * np.floor(abs(value) + 0.5))


def _plus(value: str, number: int) -> str:
    return value if number == 0 else f"({value} {'-' if number < 0 else '+'} {abs(number)})"


def _sum(writer: StepWriter, op: Op) -> list[str]:
    """ADD, SUB: both brought to one scale with bits to spare, then to that of the result."""
    (a, b), (y,) = op.inputs, op.outputs
    count = writer.size(y)
    if writer.tensor(y).dtype == "float32":
        return _float_arithmetic(writer, op)
    _same_dtypes(writer, a, b, y)
    forms = [writer.form(name) for name in (a, b, y)]
    headroom = 1 << (15 if forms[2].bits == 16 else 20)
    greatest = 2 * max(forms[0].scale, forms[1].scale)
    terms = []
    for name, form, sign in ((a, forms[0], 1), (b, forms[1], -1 if op.kind == "SUB" else 1)):
        fixed, shift = multiplier(form.scale / greatest)
        centred = _plus(writer.element(name, count), -form.zero_point)
        terms.append(writer.rescaled(f"{centred} * {headroom}", Multiplier(sign * fixed, shift)))
    total = writer.rescaled(" + ".join(terms), multiplier(greatest / (headroom * forms[2].scale)))
    return writer.loop(y, writer.saturated(total, forms[2], integer_bounds(op, forms[2])))


def _mul(writer: StepWriter, op: Op) -> list[str]:
    (a, b), (y,) = op.inputs, op.outputs
    if writer.tensor(y).dtype == "float32":
        return _float_arithmetic(writer, op)
    _same_dtypes(writer, a, b, y)
    form = writer.form(y)
    factors = [_plus(writer.element(x, writer.size(y)), -writer.form(x).zero_point) for x in (a, b)]
    by = multiplier(writer.form(a).scale * writer.form(b).scale / form.scale)
    product = writer.rescaled(" * ".join(factors), by)
    return writer.loop(y, writer.saturated(product, form, integer_bounds(op, form)))


def _same_dtypes(writer: StepWriter, *names: str) -> None:
    dtypes = {writer.tensor(name).dtype for name in names}
    expect(len(dtypes) == 1 and dtypes <= {"int8", "int16"}, f"on {' and '.join(sorted(dtypes))}")


FLOAT_SIGNS = {"ADD": "+", "SUB": "-", "MUL": "*", "DIV": "/"}


def _float_arithmetic(writer: StepWriter, op: Op) -> list[str]:
    (a, b), (y,) = op.inputs, op.outputs
    _all_float(writer, a, b, y)
    first, second = (writer.element(x, writer.size(y)) for x in (a, b))
    return writer.loop(y, _bounded(writer, op, f"{first} {FLOAT_SIGNS[op.kind]} {second}"))


def _bounded(writer: StepWriter, op: Op, value: str) -> str:
    low, high = _real_bounds(op)
    if low is None:
        return value
    return writer.call("bounded", value, c_number(np.float32(low)), "INFINITY" if high is None else c_number(high))


def _all_float(writer: StepWriter, *names: str) -> None:
    dtypes = {writer.tensor(name).dtype for name in names}
    expect(dtypes == {"float32"}, f"on {' and '.join(sorted(dtypes))}")


FLOAT_FUNCTIONS = {
    "ABS": "fabsf({x})", "EXP": "expf({x})", "LOG": "logf({x})", "NEG": "-{x}", "RSQRT": "1.0f / sqrtf({x})",
    "SIN": "sinf({x})", "SQRT": "sqrtf({x})", "SQUARE": "{x} * {x}",
    "RELU": "{x} < 0.0f ? 0.0f : {x}", "RELU6": "{x} > 6.0f ? 6.0f : {x} < 0.0f ? 0.0f : {x}",
    "TANH": "tanhf({x})",
}  # fmt: skip


def _float_function(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    _all_float(writer, x, y)
    return writer.loop(y, FLOAT_FUNCTIONS[op.kind].format(x=writer.element(x, writer.size(y))))


def _squash(writer: StepWriter, op: Op) -> list[str]:
    """LOGISTIC, TANH: int8 by a table of all results, int16 by TensorFlow Lite's table and lines between its entries."""
    (x,), (y,) = op.inputs, op.outputs
    value, dtype = writer.element(x, writer.size(y)), writer.tensor(x).dtype
    if dtype == "float32" and op.kind == "TANH":
        return _float_function(writer, op)
    if dtype == "float32":
        _all_float(writer, x, y)
        return writer.loop(y, writer.call("logistic_float", value))
    _same_dtypes(writer, x, y)
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


def _relu(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    if writer.tensor(x).dtype == "float32":
        return _float_function(writer, op)
    _same_dtypes(writer, x, y)
    low, high = 0, writer.form(y).maximum_integer - writer.form(y).zero_point
    if op.kind == "RELU6":
        high = min(high, _nearest(6 / writer.form(y).scale))
    return _requantized(writer, x, y, (low, high))


def _requantized(writer: StepWriter, x: str, y: str, bounds: tuple[int, int]) -> list[str]:
    source, form = writer.form(x), writer.form(y)
    centred = _plus(writer.element(x, writer.size(y)), -source.zero_point)
    if source.scale == form.scale:
        return writer.loop(y, writer.saturated(centred, form, bounds))
    return writer.loop(y, writer.saturated(writer.rescaled(centred, multiplier(source.scale / form.scale)), form, bounds))


def _quantize(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect(writer.tensor(y).dtype in ("int8", "int16"), f"to {writer.tensor(y).dtype}")
    form = writer.form(y)
    bounds = integer_bounds(Op("", (), ()), form)
    if writer.tensor(x).dtype in ("int8", "int16"):
        return _requantized(writer, x, y, bounds)
    _all_float(writer, x)
    value = f"{writer.element(x, writer.size(y))} / {c_number(np.float32(form.scale))}"
    return writer.loop(y, f"({C_TYPES[form.dtype]}){_plus(writer.call('nearest', value, *bounds), form.zero_point)}")


def _dequantize(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect(writer.tensor(x).dtype in ("int8", "int16"), f"of {writer.tensor(x).dtype}")
    _all_float(writer, y)
    form = writer.form(x)
    integer = _plus(writer.element(x, writer.size(y)), -form.zero_point)
    return writer.loop(y, f"{c_number(np.float32(form.scale))} * (float){integer}")


def _matmul(writer: StepWriter, op: Op) -> list[str]:
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
    expect(_real_bounds(op) == (None, None), "with a fused activation on float32")
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
    """Sums stay in 32 bits where that is certain: a 64-bit multiply-add takes a small core several times as long."""
    x, w, y = *op.inputs[:2], op.outputs[0]
    expect(op.kind == "FULLY_CONNECTED", "on int16 and int8")
    expect(writer.form(w).zero_point == 0, "with a zero point of the weights")
    expect(bias is None or writer.tensor(bias).dtype == "int64", "with a bias that is not int64")
    form, (rows, columns) = writer.form(y), weights.shape
    by = short_multiplier(writer.form(x).scale * writer.form(w).scale / form.scale)
    matrix = writer.constant(f"t{writer.numbers[w]}", weights)
    summand = writer.constant(f"zeros_{rows}", np.zeros(rows, np.int64)) if bias is None else writer.pointer(bias)
    reach = np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0) * 32768
    kernel = f"matmul_int16_in_{'int32' if reach < 2**31 else 'int64'}"
    return lambda x, y: writer.call(
        kernel, x, matrix, summand, rows, columns, *by, *integer_bounds(op, form), y
    )


MATMULS = {
    ("float32", "float32", "float32"): _matmul_float,
    ("int8", "int8", "int8"): _matmul_int8,
    ("int16", "int8", "int16"): _matmul_int16,
}


def _concatenate(writer: StepWriter, op: Op) -> list[str]:
    (y,) = op.outputs
    axis = dict(op.options).get("axis", 0)
    expect(prod(writer.tensor(y).shape[:axis]) == 1 or axis < 0, f"on axis {axis} of {writer.tensor(y).shape}")
    if axis < 0:
        expect(prod(writer.tensor(y).shape[:-1]) == 1, f"on axis {axis} of {writer.tensor(y).shape}")
    expect(sum(map(writer.size, op.inputs)) == writer.size(y), "of parts that are not the whole")
    statements, offset = [], 0
    for part in op.inputs:
        expect(_storage(writer, part) == _storage(writer, y), "of different quantizations")
        place = f"{writer.pointer(y)} + {offset}" if offset else writer.pointer(y)
        statements.append(f"{copy(writer, part, place)};")
        offset += writer.size(part)
    return statements


def copy(writer: StepWriter, name: str, place: str) -> str:
    """All elements of a tensor to a place."""
    return f"memcpy({place}, {writer.pointer(name)}, {writer.size(name)} * sizeof *{writer.pointer(name)})"


def _storage(writer: StepWriter, name: str) -> tuple[str, Affine | None]:
    return writer.tensor(name).dtype, writer.tensor(name).affine


def _gather(writer: StepWriter, op: Op) -> list[str]:
    """Rows of a constant table; an index beyond it takes its nearest row."""
    (table, ids), (y,) = op.inputs, op.outputs
    values = writer.tensor(table).data
    expect(values is not None and not any(dict(op.options).values()), "other than rows of a constant")
    expect(writer.tensor(ids).dtype == "int32" and _storage(writer, table) == _storage(writer, y), "of other types")
    width = prod(values.shape[1:])
    expect(writer.size(y) == writer.size(ids) * width, f"of size {writer.size(y)}")
    row = writer.call("clamped", f"{writer.pointer(ids)}[i]", 0, len(values) - 1)
    target, source = writer.pointer(y), writer.pointer(table)
    return [f"for (int i = 0; i < {writer.size(ids)}; ++i) {{",
            f"    memcpy({target} + i * {width}, {source} + {row} * {width}, {width} * sizeof *{target});", "}"]


COMPARISONS = {"MAXIMUM": "{a} > {b} ? {a} : {b}", "MINIMUM": "{a} < {b} ? {a} : {b}", "LESS": "(uint8_t)({a} < {b})",
               "GREATER": "(uint8_t)({a} > {b})"}


def _compare(writer: StepWriter, op: Op) -> list[str]:
    (a, b), (y,) = op.inputs, op.outputs
    expect(_storage(writer, a) == _storage(writer, b), "of different quantizations")
    if op.kind in ("MAXIMUM", "MINIMUM"):
        expect(_storage(writer, a) == _storage(writer, y), "into another quantization")
    expect(writer.tensor(a).dtype in ("float32", "int8", "int16"), f"on {writer.tensor(a).dtype}")
    first, second = (writer.element(x, writer.size(y)) for x in (a, b))
    return writer.loop(y, COMPARISONS[op.kind].format(a=first, b=second))


def _select(writer: StepWriter, op: Op) -> list[str]:
    (y,) = op.outputs
    expect(len({_storage(writer, name) for name in (*op.inputs[1:], y)}) == 1, "of different quantizations")
    chosen, a, b = (writer.element(x, writer.size(y)) for x in op.inputs)
    return writer.loop(y, f"{chosen} ? {a} : {b}")


def _reduce(writer: StepWriter, op: Op) -> list[str]:
    """SUM, MEAN over all elements."""
    (x, axes), (y,) = op.inputs, op.outputs
    _all_float(writer, x, y)
    expect(writer.tensor(axes).data is not None and writer.size(y) == 1, "over some of the axes")
    target, source, count = writer.pointer(y), writer.pointer(x), writer.size(x)
    mean = [f"{target}[0] /= {c_number(np.float32(count))};"] if op.kind == "MEAN" else []
    return [f"{target}[0] = 0.0f;", f"for (int i = 0; i < {count}; ++i) {{", f"    {target}[0] += {source}[i];", "}",
            *mean]


def _softmax(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    _all_float(writer, x, y)
    count = writer.tensor(x).shape[-1]
    expect(writer.size(x) == count, "of several vectors")
    beta = c_number(np.float32(dict(op.options).get("beta", 0.0)))
    return [writer.call("softmax_float", writer.pointer(x), beta, count, writer.pointer(y)) + ";"]


def _leaky_relu(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    _all_float(writer, x, y)
    value, slope = writer.element(x, writer.size(y)), c_number(np.float32(dict(op.options).get("alpha", 0.0)))
    return writer.loop(y, f"{value} > 0.0f ? {value} : {value} * {slope}")


def c_number(value: np.generic | float | int) -> str:
    """A number as C reads it back: floats with nine digits."""
    if not isinstance(value, float | np.floating):
        return str(int(value))
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


WRITERS: dict[str, Callable[[StepWriter, Op], list[str]]] = {
    **dict.fromkeys(FLOAT_FUNCTIONS, _float_function),
    **dict.fromkeys(COMPARISONS, _compare),
    **dict.fromkeys(("ADD", "SUB"), _sum),
    **dict.fromkeys(("LOGISTIC", "TANH"), _squash),
    **dict.fromkeys(("RELU", "RELU6"), _relu),
    **dict.fromkeys(("BATCH_MATMUL", "FULLY_CONNECTED"), _matmul),
    **dict.fromkeys(("SUM", "MEAN"), _reduce),
    "MUL": _mul,
    "DIV": _float_arithmetic,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "CONCATENATION": _concatenate,
    "GATHER": _gather,
    "SELECT_V2": _select,
    "SOFTMAX": _softmax,
    "LEAKY_RELU": _leaky_relu,
}
