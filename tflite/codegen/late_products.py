"""A step graph for code generation: a product that is not read at once waits, and takes no memory until then."""

from dataclasses import replace

import numpy as np

from tflite.codegen.element_loops import element_loops
from tflite.codegen.memory_plan import plan_memory
from tflite.step_graph import Op, StepGraph

PRODUCTS = ("BATCH_MATMUL", "FULLY_CONNECTED")


def late_products(graph: StepGraph) -> StepGraph:
    """The graph with its matrix products right before the loop that reads them first; the same integers.

    As it is where that saves no scratch memory, since a vector that is multiplied twice may have to be widened twice;
    and where an operator keeps its own state, which a product that waits may find overwritten.
    """
    if any(tensor.variable for tensor in graph.tensors):
        return graph
    late = _late(graph)
    return late if _scratch_bytes(late) < _scratch_bytes(graph) else graph


def _late(graph: StepGraph) -> StepGraph:
    """Of several products that wait for one loop those of the vector that was multiplied last come first."""
    waiting: list[Op] = []
    ops: list[Op] = []
    last = ""
    for loop in ([graph.ops[index] for index in loop] for loop in element_loops(graph)):
        read = {name for op in loop for name in op.inputs}
        due = [op for op in waiting if read & set(op.outputs)]
        waiting = [op for op in waiting if op not in due]
        for op in sorted(due, key=lambda op: op.inputs[0] != last):
            ops.append(op)
            last = op.inputs[0]
        if loop[0].kind in PRODUCTS:
            waiting += loop
        else:
            ops += loop
    return replace(graph, ops=(*ops, *waiting))


def _scratch_bytes(graph: StepGraph) -> int:
    return sum(size * np.dtype(dtype).itemsize for dtype, size in plan_memory(graph).sizes.items())
