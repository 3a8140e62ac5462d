"""The weights of a Keras GRU, arranged as the step graph multiplies them.

Two changes of form, neither changes the function:
* The update gate is negated: sigmoid(-a) = 1 - z, so that h' = h + (1 - z) * (n - h) needs no subtraction from
  one and rounds at the small update instead of at the large state (an int8 state then stalls half as far from its
  target).
* A bias is one more row of the matrix, multiplied by a constant input `one`: matrix products without bias
  (BATCH_MATMUL) give the same bits in LiteRT's built-in kernels and in TensorFlow Lite Micro, FULLY_CONNECTED
  does not (one rounds the rescaled sum once, the other twice).
"""

from typing import NamedTuple

import keras
from keras import ops


class GruKernels(NamedTuple):
    """Matrices (inputs + 1, outputs): the last row is the bias divided by the constant input.

    `input_gates`, `state_gates`: outputs are [1 - z | r], 2 * units. `input_candidate`, `state_candidate`: units.
    """

    input_gates: object
    input_candidate: object
    state_gates: object
    state_candidate: object


def gru_kernels(kernel, recurrent_kernel, bias, one_input, one_state) -> GruKernels:
    """Arranges Keras weights: kernel (features, 3 * units), recurrent_kernel (units, 3 * units), gates z, r, n.

    `bias` is (2, 3 * units) with reset_after, (3 * units,) without, or None. `one_input` and `one_state` are the
    values of the constant inputs beside x and h.
    """
    units = recurrent_kernel.shape[0]
    if bias is None:
        input_bias = state_bias = ops.zeros((3 * units,), kernel.dtype)
    elif len(bias.shape) == 2:
        input_bias, state_bias = bias[0], bias[1]
    else:
        input_bias, state_bias = bias, ops.zeros_like(bias)
    gate_bias = _negate_update((input_bias + state_bias)[None, : 2 * units], units)
    gate_kernel = _negate_update(kernel[:, : 2 * units], units)
    state_gates = _negate_update(recurrent_kernel[:, : 2 * units], units)
    return GruKernels(
        with_bias_row(gate_kernel, gate_bias, one_input),
        with_bias_row(kernel[:, 2 * units :], input_bias[None, 2 * units :], one_input),
        with_bias_row(state_gates, ops.zeros_like(gate_bias), one_state),
        with_bias_row(recurrent_kernel[:, 2 * units :], state_bias[None, 2 * units :], one_state),
    )


def with_bias_row(matrix, bias, one):
    """(inputs, outputs) and (1, outputs) -> (inputs + 1, outputs) with the bias over `one` as the last row."""
    return ops.concatenate([matrix, bias / one], axis=0)


def balanced_one(matrices, biases) -> float:
    """The constant input at which the bias row is as large as the largest weight, so neither costs the other bits."""
    largest_weight = max(float(ops.max(ops.abs(m))) for m in matrices)
    largest_bias = max((float(ops.max(ops.abs(b))) for b in biases), default=0.0)
    return largest_bias / largest_weight if largest_weight > 0 and largest_bias > 0 else 1.0


def _negate_update(gates, units):
    return keras.ops.concatenate([-gates[:, :units], gates[:, units:]], axis=1)
