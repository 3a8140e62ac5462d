"""Keras layers to operators of the step graph, float32 or, from quantization-aware layers, int8.

One lowering serves both: a tensor is int8 where the layer knows its quantization and float32 where it does not.
Integer matrix products are BATCH_MATMUL without bias (the bias is a row of the matrix, see
keras_models.gru_kernels): its bits are equal in LiteRT's built-in kernels and TensorFlow Lite Micro.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, Affine, quantize_weights
from keras_models.gru_kernels import GruKernels, gru_kernels, with_bias_row
from keras_models.qat_cells import STATE, QuantDense, QuantGRU, QuantInput, QuantLayer
from keras_models.supported_layers import check_layer
from tflite.step_graph import StepGraphBuilder


def lower_model(builder: StepGraphBuilder, model: keras.Model, sources: Mapping[str, str]) -> list[str]:
    """Adds one time step of `model` to the graph.

    Args:
        builder: the graph; its states h0, h1, ... are added in the order of the recurrent layers.
        model: Functional, of `quantize_aware` (then calibrated) or plain Keras.
        sources: name of a float32 graph tensor (1, features) for each input of the model.

    Returns:
        The graph tensor of each model output.

    Raises:
        UnsupportedLayer: a layer cannot be lowered.
        ValueError: weights hold NaN, or a range was never observed.
    """
    lowered = {}

    def value(tensor) -> str:
        layer = tensor._keras_history.operation
        if layer.name not in lowered:
            lowered[layer.name] = (
                sources[layer.name]
                if isinstance(layer, keras.layers.InputLayer)
                else _lowering(layer)(builder, layer, value(layer.input))
            )
        return lowered[layer.name]

    return [value(output) for output in model.outputs]


def _lowering(layer) -> Callable[[StepGraphBuilder, keras.layers.Layer, str], str]:
    if not isinstance(layer, QuantLayer):
        check_layer(layer)
    return next(lowering for kind, lowering in LOWERINGS.items() if isinstance(layer, kind))


def _pass_on(builder: StepGraphBuilder, layer, source: str) -> str:
    return source


def _lower_input(builder: StepGraphBuilder, layer: QuantInput, source: str) -> str:
    return quantize(builder, source, layer.output_affine, layer.name)


def quantize(builder: StepGraphBuilder, source: str, affine: Affine, name: str) -> str:
    """float32 -> int8; values beyond the range saturate."""
    return builder.op("QUANTIZE", [source], builder.tensor(name, builder.width(source), affine))


def dequantize(builder: StepGraphBuilder, source: str) -> str:
    """int8 -> float32; a float32 tensor is passed on."""
    if builder.affine(source) is None:
        return source
    return builder.op("DEQUANTIZE", [source], builder.tensor(f"{source}:real", builder.width(source)))


def _lower_dense(builder: StepGraphBuilder, layer: QuantDense, source: str) -> str:
    kernel = np.asarray(layer.step_kernel)
    return _product(
        builder, _beside_one(builder, source, float(layer.one_input)), kernel, layer.name, layer.output_affine
    )


def _lower_float_dense(builder: StepGraphBuilder, layer: keras.layers.Dense, source: str) -> str:
    kernel = np.asarray(layer.kernel)
    bias = np.asarray(layer.bias)[None] if layer.use_bias else np.zeros((1, kernel.shape[1]), np.float32)
    return _product(
        builder, _beside_one(builder, source, 1.0), np.asarray(with_bias_row(kernel, bias, 1.0)), layer.name, None
    )


def _lower_gru(builder: StepGraphBuilder, layer: QuantGRU, source: str) -> str:
    kernels = GruKernels(*(np.asarray(kernel) for kernel in layer.step_kernels))
    affines = {name: quantizer.affine for name, quantizer in layer.quantizers.items()}
    affines |= {"sigmoid": SIGMOID_OUTPUT, "tanh": TANH_OUTPUT, "state": STATE}
    ones = float(layer.one_input), float(layer.one_state)
    return _gru_step(builder, layer.name, kernels, affines, ones, layer.reset_after, source)


def _lower_float_gru(builder: StepGraphBuilder, layer: keras.layers.GRU, source: str) -> str:
    bias = layer.cell.bias.value if layer.cell.use_bias else None
    kernels = gru_kernels(layer.cell.kernel.value, layer.cell.recurrent_kernel.value, bias, 1.0, 1.0)
    kernels = GruKernels(*(np.asarray(kernel) for kernel in kernels))
    return _gru_step(builder, layer.name, kernels, {}, (1.0, 1.0), layer.reset_after, source)


def _gru_step(builder, layer, kernels: GruKernels, affines, ones, reset_after, source) -> str:
    """h' = h + (1 - z) * (n - h); the operators of QuantGRU._step, one by one."""
    units = kernels.state_candidate.shape[1]

    def op(kind, inputs, name, kept, width=units, **options):
        return builder.op(kind, inputs, builder.tensor(f"{layer}/{name}", width, affines.get(kept)), **options)

    def product(values, kernel, name):
        return _product(builder, values, kernel, f"{layer}/{name}", affines.get(name))

    state = builder.tensor(f"{layer}/state", units, affines.get("state"))
    x, h = _beside_one(builder, source, ones[0]), _beside_one(builder, state, ones[1])
    state_gates = product(h, kernels.state_gates, "state_gates")
    gates = op("ADD", [product(x, kernels.input_gates, "input_gates"), state_gates], "gates", "gates", 2 * units)
    gates = op("LOGISTIC", [gates], "sigmoid", "sigmoid", 2 * units)
    update_gate, reset_gate = (
        builder.tensor(f"{layer}/{name}", units, affines.get("sigmoid")) for name in ("update_gate", "reset_gate")
    )
    axis = builder.constant("axis", np.array(1, np.int32))
    builder.op("SPLIT", [axis, gates], [update_gate, reset_gate], numSplits=2)
    if reset_after:
        candidate = product(h, kernels.state_candidate, "state_candidate")
        candidate = op("MUL", [reset_gate, candidate], "reset_candidate", "reset_candidate")
    else:
        reset_state = op("MUL", [reset_gate, state], "reset_state", "state")
        candidate = product(_beside_one(builder, reset_state, ones[1]), kernels.state_candidate, "state_candidate")
    input_candidate = product(x, kernels.input_candidate, "input_candidate")
    candidate = op("TANH", [op("ADD", [input_candidate, candidate], "candidate", "candidate")], "tanh", "tanh")
    difference = op("SUB", [candidate, state], "difference", "difference")
    update = op("MUL", [update_gate, difference], "update", "update")
    new_state = op("ADD", [state, update], "new_state", "state")
    index = sum(name.startswith("h") for name, _, _ in builder.states)
    builder.states.append((f"h{index}", state, new_state))
    return new_state


