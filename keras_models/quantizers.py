"""Quantizers of the tensors of a step, for Keras 3 layers, made of those of tensorflow-model-optimization (TFMOT).

TFMOT's quantizers were written for `tf_keras`; they ask their layer for weights in that dialect. `_RangeHost`
answers in Keras 3's, and the quantizers are given the TensorFlow variables behind the Keras ones.
"""

from collections.abc import Callable
from functools import partial
from math import inf

import keras
import numpy as np
import tensorflow as tf
from tensorflow_model_optimization.quantization.keras import quantizers as tfmot

from keras_models.affine_quantization import DROPPED_BITS, Affine, affine_from_range, power_of_two_affine
from keras_models.integer_kernels import Form, constant_form

SMALLEST_FACTOR = 1 / 16  # by which a learned range may shrink


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
    """Fake quantization of one activation tensor: its range is observed, fixed, and then learned.

    While observing, the range grows to hold every value seen (so the range after a rolled-out stream is exact);
    otherwise values outside the range saturate, as the integer kernels do. Training stretches and shrinks the range of
    a tensor that `learn` was called of, by the gradient of Esser et al. 2020, "Learned step size quantization": wider
    where saturated values matter, finer where rounded ones do. It learns how far it is from the calibrated range, not
    the range itself: so learning rates suit all tensors, and weight decay draws to the calibrated one.

    Args:
        bits: 8 or 16.
        power_of_two: the scale must be a power of two (see `power_of_two_affine`).
    """

    fixed = None  # the quantization, where nothing is to be observed

    def __init__(self, layer: keras.layers.Layer, name: str, bits: int = 8, power_of_two: bool = False):
        self.label = f"layer {layer.name!r}, tensor {name!r}"
        self.layer, self.name = layer, name
        self.bits, self.power_of_two = bits, power_of_two
        self.product = None  # the quantizer of the product, where this tensor is a factor of a MUL
        self._quantizer = tfmot.AllValuesQuantizer(num_bits=bits, per_axis=False, symmetric=False, narrow_range=False)
        self._range = self._quantizer.build(None, name, _RangeHost(layer))
        # What the range comes to, fixed by `settle`: 0 until then.
        self._scale, self._zero_point = (
            layer.add_weight(name=f"{name}_{part}", shape=(), initializer="zeros", trainable=False)
            for part in ("scale", "zero_point")
        )
        self._stretch = None

    @property
    def is_coarse(self) -> bool:
        """Whether the range is worth tuning: an int16 needs no finer step, and a power of two comes in octaves only."""
        return self.bits == 8 and not self.power_of_two

    def learn(self) -> None:
        """Makes the scale trainable."""
        self._stretch = self.layer.add_weight(name=f"{self.name}_stretch", shape=(), initializer="zeros")

    def __call__(self, values, observe: bool = False):
        return self.reader(observe)(values)

    def reader(self, observe: bool) -> Callable:
        """The quantizer with its range as it is now: read before a loop over time, not in each of its steps."""
        if observe:  # and pass the values on as they are: a state that stalls would hide its range
            return self._observe
        if self._stretch is None:
            low, high = (tf.convert_to_tensor(self._range[key].value) for key in ("min_var", "max_var"))
            return partial(_within, low=low, high=high, bits=self.bits)
        scale, zero_point = self.scale, tf.convert_to_tensor(self._zero_point.value)
        return lambda values: _learned_step(values, scale, zero_point)

    def _observe(self, values):
        self._quantizer(values, training=True, weights={key: variable.value for key, variable in self._range.items()})
        return values

    def forget(self) -> None:
        """Takes back what was observed, fixed and learned."""
        for variable in (*self._range.values(), self._scale, self._zero_point):
            variable.assign(0.0)
        if self._stretch is not None:
            self._stretch.assign(0.0)

    @property
    def is_settled(self) -> bool:
        """Whether the range was fixed; a graph that is being traced may ask, too."""
        with tf.init_scope():
            return float(self._scale.value) > 0

    def settle(self, limit: float = inf) -> None:
        """Fixes the range to the one the converted tensor will have; the quantizer of the product goes first.

        Args:
            limit: beyond -limit and limit nothing is kept.

        Raises:
            ValueError: no value was observed, or none but zeros.
        """
        self._range["min_var"].assign(max(float(self._range["min_var"].value), -limit))
        self._range["max_var"].assign(min(float(self._range["max_var"].value), limit))
        affine = self.observed_affine
        low, high = affine.range
        self._range["min_var"].assign(low)
        self._range["max_var"].assign(high)
        self._scale.assign(affine.scale)
        self._zero_point.assign(affine.zero_point)

    @property
    def scale(self):
        """The settled and learned scale, a float32 scalar, of the very bits the converted tensor will have."""
        scale = tf.convert_to_tensor(self._scale.value)
        if self._stretch is None:
            return scale
        unit = 1.0 if self.product is None else tf.stop_gradient(self.product.scale)
        factor = tf.maximum(1 + self._stretch.value, SMALLEST_FACTOR)
        return unit * tf.grad_pass_through(_odd_scale)(factor * scale / unit)

    @property
    def affine(self) -> Affine:
        """The quantization of the converted tensor.

        Raises:
            ValueError: no value was observed, or none but zeros.
        """
        if not self.is_settled:
            return self.observed_affine
        return Affine(float(self.scale), int(self._zero_point.value), self.bits)

    @property
    def observed_affine(self) -> Affine:
        """What the observed range comes to.

        Raises:
            ValueError: no value was observed, or none but zeros.
        """
        low, high = float(self._range["min_var"].value), float(self._range["max_var"].value)
        try:
            if self.power_of_two:
                return power_of_two_affine(low, high, self.bits)
            unit = 1.0 if self.product is None else self.product.affine.scale
            return affine_from_range(low, high, unit, self.bits)
        except ValueError as error:
            remedy = "calibrate on streams that move it"
            if not np.isfinite([low, high]).all():
                remedy = "its values grow beyond all bounds on these streams; look at the activation before it"
            raise ValueError(f"{self.label}: {error}; {remedy}") from None

    @property
    def form(self) -> Form:
        """The settled and learned quantization as tensors."""
        return Form(tf.cast(self.scale, tf.float64), tf.cast(self._zero_point.value, tf.int64), self.bits)


