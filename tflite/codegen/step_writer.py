"""What the statements of a step are written with: identifiers, elements, loops, calls, constants."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from keras_models.affine_quantization import Affine
from tflite.codegen.exact_lines import Line
from tflite.codegen.fixed_point import Multiplier
from tflite.codegen.memory_plan import MemoryPlan
from tflite.step_graph import Op, StepGraph, Tensor

C_TYPES = {"float32": "float", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
           "bool": "uint8_t"}
BOUNDS = {  # real bounds of an activation that an operator may carry
    ActivationFunctionType.NONE: (None, None),
    ActivationFunctionType.RELU: (0.0, None),
    ActivationFunctionType.RELU_N1_TO_1: (-1.0, 1.0),
    ActivationFunctionType.RELU6: (0.0, 6.0),
}


class NotInC(ValueError):
    """What a model asks for and the generated C does not offer."""


@dataclass
class StepWriter:
    """The statements of a step, and what they need.

    Attributes:
        kernels: names of the C functions the statements call.
        constants: C identifier -> its values; equal ones are there once.
        here: tensors whose elements the present loop has made.
        wide: elements of the array `wide`, which int8 vectors are brought to for matrix products; `in_wide`: which
            one is there.
    """

    graph: StepGraph
    plan: MemoryPlan
    kernels: set[str] = field(default_factory=set)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    here: set[str] = field(default_factory=set)
    wide: int = 0
    in_wide: str = ""

    def __post_init__(self):
        self.numbers = {tensor.name: number for number, tensor in enumerate(self.graph.tensors)}

    def tensor(self, name: str) -> Tensor:
        return self.graph.tensor(name)

    def size(self, name: str) -> int:
        return prod(self.tensor(name).shape)

    def form(self, name: str) -> Affine:
        """The quantization of a tensor; int16 and wider have zero point 0."""
        tensor = self.tensor(name)
        expect(tensor.affine is not None, f"{tensor.dtype} without a quantization")
        expect(tensor.affine.scale > 0, f"scale {tensor.affine.scale}")
        expect(tensor.affine.bits == 8 or tensor.affine.zero_point == 0, f"{tensor.dtype} with a zero point")
        return tensor.affine

    def pointer(self, name: str) -> str:
        """The C identifier of a tensor's elements."""
        tensor = self.tensor(name)
        if tensor.data is None:
            return f"t{self.numbers[name]}"
        return self.constant(f"t{self.numbers[name]}", tensor.data)

    def element(self, name: str, count: int) -> str:
        """The tensor's element i of `count`; a single one serves all."""
        size = self.size(name)
        expect(size in (1, count), f"{size} elements beside {count}")
        if name in self.here:
            return f"t{self.numbers[name]}_i"
        if size == 1 and self.tensor(name).data is not None:
            number = c_number(self.tensor(name).data.reshape(-1)[0])
            return f"({number})" if number.startswith("-") else number
        return f"{self.pointer(name)}[{'i' if size == count else '0'}]"

    def constant(self, identifier: str, values: np.ndarray) -> str:
        """The identifier under which the values are kept."""
        for known, kept in self.constants.items():
            if kept.dtype == values.dtype and np.array_equal(kept.reshape(-1), values.reshape(-1)):
                return known
        self.constants[identifier] = values
        return identifier

    def call(self, kernel: str, *arguments: object) -> str:
        """A call of a kernel, as an expression."""
        self.kernels.add(kernel)
        return f"{kernel}({', '.join(map(str, arguments))})"

    def rescaled(self, value: str, by: Multiplier) -> str:
        return self.call("rescale", value, *by)

    def saturated(self, value: str, form: Affine, bounds: tuple[int, int]) -> str:
        """`value`, counted from the zero point, as an integer of the form."""
        if form.zero_point == 0:
            return self.clamped(value, form, bounds)
        within = self.call("clamped", value, *bounds)
        return f"({C_TYPES[form.dtype]}){plus(within, form.zero_point)}"

    def clamped(self, value: str, form: Affine, bounds: tuple[int, int]) -> str:
        """`value`, an integer of the form but for its bounds, which are counted from the zero point."""
        absolute = tuple(bound + form.zero_point for bound in bounds)
        if absolute == (form.minimum_integer, form.maximum_integer):
            return f"({C_TYPES[form.dtype]}){self.call(f'saturated_{form.dtype}', value)}"
        return f"({C_TYPES[form.dtype]}){self.call('clamped', value, *absolute)}"

    def widened(self, vector: str, count: int) -> tuple[list[str], str]:
        """An int8 vector as int16, of an even number of elements: (statements that see to it, its identifier)."""
        self.wide = max(self.wide, count + count % 2)
        if vector == self.in_wide:
            return [], "wide"
        self.in_wide = vector
        return [self.call("widened", vector, count, "wide") + ";"], "wide"

    def scaled(self, value: str, line: Line) -> str:
        """A line of one value, which may be an expression."""
        if any(line.low) or line.below:
            return self.call("scaled", value, *scaled_arguments(line))
        return f"({value} * {line.high[0]} {signed(line.constant)}) >> {line.shift}"

    def plane(self, values: Sequence[str], line: Line) -> str:
        """A line of several values."""
        low = " + ".join(f"{value} * {by}" for value, by in zip(values, line.low, strict=True))
        high = " + ".join(f"{value} * {by}" for value, by in zip(values, line.high, strict=True))
        finer = f" + (({low}) >> {line.bits})" if any(line.low) else ""
        return f"({high} {signed(line.constant)}{finer}) >> {line.shift}"

    def loop(self, name: str, value: str) -> list[str]:
        """What makes every element of a tensor, for the body of a loop over i: `value` is an expression of i."""
        number, c_type = self.numbers[name], C_TYPES[self.tensor(name).dtype]
        self.here.add(name)
        made = [f"const {c_type} t{number}_i = {value};"]
        return made if name in self.plan.passing else [*made, f"t{number}[i] = t{number}_i;"]


