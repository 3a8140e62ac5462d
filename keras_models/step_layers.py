"""Keras layers that know the program of their time step.

A layer of this module computes a sequence as its Keras original does, and in an integer form as the converted model
will: while training with fake quantization (`fake_quant_operators`), at inference with the very integers of the
converted model (`integer_operators`). `program` is the step itself, the one source of all forms.
"""

from math import inf
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_models.affine_quantization import Affine
from keras_models.fake_quant_operators import FakeQuantOperators, with_bias_row
from keras_models.integer_operators import IntegerOperators
from keras_models.layer_calls import layer_of, sources_of
from keras_models.numeric_form import NumericForm
from keras_models.quantizers import WeightQuantizer
from keras_models.step_operators import Declaration, Declared, SourceQuantizer, StepOperators, require_power_of_two


class StepLayer(keras.layers.Layer):
    """A layer over (batch, timesteps, width) with the program of its step.

    Args:
        form: the numbers it computes with, or its name ("int8") or fields.

    `observe` (bool) is set by calibration only: ranges grow instead of saturating. So is `moments`: sums of x x^T by
    the name of the product that multiplies x.
    """

    rounding_damping = 0.01  # of moments, for `weight_rounding`: the share of inputs as they were not seen

    def __init__(self, form: NumericForm | dict, **kwargs):
        super().__init__(**kwargs)
        self.form = NumericForm(**form) if isinstance(form, dict) else form
        self.supports_masking = True
        self.observe = False
        self.quantizers, self.weight_quantizers, self.ones, self.moments = {}, {}, {}, {}
        self.output_declared = None

    def build(self, input_shape):
        self.add_weights(input_shape)
        declaration = Declaration(self, self.form, self.quantizers)
        shapes = input_shape if isinstance(input_shape[0], list | tuple) else [input_shape]
        bits = self.form.product_bits
        sources = [Declared(None if bits is None else SourceQuantizer(bits)) for _ in shapes]
        self.output_declared = self.declare(declaration, *sources)
        if bits == 16:  # matrix products of other layers may read it
            require_power_of_two(self.output_declared.quantizer)
        for quantizer in self.quantizers.values():
            if quantizer.is_coarse:
                quantizer.learn()

    def add_weights(self, input_shape) -> None:
        """Adds the weights of the Keras original, by the same names."""

    def declare(self, declaration: Declaration, *sources: Declared) -> Declared:
        """Runs the program for its tensors; returns its output."""
        return self.program(declaration, *sources)

    def program(self, op: StepOperators, *sources: Any) -> Any:
        """The step: values of `op` in, a value of `op` out."""
        raise NotImplementedError

    def lower(self, op: StepOperators, *sources: Any) -> Any:
        """The program of one step where states are kept between steps: layers with a state add theirs."""
        return self.program(op, *sources)

    def matrices(self) -> dict[str, tuple]:
        """(kernel (inputs, outputs), bias (outputs,) or None) by the name of the product that multiplies it."""
        return {}

    def limits(self) -> dict[str, float]:
        """Beyond what value a tensor need not be represented, by name, where there is such a value."""
        return {}

    def call(self, inputs, training=None):
        op, sources = self.operators(training), self.sources(inputs)
        return op.send(self.program(op, *(op.receive(*source) for source in sources)))

    def operators(self, training):
        """Who executes the program: see the module."""
        if self.observe or training or self.form.is_float:
            return FakeQuantOperators(self, self.observe)
        return IntegerOperators(self)

    def sources(self, inputs) -> list[tuple]:
        """(tensor, its quantizer) of each input."""
        tensors = inputs if isinstance(inputs, list | tuple) else [inputs]
        quantizers = [None] * len(tensors) if self.form.is_float else self.source_quantizers
        return list(zip(tensors, quantizers, strict=True))

    @property
    def source_quantizers(self) -> list:
        """The quantizers of the tensors this layer reads, which other layers store."""
        return [quantizer_of(tensor) for tensor in sources_of(self)]

    @property
    def output_quantizer(self):
        """The quantizer of the tensor this layer puts out; None in a float32 form."""
        quantizer = self.output_declared.quantizer
        return self.source_quantizers[0] if isinstance(quantizer, SourceQuantizer) else quantizer

    def add_weight_quantizer(self, product: str, one: str | None) -> None:
        """For a matrix of the layer and, with int8 products, the constant input `one` that multiplies its bias row."""
        one = one if self.form.product_bits == 8 and self.use_bias else None
        self.weight_quantizers[product] = WeightQuantizer(self, f"{product}_matrix"), one
        if one is not None and one not in self.ones:
            self.ones[one] = self.add_weight(name=f"one_{one}", shape=(), initializer="ones", trainable=False)

    def one(self, one: str):
        """The constant input, a float32 scalar: so many steps of the tensor it stands beside, whatever that learns."""
        quantizer = self.source_quantizers[0] if one == "input" else self.operand_quantizer
        return self.ones[one].value * tf.cast(quantizer.form.scale, tf.float32)

    def stored_matrix(self, product: str, kernel, bias):
        """(rows, outputs) as the converted model has the matrix: beside a constant input the bias is its last row."""
        _, one = self.weight_quantizers[product]
        return kernel if one is None or bias is None else with_bias_row(kernel, bias, self.one(one))

    def wanted_one(self, one: str) -> float:
        """The constant input that suits the matrices and biases it stands beside."""
        matrices = self.matrices()
        return balanced_one([matrices[name] for name, (_, beside) in self.weight_quantizers.items() if beside == one])

    def settle(self) -> None:
        """Fixes the observed ranges; that of a product before those of its factors, whose scales depend on it."""
        limits = self.limits()
        names = sorted(self.quantizers, key=lambda name: self.quantizers[name].product is not None)
        for name in names:
            self.quantizers[name].settle(limits.get(name, inf))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        form = {"activations": self.form.activations, "state_dtype": self.form.state_dtype}
        return {**super().get_config(), "form": form}


