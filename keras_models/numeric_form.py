"""The numbers a converted model computes with."""

from dataclasses import dataclass

ACTIVATIONS = ("float32", "int8", "int16")
STATE_DTYPES = (None, "int8", "int16")


@dataclass(frozen=True)
class NumericForm:
    """Widths of the tensors of a step; weights are int8 wherever activations are integers.

    Attributes:
        activations: "float32", "int8" or "int16": inputs and outputs of matrix products.
        state_dtype: "int16" with activations "int8": states and the element-wise operators that update them are int16,
            so that a slow state does not stall; matrix products stay int8. None: as the activations.

    Raises:
        ValueError: a value is not known, or the two do not go together.
    """

    activations: str = "int8"
    state_dtype: str | None = None

    def __post_init__(self):
        for name, allowed in (("activations", ACTIVATIONS), ("state_dtype", STATE_DTYPES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(map(repr, allowed))}")
        if self.state_dtype == self.activations:  # said twice: the same form as said once
            object.__setattr__(self, "state_dtype", None)
        if self.state_dtype is not None and self.activations != "int8":
            raise ValueError(
                f"state_dtype={self.state_dtype!r} goes with activations='int8', not with {self.activations!r}"
            )

    @property
    def is_float(self) -> bool:
        return self.activations == "float32"

    @property
    def product_bits(self) -> int | None:
        """Width of what enters and leaves a matrix product; None for float32."""
        return {"float32": None, "int8": 8, "int16": 16}[self.activations]

    @property
    def state_bits(self) -> int | None:
        """Width of a recurrent state."""
        return 16 if self.state_dtype == "int16" else self.product_bits

    @property
    def name(self) -> str:
        """As file names and tables say it: "int8", "int8_state16"."""
        return f"{self.activations}_state16" if self.state_dtype else self.activations
