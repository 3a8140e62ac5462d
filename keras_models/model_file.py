"""A model out of a file that may hold anything: `.keras` or `.h5`, of Keras 3 or 2, or no model at all."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_models.legacy_models import keras3_model
from keras_models.supported_layers import REFUSED, UnsupportedLayer
from pipeline.user_error import UserError

MODELS = ("Sequential", "Functional", "Model")
# Where a layer's configuration holds those of others.
INNER = ("layers", "layer", "backward_layer", "cell", "cells")


def read_keras_model(path: Path, made_by: str = "model.save") -> keras.Model:
    """The Keras 3 model in a file, whatever Keras saved it. Code in the file is not run.

    Args:
        path: `.keras` or `.h5`; the content decides, not the name.
        made_by: what makes the file, for the error message.

    Raises:
        UserError: the file is missing, damaged or holds no whole model, or a layer whose class is not known.
    """
    from keras_models import qat_model  # noqa: F401  registers the quantization-aware layers with Keras
    from keras_models.translation import translator  # noqa: F401

    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder (a SavedModel?); expected a .keras or .h5 file, made with `{made_by}`")
    if not path.is_file():
        raise UserError(f"{path}: not found; make it with `{made_by}`")
    try:
        return _load(path)
    except UnsupportedLayer as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # Keras raises many kinds, down to those of zip and h5py
        raise UserError(
            f"{path}: not a Keras model that can be loaded ({_first_cause(error)}); make it again with `{made_by}`"
        ) from error


def _first_cause(error: Exception) -> str:
    """The innermost of the errors that Keras wraps, its first sentence; without TensorFlow's name of the operator."""
    text = str(error).split("Exception encountered: ")[-1].split("}} ")[-1]
    return f"{type(error).__name__}: {text.split('. ')[0][:200]}"


def _load(path: Path) -> keras.Model:
    suffix = ".keras" if zipfile.is_zipfile(path) else ".h5"
    config, version = _config_of_zip(path) if suffix == ".keras" else _config_of_hdf5(path)
    _check_config(config)
    with _named(path, suffix) as file:
        if int(version.split(".")[0]) > 2:
            return keras.models.load_model(file, compile=False)
        import tf_keras  # takes a second

        return keras3_model(tf_keras.models.load_model(file, compile=False))


def _config_of_zip(path: Path) -> tuple[dict[str, Any], str]:
    """The configuration of the model, and the version of the Keras that saved it."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json")), json.loads(archive.read("metadata.json"))["keras_version"]


def _config_of_hdf5(path: Path) -> tuple[dict[str, Any], str]:
    if not h5py.is_hdf5(path):
        raise ValueError("neither a zip nor an HDF5 file")
    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            raise ValueError("weights without a model; save the model whole")
        version = file.attrs.get("keras_version", b"1")
        return json.loads(file.attrs["model_config"]), version.decode() if isinstance(version, bytes) else version


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """The file by a name that Keras takes for what it is: TensorFlow 2.11 wrote HDF5 into `.keras`."""
    if path.suffix == suffix:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copyfile(path, Path(folder) / f"model{suffix}"))


def _check_config(config: dict[str, Any]) -> None:
    """Refuses code in the file, before anything of it is loaded, and classes nobody knows, by the layer's name."""
    if not _is_known(config):
        raise UnsupportedLayer(f"model class {config['class_name']!r} is not known here; save a Sequential or Model")
    for layer in _layer_configs(config):
        name = f"layer {layer['config'].get('name')!r} ({layer['class_name']})"
        if layer["class_name"] == "Lambda":
            raise UnsupportedLayer(f"{name} {REFUSED[keras.layers.Lambda]}")
        if not _is_known(layer):
            raise UnsupportedLayer(f"{name} is a custom layer, not known here; build it from Keras layers")


def _layer_configs(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The configurations of all layers within one, at any depth."""
    for key in INNER:
        inner = config["config"].get(key, [])
        for layer in inner if isinstance(inner, list) else [inner]:
            if isinstance(layer, dict) and isinstance(layer.get("config"), dict):
                yield layer
                yield from _layer_configs(layer)


def _is_known(config: dict[str, Any]) -> bool:
    """Whether Keras itself or this package defines the class."""
    kind = config["class_name"]
    if keras.saving.get_registered_object(config.get("registered_name") or kind) is not None:
        return True
    if config.get("module") is None:
        return kind in MODELS or hasattr(keras.layers, kind)
    return config["module"].split(".")[0] in ("keras", "tf_keras")
