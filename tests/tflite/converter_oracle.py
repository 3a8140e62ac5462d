"""TensorFlow's own converter over one step of a small model: what the phone variants are measured against.

It runs in a child process, as the converter may crash.
"""

from pathlib import Path

import keras
import tensorflow as tf


def converted_step(path: Path, weights: str) -> bytes:
    """The model of `recurrent_models.recurrent_model` in a `.keras` file, one recurrent layer and a head, as `.tflite`.

    Args:
        weights: "float32", "float16" or "int8" (dynamic range).
    """
    model = keras.models.load_model(path)
    layer, head = model.layers[1], model.get_layer("head")
    names = ["h0", "c0"][: len(layer.cell.state_size) if isinstance(layer.cell.state_size, list) else 1]
    forms = [tf.TensorSpec((1, layer.units), name=name) for name in names]

    @tf.function(input_signature=[tf.TensorSpec((1, model.inputs[0].shape[-1]), name="x"), *forms])
    def step(x, *states):
        output, states = layer.cell(x, list(states))
        return {"y": head(output), **dict(zip(names, states, strict=True))}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([step.get_concrete_function()], model)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()
