"""The step program of a GRU cell.

Two changes of form against the textbook, neither changes the function:
* The update gate is negated: sigmoid(-a) = 1 - z, so that h' = h + (1 - z) * (n - h) needs no subtraction from
  one and rounds at the small update instead of at the large state (an int8 state then stalls half as far from its
  target). Only where 1 - activation(a) is not activation(-a), z is kept and h' = n + z * (h - n).
* The biases of the gates are added once, with the input.
"""

from dataclasses import dataclass

from keras import ops

from keras_models.affine_quantization import TANH_OUTPUT
from keras_models.numeric_form import NumericForm
from keras_models.step_operators import Declaration, StepOperators, flat_beyond, require_power_of_two

# 1 - f(a) = f(-a) holds for these.
ODD_AROUND_HALF = ("sigmoid", "hard_sigmoid")


@dataclass(frozen=True)
class GruProgram:
    """Options as in `keras.layers.GRU`.

    `full_state`: h has the quantization of tanh, so that layers can hand their states to each other.
    """

    units: int
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    full_state: bool = False

    gates = 3
    states = ("h",)

    @property
    def negates_update(self) -> bool:
        return self.recurrent_activation in ODD_AROUND_HALF

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def matrices(self, kernel, recurrent_kernel, bias) -> dict:
        """(matrix, bias) by the name of its product, from Keras weights (gates z, r, n side by side)."""
        z_r, n = slice(None, 2 * self.units), slice(2 * self.units, None)
        gate_bias = input_bias = state_bias = None
        if bias is not None and self.reset_after:
            gate_bias, input_bias, state_bias = self._gates((bias[0] + bias[1])[z_r]), bias[0, n], bias[1, n]
        elif bias is not None:
            gate_bias, input_bias = self._gates(bias[z_r]), bias[n]
        return {
            "input_gates": (self._gates(kernel[:, z_r]), gate_bias),
            "input_candidate": (kernel[:, n], input_bias),
            "state_gates": (self._gates(recurrent_kernel[:, z_r]), None),
            "state_candidate": (recurrent_kernel[:, n], state_bias),
        }

    def declare_states(self, declaration: Declaration, form: NumericForm) -> tuple:
        """The range of h is observed: one that stays small gets a finer quantum, and stalls that much later.

        A power of two: where h is within 1/2 it is then the octave below the quantum of tanh.
        """
        h = declaration.bounded("h", form.state_bits, TANH_OUTPUT if self.full_state else None)
        require_power_of_two(h.quantizer)
        return (h,)

    def limits(self, form: NumericForm) -> dict[str, float]:
        """Beyond what value a tensor need not be represented, by name, where there is such a value."""
        gates, candidate = self.recurrent_activation, self.activation
        return {"gates": flat_beyond(form.state_bits, gates), "candidate": flat_beyond(form.state_bits, candidate)}

    def project(self, op: StepOperators, x) -> tuple:
        """What does not depend on the state."""
        return op.product("input_gates", x, one="input"), op.product("input_candidate", x, one="input")

    def step(self, op: StepOperators, form: NumericForm, projected: tuple, states: tuple, context=None) -> tuple:
        """The new states, the first of which is the output.

        `context`: stands beside the state in its products, in the quantization of what they read of the state.
        """
        (h,), bits = states, form.state_bits
        operand = op.operand(h) if context is None else op.concat("state_and_context", [op.operand(h), context])
        gates = op.add(
            "gates",
            op.widen("input_gates_wide", projected[0], bits),
            op.widen("state_gates_wide", op.product("state_gates", operand), bits),
        )
        gates = op.activation("gate_outputs", self.recurrent_activation, gates)
        update_gate, reset_gate = op.split("gate", gates, [self.units, self.units])
        if self.reset_after:
            product = op.widen("state_candidate_wide", op.product("state_candidate", operand, one="state"), bits)
            recurrent = op.mul("reset_candidate", reset_gate, product)
        else:
            reset = op.widen("reset_operand", op.mul("reset_h", reset_gate, h, form="h"), form.product_bits)
            recurrent = op.widen("state_candidate_wide", op.product("state_candidate", reset), bits)
        total = op.add("candidate", op.widen("input_candidate_wide", projected[1], bits), recurrent)
        candidate = op.activation("candidate_output", self.activation, total)
        start, end = (h, candidate) if self.negates_update else (candidate, h)
        update = op.mul("update", update_gate, op.sub("difference", end, start))
        return (op.add("new_h", start, update, form="h"),)

    def _gates(self, gates):
        if not self.negates_update:
            return gates
        return ops.concatenate([-gates[..., : self.units], gates[..., self.units :]], axis=-1)
