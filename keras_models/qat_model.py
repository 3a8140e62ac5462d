"""Any supported Keras model to its quantization-aware twin, and the calibration of its ranges."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from keras_models.layer_calls import sources_of
from keras_models.numeric_form import NumericForm
from keras_models.step_layers import StepLayer, producer, steps_of_one
from keras_models.step_model import step_model
from keras_models.step_rnn import StepRNN
from keras_models.supported_layers import UnsupportedLayer
from keras_models.weight_rounding import round_weights

__all__ = ["QuantizedModel", "UnsupportedLayer", "calibrate", "quantize_aware"]

CALIBRATION_BATCHES, CALIBRATION_BATCH = 16, 64


@keras.saving.register_keras_serializable("edgernn")
class QuantizedModel(keras.Model):
    """A Functional model of fake-quantized layers. `fit` calibrates it by its first batches if nobody did before.

    Training computes with fake quantization, inference with the integers of the converted model: what `predict`
    says is what the device will say, bit for bit.
    """

    @property
    def form(self) -> NumericForm:
        """The numbers the converted model computes with; float32 where no layer has an integer form."""
        return next((layer.form for layer in self._step_layers), NumericForm("float32"))

    @property
    def is_calibrated(self) -> bool:
        """Whether every tensor of every layer has a range."""
        return all(quantizer.is_settled for layer in self._step_layers for quantizer in layer.quantizers.values())

    def fit(self, x=None, *args, **kwargs):
        if not self.is_calibrated:
            calibrate(self, _first_batches(x))
        return super().fit(x, *args, **kwargs)

    def __call__(self, *args, **kwargs):
        if not (self.is_calibrated or any(layer.observe for layer in self._step_layers)):
            raise ValueError(f"model {self.name!r} has no ranges yet: fit it, or calibrate(model, batches)")
        return super().__call__(*args, **kwargs)

    @property
    def _step_layers(self) -> list[StepLayer]:
        return [layer for layer in self.layers if isinstance(layer, StepLayer)]


def quantize_aware(
    model: keras.Model, activations: str = "int8", *, state_dtype: str | None = None, state: str = "external"
) -> QuantizedModel:
    """The same model with fake-quantized layers and the same weights.

    Its ranges are calibrated by the first batches given to `fit`, or before by `calibrate`; from then on they are
    learned with the weights, but those in powers of two and of int16.

    Args:
        model: a built Sequential or Functional Keras 3 model; `supported_layers` says of which layers.
        activations: "int8" or "int16"; weights are int8.
        state_dtype: "int16" with activations "int8": int16 states with int8 matrix products, for slow dynamics.
        state: where the converted model keeps it, "external" or "internal"; inside, an int8 LSTM is one fused operator,
            which computes a little differently.

    Raises:
        UnsupportedLayer: a layer or an option has no integer twin.
        ValueError: `activations` is not known, the model is not built, or its weights hold NaN.
    """
    form = NumericForm(activations, state_dtype)
    if form.is_float:
        raise ValueError("activations='float32': a float model needs no quantization; expected 'int8' or 'int16'")
    return step_model(model, form, QuantizedModel, state=state, stateful=True)


def calibrate(qat: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Observes the exact range of every tensor on rolled-out states, then fixes it, and the constants beside matrices;
    rounds the weights by what that does to their products (`weight_rounding`).

    Whatever ranges the model had are forgotten. Training goes on from there: at a low rate (.0001 with Adam) it mends
    what is left, at a high one it takes the rounding apart again.

    Args:
        qat: a model of `quantize_aware`.
        batches: arrays (batch, timesteps, features), or lists of them for several inputs, as the model takes them.

    Raises:
        ValueError: a batch holds NaN or infinity, or a tensor of the model never moved.
    """
    layers, moments = [layer for layer in qat.layers if isinstance(layer, StepLayer)], []
    for layer in layers:
        layer.observe = True
        for quantizer in layer.quantizers.values():
            quantizer.forget()
        layer.moments = {name: _no_moments(kernel) for name, (kernel, _) in layer.matrices().items()}
    observe = tf.function(lambda batch: qat(batch, training=False), reduce_retracing=True)
    try:
        for batch in batches:
            for values in tf.nest.flatten(batch):
                if not np.isfinite(values).all():
                    raise ValueError("representative data holds NaN or infinity; fill missing readings first")
            observe(tf.nest.map_structure(tf.constant, batch))
    finally:
        for layer in layers:
            layer.observe = False
            moments.append({name: one.numpy() for name, one in layer.moments.items()})
            layer.moments = {}  # products add to what is there
            if isinstance(layer, StepRNN):
                layer.reset_states()
    for layer in layers:
        layer.settle()
    _fix_ones(layers)
    for layer, of_products in zip(layers, moments, strict=True):
        if of_products:
            round_weights(layer, of_products)


def _no_moments(kernel) -> tf.Variable:
    return tf.Variable(tf.zeros((kernel.shape[0], kernel.shape[0])), trainable=False)


def _first_batches(x) -> Iterable:
    """The first batches of what `fit` was given: a tf.data.Dataset, or arrays (streams first)."""
    if isinstance(x, tf.data.Dataset):
        for element in x.take(CALIBRATION_BATCHES):
            features = element[0] if isinstance(element, tuple) else element
            yield tf.nest.map_structure(np.asarray, features)
        return
    arrays = tf.nest.flatten(x)
    if not arrays or not all(isinstance(array, np.ndarray | tf.Tensor) for array in arrays):
        raise ValueError(f"fit({type(x).__name__}): cannot be looked into; call calibrate(model, batches) before")
    for start in range(0, min(len(arrays[0]), CALIBRATION_BATCHES * CALIBRATION_BATCH), CALIBRATION_BATCH):
        yield tf.nest.map_structure(lambda array: np.asarray(array[start : start + CALIBRATION_BATCH]), x)  # noqa: B023


def _fix_ones(layers: list[StepLayer]) -> None:
    """Fixes the constant inputs; layers fed by the same tensor share one, so that the step graph builds it once."""
    by_source = {}
    for layer in layers:
        if "input" in layer.ones:
            by_source.setdefault(producer(sources_of(layer)[0]).name, []).append(layer)
        if "state" in layer.ones:
            layer.ones["state"].assign(steps_of_one(layer.wanted_one("state"), layer.operand_quantizer.affine))
    for consumers in by_source.values():
        affine = consumers[0].source_quantizers[0].affine
        steps = steps_of_one(max(layer.wanted_one("input") for layer in consumers), affine)
        for layer in consumers:
            layer.ones["input"].assign(steps)
