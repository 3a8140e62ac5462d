"""SLICE and STRIDED_SLICE: which elements they take is known when the C is written."""

from math import prod

import numpy as np

from tflite.codegen.step_writer import StepWriter, expect, storage
from tflite.step_graph import Op

MOST_COPIES = 8  # more runs of neighbours than this are copied one element at a time
MOST_AXES = {"SLICE": 5, "STRIDED_SLICE": 4}  # of TensorFlow Lite Micro's kernels


def write_slice(writer: StepWriter, op: Op) -> list[str]:
    """Copies of the runs of neighbouring elements, or a loop over a table of places."""
    x, (y,) = op.inputs[0], op.outputs
    expect(storage(writer, x) == storage(writer, y), "into another quantization")
    shape = writer.tensor(x).shape
    expect(1 <= len(shape) <= MOST_AXES[op.kind], f"of {len(shape)} axes")
    bounds = [writer.tensor(name).data for name in op.inputs[1:]]
    expect(all(b is not None and b.size == len(shape) and b.dtype == np.int32 for b in bounds), "at computed places")
    part = _part if op.kind == "SLICE" else _strided_part
    places = np.arange(prod(shape)).reshape(shape)[part(op, shape, *(b.reshape(-1).tolist() for b in bounds))]
    expect(places.size == writer.size(y) > 0, f"of {places.size} elements into {writer.size(y)}")
    return _copies(writer, x, y, places.reshape(-1))


def _part(op: Op, shape: tuple[int, ...], begin: list[int], sizes: list[int]) -> tuple[slice, ...]:
    """`sizes` -1: all that follow."""
    ends = [whole if size == -1 else start + size for whole, start, size in zip(shape, begin, sizes, strict=True)]
    axes = list(zip(begin, ends, shape, strict=True))
    expect(all(0 <= start <= end <= whole for start, end, whole in axes), f"from {begin} to {ends} of {list(shape)}")
    return tuple(slice(start, end) for start, end, _ in axes)


def _strided_part(
    op: Op, shape: tuple[int, ...], begin: list[int], end: list[int], strides: list[int]
) -> tuple[slice, ...]:
    """As numpy slices, but for the bits of the masks: an end that is open, an axis of which one place is left."""
    options = dict(op.options)
    others = {name for name in ("ellipsisMask", "newAxisMask", "offset") if options.get(name)}
    expect(not others and 0 not in strides, f"with {', '.join(sorted(others)) or 'a stride of 0'}")
    parts = []
    for axis, (start, stop, stride, size) in enumerate(zip(begin, end, strides, shape, strict=True)):
        opened = [options.get(mask, 0) >> axis & 1 for mask in ("beginMask", "endMask", "shrinkAxisMask")]
        if opened[2]:
            expect(not opened[0] and stride == 1 and -size <= start < size, f"at {start} of axis {axis}")
            start %= size
            parts.append(slice(start, start + 1))
        else:
            parts.append(slice(None if opened[0] else start, None if opened[1] else stop, stride))
    return tuple(parts)


def _copies(writer: StepWriter, x: str, y: str, places: np.ndarray) -> list[str]:
    source, target = writer.pointer(x), writer.pointer(y)
    runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
    if len(runs) > MOST_COPIES:
        kept = writer.constant(f"places_in_t{writer.numbers[x]}_of_t{writer.numbers[y]}", places.astype(np.int32))
        return [f"for (int i = 0; i < {len(places)}; ++i) {{", f"    {target}[i] = {source}[{kept}[i]];", "}"]
    offsets = np.cumsum([0, *map(len, runs)])
    return [
        f"memcpy({target} + {offset}, {source} + {run[0]}, {len(run)} * sizeof *{target});"
        for offset, run in zip(offsets, runs, strict=False)
    ]
