"""What is accepted as a model of one time step, and what is refused by one sentence: layer, reason, remedy."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from keras_models.supported_layers import (
    ACTIVATIONS,
    FORMS,
    UnsupportedLayer,
    activation_name,
    check_layer,
    check_model,
    is_recurrent,
    step_shapes,
)


def stack(*models_layers, shape=(None, 6), **options):
    return keras.Sequential([keras.Input(shape, name="x", **options), *models_layers], name="stack")


def functional(*calls, shape=(None, 6)):
    """A Functional model of `calls`, each a function of the tensors before it, the first of the input."""
    tensors = [keras.Input(shape, name="x")]
    for call in calls:
        tensors.append(call(*tensors))
    return keras.Model(tensors[0], tensors[-1], name="graph")


GRU, LSTM, RNN = layers.GRU, layers.LSTM, layers.SimpleRNN

ACCEPTED = {
    "recurrent layers": lambda: stack(
        GRU(3, return_sequences=True, reset_after=False, use_bias=False, dropout=0.1, recurrent_dropout=0.1),
        LSTM(3, return_sequences=True, unit_forget_bias=False, implementation=1, kernel_regularizer="l2"),
        RNN(3, return_sequences=True, recurrent_constraint="unit_norm", kernel_initializer="he_normal"),
        layers.RNN(layers.LSTMCell(3), return_sequences=True),
        layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], return_sequences=True, zero_output_for_mask=True),
        layers.RNN(layers.StackedRNNCells([layers.GRUCell(3)])),
    ),
    "stateful with its batch": lambda: keras.Sequential(
        [keras.Input(batch_shape=(2, 5, 3)), GRU(2, stateful=True, unroll=True)]
    ),
    "passed on": lambda: stack(
        layers.Masking(), layers.Dropout(0.1), layers.SpatialDropout1D(0.1), layers.GaussianNoise(0.1),
        layers.Identity(), layers.GaussianDropout(0.1), layers.AlphaDropout(0.1), layers.ActivityRegularization(0.1),
        GRU(2),
    ),
    "activation layers": lambda: stack(
        layers.Activation("softmax"), layers.ReLU(), layers.ReLU(6), layers.LeakyReLU(0.1), layers.ELU(),
        layers.Softmax(), layers.Activation(keras.activations.gelu),
    ),
    "normalization": lambda: stack(
        layers.Normalization(), layers.Normalization(mean=1.0, variance=2.0, invert=True),
        layers.LayerNormalization(axis=2), layers.BatchNormalization(axis=-1, scale=False),
    ),
    "no recurrent layer": lambda: stack(layers.Dense(3, activation="softmax")),
    "tokens": lambda: stack(layers.Embedding(9, 4, mask_zero=True), GRU(3), layers.Dense(9), shape=(None,)),
    "several tokens a step": lambda: stack(layers.Embedding(9, 4), layers.Reshape((-1, 24)), GRU(3), dtype="int32"),
    "convolution": lambda: stack(layers.Conv1D(3, 4, padding="causal", dilation_rate=2, activation="relu"), GRU(3)),
    "one value a step": lambda: stack(layers.Reshape((-1, 1)), GRU(3), shape=(None,)),
    "reshaped features": lambda: stack(layers.Reshape((5, 2, 3)), layers.ReLU(), layers.Reshape((5, 6)), GRU(2),
                                       shape=(5, 6)),
    "behind the last step": lambda: stack(
        GRU(6), layers.Reshape((2, 3)), layers.Activation("tanh"), layers.Flatten(), layers.Dense(6),
        layers.Reshape((3, 2)),
    ),
    "skips": lambda: functional(
        lambda x: GRU(6, return_sequences=True)(x),
        lambda x, h: layers.Add()([x, h, h]),
        lambda x, h, s: layers.Concatenate(axis=2)([x, s]),
        lambda x, h, s, c: layers.TimeDistributed(layers.Dense(2, activation="sigmoid"))(c),
    ),
    "several inputs and outputs": lambda: several(),
    "built by a call": lambda: called(keras.Sequential([GRU(3), layers.Dense(2)])),
    "a subclass without code": lambda: Tagged(x := keras.Input((None, 3)), GRU(2)(x)),
}


class Tagged(keras.Model):
    """As Functional as its parent."""


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.cell = GRU(3)

    def call(self, x):
        return self.cell(x)


class OwnLayer(layers.Layer):
    def call(self, x):
        return 2 * x


class OwnGRU(GRU):
    pass


class OwnCell(layers.GRUCell):
    pass


def tanh(x):
    return keras.ops.sin(x)


def called(model):
    model(np.zeros((1, 4, 3), np.float32))
    return model


def several():
    a, b = keras.Input((None, 3), name="a"), keras.Input((None, 2), name="b")
    joined = layers.Concatenate()([a, b])
    return keras.Model({"a": a, "b": b}, [layers.Dense(1, name="all")(joined), GRU(2, name="last")(joined)])


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name):
    check_model(ACCEPTED[name]())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_by_name_and_function(name):
    function = getattr(keras.activations, name)
    cells = [RNN(2, activation=name, return_sequences=True), LSTM(2, activation=function, return_sequences=True),
             GRU(2, recurrent_activation=function, return_sequences=True)]
    check_model(stack(*cells, layers.Dense(2, activation=name), layers.Activation(function)))
    assert activation_name(cells[0].activation) == activation_name(function) == name


def test_every_form_is_accepted_somewhere():
    """No entry of the table stands there untried."""
    tried = {type(layer) for make in ACCEPTED.values() for layer in make().layers}
    assert tried | {layers.InputLayer} == set(FORMS)


def test_steps():
    """Time is told from other axes, also where shapes alone do not show it."""
    model = functional(
        lambda x: GRU(6, return_sequences=True, name="sequence")(x),
        lambda x, h: GRU(6, name="last")(h),
        lambda x, h, s: layers.Reshape((2, 3), name="table")(s),
    )
    steps = {name: (step.timed, step.features) for name, step in step_shapes(model).items()}
    assert steps == {"x": (True, (6,)), "sequence": (True, (6,)), "last": (False, (6,)), "table": (False, (2, 3))}


def test_recurrent():
    assert all(map(is_recurrent, [RNN(1), LSTM(1), GRU(1), layers.RNN(layers.GRUCell(1))]))
    assert not any(map(is_recurrent, [layers.Dense(1), layers.ConvLSTM1D(1, 1), OwnGRU(1)]))


# One layer named "odd", and the words that must stand in the sentence.
REFUSED_LAYERS = {
    "future.*use a forward LSTM or GRU": lambda: layers.Bidirectional(GRU(3), name="odd"),
    "go_backwards=True.*use go_backwards=False": lambda: LSTM(3, go_backwards=True, name="odd"),
    "GRU.*activation='sparsemax'.*tanh": lambda: GRU(3, activation="sparsemax", name="odd"),
    "recurrent_activation='softmax'.*sigmoid": lambda: GRU(3, recurrent_activation="softmax", name="odd"),
    "activation='test_supported_layers.tanh'.*by name": lambda: layers.Dense(3, activation=tanh, name="odd"),
    "activation=.*LeakyReLU.*by name": lambda: layers.Dense(3, activation=layers.LeakyReLU(), name="odd"),
    "activation='test_supported_layers.tanh' of LSTMCell": lambda: layers.RNN(
        [layers.GRUCell(2), layers.LSTMCell(2, activation=tanh)], name="odd"),
    "OwnCell.*use SimpleRNNCell, LSTMCell, GRUCell": lambda: layers.RNN(OwnCell(3), name="odd"),
    "pools over the whole": lambda: layers.GlobalAveragePooling1D(name="odd"),
    "number of time steps.*causal": lambda: layers.MaxPooling1D(2, name="odd"),
    "number of time steps.*resample": lambda: layers.UpSampling1D(2, name="odd"),
    "ZeroPadding1D.*number of time steps": lambda: layers.ZeroPadding1D(2, name="odd"),
    "moves time": lambda: layers.Permute((2, 1), name="odd"),
    "padding='same'.*use padding='causal'": lambda: layers.Conv1D(3, 3, padding="same", name="odd"),
    r"strides=\(2,\).*use strides=1": lambda: layers.Conv1D(3, 3, padding="causal", strides=2, name="odd"),
    "groups=2.*use groups=1": lambda: layers.Conv1D(4, 3, padding="causal", groups=2, name="odd"),
    "activation='softmax'": lambda: layers.Conv1D(4, 3, padding="causal", activation="softmax", name="odd"),
    "SeparableConv1D.*use Conv1D": lambda: layers.SeparableConv1D(4, 3, name="odd"),
    "runs Dropout at each step.*use Dense": lambda: layers.TimeDistributed(layers.Dropout(0.1), name="odd"),
    "Python code": lambda: layers.Lambda(lambda x: 2 * x, name="odd"),
    "OwnLayer.*custom layer": lambda: OwnLayer(name="odd"),
    "OwnGRU.*custom layer": lambda: OwnGRU(3, name="odd"),
    "joins the steps.*return_sequences=False": lambda: layers.Flatten(name="odd"),
    "between time steps.*Reshape": lambda: layers.Reshape((3, 10), name="odd"),
    "axis=1.*use axis=-1": lambda: layers.LayerNormalization(axis=1, name="odd"),
    "axis=None.*use axis=-1": lambda: layers.Normalization(axis=None, name="odd"),
    "rms_scaling=True": lambda: layers.LayerNormalization(rms_scaling=True, name="odd"),
    "Softmax.*axis=1": lambda: layers.Softmax(axis=1, name="odd"),
    "use LayerNormalization": lambda: layers.UnitNormalization(name="odd"),
    "max_value=1.*use None or 6": lambda: layers.ReLU(1.0, name="odd"),
    "negative_slope=0.1.*LeakyReLU": lambda: layers.ReLU(negative_slope=0.1, name="odd"),
    "alpha=0.5": lambda: layers.ELU(0.5, name="odd"),
    "Normalization.mean": lambda: layers.Rescaling(2.0, name="odd"),
    "'mixed_float16'.*float32": lambda: layers.Dense(3, dtype="mixed_float16", name="odd"),
    "dtype 'float64'": lambda: GRU(3, dtype="float64", name="odd"),
    "dtype 'mixed_bfloat16'": lambda: layers.RNN(layers.GRUCell(3, dtype="mixed_bfloat16"), name="odd"),
    "supported are InputLayer, SimpleRNN": lambda: layers.RandomFlip(name="odd"),
}


def refusal(model) -> str:
    with pytest.raises(UnsupportedLayer) as caught:
        check_model(model)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 500
    return sentence


@pytest.mark.parametrize("words", REFUSED_LAYERS)
def test_refused_layer(words):
    """Named, with the reason, and after the semicolon what to use instead."""
    layer = REFUSED_LAYERS[words]()
    sentence = refusal(stack(layer, shape=(5, 6)))
    assert sentence.startswith(f"layer 'odd' ({type(layer).__name__})") and ";" in sentence
    match(words, sentence)


def match(words, sentence):
    assert re.search(words, sentence), sentence


def test_check_layer_needs_no_model():
    check_layer(GRU(3))
    with pytest.raises(UnsupportedLayer, match="'odd'.*future"):
        check_layer(layers.Bidirectional(GRU(3), name="odd"))


@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention, layers.MultiHeadAttention])
def test_attention(kind):
    layer = kind(2, 3, name="odd") if kind is layers.MultiHeadAttention else kind(name="odd")
    match("'odd'.*whole sequence.*LSTM or GRU", refusal(functional(
        lambda x: layer(x, x) if kind is layers.MultiHeadAttention else layer([x, x]))))


def shared():
    layer = layers.Dense(6, name="odd")
    return functional(lambda x: layer(layer(x)))


def with_state():
    x, state = keras.Input((None, 3)), keras.Input((4,))
    return keras.Model([x, state], GRU(4, name="odd")(x, initial_state=state))


def with_mask():
    x, mask = keras.Input((None, 3), name="x"), keras.Input((None,), dtype="bool", name="odd")
    return keras.Model([x, mask], GRU(4)(x, mask=mask))


def tokens_and_numbers():
    x = keras.Input((None, 2), name="odd")
    tokens = layers.Reshape((-1, 6))(layers.Embedding(9, 3)(x))
    return keras.Model(x, layers.Concatenate()([tokens, layers.Dense(3)(x)]))


def output_twice():
    x = keras.Input((None, 3))
    y = layers.Dense(2, name="odd")(x)
    return keras.Model(x, [y, y])


def output_input():
    x = keras.Input((None, 3), name="odd")
    return keras.Model(x, [layers.Dense(2)(x), x])


def quantized():
    model = stack(layers.Dense(3, name="odd"))
    model.quantize("int8")
    return model


def adapted_low_rank():
    model = stack(layers.Dense(3, name="odd"))
    model.layers[0].enable_lora(2)
    return model


REFUSED_MODELS = {
    "'odd'.*more than once": shared,
    "'odd'.*initial state.*starts at zero": with_state,
    "'odd'.*return_state=True": lambda: functional(lambda x: GRU(3, return_state=True, name="odd")(x)[0]),
    "'odd'.*no way to an output.*mask": with_mask,
    "'odd'.*Embedding and by others": tokens_and_numbers,
    "'odd'.*looks up what a layer computed": lambda: stack(layers.ReLU(), layers.Embedding(9, 3, name="odd")),
    "'odd' stands twice": output_twice,
    "'odd' is an input": output_input,
    "'odd'.*quantized by Keras": quantized,
    "'odd'.*LoRA": adapted_low_rank,
    "'odd'.*training=True": lambda: functional(lambda x: layers.Dropout(0.5, name="odd")(x, training=True)),
    "'odd'.*time dimension is missing.*Input..None, 6": lambda: stack(layers.Dense(3, name="odd"), shape=(6,)),
    "'odd'.*shape .None, None, 4, 5.*timesteps, features": lambda: keras.Model(
        x := keras.Input((None, 4, 5), name="odd"), layers.Dense(2)(x)),
    "'odd'.*shape .None, None, None.*number|'odd'.*use keras.Input": lambda: keras.Model(
        x := keras.Input((None, None), name="odd"), layers.ReLU()(x)),
    "'odd'.*dtype 'float16'": lambda: keras.Model(x := keras.Input((None, 4), dtype="float16", name="odd"),
                                                  layers.Dense(2)(x)),
    "'odd'.*optional=True": lambda: keras.Model(x := keras.Input((None, 4), optional=True, name="odd"),
                                                layers.Dense(2)(x)),
    "'odd'.*without features": lambda: stack(layers.ReLU(name="odd"), shape=(None,)),
    "'odd'.*time, which is gone": lambda: stack(GRU(6), layers.Reshape((2, 3)), GRU(2, name="odd")),
    "'odd'.*makes .None, 5, 6. of .None, None, 6.": lambda: stack(layers.Reshape((5, 6), name="odd")),
    "'odd'.*makes .None, 5, None. of .None, None, 6.": lambda: stack(layers.Reshape((5, -1), name="odd")),
    "'odd'.*makes .None, 5. of .None, 5, 1.": lambda: stack(layers.Reshape((5,), name="odd"), shape=(5, 1)),
    "'odd'.*another number of time steps": lambda: stack(GRU(6), layers.RepeatVector(4, name="odd"), GRU(2)),
    "'odd'.*one axis of features": lambda: stack(layers.Reshape((-1, 2, 3)), layers.Dense(2, name="odd")),
    "'odd' .Activation.*one axis": lambda: stack(layers.Reshape((-1, 2, 3)), layers.Activation("softmax", name="odd")),
    "'odd'.*a stream and a tensor without time": lambda: functional(
        lambda x: GRU(6)(x), lambda x, h: layers.Add(name="odd")([layers.Reshape((6,))(h), x])),
    "'odd'.*shapes .1,., .6,..*equal": lambda: functional(
        lambda x: layers.Dense(1)(x), lambda x, h: layers.Add(name="odd")([x, h])),
    "'odd'.*axis=1.*use axis=-1": lambda: functional(lambda x: layers.Concatenate(axis=1, name="odd")([x, x])),
    "'odd'.*use Add or Concatenate": lambda: functional(lambda x: layers.Multiply(name="odd")([x, x])),
    "'add.*use layers.Add": lambda: functional(lambda x: GRU(6, return_sequences=True)(x) + x),
    "'get_item.*return_sequences=False": lambda: functional(lambda x: GRU(6, return_sequences=True)(x)[:, -1]),
}


@pytest.mark.parametrize("words", REFUSED_MODELS)
def test_refused_model(words):
    match(words, refusal(REFUSED_MODELS[words]()))


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("'own'.*call.*Sequential", lambda: called(OwnCall())),
        ("'bare' is not built", lambda: keras.Sequential([GRU(3)], name="bare")),
        ("'nothing' is empty", lambda: keras.Sequential(name="nothing")),
        ("'nothing' is empty", lambda: keras.Model(x := keras.Input((None, 3)), x, name="nothing")),
        ("str: expected a Keras 3 model", lambda: "gru.keras"),
    ],
)
def test_no_graph_of_layers(words, make):
    with pytest.raises(ValueError, match=words):
        check_model(make())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("position", "weight"), [(0, "mean"), (1, "recurrent_kernel"), (2, "cell/bias"),
                                                  (3, "gamma"), (4, "kernel")])
def test_weights_that_are_no_numbers(position, weight, value):
    model = stack(layers.Normalization(), GRU(2, return_sequences=True), layers.RNN([layers.LSTMCell(2, name="cell")]),
                  layers.BatchNormalization(), layers.Dense(2))
    check_model(model)
    layer = model.layers[position]
    variable = next(variable for variable in layer.weights if variable.path.endswith(weight))
    variable.assign(np.full(variable.shape, value))
    with pytest.raises(ValueError, match=f"'{layer.name}'.*{weight}.*NaN or infinity"):
        check_model(model)


def test_normalization_by_numbers_that_are_none():
    with pytest.raises(ValueError, match="'odd'.*'variance'.*NaN"):
        check_model(stack(layers.Normalization(mean=0.0, variance=np.nan, name="odd")))
