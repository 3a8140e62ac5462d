"""A step program in float32, every stored tensor fake-quantized: what training and calibration run.

In a float32 form nothing is quantized and the program is the plain layer.
"""

import tensorflow as tf
from keras import activations, ops

from keras_models.attention import attended


class FakeQuantOperators:
    """Operators over float32 tensors (..., width); see `step_operators.StepOperators`.

    The matrices are quantized, and ranges are read, once, here, and not in every step.

    Args:
        layer: has `form`, `quantizers`, `weight_quantizers`, `moments`, `matrices()` and `ones`.
        observe: ranges grow to hold the values, instead of saturating them.
    """

    def __init__(self, layer, observe: bool):
        self.layer, self.observe = layer, observe
        self.recurrent_dropout = None  # factors (batch, units) of the state, for one sequence
        self.readers = {name: quantizer.reader(observe) for name, quantizer in layer.quantizers.items()}
        self.matrices = {name: self._matrix(name, *matrix) for name, matrix in layer.matrices().items()}

    def receive(self, values, quantizer):
        """A float32 tensor from outside as a value of this interpreter."""
        return values

    def send(self, values):
        """A value as the float32 tensor it stands for."""
        return values

    def carry(self, values) -> tuple:
        """The tensor of a value that a loop carries, and the way back from it."""
        return values, lambda tensor: tensor

    def quantize(self, name, reals, form=None):
        return self._store(form or name, reals)

    def product(self, name, values, one=None):
        kernel, bias = self.matrices[name]
        if name in self.layer.moments:
            inputs = tf.reshape(values, (-1, values.shape[-1]))
            self.layer.moments[name].assign_add(tf.matmul(inputs, inputs, transpose_a=True))
        result = ops.matmul(values, kernel)
        if bias is not None:
            result = result + bias
        return self._store(name, result)

    def add(self, name, a, b, form=None):
        return self._store(form or name, a + b)

    def sub(self, name, a, b, form=None):
        return self._store(form or name, a - b)

    def mul(self, name, a, b, form=None):
        return self._store(form or name, a * b)

    def activation(self, name, kind, values, form=None):
        return values if kind == "linear" else self._store(form or name, activations.get(kind)(values))

    def relu(self, name, values):
        return ops.relu(values)

    def split(self, name, values, sizes):
        return tf.split(values, sizes, axis=-1)

    def requantize(self, name, values, form=None):
        return self._store(form or name, values)

    def operand(self, state):
        dropped = state if self.recurrent_dropout is None else state * self.recurrent_dropout
        return self.widen("h_operand", dropped, None)

    def widen(self, name, values, bits):
        return self._store(name, values)

    def concat(self, name, parts):
        return ops.concatenate(parts, axis=-1)

    def gather(self, name, ids):
        return self._store(name, ops.take(ops.convert_to_tensor(self.layer.table), ids, axis=0))

    def attend(self, name, query, memory, filled):
        return attended(query, memory, filled)

    def _store(self, name, values):
        return self.readers[name](values) if name in self.readers else values

    def _matrix(self, name, kernel, bias) -> tuple:
        """(kernel, bias) as they take part; beside a constant input the bias is quantized as a row of the matrix."""
        if self.layer.form.is_float:
            return kernel, bias
        quantizer, one = self.layer.weight_quantizers[name]
        # While ranges are observed the constant input beside the bias is not chosen yet.
        if bias is None or one is None or self.observe:
            return quantizer(kernel), bias
        constant = self.layer.one(one)
        rows = quantizer(with_bias_row(kernel, bias, constant))
        return rows[:-1], rows[-1] * constant


def with_bias_row(matrix, bias, one):
    """(inputs, outputs) and (outputs,) -> (inputs + 1, outputs) with the bias over `one` as the last row."""
    return ops.concatenate([matrix, bias[None] / one], axis=0)
