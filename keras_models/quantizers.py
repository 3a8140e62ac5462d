"""Fake quantizers for Keras 3 layers, made of the quantizers of tensorflow-model-optimization (TFMOT).

TFMOT's quantizers were written for `tf_keras`; they ask their layer for weights in that dialect. `_RangeHost`
answers in Keras 3's, and the quantizers are given the TensorFlow variables behind the Keras ones.
"""

import keras
import tensorflow as tf
from tensorflow_model_optimization.quantization.keras import quantizers as tfmot

from keras_models.affine_quantization import DROPPED_BITS, Affine, affine_from_range


class _RangeHost:
    """Stands in for the layer when a TFMOT quantizer adds its range variables."""

    def __init__(self, layer: keras.layers.Layer):
        self.layer = layer
        self.variables = {}

    def add_weight(self, name, initializer, trainable, shape=None):
        constant = keras.initializers.Constant(initializer.value)
        variable = self.layer.add_weight(name=name, shape=shape or (), initializer=constant, trainable=trainable)
        self.variables[name] = variable
        return variable


class TensorQuantizer:
    """int8 fake quantization of one activation tensor, its range observed, then fixed.

    While observing, the range grows to hold every value seen (so the range after a rolled-out stream is
    exact); otherwise values outside the range saturate, as the integer kernels do.
    """

    def __init__(self, layer: keras.layers.Layer, name: str):
        self.label = f"layer {layer.name!r}, tensor {name!r}"
        self.product = None  # the quantizer of the product, where this tensor is a factor of a MUL
        self._quantizer = tfmot.AllValuesQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
        self._range = self._quantizer.build(None, name, _RangeHost(layer))

    def __call__(self, values, observe: bool):
        weights = {key: variable.value for key, variable in self._range.items()}
        return self._quantizer(values, training=observe, weights=weights)

    @property
    def has_range(self) -> bool:
        """Whether values other than zero were observed."""
        return float(self._range["min_var"].value) < float(self._range["max_var"].value)

    def settle(self, kept: float, limit: float) -> None:
        """Fixes the range to the one the converted tensor will have.

        Args:
            kept: share of the observed range, on either side of zero, that is kept.
            limit: beyond -limit and limit nothing is kept.

        Raises:
            ValueError: no value was observed, or none but zeros.
        """
        self._range["min_var"].assign(max(kept * float(self._range["min_var"].value), -limit))
        self._range["max_var"].assign(min(kept * float(self._range["max_var"].value), limit))
        low, high = self.affine.range
        self._range["min_var"].assign(low)
        self._range["max_var"].assign(high)

    @property
    def affine(self) -> Affine:
        """The quantization of the converted tensor.

        Raises:
            ValueError: no value was observed, or none but zeros.
        """
        low, high = float(self._range["min_var"].value), float(self._range["max_var"].value)
        unit = 1.0 if self.product is None else self.product.affine.scale
        try:
            return affine_from_range(low, high, unit)
        except ValueError as error:
            raise ValueError(f"{self.label}: {error}; calibrate on streams that move it") from None


class WeightQuantizer:
    """Symmetric int8 fake quantization of a weight tensor by its current values, one scale for the tensor."""

    def __init__(self, layer: keras.layers.Layer, name: str):
        self._quantizer = tfmot.LastValueQuantizer(num_bits=8, per_axis=False, symmetric=True, narrow_range=True)
        self._range = self._quantizer.build(None, name, _RangeHost(layer))

    def __call__(self, values):
        weights = {key: variable.value for key, variable in self._range.items()}
        flat = tf.reshape(values, [-1])
        # TFMOT takes the range from the values: one more value gives it the range of the shortened scale.
        limit = 127 * _short_scale(tf.reduce_max(tf.abs(flat)) / 127)
        inside = tf.clip_by_value(flat, -limit, limit)
        # Always in training mode: the scale belongs to the weights of this very call, also in evaluation.
        quantized = self._quantizer(tf.concat([inside, [limit]], 0), training=True, weights=weights)
        return tf.reshape(quantized[:-1], tf.shape(values))


def _short_scale(scale):
    """`affine_quantization.short_scale` in the graph."""
    bits = tf.bitcast(tf.stop_gradient(scale), tf.int32)
    kept = tf.bitwise.bitwise_and(bits + (1 << DROPPED_BITS - 1), -1 << DROPPED_BITS)
    return tf.bitcast(kept, tf.float32)


def fixed_fake_quant(values, affine: Affine):
    """Fake quantization whose range the kernel dictates (outputs of LOGISTIC and TANH, the state)."""
    low, high = affine.range
    return tf.quantization.fake_quant_with_min_max_args(values, min=low, max=high)
