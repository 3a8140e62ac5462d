"""`quantize_aware`, `calibrate`, and training, saving and converting what they make."""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from small_networks import functional, network, sequential, waves

from keras_models import qat_model, quantize_aware
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import QuantizedModel, UnsupportedLayer, calibrate
from keras_models.quantizers import TensorQuantizer
from keras_models.step_layers import StepLayer
from tflite import convert
from tflite.conversion import step_graph
from tflite.runtimes import load_model

CELLS = ("SimpleRNN", "GRU", "LSTM")
FORMS = {"int8": ("int8", None), "int8_state16": ("int8", "int16"), "int16": ("int16", None)}
XS = waves(16, batch=4)
STREAM = 0.7 * waves(12, seed=2)  # others than the ranges have seen, but not beyond them


@cache
def calibrated(cell: str, form: str, **options) -> QuantizedModel:
    """Shared between tests, which leave it as it is."""
    activations, state_dtype = FORMS[form]
    twin = quantize_aware(network(cell, **options), activations, state_dtype=state_dtype)
    calibrate(twin, [XS])
    return twin


@cache
def outputs(cell: str, form: str) -> np.ndarray:
    """What the device will say to STREAM."""
    return np.asarray(calibrated(cell, form)(STREAM))


def every_cell_and_form(test):
    return pytest.mark.parametrize("form", FORMS)(pytest.mark.parametrize("cell", CELLS)(test))


def affines(model) -> dict:
    """Every range of every layer."""
    return {
        (layer.name, name): quantizer.affine
        for layer in model.layers if isinstance(layer, StepLayer)
        for name, quantizer in layer.quantizers.items()
    }


def values(model) -> dict[str, np.ndarray]:
    return {weight.path: weight.numpy() for weight in model.weights}


def assert_same_values(ours: dict, expected: dict):
    assert ours.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(ours[path], value, err_msg=path)


# The integers


@every_cell_and_form
def test_near_the_float_model(cell, form):
    """What is left of the difference is the form's, not a mistake's."""
    ours, expected = outputs(cell, form), np.asarray(network(cell)(STREAM))
    error = np.sqrt(np.mean((ours - expected) ** 2)) / expected.std()
    assert 0 < error < (0.015 if form == "int16" else 0.05)


@every_cell_and_form
def test_outputs_are_integers_of_their_range(cell, form):
    affine = calibrated(cell, form).get_layer("head").quantizers["output"].affine
    assert affine.bits == (16 if form == "int16" else 8)
    np.testing.assert_array_equal(affine.dequantize(affine.quantize(outputs(cell, form))), outputs(cell, form))


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_as_tflm(cell):
    """A first look; tests/tflite proves it for every form and layer."""
    runtime = load_model(convert(calibrated(cell, "int8")).tflite, "tflm")
    np.testing.assert_array_equal(outputs(cell, "int8")[0], [runtime.step(x) for x in STREAM[0]])


@every_cell_and_form
def test_training_computes_nearly_the_same(cell, form):
    """Fake quantization rounds what the kernels round, but for ties; int16 kernels also interpolate a table."""
    twin = calibrated(cell, form)
    quantum = twin.get_layer("head").quantizers["output"].affine.scale
    differences = np.abs(np.asarray(twin(STREAM, training=True)) - outputs(cell, form)) / quantum
    mean, largest = (1.5, 8) if form == "int16" else (0.5, 2.5)
    assert differences.mean() < mean and differences.max() < largest


def test_each_sequence_of_a_batch_is_on_its_own():
    twin = calibrated("SimpleRNN", "int8")
    alone = np.concatenate([np.asarray(twin(one[None])) for one in XS])
    np.testing.assert_array_equal(np.asarray(twin(XS)), alone)


def test_sequences_of_any_length_one_after_the_other():
    twin = calibrated("SimpleRNN", "int8")
    whole = twin.predict(STREAM, verbose=0)
    np.testing.assert_array_equal(whole, np.asarray(twin(STREAM)))
    np.testing.assert_array_equal(twin.predict(STREAM[:, :9], verbose=0), whole[:, :9])
    np.testing.assert_array_equal(np.asarray(twin(STREAM[:, :1])), whole[:, :1])


