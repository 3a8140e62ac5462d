"""What runtimes share whose inputs, outputs and states are arrays in the memory of the model."""

from collections.abc import Mapping

import numpy as np

from tflite.runtimes.step_runtime import TensorSpec, checked_readings, checked_states


class ViewedRuntime:
    """Reads and writes the views by name: `_input_views`, `_output_views` and `_state_views`, which a runtime binds."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    state_specs: tuple[TensorSpec, ...]
    _input_views: dict[str, np.ndarray]
    _output_views: dict[str, np.ndarray]
    _state_views: dict[str, np.ndarray]

    @property
    def states(self) -> dict[str, np.ndarray]:
        """Copies of the states by name."""
        return {name: view.copy() for name, view in self._state_views.items()}

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Replaces the named states; shape and dtype must be the state's own."""
        for name, values in checked_states(states, self.state_specs).items():
            self._state_views[name][...] = values

    def _write(self, x: object, raw: bool) -> None:
        for name, values in checked_readings(x, self.inputs, raw).items():
            self._input_views[name][...] = values

    def _read(self, raw: bool) -> np.ndarray | dict[str, np.ndarray]:
        results = {
            spec.name: spec.dequantize(view) if spec.is_quantized and not raw else view.copy()
            for spec, view in zip(self.outputs, self._output_views.values(), strict=True)
        }
        return results if len(results) != 1 else next(iter(results.values()))


def single_float(specs: tuple[TensorSpec, ...], views: dict[str, np.ndarray]) -> np.ndarray | None:
    """The view of the only tensor of `specs`, where it holds plain float32: the fast path."""
    if len(specs) == 1 and specs[0].dtype == "float32":
        return views[specs[0].name]
    return None
