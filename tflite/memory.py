"""Memory a step model needs on a microcontroller: TFLite Micro's arena."""

import re
import tempfile

from pipeline.native_stderr import stderr_into
from tflite.child_process import run_in_child

_LINE = re.compile(r"Arena allocation (total|head|tail) (\d+) bytes")
SECONDS = 60.0


def arena_bytes(model: bytes) -> dict[str, int]:
    """TFLite Micro's arena for `model` (the bytes of a .tflite), in bytes.

    `head` holds activations (reused from op to op) and states that come from outside, `tail` what stays (tensor
    structs, quantization data, states kept inside), `total` is their sum. Measured on this 64-bit host: pointers are
    twice as wide as on a 32-bit microcontroller, so it is an upper bound there (3.7 kB on a Cortex-M4 for 5.1 kB here).

    Returns:
        {"total": ..., "head": ..., "tail": ...}

    Raises:
        UserError: the model has no usable signature.
        ChildFailure: TFLite Micro crashed on it or lacks an operator.
    """
    return run_in_child(
        measure_arena,
        model,
        seconds=SECONDS,
        remedy="check that TFLite Micro has every operator of the model",
    )


def measure_arena(model: bytes) -> dict[str, int]:
    """Runs one step and reads the recording allocator's report; only for a child process.

    The report goes to file descriptor 2 and nowhere else, so the descriptor is turned to a file.
    """
    from tflite.runtimes.tflm import TflmRuntime

    runtime = TflmRuntime(model)
    runtime.step({spec.name: spec.reset_value() for spec in runtime.inputs}, raw=True)
    return parse_allocations(_stderr_of(runtime.print_allocations))


def measure_any_arena(model: bytes, arena: int) -> dict[str, int]:
    """The same of any model, after one call with zeros, in an arena of so many bytes; only for a child process."""
    from tflite_micro.python.tflite_micro import runtime as tflm

    interpreter = tflm.Interpreter.from_bytes(model, arena_size=arena)
    interpreter.invoke()
    return parse_allocations(_stderr_of(interpreter.print_allocations))


def parse_allocations(report: str) -> dict[str, int]:
    """{"total", "head", "tail"} out of TFLite Micro's allocation report; ValueError where one is missing."""
    found = {name: int(size) for name, size in _LINE.findall(report)}
    missing = {"total", "head", "tail"} - set(found)
    if missing:
        raise ValueError(f"allocation report without {', '.join(sorted(missing))}: {report[:200]!r}")
    return found


def _stderr_of(function) -> str:
    """Text that `function` writes to file descriptor 2."""
    with tempfile.TemporaryFile() as captured:
        with stderr_into(captured):
            function()
        captured.seek(0)
        return captured.read().decode(errors="replace")
