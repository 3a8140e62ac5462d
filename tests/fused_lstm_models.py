"""Fused LSTMs with random weights as step models, and integers to drive them: seeded, nothing trained."""

from dataclasses import dataclass

import numpy as np

from keras_models.affine_quantization import Affine, affine_from_range
from keras_models.fused_lstm import cell_affine
from tflite.flatbuffer import write_flatbuffer
from tflite.lower_fused_lstm import as_vector, lower_fused_lstm
from tflite.step_graph import StepGraphBuilder

FEATURES, UNITS = 5, 12


@dataclass(frozen=True)
class FusedCase:
    """`gain` and `bias`: size of the weights, in terms of the usual, and of the biases."""

    gain: float
    bias: float
    x: Affine
    h: Affine
    c: Affine

    def weights(self, seed: int = 0, features: int = FEATURES) -> tuple:
        """kernel, recurrent_kernel and bias as Keras has them."""
        rng = np.random.default_rng(seed)
        kernel, recurrent_kernel = (
            rng.normal(0, self.gain / np.sqrt(inputs), (inputs, 4 * UNITS)).astype(np.float32)
            for inputs in (features, UNITS)
        )
        return kernel, recurrent_kernel, rng.normal(0, self.bias, 4 * UNITS).astype(np.float32)

    def readings(self, steps: int, seed: int = 1) -> np.ndarray:
        """int8 (steps, features): half of them drift slowly under noise, half are any integers."""
        rng = np.random.default_rng(seed)
        drift = 2 * np.sin(np.cumsum(rng.normal(0, 0.15, (steps // 2, FEATURES)), axis=0))
        real = self.x.quantize(drift + rng.normal(0, 0.3, drift.shape))
        return np.concatenate([real, rng.integers(-128, 128, (steps - len(real), FEATURES)).astype(np.int8)])


# Mild; c beyond its int16; weights that saturate the gates, and the widest c; the narrowest c and lopsided ranges.
CASES = {
    "mild": FusedCase(0.9, 0.3, affine_from_range(-4, 3.7), affine_from_range(-0.9, 0.8), cell_affine(-4, 3)),
    "saturating": FusedCase(2.0, 1.0, affine_from_range(-3, 1), affine_from_range(-0.3, 1), cell_affine(-2, 2)),
    "steep": FusedCase(6.0, 1.0, affine_from_range(-3, 3), affine_from_range(-1, 1), cell_affine(-90, 90)),
    "lopsided": FusedCase(0.7, 0.1, affine_from_range(0, 6), affine_from_range(-0.5, 0.99), cell_affine(-0.3, 0.4)),
}


def fused_model(case: FusedCase, weights: tuple, quantized: bool = True) -> bytes:
    """A step model of one fused LSTM: x -> y, and its variables h and c to look at."""
    x, h, c = (case.x, case.h, case.c) if quantized else (None, None, None)
    builder = StepGraphBuilder()
    builder.inputs.append(("x", builder.tensor("x", weights[0].shape[0], x)))
    lstm = lower_fused_lstm(builder, "lstm", "x", weights, h, c)
    builder.outputs += [("y", as_vector(builder, lstm.output)), ("h", lstm.h), ("c", lstm.c)]
    return write_flatbuffer(builder.build())


def run(runtime, readings: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of a `StepRuntime` after its reset, (steps, width) by name; integers stay integers."""
    runtime.reset()
    results = [runtime.step(reading, raw=True) for reading in readings]
    return {name: np.stack([result[name] for result in results]) for name in results[0]}
