"""The step program of a SimpleRNN cell: h' = activation(x W + b + h U)."""

from dataclasses import dataclass

from keras_models.numeric_form import NumericForm
from keras_models.step_operators import OUTPUT_OF, Declaration, StepOperators, flat_beyond


@dataclass(frozen=True)
class SimpleRnnProgram:
    """Options as in `keras.layers.SimpleRNN`."""

    units: int
    activation: str = "tanh"

    gates = 1
    states = ("h",)

    def bias_shape(self) -> tuple[int, ...]:
        return (self.units,)

    def matrices(self, kernel, recurrent_kernel, bias) -> dict:
        """(matrix, bias) by the name of its product; the bias is added once, with the input."""
        return {"input": (kernel, bias), "recurrent": (recurrent_kernel, None)}

    def declare_states(self, declaration: Declaration, form: NumericForm) -> tuple:
        """The state is what the activation puts out."""
        return (declaration.bounded("h", form.state_bits, OUTPUT_OF.get(self.activation)),)

    def limits(self, form: NumericForm) -> dict[str, float]:
        """Beyond what value a tensor need not be represented, by name, where there is such a value."""
        return {"sum": flat_beyond(form.state_bits, self.activation)}

    def project(self, op: StepOperators, x) -> tuple:
        """What does not depend on the state."""
        return (op.product("input", x, one="input"),)

    def step(self, op: StepOperators, form: NumericForm, projected: tuple, states: tuple) -> tuple:
        """The new states, the first of which is the output."""
        (h,) = states
        recurrent = op.product("recurrent", op.operand(h))
        total = op.add(
            "sum",
            op.widen("input_wide", projected[0], form.state_bits),
            op.widen("recurrent_wide", recurrent, form.state_bits),
            form="h" if self.activation == "linear" else None,
        )
        return (op.activation("new_h", self.activation, total, form="h"),)
