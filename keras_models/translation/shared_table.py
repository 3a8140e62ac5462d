"""One table of sub-words: what the encoder reads, what the decoder reads, and the matrix of its output.

In the integer forms it is one int8 constant of the converted model, so its quantization is that of weights: symmetric,
by its largest element, also where rows of it are activations.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_models.affine_quantization import Affine, symmetric_weight_scale
from keras_models.integer_kernels import Form
from keras_models.quantizers import weight_scale
from keras_models.step_layers import StepLayer
from keras_models.step_operators import Declared


@keras.saving.register_keras_serializable("edgernn")
class SharedTable(keras.layers.Layer):
    """Holds `rows` (pieces, width)."""

    def __init__(self, pieces: int, width: int, **kwargs):
        super().__init__(**kwargs)
        self.pieces, self.width = pieces, width
        scale = keras.initializers.RandomNormal(stddev=width**-0.5)  # so that outputs begin near 1
        self.rows = self.add_weight(name="rows", shape=(pieces, width), initializer=scale)
        self.built = True


def reads_rows(width: int) -> keras.Initializer:
    """Of a matrix that multiplies rows of a table: as Glorot and Bengio (2010) have it for inputs of variance 1, which
    here is 1 / width. Begun smaller, the states hardly hang on what is read, and learning begins slowly.
    """
    return keras.initializers.VarianceScaling(width, mode="fan_avg", distribution="uniform")


class TableQuantizer:
    """The table's rows as activations, in the quantization of the table as a weight; see `quantizers`."""

    product, power_of_two, is_coarse, fixed = None, False, False, None
    is_settled, bits = True, 8

    def __init__(self, table: SharedTable):
        self.table = table

    def reader(self, observe: bool):
        """As of `TensorQuantizer`; gradients pass to all rows."""
        if observe:
            return lambda values: values
        scale = weight_scale(ops.convert_to_tensor(self.table.rows))
        return tf.grad_pass_through(lambda values: tf.clip_by_value(tf.round(values / scale), -127, 127) * scale)

    def forget(self) -> None:
        """There is nothing observed."""

    def settle(self, limit: float = np.inf) -> None:
        """There is nothing to fix."""

    @property
    def affine(self) -> Affine:
        return Affine(symmetric_weight_scale(np.asarray(self.table.rows)), 0)

    @property
    def form(self) -> Form:
        scale = weight_scale(ops.convert_to_tensor(self.table.rows))
        return Form(tf.cast(scale, tf.float64), tf.constant(0, tf.int64), 8)


class StepTokens(StepLayer):
    """Rows of the table, (batch, timesteps) -> (batch, timesteps, width).

    Args:
        padded: 0 is padding, and masked.
    """

    def __init__(self, form, shared: SharedTable, padded: bool = False, **kwargs):
        super().__init__(form, **kwargs)
        self.shared, self.padded = shared, padded

    @property
    def table(self):
        return self.shared.rows

    def declare(self, declaration, *sources):
        if self.form.is_float:
            return Declared(None)
        self.quantizers["table"] = TableQuantizer(self.shared)
        if self.form.product_bits == 16:  # products want a power of two, which the scale of the table is not
            return declaration.bounded("rows", 16, None)
        return Declared(self.quantizers["table"])

    def program(self, op, ids):
        return op.widen("rows", op.gather("table", ids), self.form.product_bits)

    def sources(self, inputs):
        return [(inputs, None)]

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0) if self.padded else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.shared.width)


class StepTied(StepLayer):
    """What the table says to a vector of its width, (..., width) -> (..., pieces): its product with every row."""

    use_bias = True
    rounding_damping = 1.0  # the rows are also read as they are

    def __init__(self, form, shared: SharedTable, **kwargs):
        super().__init__(form, **kwargs)
        self.shared = shared

    def add_weights(self, input_shape):
        self.bias = self.add_weight(name="bias", shape=(self.shared.pieces,), initializer="zeros")

    def matrices(self):
        return {"output": (ops.transpose(ops.convert_to_tensor(self.shared.rows)), ops.convert_to_tensor(self.bias))}

    def program(self, op, x):
        return op.product("output", x)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.shared.pieces)
