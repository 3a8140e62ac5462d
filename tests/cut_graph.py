"""A step graph cut at the operators that LiteRT computes in another way than TensorFlow Lite Micro: each operator
alone, and what is left, fed with what the operators put out.

They are the fused int8 LSTM, which has another sigmoid and tanh, and the int8 FULLY_CONNECTED behind it, which rounds
its sums once instead of twice. Each is a quantum off at times, and layers behind it make of that whatever they do. Cut
apart, every piece is given the same inputs on both runtimes and is judged by itself.
"""

from collections.abc import Iterable
from dataclasses import replace

from tflite.exposed_states import KEEPS
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model
from tflite.step_graph import Op, StepGraph, Tensor

CUT = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "FULLY_CONNECTED")


def cut_graph(model: bytes, readings: Iterable) -> tuple[tuple[bytes, list], list[tuple[bytes, list]]]:
    """What is left and the operators, each a model with its inputs of every step, as TensorFlow Lite Micro has them.

    Args:
        model: its states exposed.
        readings: as `step` takes them.
    """
    graph = read_flatbuffer(model)
    cut = [op for op in graph.ops if _is_cut(graph, op)]
    into = [(f"into{i}", op.inputs[0]) for i, op in enumerate(cut)]
    out = [(f"out{i}", op.outputs[0]) for i, op in enumerate(cut)]
    tapped = load_model(write_flatbuffer(replace(graph, outputs=(*graph.outputs, *into, *out))), runtime="tflm")
    inputs = [spec.name for spec in tapped.inputs]
    left, alone = [], [[] for _ in cut]
    for reading in readings:
        seen = tapped.step(reading, raw=True)
        given = reading if isinstance(reading, dict) else {inputs[0]: reading}
        left.append(given | {name: seen[name] for name, _ in out})
        for (name, _), steps in zip(into, alone, strict=True):
            steps.append(seen[name])
    pieces = [(write_flatbuffer(_alone(graph, op)), steps) for op, steps in zip(cut, alone, strict=True)]
    return (write_flatbuffer(_left(graph, cut)), left), pieces


def _alone(graph: StepGraph, op: Op) -> StepGraph:
    used = _tensors(graph, [op])
    states = tuple(state for state in graph.states if state[1] in _kept(op))
    return StepGraph(used, (op,), (("x", op.inputs[0]),), (("y", op.outputs[0]),), states)


def _left(graph: StepGraph, cut: list[Op]) -> StepGraph:
    ops = tuple(op for op in graph.ops if op not in cut)
    kept = {name for op in cut for name in _kept(op)}
    inputs = (*graph.inputs, *((f"out{i}", op.outputs[0]) for i, op in enumerate(cut)))
    states = tuple(state for state in graph.states if state[1] not in kept)
    ends = [name for _, *names in (*inputs, *graph.outputs, *states) for name in names]
    return StepGraph(_tensors(graph, ops, ends), ops, inputs, graph.outputs, states)


def _is_cut(graph: StepGraph, op: Op) -> bool:
    return op.kind in CUT and graph.tensor(op.outputs[0]).dtype == "int8"


def _kept(op: Op) -> set[str]:
    return {op.inputs[place] for place in KEEPS.get(op.kind, {}).values()}


def _tensors(graph: StepGraph, ops: Iterable[Op], ends: Iterable[str] = ()) -> tuple[Tensor, ...]:
    used = {name for op in ops for name in (*op.inputs, *op.outputs, *op.intermediates)} | set(ends)
    return tuple(tensor for tensor in graph.tensors if tensor.name in used)
