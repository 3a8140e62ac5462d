"""Operators over whole vectors: parts put together, rows looked up, sums."""

from math import prod

import numpy as np

from tflite.codegen.step_writer import StepWriter, c_number, copy, expect, expect_float, storage
from tflite.step_graph import Op


def write_concatenate(writer: StepWriter, op: Op) -> list[str]:
    (y,) = op.outputs
    axis = dict(op.options).get("axis", 0)
    expect(prod(writer.tensor(y).shape[:axis]) == 1 or axis < 0, f"on axis {axis} of {writer.tensor(y).shape}")
    if axis < 0:
        expect(prod(writer.tensor(y).shape[:-1]) == 1, f"on axis {axis} of {writer.tensor(y).shape}")
    expect(sum(map(writer.size, op.inputs)) == writer.size(y), "of parts that are not the whole")
    statements, offset = [], 0
    for part in op.inputs:
        expect(storage(writer, part) == storage(writer, y), "of different quantizations")
        place = f"{writer.pointer(y)} + {offset}" if offset else writer.pointer(y)
        statements.append(f"{copy(writer, part, place)};")
        offset += writer.size(part)
    return statements


def write_gather(writer: StepWriter, op: Op) -> list[str]:
    """Rows of a constant table; an index beyond it takes its nearest row."""
    (table, ids), (y,) = op.inputs, op.outputs
    values = writer.tensor(table).data
    expect(values is not None and not any(dict(op.options).values()), "other than rows of a constant")
    expect(writer.tensor(ids).dtype == "int32" and storage(writer, table) == storage(writer, y), "of other types")
    width = prod(values.shape[1:])
    expect(writer.size(y) == writer.size(ids) * width, f"of size {writer.size(y)}")
    row = writer.call("clamped", f"{writer.pointer(ids)}[i]", 0, len(values) - 1)
    target, source = writer.pointer(y), writer.pointer(table)
    return [f"for (int i = 0; i < {writer.size(ids)}; ++i) {{",
            f"    memcpy({target} + i * {width}, {source} + {row} * {width}, {width} * sizeof *{target});", "}"]


def write_reduce(writer: StepWriter, op: Op) -> list[str]:
    """SUM, MEAN over all elements."""
    (x, axes), (y,) = op.inputs, op.outputs
    expect_float(writer, x, y)
    expect(writer.tensor(axes).data is not None and writer.size(y) == 1, "over some of the axes")
    target, source, count = writer.pointer(y), writer.pointer(x), writer.size(x)
    mean = [f"{target}[0] /= {c_number(np.float32(count))};"] if op.kind == "MEAN" else []
    return [f"{target}[0] = 0.0f;", f"for (int i = 0; i < {count}; ++i) {{", f"    {target}[0] += {source}[i];", "}",
            *mean]


def write_softmax(writer: StepWriter, op: Op) -> list[str]:
    (x,), (y,) = op.inputs, op.outputs
    expect_float(writer, x, y)
    count = writer.tensor(x).shape[-1]
    beta = c_number(np.float32(dict(op.options).get("beta", 0.0)))
    offsets = (f" + {start}" if start else "" for start in range(0, writer.size(x), count))
    ends = ((writer.pointer(x) + offset, writer.pointer(y) + offset) for offset in offsets)
    return [writer.call("softmax_float", source, beta, count, target) + ";" for source, target in ends]
