"""The real size of one integer step behind each float32 output or state: what a difference is counted in."""

import numpy as np

from tflite.step_graph import Op, StepGraph

_PASSING = {"ADD", "SUB", "MAXIMUM", "MINIMUM", "SELECT_V2"}


def output_quanta(graph: StepGraph) -> dict[str, np.ndarray]:
    """By signature name, an array like the tensor; outputs and states with no integers behind them are left out.

    Follows the operators from every DEQUANTIZE on: scaling by a constant scales the step, adding and clamping keep
    it, elements that never were integers have 0.
    """
    quanta: dict[str, np.ndarray] = {}
    for op in graph.ops:
        quantum = _quantum(graph, op, quanta)
        if quantum is not None:
            quanta |= dict(zip(op.outputs, quantum, strict=True))
    ends = [*graph.outputs, *((name, written) for name, _, written in graph.states)]
    return {name: quanta[tensor] for name, tensor in ends if tensor in quanta}


def _quantum(graph: StepGraph, op: Op, quanta: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """The quanta of the outputs of one operator, or None where they are not known."""
    if op.kind == "DEQUANTIZE":
        affine = graph.tensor(op.inputs[0]).affine
        return [np.full(graph.tensor(op.outputs[0]).shape, affine.scale)] if affine else None
    known = [quanta.get(name) for name in op.inputs]
    if all(quantum is None for quantum in known) or len(op.outputs) != 1:
        return None
    if op.kind == "RESHAPE":
        return [known[0].reshape(graph.tensor(op.outputs[0]).shape)]
    shapes = [graph.tensor(name).shape for name in op.inputs]
    filled = [np.zeros(shape) if quantum is None else quantum for quantum, shape in zip(known, shapes, strict=True)]
    if op.kind == "CONCATENATION":
        return [np.concatenate(filled, axis=-1)]
    factors = [graph.tensor(name).data for name in op.inputs]
    if op.kind == "MUL" and any(factor is not None for factor in factors):
        (quantum,), (factor,) = ([one for one in values if one is not None] for values in (known, factors))
        return [quantum * np.abs(factor)]
    if op.kind in _PASSING:
        return [np.broadcast_to(np.max(np.broadcast_arrays(*filled), axis=0), graph.tensor(op.outputs[0]).shape)]
    return None
