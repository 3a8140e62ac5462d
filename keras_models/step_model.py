"""Any supported Keras model to the same model of step layers (`step_layers`), with the same weights."""

from collections.abc import Callable

import keras
from keras import layers

from keras_models.inline_models import copied, inlined
from keras_models.layer_calls import layer_calls, layer_graph, layer_of
from keras_models.lstm import LstmProgram
from keras_models.numeric_form import NumericForm
from keras_models.step_fused_lstm import StepFusedLSTM
from keras_models.step_layers import (
    StepActivation,
    StepAdd,
    StepConcatenate,
    StepConv1D,
    StepDense,
    StepEmbedding,
    StepInput,
    StepLayer,
    producer,
)
from keras_models.step_rnn import StepRNN
from keras_models.supported_layers import activation_name, check_model

# With these a layer stays in integers; the others compute on real numbers, as a layer of their own.
INTEGER_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh")


def step_model(
    model: keras.Model,
    form: NumericForm,
    model_class: type = keras.Model,
    *,
    state: str = "external",
    stateful: bool = False,
) -> keras.Model:
    """The same graph of step layers, its ranges not yet calibrated.

    Args:
        model: Sequential or Functional, of layers and of such models.
        model_class: of the result.
        state: "internal": an int8 LSTM computes as the fused kernel does.
        stateful: stateful layers stay so, and batches as large as they were; else every sequence starts from zero.

    Raises:
        UnsupportedLayer: a layer or an option has no form as a time step.
        ValueError: the model is empty or not built, or its weights hold NaN.
    """
    model = inlined(model)
    check_model(model)
    graph = layer_graph(model)
    builder = _StepModelBuilder(form, state, stateful, {layer.name for layer in model.layers})
    calls = layer_calls(model)
    tokens = {id(source) for call in calls if isinstance(call.layer, layers.Embedding) for source in call.sources}
    values = {id(tensor): builder.input(tensor, id(tensor) in tokens) for tensor in graph.inputs}
    for call in calls:
        if not isinstance(call.layer, layers.InputLayer):
            values[id(call.output)] = builder.layer(call.layer, [values[id(source)] for source in call.sources])
    ends = [keras.tree.map_structure(lambda tensor: values[id(tensor)], side) for side in (graph.input, graph.output)]
    return model_class(*ends, name=model.name)