def test_padding_is_as_if_it_were_not_there():
    model = sequential(layers.Masking(), layers.LSTM(4, name="rnn"), layers.Dense(2))
    twin, padding = quantize_aware(model), np.zeros((4, 2, 3), np.float32)
    calibrate(twin, [XS])
    alone = np.asarray(twin(XS[:, :4]))
    np.testing.assert_array_equal(np.asarray(twin(np.concatenate([XS[:, :4], padding], axis=1))), alone)
    np.testing.assert_array_equal(np.asarray(twin(np.concatenate([padding, XS[:, :4]], axis=1))), alone)


# The ranges


@every_cell_and_form
def test_scales_let_all_runtimes_rescale_alike(cell, form):
    """LiteRT computes with float32 quotients of scales, TensorFlow Lite Micro with float64: both must be the same.

    int16 sums of products have 64 bits, which the two round differently but where scales are powers of two.
    """
    graph = step_graph(calibrated(cell, form))
    scales = {tensor.name: (tensor.affine.scale, tensor.affine.bits) for tensor in graph.tensors if tensor.affine}
    kinds = [op.kind for op in graph.ops]
    assert kinds.count("MUL") == {"SimpleRNN": 0, "GRU": 2, "LSTM": 3}[cell]
    for op in graph.ops:
        (output, _), (first, bits) = scales.get(op.outputs[0], (1, 0)), scales.get(op.inputs[0], (1, 0))
        if op.kind in ("MUL", "BATCH_MATMUL", "FULLY_CONNECTED"):
            second, _ = scales[op.inputs[1]]
            single = np.float32(first) * np.float32(second)
            assert np.float64(single) == first * second, op
        if op.kind == "MUL":
            assert np.float64(single / np.float32(output)) == first * second / output, op
        if op.kind == "FULLY_CONNECTED" and bits == 16:
            assert np.log2(first) % 1 == 0 and np.log2(output) % 1 == 0, op
        if op.kind in ("LOGISTIC", "TANH") and bits == 16:
            octave = np.log2(first)
            assert abs(octave - round(octave)) > 1.4e-3, op


def test_a_factor_follows_its_product():
    """The range of a product is fixed before those of its factors, whose scales are made to fit it."""
    twin = calibrated("GRU", "int8")
    quantizers = twin.get_layer("rnn").quantizers
    factors = [quantizer for quantizer in quantizers.values() if quantizer.product is not None]
    assert len(factors) == 2
    for factor in factors:
        significand, _ = np.frexp(factor.affine.scale / factor.product.affine.scale)
        assert significand * 4096 % 1 == 0


@every_cell_and_form
def test_what_predicts_is_what_is_converted(cell, form):
    """The settled quantization, of which the integers are computed, and the one the converted tensor gets."""
    for layer in calibrated(cell, form).layers[1:]:
        for name, quantizer in layer.quantizers.items():
            settled, affine = quantizer.form, quantizer.affine
            expected = (affine.scale, affine.zero_point, affine.bits)
            assert (float(settled.scale), int(settled.zero_point), settled.bits) == expected, name


@every_cell_and_form
def test_what_the_kernels_dictate(cell, form):
    twin, rnn = calibrated(cell, form), calibrated(cell, form).get_layer("rnn")
    bits = 8 if form == "int8" and cell != "LSTM" else 16
    h = rnn.quantizers["h_wide" if cell == "LSTM" else "h"].affine
    assert (h.scale, h.zero_point, h.bits) == (2.0 ** (1 - bits), 0, bits)
    gates = {"SimpleRNN": [], "GRU": ["gate_outputs"], "LSTM": ["gate_outputs"]}[cell]
    for name in gates:
        affine = rnn.quantizers[name].affine
        assert (affine.scale, affine.zero_point) == ((1 / 256, -128) if bits == 8 else (1 / 32768, 0))
    graph = step_graph(twin)
    assert len(graph.states) == (2 if cell == "LSTM" else 1)
    for _, read, written in graph.states:
        assert graph.tensor(read).affine == graph.tensor(written).affine


