"""Whole models of step layers: the graph of the original, its weights, and in float32 its outputs."""

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import functional, network, sequential, waves, with_random_weights

from keras_models.numeric_form import NumericForm
from keras_models.qat_model import QuantizedModel, calibrate
from keras_models.step_layers import StepActivation, StepInput, StepLayer
from keras_models.step_model import step_model
from keras_models.step_rnn import StepRNN
from keras_models.supported_layers import UnsupportedLayer
from tflite import convert
from tflite.runtimes import load_model

FLOAT, INT8 = NumericForm("float32"), NumericForm("int8")
XS, TOKENS = waves(12, batch=2), np.random.default_rng(0).integers(0, 7, (2, 12)).astype(np.int32)


def normalization(**options):
    layer = layers.Normalization(**options)
    if not options:
        layer.adapt(3 * XS + 1)
    return layer


def batch_normalization(**options):
    """Its moving statistics and parameters are not those it starts with."""
    layer = layers.BatchNormalization(momentum=0.5, **options)
    layer(3 * XS + 1, training=True)
    return layer


def skips():
    return functional(
        lambda x: layers.GRU(3, return_sequences=True)(x),
        lambda x, h: layers.Add()([x, h]),
        lambda x, h, s: layers.Concatenate()([x, h, s]),
        lambda x, h, s, c: layers.LSTM(4)(c),
        lambda x, h, s, c, last: layers.Dense(2, activation="softmax")(last),
    )


def several_ends():
    a, b = keras.Input((None, 3), name="a"), keras.Input((None,), name="b", dtype="int32")
    joined = layers.Concatenate()([layers.Dense(4)(a), layers.Embedding(7, 2)(b)])
    h = layers.SimpleRNN(4, return_sequences=True, name="h")(joined)
    ends = {"last": layers.GRU(2, name="last")(h), "all": layers.Dense(3, name="all")(h)}
    return with_random_weights(keras.Model({"a": a, "b": b}, ends))


MODELS = {
    "normalized inputs": lambda: sequential(normalization(), layers.GRU(3)),
    "normalized by numbers": lambda: sequential(
        normalization(mean=[1.0, 2.0, 0.5], variance=[4.0, 1.0, 0.1]), layers.GRU(3)),
    "normalized and back": lambda: sequential(normalization(mean=1.0, variance=4.0, invert=True), layers.Dense(3)),
    "layer normalization": lambda: sequential(layers.LSTM(4, return_sequences=True), layers.LayerNormalization()),
    "batch normalization": lambda: sequential(batch_normalization(), layers.Dense(3), layers.Dense(2)),
    "batch normalization without parameters": lambda: sequential(batch_normalization(scale=False, center=False)),
    "passed on": lambda: sequential(
        layers.Dropout(0.5), layers.SpatialDropout1D(0.5), layers.GaussianNoise(1.0), layers.Identity(),
        layers.GaussianDropout(0.5), layers.AlphaDropout(0.5), layers.ActivityRegularization(0.1), layers.GRU(2)),
    "reshaped": lambda: sequential(layers.Dense(6), layers.Reshape((-1, 2, 3)), layers.ReLU(), layers.Reshape((-1, 6)),
                                   layers.GRU(6), layers.Reshape((3, 2)), layers.Flatten(), layers.Dense(2)),
    "skips": skips,
    "deep": lambda: sequential(layers.Conv1D(4, 2, padding="causal"), layers.GRU(4, return_sequences=True),
                               layers.LSTM(3, return_sequences=True), layers.SimpleRNN(2)),
}


def outputs(model, data=XS):
    return [np.asarray(tensor) for tensor in keras.tree.flatten(model(data))]


@pytest.mark.parametrize("name", MODELS)
def test_equals_keras(name):
    model = MODELS[name]()
    before, twin = outputs(model), step_model(model, FLOAT)
    for ours, expected in zip(outputs(twin), before, strict=True):
        assert expected.std() > 1e-3
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)
    assert twin.name == model.name and twin.output_shape == model.output_shape


def test_several_inputs_and_outputs_by_name():
    model, data = several_ends(), {"a": XS[:, :6], "b": TOKENS[:, :6]}
    expected, ours = model(data), step_model(model, FLOAT)(data)
    assert ours.keys() == expected.keys() == {"last", "all"}
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(ours[name]), np.asarray(values), rtol=0, atol=2e-6)
    twin = step_model(model, INT8, QuantizedModel)
    assert isinstance(twin, QuantizedModel) and twin.output_names == model.output_names
    calibrate(twin, [data])
    runtime, ours = load_model(convert(twin).tflite, "tflm"), twin(data)
    steps = [runtime.step({"a": a, "b": b[None]}) for a, b in zip(data["a"][0], data["b"][0], strict=True)]
    np.testing.assert_array_equal([step["all"] for step in steps], np.asarray(ours["all"])[0])
    np.testing.assert_array_equal(steps[-1]["last"], np.asarray(ours["last"])[0])


