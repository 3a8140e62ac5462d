"""A step program in the integers of the converted model: what inference of a quantized model runs."""

import tensorflow as tf
from keras import activations, ops

from keras_models import integer_kernels as kernels
from keras_models.attention import attended
from keras_models.integer_kernels import Form, Integers
from keras_models.quantizers import weight_scale
from keras_models.step_operators import OUTPUT_OF

# Kernels that exist in integers, for one quantization of the output.
KERNELS = {"sigmoid": kernels.logistic, "tanh": kernels.tanh}


class IntegerOperators:
    """Operators over `Integers` (..., width); see `step_operators.StepOperators`.

    The matrices are quantized once, here, and not in every step.
    """

    def __init__(self, layer):
        self.layer = layer
        self.matrices = {name: self._matrix(name, *matrix) for name, matrix in layer.matrices().items()}

    def receive(self, reals, quantizer):
        """The integers that another layer's float32 output stands for, exactly; no quantizer: the reals themselves."""
        return reals if quantizer is None else kernels.quantize(reals, quantizer.form)

    def send(self, values):
        return kernels.dequantize(values)

    def carry(self, values) -> tuple:
        return values.values, lambda tensor: values._replace(values=tensor)

    def quantize(self, name, reals, form=None):
        return kernels.quantize(reals, self._form(form or name))

    def product(self, name, values, one=None):
        weights, bias = self.matrices[name]
        sums = None if bias is None else kernels.nearest(bias, values.form.scale * weights.form.scale)
        if values.form.bits == 16:
            return kernels.fully_connected(values, weights, sums, self._form(name))
        one = self.layer.weight_quantizers[name][1]
        if one is not None and bias is not None:  # is a row of the matrix
            real = tf.ones_like(values.values[..., :1], tf.float32) * self.layer.one(one)
            constant = kernels.quantize(real, values.form).values
            values, sums = values._replace(values=tf.concat([values.values, constant], axis=-1)), None
        return kernels.batch_matmul(values, weights, self._form(name), sums)

    def add(self, name, a, b, form=None):
        return kernels.add(a, b, self._form(form or name))

    def sub(self, name, a, b, form=None):
        return kernels.sub(a, b, self._form(form or name))

    def mul(self, name, a, b, form=None):
        return kernels.mul(a, b, self._form(form or name))

    def activation(self, name, kind, values, form=None):
        if kind == "linear":
            return values
        quantizer = self.layer.quantizers[form or name]
        if kind in KERNELS and quantizer.fixed == OUTPUT_OF[kind][quantizer.bits]:
            return KERNELS[kind](values)
        return kernels.quantize(activations.get(kind)(kernels.dequantize(values)), quantizer.form)

    def relu(self, name, values):
        return kernels.relu(values)

    def split(self, name, values, sizes):
        return [values._replace(values=part) for part in tf.split(values.values, sizes, axis=-1)]

    def requantize(self, name, values, form=None):
        return kernels.requantize(values, self._form(form or name))

    def operand(self, state):
        return self.widen("h_operand", state, None)

    def widen(self, name, values, bits):
        return kernels.requantize(values, self._form(name)) if name in self.layer.quantizers else values

    def concat(self, name, parts):
        return parts[0]._replace(values=tf.concat([part.values for part in parts], axis=-1))

    def gather(self, name, ids):
        table = kernels.quantize(ops.convert_to_tensor(self.layer.table), self._form(name))
        return table._replace(values=tf.gather(table.values, tf.cast(ids, tf.int32)))

    def attend(self, name, query, memory, filled):
        return attended(kernels.dequantize(query), memory, filled)

    def _form(self, name) -> Form:
        return self.layer.quantizers[name].form

    def _matrix(self, name, kernel, bias) -> tuple[Integers, tf.Tensor | None]:
        """Integers (inputs, outputs), and the bias; beside a constant input the bias is also the last row."""
        kernel = self.layer.stored_matrix(name, kernel, bias)
        scale = tf.cast(weight_scale(kernel), tf.float64)
        integers = tf.clip_by_value(kernels.nearest(kernel, scale), -127, 127)
        return Integers(integers, Form(scale, tf.constant(0, tf.int64), 8)), bias
