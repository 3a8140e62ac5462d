"""Rounding of weights by what it does to the products they stand in, instead of each weight to the nearest integer.

Over inputs x, of second moments H = sum of x x^T, the squared error of a product is the sum over its outputs j of
e_j^T H e_j, where e_j is the error of column j of the matrix (Nagel et al., Up or Down? Adaptive Rounding for
Post-Training Quantization, 2020, section 3.2; Frantar et al., GPTQ, 2023, equation 1). Inputs go together, so what one
weight adds another can take away. The sum is descended weight by weight from the nearest integers, so that it can only
fall; a shorter scale, beyond which the largest weights saturate, is taken where the sum falls further.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from keras_models.affine_quantization import short_scale, symmetric_weight_scale

LARGEST = 127
SHORTER = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)  # scales tried, of the one that holds the largest weight
SWEEPS = 10  # over all weights; the last ones move hardly any


def round_weights(layer, moments: dict[str, np.ndarray]) -> None:
    """Assigns to the weights of a StepLayer the values its integers stand for.

    Args:
        layer: calibrated.
        moments: (inputs, inputs) by name of a product: the sum of x x^T of what it multiplies.
    """
    with tf.GradientTape() as tape:
        matrices = layer.matrices()
        changes = {name: _change(layer, name, *matrices[name], moments[name]) for name in moments}
        total = sum(ops.sum(matrices[name][0] * change) for name, change in changes.items())
    # A matrix is cut from the weights, turned or negated, but every weight stands in it once: the gradient leads back.
    variables = tape.watched_variables()
    for variable, change in zip(variables, tape.gradient(total, variables), strict=True):
        if change is not None:
            variable.assign_add(change)


def _change(layer, name: str, kernel, bias, moments: np.ndarray) -> np.ndarray:
    """What is to be added to the kernel of a product, float32."""
    rows, kernel = np.asarray(layer.stored_matrix(name, kernel, bias)), np.asarray(kernel, np.float64)
    scale = symmetric_weight_scale(rows)
    # What it says of inputs that were not seen: as if each came alone now and then; 1 where nothing but zeros was seen.
    alone = layer.rounding_damping * np.trace(moments) / len(moments) or 1.0
    moments = moments + alone * np.eye(len(moments))
    # The bias beside a constant input is not touched, so the scale must hold it.
    scales = [short_scale(scale * part) for part in SHORTER] if len(rows) == len(kernel) else [scale]
    rounded = [rounded_matrix(kernel, one_scale, moments) * one_scale for one_scale in scales]
    errors = [np.sum((r - kernel) * (moments @ (r - kernel))) for r in rounded]
    return (rounded[int(np.argmin(errors))] - kernel).astype(np.float32)


def rounded_matrix(kernel: np.ndarray, scale: float, moments: np.ndarray) -> np.ndarray:
    """Integers (inputs, outputs) from -127 to 127 as float64.

    The largest weight keeps the integer of largest magnitude, so that the scale can be told from the integers.

    Args:
        moments: (inputs, inputs), positive definite.
    """
    real = kernel / scale
    integers = np.clip(np.round(real), -LARGEST, LARGEST)
    pinned = np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)
    slope = moments @ (integers - real)  # half the gradient, by integers
    for _ in range(SWEEPS):
        moved = False
        for i, curvature in enumerate(np.diag(moments)):
            wanted = np.clip(np.round(integers[i] - slope[i] / curvature), -LARGEST, LARGEST)
            if i == pinned[0]:
                wanted[pinned[1]] = integers[pinned]
            step = wanted - integers[i]
            if step.any():
                integers[i], moved = wanted, True
                slope += np.outer(moments[:, i], step)
        if not moved:
            break
    return integers
