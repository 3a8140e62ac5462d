"""Any supported Keras model to its quantization-aware twin, and the calibration of its ranges."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from keras_models.qat_cells import QuantDense, QuantGRU, QuantInput, QuantLayer, representable_one
from keras_models.supported_layers import UnsupportedLayer, check_model

__all__ = ["QuantizedModel", "UnsupportedLayer", "calibrate", "quantize_aware"]

CALIBRATION_BATCHES, CALIBRATION_BATCH = 16, 64


@keras.saving.register_keras_serializable("edgernn")
class QuantizedModel(keras.Model):
    """A Functional model of fake-quantized layers. `fit` calibrates it by its first batches if nobody did before."""

    @property
    def is_calibrated(self) -> bool:
        """Whether every tensor of every layer has a range."""
        return all(
            quantizer.has_range
            for layer in self.layers
            if isinstance(layer, QuantLayer)
            for quantizer in layer.quantizers.values()
        )

    def fit(self, x=None, *args, **kwargs):
        if not self.is_calibrated:
            calibrate(self, _first_batches(x))
        return super().fit(x, *args, **kwargs)


def quantize_aware(model: keras.Model, activations: str = "int8") -> QuantizedModel:
    """The same model with fake-quantized layers and the same weights.

    Its ranges are calibrated by the first batches given to `fit`, or before by `calibrate`; from then on they are
    fixed and the weights learn to live with them.

    Args:
        model: a built Sequential or Functional Keras 3 model of GRU, Dense and Dropout layers.
        activations: "int8".

    Raises:
        UnsupportedLayer: a layer or an option has no integer twin.
        ValueError: `activations` is not known, the model is not built, or its weights hold NaN.
    """
    if activations != "int8":
        raise ValueError(f"activations={activations!r}: expected 'int8'")
    check_model(model)
    inputs = {}

    def quantized_inputs(layer, *args, **_):
        tensor = args[0]
        if isinstance(tensor._keras_history.operation, keras.layers.InputLayer):
            source = tensor._keras_history.operation.name
            if source not in inputs:
                inputs[source] = QuantInput(name=f"quantize_{source}")(tensor)
            args = (inputs[source], *args[1:])
        return layer(*args)

    functional = model
    if isinstance(model, keras.Sequential):
        functional = keras.Model(model.inputs, model.outputs, name=model.name)
    clone = keras.models.clone_model(functional, clone_function=quantized_layer, call_function=quantized_inputs)
    twin = QuantizedModel(clone.input, clone.output, name=model.name)
    for layer in model.layers:
        for weight in layer.weights:
            _weight_named(twin.get_layer(layer.name), weight.name).assign(weight)
    return twin


def quantized_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The quantization-aware twin of one layer, without its weights."""
    config = layer.get_config()
    if isinstance(layer, keras.layers.GRU):
        return QuantGRU(**{k: config[k] for k in ("name", "units", "reset_after", "use_bias", "return_sequences")})
    if isinstance(layer, keras.layers.Dense):
        return QuantDense(**{k: config[k] for k in ("name", "units", "use_bias")})
    return type(layer).from_config(config)


def calibrate(qat: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Observes the exact range of every tensor on rolled-out states, then fixes the constants beside them.

    Args:
        qat: a model of `quantize_aware`.
        batches: arrays (batch, timesteps, features), or lists of them for several inputs, as the model takes them.

    Raises:
        ValueError: a batch holds NaN or infinity, or a tensor of the model never moved.
    """
    layers = [layer for layer in qat.layers if isinstance(layer, QuantLayer)]
    for layer in layers:
        layer.observe = True
    observe = tf.function(lambda batch: qat(batch, training=False), reduce_retracing=True)
    try:
        for batch in batches:
            for values in batch if isinstance(batch, list | tuple) else [batch]:
                if not np.isfinite(values).all():
                    raise ValueError("representative data holds NaN or infinity; fill missing readings first")
            observe(tf.nest.map_structure(tf.constant, batch))
    finally:
        for layer in layers:
            layer.observe = False
    for layer in layers:
        layer.settle()
    _share_ones([layer for layer in layers if not isinstance(layer, QuantInput)])


def _first_batches(x) -> Iterable:
    """The first batches of what `fit` was given: a tf.data.Dataset, or an array or list of arrays (streams first)."""
    if isinstance(x, tf.data.Dataset):
        for element in x.take(CALIBRATION_BATCHES):
            features = element[0] if isinstance(element, tuple) else element
            yield tf.nest.map_structure(np.asarray, features)
        return
    arrays = x if isinstance(x, list | tuple) else [x]
    if not all(isinstance(array, np.ndarray | tf.Tensor) for array in arrays):
        raise ValueError(f"fit({type(x).__name__}): cannot be looked into; call calibrate(model, batches) before")
    for start in range(0, min(len(arrays[0]), CALIBRATION_BATCHES * CALIBRATION_BATCH), CALIBRATION_BATCH):
        batch = [np.asarray(array[start : start + CALIBRATION_BATCH]) for array in arrays]
        yield batch if isinstance(x, list | tuple) else batch[0]


def _share_ones(layers: list[QuantLayer]) -> None:
    """Fixes the constant inputs; layers fed by the same tensor share one, so that the step graph builds it once."""
    by_source = {}
    for layer in layers:
        by_source.setdefault(producer(layer.input).name, []).append(layer)
    for consumers in by_source.values():
        affine = producer(consumers[0].input).output_affine
        one = representable_one(max(layer.wanted_one for layer in consumers), affine)
        for layer in consumers:
            layer.one_input.assign(one)


def producer(tensor) -> QuantLayer:
    """The quantized layer whose output `tensor` (a KerasTensor) is, looking through layers that only pass it on."""
    layer = tensor._keras_history.operation
    return layer if isinstance(layer, QuantLayer) else producer(layer.input)


def _weight_named(layer, name):
    return next(weight for weight in layer.weights if weight.name == name)
