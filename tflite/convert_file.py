"""`edgernn convert model.keras`: a Keras file to an artefact, every refusal one line, whatever the file holds."""

from pathlib import Path

import numpy as np

from pipeline.user_error import UserError
from tflite.artifact import Artifact
from tflite.child_process import ChildFailure, run_in_child

# A conversion takes seconds and less than a gigabyte; a file that needs more than these would stop the machine.
SECONDS, MEGABYTES = 600.0, 8192
REMEDY = "check the file with keras.models.load_model, and report it if it is sound"


def convert_file(
    path: Path,
    activations: str | None,
    representative: Path | None,
    out: Path,
    *,
    seconds: float = SECONDS,
    megabytes: int = MEGABYTES,
    **options: str | None,
) -> Path:
    """Converts a `.keras` or `.h5` file in a child process; returns the path of the `.tflite`.

    Args:
        representative: `.npy` with an array (streams, timesteps, features), for a plain model in integers.
        seconds: time limit of the child process.
        megabytes: memory limit of the child process.
        options: `state`, `state_dtype`, `weights` and `name` of `tflite.convert`.

    Raises:
        UserError: a file is missing or damaged, the model cannot be converted (with the layer and the reason), or the
            conversion died or was stopped.
    """
    try:
        artifact = run_in_child(
            _artifact, path, activations, representative, options, seconds=seconds, megabytes=megabytes, remedy=REMEDY
        )
    except ChildFailure as failure:
        raise UserError(f"{path}: {failure}") from failure
    return artifact.save(out)


def _artifact(
    path: Path, activations: str | None, representative: Path | None, options: dict[str, str | None]
) -> Artifact:
    """The child's part: everything that touches the files."""
    from tflite.conversion import convert

    streams = None if representative is None else read_streams(representative)
    try:
        return convert(path, activations=activations, representative=streams, **options)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def read_streams(path: Path) -> np.ndarray:
    try:
        streams = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); expected a .npy array (streams, timesteps, features)"
        ) from error
    if streams.ndim != 3:
        raise UserError(f"{path}: shape {streams.shape}, expected an array (streams, timesteps, features)")
    return streams
