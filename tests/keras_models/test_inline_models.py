"""Models inside a model: the same function in one graph of layers, converted, quantized and refused as any other."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_models import quantize_aware
from keras_models.inline_models import inlined
from keras_models.supported_layers import UnsupportedLayer
from tflite import convert
from tflite.runtimes import load_model

FEATURES, STEPS = 3, 40


@pytest.fixture(scope="module")
def streams():
    return np.random.default_rng(0).normal(size=(6, STEPS, FEATURES)).astype(np.float32)


def recurrent(name="inner"):
    gru, dense = layers.GRU(5, return_sequences=True, name="gru"), layers.Dense(4, name="dense")
    return keras.Sequential([keras.Input((None, FEATURES)), gru, dense], name=name)


def in_a_row():
    """Two levels deep, layers of one name on each, and a Normalization, which computes from its weights."""
    scale = layers.Normalization(name="scale")
    scale.adapt(np.random.default_rng(1).normal(3, 2, (50, FEATURES)))
    first = keras.Sequential([keras.Input((None, FEATURES)), scale, recurrent()], name="first")
    return keras.Sequential(
        [keras.Input((None, FEATURES), name="x"), first, layers.LSTM(4, name="gru"), layers.Dense(2, name="dense")]
    )


def twice():
    x = keras.Input((None, FEATURES), name="x")
    encoder = recurrent("encoder")
    return keras.Model(x, layers.Add(name="sum")([encoder(x), encoder(layers.Activation("tanh")(x))]))


@pytest.mark.parametrize("build", [in_a_row, twice])
def test_one_graph_says_the_same(build, streams):
    keras.utils.set_random_seed(2)
    model = build()
    flat = inlined(model)
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    np.testing.assert_array_equal(flat.predict(streams, verbose=0), model.predict(streams, verbose=0))
    assert [tensor.name for tensor in flat.inputs] == ["x"]


def test_a_model_without_models_is_left_as_it_is():
    model = recurrent()
    assert inlined(model) is model


def test_names_stay_apart():
    names = [layer.name for layer in inlined(in_a_row()).layers]
    assert names == ["x", "scale", "inner_gru", "inner_dense", "gru", "dense"]


@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_converted_it_streams_as_the_model_does(activations, streams):
    """A step of TensorFlow Lite Micro after the other against `predict` of the model as the user wrote it."""
    keras.utils.set_random_seed(2)
    model = in_a_row()
    artifact = convert(model, activations=activations, representative=streams)
    runtime = load_model(artifact.tflite, "tflm")
    said = [runtime.step(x) for x in streams[0]][-1]
    wanted = model.predict(streams[:1], verbose=0)[0]
    np.testing.assert_allclose(said, wanted, atol=1e-5 if activations == "float32" else 0.05 * np.abs(wanted).max())


def test_trains_quantization_aware(streams):
    keras.utils.set_random_seed(2)
    qat = quantize_aware(in_a_row())
    qat.compile("adam", "mse")
    qat.fit(streams, streams[:, -1, :2], epochs=1, verbose=0)
    said = qat.predict(streams[:1, :1], verbose=0)[0]
    step = load_model(convert(qat).tflite, "tflm").step(streams[0, 0])
    np.testing.assert_array_equal(step, said)


def test_two_outputs_of_an_inner_model_are_refused():
    x = keras.Input((None, FEATURES))
    two = keras.Model(x, [layers.GRU(2, return_sequences=True)(x), layers.Dense(2)(x)], name="two")
    model = keras.Model(x, layers.Add()(two(x)))
    with pytest.raises(UnsupportedLayer, match="'two'.*several outputs.*one by one"):
        inlined(model)


def test_what_cannot_stream_is_refused_in_an_inner_model_too():
    inner = keras.Sequential([keras.Input((None, FEATURES)), layers.Bidirectional(layers.GRU(2), name="both")])
    with pytest.raises(UnsupportedLayer, match="'both'.*future"):
        convert(keras.Sequential([keras.Input((None, FEATURES)), inner]), activations="float32")


class Own(keras.Model):
    def call(self, x):
        return 2 * x


def test_an_inner_model_with_a_call_of_its_own_is_refused():
    x = keras.Input((None, FEATURES))
    with pytest.raises(ValueError, match="call.. of its own"):
        convert(keras.Model(x, layers.GRU(2)(Own(name="own")(x))), activations="float32")
