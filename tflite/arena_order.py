"""The order of a graph's operators and tensors in which TFLite Micro needs the least arena for what they compute."""

import heapq
import math
from dataclasses import replace

import numpy as np

from tflite.step_graph import StepGraph

ALIGNMENT = 16  # bytes
MOST_TRIED = 20_000  # sets of operators; beyond that the graph stays as it is


def ordered_for_arena(graph: StepGraph) -> StepGraph:
    """The same operators in an order in which the least is held at the fullest moment, and the tensors in the order of
    which the planner of TFLite Micro makes the most. A graph with resource variables stays as it is.
    """
    if any(tensor.dtype == "resource" for tensor in graph.tensors):
        return graph
    ordered = replace(graph, ops=tuple(graph.ops[index] for index in _least_full_order(graph)))
    return min((graph, ordered, replace(ordered, tensors=ordered.tensors[::-1])), key=planned_bytes)


def planned_bytes(graph: StepGraph) -> int:
    """Bytes TFLite Micro plans for inputs, outputs, states and all between them; kernels may ask for scratch beside it.

    As its GreedyMemoryPlanner does: the largest first, of equal ones the last of the file, each at the lowest place
    that is free for as long as it lives.
    """
    lives = _lives(graph)
    sizes = _sizes(graph, lives)
    order = sorted(reversed(sizes), key=lambda name: -sizes[name])  # stable
    placed: list[tuple[int, int, str]] = []  # first byte, behind the last, whose
    for name in order:
        start = 0
        for begin, end, other in sorted(placed):
            if _meet(lives[name], lives[other]):
                if begin - start >= sizes[name]:
                    break
                start = max(start, end)
        placed.append((start, start + sizes[name], name))
    return max((end for _, end, _ in placed), default=0)


def _least_full_order(graph: StepGraph) -> list[int]:
    """Indices of the operators: the best of all orders by the bytes held while an operator runs, the fullest first.

    Looks at sets of operators that ran, the least full road to each first (Dijkstra, with max for sum).
    """
    sizes, kept = _sizes(graph, _lives(graph)), _results(graph)
    reads = [{name for name in op.inputs if name in sizes} for op in graph.ops]
    writes = [{name for name in op.outputs if name in sizes} for op in graph.ops]
    begin = frozenset(_given(graph)) & sizes.keys()
    roads = [(sum(map(sizes.get, begin)), 0, [], begin)]  # fullest, minus how many ran, which, what is held
    seen: set[frozenset[int]] = set()
    while roads and len(seen) < MOST_TRIED:
        fullest, _, ran, held = heapq.heappop(roads)
        if len(ran) == len(graph.ops):
            return ran
        if frozenset(ran) in seen:
            continue
        seen.add(frozenset(ran))
        left = [index for index in range(len(graph.ops)) if index not in ran]
        for index in left:
            if reads[index] <= held:
                during = held | writes[index]
                needed = kept.union(*(reads[other] for other in left if other != index))
                bytes_now = max(fullest, sum(map(sizes.get, during)))
                heapq.heappush(roads, (bytes_now, -len(ran) - 1, [*ran, index], during & needed))
    return list(range(len(graph.ops)))


def _sizes(graph: StepGraph, lives: dict[str, tuple[int, int]]) -> dict[str, int]:
    """Bytes of each tensor that is computed or given, in the order of the file."""
    return {
        tensor.name: -(-math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize // ALIGNMENT) * ALIGNMENT
        for tensor in graph.tensors
        if tensor.name in lives
    }


def _lives(graph: StepGraph) -> dict[str, tuple[int, int]]:
    """The first and the last operator, from 1 on, that a tensor is there for; 0: before all of them."""
    lives = {name: (0, 0) for name in _given(graph)}
    for index, op in enumerate(graph.ops, start=1):
        lives |= {name: (index, index) for name in op.outputs}
        lives |= {name: (lives[name][0], index) for name in op.inputs if name in lives}
    return lives | {name: (lives[name][0], len(graph.ops)) for name in _results(graph)}


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _given(graph: StepGraph) -> list[str]:
    return [tensor for _, tensor in graph.inputs] + [read for _, read, _ in graph.states]


def _results(graph: StepGraph) -> set[str]:
    return {tensor for _, tensor in graph.outputs} | {written for *_, written in graph.states}