class _StepModelBuilder:
    """Builds step layers one by one; remembers what was quantized already."""

    def __init__(self, form: NumericForm, state: str, stateful: bool, names: set[str]):
        self.form, self.state, self.stateful = form, state, stateful
        self._quantized, self._names = {}, names

    def input(self, tensor, is_tokens: bool):
        batch, name = tensor.shape[0] if self.stateful else None, layer_of(tensor).name
        dtype = "int32" if is_tokens else tensor.dtype  # Keras takes floats for tokens too
        return keras.Input(batch_shape=(batch, *tensor.shape[1:]), dtype=dtype, name=name)

    def layer(self, layer: layers.Layer, sources: list):
        """The output of the step layers that stand for `layer`."""
        return next(build for kind, build in BUILDERS.items() if isinstance(layer, kind))(self, layer, sources)

    def quantized(self, tensor):
        """The tensor as a step layer stores it: real numbers are quantized once for all their readers."""
        if self.form.is_float or isinstance(producer(tensor), StepLayer):
            return tensor
        if id(tensor) not in self._quantized:
            name = self._new_name(f"quantize_{tensor._keras_history.operation.name}")
            self._quantized[id(tensor)] = StepInput(self.form, name=name)(tensor)
        return self._quantized[id(tensor)]

    def copy(self, layer, sources):
        """The same layer, computing on real numbers."""
        return copied(layer, sources)

    def dense(self, layer, sources):
        dense = layer.layer if isinstance(layer, layers.TimeDistributed) else layer
        kind, name, outside = self._activation(dense, layer.name)
        source = self.quantized(sources[0])
        # FULLY_CONNECTED reads the sequence of one step a fused LSTM puts out as it is: a smaller model.
        bias_row = not isinstance(producer(source), StepFusedLSTM)
        step = StepDense(self.form, dense.units, kind, dense.use_bias, bias_row, name=name)
        return outside(_with_weights(step, source, dense))

    def conv1d(self, layer, sources):
        kind, name, outside = self._activation(layer, layer.name)
        (size,), (dilation,) = layer.kernel_size, layer.dilation_rate
        step = StepConv1D(self.form, layer.filters, size, dilation, kind, layer.use_bias, name=name)
        return outside(_with_weights(step, self.quantized(sources[0]), layer))

    def activation(self, layer, sources):
        if isinstance(layer, layers.ReLU):
            kind = "relu" if layer.max_value is None else "relu6"
        else:
            kind = activation_name(layer.activation)
        if kind not in INTEGER_ACTIVATIONS:
            return self.copy(layer, sources)
        return StepActivation(self.form, kind, name=layer.name)(self.quantized(sources[0]))

    def embedding(self, layer, sources):
        step = StepEmbedding(self.form, layer.input_dim, layer.output_dim, layer.mask_zero, name=layer.name)
        return _with_weights(step, sources[0], layer)

    def add(self, layer, sources):
        return StepAdd(self.form, name=layer.name)([self.quantized(source) for source in sources])

    def concatenate(self, layer, sources):
        return StepConcatenate(self.form, name=layer.name)([self.quantized(source) for source in sources])

    def rnn(self, layer, sources):
        cells = getattr(layer.cell, "cells", [layer.cell])
        values = sources[0]
        for index, cell in enumerate(cells):
            last = index == len(cells) - 1
            kind, options = CELLS[type(cell)], _options(cell)
            step = self._rnn_class(kind, options)(
                self.form,
                kind,
                options,
                use_bias=cell.use_bias,
                return_sequences=layer.return_sequences or not last,
                stateful=layer.stateful and self.stateful,
                dropout=cell.dropout,
                recurrent_dropout=cell.recurrent_dropout,
                zero_output_for_mask=layer.zero_output_for_mask,
                seed=cell.seed,
                name=layer.name if last else self._new_name(f"{layer.name}_{index}"),
            )
            values = _with_weights(step, self.quantized(values), cell)
        return values

    def _activation(self, layer, name: str) -> tuple[str, str, Callable]:
        """The activation inside the step layer, its name, and what comes after it on real numbers under `name`."""
        kind = activation_name(layer.activation)
        if kind in INTEGER_ACTIVATIONS:
            return kind, name, lambda values: values
        return "linear", self._new_name(f"{name}_sum"), layers.Activation(kind, name=name)

    def _new_name(self, wanted: str) -> str:
        """The name, lengthened where the model has a layer of that name."""
        while wanted in self._names:
            wanted += "_"
        self._names.add(wanted)
        return wanted

    def _rnn_class(self, kind: str, options: dict) -> type:
        standard = kind == "lstm" and LstmProgram(**options) == LstmProgram(options["units"])
        return StepFusedLSTM if standard and self.form.product_bits == 8 and self.state == "internal" else StepRNN


CELLS = {layers.SimpleRNNCell: "simple_rnn", layers.GRUCell: "gru", layers.LSTMCell: "lstm"}


def _options(cell) -> dict:
    """The options of the cell's program."""
    options = {"units": cell.units, "activation": activation_name(cell.activation)}
    if not isinstance(cell, layers.SimpleRNNCell):
        options["recurrent_activation"] = activation_name(cell.recurrent_activation)
    if isinstance(cell, layers.GRUCell):
        options["reset_after"] = cell.reset_after
    return options


def _with_weights(step: StepLayer, source, layer):
    """The step layer's output, its weights set to those of the same name."""
    output = step(source)
    for weight in layer.weights:
        next(own for own in step.weights if own.name == weight.name).assign(weight)
    return output


BUILDERS = {
    layers.Dense: _StepModelBuilder.dense,
    layers.TimeDistributed: _StepModelBuilder.dense,
    layers.Conv1D: _StepModelBuilder.conv1d,
    layers.Activation: _StepModelBuilder.activation,
    layers.ReLU: _StepModelBuilder.activation,
    layers.Embedding: _StepModelBuilder.embedding,
    layers.Add: _StepModelBuilder.add,
    layers.Concatenate: _StepModelBuilder.concatenate,
    layers.RNN: _StepModelBuilder.rnn,
    layers.Layer: _StepModelBuilder.copy,
}
