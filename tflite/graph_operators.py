"""A step program as operators of the step graph: float32, or the integers of the layer's quantizers.

int8 matrix products are BATCH_MATMUL, the bias a row of the matrix beside a constant input: its bits are equal in
LiteRT's built-in kernels and TensorFlow Lite Micro, those of an int8 FULLY_CONNECTED are not (one rounds the rescaled
sum once, the other twice).
"""

import numpy as np

from keras_models.affine_quantization import Affine, quantize_weights
from keras_models.attention import EMPTY
from keras_models.fake_quant_operators import with_bias_row
from keras_models.step_layers import StepLayer
from keras_models.step_operators import OUTPUT_OF
from tflite.real_operators import real_activation
from tflite.step_graph import StepGraphBuilder

# Kernels that exist in integers too, for one quantization of the output.
KERNELS = {"sigmoid": "LOGISTIC", "tanh": "TANH"}

MOST_CONCATENATED = 10  # TensorFlow Lite Micro's CONCATENATION takes no more


class GraphOperators:
    """Operators over tensor names of a graph; see `keras_models.step_operators.StepOperators`.

    Args:
        weights: "float32", "float16" or "int8": how a float32 program stores its matrices.
    """

    def __init__(self, builder: StepGraphBuilder, layer: StepLayer, weights: str = "float32"):
        self.builder, self.layer, self.weights = builder, layer, weights

    def quantize(self, name, reals, form=None):
        if self.layer.form.is_float:
            return reals
        return self._op("QUANTIZE", [reals], name, form)

    def product(self, name, values, one=None):
        kernel, bias = (None if part is None else np.asarray(part) for part in self.layer.matrices()[name])
        bits = self.layer.form.product_bits
        if bits == 8:
            return self._int8_product(name, values, kernel, bias, one)
        if bits == 16:
            return self._fully_connected(name, values, kernel, bias, 64)
        return self._float_product(name, values, kernel, bias)

    def add(self, name, a, b, form=None):
        return self._op("ADD", [a, b], name, form)

    def sub(self, name, a, b, form=None):
        return self._op("SUB", [a, b], name, form)

    def mul(self, name, a, b, form=None):
        return self._op("MUL", [a, b], name, form)

    def activation(self, name, kind, values, form=None):
        if kind == "linear":
            return values
        affine = self._affine(form or name)
        if kind in KERNELS and (affine is None or affine == OUTPUT_OF[kind][affine.bits]):
            return self._op(KERNELS[kind], [values], name, form)
        real = real_activation(self.builder, kind, dequantize(self.builder, values), self._name(name))
        return real if affine is None else self._op("QUANTIZE", [real], name, form)

    def relu(self, name, values):
        return self._op("RELU", [values], name, affine=self.builder.affine(values))

    def split(self, name, values, sizes):
        builder, affine = self.builder, self.builder.affine(values)
        parts = [builder.tensor(self._name(f"{name}_{index}"), size, affine) for index, size in enumerate(sizes)]
        axis = builder.constant("axis", np.array(1, np.int32))
        if len(set(sizes)) == 1:
            builder.op("SPLIT", [axis, values], parts, numSplits=len(sizes))
        else:
            lengths = builder.constant("sizes", np.array(sizes, np.int32))
            builder.op("SPLIT_V", [values, lengths, axis], parts, numSplits=len(sizes))
        return parts

    def requantize(self, name, values, form=None):
        if self._affine(form or name) == self.builder.affine(values):
            return values
        return self._op("QUANTIZE", [values], name, form)

    def operand(self, state):
        return self.widen("h_operand", state, self.layer.form.product_bits)

    def widen(self, name, values, bits):
        return values if self._affine(name) is None else self._op("QUANTIZE", [values], name)

    def concat(self, name, parts):
        return concatenate(self.builder, parts, self._name(name))

    def gather(self, name, ids):
        table, affine = np.asarray(self.layer.table), self._affine(name)
        constant = self.builder.constant(
            self._name("embeddings"), table if affine is None else affine.quantize(table), affine
        )
        shape = (*self.builder.shape(ids), table.shape[1])
        rows = self.builder.tensor(self._name(f"{name}_rows"), affine=affine, shape=shape)
        self.builder.op("GATHER", [constant, ids], rows, axis=0)
        if len(shape) == 2:
            return rows
        return reshape(self.builder, rows, (1, shape[1] * shape[2]), self._name(name))

    def attend(self, name, query, memory, filled):
        """Memory (1, places, width); filled (1, 1) float32."""
        builder, (_, places, width) = self.builder, self.builder.shape(memory)
        query = reshape(builder, dequantize(builder, query), (1, 1, width), self._name("query"))
        memory, row = dequantize(builder, memory), (1, 1, places)
        scores = self._op("BATCH_MATMUL", [query, memory], "likeness", shape=row, adjY=True)
        place = builder.constant("places", np.arange(places, dtype=np.float32).reshape(row))
        empty = builder.constant("empty", np.full(row, EMPTY, np.float32))
        counts = builder.op("LESS", [place, filled], builder.tensor(self._name("filled"), dtype="bool", shape=row))
        scores = self._op("SELECT_V2", [counts, scores, empty], "likeness_filled", shape=row)
        shares = self._op("SOFTMAX", [scores], "shares", shape=row, beta=1.0)
        context = self._op("BATCH_MATMUL", [shares, memory], name, shape=(1, 1, width))
        return reshape(builder, context, (1, width), self._name(f"{name}_row"))

    def state(self, name, width, quantizer):
        """A state as the step reads it."""
        return self.builder.tensor(self._name(name), width, None if quantizer is None else quantizer.affine)

    def keep(self, names, read, written) -> None:
        """Makes tensors the states of a layer: `h0`, `c0` of the first, `h1`, ... of the next."""
        kept = [name for name, _, _ in self.builder.states]
        index = sum(name.rstrip("0123456789") == names[0] for name in kept)
        self.builder.states += [(f"{n}{index}", r, w) for n, r, w in zip(names, read, written, strict=True)]

    def delayed(self, name, values, steps: int) -> list:
        """The values of the last `steps` steps, the oldest first."""
        width, affine = self.builder.width(values), self.builder.affine(values)
        before = self.builder.tensor(self._name(name), steps * width, affine)
        past = self.split(f"{name}_past", before, [width] * steps) if steps > 1 else [before]
        after = concatenate(self.builder, [*past[1:], values], self._name(f"{name}_next"))
        self.keep([name], [before], [after])
        return past

    def _int8_product(self, name, values, kernel, bias, one):
        if one is None and bias is not None:
            return self._fully_connected(name, values, kernel, bias, 32)
        if bias is not None:
            real = float(self.layer.one(one))
            kernel = np.asarray(with_bias_row(kernel, bias, np.float32(real)))
            values = self._beside(values, real)
        weights, affine = quantize_weights(kernel)
        # The matrix is stored transposed, so that no kernel copies it.
        constant = self.builder.constant(self._name(f"{name}_matrix"), np.ascontiguousarray(weights.T), affine)
        return self._op("BATCH_MATMUL", [values, constant], name, width=kernel.shape[1], adjY=True)

    def _fully_connected(self, name, values, kernel, bias, bits):
        """With a bias of `bits` bits, even a zero one: without, LiteRT's built-in kernels round int16 otherwise."""
        weights, affine = quantize_weights(kernel)
        constant = self.builder.constant(self._name(f"{name}_matrix"), np.ascontiguousarray(weights.T), affine)
        scale = float(np.float32(affine.scale) * np.float32(self.builder.affine(values).scale))
        bias = np.zeros(kernel.shape[1]) if bias is None else np.asarray(bias, np.float64)
        quantum = Affine(scale, 0, bits)
        sums = self.builder.constant(self._name(f"{name}_bias"), quantum.quantize(bias), quantum)
        return self._op("FULLY_CONNECTED", [values, constant, sums], name, shape=(1, kernel.shape[1]))

    def _float_product(self, name, values, kernel, bias):
        transposed, label = np.ascontiguousarray(kernel.T), self._name(f"{name}_matrix")
        if self.weights == "int8":
            weights, affine = quantize_weights(transposed)
            constant = self.builder.constant(label, weights, affine)
        elif self.weights == "float16":
            half = self.builder.constant(label, transposed.astype(np.float16))
            constant = self.builder.op("DEQUANTIZE", [half], self.builder.tensor(label, shape=transposed.shape))
        else:
            constant = self.builder.constant(label, transposed)
        biases = [] if bias is None else [self.builder.constant(self._name(f"{name}_bias"), bias)]
        return self._op("FULLY_CONNECTED", [values, constant, *biases], name, width=kernel.shape[1])

    def _beside(self, values, one: float):
        """(1, width) -> (1, width + 1): the values and the constant input, built once for all readers."""
        affine = self.builder.affine(values)
        constant = self.builder.constant(f"one_{one:.9g}", affine.quantize(np.array([[one]], np.float32)), affine)
        for op in self.builder.ops:
            if op.kind == "CONCATENATION" and op.inputs == (values, constant):
                return op.outputs[0]
        return concatenate(self.builder, [values, constant], f"{values}/with_one")

    def _op(self, kind, inputs, name, form=None, width=None, affine=None, shape=None, **options):
        affine = affine or self._affine(form or name)
        if affine is not None and affine.bits == 16 and kind in ("ADD", "SUB"):
            options["potScaleInt16"] = False
        *batch, own = self.builder.shape(inputs[0])
        shape = shape or (*batch, own if width is None else width)
        result = self.builder.tensor(self._name(name), affine=affine, shape=shape)
        return self.builder.op(kind, inputs, result, **options)

    def _affine(self, name) -> Affine | None:
        quantizer = self.layer.quantizers.get(name)
        return None if quantizer is None else quantizer.affine

    def _name(self, name: str) -> str:
        return f"{self.layer.name}/{name}"


