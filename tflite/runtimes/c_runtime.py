"""Generated C: what a microcontroller without an interpreter runs, compiled for this machine."""

import ctypes
from collections.abc import Mapping
from functools import partial

import numpy as np

from tflite.codegen.c_source import CSource, generate
from tflite.codegen.compiled_step import compile_step
from tflite.runtimes.step_signature import read_step_signature
from tflite.runtimes.viewed_runtime import ViewedRuntime, single_float
from tflite.step_graph import Tensor


class CRuntime(ViewedRuntime):
    """A step model as generated C (see `StepRuntime` for the contract).

    Args:
        model: the bytes of a .tflite, one step of which its signature describes (see `read_step_signature`).

    Raises:
        UserError: a model without a usable signature, no C compiler, or one that refuses.
        ValueError: there is no C for the model; the message names the operator.
    """

    def __init__(self, model: bytes):
        self.inputs, self.outputs, self.state_specs = read_step_signature(model).specs
        self.source = generate(model, "step_model")
        library = compile_step(self.source)
        self._state = _state_structure(self.source)()
        self._members = {name: _array_of(getattr(self._state, c)) for name, c, _ in self.source.members}
        self._state_views = {s.name: self._members[s.name].reshape(s.shape) for s in self.state_specs}
        self._input_views, self._output_views = (
            {end: np.zeros(tensor.shape[1:], tensor.dtype) for end, _, tensor in side}
            for side in (self.source.inputs, self.source.outputs)
        )
        state = ctypes.byref(self._state)
        ends = [*self._input_views.values(), *self._output_views.values()]
        step = library[f"{self.source.name}_step"]
        step.restype = ctypes.c_int
        self._run = partial(step, state, *(ctypes.c_void_p(end.ctypes.data) for end in ends))
        self._init = partial(library[f"{self.source.name}_init"], state)
        self._single_input = single_float(self.inputs, self._input_views)
        self._single_output = single_float(self.outputs, self._output_views)
        self.reset()

    def reset(self) -> None:
        """Puts every state to real 0."""
        self._init()

    def step(self, x: np.ndarray | Mapping[str, np.ndarray], raw: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Runs one time step; see `StepRuntime.step`."""
        view = self._single_input
        if view is not None and type(x) is np.ndarray and x.dtype is view.dtype and x.shape == view.shape:
            view[...] = x
        else:
            self._write(x, raw)
        if self._run():
            raise RuntimeError("the state of the model was overwritten")
        output = self._single_output
        return output.copy() if output is not None else self._read(raw)


def _state_structure(source: CSource) -> type[ctypes.Structure]:
    """The layout of <name>_state."""
    fields = [("model", ctypes.c_uint32), *((name, _field(tensor)) for _, name, tensor in source.members)]
    return type("State", (ctypes.Structure,), {"_fields_": fields})


def _field(tensor: Tensor) -> type[ctypes.Array]:
    return np.ctypeslib.as_ctypes_type(np.dtype(tensor.dtype)) * int(np.prod(tensor.shape))


def _array_of(field: ctypes.Array) -> np.ndarray:
    return np.ctypeslib.as_array(field)
