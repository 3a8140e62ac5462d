"""The step graph: the program of one time step, as frozen TensorFlow Lite operators over named tensors.

It is what lies between a Keras model and every way out: the flatbuffer, generated C, a numpy reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from keras_models.affine_quantization import Affine

DTYPES = ("float32", "float16", "int8", "int16", "int32", "int64", "bool", "resource")
ABSENT = ""  # in Op.inputs: an optional input that is not given


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor. `shape` includes the leading batch of 1; constants carry `data`, integers their `affine`.

    `variable`: an operator keeps its own state in it from step to step (the fused LSTM); real 0 at first.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    affine: Affine | None = None
    data: np.ndarray | None = None
    variable: bool = False


@dataclass(frozen=True)
class Op:
    """One builtin operator. `kind` is its name in the schema's BuiltinOperator, `options` the fields of its options.

    `inputs` may hold ABSENT; `intermediates` are tensors of which the operator takes the quantization only.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: tuple[tuple[str, object], ...] = ()
    intermediates: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepGraph:
    """Operators in order of execution.

    `inputs` and `outputs`: (signature name, tensor name) pairs without the states.
    `states`: (signature name, tensor read, tensor written); the two tensors have equal shape, dtype and affine.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    states: tuple[tuple[str, str, str], ...] = ()

    def tensor(self, name: str) -> Tensor:
        return self._by_name[name]

    @property
    def _by_name(self) -> dict[str, Tensor]:
        return {tensor.name: tensor for tensor in self.tensors}

    def check(self) -> None:
        """Every tensor is written before it is read, once, and states keep their form over the step.

        Raises:
            ValueError: naming the tensor, operator or state at fault.
        """
        by_name = self._by_name
        if len(by_name) != len(self.tensors):
            raise ValueError("two tensors of the step graph share a name")
        for tensor in self.tensors:
            if tensor.dtype not in DTYPES:
                raise ValueError(f"tensor {tensor.name!r}: expected one of {', '.join(DTYPES)}, got {tensor.dtype}")
            if tensor.variable and tensor.data is not None:
                raise ValueError(f"tensor {tensor.name!r} is a constant and kept by an operator at once")
        self._check_ends()
        ready = self._checked_ops(by_name)
        for name, read, written in self.states:
            form_in, form_out = ((t.shape, t.dtype, t.affine) for t in (by_name[read], by_name[written]))
            if form_in != form_out or written not in ready:
                raise ValueError(f"state {name!r} changes its form over the step: {form_in} -> {form_out}")
        for name, tensor in self.outputs:
            if tensor not in ready:
                raise ValueError(f"output {name!r} reads {tensor!r}, which no operator writes")

    def _check_ends(self) -> None:
        """A name on both sides of the signature is a state: inputs, outputs and states must have different names."""
        names = [name for name, *_ in (*self.inputs, *self.outputs, *self.states)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"an input, output or state is named {twice[0]!r} like another one; rename the layer")
        given = [tensor for _, tensor in self.inputs]
        filled = given + [read for _, read, _ in self.states]
        for name in filled:
            tensor = self.tensor(name)
            if filled.count(name) > 1 or tensor.data is not None or tensor.variable and name in given:
                raise ValueError(f"tensor {name!r} is an input or state, and something else at once")

    def _checked_ops(self, by_name: dict[str, Tensor]) -> set[str]:
        """The tensors that hold a value after the last operator; ValueError where one reads or writes a wrong one."""
        ready = {ABSENT} | {tensor.name for tensor in self.tensors if tensor.data is not None or tensor.variable}
        ready |= {name for _, name in self.inputs} | {read for _, read, _ in self.states}
        for index, op in enumerate(self.ops):
            for name in op.inputs:
                if name not in ready:
                    raise ValueError(f"operator {index} {op.kind} reads {name!r} before it is written")
            for name in op.outputs:
                if name in ready or name not in by_name:
                    raise ValueError(f"operator {index} {op.kind} cannot write {name!r}: written before, or unknown")
            for name in op.intermediates:
                if name not in by_name:
                    raise ValueError(f"operator {index} {op.kind} has the unknown intermediate {name!r}")
            ready |= set(op.outputs)
        return ready


@dataclass
class StepGraphBuilder:
    """Collects tensors and operators; `build` freezes them. A name that is taken gets a number: use what comes back."""

    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    inputs: list[tuple[str, str]] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)
    states: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self):
        self._by_name = {tensor.name: tensor for tensor in self.tensors}

    def tensor(
        self,
        name: str,
        width: int | None = None,
        affine: Affine | None = None,
        dtype: str | None = None,
        *,
        shape: tuple[int, ...] | None = None,
        variable: bool = False,
    ) -> str:
        """Adds a tensor of shape (1, width), or `shape`: the integers of `affine`, else float32 unless `dtype` says.

        Returns:
            Its name: `name`, or `name:2`, `name:3`, ... where that is taken.
        """
        shape = (1, width) if shape is None else tuple(shape)
        return self._add(
            Tensor(name, shape, dtype or (affine.dtype if affine else "float32"), affine, variable=variable)
        )

    def constant(self, name: str, data: np.ndarray, affine: Affine | None = None) -> str:
        """Adds a constant; equal constants (values and affine) are stored once."""
        data = np.ascontiguousarray(data)
        for tensor in self.tensors:
            if tensor.data is not None and _same_constant(tensor, data, affine):
                return tensor.name
        return self._add(Tensor(name, data.shape, data.dtype.name, affine, data))

    def op(
        self, kind: str, inputs: list[str], outputs: str | list[str], intermediates: Sequence[str] = (), **options
    ) -> str:
        """Adds an operator over tensors already added; returns the name of its first output ("" where it has none)."""
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.ops.append(Op(kind, tuple(inputs), tuple(outputs), tuple(sorted(options.items())), tuple(intermediates)))
        return outputs[0] if outputs else ABSENT

    def width(self, name: str) -> int:
        return self._by_name[name].shape[-1]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._by_name[name].shape

    def dtype(self, name: str) -> str:
        return self._by_name[name].dtype

    def affine(self, name: str) -> Affine | None:
        return self._by_name[name].affine

    def build(self) -> StepGraph:
        """The frozen, checked graph."""
        graph = StepGraph(*(tuple(part) for part in (self.tensors, self.ops, self.inputs, self.outputs, self.states)))
        graph.check()
        return graph

    def _add(self, tensor: Tensor) -> str:
        if tensor.name in self._by_name:
            number = next(n for n in count(2) if f"{tensor.name}:{n}" not in self._by_name)
            tensor = replace(tensor, name=f"{tensor.name}:{number}")
        self.tensors.append(tensor)
        self._by_name[tensor.name] = tensor
        return tensor.name


def _same_constant(tensor: Tensor, data: np.ndarray, affine: Affine | None) -> bool:
    return (
        tensor.affine == affine
        and tensor.data.dtype == data.dtype
        and tensor.data.shape == data.shape
        and np.array_equal(tensor.data, data)
    )
