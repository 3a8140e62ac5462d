"""A model of step layers to one time step of a step graph."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_models.fused_lstm import cell_affine
from keras_models.layer_calls import layer_of, sources_of
from keras_models.step_layers import PASSING, StepDense, StepLayer
from keras_models.step_rnn import StepRNN
from tflite.graph_operators import GraphOperators, dequantize, reshape
from tflite.lower_fused_lstm import as_vector, lower_fused_lstm
from tflite.real_operators import real_layer
from tflite.step_graph import StepGraphBuilder


def lower_model(
    builder: StepGraphBuilder,
    model: keras.Model,
    sources: Mapping[str, str],
    *,
    state: str = "external",
    weights: str = "float32",
) -> list[str]:
    """Adds one time step of `model` to the graph.

    Args:
        builder: the graph; its states h0, c0, h1, ... are added in the order of the recurrent layers.
        model: of `step_model`, calibrated unless it is float32.
        sources: name of a float32 (int32 for an embedding) graph tensor (1, features) for each input of the model.
        state: "internal": an int8 LSTM becomes one fused operator that keeps its own.
        weights: how a float32 model stores its matrices: "float32", "float16" or "int8".

    Returns:
        The graph tensor of each model output.

    Raises:
        ValueError: weights hold NaN, or a range was never observed.
    """
    lowered = {}

    def value(tensor) -> str:
        layer = layer_of(tensor)
        if layer.name not in lowered:
            inputs = [value(source) for source in sources_of(layer)]
            lowered[layer.name] = lower(layer, inputs) if inputs else sources[layer.name]
        return lowered[layer.name]

    def lower(layer, inputs: list[str]) -> str:
        if state == "internal" and isinstance(layer, StepRNN) and layer.has_fused_kernel:
            return _lower_fused_lstm(builder, layer, inputs[0])
        if not isinstance(layer, StepDense) or layer.bias_row or not layer.use_bias:
            inputs = [_vector(builder, source) for source in inputs]
        if isinstance(layer, StepLayer):
            return layer.lower(GraphOperators(builder, layer, weights), *inputs)
        if isinstance(layer, PASSING):
            return _reshaped(builder, layer, inputs[0])
        return real_layer(builder, layer, dequantize(builder, inputs[0]))

    return [_vector(builder, value(output)) for output in model.outputs]


def _lower_fused_lstm(builder: StepGraphBuilder, layer: StepRNN, source: str) -> str:
    """With the ranges of h and c the layer learned, whichever operators it learned them with."""
    weights = tuple(None if part is None else np.asarray(part) for part in layer.gate_weights)
    h, c = (quantizer.affine for quantizer in layer.state_quantizers)
    return lower_fused_lstm(builder, layer.name, source, weights, h, cell_affine(*c.range)).output


def _vector(builder: StepGraphBuilder, source: str) -> str:
    """The sequence of one step that a fused LSTM puts out, (1, 1, width), as (1, width); others as they are."""
    fused = any(op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM" and source in op.outputs for op in builder.ops)
    return as_vector(builder, source) if fused else source


def _reshaped(builder: StepGraphBuilder, layer: keras.layers.Layer, source: str) -> str:
    """The source in the layer's output shape, where that still has an element for each of the step."""
    shape = (1, *layer.output.shape[1:])
    if None in shape or shape == builder.shape(source) or np.prod(shape) != np.prod(builder.shape(source)):
        return source
    return reshape(builder, source, shape, layer.name)
