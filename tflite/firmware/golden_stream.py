"""A stream that the device makes itself, and what TensorFlow Lite Micro says of it."""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from tflite.runtimes import load_model

FLOAT_QUANTUM = np.float32(0.03125)


def readings(ends: Sequence[tuple[int, str]], steps: int) -> Iterator[list[np.ndarray]]:
    """The stream of replay.c: elements walk by -16 ... 16 between -128 and 127, in the device's order.

    Args:
        ends: (elements, dtype) of each input.

    Yields:
        The inputs of one step: int8 as they walk, int16 times 256, float32 times 1/32.
    """
    seed, walks = 1, [np.zeros(size, np.int32) for size, _ in ends]
    for _ in range(steps):
        for walk in walks:
            for element in range(walk.size):
                seed = (seed * 1664525 + 1013904223) % 2**32
                walk[element] += (seed >> 27) - 16 + ((seed >> 26) & 1)
            np.clip(walk, -128, 127, out=walk)
        yield [_reading(walk, dtype) for walk, (_, dtype) in zip(walks, ends, strict=True)]


def _reading(walk: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "float32":
        return walk.astype(np.float32) * FLOAT_QUANTUM
    return (walk * {"int8": 1, "int16": 256}[dtype]).astype(dtype)


def golden_crc(content: bytes, steps: int, runtime: str = "tflm") -> int:
    """crc32 of all outputs of all steps and then of the last states: raw, little-endian, each kind by name."""
    model = load_model(content, runtime)
    inputs, outputs = (sorted(specs, key=lambda spec: spec.name) for specs in (model.inputs, model.outputs))
    crc = 0
    for xs in readings([(int(np.prod(spec.shape)), spec.dtype) for spec in inputs], steps):
        said = model.step({spec.name: x.reshape(spec.shape) for spec, x in zip(inputs, xs, strict=True)}, raw=True)
        said = said if isinstance(said, dict) else {outputs[0].name: said}
        for spec in outputs:
            crc = zlib.crc32(said[spec.name].tobytes(), crc)
    for name in sorted(model.states):
        crc = zlib.crc32(model.states[name].tobytes(), crc)
    return crc