def test_the_cell_state_of_an_lstm_is_bounded():
    """One extreme reading must not cost all the others their resolution."""
    model = network("LSTM", head=None)
    kernel, recurrent, _ = (weight.numpy() for weight in model.get_layer("rnn").weights)
    model.get_layer("rnn").set_weights([kernel, recurrent, np.full(16, 20.0)])  # i, f, g and o are 1: c grows by 1
    twin = quantize_aware(model)
    calibrate(twin, [XS])
    c = twin.get_layer("rnn").quantizers["c"].affine
    assert c.bits == 16 and 7.9 < c.range[1] < 8.1
    np.testing.assert_allclose(np.asarray(twin(XS))[:, 8:], 1, atol=1 / 64)  # tanh(8), also 16 steps on


def test_calibration_covers_all_batches_and_repeats(monkeypatch):
    monkeypatch.setattr(qat_model, "round_weights", lambda layer, moments: None)  # once rounded is rounded
    batches = [waves(12, 1), 2 * waves(9, 2)]
    one, other = quantize_aware(network("SimpleRNN")), quantize_aware(network("SimpleRNN"))
    calibrate(one, batches)
    calibrate(other, [100 * XS])
    calibrate(other, iter(batches))  # the last one counts
    low, high = affines(one)["quantize_x", "output"].range
    everything = np.concatenate([batch[0] for batch in batches])
    assert low == pytest.approx(everything.min(), abs=0.02) and high == pytest.approx(everything.max(), abs=0.02)
    assert_same_values(values(one), values(other))


