"""`quantize_aware` and `calibrate` over whole models."""

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import network, waves

from keras_models import quantize_aware
from keras_models.qat_model import UnsupportedLayer, calibrate


def ranges(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def test_same_weights():
    model = network()
    twin = quantize_aware(model)
    for layer in model.layers[1:]:
        theirs = {weight.name: weight.numpy() for weight in twin.get_layer(layer.name).weights}
        for weight in layer.weights:
            np.testing.assert_array_equal(theirs[weight.name], weight.numpy())


def test_the_model_it_was_made_from_is_left_alone():
    model, xs = network(), waves(30)
    before = model.predict(xs[None], verbose=0)
    twin = quantize_aware(model)
    calibrate(twin, [xs[None]])
    twin.compile("adam", "mse")
    twin.fit(xs[None], xs[None, :, :2], verbose=0)
    np.testing.assert_array_equal(model.predict(xs[None], verbose=0), before)


def test_saved_and_loaded(tmp_path):
    """Equal predictions, ranges and constants; the layers come back from the file by themselves."""
    twin, xs = quantize_aware(network()), waves(30)[None]
    calibrate(twin, [xs])
    twin.save(tmp_path / "qat.keras")
    again = keras.models.load_model(tmp_path / "qat.keras")
    np.testing.assert_array_equal(again.predict(xs, verbose=0), twin.predict(xs, verbose=0))
    loaded = ranges(again)
    for path, values in ranges(twin).items():
        np.testing.assert_array_equal(loaded[path], values)


def test_options_survive_the_file(tmp_path):
    twin = quantize_aware(network(reset_after=False, use_bias=False, return_sequences=False))
    twin.save(tmp_path / "qat.keras")
    config = keras.models.load_model(tmp_path / "qat.keras").get_layer("gru").get_config()
    assert (config["reset_after"], config["use_bias"], config["return_sequences"]) == (False, False, False)


def test_sequential_and_branches():
    sequential = keras.Sequential([keras.Input((None, 3)), layers.GRU(4, return_sequences=True), layers.Dropout(0.5),
                                   layers.Dense(2)])
    assert quantize_aware(sequential).output_shape == (None, None, 2)
    x = keras.Input((None, 3), name="x")
    branches = keras.Model(x, [layers.GRU(2, name="a")(x), layers.Dense(1, name="b")(x)])
    twin = quantize_aware(branches)
    inputs = [layer for layer in twin.layers if type(layer).__name__ == "QuantInput"]
    assert len(inputs) == 1, "an input is quantized once for all its consumers"
    calibrate(twin, [waves(30)[None]])


def test_calibration_covers_all_batches_and_repeats():
    one, other = quantize_aware(network()), quantize_aware(network())
    batches = [waves(30, 1)[None], 2 * waves(30, 2)[None]]
    calibrate(one, batches)
    calibrate(other, iter(batches))
    low, high = one.get_layer("quantize_x").output_affine.range
    everything = np.concatenate(batches)
    assert low == pytest.approx(everything.min(), abs=0.02) and high == pytest.approx(everything.max(), abs=0.02)
    for (path, values), theirs in zip(ranges(one).items(), ranges(other).values(), strict=True):
        np.testing.assert_array_equal(values, theirs, err_msg=path)


def test_calibration_observes_rolled_out_states():
    """A constant input: only the state moves. The range of the state's product must be that of the last steps too."""
    twin, model = quantize_aware(network()), network()
    xs = np.ones((1, 50, 3), np.float32)
    calibrate(twin, [xs])
    kernel, recurrent, bias = (weight.numpy() for weight in model.get_layer("gru").weights)
    states = keras.Model(model.inputs, model.get_layer("gru").output).predict(xs, verbose=0)[0]
    product = states @ recurrent[:, 8:] + bias[1, 8:]
    low, high = twin.get_layer("gru").quantizers["state_candidate"].affine.range
    assert low == pytest.approx(min(product.min(), bias[1, 8:].min()), abs=0.1)
    assert high == pytest.approx(max(product.max(), bias[1, 8:].max()), abs=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_calibration_refuses_what_is_no_number(bad):
    twin, xs = quantize_aware(network()), waves(30)[None]
    xs[0, 7, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        calibrate(twin, [xs])
    calibrate(twin, [waves(30)[None]])  # a refusal leaves nothing behind that a second call would trip over
    assert not any(getattr(layer, "observe", False) for layer in twin.layers)


def test_a_tensor_that_never_moved_is_named():
    with pytest.raises(ValueError, match="x.*calibrate on streams that move it"):
        calibrate(quantize_aware(network()), [np.zeros((1, 30, 3), np.float32)])


def odd(make):
    x = keras.Input((None, 3), name="x")
    return keras.Model(x, make(x))


REFUSED = {
    "Bidirectional": lambda x: layers.Bidirectional(layers.GRU(3), name="odd_one")(x),
    "LSTM": lambda x: layers.LSTM(3, name="odd_one")(x),
    "activation='relu'": lambda x: layers.GRU(3, activation="relu", name="odd_one")(x),
    "recurrent_activation='relu'": lambda x: layers.GRU(3, recurrent_activation="relu", name="odd_one")(x),
    "go_backwards=True": lambda x: layers.GRU(3, go_backwards=True, name="odd_one")(x),
    "activation='softmax'": lambda x: layers.Dense(3, activation="softmax", name="odd_one")(x),
    "return_state": lambda x: layers.GRU(3, return_state=True, name="odd_one")(x),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_integer_form_is_refused_by_layer_and_reason(reason):
    with pytest.raises(UnsupportedLayer, match=f"odd_one.*{reason}"):
        quantize_aware(odd(REFUSED[reason]))


def test_a_layer_called_twice():
    layer = layers.Dense(3, name="odd_one")
    with pytest.raises(UnsupportedLayer, match="odd_one"):
        quantize_aware(odd(lambda x: layer(layer(x))))


def test_an_initial_state_from_outside():
    x, state = keras.Input((None, 3), name="x"), keras.Input((4,), name="state")
    with pytest.raises(UnsupportedLayer, match="odd_one"):
        quantize_aware(keras.Model([x, state], layers.GRU(4, name="odd_one")(x, initial_state=state)))


@pytest.mark.parametrize("form", ["array", "dataset", "list"])
def test_fit_calibrates_a_model_nobody_calibrated(form):
    """The public promise: quantize_aware, compile, fit; ranges are calibrated from the first batches."""
    import tensorflow as tf

    xs = np.stack([waves(30, seed) for seed in range(4)])
    ys = xs[:, :, :2]
    twin, other = quantize_aware(network()), quantize_aware(network())
    assert not twin.is_calibrated
    data = {"array": (xs, ys), "list": ([xs], ys), "dataset": (tf.data.Dataset.from_tensor_slices((xs, ys)).batch(4),)}
    twin.compile("sgd", "mse")
    twin.fit(*data[form], epochs=1, verbose=0)
    assert twin.is_calibrated
    calibrate(other, [xs])
    for layer in other.layers[1:]:
        for name, quantizer in layer.quantizers.items():
            assert twin.get_layer(layer.name).quantizers[name].affine == quantizer.affine


def test_fit_does_not_calibrate_again():
    twin = quantize_aware(network())
    calibrate(twin, [waves(30)[None]])
    before = twin.get_layer("quantize_x").output_affine
    twin.compile("sgd", "mse")
    twin.fit(9 * waves(30)[None], waves(30)[None, :, :2], verbose=0)
    assert twin.get_layer("quantize_x").output_affine == before


def test_not_built():
    with pytest.raises(ValueError, match="'bare' is not built"):
        quantize_aware(keras.Sequential([layers.GRU(3)], name="bare"))


def test_unknown_activations():
    with pytest.raises(ValueError, match="activations='int4': expected 'int8'"):
        quantize_aware(network(), activations="int4")
