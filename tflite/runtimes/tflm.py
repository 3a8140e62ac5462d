"""TFLite Micro: the microcontroller's interpreter and reference kernels, as a Python wheel."""

from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime as tflm

from pipeline.user_error import UserError
from tflite.runtimes.step_runtime import checked_readings, checked_states
from tflite.runtimes.step_signature import read_step_signature

# An arena that is too small does not always raise: it can segfault. Memory is cheap on a host.
SMALLEST_ARENA = 1 << 20
ARENA_PER_MODEL_BYTE = 20


def arena_for(model: bytes) -> int:
    """A generous arena for this model, in bytes; `tflite.memory` says what it needs."""
    return max(SMALLEST_ARENA, ARENA_PER_MODEL_BYTE * len(model))


class TflmRuntime:
    """A step model on TFLite Micro (see `StepRuntime` for the contract).

    Args:
        model: the bytes of a .tflite, one step of which its signature describes (see `read_step_signature`).
        arena_bytes: size of the tensor arena; by default generous.

    Raises:
        UserError: a model without a usable signature, or with weights that TFLite Micro does not run.
        RuntimeError: TFLite Micro refuses the model (an operator it lacks, too small an arena).
    """

    def __init__(self, model: bytes, arena_bytes: int | None = None):
        self.signature = read_step_signature(model)
        _check_weights(model)
        self.inputs, self.outputs, self.state_specs = self.signature.specs
        self._interpreter = tflm.Interpreter.from_bytes(model, arena_size=arena_bytes or arena_for(model))
        self._states: dict[str, np.ndarray] = {}
        self.reset()

    def reset(self) -> None:
        """Puts every state, outside or inside the model, to real 0."""
        self._interpreter.reset()
        self._states = {spec.name: spec.reset_value() for spec in self.state_specs}

    def step(self, x: np.ndarray | Mapping[str, np.ndarray], raw: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Runs one time step; see `StepRuntime.step`."""
        readings = checked_readings(x, self.inputs, raw)
        for port in self.signature.inputs:
            self._interpreter.set_input(readings[port.spec.name][np.newaxis], port.position)
        for port in self.signature.states_in:
            self._interpreter.set_input(self._states[port.spec.name][np.newaxis], port.position)
        self._interpreter.invoke()
        for port in self.signature.states_out:
            self._states[port.spec.name] = self._interpreter.get_output(port.position)[0].copy()
        return self._read(raw)

    @property
    def states(self) -> dict[str, np.ndarray]:
        """Copies of the states by name."""
        return {name: values.copy() for name, values in self._states.items()}

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Replaces the named states; shape and dtype must be the state's own."""
        for name, values in checked_states(states, self.state_specs).items():
            self._states[name] = values.copy()

    def print_allocations(self) -> None:
        """Writes the arena's use to file descriptor 2; `tflite.memory` reads it there."""
        self._interpreter.print_allocations()

    def _read(self, raw: bool) -> np.ndarray | dict[str, np.ndarray]:
        results = {}
        for port in self.signature.outputs:
            values = self._interpreter.get_output(port.position)[0]
            real = port.spec.is_quantized and not raw
            results[port.spec.name] = port.spec.dequantize(values) if real else values.copy()
        return results if len(results) != 1 else next(iter(results.values()))


def _check_weights(model: bytes) -> None:
    """Refuses what only LiteRT runs: products of float32 with weights of another type."""
    graph = schema.Model.GetRootAsModel(model, 0).Subgraphs(0)
    types = [graph.Tensors(index).Type() for index in range(graph.TensorsLength())]
    kinds = schema.TensorType
    problem = "float16 weights" if kinds.FLOAT16 in types else None
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        places = [operator.Inputs(place) for place in range(operator.InputsLength())]
        inputs = [types[place] for place in places if 0 <= place < len(types)]
        if inputs[:1] == [kinds.FLOAT32] and kinds.INT8 in inputs:
            problem = "int8 weights beside float32 activations (dynamic range)"
    if problem:
        raise UserError(
            f"model: has {problem}, which TFLite Micro does not run; convert with weights='float32', or to integers"
        )
