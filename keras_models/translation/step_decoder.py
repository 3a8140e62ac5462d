"""The recurrent layer of a decoder: it begins in the state an encoder ended in."""

from keras_models.layer_calls import sources_of
from keras_models.step_layers import quantizer_of
from keras_models.step_rnn import StepRNN
from keras_models.translation.shared_table import reads_rows


class StepDecoder(StepRNN):
    """A StepRNN over [x (batch, timesteps, features), first state (batch, units)] -> (batch, timesteps, units).

    Its output is the state itself, in the integer forms as int16: what it says next hangs on small differences. Both
    states must have one quantization (`GruProgram.full_state`).
    """

    def kernel_initializer(self, features):
        return reads_rows(features)

    def add_weights(self, input_shape):
        super().add_weights(input_shape[0])

    @property
    def source_quantizers(self):
        return [quantizer_of(sources_of(self)[0]), self.state_quantizers[0]]

    def declare(self, declaration, source, _):
        return super().declare(declaration, source)

    def first_states(self, inputs) -> list:
        return [inputs[1]]

    def lower(self, op, source, *_):
        return super().lower(op, source)

    def call(self, inputs, mask=None, training=None):
        """What is behind END is not looked at: no mask is needed."""
        return super().call(inputs, training=training)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(input_shape[0])

    def _output(self, op, h):
        return op.widen("output", h, None if self.form.is_float else 16)
