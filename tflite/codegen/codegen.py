"""`edgernn codegen model.tflite`: a file from anywhere to <name>.h and <name>.c, or one line and nothing written."""

from collections.abc import Collection
from pathlib import Path

from pipeline.atomic_write import atomic_write
from tflite.foreign_model import foreign_model


def codegen(path: Path, out: Path, name: str | None = None, readings: Collection[str] = ()) -> Path:
    """Writes out/<name>.h, then out/<name>.c; returns the path of the latter.

    Args:
        path: a `.tflite` of one time step, or the folder of an artefact.
        name: of the model in C; by default that of the file. What a C identifier cannot hold becomes "_".
        readings: inputs that are no states, though an output of the same form stands at their place.

    Raises:
        UserError: the file is missing or damaged, TensorFlow Lite Micro refuses the model, an operator (named, with its
            index) has no C, a state has two names, or `out` cannot be written.
    """
    model = foreign_model(path)
    files = model.given_to(checked_files, name or model.stem, tuple(readings))
    for file, text in files.items():
        with atomic_write(out / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return out / next(file for file in files if file.endswith(".c"))


def checked_files(content: bytes, name: str, readings: Collection[str]) -> dict[str, str]:
    """Both texts by the name of their file; for a child process, which alone imports what writes them."""
    from tflite.codegen.checked_source import checked_source

    return checked_source(content, name, readings).files