class FixedQuantizer:
    """Quantization that a kernel or another tensor dictates."""

    product, power_of_two, is_coarse = None, True, False
    is_settled = True

    def __init__(self, affine: Affine):
        self.affine, self.bits, self.fixed = affine, affine.bits, affine

    def __call__(self, values, observe: bool = False):
        return self.reader(observe)(values)

    def reader(self, observe: bool) -> Callable:
        """As of `TensorQuantizer`."""
        low, high = self.affine.range
        return _as_they_are if observe else partial(_within, low=low, high=high, bits=self.bits)

    def forget(self) -> None:
        """There is nothing observed."""

    def settle(self, limit: float = inf) -> None:
        """There is nothing to fix."""

    @property
    def form(self) -> Form:
        return constant_form(self.affine)


class WidenedQuantizer:
    """The range of another tensor in another width: scale times a power of two, zero_point 0.

    int8 to int16 is exact; int16 to int8 rounds, and saturates nothing but the last half step.
    """

    product, power_of_two, is_coarse, fixed = None, False, False, None

    def __init__(self, source: "TensorQuantizer | FixedQuantizer", bits: int):
        self.source, self.bits = source, bits
        # An int8 of any zero_point spans 255 steps: 128 times that fits int16. The other way both are symmetric.
        self.factor = 1 / 128 if bits == 16 else 256.0

    def __call__(self, values, observe: bool = False):
        return self.reader(observe)(values)

    def reader(self, observe: bool) -> Callable:
        """As of `TensorQuantizer`."""
        if observe or self.bits == 16:
            return _as_they_are
        limit = tf.cast(self.form.scale * 2.0 ** (self.bits - 1), tf.float32)
        return partial(_within, low=-limit, high=limit - limit / 2.0 ** (self.bits - 1), bits=self.bits)

    @property
    def is_settled(self) -> bool:
        return self.source.is_settled

    def forget(self) -> None:
        """The source forgets by itself."""

    def settle(self, limit: float = inf) -> None:
        """The source is fixed by itself."""

    @property
    def affine(self) -> Affine:
        return Affine(self.source.affine.scale * self.factor, 0, self.bits)

    @property
    def form(self) -> Form:
        return Form(self.source.form.scale * self.factor, tf.constant(0, tf.int64), self.bits)


