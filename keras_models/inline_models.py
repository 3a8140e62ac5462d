"""Models inside a model, put into it: one graph of layers, as checks and conversions walk it."""

import keras
from keras import layers

from keras_models.layer_calls import layer_calls, layer_graph
from keras_models.supported_layers import UnsupportedLayer, check_call


def inlined(model: keras.Model) -> keras.Model:
    """The model itself where no model is inside; else a copy of it where copies of their layers stand, same weights.

    A layer keeps its name; where another has that, the name of the inner model is put before. A model used twice
    stands there twice.

    Raises:
        UnsupportedLayer: a layer has no form as a time step, or a model inside has several outputs.
        ValueError: the model is empty or not built, or one inside shows no graph of layers.
    """
    if not any(isinstance(call.layer, keras.Model) for call in layer_calls(model)):
        return model
    graph = layer_graph(model)
    outputs = _Copy({layer.name for layer in model.layers}).run(model, graph.inputs)
    made = dict(zip(map(id, graph.outputs), outputs, strict=True))
    output = keras.tree.map_structure(lambda tensor: made[id(tensor)], graph.output)
    return keras.Model(graph.input, output, name=model.name)


def copied(layer: layers.Layer, sources: list, name: str | None = None):
    """The output of a copy of `layer` with the same weights, called with the tensors `sources`."""
    copy = type(layer).from_config(layer.get_config() | {"name": name or layer.name})
    output = copy(sources[0] if len(sources) == 1 else sources)
    if isinstance(layer, layers.Normalization):  # it computes more from what it loads
        weights = {}
        layer.save_own_variables(weights)
        copy.load_own_variables(weights)
    else:
        copy.set_weights(layer.get_weights())
    return output


class _Copy:
    """Copies the layers of a model one by one; `names` are taken."""

    def __init__(self, names: set[str]):
        self.names = set(names)

    def run(self, model: keras.Model, sources: list, inside: str = "") -> list:
        """The outputs of the layers of `model` for the tensors `sources`; `inside`: its name in the outer model."""
        graph = layer_graph(model)
        values = dict(zip(map(id, graph.inputs), sources, strict=True))
        for call in layer_calls(model):
            if not isinstance(call.layer, layers.InputLayer):
                values[id(call.output)] = self._call(call, [values[id(source)] for source in call.sources], inside)
        return [values[id(tensor)] for tensor in graph.outputs]

    def _call(self, call, sources: list, inside: str):
        if isinstance(call.layer, keras.Model):
            outputs = self.run(call.layer, sources, call.layer.name)
            if len(outputs) > 1:
                raise UnsupportedLayer(
                    f"layer {call.layer.name!r} ({type(call.layer).__name__}) is a model with several outputs inside "
                    "the model; put its layers into the outer model one by one"
                )
            return outputs[0]
        check_call(call)
        return copied(call.layer, sources, self._name(call.layer.name, inside))

    def _name(self, name: str, inside: str) -> str:
        """Layers of the outer model have their names already."""
        if not inside:
            return name
        while name in self.names:
            name = f"{inside}_{name}"
        self.names.add(name)
        return name
