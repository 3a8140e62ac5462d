"""The fused LSTM as C statements, int8 or float32; what its integers mean is said in keras_models.fused_lstm."""

import numpy as np
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from keras_models.affine_quantization import Affine
from tflite.codegen.c_elementwise import squashed_int16
from tflite.codegen.c_matmul import int8_products
from tflite.codegen.fixed_point import multiplier
from tflite.codegen.step_writer import StepWriter, copy, expect
from tflite.step_graph import ABSENT, Op

GATES = ("input", "forget", "candidate", "output")
# Places among the operator's inputs.
KERNELS, RECURRENT_KERNELS, BIASES, H, C = slice(1, 5), slice(5, 9), slice(12, 16), 18, 19
UNUSED = (*range(9, 12), 16, 17, *range(20, 24))
GATE_INPUT, GATE_OUTPUT = Affine(2.0**-12, 0, 16), Affine(2.0**-15, 0, 16)
INT16 = (-32768, 32767)


def write_fused_lstm(writer: StepWriter, op: Op) -> list[str]:
    """One step; h and c are kept in place."""
    x, h, c, (y,) = op.inputs[0], op.inputs[H], op.inputs[C], op.outputs
    numbers = _Reals(writer) if _is_float(writer, op) else _Integers(writer)
    units = writer.size(h)
    lines = [f"{numbers.gate_type} gates[{4 * units}], recurrent[{units}];"]
    parts = list(zip(GATES, op.inputs[KERNELS], op.inputs[RECURRENT_KERNELS], op.inputs[BIASES], strict=True))
    for number, (gate, kernel, _, bias) in enumerate(parts):
        lines += [f"/* {gate} gate */", *numbers.products(x, kernel, bias, f"gates + {number * units}")]
    for number, (gate, _, recurrent_kernel, _) in enumerate(parts):
        lines += [f"/* {gate} gate */", *numbers.products(h, recurrent_kernel, ABSENT, "recurrent")]
        sum_of_both = numbers.sum(f"gates[{number * units} + i] + recurrent[i]")
        lines += _loop(units, [f"gates[{number * units} + i] = {sum_of_both};"])
    writer.in_wide = ""  # h changes in place
    gates = [f"gates[{gate * units} + i]" if gate else "gates[i]" for gate in range(4)]
    lines += _loop(units, numbers.update(h, c, gates))
    return ["{", *(f"    {line}" for line in lines), "}", f"{copy(writer, h, writer.pointer(y))};"]


def _is_float(writer: StepWriter, op: Op) -> bool:
    """Whether all tensors are float32; NotInC where they are neither that nor the integers of the int8 kernel."""
    x, h, c, (y,) = op.inputs[0], op.inputs[H], op.inputs[C], op.outputs
    dtypes = [writer.tensor(name).dtype for name in (x, h, c, y)]
    expect(dtypes in (["float32"] * 4, ["int8", "int8", "int16", "int8"]), f"on {', '.join(dtypes)}")
    given = [place for place in UNUSED if place < len(op.inputs) and op.inputs[place] != ABSENT]
    expect(not given and ABSENT not in op.inputs[1:9], f"with the inputs {given}")
    activation = dict(op.options).get("fusedActivationFunction", ActivationFunctionType.NONE)
    expect(activation == ActivationFunctionType.TANH, f"with the activation {activation}")
    expect(not dict(op.options).get("cellClip") and not dict(op.options).get("projClip"), "that clips")
    expect(writer.size(h) == writer.size(c) == writer.size(y), "of several time steps or a projection")
    expect(writer.tensor(h).affine == writer.tensor(y).affine, "whose output is quantized unlike its state")
    return dtypes[0] == "float32"


