"""The recurrent layer of a decoder: it begins in the state an encoder ended in, and is told of the source each step.

What it is told is a context. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014, appendix
A.1.2: it stands beside the state in the products of both gates and of the candidate, and beside it in what the layer
puts out. There it is one vector for all steps; with attention it is looked up anew at each of them, by the state before
(Bahdanau et al., Neural Machine Translation by Jointly Learning to Align and Translate, 2015, appendix A.1.2), with the
product of Luong et al. 2015 as likeness.
"""

from keras import ops

from keras_models.layer_calls import sources_of
from keras_models.step_layers import quantizer_of
from keras_models.step_operators import Declared
from keras_models.step_rnn import StepRNN
from keras_models.translation.shared_table import reads_rows
from keras_models.translation.step_context import tanh_quantizer


class StepDecoder(StepRNN):
    """A StepRNN over [x (batch, timesteps, features), first state (batch, units), context (batch, width)] -> each state
    with the context beside it, (batch, timesteps, units + width).

    With `attention` it is given, instead of the context, a memory (batch, places, width) and how many of the places are
    filled (batch, 1), both as real numbers.

    In the integer forms it puts out int16: what is said next hangs on small differences. Both states must have one
    quantization (`GruProgram.full_state`), the context that of what the products read of the state.
    """

    def __init__(self, form, cell: str, options: dict, attention: bool = False, **kwargs):
        super().__init__(form, cell, options, return_sequences=True, **kwargs)
        self.attention = attention

    def kernel_initializer(self, features):
        return reads_rows(features)

    def add_weights(self, input_shape):
        x, _, told, *_ = input_shape
        self.context_width = told[-1]
        super().add_weights(x)
        if self.attention:
            self.query = self.add_weight(name="query", shape=(self.units, self.context_width))

    def matrices(self):
        query = {"query": (ops.convert_to_tensor(self.query), None)} if self.attention else {}
        return {**super().matrices(), **query}

    @property
    def operand_width(self):
        return self.units + self.context_width

    @property
    def source_quantizers(self):
        return [quantizer_of(sources_of(self)[0]), self.state_quantizers[0], *self.given_quantizers]

    @property
    def given_quantizers(self) -> list:
        return [None, None] if self.attention else [tanh_quantizer(self.form.product_bits)]

    def declare(self, declaration, source, *_):
        states = self.declare_states(declaration)
        given = map(Declared, self.given_quantizers)
        output, _ = self.step(declaration, self.project(declaration, source), states, *given)
        return self._output(declaration, output)

    def step(self, op, projected, states, *given):
        """The new state with the context beside it, in the numbers of the state; and the new states."""
        context = self._looked_up(op, states[0], *given) if self.attention else given[0]
        new = self.cell_program.step(op, self.form, projected, states, context)
        return op.concat("beside", [new[0], op.requantize("context", context, form="h")]), new

    def lower(self, op, source, _, *given):
        states = self.lowered_states(op)
        output, new = self.step(op, self.project(op, source), states, *given)
        op.keep(self.cell_program.states, states, new)
        return self._output(op, output)

    def call(self, inputs, mask=None, training=None):
        """What is behind END is not looked at: no mask is needed."""
        op = self.operators(training)
        x, state, *given = (op.receive(*source) for source in self.sources(inputs))
        outputs, _, back = self._run(op, self.project(op, x), [state], given=given)
        return op.send(self._output(op, back(outputs)))

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:2], self.operand_width)

    def _looked_up(self, op, h, memory, filled):
        """The context of a step, in the numbers of what the products read of the state."""
        found = op.attend("looked_up", op.product("query", op.operand(h)), memory, filled)
        return op.quantize("context", found, form="h_operand" if "h_operand" in self.quantizers else "h")

    def _output(self, op, h):
        return op.widen("output", h, None if self.form.is_float else 16)
