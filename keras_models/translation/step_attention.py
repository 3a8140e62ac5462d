"""Attention over what the encoder remembers of each sub-word (Luong et al. 2015, "dot", keys and values projected)."""

from keras_models.numeric_form import NumericForm
from keras_models.step_layers import StepDense, StepLayer
from keras_models.step_operators import require_power_of_two


class StepMemory(StepDense):
    """What is kept of each state of the encoder, (batch, timesteps, units) -> (batch, timesteps, width).

    With a scale of a power of two and zero_point 0 in int8: an empty place of the memory is all zeros.
    """

    def declare(self, declaration, *sources):
        kept = super().declare(declaration, *sources)
        if not self.form.is_float:
            require_power_of_two(kept.quantizer)
        return kept

    def compute_mask(self, inputs, mask=None):
        """The decoder is told how many places are filled."""
        return None


class StepAttention(StepLayer):
    """[queries (batch, timesteps, width), memory (batch, places, width), filled places (batch, 1)] -> contexts, shaped
    as the queries. It computes on real numbers in every form: a softmax of int8 has no room for small shares.
    """

    def __init__(self, **kwargs):
        super().__init__(NumericForm("float32"), **kwargs)

    def program(self, op, query, memory, filled):
        return op.attend("context", query, memory, filled)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def compute_mask(self, inputs, mask=None):
        return None
