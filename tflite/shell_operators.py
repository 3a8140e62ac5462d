"""Operators around a network: float32 tensors (1, width) whose names are kept apart from those of its layers."""

import numpy as np

from tflite.step_graph import StepGraphBuilder


class ShellOperators:
    """Adds to the graph of `builder`."""

    def __init__(self, builder: StepGraphBuilder):
        self.builder = builder

    def _op(self, kind, inputs, name, width, dtype=None, **options) -> str:
        return self.builder.op(kind, inputs, self._tensor(name, width, dtype=dtype), **options)

    def _tensor(self, name, width, affine=None, dtype=None) -> str:
        return self.builder.tensor(f"sensors/{name}", width, affine, dtype)

    def _constant(self, name, values) -> str:
        return self.builder.constant(name, np.atleast_2d(np.asarray(values, np.float32)))

    def _sum(self, parts: str, name: str) -> str:
        """(1, width) -> (1, 1)."""
        axis = self.builder.constant("sum_axis", np.array([1], np.int32))
        return self._op("SUM", [parts, axis], name, 1, keepDims=True)

    def _state(self, name: str, read: str, written: str) -> None:
        self.builder.states.append((name, read, written))
