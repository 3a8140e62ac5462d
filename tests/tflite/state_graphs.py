"""Step graphs whose states are of every kind: a delay line in every dtype, the fused LSTM, both in one."""

import numpy as np

from keras_models.affine_quantization import Affine, quantize_weights
from tflite.step_graph import ABSENT, StepGraph, StepGraphBuilder

DELAY_FORMS = {
    "float32": None,
    "int8": Affine(1 / 32, 0),
    "int8 high": Affine(1 / 32, 17),
    "int8 low": Affine(1 / 32, -96),
    "int16": Affine(1 / 8192, 0, 16),
}
UNITS, FEATURES = 6, 4
GATES = ("input", "forget", "cell", "output")


def delay_graph(form: str = "float32", width: int = 3) -> StepGraph:
    """s0' = s0 / 2 + x, s1' = s0, s2' = s1; step(x, s0, s1, s2) -> (sum = s0', late = s2).

    What s1 becomes is what s0 was: assigning the states one after the other, or reading one late, loses it.
    """
    affine, builder = DELAY_FORMS[form], StepGraphBuilder()

    def op(kind, inputs, name, **options):
        return builder.op(kind, inputs, builder.tensor(name, width, affine), **options)

    x = builder.tensor("x", width)
    builder.inputs.append(("x", x))
    x = op("QUANTIZE", [x], "x_q") if affine else x
    states = [builder.tensor(f"s{i}", width, affine) for i in range(3)]
    half = np.full((1, width), 0.5, np.float32)
    half = builder.constant("half", affine.quantize(half) if affine else half, affine)
    wide = {"potScaleInt16": False} if form == "int16" else {}
    total = op("ADD", [op("MUL", [states[0], half], "halved"), x], "total", **wide)
    builder.states += [("s0", states[0], total), ("s1", states[1], states[0]), ("s2", states[2], states[1])]
    for name, tensor in (("sum", total), ("late", states[2])):
        real = builder.op("DEQUANTIZE", [tensor], builder.tensor(f"{tensor}:real", width)) if affine else tensor
        builder.outputs.append((name, real))
    return builder.build()


def delayed(xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum, late) of `delay_graph` for (timesteps, width) readings, in real numbers."""
    sums = np.zeros((len(xs) + 1, xs.shape[1]))
    for t, x in enumerate(xs):
        sums[t + 1] = sums[t] / 2 + x
    return sums[1:], np.concatenate([np.zeros((2, xs.shape[1])), sums])[: len(xs)]


def lstm_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Per gate: w (units, features), u (units, units), b (units,)."""
    rng = np.random.default_rng(seed)
    shapes = {"w": (UNITS, FEATURES), "u": (UNITS, UNITS), "b": (UNITS,)}
    return {f"{kind}_{gate}": rng.normal(0, 0.5, shape) for kind, shape in shapes.items() for gate in GATES}


def lstm_outputs(xs: np.ndarray) -> np.ndarray:
    """h of every step, (timesteps, units), by the textbook."""
    weights, h, c, outputs = lstm_weights(), np.zeros(UNITS), np.zeros(UNITS), []
    for x in xs:
        gates = {g: weights[f"w_{g}"] @ x + weights[f"u_{g}"] @ h + weights[f"b_{g}"] for g in GATES}
        i, f, o = (1 / (1 + np.exp(-gates[gate])) for gate in ("input", "forget", "output"))
        c = f * c + i * np.tanh(gates["cell"])
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def lstm_graph(quantized: bool, with_state: bool = False) -> StepGraph:
    """step(x) -> h of one fused LSTM, its state in variable tensors; `with_state`: also -> sum, its own state."""
    builder = StepGraphBuilder()
    x_affine, h_affine = (Affine(1 / 32, 5), Affine(1 / 128, -7)) if quantized else (None, None)
    x = builder.tensor("x", shape=(1, 1, FEATURES))
    builder.inputs.append(("x", x))
    if quantized:
        x = builder.op("QUANTIZE", [x], builder.tensor("x_q", affine=x_affine, shape=(1, 1, FEATURES)))
    h = _fused_lstm(builder, x, x_affine, h_affine)
    if quantized:
        h = builder.op("DEQUANTIZE", [h], builder.tensor("h", shape=(1, 1, UNITS)))
    builder.outputs.append(("h", h))
    if with_state:
        before, after = (builder.tensor(name, shape=(1, 1, UNITS)) for name in ("before", "after"))
        builder.outputs.append(("sum", builder.op("ADD", [before, h], after)))
        builder.states.append(("total", before, after))
    return builder.build()


def _fused_lstm(builder: StepGraphBuilder, x: str, x_affine: Affine | None, h_affine: Affine | None) -> str:
    weights = {}
    for name, values in lstm_weights().items():
        kind, gate = name.split("_")
        if kind == "b":
            affine = Affine(x_affine.scale * builder.affine(weights[f"w_{gate}"]).scale, 0, 32) if x_affine else None
            data = np.round(values / affine.scale).astype(np.int32) if affine else values.astype(np.float32)
        else:
            data, affine = quantize_weights(values) if x_affine else (values.astype(np.float32), None)
        weights[name] = builder.constant(name, data, affine)
    state = builder.tensor("h_state", UNITS, h_affine, variable=True)
    cell = builder.tensor("c_state", UNITS, Affine(2.0**-12, 0, 16) if x_affine else None, variable=True)
    inputs = [x, *(weights[f"{kind}_{gate}"] for kind in "wu" for gate in GATES), *3 * [ABSENT],
              *(weights[f"b_{gate}"] for gate in GATES), ABSENT, ABSENT, state, cell, *4 * [ABSENT]]
    intermediates = [builder.tensor("gate", dtype="float32", shape=(0,)) for _ in GATES] if x_affine else []
    intermediates += [builder.tensor("hidden", affine=h_affine, shape=(0,))] if x_affine else []
    return builder.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, builder.tensor("lstm", affine=h_affine, shape=(1, 1, UNITS)),
        intermediates, fusedActivationFunction=4, cellClip=0.0,
    )
