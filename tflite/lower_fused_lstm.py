"""A Keras LSTM as one UNIDIRECTIONAL_SEQUENCE_LSTM, which keeps its states in variables of its own.

The operator reads a sequence, (batch, timesteps, features): here one batch of one time step. What the integers in it
mean is said in keras_models.fused_lstm.
"""

from typing import NamedTuple

import numpy as np
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from keras_models.affine_quantization import Affine, quantize_weights
from keras_models.fused_lstm import bias_affine, check_cell_affine
from tflite.step_graph import ABSENT, StepGraphBuilder

GATES = ("input", "forget", "cell", "output")  # Keras calls them i, f, c, o; the operator's order is the same


class FusedLstmTensors(NamedTuple):
    """Names of graph tensors: `output` (1, 1, units), the variables `h` and `c` (1, units)."""

    output: str
    h: str
    c: str


def lower_fused_lstm(
    builder: StepGraphBuilder, name: str, x: str, weights: tuple, h: Affine | None = None, c: Affine | None = None
) -> FusedLstmTensors:
    """Adds the operator and its tensors, each prefixed `name/`.

    The states are variables: they start at real 0 and the runtime's own reset (`reset_all_variables` in LiteRT,
    `reset` in TensorFlow Lite Micro) puts them back there. A variable may also stand on both sides of the graph's
    `states`: its caller then carries it.

    Args:
        x: tensor (1, features) or (1, 1, features).
        weights: kernel (features, 4 * units), recurrent_kernel (units, 4 * units), bias (4 * units,) or None, in
            Keras' order of gates i, f, c, o.
        h: quantization of the hidden state and output, int8; None: all tensors are float32.
        c: quantization of the cell state, int16 (see `keras_models.fused_lstm.cell_affine`).

    Raises:
        ValueError: weights hold NaN or infinity, or no kernel computes with this `c`.
    """
    kernel, recurrent_kernel, bias = weights
    units = recurrent_kernel.shape[0]
    bias = np.zeros(4 * units, np.float32) if bias is None else bias
    if not all(np.isfinite(part).all() for part in (kernel, recurrent_kernel, bias)):
        raise ValueError(f"layer {name!r}: the weights hold NaN or infinity")
    if h is not None:
        check_cell_affine(c)
    x = _one_step_sequence(builder, f"{name}/x", x)
    state_h = builder.tensor(f"{name}/h", units, h, variable=True)
    state_c = builder.tensor(f"{name}/c", units, c, variable=True)
    output = builder.tensor(f"{name}/output", affine=h, shape=(1, 1, units))
    kernels = _matrices(builder, f"{name}/kernel", kernel, h is not None)
    recurrent_kernels = _matrices(builder, f"{name}/recurrent_kernel", recurrent_kernel, h is not None)
    absent = [ABSENT] * 4
    inputs = [x, *kernels, *recurrent_kernels, *absent[:3], *_biases(builder, name, bias, x, kernels)]
    builder.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [*inputs, *absent[:2], state_h, state_c, *absent],
        output,
        intermediates=_intermediates(builder, name, h),
        fusedActivationFunction=ActivationFunctionType.TANH,
    )
    return FusedLstmTensors(output, state_h, state_c)


def as_vector(builder: StepGraphBuilder, tensor: str) -> str:
    """The tensor as (1, width); FULLY_CONNECTED and another fused LSTM read (1, 1, width) as it is."""
    shape = (1, builder.width(tensor))
    vector = builder.tensor(f"{tensor}:vector", affine=builder.affine(tensor), shape=shape)
    return builder.op("RESHAPE", [tensor], vector, newShape=shape)


def _one_step_sequence(builder: StepGraphBuilder, name: str, tensor: str) -> str:
    """(1, width) -> (1, 1, width): by PACK, which takes less memory than RESHAPE."""
    width, affine = builder.width(tensor), builder.affine(tensor)
    if builder.shape(tensor) == (1, 1, width):
        return tensor
    return builder.op("PACK", [tensor], builder.tensor(name, affine=affine, shape=(1, 1, width)), axis=1, valuesCount=1)


def _matrices(builder: StepGraphBuilder, name: str, kernel: np.ndarray, quantized: bool) -> list[str]:
    """One constant (units, inputs) a gate, each with a scale of its own."""
    names = []
    for gate, part in zip(GATES, np.split(np.asarray(kernel, np.float32), 4, axis=1), strict=True):
        values, affine = quantize_weights(part.T) if quantized else (part.T, None)
        names.append(builder.constant(f"{name}/{gate}", values, affine))
    return names


def _biases(builder: StepGraphBuilder, name: str, bias: np.ndarray, x: str, kernels: list[str]) -> list[str]:
    """One constant (units,) a gate: int32 in the scale of the gate's sums over x, else float32."""
    names = []
    for gate, kernel, part in zip(GATES, kernels, np.split(np.asarray(bias, np.float32), 4), strict=True):
        affine = None
        if builder.affine(kernel) is not None:
            affine = bias_affine(builder.affine(x), builder.affine(kernel))
            part = affine.quantize(part)
        names.append(builder.constant(f"{name}/bias/{gate}", part, affine))
    return names


def _intermediates(builder: StepGraphBuilder, name: str, h: Affine | None) -> list[str]:
    """LiteRT reads the scale of h from the last of five, TensorFlow Lite Micro wants five empty ones: one is all."""
    return [] if h is None else [builder.tensor(f"{name}/hidden", affine=h, shape=(0,))] * 5
