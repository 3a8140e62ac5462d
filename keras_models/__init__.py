"""Recurrent Keras models for streams: float training, quantization-aware training, anomaly score.

`quantize_aware` is loaded on first use: importing TensorFlow takes seconds and most commands need none of it.
"""

__all__ = ["quantize_aware"]


def __getattr__(name):
    if name == "quantize_aware":
        from keras_models.qat_model import quantize_aware

        return quantize_aware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
