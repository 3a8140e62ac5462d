"""Readings for a step model: integers over their whole range, reals of any size a kernel has a case for."""

from collections.abc import Iterator

import numpy as np


def drawn_readings(runtime, seed: int, steps: int) -> Iterator[dict[str, np.ndarray]]:
    """By input name, what each step takes raw."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield {spec.name: _drawn(spec, rng) for spec in runtime.inputs}


def _drawn(spec, rng: np.random.Generator) -> np.ndarray:
    if spec.dtype == "float32":
        return (rng.normal(0, 1, spec.shape) * rng.choice([0.1, 1, 10])).astype(np.float32)
    if spec.dtype == "bool":
        return rng.random(spec.shape) < 0.5
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max, spec.shape, spec.dtype, endpoint=True)
