"""One operator alone in a model, its quantizations drawn at random; nothing about them is convenient."""

from math import prod

import numpy as np

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, Affine
from tflite.flatbuffer import write_flatbuffer
from tflite.step_graph import ABSENT, StepGraphBuilder

WIDTH, ROWS = 24, 10
REACH = {"int8": (0.5, 8.0), "int16": (0.5, 12.0)}  # largest real value, drawn between these
SHIFTED = {"ADD", "SUB", "MUL", "BATCH_MATMUL", "FULLY_CONNECTED", "QUANTIZE", "DEQUANTIZE", "RELU", "LOGISTIC", "TANH"}
OUTPUTS = {"LOGISTIC": SIGMOID_OUTPUT, "TANH": TANH_OUTPUT}
FUSED = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


class DrawnModel:
    """Draws affines and constants; `write` gives the bytes."""

    def __init__(self, seed: int):
        self.rng, self.builder = np.random.default_rng(seed), StepGraphBuilder()

    def affine(self, dtype: str) -> Affine | None:
        if dtype not in REACH:
            return None
        bits = int(dtype[3:])
        reach = self.rng.uniform(*REACH[dtype])
        zero_point = int(self.rng.integers(-100, 100)) if bits == 8 else 0
        return Affine(float(np.float32(reach / (1 << bits - 1))), zero_point, bits)

    def input(self, dtype: str, width: int = WIDTH, affine: Affine | None = None) -> str:
        name = f"x{len(self.builder.inputs)}"
        tensor = self.builder.tensor(name, width, affine or self.affine(dtype), dtype)
        self.builder.inputs.append((name, tensor))
        return tensor

    def output(self, kind: str, inputs: list[str], affine: Affine | None, width: int = WIDTH, **options) -> None:
        dtype = options.pop("dtype", None)
        y = self.builder.tensor("y", width, affine, dtype)
        self.builder.outputs.append(("y", self.builder.op(kind, inputs, y, **options)))

    def write(self) -> bytes:
        return write_flatbuffer(self.builder.build())


def unary(kind: str, dtype: str, seed: int, to: str | None = None) -> bytes:
    model = DrawnModel(seed)
    x = model.input(dtype)
    affine = OUTPUTS[kind][int(dtype[3:])] if kind in OUTPUTS and dtype != "float32" else model.affine(to or dtype)
    model.output(kind, [x], affine)
    return model.write()


def binary(kind: str, dtype: str, seed: int, fused: str = "none", width: int = WIDTH) -> bytes:
    """`width` 1: the second input is one number for all."""
    model = DrawnModel(seed)
    a = model.input(dtype)
    kept = model.builder.affine(a) if kind in ("MAXIMUM", "MINIMUM", "LESS") else None
    b = model.input(dtype, width, kept)
    affine = kept or model.affine(dtype)
    options = {"potScaleInt16": False} if kind in ("ADD", "SUB") and dtype == "int16" else {}
    if fused != "none":
        options["fusedActivationFunction"] = FUSED[fused]
    if kind == "LESS":
        affine, options["dtype"] = None, "bool"
    model.output(kind, [a, b], affine, **options)
    return model.write()


def product(
    kind: str, dtype: str, seed: int, bias: str = "none", fused: str = "none", columns: int = WIDTH, rows: int = ROWS,
    least: int = -127,
) -> bytes:
    """`bias`: "none", "absent", "given" or, of int16, "int32". `least`: of the weights."""
    model = DrawnModel(seed)
    x, builder = model.input(dtype, columns), model.builder
    scale = float(np.float32(model.rng.uniform(0.5, 2) / 127 / np.sqrt(columns)))
    weights = model.rng.integers(least, 128, (rows, columns)).astype(np.int8)
    if dtype == "float32":
        matrix = builder.constant("w", (weights * np.float32(scale)).astype(np.float32))
    else:
        matrix = builder.constant("w", weights, Affine(scale, 0))
    inputs = [x, matrix]
    if bias == "absent":
        inputs.append(ABSENT)
    elif bias != "none":
        real = model.rng.normal(0, 1, rows)
        if dtype == "float32":
            inputs.append(builder.constant("b", real.astype(np.float32)))
        else:
            quantum = float(np.float32(builder.affine(x).scale * np.float32(scale)))
            kind_of_sum = np.int64 if (dtype, bias) == ("int16", "given") else np.int32
            inputs.append(builder.constant("b", (real / quantum).astype(kind_of_sum), Affine(quantum, 0, 32)))
    options = {"adjY": True} if kind == "BATCH_MATMUL" else {}
    if fused != "none":
        options["fusedActivationFunction"] = FUSED[fused]
    model.output(kind, inputs, model.affine(dtype), rows, **options)
    return model.write()


def cast(source: str, target: str) -> bytes:
    model = DrawnModel(0)
    model.output("CAST", [model.input(source, affine=_unit(source))], _unit(target), dtype=target)
    return model.write()


def _unit(dtype: str) -> Affine | None:
    return Affine(1.0, 0, int(dtype[3:])) if dtype in ("int8", "int16") else None


SLICED = (3, 4, 5)
# Shape of the result, then begin and size; or begin, end and strides, and masks.
SLICES = [
    ((3, 4, 5), ([0, 0, 0], [3, 4, 5])),
    ((1, 4, 5), ([1, 0, 0], [1, 4, 5])),
    ((1, 2, 2), ([2, 1, 3], [-1, 2, -1])),
    ((3, 3, 1), ([0, 1, 2], [3, 3, 1])),
]
STRIDED_SLICES = [
    ((3, 4, 5), ([0, 0, 0], [3, 4, 5], [1, 1, 1]), {}),
    ((2, 4, 2), ([0, 3, 4], [3, -5, 0], [2, -1, -2]), {}),
    ((2, 3, 5), ([1, 1, 1], [2, 2, 2], [1, 1, 1]), {"beginMask": 5, "endMask": 6}),
    ((1, 2, 2), ([-1, -9, -2], [9, 9, 9], [1, 3, 1]), {}),
    ((3,), ([-2, 1, 0], [0, 0, 9], [1, 1, 2]), {"shrinkAxisMask": 3}),
]


def sliced(dtype: str, kind: str, shape: tuple, bounds: tuple, masks: dict | None = None) -> bytes:
    """A part of shape `shape` of a tensor of shape SLICED; both ends of the model are vectors."""
    model = DrawnModel(0)
    builder, affine = model.builder, model.affine(dtype)
    box = _reshaped(builder, model.input(dtype, prod(SLICED), affine), SLICED, "box")
    constants = [builder.constant(f"bound{i}", np.array(values, np.int32)) for i, values in enumerate(bounds)]
    part = builder.tensor("part", shape=shape, affine=affine, dtype=dtype)
    builder.op(kind, [box, *constants], part, **(masks or {}))
    builder.outputs.append(("y", _reshaped(builder, part, (1, prod(shape)), "y")))
    return model.write()


def _reshaped(builder: StepGraphBuilder, source: str, shape: tuple, name: str) -> str:
    result = builder.tensor(name, shape=shape, affine=builder.affine(source), dtype=builder.dtype(source))
    return builder.op("RESHAPE", [source, builder.constant(f"{name}/shape", np.array(shape, np.int32))], result)


def softmax_of_vectors() -> bytes:
    model = DrawnModel(0)
    rows = _reshaped(model.builder, model.input("float32"), (1, 4, WIDTH // 4), "rows")
    y = model.builder.tensor("y", shape=(1, 4, WIDTH // 4))
    model.builder.outputs.append(("y", model.builder.op("SOFTMAX", [rows], y, beta=1.0)))
    return model.write()