def quantizer_of(tensor):
    """The quantizer of a symbolic tensor, which the layer that stores it has."""
    layer = layer_of(tensor)
    return layer.output_quantizer if isinstance(layer, StepLayer) else quantizer_of(*sources_of(layer))


def producer(tensor) -> keras.layers.Layer:
    """The layer that stores `tensor` (a KerasTensor), looking through layers that only pass it on."""
    layer = layer_of(tensor)
    return producer(*sources_of(layer)) if isinstance(layer, PASSING) else layer


# What they put out is what they read, at inference. A stream has no padding, so a mask marks nothing.
PASSING = (
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization,
    keras.layers.Masking,
    keras.layers.Identity,
)


def balanced_one(matrices) -> float:
    """The constant input at which the bias row is as large as the largest weight, so neither costs the other bits.

    Args:
        matrices: (kernel, bias) pairs.
    """
    weight, bias = (max(float(ops.max(ops.abs(part))) for part in parts) for parts in zip(*matrices, strict=True))
    return bias / weight if weight > 0 and bias > 0 else 1.0


def steps_of_one(wanted: float, affine: Affine) -> int:
    """How many steps from zero the value nearest to `wanted` lies that the quantization holds.

    At least one; negative where the tensor never is positive.
    """
    largest = affine.maximum_integer - affine.zero_point
    steps = round(wanted / affine.scale)
    if largest < 1:
        return -int(np.clip(steps, 1, affine.zero_point - affine.minimum_integer))
    return int(np.clip(steps, 1, largest))


@keras.saving.register_keras_serializable("edgernn")
class StepInput(StepLayer):
    """Quantizes real values, (batch, timesteps, features), once for all their readers."""

    def program(self, op, reals):
        return op.quantize("output", reals)

    def sources(self, inputs):
        return [(inputs, None)]


