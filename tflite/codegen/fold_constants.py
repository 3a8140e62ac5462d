"""A step graph for code generation: what constants add to a matrix product is known beforehand."""

from dataclasses import replace
from math import prod

import numpy as np

from keras_models.affine_quantization import Affine
from tflite.codegen.memory_plan import is_view
from tflite.step_graph import Op, StepGraph, Tensor


def fold_constants(graph: StepGraph) -> StepGraph:
    """The graph with int8 products of (vector, constants) as products of the vector with a bias; the same integers.

    The step models carry their biases so: as a column of weights that multiplies a constant 127.
    """
    folder = _Folder(graph)
    ops = tuple(folder.folded(op) for op in graph.ops)
    needed = {name for op in ops for name in op.inputs} | {name for _, name in graph.outputs}
    needed |= {written for _, _, written in graph.states}
    ops = tuple(op for op in ops if op.kind != "CONCATENATION" or set(op.outputs) & needed)
    return replace(graph, tensors=graph.tensors + tuple(folder.tensors), ops=ops)


class _Folder:
    def __init__(self, graph: StepGraph):
        self.graph = graph
        self.tensors: list[Tensor] = []
        self.written_by = {name: op for op in graph.ops for name in op.outputs}

    def folded(self, op: Op) -> Op:
        """FULLY_CONNECTED over what is not constant, or the operator as it is."""
        source = self.written_by.get(op.inputs[0]) if op.kind == "BATCH_MATMUL" else None
        if source is None or source.kind != "CONCATENATION" or not self._is_plain(op, source):
            return op
        vector, *constants = source.inputs
        weights = self.graph.tensor(op.inputs[1])
        width = prod(self.graph.tensor(vector).shape)
        matrix = weights.data.reshape(weights.data.shape[-2:])
        values = np.concatenate([self.graph.tensor(name).data.reshape(-1) for name in constants]).astype(np.int64)
        form = self.graph.tensor(op.inputs[0]).affine
        bias = matrix[:, width:].astype(np.int64) @ (values - form.zero_point)
        own = self._constant(f"{op.outputs[0]} weights", np.ascontiguousarray(matrix[:, :width]), weights.affine)
        added = self._constant(f"{op.outputs[0]} bias", bias.astype(np.int32), Affine(1.0, 0, 32))
        return Op("FULLY_CONNECTED", (vector, own, added), op.outputs)

    def _is_plain(self, op: Op, source: Op) -> bool:
        """int8, one vector first and then constants, all of one form, by constant weights (rows, columns)."""
        vector, *constants = (self.graph.tensor(name) for name in source.inputs)
        x, weights = (self.graph.tensor(name) for name in op.inputs)
        return (
            x.affine is not None
            and vector.data is None
            and bool(constants)
            and all(part.data is not None for part in constants)
            and {(part.dtype, part.affine) for part in (vector, *constants)} == {("int8", x.affine)}
            and weights.data is not None
            and weights.data.dtype == np.int8
            and weights.data.ndim >= 2
            and dict(op.options).get("adjY", False)
            and not dict(op.options).get("adjX", False)
            and prod(weights.shape) == weights.shape[-2] * prod(x.shape)
            and not is_view(self.graph, source)
        )

    def _constant(self, name: str, data: np.ndarray, affine: Affine | None) -> str:
        taken = {tensor.name for tensor in (*self.graph.tensors, *self.tensors)}
        while name in taken:
            name += "'"
        self.tensors.append(Tensor(name, data.shape, data.dtype.name, affine, data))
        return name
