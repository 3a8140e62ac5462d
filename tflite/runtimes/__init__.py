"""Runtimes that step a .tflite: LiteRT, TFLite Micro and generated C behind one contract (`StepRuntime`)."""

import os
from typing import Any

from pipeline.user_error import UserError
from tflite.child_process import ChildFailure, run_in_child
from tflite.runtimes.model_bytes import read_model
from tflite.runtimes.step_runtime import StepRuntime, TensorSpec

RUNTIMES = ("litert", "tflm", "c")
PROBE_SECONDS = 60.0
PROBE_MEGABYTES = 4096

__all__ = ["RUNTIMES", "StepRuntime", "TensorSpec", "load_model", "probe"]


def load_model(model: bytes | str | os.PathLike, runtime: str = "litert", **options: Any) -> StepRuntime:
    """Loads a .tflite (a path or its bytes) that is known to be sound; `probe` first what is not.

    Args:
        model: path or bytes. One step is its signature `step`, or the only one it has, or its first subgraph.
        runtime: "litert" (option `kernels`: "default", "builtin", "reference"), "tflm" (option
            `arena_bytes`) or "c" (compiled by the system's C compiler).

    Raises:
        UserError: unknown runtime, no .tflite, no usable signature, or the runtime refuses the model.
    """
    if runtime not in RUNTIMES:
        raise UserError(f"runtime: expected one of {', '.join(RUNTIMES)}, got {runtime!r}")
    content, name = read_model(model)
    try:
        return _runtime_class(runtime)(content, **options)
    except UserError as error:
        raise UserError(f"{name}: {str(error).removeprefix('model: ')}") from error
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name}: {runtime} refuses the model ({error}); convert it again") from error


def probe(model: bytes | str | os.PathLike, runtime: str = "litert", **options: Any) -> None:
    """Opens the model and runs one step of it in a child process, where a damaged one may crash, hang or
    eat memory.

    Raises:
        UserError: one line naming the file and what is wrong with it.
    """
    content, name = read_model(model)
    try:
        run_in_child(step_once, content, runtime, seconds=PROBE_SECONDS, megabytes=PROBE_MEGABYTES, **options)
    except UserError as error:
        raise UserError(f"{name}: {str(error).removeprefix('model: ')}") from error
    except ChildFailure as failure:
        cause = getattr(failure, "cause", None) or getattr(failure, "kind", None) or "time limit"
        raise UserError(
            f"{name}: damaged or not made for {runtime} (opening it ended with {cause}); convert the model again"
        ) from failure


def step_once(content: bytes, runtime: str, **options: Any) -> None:
    """Loads `content` and steps it once on zeros: the body of `probe`."""
    loaded = load_model(content, runtime, **options)
    loaded.step({spec.name: spec.reset_value() for spec in loaded.inputs}, raw=True)


def _runtime_class(runtime: str) -> type:
    """Imported late: a host without the one wheel can use the other."""
    if runtime == "litert":
        from tflite.runtimes.litert import LiteRTRuntime

        return LiteRTRuntime
    if runtime == "c":
        from tflite.runtimes.c_runtime import CRuntime

        return CRuntime
    from tflite.runtimes.tflm import TflmRuntime

    return TflmRuntime