def _weights(writer: StepWriter, source: str, kernel: str, bias: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Constants: the matrix (units, inputs) and, where given, a bias for each unit."""
    weights, summand = writer.tensor(kernel).data, None if bias == ABSENT else writer.tensor(bias).data
    expect(weights is not None and weights.ndim == 2, "with weights of another kind")
    expect(weights.shape[1] == writer.size(source), f"of {writer.size(source)} inputs with weights {weights.shape}")
    expect(bias == ABSENT or summand is not None and summand.size == len(weights), "with a bias of another kind")
    return weights, summand


class _Integers:
    """The int8 kernel: gates are int16, Q3.12 before their function."""

    gate_type = "int16_t"

    def __init__(self, writer: StepWriter):
        self.writer = writer

    def products(self, source: str, kernel: str, bias: str, place: str) -> list[str]:
        writer, form = self.writer, self.writer.form(kernel)
        weights, summand = _weights(writer, source, kernel, bias)
        expect(form.zero_point == 0 and form.bits == 8, f"with {weights.dtype} weights of zero point {form.zero_point}")
        call = int8_products(writer, kernel, weights, summand, writer.form(source))
        by = multiplier(writer.form(source).scale * form.scale / GATE_INPUT.scale)
        return call(writer.pointer(source), place, "int16", by, GATE_INPUT, INT16)

    def sum(self, value: str) -> str:
        return f"(int16_t){self.writer.call('saturated_int16', value)}"

    def update(self, h: str, c: str, gates: list[str]) -> list[str]:
        """c = forget c + input candidate; h = output tanh(c): each product is rounded and saturated by itself."""
        writer, h_form, c_form = self.writer, self.writer.form(h), self.writer.form(c)
        h, c = (f"{writer.pointer(name)}[i]" for name in (h, c))
        enter, forget, leave = (squashed_int16(writer, "LOGISTIC", gates[gate], GATE_INPUT.scale) for gate in (0, 1, 3))
        candidate = squashed_int16(writer, "TANH", gates[2], GATE_INPUT.scale)
        by = multiplier(GATE_OUTPUT.scale * GATE_OUTPUT.scale / c_form.scale)
        kept = writer.rescaled(f"{forget} * {c}", multiplier(GATE_OUTPUT.scale * c_form.scale / c_form.scale))
        added = writer.rescaled(f"{enter} * {candidate}", by)
        squashed = squashed_int16(writer, "TANH", c, c_form.scale)
        by = multiplier(GATE_OUTPUT.scale * GATE_OUTPUT.scale / h_form.scale)
        bounds = h_form.minimum_integer - h_form.zero_point, h_form.maximum_integer - h_form.zero_point
        return [
            f"const int32_t kept = {writer.call('saturated_int16', kept)};",
            f"const int32_t added = {writer.call('saturated_int16', added)};",
            f"{c} = {self.sum('kept + added')};",
            f"{h} = {writer.saturated(writer.rescaled(f'{leave} * {squashed}', by), h_form, bounds)};",
        ]


class _Reals:
    """The float32 kernel, in its order of operations."""

    gate_type = "float"

    def __init__(self, writer: StepWriter):
        self.writer = writer

    def products(self, source: str, kernel: str, bias: str, place: str) -> list[str]:
        writer = self.writer
        weights, _ = _weights(writer, source, kernel, bias)
        rows, columns = weights.shape
        expect(weights.dtype == np.float32, f"with {weights.dtype} weights")
        zeros = np.zeros(rows, np.float32)
        summand = writer.constant(f"zeros_{rows}", zeros) if bias == ABSENT else writer.pointer(bias)
        arguments = writer.pointer(source), writer.pointer(kernel), summand, rows, columns, place
        return [writer.call("matmul_float", *arguments) + ";"]

    def sum(self, value: str) -> str:
        return value

    def update(self, h: str, c: str, gates: list[str]) -> list[str]:
        h, c = (f"{self.writer.pointer(name)}[i]" for name in (h, c))
        enter, forget, leave = (self.writer.call("logistic_float", gates[gate]) for gate in (0, 1, 3))
        return [
            f"const float kept = {forget} * {c};",
            f"{c} = kept + {enter} * tanhf({gates[2]});",
            f"{h} = {leave} * tanhf({c});",
        ]


def _loop(count: int, lines: list[str]) -> list[str]:
    return [f"for (int i = 0; i < {count}; ++i) {{", *(f"    {line}" for line in lines), "}"]
