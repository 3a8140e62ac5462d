"""A Sequential or Functional model as the calls of its layers, sources first, for checks and conversions to walk."""

from typing import Any, NamedTuple

import keras
from keras import layers


class Call(NamedTuple):
    """One place of a layer in a model.

    `layer`: usually a layer; an operation of Keras where the user wrote `x + y`. `sources`, `output`: symbolic tensors.
    `options`: the keywords it is called with.
    """

    layer: Any
    sources: list
    output: Any
    options: dict[str, Any]


def layer_calls(model: keras.Model) -> list[Call]:
    """The calls that make the outputs of a model, each behind its sources.

    Masks are left out, and with them what only computes a mask: a stream has no padding.

    Raises:
        ValueError: not a Keras 3 model, or one that is empty, not built, or shows no graph of layers.
    """
    graph = layer_graph(model)
    needed, calls = {id(tensor) for tensor in graph.outputs}, []
    for depth in sorted(graph._nodes_by_depth):
        for node in graph._nodes_by_depth[depth]:
            if any(id(tensor) in needed for tensor in node.output_tensors):
                calls.append(_call(node))
                needed |= {id(tensor) for tensor in calls[-1].sources}
    return calls[::-1]


def sources_of(layer: keras.layers.Layer) -> list:
    """The symbolic tensors that a layer which is called once is given, without masks."""
    return _call(layer._inbound_nodes[0]).sources


def layer_of(tensor) -> keras.layers.Layer:
    """The layer whose output the symbolic tensor is."""
    return tensor._keras_history.operation


def _call(node) -> Call:
    options = {name: value for name, value in node.arguments.kwargs.items() if name != "mask"}
    arguments = keras.tree.flatten([node.arguments.args, options])
    sources = [value for value in arguments if isinstance(value, keras.KerasTensor)]
    return Call(node.operation, sources, node.output_tensors[0], options)


def no_graph(model: Any) -> str:
    """The sentence about a model, of Keras 2 or 3, whose layers are called by Python code of the user's."""
    return (
        f"model {model.name!r} ({type(model).__name__}) has a call() of its own, which shows no graph of layers; "
        "write it as Sequential([...]) or Model(inputs, outputs)"
    )


def layer_graph(model) -> keras.Model:
    """The Functional model behind a Functional or Sequential one; ValueError as `layer_calls`."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"{type(model).__name__}: expected a Keras 3 model, keras.Sequential or keras.Model")
    if any("call" in vars(kind) and kind.__module__.split(".")[0] != "keras" for kind in type(model).__mro__):
        raise ValueError(no_graph(model))
    if all(isinstance(layer, layers.InputLayer) for layer in model.layers):
        raise ValueError(f"model {model.name!r} is empty; give it at least one layer")
    graph = model._functional if isinstance(model, keras.Sequential) else model
    if graph is None:
        raise ValueError(f"model {model.name!r} is not built: call it once or give it a keras.Input")
    return graph
