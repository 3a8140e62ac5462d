"""`edgernn codegen model.tflite`: a file from anywhere to <name>.h and <name>.c, or one line and nothing written."""

from pathlib import Path

from pipeline.atomic_write import atomic_write
from pipeline.user_error import UserError
from tflite.artifact import read_artifact
from tflite.child_process import ChildFailure, run_in_child
from tflite.codegen.c_source import CSource, generate
from tflite.runtimes import step_once
from tflite.runtimes.model_bytes import read_model

SECONDS, MEGABYTES = 60.0, 4096


def codegen(path: Path, out: Path, name: str | None = None) -> Path:
    """Writes out/<name>.h, then out/<name>.c; returns the path of the latter.

    Args:
        path: a `.tflite` of one time step, or the folder of an artefact.
        name: of the model in C; by default that of the file. What a C identifier cannot hold becomes "_".

    Raises:
        UserError: the file is missing or damaged, TensorFlow Lite Micro refuses the model, an operator (named, with its
            index) has no C, or `out` cannot be written.
    """
    if path.is_dir():
        artifact = read_artifact(path)
        content, label, stem = artifact.tflite, str(path), Path(artifact.manifest["tflite"]).stem
    else:
        (content, label), stem = read_model(path), path.stem
    try:
        source = run_in_child(checked_source, content, name or stem, seconds=SECONDS, megabytes=MEGABYTES)
    except UserError as error:
        raise UserError(f"{label}: {str(error).removeprefix('model: ')}") from error
    except ChildFailure as failure:
        raise UserError(f"{label}: damaged or not made for TensorFlow Lite Micro; convert the model again") from failure
    for suffix, text in (("h", source.header), ("c", source.source)):
        with atomic_write(out / f"{source.name}.{suffix}") as temporary:
            temporary.write_text(text, encoding="utf-8")
    return out / f"{source.name}.c"


def checked_source(content: bytes, name: str) -> CSource:
    """The C of a model that TensorFlow Lite Micro runs; for a child process."""
    step_once(content, "tflm")
    try:
        return generate(content, name)
    except ValueError as error:
        raise UserError(str(error)) from error
