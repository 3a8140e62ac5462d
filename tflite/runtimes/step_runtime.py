"""What every runtime of a step model offers: one time step per call, state carried from call to call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from pipeline.user_error import UserError


@dataclass(frozen=True)
class TensorSpec:
    """One input, output or state of a step model, as the caller sees it.

    Attributes:
        name: its name in the signature.
        shape: without the leading batch dimension (which is 1).
        dtype: numpy name of the element type, e.g. "float32" or "int8".
        scale: real value of one integer step; 0.0 where the tensor holds real values.
        zero_point: the integer that stands for real 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """True where the tensor holds integers that stand for real values."""
        return self.scale > 0.0

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """Integers for `real`: nearest, ties away from zero as in the QUANTIZE kernel, saturating.

        Raises UserError for NaN, which has no integer.
        """
        if np.isnan(real).any():
            raise UserError(
                f"{self.name}: NaN cannot be quantized to {self.dtype}; "
                "use a model whose graph takes raw float readings"
            )
        limits = np.iinfo(self.dtype)
        steps = np.asarray(real, np.float64) / self.scale
        nearest = np.copysign(np.floor(np.abs(steps) + 0.5), steps) + self.zero_point
        return np.clip(nearest, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """Real values (float32) that `integers` stand for."""
        return ((integers.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)

    def reset_value(self) -> np.ndarray:
        """A fresh array of this shape and dtype holding real 0."""
        return np.full(self.shape, self.zero_point, self.dtype)


@runtime_checkable
class StepRuntime(Protocol):
    """A loaded step model. Not thread-safe; two instances share nothing.

    A model may keep state inside: `reset` reaches it, but it is not among `state_specs` and `states`.

    Attributes:
        inputs: readings of one step, in signature order.
        outputs: results of one step, in signature order; states are not among them.
        state_specs: tensors carried from step to step (names on both sides of the signature).
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    state_specs: tuple[TensorSpec, ...]

    def reset(self) -> None:
        """Puts every state to real 0, as right after loading."""

    def step(self, x: np.ndarray | Mapping[str, np.ndarray], raw: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Runs one time step.

        Args:
            x: float32 (features,), or a dict by input name where the model has several.
            raw: True passes the tensors' own integers in and out, without quantizing.

        Returns:
            A new array (outputs,), or a dict by output name where the model has several.

        Raises:
            UserError: wrong names, shape or dtype, naming what was expected and what came.
        """

    @property
    def states(self) -> dict[str, np.ndarray]:
        """Copies of the states in their own dtype, by name."""

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Replaces the states named in `states`; shapes and dtypes as in `state_specs`."""


def checked_reading(x: object, spec: TensorSpec, raw: bool) -> np.ndarray:
    """`x` as an array that can be written into the tensor of `spec` as it is.

    Lists of numbers are taken as float32. Raises UserError for any other dtype or shape than
    expected: a silent cast or broadcast would hide a swapped column.
    """
    expected = spec.dtype if raw or not spec.is_quantized else "float32"
    values = x if isinstance(x, np.ndarray) else _array_of_numbers(x, spec, expected)
    if values.shape != spec.shape:
        raise UserError(f"{spec.name}: expected shape {spec.shape}, got {values.shape}; one step takes one reading")
    if values.dtype != expected:
        raise UserError(
            f"{spec.name}: expected dtype {expected}, got {values.dtype}; convert with .astype({expected!r})"
        )
    return spec.quantize(values) if spec.is_quantized and not raw else values


def checked_readings(x: object, specs: tuple[TensorSpec, ...], raw: bool) -> dict[str, np.ndarray]:
    """All inputs by name, from one array (single input) or a mapping by name."""
    if not isinstance(x, Mapping):
        if len(specs) != 1:
            raise UserError(f"x: the model has inputs {_names(specs)}; pass a dict by these names")
        return {specs[0].name: checked_reading(x, specs[0], raw)}
    if set(x) != {spec.name for spec in specs}:
        raise UserError(f"x: expected exactly the inputs {_names(specs)}, got {', '.join(map(str, x)) or 'none'}")
    return {spec.name: checked_reading(x[spec.name], spec, raw) for spec in specs}


def checked_states(states: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...]) -> dict[str, np.ndarray]:
    """The given states after a check of names, shapes and dtypes; UserError names the first wrong one."""
    known = {spec.name: spec for spec in specs}
    for name, values in states.items():
        if name not in known:
            raise UserError(f"state {name}: unknown; the model has {_names(specs) or 'no external state'}")
        checked_reading(np.asarray(values), known[name], raw=True)
    return {name: np.asarray(values) for name, values in states.items()}


def _array_of_numbers(x: object, spec: TensorSpec, dtype: str) -> np.ndarray:
    try:
        if np.dtype(dtype).kind != "f" and np.asarray(x).dtype.kind == "f":
            raise TypeError("fractions")  # numpy would cut them off
        return np.asarray(x, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{spec.name}: expected an array {dtype} {spec.shape}, got {type(x).__name__} ({error})"
        ) from error


def _names(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(spec.name for spec in specs)
