"""Shapes of an operator's tensors, which the statements rely on; a damaged file may hold any."""

from math import prod

import numpy as np

from tflite.codegen.step_writer import expect
from tflite.step_graph import ABSENT, Op, StepGraph

BINARY = {"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "LESS", "GREATER", "SELECT_V2"}  # or of three inputs
UNARY = {"ABS", "CAST", "DEQUANTIZE", "ELU", "EXP", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG", "QUANTIZE",
         "RELU", "RELU6", "RSQRT", "SIN", "SOFTMAX", "SQRT", "SQUARE", "TANH"}  # fmt: skip
VIEWS = {"RESHAPE", "PACK", "SPLIT", "SPLIT_V"}
OPERANDS = {**dict.fromkeys(UNARY, 1), **dict.fromkeys(BINARY, 2), "SELECT_V2": 3, "SUM": 2, "MEAN": 2, "GATHER": 2,
            "SLICE": 3, "STRIDED_SLICE": 4, "SPLIT": 2, "SPLIT_V": 3, "BATCH_MATMUL": 2,
            "UNIDIRECTIONAL_SEQUENCE_LSTM": 24}  # fmt: skip


def check_shapes(graph: StepGraph, op: Op) -> None:
    """Raises NotInC where the number or the shapes of an operator's tensors contradict each other."""
    expect(len(op.inputs) == OPERANDS.get(op.kind, len(op.inputs)) and op.inputs and op.outputs,
           f"with {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    expect(len(op.outputs) == 1 or op.kind in VIEWS, f"with {len(op.outputs)} outputs")
    expect(op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM" or ABSENT not in op.inputs[:2], "with an input left out")
    given = [graph.tensor(name) for name in op.inputs if name != ABSENT]
    results = [graph.tensor(name) for name in op.outputs]
    expect(all(prod(tensor.shape) > 0 for tensor in (*given, *results)), "on a tensor without elements")
    shapes, (y, *_) = [tensor.shape for tensor in given], results
    if op.kind in UNARY:
        expect(shapes[0] == y.shape, f"from {shapes[0]} to {y.shape}")
    elif op.kind in BINARY:
        expect(_broadcast(shapes) == y.shape, f"from {' and '.join(map(str, shapes))} to {y.shape}")
    elif op.kind in VIEWS:
        _check_view(graph, op)
    elif op.kind == "CONCATENATION":
        _check_parts(shapes, y.shape, dict(op.options).get("axis", 0))
    elif op.kind == "BATCH_MATMUL":
        expect(shapes[0][:-1] == y.shape[:-1], f"from {shapes[0]} to {y.shape}")
    elif op.kind == "FULLY_CONNECTED":
        expect(y.shape[-1:] == shapes[1][:1], f"of weights {shapes[1]} into {y.shape}")
    elif op.kind in ("SUM", "MEAN"):
        _check_axes(shapes[0], given[1].data)


def _check_view(graph: StepGraph, op: Op) -> None:
    """Of a RESHAPE the number of elements is checked where it is written."""
    options, results = dict(op.options), [graph.tensor(name) for name in op.outputs]
    source = graph.tensor(op.inputs[1 if op.kind == "SPLIT" else 0])
    expect({result.dtype for result in results} == {source.dtype}, f"of {source.dtype} into another type")
    if op.kind == "PACK":
        axis, count = options.get("axis", 0) % max(1, len(results[0].shape)), options.get("valuesCount")
        expect(count == len(op.inputs), f"of {len(op.inputs)} parts where its options say {count}")
        _check_parts([(*source.shape[:axis], 1, *source.shape[axis:])] * len(op.inputs), results[0].shape, axis)
    elif op.kind.startswith("SPLIT"):
        axis, count = graph.tensor(op.inputs[0 if op.kind == "SPLIT" else 2]).data, options.get("numSplits")
        expect(axis is not None and axis.size == 1, "along a computed axis")
        expect(count == len(results), f"into {len(results)} parts where its options say {count}")
        _check_parts([result.shape for result in results], source.shape, int(axis.reshape(-1)[0]))


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _check_parts(shapes: list[tuple[int, ...]], whole: tuple[int, ...], axis: int) -> None:
    expect(-len(whole) <= axis < len(whole), f"on axis {axis} of {whole}")
    axis %= len(whole)
    others = {shape[:axis] + shape[axis + 1 :] for shape in (*shapes, whole)}
    fits = {len(shape) for shape in shapes} == {len(whole)} and len(others) == 1
    expect(fits and sum(shape[axis] for shape in shapes) == whole[axis], f"with the parts {shapes} of {whole}")


def _check_axes(shape: tuple[int, ...], axes: np.ndarray | None) -> None:
    """All elements are taken together: every axis of more than one place is among `axes`."""
    expect(axes is not None and all(-len(shape) <= axis < len(shape) for axis in axes.reshape(-1)), "over other axes")
    reduced = {int(axis) % len(shape) for axis in axes.reshape(-1)}
    kept = [axis for axis, size in enumerate(shape) if size > 1 and axis not in reduced]
    expect(not kept, f"that keeps the axes {kept} of {shape}")
