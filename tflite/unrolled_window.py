"""A step model repeated over a window, as a model that carries no state is run: all of the window for its last step."""

from dataclasses import replace

import numpy as np

from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.step_graph import ABSENT, Op, StepGraph, Tensor


def unrolled_window(model: bytes, steps: int) -> bytes:
    """The .tflite that takes `steps` readings at once, (1, steps * features), and gives the outputs of the last.

    States begin at real 0, as after a reset; weights are there once. Operators whose results the last step does not
    need are left out.

    Args:
        model: a step model with one input, its states outside.
    """
    graph = read_flatbuffer(model)
    ((name, reading),) = graph.inputs
    size = graph.tensor(reading).shape[-1]
    window = replace(graph.tensor(reading), name="window", shape=(1, steps * size))
    axis = Tensor("axis", (), "int32", None, np.array(1, np.int32))
    starts = {read: _zero(graph.tensor(read)) for _, read, _ in graph.states}
    tensors = [window, axis, *starts.values(), *(tensor for tensor in graph.tensors if tensor.data is not None)]
    parts = tuple(f"{reading}@{step}" for step in range(steps))
    ops = [Op("SPLIT", ("axis", "window"), parts, (("numSplits", steps),))]
    before = {read: start.name for read, start in starts.items()}
    for step in range(steps):
        names = {tensor.name: f"{tensor.name}@{step}" for tensor in graph.tensors if tensor.data is None} | before
        tensors += [replace(tensor, name=names[tensor.name]) for tensor in graph.tensors
                    if tensor.data is None and tensor.name not in before]  # fmt: skip
        ops += [_renamed(op, names) for op in graph.ops]
        before = {read: names[written] for _, read, written in graph.states}
    outputs = tuple((told, names[tensor]) for told, tensor in graph.outputs)
    return write_flatbuffer(_needed(StepGraph(tuple(tensors), tuple(ops), ((name, "window"),), outputs)))


def _zero(state: Tensor) -> Tensor:
    zero = state.affine.zero_point if state.affine else 0
    return replace(state, name=f"{state.name} at the start", data=np.full(state.shape, zero, state.dtype))


def _renamed(op: Op, names: dict[str, str]) -> Op:
    inputs, outputs = (tuple(names.get(name, name) for name in side) for side in (op.inputs, op.outputs))
    return replace(op, inputs=inputs, outputs=outputs)


def _needed(graph: StepGraph) -> StepGraph:
    """Without what the outputs do not depend on."""
    needed, ops = {tensor for _, tensor in (*graph.inputs, *graph.outputs)}, []
    for op in reversed(graph.ops):
        if needed & set(op.outputs):
            ops.append(op)
            needed |= {*op.inputs, *op.outputs} - {ABSENT}
    tensors = tuple(tensor for tensor in graph.tensors if tensor.name in needed)
    return replace(graph, tensors=tensors, ops=tuple(reversed(ops)))
