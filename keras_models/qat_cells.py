"""Quantization-aware layers: the fake-quantized twins of the integer step graph, tensor by tensor.

Every tensor the step graph stores is fake-quantized here with the very scale it will have there, so what is
trained is what is shipped. Projections of the input do not depend on the state: they are computed for all time
steps at once, outside the recurrence, and the weights are quantized once per batch.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, Affine
from keras_models.gru_kernels import GruKernels, balanced_one, gru_kernels, with_bias_row
from keras_models.quantizers import TensorQuantizer, WeightQuantizer, fixed_fake_quant

STATE = TANH_OUTPUT  # |h| < 1 always: h is a convex combination of tanh outputs
# Beyond these inputs the int8 output no longer changes: sigmoid(5.55) is 255/256, tanh(2.77) is 127/128.
SIGMOID_INPUT_LIMIT = 5.6
TANH_INPUT_LIMIT = 2.8


class QuantLayer(keras.layers.Layer):
    """A layer with a constant input `one` per matrix product, quantizers, and an observe mode.

    `observe` (bool) is set by calibration only: ranges grow instead of saturating.
    `flat_beyond`: tensors, by name, whose range need not be wider, for the kernel that reads them is flat beyond.
    `kept_range`: share of the observed ranges that is kept.
    """

    flat_beyond: dict[str, float] = {}
    kept_range = 1.0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.observe = False
        self.quantizers = {}

    def add_quantizers(self, *names: str) -> None:
        self.quantizers.update({name: TensorQuantizer(self, name) for name in names})

    def add_one(self, name: str):
        return self.add_weight(name=name, shape=(), initializer="ones", trainable=False)

    def fake(self, name: str, values):
        return self.quantizers[name](values, self.observe)

    def settle(self) -> None:
        """Fixes the observed ranges, and what calibration could not observe."""
        for name, quantizer in self.quantizers.items():
            quantizer.settle(self.kept_range, self.flat_beyond.get(name, np.inf))

    @property
    def wanted_one(self) -> float:
        """The constant input beside x that suits this layer's kernel and bias."""
        return balanced_one([self.kernel], [] if self.bias is None else [self.bias])


def representable_one(wanted: float, affine: Affine) -> float:
    """The value nearest to `wanted` that the quantization holds, at least one step from zero; negative if need be."""
    largest = affine.maximum_integer - affine.zero_point
    steps = round(wanted / affine.scale)
    if largest < 1:  # the tensor is never positive
        return -float(np.clip(steps, 1, affine.zero_point - affine.minimum_integer) * np.float32(affine.scale))
    return float(np.clip(steps, 1, largest) * np.float32(affine.scale))


@keras.saving.register_keras_serializable("edgernn")
class QuantInput(QuantLayer):
    """Quantizes an input of the model, (batch, timesteps, features), once for all its consumers."""

    def build(self, input_shape):
        self.add_quantizers("output")

    def call(self, sequence):
        return self.fake("output", sequence)

    def compute_output_shape(self, input_shape):
        return input_shape

    @property
    def output_affine(self) -> Affine:
        return self.quantizers["output"].affine