def scaled_arguments(line: Line) -> tuple[int, ...]:
    """What the kernel `scaled` takes after the value."""
    return line.high[0], line.low[0], line.bits, line.constant, line.below, line.shift


def signed(number: int) -> str:
    """A summand with its sign before it."""
    return f"{'-' if number < 0 else '+'} {abs(number)}"


def expect(condition: bool, what_else: str) -> None:
    """Raises NotInC unless the condition holds."""
    if not condition:
        raise NotInC(what_else)


def expect_float(writer: StepWriter, *names: str) -> None:
    dtypes = {writer.tensor(name).dtype for name in names}
    expect(dtypes == {"float32"}, f"on {' and '.join(sorted(dtypes))}")


def expect_integers(writer: StepWriter, *names: str) -> None:
    dtypes = {writer.tensor(name).dtype for name in names}
    expect(len(dtypes) == 1 and dtypes <= {"int8", "int16"}, f"on {' and '.join(sorted(dtypes))}")


def storage(writer: StepWriter, name: str) -> tuple[str, Affine | None]:
    return writer.tensor(name).dtype, writer.tensor(name).affine


def copy(writer: StepWriter, name: str, place: str) -> str:
    """All elements of a tensor to a place."""
    return f"memcpy({place}, {writer.pointer(name)}, {writer.size(name)} * sizeof *{writer.pointer(name)})"


def plus(value: str, number: int) -> str:
    return value if number == 0 else f"({value} {signed(number)})"


def integer_bounds(op: Op, form: Affine) -> tuple[int, int]:
    """Smallest and largest result of an operator, counted from the zero point: the type's, or its activation's."""
    low, high = form.minimum_integer - form.zero_point, form.maximum_integer - form.zero_point
    least, most = real_bounds(op)
    low = low if least is None else max(low, nearest_integer(least / form.scale))
    return low, high if most is None else min(high, nearest_integer(most / form.scale))


def real_bounds(op: Op) -> tuple[float | None, float | None]:
    activation = dict(op.options).get("fusedActivationFunction", 0)
    expect(activation in BOUNDS, f"fused activation {activation}")
    return BOUNDS[activation]


def nearest_integer(value: float) -> int:
    return int(np.sign(value) * np.floor(abs(value) + 0.5))


def c_number(value: np.generic | float | int) -> str:
    """A number as C reads it back: floats with nine digits."""
    if not isinstance(value, float | np.floating):
        return str(int(value))
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"
