"""`edgernn bench model.keras`: a user's own Keras model, converted to int8, against its rivals."""

from pathlib import Path

import numpy as np

from keras_models.model_folder import load_model
from pipeline.atomic_write import write_json
from pipeline.user_error import UserError
from tflite.bench_runtimes import bench_runtimes, print_race
from tflite.conversion import convert
from tflite.convert_file import read_streams
from tflite.window_rivals import WINDOW


def bench_file(path: Path, representative: Path, build_dir: Path) -> Path:
    """Races a plain Keras model of one recurrent layer, calibrated; writes build/bench/<file>.json.

    Args:
        representative: `.npy`, (streams, timesteps, features): it is calibrated by them and raced over the first.

    Raises:
        UserError: a file is missing or damaged, the streams are shorter than the window of the rivals, the model cannot
            be converted, or there is no rival of its kind.
    """
    model, streams = load_model(path, made_by="model.save"), read_streams(representative)
    if streams.shape[1] < WINDOW:
        raise UserError(
            f"{representative}: {streams.shape[1]} timesteps, expected {WINDOW} at least: rivals read as many"
        )
    try:
        shipped = convert(model, activations="int8", representative=streams).tflite
        xs = np.ascontiguousarray(streams[0], np.float32)
        entries = bench_runtimes(path.stem, "int8", shipped, xs, model, xs)
    except ValueError as error:  # a layer that cannot stream, NaN, two recurrent layers, ...
        raise UserError(f"{path}: {error}") from error
    print_race(path.stem, entries)
    result = Path(build_dir) / "bench" / f"{path.stem}.json"
    write_json(result, entries)
    return result