@keras.saving.register_keras_serializable("edgernn")
class StepDense(StepLayer):
    """Dense over the last axis, (..., features) -> (..., units); activation "linear", "relu", "sigmoid" or "tanh".

    Args:
        bias_row: with int8 products the bias is a row of the matrix; False: an int32 bias, as FULLY_CONNECTED has it.
    """

    def __init__(
        self, form, units: int, activation: str = "linear", use_bias: bool = True, bias_row: bool = True, **kwargs
    ):
        super().__init__(form, **kwargs)
        self.units, self.activation, self.use_bias, self.bias_row = units, activation, use_bias, bias_row

    def add_weights(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros") if self.use_bias else None

    def matrices(self):
        bias = None if self.bias is None else ops.convert_to_tensor(self.bias)
        return {"output": (ops.convert_to_tensor(self.kernel), bias)}

    def program(self, op, x):
        total = op.product("output", x, one="input" if self.bias_row else None)
        return activate(op, self.form, self.activation, total)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = {name: getattr(self, name) for name in ("units", "activation", "use_bias", "bias_row")}
        return {**super().get_config(), **config}


def activate(op: StepOperators, form: NumericForm, kind: str, values):
    """An activation after a sum: "relu" keeps its quantization, the others have one of their own."""
    if kind == "relu":
        return op.relu("activation", values)
    if form.product_bits == 16 and kind != "linear":  # int16 LOGISTIC and TANH: no power of two, which sums have
        values = op.requantize("activation_input", values)
    return op.activation("activation", kind, values)


@keras.saving.register_keras_serializable("edgernn")
class StepActivation(StepLayer):
    """Activation "relu", "sigmoid" or "tanh" as a layer."""

    def __init__(self, form, activation: str, **kwargs):
        super().__init__(form, **kwargs)
        self.activation = activation

    def program(self, op, x):
        return activate(op, self.form, self.activation, x)

    def get_config(self):
        return {**super().get_config(), "activation": self.activation}


@keras.saving.register_keras_serializable("edgernn")
class StepConv1D(StepLayer):
    """Causal Conv1D, (batch, timesteps, features) -> (batch, timesteps, filters); its window is a state of the step."""

    def __init__(
        self,
        form,
        filters: int,
        kernel_size: int,
        dilation_rate: int = 1,
        activation: str = "linear",
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(form, **kwargs)
        self.supports_masking = False  # as in Keras: what is masked still is under the kernel of later steps
        self.filters, self.kernel_size, self.dilation_rate = filters, kernel_size, dilation_rate
        self.activation, self.use_bias = activation, use_bias

    def add_weights(self, input_shape):
        self.features = input_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=(self.kernel_size, self.features, self.filters))
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def matrices(self):
        kernel = ops.reshape(ops.convert_to_tensor(self.kernel), (-1, self.filters))
        return {"output": (kernel, None if self.bias is None else ops.convert_to_tensor(self.bias))}

    def program(self, op, *taps):
        """`taps`: the readings under the kernel, the oldest first."""
        window = op.concat("taps", list(taps)) if len(taps) > 1 else taps[0]
        total = op.product("output", window, one="input")
        return activate(op, self.form, self.activation, total)

    def declare(self, declaration, source):
        return self.program(declaration, *[source] * self.kernel_size)

    def call(self, inputs, training=None):
        op = self.operators(training)
        ((_, quantizer),) = self.sources(inputs)
        reach = (self.kernel_size - 1) * self.dilation_rate
        padded, timesteps = ops.pad(inputs, [[0, 0], [reach, 0], [0, 0]]), ops.shape(inputs)[1]
        starts = range(0, reach + 1, self.dilation_rate)
        taps = [op.receive(padded[:, start : start + timesteps], quantizer) for start in starts]
        return op.send(self.program(op, *taps))

    def lower(self, op, x):
        """The state holds the last readings, the oldest first."""
        reach = (self.kernel_size - 1) * self.dilation_rate
        if reach == 0:
            return self.program(op, x)
        window = op.delayed("w", x, reach)
        return self.program(op, *window[:: self.dilation_rate], x)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        config = {
            name: getattr(self, name) for name in ("filters", "kernel_size", "dilation_rate", "activation", "use_bias")
        }
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("edgernn")
class StepEmbedding(StepLayer):
    """Embedding, integers (batch, timesteps) -> (batch, timesteps, output_dim); the table is int8 in integer forms."""

    def __init__(self, form, input_dim: int, output_dim: int, mask_zero: bool = False, **kwargs):
        super().__init__(form, **kwargs)
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero

    def add_weights(self, input_shape):
        self.table = self.add_weight(name="embeddings", shape=(self.input_dim, self.output_dim))

    def program(self, op, ids):
        return op.widen("output", op.gather("table", ids), self.form.product_bits)

    def sources(self, inputs):
        return [(inputs, None)]

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        config = {"input_dim": self.input_dim, "output_dim": self.output_dim, "mask_zero": self.mask_zero}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable("edgernn")
class StepAdd(StepLayer):
    """Sum of inputs of one shape."""

    def program(self, op, first, *others):
        total = first
        for index, other in enumerate(others, start=1):
            total = op.add("output" if index == len(others) else f"sum_{index}", total, other)
        return total

    def compute_mask(self, inputs, mask=None):
        return keras.layers.Add().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable("edgernn")
class StepConcatenate(StepLayer):
    """Inputs side by side on the last axis, in one quantization."""

    def declare(self, declaration, *sources):
        declaration.requantize("output", sources[0])
        return super().declare(declaration, *sources)

    def program(self, op, *sources):
        parts = [op.requantize(f"part_{index}", source, form="output") for index, source in enumerate(sources)]
        return op.concat("output", parts)

    def compute_mask(self, inputs, mask=None):
        return keras.layers.Concatenate().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:-1], sum(shape[-1] for shape in input_shape))
