"""The context vector: what the encoder gives the decoder beside the state it ended in."""

from keras_models.affine_quantization import TANH_OUTPUT
from keras_models.numeric_form import NumericForm
from keras_models.quantizers import FixedQuantizer
from keras_models.step_layers import StepDense
from keras_models.step_operators import Declared


class StepContext(StepDense):
    """tanh(V h) of states h of an encoder, (..., units) -> (..., width), in the numbers of products."""

    def __init__(self, form: NumericForm, width: int, **kwargs):
        super().__init__(form, width, "tanh", use_bias=False, **kwargs)

    def declare(self, declaration, source):
        return super().declare(declaration, Declared(tanh_quantizer(self.form.state_bits)))

    def program(self, op, h):
        return super().program(op, op.widen("operand", h, self.form.product_bits))

    def compute_mask(self, inputs, mask=None):
        """The decoder is told how many there are."""
        return None


def tanh_quantizer(bits: int | None) -> FixedQuantizer | None:
    """Of states of the range of tanh (`GruProgram.full_state`), and of contexts; None: of real numbers."""
    return None if bits is None else FixedQuantizer(TANH_OUTPUT[bits])
