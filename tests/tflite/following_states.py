"""Step models of one state whose time constant is known."""

import numpy as np

from keras_models.affine_quantization import Affine
from tflite.flatbuffer import write_flatbuffer
from tflite.step_graph import StepGraphBuilder

WIDTH = 4
AFFINES = {"int8": Affine(1 / 64, 0), "int16": Affine(2.0**-14, 0, 16)}


def following(steps, dtype="int8", state="external"):
    """s' = s + (x - s) / steps, every tensor of one quantization over [-2, 2)."""
    builder, affine = StepGraphBuilder(), AFFINES[dtype]
    builder.inputs.append(("x", builder.tensor("x", WIDTH)))

    def op(kind, inputs, form, **options):
        return builder.op(kind, inputs, builder.tensor(kind.lower(), WIDTH, form), **options)

    wide = {"potScaleInt16": False} if dtype == "int16" else {}
    x, before = op("QUANTIZE", ["x"], affine), builder.tensor("before", WIDTH, affine)
    double = Affine(2 * affine.scale, 0, affine.bits)
    # As large an integer as the factor's width holds, so that its own rounding does not change the time constant.
    factor = Affine(1 / steps / 120, 0) if dtype == "int8" else Affine(1 / steps / 30_000, 0, 16)
    share = builder.constant("share", factor.quantize(np.full((1, WIDTH), 1 / steps)), factor)
    update = op("MUL", [op("SUB", [x, before], double, **wide), share], affine)
    after = op("ADD", [before, update], affine, **wide)
    builder.states.append(("level", before, after))
    builder.outputs.append(("y", builder.op("DEQUANTIZE", [after], builder.tensor("y", WIDTH))))
    return write_flatbuffer(builder.build(), state)