def test_calibration_observes_rolled_out_states():
    """A constant input: only the state moves. The range of its product is that of all its steps."""
    model, xs = network(), np.ones((1, 30, 3), np.float32)
    twin = quantize_aware(model)
    calibrate(twin, [xs])
    _, recurrent, bias = (weight.numpy() for weight in model.get_layer("rnn").weights)
    states = np.asarray(keras.Model(model.inputs, model.get_layer("rnn").output)(xs))[0]
    products = np.concatenate([np.zeros((1, 4)), states[:-1]]) @ recurrent[:, 8:] + bias[1, 8:]
    low, high = affines(twin)["rnn", "state_candidate"].range
    assert low == pytest.approx(min(products.min(), 0), abs=0.03)
    assert high == pytest.approx(max(products.max(), 0), abs=0.03)
    assert affines(twin)["quantize_x", "output"].range == pytest.approx((0, 1), abs=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_calibration_refuses_what_is_no_number(bad):
    twin, xs = quantize_aware(network("SimpleRNN")), waves(16)
    xs[0, 7, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        calibrate(twin, [waves(16), xs])
    assert not twin.is_calibrated and not any(getattr(layer, "observe", False) for layer in twin.layers)
    calibrate(twin, [XS])  # a refusal leaves nothing behind that a second call would trip over
    np.testing.assert_array_equal(np.asarray(twin(STREAM)), np.asarray(calibrated("SimpleRNN", "int8")(STREAM)))


@pytest.mark.parametrize("form", FORMS)
def test_a_tensor_that_never_moved_is_named(form):
    activations, state_dtype = FORMS[form]
    with pytest.raises(ValueError, match="layer 'quantize_x', tensor 'output'.*calibrate on streams that move it"):
        calibrate(quantize_aware(network(), activations, state_dtype=state_dtype), [np.zeros((1, 9, 3), np.float32)])


def test_a_tensor_inside_a_layer_that_never_moved_is_named():
    """A relu that is closed for good."""
    model = network("SimpleRNN", activation="relu")
    model.get_layer("rnn").cell.bias.assign(np.full(4, -50.0))
    with pytest.raises(ValueError, match="layer 'rnn', tensor 'h'.*calibrate on streams that move it"):
        calibrate(quantize_aware(model), [XS])


def test_a_network_that_overflows_is_told_from_one_that_rests():
    """A relu whose state is fed back, larger every step."""
    model = network("SimpleRNN", activation="relu")
    model.get_layer("rnn").cell.recurrent_kernel.assign(np.full((4, 4), 1e9))
    with pytest.raises(ValueError, match="layer 'rnn', tensor '.*': .*grow beyond all bounds on these streams"):
        calibrate(quantize_aware(model), [XS])


def test_no_batch():
    with pytest.raises(ValueError, match="layer 'quantize_x'.*calibrate"):
        calibrate(quantize_aware(network()), [])


# What was asked for


@pytest.mark.parametrize(("arguments", "words"), [
    ({"activations": "int4"}, "activations='int4': expected one of 'float32', 'int8', 'int16'"),
    ({"activations": "float32"}, "activations='float32': a float model needs no quantization"),
    ({"state_dtype": "int4"}, "state_dtype='int4': expected one of"),
    ({"activations": "int16", "state_dtype": "int8"}, "state_dtype='int8' goes with activations='int8'"),
])
def test_numbers_that_are_none(arguments, words):
    with pytest.raises(ValueError, match=words):
        quantize_aware(network(), **arguments)


@pytest.mark.parametrize(("form", "expected"), [
    (("int8", None), NumericForm("int8")), (("int8", "int8"), NumericForm("int8")),
    (("int8", "int16"), NumericForm("int8", "int16")), (("int16", None), NumericForm("int16")),
])
def test_the_form_asked_for(form, expected):
    twin = quantize_aware(network("SimpleRNN"), form[0], state_dtype=form[1])
    assert twin.form == expected and not twin.is_calibrated


def test_a_model_without_a_layer_to_quantize_stays_float():
    twin = quantize_aware(sequential(layers.LayerNormalization()))
    assert twin.form == NumericForm("float32") and twin.is_calibrated
    runtime = load_model(convert(twin).tflite, "tflm")
    np.testing.assert_allclose([runtime.step(x) for x in STREAM[0]], np.asarray(twin(STREAM))[0], atol=1e-5)


def test_not_built():
    with pytest.raises(ValueError, match="'bare' is not built"):
        quantize_aware(keras.Sequential([layers.GRU(3)], name="bare"))


def test_refused_by_name():
    """Every reason is tried in test_supported_layers.py."""
    with pytest.raises(UnsupportedLayer, match="'odd'.*future.*use a forward LSTM or GRU"):
        quantize_aware(sequential(layers.Bidirectional(layers.GRU(3), name="odd")))
    with pytest.raises(UnsupportedLayer, match="quantization-aware already"):
        quantize_aware(calibrated("GRU", "int8"))


# Training

TARGETS = np.tanh(np.cumsum(XS[..., :2], axis=1) / 5)
PADDED = np.where(np.arange(16)[:, None] < np.array([16, 12, 16, 9])[:, None, None], XS, 0)


def masked_network():
    return sequential(layers.Masking(), layers.SimpleRNN(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.2),
                      layers.Dropout(0.1), layers.Dense(2))


def fitted(**options):
    """The model it was made from, the fitted one, and what the training said: with masks, several steps at once."""
    keras.utils.set_random_seed(0)
    model = masked_network()
    twin = quantize_aware(model)
    twin.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"], steps_per_execution=4)
    train = tf.data.Dataset.from_tensor_slices((PADDED, TARGETS)).repeat(6).batch(2)
    return model, twin, twin.fit(train, verbose=0, **options).history


def observed(twin):
    return [q.observed_affine for layer in twin.layers if isinstance(layer, StepLayer)
            for q in layer.quantizers.values() if isinstance(q, TensorQuantizer)]


def parted(weights):
    """What learns the ranges, and the rest."""
    stretches = [weight for weight in weights if weight.name.endswith("_stretch")]
    return stretches, [weight for weight in weights if not weight.name.endswith("_stretch")]


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=10.0),
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
    ]
    return *fitted(validation_data=(XS, TARGETS), epochs=5, callbacks=callbacks), folder


def test_training_lowers_the_loss(training):
    """That of the integers too, against the model it was made from."""
    model, twin, history, _ = training
    before, after = (np.mean((np.asarray(network(XS)) - TARGETS) ** 2) for network in (model, twin))
    assert history["loss"][-1] < 0.85 * history["loss"][0] and after < 0.85 * before


def test_fit_calibrates_a_model_nobody_calibrated(training):
    """The public promise: quantize_aware, compile, fit; ranges are calibrated from the first batches, then learned."""
    model, twin, *_ = training
    assert twin.is_calibrated
    other = quantize_aware(model)
    calibrate(other, [PADDED[:2], PADDED[2:]] * 6)
    assert observed(twin) == observed(other)
    assert [*affines(twin).values()] != [*affines(other).values()]


