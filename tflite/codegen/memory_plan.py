"""Where the tensors of a step live: in the state, in the caller's arrays, or in scratch arrays that tensors share."""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from tflite.codegen.element_loops import ELEMENTWISE, element_loops, passing
from tflite.step_graph import ABSENT, Op, StepGraph

ALIGNMENT = 4  # elements


@dataclass
class MemoryPlan:
    """The places of the tensors that are computed.

    Attributes:
        views: tensor -> (tensor it is part of, elements from its start): operators that only look at memory anew.
        offsets: tensor -> element of the scratch array of its dtype.
        sizes: dtype -> elements of its scratch array.
        used: tensors that C reads or writes.
        loops: the operators' indices, those that share a loop together.
        passing: tensors without memory, whose elements are used where they are made.
    """

    views: dict[str, tuple[str, int]]
    offsets: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    loops: list[tuple[int, ...]] = field(default_factory=list)
    passing: set[str] = field(default_factory=set)

    def root(self, name: str) -> str:
        """The tensor whose memory `name` is, or is part of."""
        while name in self.views:
            name = self.views[name][0]
        return name


def plan_memory(graph: StepGraph) -> MemoryPlan:
    """Every tensor gets its place; scratch is taken again after a tensor was read for the last time."""
    loops = element_loops(graph)
    plan = MemoryPlan(_views(graph), loops=loops, passing=passing(graph, loops))
    plan.used = _used(graph, plan)
    alive = _lifetimes(graph, plan)
    placed: list[str] = []
    for name in sorted(alive, key=lambda name: alive[name]):
        tensor = graph.tensor(name)
        neighbours = [
            other for other in placed if graph.tensor(other).dtype == tensor.dtype and alive[other][1] >= alive[name][0]
        ]
        taken = sorted((plan.offsets[other], prod(graph.tensor(other).shape)) for other in neighbours)
        given_up = _given_up(graph, plan, alive, name)
        plan.offsets[name] = _first_gap(taken, prod(tensor.shape)) if given_up is None else plan.offsets[given_up]
        end = plan.offsets[name] + prod(tensor.shape)
        plan.sizes[tensor.dtype] = max(plan.sizes.get(tensor.dtype, 0), end)
        placed.append(name)
    return plan


def _given_up(graph: StepGraph, plan: MemoryPlan, alive: dict[str, tuple[int, int]], name: str) -> str | None:
    """A tensor that the loop which writes `name` reads for the last time, element for element, and no other result of
    it has taken the place of.
    """
    loop, tensor = alive[name][0], graph.tensor(name)
    if graph.ops[plan.loops[loop][0]].kind not in ELEMENTWISE:
        return None
    placed = {plan.offsets[other] for other in plan.offsets if alive[other][0] == loop}
    for read in (read for index in plan.loops[loop] for read in graph.ops[index].inputs):
        if read in plan.offsets and alive[read][0] < loop == alive[read][1] and plan.offsets[read] not in placed:
            own = graph.tensor(read)
            if (own.dtype, prod(own.shape)) == (tensor.dtype, prod(tensor.shape)):
                return read
    return None


def is_view(graph: StepGraph, op: Op) -> bool:
    """Whether the outputs are just parts of an input, in its order."""
    if op.kind in ("SPLIT", "SPLIT_V"):
        source, axis = _split_ends(op)
        return _is_innermost(graph, source, graph.tensor(axis).data)
    return op.kind == "RESHAPE" or (op.kind == "PACK" and len(op.inputs) == 1)


def _views(graph: StepGraph) -> dict[str, tuple[str, int]]:
    views = {}
    for op in graph.ops:
        if is_view(graph, op):
            source, offset = _split_ends(op)[0] if op.kind.startswith("SPLIT") else op.inputs[0], 0
            for name in op.outputs:
                views[name] = (source, offset)
                offset += prod(graph.tensor(name).shape)
    return views


def _split_ends(op: Op) -> tuple[str, str]:
    """(values, axis)."""
    return (op.inputs[1], op.inputs[0]) if op.kind == "SPLIT" else (op.inputs[0], op.inputs[2])


def _is_innermost(graph: StepGraph, source: str, axis: np.ndarray | None) -> bool:
    """Parts along this axis lie one after the other: all axes before it are of length 1."""
    return axis is not None and prod(graph.tensor(source).shape[: int(axis.reshape(-1)[0])]) == 1


def _used(graph: StepGraph, plan: MemoryPlan) -> set[str]:
    names = [name for op in graph.ops if not is_view(graph, op) for name in (*op.inputs, *op.outputs)]
    names += [name for _, name in graph.outputs] + [written for _, _, written in graph.states]
    used = set()
    for name in names:
        while name not in used and name != ABSENT:
            used.add(name)
            name = plan.views.get(name, (ABSENT, 0))[0]
    return used


def _lifetimes(graph: StepGraph, plan: MemoryPlan) -> dict[str, tuple[int, int]]:
    """Tensor in scratch -> (loop that writes it, the last that reads it or a view of it)."""
    alive = {}
    loop_of = {index: number for number, loop in enumerate(plan.loops) for index in loop}
    for place, op in enumerate(graph.ops):
        index = loop_of[place]
        if is_view(graph, op):
            continue
        for name in set(op.outputs) - plan.passing:
            alive[name] = (index, index)
        for root in {plan.root(name) for name in op.inputs if name != ABSENT} & set(alive):
            alive[root] = (alive[root][0], index)
    last = [name for _, name in graph.outputs] + [written for _, _, written in graph.states]
    for root in {plan.root(name) for name in last} & set(alive):
        alive[root] = (alive[root][0], len(plan.loops))
    return alive


def _first_gap(taken: list[tuple[int, int]], size: int) -> int:
    start = 0
    for offset, length in taken:
        if offset - start >= size:
            break
        start = max(start, -(-(offset + length) // ALIGNMENT) * ALIGNMENT)
    return start
