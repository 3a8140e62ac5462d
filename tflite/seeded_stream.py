"""Readings for a model nobody gave a recording of: seeded streams that wander as sensors do."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite.flatbuffer import operator_names
from tflite.runtimes import TensorSpec

MEMORY_STEPS = (3.0, 200.0)  # the fastest and the slowest channel forget in so many steps
NOISE = 0.2


def wander(steps: int, width: int, seed: int = 0) -> np.ndarray:
    """(steps, width) float32 of mean 0 and variance about 1: autoregressive channels, fast to slow, some noise."""
    rng = np.random.default_rng(seed)
    kept = np.exp(-1 / np.geomspace(*MEMORY_STEPS, max(width, 2))[:width])
    values, level = np.empty((steps, width)), rng.normal(size=width)
    for step, pushes in enumerate(rng.normal(size=(steps, width)) * np.sqrt(1 - kept**2)):
        level = kept * level + pushes
        values[step] = level
    return (values + NOISE * rng.normal(size=values.shape)).astype(np.float32)


def seeded_readings(
    inputs: Sequence[TensorSpec], steps: int, seed: int = 0, rows: int = 1
) -> list[dict[str, np.ndarray]]:
    """Readings for any inputs by name, as `step(x, raw=True)` takes them.

    Real numbers have variance 1, integers with a scale fill a third of their range to either side, integers without one
    (identifiers) are below `rows`, the length of the shortest table they may look up.
    """
    rng = np.random.default_rng(seed)
    columns = {}
    for index, spec in enumerate(inputs):
        real = wander(steps, int(np.prod(spec.shape)), seed + index).reshape(steps, *spec.shape)
        columns[spec.name] = _of_dtype(real, spec, rng, rows)
    return [{name: values[step] for name, values in columns.items()} for step in range(steps)]


def table_rows(model: bytes) -> int:
    """Length of the shortest constant table that identifiers look up; 1 where there is none."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    graph = file.subgraphs[0]
    places = {"GATHER": 0, "EMBEDDING_LOOKUP": 1}
    tables = [
        graph.tensors[op.inputs[places[kind]]]
        for kind, op in zip(operator_names(model), graph.operators or [], strict=True)
        if kind in places
    ]
    return min((int(table.shape[0]) for table in tables if file.buffers[table.buffer].data is not None), default=1)


def _of_dtype(real: np.ndarray, spec: TensorSpec, rng: np.random.Generator, rows: int) -> np.ndarray:
    kind = np.dtype(spec.dtype).kind
    if kind == "f":
        return real.astype(spec.dtype)
    if kind == "b":
        return real > 0
    if not spec.is_quantized:
        return rng.integers(0, rows, real.shape).astype(spec.dtype)
    limits = np.iinfo(spec.dtype)
    middle, spread = (limits.max + limits.min) / 2, (limits.max - limits.min) / 6
    return np.clip(np.round(middle + spread * real), limits.min, limits.max).astype(spec.dtype)
