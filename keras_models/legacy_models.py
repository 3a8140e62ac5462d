"""Models of Keras 2 (`tf_keras`) as the same models of Keras 3: same names, same weights, same outputs."""

import copy
from typing import Any

import keras
import numpy as np

from keras_models.layer_calls import no_graph
from keras_models.supported_layers import REFUSED, UnsupportedLayer

# hard_sigmoid(x) of Keras 2 is clip(x / 5 + 1 / 2, 0, 1), that of Keras 3 clip(x / 6 + 1 / 2, 0, 1).
HARD_SIGMOID_RATIO = 1.2
# The gates of a layer, and which of them go through `recurrent_activation`.
GATES = {"LSTM": (4, (0, 1, 3)), "GRU": (3, (0, 1))}


def keras3_model(model: Any) -> keras.Model:
    """A Sequential or Functional model of Keras 2 as one of Keras 3; a model of Keras 3 is returned as it is.

    Raises:
        UnsupportedLayer: Keras 3 has no such layer, or means another function by the same name.
        ValueError: not a model, one that is not built, or one with Python code of its own.
    """
    if isinstance(model, keras.Model):
        return model
    if not _is_legacy(model):
        raise ValueError(f"{type(model).__name__}: expected a Keras model, Sequential or Functional")
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built: call it once or give it an Input")
    if not model._is_graph_network:
        raise ValueError(no_graph(model))
    import tf_keras

    config = _keras3_config(tf_keras.saving.serialize_keras_object(model))
    configs = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
    for layer in model.layers:
        _check_layer(layer, configs[layer.name])
    twin = keras.saving.deserialize_keras_object(config)
    for layer in model.layers:
        _copy_weights(layer, twin.get_layer(layer.name))
    return twin


def _is_legacy(model: Any) -> bool:
    return any((kind.__module__.split(".")[0], kind.__name__) == ("tf_keras", "Model") for kind in type(model).__mro__)


def _keras3_config(config: Any) -> Any:
    """The configuration of a Keras 2 object, and of all within it, in the words of Keras 3."""
    if isinstance(config, list | tuple):
        return [_keras3_config(item) for item in config]
    if not isinstance(config, dict):
        return config
    config = {key: _keras3_config(value) for key, value in config.items() if key != "shared_object_id"}
    kind, options = config.get("class_name"), config.get("config")
    if kind == "Policy":
        return options["name"]
    if kind == "Functional":
        config["module"] = "keras.src.models.functional"
    return {**config, "config": _keras3_options(kind, options)} if isinstance(options, dict) else config


def _keras3_options(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """A layer's options by their new names, without those that Keras 3 does not have."""
    options = {k: v for k, v in options.items() if k not in ("time_major", "input_length")}
    shape = options.pop("batch_input_shape", None)  # of Sequential's first layer, which has an InputLayer before it
    if kind == "InputLayer":
        options["batch_shape"] = shape
    if kind == "LeakyReLU":
        options["negative_slope"] = options.pop("alpha")
    if kind == "SpatialDropout1D":
        options = {name: options[name] for name in ("name", "rate", "dtype")}
    if kind == "BatchNormalization" and isinstance(options["axis"], list):
        (options["axis"],) = options["axis"]
    return options


def _check_layer(layer, config: dict[str, Any]) -> None:
    """Refuses a layer that Keras 3 does not have, or has as another function."""
    kind, options = type(layer).__name__, dict(config["config"])
    name = f"layer {layer.name!r} ({kind})"
    if getattr(layer, "time_major", False):
        raise UnsupportedLayer(f"{name} has time_major=True; use (batch, timesteps, features)")
    if kind in GATES:
        options.pop("recurrent_activation")
    if "hard_sigmoid" in keras.tree.flatten(options):
        raise UnsupportedLayer(
            f"{name} has the hard_sigmoid of Keras 2, which is another function in Keras 3; use sigmoid and train again"
        )
    try:
        keras.saving.deserialize_keras_object(copy.deepcopy(config))  # it takes wrapped layers out of the dict
    except (TypeError, ValueError) as error:
        text = " ".join(str(error).split("Exception encountered: ")[-1].split())[:200]
        reason = f"is another layer in Keras 3 ({text}); build it from layers of Keras 3"
        if type(layer).__module__.split(".")[0] != "tf_keras" or not hasattr(keras.layers, kind):
            reason = "is no layer of Keras 3; build it from layers of Keras 3"
        raise UnsupportedLayer(f"{name} {REFUSED.get(getattr(keras.layers, kind, None), reason)}") from error


def _copy_weights(legacy, layer: keras.layers.Layer) -> None:
    values = legacy.get_weights()
    if type(layer).__name__ in GATES and legacy.get_config()["recurrent_activation"] == "hard_sigmoid":
        values = [_with_steep_gates(value, *GATES[type(layer).__name__]) for value in values]
    layer.set_weights(values)
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()


def _with_steep_gates(weights: np.ndarray, gates: int, steep: tuple[int, ...]) -> np.ndarray:
    """Weights (..., gates * units) by which hard_sigmoid of Keras 3 gives what that of Keras 2 gave."""
    ratios = [HARD_SIGMOID_RATIO if gate in steep else 1.0 for gate in range(gates)]
    return weights * np.repeat(ratios, weights.shape[-1] // gates).astype(weights.dtype)