def test_callbacks_stop_and_save(training):
    """Nothing improves by 10: after epochs 1 and 2 it stops. The file of the last is the model."""
    _, twin, history, folder = training
    assert len(history["loss"]) == 2 and sorted(path.name for path in folder.iterdir()) == ["1.keras", "2.keras"]
    again = keras.models.load_model(folder / "2.keras")
    assert_same_values(values(again), values(twin))
    assert again.compiled and again.is_calibrated


def test_the_model_it_was_made_from_is_left_alone(training):
    assert_same_values(dict(enumerate(training[0].get_weights())), dict(enumerate(masked_network().get_weights())))


def test_every_weight_learned(training):
    model, twin, *_ = training
    stretches, after = parted(twin.trainable_weights)
    assert {weight.name for weight in after} == {"kernel", "recurrent_kernel", "bias"} and len(after) == 5
    for weight, old in zip(after, model.get_weights(), strict=True):
        assert np.abs(weight.numpy() - old).max() > 1e-3, weight.path
    assert len(stretches) > 3 and all(abs(weight.numpy()) > 1e-5 for weight in stretches)


def test_the_same_seed_the_same_model(training):
    _, twin, history, _ = training
    _, again, losses = fitted(epochs=2)
    assert losses["loss"] == history["loss"]
    assert_same_values(dict(enumerate(values(again).values())), dict(enumerate(values(twin).values())))


@every_cell_and_form
def test_gradients_reach_every_weight(cell, form):
    twin = calibrated(cell, form)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(twin(XS[:, :6], training=True) - TARGETS[:, :6]))
    weights = twin.trainable_weights
    stretches, others = parted(weights)
    assert len(others) == 5 and bool(stretches) == (form != "int16")
    for weight, gradient in zip(weights, tape.gradient(loss, [w.value for w in weights]), strict=True):
        gradient = np.asarray(gradient)
        assert np.isfinite(gradient).all() and np.count_nonzero(gradient) >= 0.75 * gradient.size, weight.path


def test_gradients_stop_where_a_tensor_saturates():
    twin = calibrated("GRU", "int8")
    xs = tf.constant(np.where(np.arange(16)[:, None] == 7, 9 * np.sign(XS), XS))
    with tf.GradientTape() as tape:
        tape.watch(xs)
        loss = tf.reduce_sum(twin(xs, training=True))
    gradient = tape.gradient(loss, xs).numpy()
    assert (gradient[:, 7] == 0).all() and (gradient[:, :7] != 0).mean() > 0.9 and (gradient[:, 8:] != 0).mean() > 0.9


def test_training_leaves_the_ranges_alone():
    twin = calibrated("GRU", "int8")
    before = affines(twin)
    twin(9 * XS, training=True)
    twin(9 * XS)
    assert affines(twin) == before and len(before) > 10


@pytest.fixture
def no_training(monkeypatch):
    """`fit` without its epochs: what it does before."""
    monkeypatch.setattr(keras.Model, "fit", lambda self, *args, **kwargs: None)


@pytest.mark.parametrize("make", [
    lambda: (XS, TARGETS), lambda: ([XS], TARGETS), lambda: (tf.constant(XS), TARGETS),
    lambda: ({"x": XS}, TARGETS), lambda: (tf.data.Dataset.from_tensor_slices((XS, TARGETS)).batch(4),),
    lambda: (tf.data.Dataset.from_tensor_slices((XS, TARGETS, np.ones(4))).batch(4),),
], ids=["array", "list", "tensor", "by name", "dataset", "dataset with weights"])
def test_fit_calibrates_by_what_it_is_given(make, no_training):
    twin = quantize_aware(network("SimpleRNN"))
    twin.fit(*make())
    assert affines(twin) == affines(calibrated("SimpleRNN", "int8"))


