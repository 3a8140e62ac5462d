"""A model of Keras 2 becomes the same model of Keras 3, or is refused by the layer's name."""

import keras
import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from keras_models.legacy_models import keras3_model
from keras_models.supported_layers import UnsupportedLayer, check_model

LSTM, GRU, RNN = layers.LSTM, layers.GRU, layers.SimpleRNN


def stack(*models_layers, shape=(None, 3)):
    return tf_keras.Sequential([layers.InputLayer(shape, name="x"), *models_layers], name="stack")


def crossed():
    """Two branches of equal shapes, joined in the other order than they were made: weights must not change places."""
    a, b = tf_keras.Input((None, 3), name="a"), tf_keras.Input((None, 3), name="b")
    first, second = GRU(4, name="first", return_sequences=True), GRU(4, name="second", return_sequences=True)
    of_b, of_a = second(b), first(a)
    joined = layers.Concatenate()([of_b, of_a])
    return tf_keras.Model([b, a], [layers.Dense(2, name="z")(joined), layers.Dense(2, name="y")(of_a)], name="crossed")


def own_input_shape():
    return tf_keras.Sequential([GRU(3, stateful=True, batch_input_shape=(2, None, 3)), layers.Dense(2)])


def by_a_call():
    model = tf_keras.Sequential([GRU(3), layers.Dense(2)])
    model(np.zeros((2, 4, 3), np.float32))
    return model


MODELS = {
    "lstm": lambda: stack(LSTM(4, return_sequences=True, dropout=0.1), layers.Dense(2, activation="softmax")),
    "gru": lambda: stack(GRU(4, return_sequences=True, activation="swish"), layers.TimeDistributed(layers.Dense(2))),
    "gru, reset before": lambda: stack(GRU(4, reset_after=False, use_bias=False, implementation=1), layers.Dense(2)),
    "simple rnn": lambda: stack(RNN(4, activation="relu", kernel_regularizer="l2"), layers.Dense(2)),
    "cells": lambda: stack(layers.RNN(layers.LSTMCell(3), return_sequences=True),
                           layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])),
    "normalization": lambda: stack(layers.Normalization(), layers.BatchNormalization(), layers.LayerNormalization(),
                                   layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[2.0, 3.0, 4.0]), RNN(2)),
    "embedding": lambda: stack(layers.Embedding(10, 4, mask_zero=True, input_length=7), GRU(3), shape=(7,)),
    "conv1d": lambda: stack(layers.Conv1D(4, 3, padding="causal", dilation_rate=2), GRU(3)),
    "activations": lambda: stack(layers.LeakyReLU(0.1), layers.ReLU(6.0), layers.ELU(), layers.Activation("gelu"),
                                 layers.Softmax(), RNN(2)),
    "passed on": lambda: stack(layers.Masking(), layers.Dropout(0.1), layers.SpatialDropout1D(0.1), RNN(2),
                               layers.GaussianNoise(0.1), layers.AlphaDropout(0.1), layers.Reshape((2, 1))),
    "hard gates": lambda: stack(LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
                                GRU(4, recurrent_activation="hard_sigmoid", return_sequences=True),
                                GRU(4, recurrent_activation="hard_sigmoid", reset_after=False)),
    "own input shape": own_input_shape,
    "built by a call": by_a_call,
    "several inputs": crossed,
}


def with_random_weights(model):
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0, 0.7, weights.shape)).astype(np.float32) for weights in model.get_weights()])
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    return model


def outputs(model):
    """For 2 streams of 7 steps; tokens where the input has no features."""
    rng = np.random.default_rng(1)
    xs = [rng.normal(0, 2, (2, 7, 3)) if len(tensor.shape) == 3 else rng.integers(0, 10, (2, 7))
          for tensor in model.inputs]
    ys = model.predict([x.astype(np.float32) for x in xs] if len(xs) > 1 else xs[0].astype(np.float32), verbose=0)
    return ys if isinstance(ys, list) else [ys]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_model(name):
    legacy = with_random_weights(MODELS[name]())
    model = keras3_model(legacy)
    check_model(model)
    assert isinstance(model, keras.Model) and model.name == legacy.name
    assert [layer.name for layer in model.layers] == [layer.name for layer in legacy.layers]
    for ours, theirs in zip(outputs(model), outputs(legacy), strict=True):
        assert np.ptp(theirs) > 0.01, "outputs that move"
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_same_weights():
    legacy = with_random_weights(MODELS["lstm"]())
    model = keras3_model(legacy)
    for layer in legacy.layers:
        for ours, theirs in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_bidirectional_is_translated_and_then_refused_by_its_name():
    legacy = with_random_weights(stack(layers.Bidirectional(LSTM(3), name="odd")))
    model = keras3_model(legacy)
    np.testing.assert_allclose(outputs(model)[0], outputs(legacy)[0], atol=1e-6)
    with pytest.raises(UnsupportedLayer, match="'odd' .Bidirectional. reads the future"):
        check_model(model)


def test_a_model_of_keras_3_is_passed_through():
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(2)])
    assert keras3_model(model) is model


class OwnLayer(layers.Layer):
    def call(self, x):
        return 2 * x


class OwnModel(tf_keras.Model):
    def call(self, x):
        return 2 * x


def own_model():
    model = OwnModel(name="odd")
    model(np.zeros((2, 4, 3), np.float32))
    return model


def with_operation():
    x = tf_keras.Input((None, 3))
    return tf_keras.Model(x, GRU(3, return_sequences=True)(x) + x)


def mixed_precision():
    return stack(layers.Dense(2, dtype=tf_keras.mixed_precision.Policy("mixed_float16"), name="odd"))


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("'odd' .OwnLayer. is no layer of Keras 3", lambda: stack(OwnLayer(name="odd"))),
        ("'odd' .Lambda. runs Python code", lambda: stack(layers.Lambda(lambda x: 2 * x, name="odd"))),
        ("'odd' .ThresholdedReLU. is no layer of Keras 3", lambda: stack(layers.ThresholdedReLU(1.0, name="odd"))),
        ("TFOpLambda. is no layer of Keras 3", with_operation),
        ("'odd' .Dense.*hard_sigmoid of Keras 2",
         lambda: stack(layers.Dense(2, activation="hard_sigmoid", name="odd"))),
        ("'odd' .LSTM.*hard_sigmoid of Keras 2", lambda: stack(LSTM(2, activation="hard_sigmoid", name="odd"))),
        ("'odd' .RNN.*hard_sigmoid of Keras 2",
         lambda: stack(layers.RNN(layers.LSTMCell(2, recurrent_activation="hard_sigmoid"), name="odd"))),
        ("'odd' .GRU.*time_major=True", lambda: stack(GRU(2, time_major=True, name="odd"))),
        ("'odd' .Normalization. is another layer in Keras 3 .When setting values directly",
         lambda: stack(layers.Normalization(mean=[1.0, 2.0, 3.0], variance=2.0, name="odd"))),
        ("'odd' .DepthwiseConv1D.*use Conv1D", lambda: stack(layers.DepthwiseConv1D(3, name="odd"))),
        ("'odd' .OwnModel. has a call.. of its own", own_model),
        ("'bare' is not built", lambda: tf_keras.Sequential([GRU(3)], name="bare")),
        ("int: expected a Keras model", lambda: 3),
    ],
)
def test_refused(words, make):
    with pytest.raises(ValueError, match=words):
        keras3_model(make())


def test_mixed_precision_is_refused_by_its_dtype():
    with pytest.raises(UnsupportedLayer, match="'odd'.*'mixed_float16'"):
        check_model(keras3_model(mixed_precision()))
