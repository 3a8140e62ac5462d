"""The recurrent layer of a decoder: it begins in the state an encoder ended in, and is given the context at every step.

Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014, appendix A.1.2: the context stands beside
the state in the products of both gates and of the candidate, and beside it in what the layer puts out.
"""

from keras import ops

from keras_models.layer_calls import sources_of
from keras_models.step_layers import quantizer_of
from keras_models.step_operators import Declared
from keras_models.step_rnn import StepRNN
from keras_models.translation.shared_table import reads_rows
from keras_models.translation.step_context import tanh_quantizer


class StepDecoder(StepRNN):
    """A StepRNN over [x (batch, timesteps, features), first state (batch, units), context (batch, width) if there is
    one] -> each state with the context beside it, (batch, timesteps, units + width).

    In the integer forms it puts out int16: what is said next hangs on small differences. Both states must have one
    quantization (`GruProgram.full_state`), the context that of what the products read of the state.
    """

    def kernel_initializer(self, features):
        return reads_rows(features)

    def add_weights(self, input_shape):
        x, _, *contexts = input_shape
        self.context_width = sum(context[-1] for context in contexts)
        super().add_weights(x)

    @property
    def operand_width(self):
        return self.units + self.context_width

    @property
    def source_quantizers(self):
        x, _, *contexts = sources_of(self)
        return [quantizer_of(x), self.state_quantizers[0], *[tanh_quantizer(self.form.product_bits)] * len(contexts)]

    def declare(self, declaration, source, _, *contexts):
        states = self.declare_states(declaration)
        contexts = [Declared(tanh_quantizer(self.form.product_bits))] * len(contexts)
        h, *_ = self.step(declaration, self.project(declaration, source, *contexts), states)
        return self._output(declaration, h, *contexts)

    def project(self, op, x, *contexts):
        return *super().project(op, x), *contexts

    def step(self, op, projected, states):
        gates, candidate, *contexts = projected
        return self.cell_program.step(op, self.form, (gates, candidate), states, *contexts)

    def lower(self, op, source, _, *contexts):
        return self._output(op, self.lower_step(op, source, *contexts), *contexts)

    def call(self, inputs, mask=None, training=None):
        """What is behind END is not looked at: no mask is needed."""
        op, (x, state, *contexts) = self.operators(training), inputs
        steps = [ops.repeat(context[:, None], ops.shape(x)[1], axis=1) for context in contexts]
        x, state, *steps = (op.receive(*source) for source in self.sources([x, state, *steps]))
        outputs, _, back = self._run(op, self.project(op, x, *steps), [state], None)
        return op.send(self._output(op, back(outputs), *steps))

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:2], self.operand_width)

    def _output(self, op, h, *contexts):
        together = op.concat("beside", [h, *(op.requantize("context", context, form="h") for context in contexts)])
        return op.widen("output", together, None if self.form.is_float else 16)
