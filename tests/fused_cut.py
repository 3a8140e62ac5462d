"""A step graph cut at its fused int8 LSTMs: each operator alone, and what is left, fed with what the operators put out.

LiteRT's fused LSTM is a quantum of h from TensorFlow Lite Micro's, and layers behind it make of that whatever they do.
Cut apart, every piece is given the same inputs on both runtimes and is judged by itself.
"""

from collections.abc import Iterable
from dataclasses import replace

from tflite.exposed_states import KEEPS
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model
from tflite.step_graph import Op, StepGraph, Tensor

FUSED = "UNIDIRECTIONAL_SEQUENCE_LSTM"


def cut_at_fused(model: bytes, readings: Iterable) -> tuple[tuple[bytes, list], list[tuple[bytes, list]]]:
    """What is left and the operators, each a model with its inputs of every step, as TensorFlow Lite Micro has them.

    Args:
        model: its states exposed.
        readings: as `step` takes them.
    """
    graph = read_flatbuffer(model)
    fused = [op for op in graph.ops if _is_fused(graph, op)]
    into = [(f"into{i}", op.inputs[0]) for i, op in enumerate(fused)]
    out = [(f"out{i}", op.outputs[0]) for i, op in enumerate(fused)]
    tapped = load_model(write_flatbuffer(replace(graph, outputs=(*graph.outputs, *into, *out))), runtime="tflm")
    inputs = [spec.name for spec in tapped.inputs]
    left, alone = [], [[] for _ in fused]
    for reading in readings:
        seen = tapped.step(reading, raw=True)
        given = reading if isinstance(reading, dict) else {inputs[0]: reading}
        left.append(given | {name: seen[name] for name, _ in out})
        for (name, _), steps in zip(into, alone, strict=True):
            steps.append(seen[name])
    pieces = [(write_flatbuffer(_alone(graph, op)), steps) for op, steps in zip(fused, alone, strict=True)]
    return (write_flatbuffer(_left(graph, fused)), left), pieces


def _alone(graph: StepGraph, op: Op) -> StepGraph:
    used = _tensors(graph, [op])
    states = tuple(state for state in graph.states if state[1] in _kept(op))
    return StepGraph(used, (op,), (("x", op.inputs[0]),), (("y", op.outputs[0]),), states)


def _left(graph: StepGraph, fused: list[Op]) -> StepGraph:
    ops = tuple(op for op in graph.ops if not _is_fused(graph, op))
    kept = {name for op in fused for name in _kept(op)}
    inputs = (*graph.inputs, *((f"out{i}", op.outputs[0]) for i, op in enumerate(fused)))
    states = tuple(state for state in graph.states if state[1] not in kept)
    ends = [name for _, *names in (*inputs, *graph.outputs, *states) for name in names]
    return StepGraph(_tensors(graph, ops, ends), ops, inputs, graph.outputs, states)


def _is_fused(graph: StepGraph, op: Op) -> bool:
    return op.kind == FUSED and graph.tensor(op.outputs[0]).dtype == "int8"


def _kept(op: Op) -> set[str]:
    return {op.inputs[place] for place in KEEPS[FUSED].values()}


def _tensors(graph: StepGraph, ops: Iterable[Op], ends: Iterable[str] = ()) -> tuple[Tensor, ...]:
    used = {name for op in ops for name in (*op.inputs, *op.outputs, *op.intermediates)} | set(ends)
    return tuple(tensor for tensor in graph.tensors if tensor.name in used)
