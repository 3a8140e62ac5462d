"""`edgernn convert model.keras`: a Keras file to an artefact, every refusal one line."""

from pathlib import Path

import numpy as np

from pipeline.user_error import UserError


def convert_file(path: Path, activations: str, representative: Path | None, out: Path) -> Path:
    """Converts a `.keras` file; returns the path of the `.tflite`.

    Args:
        representative: `.npy` with an array (streams, timesteps, features), for a plain model in int8.

    Raises:
        UserError: a file is missing or damaged, or the model cannot be converted, with the layer and the reason.
    """
    from tflite.conversion import convert

    streams = None if representative is None else _read_streams(representative)
    try:
        return convert(
            path, activations=activations, representative=streams, name=f"{path.stem}_{activations}_external"
        ).save(out)
    except ValueError as error:
        raise UserError(str(error) if isinstance(error, UserError) else f"{path}: {error}") from error


def _read_streams(path: Path) -> np.ndarray:
    try:
        streams = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); expected a .npy array (streams, timesteps, features)"
        ) from error
    if streams.ndim != 3:
        raise UserError(f"{path}: shape {streams.shape}, expected an array (streams, timesteps, features)")
    return streams