def test_same_weights():
    """Of every layer, by name; also those it does not train."""
    x = keras.Input((None, 3))
    h = layers.RNN([layers.GRUCell(3), layers.LSTMCell(4)], return_sequences=True, name="two")(
        batch_normalization(name="norm")(x))
    model = with_random_weights(keras.Model(x, layers.TimeDistributed(layers.Dense(2), name="head")(h)))
    twin = step_model(model, INT8)
    first, second = model.get_layer("two").cell.cells
    for part, theirs in [(first, "two_0"), (second, "two"), (model.get_layer("head").layer, "head"),
                         (model.get_layer("norm"), "norm")]:
        copied = {weight.name: weight.numpy() for weight in twin.get_layer(theirs).weights}
        assert len(part.weights) >= 2
        for weight in part.weights:
            np.testing.assert_array_equal(copied[weight.name], weight.numpy(), err_msg=weight.path)


def test_the_original_is_left_alone():
    model = MODELS["normalized inputs"]()
    before = [weight.numpy() for weight in model.weights]
    twin = step_model(model, INT8)
    for weight in twin.weights:
        weight.assign(np.full(weight.shape, 7, weight.dtype))
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_the_moving_statistics_of_a_batch_normalization_move_on():
    twin = step_model(MODELS["batch normalization"](), INT8, QuantizedModel)
    calibrate(twin, [XS])
    layer = next(layer for layer in twin.layers if isinstance(layer, layers.BatchNormalization))
    before = layer.moving_mean.numpy()
    twin(XS, training=True)
    assert np.abs(layer.moving_mean.numpy() - before).max() > 0.1


def test_an_input_is_quantized_once_for_all_its_readers():
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, [layers.GRU(2, name="a")(x), layers.Dense(1, name="b")(x), layers.Add()([x, x])])
    twin = step_model(model, INT8)
    assert [layer.name for layer in twin.layers if isinstance(layer, StepInput)] == ["quantize_x"]
    calibrate(twin, [XS])


def test_real_numbers_between_integers_are_quantized_again():
    """A layer without integer form reads reals; what reads it quantizes them, under its name."""
    model = sequential(layers.Dense(3, name="a"), layers.LayerNormalization(name="b"), layers.Dense(2, name="c"))
    names = [layer.name for layer in step_model(model, INT8).layers]
    assert names == ["x", "quantize_x", "a", "b", "quantize_b", "c"]
    assert [layer.name for layer in step_model(model, FLOAT).layers] == ["x", "a", "b", "c"]


@pytest.mark.parametrize(("layer", "stays"), [
    (lambda: layers.ReLU(name="odd"), True), (lambda: layers.Activation("relu", name="odd"), True),
    (lambda: layers.Activation("tanh", name="odd"), True), (lambda: layers.ReLU(6, name="odd"), False),
    (lambda: layers.Activation("gelu", name="odd"), False), (lambda: layers.LeakyReLU(name="odd"), False),
])
def test_which_activations_stay_integers(layer, stays):
    twin = step_model(sequential(layers.Dense(3), layer()), INT8)
    assert isinstance(twin.get_layer("odd"), StepActivation) == stays


@pytest.mark.parametrize("form", [NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16")],
                         ids=lambda form: form.name)
def test_every_layer_computes_in_the_form(form):
    twin = step_model(skips(), form)
    step_layers = [layer for layer in twin.layers if isinstance(layer, StepLayer)]
    assert {layer.form for layer in step_layers} == {form} and len(step_layers) == 6
    for layer in step_layers:
        assert layer.output_quantizer.bits == form.product_bits
        if isinstance(layer, StepRNN):  # the cell state of an LSTM is int16 always
            assert layer.state_quantizers[0].bits == form.state_bits and layer.state_quantizers[-1].bits in (
                {form.state_bits, 16} if layer.cell == "lstm" else {form.state_bits})


def test_refused_before_anything_is_built():
    with pytest.raises(UnsupportedLayer, match="'odd'.*future"):
        step_model(sequential(layers.Bidirectional(layers.GRU(2), name="odd")), INT8)
    model = network()
    model.get_layer("rnn").cell.kernel.assign(np.full((3, 12), np.nan))
    with pytest.raises(ValueError, match="'rnn'.*kernel.*NaN"):
        step_model(model, INT8)


def test_names_of_its_own_are_new_ones():
    """A layer of the user may have any name, also one that a step model would give."""
    x = keras.Input((None, 3), name="x")
    y = layers.Dense(4, name="quantize_x")(x)
    y = layers.Dense(3, "gelu", name="a")(layers.Dense(3, name="a_sum")(y))
    y = layers.RNN([layers.GRUCell(2), layers.GRUCell(2)], return_sequences=True, name="rnn")(y)
    model = keras.Model(x, layers.Dense(2, name="rnn_0")(y))
    names = [layer.name for layer in step_model(model, NumericForm("int8")).layers]
    assert len(names) == len(set(names))
    assert {"quantize_x", "quantize_x_", "a", "a_sum", "a_sum_", "rnn_0", "rnn_0_", "rnn"} <= set(names)
