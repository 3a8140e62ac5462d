"""The step program of an LSTM cell: c' = f * c + i * g, h' = o * activation(c')."""

from dataclasses import dataclass

from keras import ops

from keras_models.numeric_form import NumericForm
from keras_models.step_operators import OUTPUT_OF, TANH_OUTPUT, Declaration, StepOperators, flat_beyond


@dataclass(frozen=True)
class LstmProgram:
    """Options as in `keras.layers.LSTM`.

    With int8 activations the cell state and what updates it are int16 all the same, as in TensorFlow Lite's fused
    kernel: c sums up over the stream and reaches several times the range of h, an int8 would hold no small update.
    """

    units: int
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    gates = 4
    states = ("h", "c")

    def bias_shape(self) -> tuple[int, ...]:
        return (4 * self.units,)

    def matrices(self, kernel, recurrent_kernel, bias) -> dict:
        """(matrix, bias) by the name of its product, from Keras weights (gates i, f, g, o), as i, f, o, g."""
        return {
            "input": (self._gates(kernel), None if bias is None else self._gates(bias)),
            "recurrent": (self._gates(recurrent_kernel), None),
        }

    def declare_states(self, declaration: Declaration, form: NumericForm) -> tuple:
        """h is bounded where the activations are; the range of c is observed."""
        bounded = self.activation in OUTPUT_OF and self.recurrent_activation in OUTPUT_OF
        wide = declaration.bounded("h_wide", self._bits(form), TANH_OUTPUT if bounded else None)
        return declaration.widen("h", wide, form.state_bits), declaration.bounded("c", self._bits(form), None)

    def limits(self, form: NumericForm) -> dict[str, float]:
        """Beyond what value a tensor need not be represented, by name, where there is such a value."""
        # Beyond 8 a cell state only delays forgetting: its tanh is 1 to seven digits.
        c = {"c": 8.0} if self.activation == "tanh" else {}
        return {"gates": flat_beyond(self._bits(form), self.activation, self.recurrent_activation), **c}

    def project(self, op: StepOperators, x) -> tuple:
        """What does not depend on the state."""
        return (op.product("input", x, one="input"),)

    def step(self, op: StepOperators, form: NumericForm, projected: tuple, states: tuple) -> tuple:
        """The new states, the first of which is the output."""
        (h, c), bits = states, self._bits(form)
        recurrent = op.product("recurrent", op.operand(h))
        gates = op.add(
            "gates", op.widen("input_wide", projected[0], bits), op.widen("recurrent_wide", recurrent, bits)
        )
        gates, candidate = op.split("gate_input", gates, [3 * self.units, self.units])
        gates = op.activation("gate_outputs", self.recurrent_activation, gates)
        input_gate, forget_gate, output_gate = op.split("gate", gates, [self.units] * 3)
        candidate = op.activation("candidate_output", self.activation, candidate)
        kept = op.mul("kept", forget_gate, c, form="c")
        new_c = op.add("new_c", kept, op.mul("added", input_gate, candidate), form="c")
        output = op.mul("new_h_wide", output_gate, op.activation("c_output", self.activation, new_c), form="h_wide")
        return op.widen("new_h", output, form.state_bits), new_c

    def _gates(self, gates):
        i_f, g, o = (gates[..., part] for part in self._parts)
        return ops.concatenate([i_f, o, g], axis=-1)

    @property
    def _parts(self) -> tuple[slice, slice, slice]:
        return slice(0, 2 * self.units), slice(2 * self.units, 3 * self.units), slice(3 * self.units, None)

    @staticmethod
    def _bits(form: NumericForm) -> int | None:
        return None if form.is_float else 16
