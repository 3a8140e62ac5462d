"""Operators that go through their vectors element by element: those that follow each other share one loop."""

from math import prod

from tflite.step_graph import Op, StepGraph

ELEMENTWISE = frozenset({
    "ABS", "ADD", "CAST", "DEQUANTIZE", "DIV", "ELU", "EXP", "GREATER", "HARD_SWISH", "LEAKY_RELU", "LESS", "LOG",
    "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "NEG", "QUANTIZE", "RELU", "RELU6", "RSQRT", "SELECT_V2", "SIN",
    "SQRT", "SQUARE", "SUB", "TANH",
})  # fmt: skip


def element_loops(graph: StepGraph) -> list[tuple[int, ...]]:
    """The operators' indices in order, those of one loop together."""
    loops: list[list[int]] = []
    count = None
    for index, op in enumerate(graph.ops):
        own = _elements(graph, op)
        if own is None or own != count:
            loops.append([])
        loops[-1].append(index)
        count = own
    return [tuple(loop) for loop in loops]


def _elements(graph: StepGraph, op: Op) -> int | None:
    """How many elements the operator goes through; None where it is of another kind."""
    return prod(graph.tensor(op.outputs[0]).shape) if op.kind in ELEMENTWISE else None


def passing(graph: StepGraph, loops: list[tuple[int, ...]]) -> set[str]:
    """Tensors that only their own loop reads: each element is used where it was made, none needs memory."""
    loop_of = {index: number for number, loop in enumerate(loops) for index in loop}
    written = {name: loop_of[index] for index, op in enumerate(graph.ops) for name in op.outputs
               if op.kind in ELEMENTWISE}
    stay = {name for _, name in graph.outputs} | {name for _, _, name in graph.states}
    for index, op in enumerate(graph.ops):
        stay |= {name for name in op.inputs if written.get(name) != loop_of[index]}
    return set(written) - stay
