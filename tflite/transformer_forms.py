"""The Transformer baseline as TensorFlow Lite, by TensorFlow's converter, in a child process: it may crash."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_models.transformer import TransformerSizes
from pipeline.native_stderr import withheld_stderr

FORMS = ("window", "cache")
SAMPLES = 8  # windows that ranges are observed on


def transformer_models(
    sizes: TransformerSizes, weights: Sequence[np.ndarray], windows: np.ndarray, contexts: Sequence[int], integers: bool
) -> dict[tuple[str, int], bytes]:
    """`.tflite` by (form, context): "window" encodes the whole window for a reading, "cache" takes one reading.

    Args:
        weights: of a built `StreamTransformer`.
        windows: (windows, timesteps, features) to calibrate by; repeated in time to the length of a context.
        integers: int8, inputs and outputs too; else float32.
    """
    with withheld_stderr():
        return {
            (form, context): _converted(form, replace(sizes, context=context), weights, windows, integers)
            for form in FORMS
            for context in contexts
        }


def _converted(form: str, sizes: TransformerSizes, weights, windows: np.ndarray, integers: bool) -> bytes:
    import tensorflow as tf

    from keras_models.transformer import StreamTransformer

    model = StreamTransformer(sizes)
    model.build((None, sizes.context, sizes.features))
    model.set_weights(weights)
    signature = {"window": _window_signature, "cache": _cache_signature}[form](tf, model)
    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.step, module.tracked = signature, [variable.value for variable in model.weights]
        tf.saved_model.save(module, folder, signatures={"step": signature})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"])
        if integers:
            samples = list(_samples(form, model, windows))
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (("step", sample) for sample in samples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()


def _window_signature(tf, model):
    shape = (1, model.sizes.context, model.sizes.features)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
    def step(x):
        return _named(model.last_of_window(x))

    return step


def _cache_signature(tf, model):
    sizes = model.sizes
    past = [tf.TensorSpec((1, sizes.context - 1, sizes.width), tf.float32, name=name) for name in _cache_names(sizes)]
    first = [tf.TensorSpec((1, sizes.features), tf.float32, name="x")]
    seen = [tf.TensorSpec((1, sizes.context - 1), tf.float32, name="seen")]

    @tf.function(input_signature=first + seen + past)
    def step(x, seen, *past):
        outputs, rows = model.step(x, list(past), seen)
        named = zip((f"new_{name}" for name in _cache_names(sizes)), rows, strict=True)
        return _named(outputs) | dict(named)

    return step


def _named(outputs: list) -> dict:
    forecast, following, *quantiles = outputs
    return {"forecast": forecast, "following": following} | {f"quantile{i}": one for i, one in enumerate(quantiles)}


def _cache_names(sizes: TransformerSizes) -> list[str]:
    return [f"{kind}{block}" for block in range(sizes.blocks) for kind in ("keys", "values")]


def _samples(form: str, model, windows: np.ndarray):
    """Inputs by name; a full cache, as it is in all but the first steps of a stream."""
    context, sizes = model.sizes.context, model.sizes
    spread = np.linspace(0, len(windows) - 1, min(SAMPLES, len(windows))).astype(int)
    for window in windows[spread]:
        x = np.resize(window, (1, context, sizes.features)).astype(np.float32)
        if form == "window":
            yield {"x": x}
            continue
        cache = [tensor.numpy() for tensor in model.cache_of(x[:, :-1])]
        seen = np.zeros((1, context - 1), np.float32)
        yield {"x": x[:, -1], "seen": seen, **dict(zip(_cache_names(sizes), cache, strict=True))}
