"""Recurrent layers of step programs: in float32 they are Keras' own, masks, states and dropout included."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from small_networks import network, sequential, waves

from keras_models import quantize_aware
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate
from keras_models.step_layers import StepLayer
from keras_models.step_model import step_model
from keras_models.step_rnn import StepRNN

FLOAT = NumericForm("float32")
CELLS = ("SimpleRNN", "GRU", "LSTM")
XS = waves(12, batch=3)
# One sequence masked at its end, one at its start and in between, one whole.
KNOWN = np.ones((3, 12), bool)
KNOWN[0, 7:], KNOWN[1, :2], KNOWN[1, 5:7] = False, False, False


def assert_same(model, data, **arguments):
    expected = np.asarray(model(data, **arguments))
    assert expected.std() > 1e-3, "a test of zeros tests nothing"
    np.testing.assert_allclose(np.asarray(step_model(model, FLOAT)(data, **arguments)), expected, rtol=0, atol=2e-6)


def masked(value=0.0):
    """The readings as a Masking layer takes them."""
    return np.where(KNOWN[..., None], XS, np.float32(value))


OPTIONS = {
    "sequence": {},
    "last step": {"return_sequences": False},
    "without bias": {"use_bias": False},
    "unrolled": {"unroll": True},
    "implementation 1": {"implementation": 1},
}


# A SimpleRNN has one gate and one implementation.
EACH = [(cell, name) for cell in CELLS for name in OPTIONS if (cell, name) != ("SimpleRNN", "implementation 1")]


@pytest.mark.parametrize(("cell", "options"), EACH)
def test_equals_keras(cell, options):
    if "unroll" in OPTIONS[options]:
        model = sequential(getattr(layers, cell)(4, unroll=True), shape=XS.shape[1:])
    else:
        model = network(cell, **OPTIONS[options])
    assert_same(model, XS)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
def test_reset_before_the_product(use_bias, return_sequences):
    assert_same(network(reset_after=False, use_bias=use_bias, return_sequences=return_sequences), XS)


@pytest.mark.parametrize(("cell", "options"), [
    ("SimpleRNN", {"activation": "relu"}),
    ("GRU", {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}),
    ("GRU", {"activation": "relu", "recurrent_activation": "tanh", "reset_after": False}),
    ("LSTM", {"activation": "elu", "recurrent_activation": "hard_sigmoid"}),
])
def test_other_activations(cell, options):
    """Every one of them is tried in test_step_programs.py; here, that the layer hands them on."""
    assert_same(network(cell, **options), XS)


@pytest.mark.parametrize("cells", [
    [layers.GRUCell], [layers.LSTMCell, layers.GRUCell], [layers.SimpleRNNCell, layers.LSTMCell, layers.SimpleRNNCell],
])
@pytest.mark.parametrize("return_sequences", [True, False])
def test_cells_and_stacks_of_cells(cells, return_sequences):
    stack = [cell(3) for cell in cells]
    model = sequential(layers.RNN(stack if len(stack) > 1 else stack[0], return_sequences=return_sequences, name="odd"))
    assert_same(model, XS)
    assert step_model(model, FLOAT).layers[-1].name == "odd"


def test_wrapped_stack_of_cells():
    assert_same(sequential(layers.RNN(layers.StackedRNNCells([layers.GRUCell(3), layers.SimpleRNNCell(2)]))), XS)


@pytest.mark.parametrize("zero_output_for_mask", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_masks(cell, return_sequences, zero_output_for_mask):
    """Where a step is masked the states stay, and the output is the one before, or zero."""
    one = {layers.SimpleRNN: layers.SimpleRNNCell, layers.GRU: layers.GRUCell, layers.LSTM: layers.LSTMCell}
    rnn = layers.RNN(one[getattr(layers, cell)](4), return_sequences=return_sequences,
                     zero_output_for_mask=zero_output_for_mask)
    assert_same(sequential(layers.Masking(), rnn), masked())


def test_masks_through_a_stack():
    model = sequential(layers.Masking(-1.0), layers.LSTM(4, return_sequences=True), layers.Dropout(0.5),
                       layers.RNN([layers.GRUCell(3), layers.GRUCell(4)], return_sequences=True), layers.LSTM(2))
    assert_same(model, masked(-1.0))


def stateful_network(cell, return_sequences=True):
    rnn = getattr(layers, cell)(4, stateful=True, return_sequences=return_sequences, name="rnn")
    model = keras.Sequential([keras.Input(batch_shape=(3, 6, 3), name="x"), rnn])
    model.set_weights([np.random.default_rng(0).normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("cell", CELLS)
def test_stateful(cell):
    """Two halves, one after the other, are the whole; `reset_states` starts again."""
    whole = network(cell, head=None)
    model = stateful_network(cell)
    model.set_weights(whole.get_weights())
    twin = step_model(model, FLOAT, stateful=True)
    halves = np.split(XS, 2, axis=1)
    together = np.concatenate([np.asarray(twin(half)) for half in halves], axis=1)
    np.testing.assert_allclose(together, np.asarray(whole(XS)), rtol=0, atol=2e-6)
    twin.get_layer("rnn").reset_states()
    np.testing.assert_array_equal(np.asarray(twin(halves[0])), together[:, :6])
    assert np.abs(np.asarray(twin(halves[0])) - together[:, :6]).max() > 1e-3, "the second time the state is another"


def test_what_is_converted_starts_from_zero():
    """`convert` makes a step model that is not stateful: batches of any size, every sequence from zero."""
    model = stateful_network("LSTM")
    twin = step_model(model, FLOAT)
    xs = waves(6, batch=5)
    once = np.asarray(twin(xs))
    np.testing.assert_array_equal(np.asarray(twin(xs)), once)


def test_stateful_integers():
    """The integers of the states are carried, exactly."""
    whole, model = network("LSTM", head=None), stateful_network("LSTM")
    model.set_weights(whole.get_weights())
    one, other = quantize_aware(whole), quantize_aware(model)
    calibrate(one, [XS])
    copy_of_everything(one, other)
    halves = [np.asarray(other(half)) for half in np.split(XS, 2, axis=1)]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), np.asarray(one(XS)))


def copy_of_everything(source, target):
    """Weights, ranges and constants, but not the carried states."""
    values = {weight.path: weight for weight in source.weights}
    for weight in target.weights:
        if not weight.name.endswith("_carried"):
            weight.assign(values[weight.path])


def test_calibration_leaves_no_state_behind():
    """The first batch after it starts from zero, as on the device."""
    twin = quantize_aware(stateful_network("GRU"))
    calibrate(twin, np.split(XS, 2, axis=1))
    first = np.asarray(twin(XS[:, :6]))
    twin.get_layer("rnn").reset_states()
    np.testing.assert_array_equal(np.asarray(twin(XS[:, :6])), first)


@pytest.mark.parametrize(("cell", "option", "activations"), [
    *((cell, option, "float32") for cell in CELLS for option in ("dropout", "recurrent_dropout")),
    ("GRU", "dropout", "int8"), ("LSTM", "recurrent_dropout", "int8"),
])
def test_dropout_in_training_only(cell, option, activations):
    model, form = network(cell, head=None, seed=3, **{option: 0.5}), NumericForm(activations)
    twin = step_model(model, form)
    if not form.is_float:
        calibrate(twin, [XS])
    calm = np.asarray(twin(XS))
    np.testing.assert_array_equal(np.asarray(twin(XS)), calm)
    one, other = (np.asarray(twin(XS, training=True)) for _ in range(2))
    assert np.abs(one - calm).max() > 0.02 and np.abs(one - other).max() > 0.02


def test_dropped_inputs_are_the_same_at_all_steps():
    """As in Keras: what a sequence lost, it lost throughout, scaled by what is kept."""
    layer = StepRNN(FLOAT, "simple_rnn", {"units": 5, "activation": "linear"}, return_sequences=True, dropout=0.5)
    layer(XS)
    layer.kernel.assign(np.eye(3, 5))
    layer.recurrent_kernel.assign(np.zeros((5, 5)))
    ratio = np.asarray(layer(XS, training=True))[..., :3] / XS
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), atol=1e-4)
    assert set(np.unique(np.round(ratio, 3))) == {0, 2}


def test_a_dropped_state_still_leaks_through():
    """`recurrent_dropout` takes the state from the matrix products, not from what the gates blend or sum up."""
    layer = StepRNN(FLOAT, "lstm", {"units": 4}, return_sequences=True, recurrent_dropout=0.999999)
    layer(XS)
    expected = keras.layers.LSTM(4, return_sequences=True)
    expected.build(XS.shape)
    expected.set_weights([layer.kernel, np.zeros((4, 16)), layer.bias])
    np.testing.assert_allclose(np.asarray(layer(XS, training=True)), np.asarray(expected(XS)), atol=2e-6)


@pytest.mark.parametrize("form", [FLOAT, NumericForm("int8")], ids=lambda form: form.name)
def test_the_past_does_not_see_the_future(form):
    twin = step_model(network("LSTM"), form)
    if not form.is_float:
        calibrate(twin, [XS])
    changed = XS.copy()
    changed[:, 7:] = -changed[:, 7:]
    before, after = np.asarray(twin(XS)), np.asarray(twin(changed))
    np.testing.assert_array_equal(after[:, :7], before[:, :7])
    assert np.abs(after - before)[:, 7:].max() > 0.02


def test_gradients_are_those_of_keras():
    """Through the program of each cell, to every weight and the inputs; compiled, in test_recurrence.py."""
    for cell in CELLS:
        model = network(cell)
        theirs, ours = gradients(model), gradients(step_model(model, FLOAT))
        assert len(ours) == len(theirs) == 6
        for own, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(own, expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max())


def gradients(model):
    xs = tf.constant(XS)
    with tf.GradientTape() as tape:
        tape.watch(xs)
        loss = tf.reduce_sum(tf.square(model(xs)))
    return [g.numpy() for g in tape.gradient(loss, [xs, *(weight.value for weight in model.trainable_weights)])]


def test_configuration_makes_the_same_layer():
    layer = StepRNN(
        NumericForm("int8", "int16"), "gru", {"units": 4, "activation": "relu", "reset_after": False}, use_bias=False,
        return_sequences=True, stateful=True, dropout=0.1, recurrent_dropout=0.2, zero_output_for_mask=True, seed=5,
        name="odd",
    )
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert (again.form, again.cell_program, again.name) == (layer.form, layer.cell_program, "odd")
    assert isinstance(again, StepLayer) and again.recurrent_dropout == 0.2 and again.zero_output_for_mask
