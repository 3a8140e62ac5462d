"""The fused int8 LSTM as C statements; what its integers mean is said in keras_models.fused_lstm."""

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
    _check(writer, op)
    units = writer.size(h)
    lines = [f"int16_t gates[{4 * units}], recurrent[{units}];"]
    gates = list(zip(GATES, op.inputs[KERNELS], op.inputs[RECURRENT_KERNELS], op.inputs[BIASES], strict=True))
    for number, (gate, kernel, _, bias) in enumerate(gates):
        lines += [f"/* {gate} gate */", *_products(writer, x, kernel, bias, f"gates + {number * units}")]
    for number, (gate, _, recurrent_kernel, _) in enumerate(gates):
        sum_of_both = _int16(writer, f"gates[{number * units} + i] + recurrent[i]")
        lines += [f"/* {gate} gate */", *_products(writer, h, recurrent_kernel, ABSENT, "recurrent")]
        lines += _loop(units, [f"gates[{number * units} + i] = {sum_of_both};"])
    writer.in_wide = ""  # h changes in place
    lines += _loop(units, _update(writer, writer.pointer(h), writer.pointer(c), units, writer.form(h), writer.form(c)))
    return ["{", *(f"    {line}" for line in lines), "}", f"{copy(writer, h, writer.pointer(y))};"]


def _check(writer: StepWriter, op: Op) -> None:
    x, h, c, (y,) = op.inputs[0], op.inputs[H], op.inputs[C], op.outputs
    dtypes = [writer.tensor(name).dtype for name in (x, h, c, y)]
    expect(dtypes == ["int8", "int8", "int16", "int8"], f"on {', '.join(dtypes)}")
    given = [place for place in UNUSED if place < len(op.inputs) and op.inputs[place] != ABSENT]
    expect(not given and ABSENT not in op.inputs[1:9], f"with the inputs {given}")
    expect(not dict(op.options).get("cellClip") and not dict(op.options).get("projClip"), "that clips")
    expect(writer.size(h) == writer.size(c) == writer.size(y), "of several time steps or a projection")
    expect(writer.form(h) == writer.form(y), "whose output is quantized unlike its state")


def _products(writer: StepWriter, source: str, kernel: str, bias: str, place: str) -> list[str]:
    weights, form = writer.tensor(kernel).data, writer.form(kernel)
    expect(weights is not None and weights.ndim == 2 and form.zero_point == 0, "with weights of another kind")
    expect(weights.shape[1] == writer.size(source), f"of {writer.size(source)} inputs with weights {weights.shape}")
    expect(form.bits == 8, f"with {weights.dtype} weights")
    summand = None if bias == ABSENT else writer.tensor(bias).data
    call = int8_products(writer, kernel, weights, summand, writer.form(source))
    by = multiplier(writer.form(source).scale * form.scale / GATE_INPUT.scale)
    return call(writer.pointer(source), place, "int16", by, GATE_INPUT, INT16)


def _update(writer: StepWriter, h: str, c: str, units: int, h_form: Affine, c_form: Affine) -> list[str]:
    """c = forget c + input candidate; h = output tanh(c): each product is rounded and saturated by itself."""
    gates = [f"gates[{gate * units} + i]" if gate else "gates[i]" for gate in range(4)]
    enter, forget, leave = (squashed_int16(writer, "LOGISTIC", gates[gate], GATE_INPUT.scale) for gate in (0, 1, 3))
    candidate = squashed_int16(writer, "TANH", gates[2], GATE_INPUT.scale)
    by = multiplier(GATE_OUTPUT.scale * GATE_OUTPUT.scale / c_form.scale)
    kept = writer.rescaled(f"{forget} * {c}[i]", multiplier(GATE_OUTPUT.scale * c_form.scale / c_form.scale))
    added = writer.rescaled(f"{enter} * {candidate}", by)
    squashed = squashed_int16(writer, "TANH", f"{c}[i]", c_form.scale)
    by = multiplier(GATE_OUTPUT.scale * GATE_OUTPUT.scale / h_form.scale)
    bounds = h_form.minimum_integer - h_form.zero_point, h_form.maximum_integer - h_form.zero_point
    return [
        f"const int32_t kept = {writer.call('clamped', kept, *INT16)};",
        f"const int32_t added = {writer.call('clamped', added, *INT16)};",
        f"{c}[i] = {_int16(writer, 'kept + added')};",
        f"{h}[i] = {writer.saturated(writer.rescaled(f'{leave} * {squashed}', by), h_form, bounds)};",
    ]


def _int16(writer: StepWriter, value: str) -> str:
    return f"(int16_t){writer.call('clamped', value, *INT16)}"


def _loop(count: int, lines: list[str]) -> list[str]:
    return [f"for (int i = 0; i < {count}; ++i) {{", *(f"    {line}" for line in lines), "}"]
