"""The C of a model from anywhere, which TensorFlow Lite Micro runs and whose states are named alike on both sides."""

from collections.abc import Collection

from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource, generate
from tflite.runtimes import step_once
from tflite.runtimes.step_signature import StepSignature, read_step_signature


def checked_source(content: bytes, name: str, readings: Collection[str] = ()) -> CSource:
    """As `generate`; for a child process.

    Args:
        readings: inputs that are no states, though an output of the same form stands at their place.

    Raises:
        UserError: there is no C, a state has two names, or TensorFlow Lite Micro refuses the model.
    """
    try:
        source = generate(content, name)
    except ValueError as error:
        raise UserError(str(error)) from error
    _check_names(read_step_signature(content), readings)
    step_once(content, "tflm")
    return source


def _check_names(signature: StepSignature, readings: Collection[str]) -> None:
    known = [port.spec.name for port in signature.inputs]
    for reading in readings:
        if reading not in known:
            raise UserError(f"--reading {reading}: the model has no such input; it reads {', '.join(known)}")
    for before, after in signature.unnamed_states:
        if before not in readings:
            raise UserError(
                f"input {before} and output {after} look like a state, but have two names, so nobody would carry it "
                f"on; name both alike in the signature, or say `--reading {before}` if it is none"
            )
