"""LiteRT: the phone's runtime, through its Python interpreter and as few copies as it allows."""

import ctypes
from collections.abc import Mapping

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipeline.native_stderr import withheld_stderr
from pipeline.user_error import UserError
from tflite.runtimes.step_signature import RESET, StepPort, read_step_signature
from tflite.runtimes.viewed_runtime import ViewedRuntime, single_float

KERNELS = {
    "default": OpResolverType.AUTO,  # XNNPACK where it has a kernel: what a phone runs
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}


class LiteRTRuntime(ViewedRuntime):
    """A step model on LiteRT, one thread (see `StepRuntime` for the contract).

    Args:
        model: the bytes of a .tflite, one step of which its signature describes (see `read_step_signature`).
        kernels: "default" (XNNPACK), "builtin" (no delegate) or "reference".

    Raises:
        UserError: an unknown `kernels`, or a model without a usable signature.
        ValueError, RuntimeError: LiteRT refuses the model.
    """

    def __init__(self, model: bytes, kernels: str = "default"):
        if kernels not in KERNELS:
            raise UserError(f"kernels: expected one of {', '.join(KERNELS)}, got {kernels!r}")
        self.signature = read_step_signature(model)
        self.kernels = kernels
        self.inputs, self.outputs, self.state_specs = self.signature.specs
        self._model = model
        self._open()
        self._check_nothing_moves()
        self.reset()

    def reset(self) -> None:
        """Puts every state, outside or inside the model, to real 0."""
        if self.signature.has_resources and not self.signature.resets:
            self._open()  # a foreign model: LiteRT resets no resource variable, only a new interpreter has none yet
        elif self.signature.resets:
            # Not kept: a living signature runner holds the interpreter, and `invoke` then refuses to run.
            self._interpreter.get_signature_runner(RESET)()
        if self.signature.has_variables:
            self._interpreter.reset_all_variables()
        for spec in self.state_specs:
            self._state_views[spec.name][...] = spec.reset_value()

    def step(self, x: np.ndarray | Mapping[str, np.ndarray], raw: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Runs one time step; see `StepRuntime.step`."""
        view = self._single_float_input
        if view is not None and type(x) is np.ndarray and x.dtype is view.dtype and x.shape == self._single_shape:
            view[...] = x
        else:
            self._write(x, raw)
        self._run()
        output = self._single_float_output
        result = output.copy() if output is not None else self._read(raw)
        for target, source in self._feedback:
            target[:] = source
        return result

    def _open(self) -> None:
        """A fresh interpreter, its inputs and states at real 0."""
        with withheld_stderr():  # "Created TensorFlow Lite XNNPACK delegate" is not for users
            self._interpreter = Interpreter(
                model_content=self._model, num_threads=1, experimental_op_resolver_type=KERNELS[self.kernels]
            )
            self._interpreter.allocate_tensors()
        for port in self.signature.inputs + self.signature.states_in:
            self._interpreter.set_tensor(port.tensor, port.spec.reset_value()[np.newaxis])
        self._run = self._interpreter.invoke
        self._bind()

    def _bind(self) -> None:
        """Views of the interpreter's own memory at every end of the signature."""
        signature = self.signature
        self._input_views = {port.spec.name: self._view(port) for port in signature.inputs}
        self._output_views = {port.spec.name: self._view(port) for port in signature.outputs}
        self._state_views = {port.spec.name: self._view(port) for port in signature.states_in}
        self._feedback = self._feedback_copies()
        self._single_float_input = single_float(self.inputs, self._input_views)
        self._single_shape = self.inputs[0].shape if self.inputs else ()
        self._single_float_output = single_float(self.outputs, self._output_views)

    def _feedback_copies(self) -> list[tuple[memoryview, memoryview]]:
        """The copies (target, source), in order, that make this step's states the next step's.

        A state that leaves through another state's entry (a delay line) would be overwritten before it
        is copied; such models copy through a buffer of their own.
        """
        ports = list(zip(self.signature.states_in, self.signature.states_out, strict=True))
        pairs = [(_memory(self._view(before)), _memory(self._view(after))) for before, after in ports]
        entries = {before.tensor for before, _ in ports}
        if not any(after.tensor in entries and after.tensor != before.tensor for before, after in ports):
            return pairs
        buffers = [memoryview(bytearray(source.nbytes)) for _, source in pairs]
        saves = [(buffer, source) for buffer, (_, source) in zip(buffers, pairs, strict=True)]
        return saves + [(target, buffer) for buffer, (target, _) in zip(buffers, pairs, strict=True)]

    def _check_nothing_moves(self) -> None:
        """One run on zeros: the views of `_view` need tensors that stay in place."""
        signature = self.signature
        ports = signature.inputs + signature.outputs + signature.states_in + signature.states_out
        before = [self._address(port) for port in ports]
        self._run()
        if before != [self._address(port) for port in ports]:
            raise UserError("model: LiteRT moves its tensors during a run (dynamic shapes); expected static shapes")

    def _address(self, port: StepPort) -> int:
        return self._interpreter.tensor(port.tensor)().ctypes.data

    def _view(self, port: StepPort) -> np.ndarray:
        """A numpy view, without the batch dimension, of a tensor's memory.

        The address comes from the public `Interpreter.tensor`, but the array does not keep the
        interpreter referenced, so `invoke` does not refuse to run. It stays valid because this class
        never resizes or allocates again, and `_check_nothing_moves` has seen a run move nothing.
        A set_tensor/get_tensor pair costs 0.55 us per state, a copy between two views 0.04 us.
        """
        tensor = self._interpreter.tensor(port.tensor)()
        memory = (ctypes.c_uint8 * tensor.nbytes).from_address(tensor.ctypes.data)
        return np.frombuffer(memory, port.spec.dtype).reshape(port.spec.shape)


def _memory(array: np.ndarray) -> memoryview:
    """The array's bytes: copying between memoryviews costs half of copying between arrays."""
    return memoryview(array).cast("B") if array.ndim <= 1 else memoryview(array.reshape(-1)).cast("B")
