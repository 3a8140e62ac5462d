"""The folder build/<scenario>/model: what training leaves there, and what must be there before a stage starts."""

import os
import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from keras_models.model_file import read_keras_model
from pipeline.atomic_write import atomic_write


def start_clean(paths: list[Path]) -> None:
    """Removes what an earlier or a killed run of the stage left."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def seed_everything(seed: int) -> None:
    """Same seed, same weights: Python, numpy, TensorFlow, and TensorFlow's kernels."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file whole or not at all."""
    with atomic_write(path) as temporary, tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        model.save(Path(folder) / path.name)
        os.replace(Path(folder) / path.name, temporary)


def load_model(path: Path, made_by: str) -> keras.Model:
    """A saved model; UserError naming the command that makes it where it is missing or damaged."""
    return read_keras_model(path, made_by)