def dequantize(builder: StepGraphBuilder, source: str) -> str:
    """Integers -> float32; a float32 tensor is passed on."""
    if builder.affine(source) is None:
        return source
    return builder.op("DEQUANTIZE", [source], builder.tensor(f"{source}:real", shape=builder.shape(source)))


def concatenate(builder: StepGraphBuilder, parts: list[str], name: str) -> str:
    """Tensors (1, width) of one quantization side by side; a single one is passed on."""
    if len(parts) > MOST_CONCATENATED:
        groups = [parts[start : start + MOST_CONCATENATED] for start in range(0, len(parts), MOST_CONCATENATED)]
        parts = [concatenate(builder, group, f"{name}_{index}") for index, group in enumerate(groups)]
    if len(parts) == 1:
        return parts[0]
    width = sum(builder.width(part) for part in parts)
    return builder.op("CONCATENATION", parts, builder.tensor(name, width, builder.affine(parts[0])), axis=1)


def reshape(builder: StepGraphBuilder, source: str, shape: tuple[int, ...], name: str) -> str:
    """The same elements in another shape."""
    target = builder.constant("shape", np.array(shape, np.int32))
    result = builder.tensor(name, affine=builder.affine(source), shape=shape)
    return builder.op("RESHAPE", [source, target], result, newShape=np.array(shape, np.int32))