def _product(builder: StepGraphBuilder, values: str, kernel: np.ndarray, name: str, affine: Affine | None) -> str:
    """(1, inputs) x (inputs, outputs), the matrix stored transposed so that no kernel copies it."""
    if not np.isfinite(kernel).all():
        raise ValueError(f"tensor {name!r}: the weights hold NaN or infinity")
    weights, weight_affine = (kernel, None) if affine is None else quantize_weights(kernel)
    constant = builder.constant(f"{name}/kernel", np.ascontiguousarray(weights.T), weight_affine)
    return builder.op("BATCH_MATMUL", [values, constant], builder.tensor(name, kernel.shape[1], affine), adjY=True)


def _beside_one(builder: StepGraphBuilder, source: str, one: float) -> str:
    """(1, width) -> (1, width + 1): the source with the constant input that multiplies the bias row."""
    affine = builder.affine(source)
    real = np.array([[one]], np.float32)
    constant = builder.constant(f"{source}/one_{one:.9g}", real if affine is None else affine.quantize(real), affine)
    for op in builder.ops:
        if op.kind == "CONCATENATION" and op.inputs == (source, constant):
            return op.outputs[0]
    name = f"{source}/with_{constant}"
    return builder.op(
        "CONCATENATION", [source, constant], builder.tensor(name, builder.width(source) + 1, affine), axis=1
    )


LOWERINGS = {
    QuantInput: _lower_input,
    QuantDense: _lower_dense,
    QuantGRU: _lower_gru,
    keras.layers.Dense: _lower_float_dense,
    keras.layers.GRU: _lower_float_gru,
    keras.layers.Dropout: _pass_on,
}
