"""`edgernn codegen model.tflite`: a file from anywhere to <name>.h and <name>.c, or one line and nothing written."""

from pathlib import Path

from pipeline.atomic_write import atomic_write
from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource, generate
from tflite.foreign_model import foreign_model
from tflite.runtimes import step_once
from tflite.runtimes.step_signature import read_step_signature, state_warnings


def codegen(path: Path, out: Path, name: str | None = None) -> Path:
    """Writes out/<name>.h, then out/<name>.c; returns the path of the latter. Warns of states with two names.

    Args:
        path: a `.tflite` of one time step, or the folder of an artefact.
        name: of the model in C; by default that of the file. What a C identifier cannot hold becomes "_".

    Raises:
        UserError: the file is missing or damaged, TensorFlow Lite Micro refuses the model, an operator (named, with its
            index) has no C, or `out` cannot be written.
    """
    model = foreign_model(path)
    source = model.given_to(checked_source, name or model.stem)
    for file, text in source.files.items():
        with atomic_write(out / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for warning in state_warnings(read_step_signature(model.content)):
        print(f"warning: {warning}")
    return out / f"{source.name}.c"


def checked_source(content: bytes, name: str) -> CSource:
    """The C of a model that TensorFlow Lite Micro runs; for a child process."""
    try:
        source = generate(content, name)
    except ValueError as error:
        raise UserError(str(error)) from error
    step_once(content, "tflm")
    return source
