"""A recurrent layer over the step program of its cell."""

import keras
from keras import ops

from keras_models.fake_quant_operators import FakeQuantOperators
from keras_models.gru import GruProgram
from keras_models.lstm import LstmProgram
from keras_models.recurrence import run_recurrence
from keras_models.simple_rnn import SimpleRnnProgram
from keras_models.step_layers import StepLayer

PROGRAMS = {"simple_rnn": SimpleRnnProgram, "gru": GruProgram, "lstm": LstmProgram}


@keras.saving.register_keras_serializable("edgernn")
class StepRNN(StepLayer):
    """SimpleRNN, GRU or LSTM, (batch, timesteps, features) -> (batch, timesteps, units) or, without
    `return_sequences`, (batch, units). Weights are named and shaped as in the Keras layer.

    What does not depend on the state is computed for all time steps at once, and the weights are quantized once per
    batch, outside the loop over time.

    Args:
        cell: "simple_rnn", "gru" or "lstm".
        options: of the cell's program (units, activation, ...).
    """

    def __init__(
        self,
        form,
        cell: str,
        options: dict,
        use_bias: bool = True,
        return_sequences: bool = False,
        stateful: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        zero_output_for_mask: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(form, **kwargs)
        self.cell, self.options = cell, options
        self.cell_program = PROGRAMS[cell](**options)
        self.use_bias, self.return_sequences, self.stateful = use_bias, return_sequences, stateful
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.zero_output_for_mask, self.seed = zero_output_for_mask, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def units(self) -> int:
        return self.cell_program.units

    @property
    def operand_width(self) -> int:
        """Of what the recurrent kernel multiplies."""
        return self.units

    def kernel_initializer(self, features: int) -> str | keras.Initializer:
        """How the kernel begins, for so many inputs."""
        return "glorot_uniform"

    def add_weights(self, input_shape):
        width = self.cell_program.gates * self.units
        features = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(features, width), initializer=self.kernel_initializer(features)
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.operand_width, width), initializer="orthogonal"
        )
        shape = self.cell_program.bias_shape()
        self.bias = self.add_weight(name="bias", shape=shape, initializer="zeros") if self.use_bias else None
        self.carried = [
            self.add_weight(
                name=f"{state}_carried", shape=(input_shape[0], self.units), initializer="zeros", trainable=False
            )
            for state in self.cell_program.states
            if self.stateful
        ]

    @property
    def gate_weights(self) -> tuple:
        """kernel, recurrent_kernel, and bias or None, in Keras' order of gates."""
        bias = None if self.bias is None else ops.convert_to_tensor(self.bias)
        return ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.recurrent_kernel), bias

    def matrices(self):
        return self.cell_program.matrices(*self.gate_weights)

    def limits(self):
        return self.cell_program.limits(self.form)

    @property
    def has_fused_kernel(self) -> bool:
        """Whether TensorFlow Lite's fused int8 LSTM computes this layer."""
        return self.form.product_bits == 8 and self.cell_program == LstmProgram(self.units)

    @property
    def operand_quantizer(self):
        """The quantizer of the state as the matrix products read it."""
        return self.quantizers.get("h_operand", self.state_quantizers[0])

    def declare(self, declaration, source):
        states = self.declare_states(declaration)
        return self._output(declaration, self.step(declaration, self.project(declaration, source), states)[0])

    def declare_states(self, declaration) -> tuple:
        states = self.cell_program.declare_states(declaration, self.form)
        self.state_quantizers = [state.quantizer for state in states]
        return states

    def project(self, op, x) -> tuple:
        """What of a step does not depend on the state."""
        return self.cell_program.project(op, x)

    def step(self, op, projected, states) -> tuple:
        """What is put out, in the numbers of the first state, and the new states."""
        new = self.cell_program.step(op, self.form, projected, states)
        return new[0], new

    def lower(self, op, source):
        states = self.lowered_states(op)
        output, new = self.step(op, self.project(op, source), states)
        op.keep(self.cell_program.states, states, new)
        return self._output(op, output)

    def lowered_states(self, op) -> list:
        """The states as one step reads them from the graph."""
        names = zip(self.cell_program.states, self.state_quantizers, strict=True)
        return [op.state(name, self.units, quantizer) for name, quantizer in names]

    def call(self, inputs, mask=None, training=None):
        op = self.operators(training)
        ((x, quantizer),) = self.sources(inputs)
        # Those carried from the batch before, or zeros; (batch, units) each.
        first = self.carried or [ops.zeros((ops.shape(inputs)[0], self.units))] * len(self.cell_program.states)
        if training:
            x = self._dropped(op, x)
        projected = self.project(op, op.receive(x, quantizer))
        states = [op.receive(state, q) for state, q in zip(first, self.state_quantizers, strict=True)]
        outputs, states, back = self._run(op, projected, states, mask)
        for variable, state in zip(self.carried, states, strict=False):
            variable.assign(op.send(state))
        outputs = op.send(self._output(op, back(outputs)))
        if self.zero_output_for_mask and mask is not None:
            outputs = outputs * ops.cast(mask, outputs.dtype)[..., None]
        return outputs if self.return_sequences else outputs[:, -1]

    def reset_states(self) -> None:
        """Puts the states a stateful layer carries from batch to batch to zero."""
        for state in self.carried:
            state.assign(ops.zeros(state.shape))

    def compute_mask(self, inputs, mask=None):
        return mask if self.return_sequences else None

    def compute_output_shape(self, input_shape):
        batch, timesteps = input_shape[:2]
        return (batch, timesteps, self.units) if self.return_sequences else (batch, self.units)

    def get_config(self):
        names = "cell options use_bias return_sequences stateful dropout recurrent_dropout zero_output_for_mask seed"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}

    def _run(self, op, projected, states, mask=None, given=()) -> tuple:
        """The loop over time: outputs as the tensor the loop carries, last states, and the way back from a tensor."""
        inputs, inputs_back = zip(*map(op.carry, projected), strict=True)
        carried, states_back = zip(*map(op.carry, states), strict=True)

        def step(inputs, states):
            projected = [back(part) for back, part in zip(inputs_back, inputs, strict=True)]
            states = [back(part) for back, part in zip(states_back, states, strict=True)]
            output, new = self.step(op, projected, states, *given)
            return op.carry(output)[0], tuple(op.carry(state)[0] for state in new)

        outputs, last = run_recurrence(step, inputs, carried, mask=mask, compiled=not self.observe)
        return outputs, [back(state) for back, state in zip(states_back, last, strict=True)], states_back[0]

    def _output(self, op, h):
        return op.widen("output", h, self.form.product_bits)

    def _dropped(self, op: FakeQuantOperators, inputs):
        """The inputs with `dropout`, the same for all time steps; `op` gets the factors of `recurrent_dropout`."""
        batch, features = ops.shape(inputs)[0], inputs.shape[-1]
        if self.recurrent_dropout:
            ones = ops.ones((batch, self.units))
            op.recurrent_dropout = keras.random.dropout(ones, self.recurrent_dropout, seed=self.seed_generator)
        if not self.dropout:
            return inputs
        return keras.random.dropout(inputs, self.dropout, (batch, 1, features), seed=self.seed_generator)
