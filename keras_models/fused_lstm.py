"""The step of TensorFlow Lite's fused int8 LSTM: which integers it holds and what it computes with them.

x and h are int8, the cell state c is int16 in a power-of-two scale, weights are int8 with one scale a gate and matrix,
the sums over x have int32 biases. A gate's two sums are each rescaled to int16 of 1/4096 (so they saturate at +-8) and
added; sigmoid and tanh come out as int16 of 1/32768. Nothing clips c but the int16 it is kept in.

`fused_lstm_step` says this once. `FakeQuantLstm` executes it in float32 for training, `IntegerLstm` in the integers of
TensorFlow Lite Micro's kernel, bit by bit. LiteRT's kernel differs from that in a step by 1 in h and by some of 32,768
in c: it approximates sigmoid and tanh in another way and rounds the products that make c once, not twice. It differs by
more where the sum over h alone is beyond +-8: LiteRT saturates that only after the sum over x is added.
"""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from keras_models import integer_kernels as kernels
from keras_models.affine_quantization import SIGMOID_OUTPUT, Affine, power_of_two_affine
from keras_models.integer_kernels import Form, Integers
from keras_models.quantizers import FixedQuantizer, TensorQuantizer, weight_scale

GATE_INPUT = FixedQuantizer(Affine(2.0**-12, 0, 16))
GATE_OUTPUT = FixedQuantizer(SIGMOID_OUTPUT[16])
# int16 that reach from +-1 to +-64. For other cell states LiteRT's kernel has no tanh, and gives noise without a word.
LEAST_CELL_SCALE, LARGEST_CELL_SCALE = 2.0**-15, 2.0**-9


def cell_affine(minimum: float, maximum: float) -> Affine:
    """The int16 quantization of a cell state seen in [minimum, maximum]; beyond +-64 it saturates.

    Raises:
        ValueError: the range is empty or not finite.
    """
    return _computable(power_of_two_affine(minimum, maximum, 16))


def _computable(affine: Affine) -> Affine:
    return replace(affine, scale=min(max(affine.scale, LEAST_CELL_SCALE), LARGEST_CELL_SCALE))


class CellQuantizer(TensorQuantizer):
    """Fake quantization of a cell state, its range observed, then fixed to that of its `cell_affine`."""

    def __init__(self, layer, name: str = "c"):
        super().__init__(layer, name, bits=16, power_of_two=True)

    @property
    def observed_affine(self) -> Affine:
        return _computable(super().observed_affine)


def check_cell_affine(affine: Affine) -> None:
    """Raises ValueError unless the kernels of both runtimes compute with this quantization of the cell state."""
    fits = LEAST_CELL_SCALE <= affine.scale <= LARGEST_CELL_SCALE and np.log2(affine.scale) % 1 == 0
    if not fits or (affine.zero_point, affine.bits) != (0, 16):
        raise ValueError(f"cell state: expected int16, a scale of 2**-15 to 2**-9 and zero_point 0, got {affine}")


def bias_affine(x: Affine, kernel: Affine) -> Affine:
    """The int32 quantization of a gate's bias: that of its sums over x, to which it is added.

    The bias is the layer's own: the kernels subtract the zero points of x and h themselves.
    """
    return Affine(x.scale * kernel.scale, 0, 32)


def fused_lstm_step(op: "FakeQuantLstm | IntegerLstm", input_gates, h, c) -> tuple:
    """One time step, in values of `op`.

    Args:
        input_gates: `op.input_gates` of this step's x, (batch, 4 * units).
        h, c: states (batch, units).

    Returns:
        The new h, which is the output, and c.
    """
    input_gate, forget_gate, candidate, output_gate = op.split(op.sum(input_gates, op.recurrent_gates(h)))
    kept = op.mul(op.sigmoid(forget_gate), c, "c")
    added = op.mul(op.sigmoid(input_gate), op.tanh(candidate), "c")
    c = op.sum(kept, added, "c")
    return op.mul(op.sigmoid(output_gate), op.tanh(c), "h"), c