class WeightQuantizer:
    """Symmetric int8 quantization of a weight tensor by its current values, one scale for the tensor.

    Gradients pass to all weights: a scale that was shortened downwards would stop the largest from learning.
    """

    def __init__(self, layer: keras.layers.Layer, name: str):
        self._quantizer = tfmot.LastValueQuantizer(num_bits=8, per_axis=False, symmetric=True, narrow_range=True)
        self._range = self._quantizer.build(None, name, _RangeHost(layer))

    def __call__(self, values):
        return tf.grad_pass_through(self._quantized)(values)

    def _quantized(self, values):
        weights = {key: variable.value for key, variable in self._range.items()}
        flat = tf.reshape(values, [-1])
        # TFMOT takes the range from the values: one more value gives it the range of the shortened scale.
        limit = 127 * weight_scale(values)
        inside = tf.clip_by_value(flat, -limit, limit)
        # Always in training mode: the scale belongs to the weights of this very call, also in evaluation.
        quantized = self._quantizer(tf.concat([inside, [limit]], 0), training=True, weights=weights)
        return tf.reshape(quantized[:-1], tf.shape(values))


def _within(values, low, high, bits):
    """Fake quantization over a range that is not learned."""
    # The loop over time asks for the gradient of whatever it reads.
    low, high = tf.stop_gradient(low), tf.stop_gradient(high)
    if bits == 16:
        # The range of an int16 matters, its step of 1/65536 does not: a fifth of an LSTM's training time.
        return tf.clip_by_value(values, low, high)
    return tf.quantization.fake_quant_with_min_max_vars(values, low, high, num_bits=bits)


@tf.custom_gradient
def _learned_step(values, scale, zero_point):
    """Values in integer steps of `scale`, int8; the gradient of `scale` as in Esser et al. 2020, equations 1 to 3."""
    real = values / scale
    inside = tf.clip_by_value(real, -128 - zero_point, 127 - zero_point)
    steps = tf.round(inside)

    def gradient(upstream):
        is_inside = tf.equal(real, inside)
        by_scale = tf.where(is_inside, steps - real, steps)
        # As a product of vectors: XLA sums it in several lanes at once, another sum one element after the other.
        total = tf.tensordot(tf.reshape(upstream, [-1]), tf.reshape(by_scale, [-1]), 1)
        return tf.where(is_inside, upstream, 0.0), total, None

    return steps * scale, gradient


def _as_they_are(values):
    return values


def _odd_scale(scale):
    """`affine_quantization.odd_scale` in the graph."""
    kept = tf.bitwise.bitwise_and(tf.bitcast(scale, tf.int32), -1 << DROPPED_BITS)
    return tf.bitcast(tf.bitwise.bitwise_or(kept, 1 << DROPPED_BITS), tf.float32)


def weight_scale(weights):
    """`affine_quantization.symmetric_weight_scale` in the graph."""
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(weights)))
    bits = tf.bitcast(largest / 127, tf.int32)
    short = tf.bitcast(tf.bitwise.bitwise_and(bits + (1 << DROPPED_BITS - 1), -1 << DROPPED_BITS), tf.float32)
    return tf.where(largest > 0, short, 1 / 128)