@keras.saving.register_keras_serializable("edgernn")
class QuantDense(QuantLayer):
    """Linear Dense layer in fake-quantized form, (..., features) -> (..., units)."""

    def __init__(self, units: int, use_bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros") if self.use_bias else None
        self.one_input = self.add_one("one_input")
        self.add_quantizers("output")
        self.weight_quantizer = WeightQuantizer(self, "kernel")

    @property
    def step_kernel(self):
        """(features + 1, units): the matrix the step graph multiplies, before quantization."""
        bias = ops.zeros((1, self.units)) if self.bias is None else self.bias[None]
        return with_bias_row(ops.convert_to_tensor(self.kernel), bias, self.one_input)

    def call(self, sequence):
        kernel = self.weight_quantizer(self.step_kernel)
        return self.fake("output", ops.matmul(sequence, kernel[:-1]) + self.one_input * kernel[-1])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    @property
    def output_affine(self) -> Affine:
        return self.quantizers["output"].affine

    def get_config(self):
        return {**super().get_config(), "units": self.units, "use_bias": self.use_bias}


@keras.saving.register_keras_serializable("edgernn")
class QuantGRU(QuantLayer):
    """GRU (tanh, sigmoid) in fake-quantized form, (batch, timesteps, features) -> (batch, timesteps, units) or,
    without `return_sequences`, (batch, units). Weights are named and shaped as in `keras.layers.GRU`.
    """

    output_affine = STATE
    # The ends of a range seen over years of streams are a few outliers: inside a recurrence a finer step is worth more
    # (on bike rides each tensor's own error falls by 5 to 10 %, and rises below 0.8). Inputs and outputs keep peaks.
    kept_range = 0.9
    flat_beyond = {"gates": SIGMOID_INPUT_LIMIT, "candidate": TANH_INPUT_LIMIT}
    tensors = (
        "input_gates",
        "input_candidate",
        "state_gates",
        "gates",
        "state_candidate",
        "reset_candidate",
        "candidate",
        "difference",
        "update",
    )

    def __init__(
        self, units: int, reset_after: bool = True, use_bias: bool = True, return_sequences: bool = False, **kwargs
    ):
        super().__init__(**kwargs)
        self.units, self.reset_after = units, reset_after
        self.use_bias, self.return_sequences = use_bias, return_sequences

    def build(self, input_shape):
        gates = 3 * self.units
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], gates))
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, gates), initializer="orthogonal"
        )
        shape = (2, gates) if self.reset_after else (gates,)
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros") if self.use_bias else None
        self.one_input, self.one_state = self.add_one("one_input"), self.add_one("one_state")
        # Without reset_after the candidate's product already is the reset one: r * h has the state's own scale.
        self.add_quantizers(*(n for n in self.tensors if self.reset_after or n != "reset_candidate"))
        self.quantizers["difference"].product = self.quantizers["update"]
        if self.reset_after:
            self.quantizers["state_candidate"].product = self.quantizers["reset_candidate"]
        self.weight_quantizers = [WeightQuantizer(self, name) for name in GruKernels._fields]

    @property
    def step_kernels(self) -> GruKernels:
        """The matrices the step graph multiplies, before quantization."""
        bias = None if self.bias is None else ops.convert_to_tensor(self.bias)
        return gru_kernels(
            ops.convert_to_tensor(self.kernel),
            ops.convert_to_tensor(self.recurrent_kernel),
            bias,
            self.one_input,
            self.one_state,
        )

    def call(self, sequence):
        kernels = GruKernels(*(q(k) for q, k in zip(self.weight_quantizers, self.step_kernels, strict=True)))
        gates = self.fake("input_gates", self._product(sequence, kernels.input_gates, self.one_input))
        candidate = self.fake("input_candidate", self._product(sequence, kernels.input_candidate, self.one_input))
        state = ops.zeros((ops.shape(sequence)[0], self.units), sequence.dtype)

        time_major = tuple(ops.transpose(part, (1, 0, 2)) for part in (gates, candidate))
        states = tf.scan(lambda state, inputs: self._step(kernels, state, *inputs), time_major, state)
        return ops.transpose(states, (1, 0, 2)) if self.return_sequences else states[-1]

    def _step(self, kernels: GruKernels, state, input_gates, input_candidate):
        """One step, (batch, units) -> (batch, units): line by line the operators of the step graph."""
        fake, one = self.fake, self.one_state
        state_gates = fake("state_gates", self._product(state, kernels.state_gates, one))
        gates = fixed_fake_quant(ops.sigmoid(fake("gates", input_gates + state_gates)), SIGMOID_OUTPUT)
        update_gate, reset_gate = ops.split(gates, 2, axis=-1)
        if self.reset_after:
            product = fake("state_candidate", self._product(state, kernels.state_candidate, one))
            recurrent = fake("reset_candidate", reset_gate * product)
        else:
            reset_state = fixed_fake_quant(reset_gate * state, STATE)
            recurrent = fake("state_candidate", self._product(reset_state, kernels.state_candidate, one))
        candidate = fixed_fake_quant(ops.tanh(fake("candidate", input_candidate + recurrent)), TANH_OUTPUT)
        update = fake("update", update_gate * fake("difference", candidate - state))
        return fixed_fake_quant(state + update, STATE)

    @staticmethod
    def _product(values, kernel, one):
        return ops.matmul(values, kernel[:-1]) + one * kernel[-1]

    def compute_output_shape(self, input_shape):
        batch, timesteps = input_shape[:2]
        return (batch, timesteps, self.units) if self.return_sequences else (batch, self.units)

    def settle(self) -> None:
        super().settle()
        biases = [] if self.bias is None else [self.bias]
        self.one_state.assign(representable_one(balanced_one([self.recurrent_kernel], biases), STATE))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "reset_after": self.reset_after,
            "use_bias": self.use_bias,
            "return_sequences": self.return_sequences,
        }