class FakeQuantLstm:
    """The step in float32, every tensor fake-quantized; gradients pass straight through inside the ranges.

    Biases stay as they are: their quantum is far below that of the sums they are added to.

    Args:
        weights: kernel (features, 4 * units), recurrent_kernel (units, 4 * units), bias (4 * units,) or None, float32,
            gates i, f, c, o.
        h, c: quantizers of the states: int8, and a `CellQuantizer` or one like it.
        observe: the ranges of h and c grow to hold the values, instead of saturating them.
    """

    def __init__(self, weights: tuple, h, c, observe: bool = False):
        kernel, recurrent_kernel, bias = weights
        self.kernel, self.recurrent_kernel = fake_quant_gates(kernel), fake_quant_gates(recurrent_kernel)
        self.bias = 0.0 if bias is None else bias
        self.readers = {name: q.reader(observe) for name, q in {"gate": GATE_INPUT, "h": h, "c": c}.items()}

    def input_gates(self, x):
        """(..., features) of a step or of a sequence, already fake-quantized -> (..., 4 * units)."""
        return self._store("gate", tf.matmul(x, self.kernel) + self.bias)

    def recurrent_gates(self, h):
        return self._store("gate", tf.matmul(h, self.recurrent_kernel))

    def sum(self, a, b, form: str = "gate"):
        return self._store(form, a + b)

    def mul(self, a, b, form: str):
        return self._store(form, a * b)

    def sigmoid(self, values):
        return GATE_OUTPUT(tf.sigmoid(values))

    def tanh(self, values):
        return GATE_OUTPUT(tf.tanh(values))

    def split(self, gates):
        return tf.split(gates, 4, axis=-1)

    def _store(self, form: str, values):
        return self.readers[form](values)


def fake_quant_gates(matrix):
    """A float32 matrix (inputs, 4 * units) in symmetric int8 fake quantization, one scale a gate."""
    gates = tf.split(matrix, 4, axis=-1)
    return tf.concat([tf.grad_pass_through(_fake_quant_gate)(gate) for gate in gates], axis=-1)


def _fake_quant_gate(gate):
    limit = 127 * weight_scale(gate)
    return tf.quantization.fake_quant_with_min_max_vars(gate, -limit, limit, num_bits=8, narrow_range=True)


class IntegerLstm:
    """The step in `Integers`, as TensorFlow Lite Micro's kernel computes it; weights and shapes as `FakeQuantLstm`.

    Args:
        x, h, c: the forms of these tensors.
    """

    def __init__(self, weights: tuple, x: Form, h: Form, c: Form):
        kernel, recurrent_kernel, bias = weights
        self.forms = {"gate": GATE_INPUT.form, "h": h, "c": c}
        self.kernel, self.recurrent_kernel = integer_gates(kernel), integer_gates(recurrent_kernel)
        self.bias = None if bias is None else kernels.nearest(bias, x.scale * self.kernel.form.scale)

    def input_gates(self, x: Integers) -> Integers:
        """(..., features) of a step or of a sequence -> (..., 4 * units)."""
        return kernels.batch_matmul(x, self.kernel, self.forms["gate"], self.bias)

    def recurrent_gates(self, h: Integers) -> Integers:
        return kernels.batch_matmul(h, self.recurrent_kernel, self.forms["gate"])

    def sum(self, a: Integers, b: Integers, form: str = "gate") -> Integers:
        """Saturated; both are of this form already."""
        target = self.forms[form]
        return Integers(tf.clip_by_value(a.values + b.values, target.smallest, target.largest), target)

    def mul(self, a: Integers, b: Integers, form: str) -> Integers:
        return kernels.mul(a, b, self.forms[form])

    def sigmoid(self, values: Integers) -> Integers:
        return kernels.logistic(values)

    def tanh(self, values: Integers) -> Integers:
        return kernels.tanh(values)

    def split(self, gates: Integers) -> list[Integers]:
        return [gates._replace(values=part) for part in tf.split(gates.values, 4, axis=-1)]


def integer_gates(matrix) -> Integers:
    """A float32 matrix (inputs, 4 * units) as int8 integers, with one scale a gate: the form's is (4 * units,)."""
    scales = tf.stack([tf.cast(weight_scale(gate), tf.float64) for gate in tf.split(matrix, 4, axis=-1)])
    scale = tf.repeat(scales, matrix.shape[-1] // 4)
    integers = tf.clip_by_value(kernels.nearest(matrix, scale), -127, 127)
    return Integers(integers, Form(scale, tf.constant(0, tf.int64), 8))
