"""A step model on emulated ARM64: another process that is told states and inputs and answers outputs and new states."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.user_error import UserError
from tflite.runtimes.step_signature import read_step_signature
from tflite.runtimes.viewed_runtime import ViewedRuntime


class EmulatedStep(ViewedRuntime):
    """See `StepRuntime` for the contract, but for states kept inside, which a reset does not reach. To be closed.

    Args:
        model: the bytes of the .tflite.
        command: what answers for it; see `answer_steps` for the messages.
        options: of `subprocess.Popen`.
    """

    def __init__(self, model: bytes, command: Sequence[str], **options: Any):
        self.inputs, self.outputs, self.state_specs = read_step_signature(model).specs
        self._input_views, self._output_views, self._state_views = (
            {spec.name: np.zeros(spec.shape, spec.dtype) for spec in specs}
            for specs in (self.inputs, self.outputs, self.state_specs)
        )
        self._told = [*self._state_views.values(), *self._input_views.values()]
        self._answered = [*self._output_views.values(), *self._state_views.values()]
        self._command = command
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, **options
        )
        self.reset()

    def reset(self) -> None:
        """Puts every state to real 0."""
        for spec in self.state_specs:
            self._state_views[spec.name][...] = spec.reset_value()

    def step(self, x: np.ndarray | Mapping[str, np.ndarray], raw: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Runs one time step; see `StepRuntime.step`.

        Raises:
            UserError: the process ended.
        """
        self._write(x, raw)
        try:
            self._process.stdin.write(b"".join(view.tobytes() for view in self._told))
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        for view in self._answered:
            answer = self._process.stdout.read(view.nbytes)
            if len(answer) < view.nbytes:
                raise self._ended()
            view[...] = np.frombuffer(answer, view.dtype).reshape(view.shape)
        return self._read(raw)

    def close(self) -> None:
        """Lets the process end, and waits for it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> "EmulatedStep":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ended(self) -> UserError:
        self._process.kill()
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines() or ["no message"]
        return UserError(f"{self._command[0]}: the emulated model ended with status {status} ({lines[-1]})")