def test_fit_calibrates_by_all_inputs(no_training):
    a, b = keras.Input((None, 3), name="a"), keras.Input((None, 3), name="b")
    twin = quantize_aware(keras.Model([a, b], layers.Add(name="sum")([a, b])))
    twin.fit([XS, 3 * XS], 4 * XS)
    assert affines(twin)["sum", "output"].range == pytest.approx((4 * XS.min(), 4 * XS.max()), abs=0.1)


def test_fit_does_not_calibrate_again(no_training):
    twin = calibrated("GRU", "int8")
    before = affines(twin)
    twin.fit(9 * XS, TARGETS)
    assert affines(twin) == before


def test_fit_of_a_generator_says_what_to_do():
    twin = quantize_aware(network())
    twin.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"fit\(generator\).*call calibrate\(model, batches\) before"):
        twin.fit(pair for pair in [(XS, TARGETS)])


@pytest.mark.parametrize("method", [
    "predict", "evaluate", "predict_on_batch", "test_on_batch", "train_on_batch", "__call__"])
def test_nothing_before_the_ranges(method):
    twin = quantize_aware(network())
    twin.compile("sgd", "mse")
    arguments = (XS, TARGETS) if method.startswith(("evaluate", "test", "train")) else (XS,)
    with pytest.raises(ValueError, match="has no ranges yet: fit it, or calibrate"):
        getattr(twin, method)(*arguments)


def test_convert_before_the_ranges():
    with pytest.raises(ValueError, match="calibrate"):
        convert(quantize_aware(network()))


# Files

SAVED = {
    "gru": lambda: quantize_aware(network(reset_after=False, use_bias=False)),
    "lstm, wide state": lambda: quantize_aware(network("LSTM", return_sequences=False), state_dtype="int16"),
    "convolution, int16": lambda: quantize_aware(functional(
        lambda x: layers.Conv1D(4, 2, dilation_rate=2, padding="causal", activation="tanh")(x),
        lambda x, c: layers.Concatenate()([x, c]), lambda x, c, j: layers.SimpleRNN(4, return_sequences=True)(j),
        lambda x, c, j, h: layers.Add()([c, h]), lambda x, c, j, h, s: layers.LayerNormalization()(s)), "int16"),
    "masks": lambda: quantize_aware(sequential(layers.Masking(), layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)]))),
}


@pytest.mark.parametrize("name", SAVED)
def test_saved_and_loaded(name, tmp_path):
    """Equal predictions, ranges and constants, and the same bytes when converted."""
    twin = SAVED[name]()
    calibrate(twin, [XS])
    twin.save(tmp_path / "qat.keras")
    again = keras.models.load_model(tmp_path / "qat.keras")
    assert type(again) is QuantizedModel and again.form == twin.form
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in twin.layers]
    assert affines(again) == affines(twin)
    assert_same_values(values(again), values(twin))
    np.testing.assert_array_equal(np.asarray(again(STREAM[:, :5])), np.asarray(twin(STREAM[:, :5])))
    assert convert(again).tflite == convert(twin).tflite


def test_the_fused_lstm(tmp_path):
    """With its state inside, an int8 LSTM is one operator, which computes in its own way."""
    twin = quantize_aware(network("LSTM"), state="internal")
    calibrate(twin, [XS])
    expected, ours = np.asarray(network("LSTM")(STREAM)), np.asarray(twin(STREAM))
    assert np.sqrt(np.mean((ours - expected) ** 2)) < 0.07 * expected.std()
    assert np.abs(np.asarray(twin(STREAM, training=True)) - ours).max() < 0.1 * expected.std()
    twin.save(tmp_path / "qat.keras")
    again = keras.models.load_model(tmp_path / "qat.keras")
    content = convert(again, state="internal").tflite
    assert content == convert(twin, state="internal").tflite
    runtime = load_model(content, "tflm")
    np.testing.assert_array_equal(np.asarray(again(STREAM))[0], [runtime.step(x) for x in STREAM[0]])


def test_saved_before_the_ranges(tmp_path):
    """They are part of what is loaded: none yet."""
    quantize_aware(network("SimpleRNN")).save(tmp_path / "qat.keras")
    again = keras.models.load_model(tmp_path / "qat.keras")
    assert not again.is_calibrated
    calibrate(again, [XS])
    assert affines(again) == affines(calibrated("SimpleRNN", "int8"))
