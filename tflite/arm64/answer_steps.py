"""Runs in the emulated Python: steps a model on LiteRT for whoever writes states and inputs to stdin.

    python -m tflite.arm64.answer_steps model.tflite builtin

A message is the raw states and inputs of one step in the order of the signature; the answer, on stdout, its raw outputs
and the new states.
"""

import sys
from pathlib import Path

import numpy as np

from tflite.runtimes.litert import LiteRTRuntime
from tflite.runtimes.step_runtime import TensorSpec


def main() -> None:
    """Answers until stdin ends."""
    runtime = LiteRTRuntime(Path(sys.argv[1]).read_bytes(), sys.argv[2])
    states, inputs = map(_arrays, (runtime.state_specs, runtime.inputs))
    while all(_filled(array) for array in (*states.values(), *inputs.values())):
        runtime.set_states(states)
        outputs = runtime.step(inputs, raw=True)
        outputs = outputs if isinstance(outputs, dict) else {runtime.outputs[0].name: outputs}
        _answer(outputs, runtime.outputs)
        _answer(runtime.states, runtime.state_specs)
        sys.stdout.buffer.flush()


def _arrays(specs: tuple[TensorSpec, ...]) -> dict[str, np.ndarray]:
    return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in specs}


def _filled(array: np.ndarray) -> bool:
    """Whether stdin had as many bytes as the array has."""
    return sys.stdin.buffer.readinto(memoryview(array.reshape(-1)).cast("B")) == array.nbytes


def _answer(values: dict[str, np.ndarray], specs: tuple[TensorSpec, ...]) -> None:
    for spec in specs:
        sys.stdout.buffer.write(values[spec.name].tobytes())


if __name__ == "__main__":
    main()
