"""The operators a step program is written in, and the first of their interpreters: the declaration.

A layer writes the program of one time step once, over these operators. Who executes them decides what comes out:

* `Declaration` (here): which tensors the program stores, and so which quantizers the layer needs;
* `fake_quant_operators`: the differentiable program for training and calibration, float32;
* `integer_operators`: the very integers of the converted model, for inference;
* `tflite.graph_operators`: the operators of the converted model.

One program, so none of them can leave the others.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT
from keras_models.numeric_form import NumericForm
from keras_models.quantizers import FixedQuantizer, TensorQuantizer, WidenedQuantizer

# Activations whose outputs fill a known range; for the others it is observed.
OUTPUT_OF = {
    "sigmoid": SIGMOID_OUTPUT,
    "hard_sigmoid": SIGMOID_OUTPUT,
    "tanh": TANH_OUTPUT,
    "softsign": TANH_OUTPUT,
    "hard_tanh": TANH_OUTPUT,
}

# Inputs beyond which an output of that width no longer changes, so that no range need be wider; others have none.
FLAT_BEYOND = {
    8: {"sigmoid": 5.6, "tanh": 2.8, "hard_sigmoid": 3.0, "hard_tanh": 1.0},
    16: {"sigmoid": 10.4, "tanh": 5.2, "hard_sigmoid": 3.0, "hard_tanh": 1.0},
}


def flat_beyond(bits: int, *kinds: str) -> float:
    """The input beyond which the outputs of all these activations stay as they are."""
    return max(FLAT_BEYOND[bits].get(kind, np.inf) for kind in kinds)


class StepOperators(Protocol):
    """Values are the interpreter's own. `name` is the stored tensor; `form` the tensor whose quantization it shares."""

    def quantize(self, name: str, reals: Any, form: str | None = None) -> Any:
        """Integers of real numbers."""

    def product(self, name: str, values: Any, one: str | None = None) -> Any:
        """values @ matrix + bias, the matrix of the layer by this name; `one`: the constant input beside a bias."""

    def add(self, name: str, a: Any, b: Any, form: str | None = None) -> Any: ...

    def sub(self, name: str, a: Any, b: Any, form: str | None = None) -> Any: ...

    def mul(self, name: str, a: Any, b: Any, form: str | None = None) -> Any:
        """`a` is the gate, `b` what it scales."""

    def activation(self, name: str, kind: str, values: Any, form: str | None = None) -> Any: ...

    def relu(self, name: str, values: Any) -> Any:
        """In the quantization of `values`."""

    def split(self, name: str, values: Any, sizes: list[int]) -> list[Any]: ...

    def requantize(self, name: str, values: Any, form: str | None = None) -> Any:
        """The values in the quantization of another tensor."""

    def operand(self, state: Any) -> Any:
        """The state as the matrix products read it; training may drop some of it."""

    def widen(self, name: str, values: Any, bits: int | None) -> Any:
        """The values in another width, their range kept; themselves where they have that width."""

    def concat(self, name: str, parts: list[Any]) -> Any:
        """Parts of one quantization."""

    def gather(self, name: str, ids: Any) -> Any:
        """Rows of the layer's table."""

    def attend(self, name: str, query: Any, memory: Any, filled: Any) -> Any:
        """The mean of the memory (real numbers) weighted by its likeness to the query: real numbers in every form. A
        softmax of int8 has no room for small shares.
        """


class SourceQuantizer(NamedTuple):
    """Stands for the quantizer of a tensor that another layer stores, while the layer does not know which."""

    bits: int


class Declared(NamedTuple):
    """A tensor of the program: its quantizer, None where it is float32."""

    quantizer: TensorQuantizer | FixedQuantizer | WidenedQuantizer | SourceQuantizer | None

    @property
    def bits(self) -> int | None:
        return None if self.quantizer is None else self.quantizer.bits


class Declaration:
    """Runs a program without values and collects in `quantizers`, by tensor name, what it must quantize.

    Args:
        layer: gets the variables of the ranges.
        quantizers: filled; in a float32 form it stays empty.
    """

    def __init__(self, layer, form: NumericForm, quantizers: dict):
        self.layer, self.form, self.quantizers = layer, form, quantizers

    def bounded(self, name: str, bits: int | None, fixed: dict | None) -> Declared:
        """A tensor with a fixed quantization, given by width, or an observed one where that is None."""
        if bits is not None and fixed is not None:
            return self._store(name, FixedQuantizer(fixed[bits]))
        return self._learned(name, bits, None)

    def quantize(self, name, reals, form=None):
        return self._learned(name, self.form.product_bits, form)

    def product(self, name, values, one=None):
        """With int16 activations between powers of two: so all runtimes rescale the 64-bit sums to the same integer."""
        if not self.form.is_float:
            self.layer.add_weight_quantizer(name, one)
        result = self._learned(name, self.form.product_bits, None)
        if result.bits == 16:
            require_power_of_two(values.quantizer, result.quantizer)
        return result

    def add(self, name, a, b, form=None):
        return self._learned(name, a.bits, form)

    sub = add

    def mul(self, name, a, b, form=None):
        """Sees to it that scale(a) * scale(b) / scale(product) is exact in float32.

        LiteRT computes the multiplier from float32, TensorFlow Lite Micro from float64: only so they agree bit for bit.
        """
        result = self._learned(name, a.bits, form)
        if result.quantizer is None:
            return result
        require_power_of_two(a.quantizer)
        if _is_learned(b.quantizer) and not b.quantizer.power_of_two and b.quantizer.product is None:
            b.quantizer.product = result.quantizer if b.quantizer is not result.quantizer else None
        else:
            require_power_of_two(result.quantizer)
        return result

    def activation(self, name, kind, values, form=None):
        if kind == "linear" or values.bits is None:
            return values
        if form is None and kind in OUTPUT_OF:
            return self._store(name, FixedQuantizer(OUTPUT_OF[kind][values.bits]))
        return self._learned(name, values.bits, form)

    def relu(self, name, values):
        return values

    def split(self, name, values, sizes):
        return [values] * len(sizes)

    def requantize(self, name, values, form=None):
        return self._learned(name, values.bits, form)

    def operand(self, state):
        return self.widen("h_operand", state, self.form.product_bits)

    def widen(self, name, values, bits):
        if values.bits == bits:
            return values
        return self._store(name, WidenedQuantizer(values.quantizer, bits))

    def concat(self, name, parts):
        return parts[0]

    def gather(self, name, ids):
        return self._learned(name, None if self.form.is_float else 8, None)

    def attend(self, name, query, memory, filled):
        return Declared(None)

    def _learned(self, name, bits, form):
        if bits is None:
            return Declared(None)
        return Declared(self.quantizers[form]) if form else self._store(name, TensorQuantizer(self.layer, name, bits))

    def _store(self, name, quantizer):
        self.quantizers[name] = quantizer
        return Declared(quantizer)


def require_power_of_two(*quantizers) -> None:
    """Makes the scales of observed ranges powers of two, also of those widened; fixed ones are."""
    for quantizer in quantizers:
        quantizer = quantizer.source if isinstance(quantizer, WidenedQuantizer) else quantizer
        if _is_learned(quantizer):
            quantizer.power_of_two = True


def _is_learned(quantizer) -> bool:
    return isinstance(quantizer, TensorQuantizer)
