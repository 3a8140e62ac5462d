"""Which Keras models have the form of a time step, and which are refused, by name and with the reason."""

import keras
import numpy as np

# What a layer must be like beyond its kind, for float32 and int8 alike: the step graph computes nothing else.
EXPECTED = {
    keras.layers.InputLayer: {},
    keras.layers.Dropout: {},
    keras.layers.Dense: {"activation": "linear"},
    keras.layers.GRU: {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "go_backwards": False,
        "stateful": False,
        "return_state": False,
    },
}


class UnsupportedLayer(ValueError):
    """A layer, or an option of it, has no form in the step graph. The message names the layer and the reason."""


def check_model(model: keras.Model) -> None:
    """Refuses a model that cannot be converted as it stands.

    Raises:
        UnsupportedLayer: a layer or the way it is connected has no form in the step graph.
        ValueError: the model is not built, or weights hold NaN or infinity.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise ValueError(f"model {model.name!r} is not built: call it once or give it a keras.Input")
    for layer in model.layers:
        check_layer(layer)
        if any(not np.isfinite(np.asarray(weight)).all() for weight in layer.weights):
            raise ValueError(f"layer {layer.name!r}: the weights hold NaN or infinity; train it again")
    _check_connections(model)


def check_layer(layer: keras.layers.Layer) -> None:
    """Refuses a layer of another kind or with another option than the step graph computes."""
    kind = next((kind for kind in EXPECTED if type(layer) is kind), None)
    if kind is None:
        supported = ", ".join(kind.__name__ for kind in EXPECTED)
        raise UnsupportedLayer(
            f"layer {layer.name!r} ({type(layer).__name__}) has no form as a time step; supported are {supported}"
        )
    config = layer.get_config()
    for option, value in EXPECTED[kind].items():
        if config[option] != value:
            raise UnsupportedLayer(
                f"layer {layer.name!r}: {option}={config[option]!r} has no form as a time step; expected {value!r}"
            )


def _check_connections(model: keras.Model) -> None:
    """Each layer has one input and is used once, in this model."""
    graph = getattr(model, "_functional", None) or model
    used = set()
    for node in (node for nodes in graph._nodes_by_depth.values() for node in nodes):
        layer = node.operation
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if layer.name in used:
            raise UnsupportedLayer(f"layer {layer.name!r} is used more than once; expected one layer for each use")
        if len(node.input_tensors) != 1:
            raise UnsupportedLayer(f"layer {layer.name!r} has more than one input (an initial_state?); expected one")
        used.add(layer.name)
