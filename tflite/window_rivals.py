"""The rivals of a stateful step that carry no state: a float model run over the whole window for each new reading."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tflite.conversion import convert
from tflite.onnx_rival import OPERATORS, OnnxWindow, StepWeights
from tflite.runtimes import load_model
from tflite.unrolled_window import unrolled_window

WINDOW = 96  # steps


def window_rivals(model: Any, weights: StepWeights) -> dict[str, Callable[[np.ndarray], object]]:
    """Name -> what takes a window (WINDOW, features) float32 of encoded features and gives the last step's outputs.

    LiteRT with its built-in kernels, which are faster here than XNNPACK: the graph has many small operators.

    Args:
        model: the float Keras model; `weights`: of its layers.
    """
    kind = OPERATORS[weights.cell][0]
    onnx = OnnxWindow(weights, WINDOW)
    step_model = convert(model, activations="float32", state="external").tflite
    litert = load_model(unrolled_window(step_model, WINDOW), kernels="builtin")
    return {
        f"ONNX Runtime float {kind}, window of {WINDOW}": onnx.run,
        f"LiteRT float {kind}, window of {WINDOW}": lambda window: litert.step(window.reshape(-1)),
        f"Keras predict_on_batch, window of {WINDOW}": lambda window: model.predict_on_batch(window[np.newaxis]),
    }
