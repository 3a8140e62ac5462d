"""Quantization-aware layers in themselves; tests/tflite/test_conversion.py proves that they are the integer graph."""

import keras
import numpy as np
import pytest
from small_networks import network, waves

from keras_models import quantize_aware
from keras_models.affine_quantization import Affine
from keras_models.qat_cells import representable_one
from keras_models.qat_model import calibrate


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("reset_after", [True, False])
def test_near_the_float_layer(reset_after, use_bias, return_sequences):
    """int8 everywhere: a few quanta (1/128) of the state on the average, over 100 steps."""
    model = network(reset_after=reset_after, use_bias=use_bias, return_sequences=return_sequences, head=None)
    twin, xs = quantize_aware(model), waves(100)
    calibrate(twin, [xs[None]])
    ours, expected = twin.predict(xs[None], verbose=0), model.predict(xs[None], verbose=0)
    assert ours.shape == expected.shape == ((1, 100, 4) if return_sequences else (1, 4))
    assert np.sqrt(np.mean((ours - expected) ** 2)) < 4 / 128
    np.testing.assert_allclose(ours * 128, np.round(ours * 128), atol=1e-3)


def test_each_sequence_of_a_batch_is_on_its_own():
    twin = quantize_aware(network())
    streams = np.stack([waves(40, seed) for seed in range(3)])
    calibrate(twin, [streams])
    together = twin.predict(streams, verbose=0)
    alone = np.concatenate([twin.predict(one[None], verbose=0) for one in streams])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_past_does_not_see_the_future():
    twin = quantize_aware(network())
    xs = waves(40)
    calibrate(twin, [xs[None]])
    whole = twin.predict(xs[None], verbose=0)[0]
    changed = xs.copy()
    changed[25:] = -changed[25:]
    np.testing.assert_array_equal(twin.predict(changed[None], verbose=0)[0, :25], whole[:25])


def test_sequences_of_any_length_one_after_the_other():
    """A Keras layer takes them in one graph, with the number of steps not known in advance."""
    twin = quantize_aware(network())
    calibrate(twin, [waves(steps)[None] for steps in (40, 30, 20, 1)])
    xs = waves(40)
    whole = twin.predict(xs[None], verbose=0)[0]
    for steps in (30, 20, 10):
        np.testing.assert_allclose(twin.predict(xs[None, :steps], verbose=0)[0], whole[:steps], atol=1e-6)


def test_weights_and_biases_learn():
    """Every float weight gets a gradient that is not zero, and training lowers the loss."""
    twin, xs = quantize_aware(network()), np.stack([waves(40, seed) for seed in range(4)])
    calibrate(twin, [xs])
    target = np.tanh(np.cumsum(xs[:, :, :2], axis=1) / 5)
    before = [weight.numpy() for weight in twin.trainable_weights]
    keras.utils.set_random_seed(0)
    twin.compile(keras.optimizers.Adam(0.01), "mse")
    losses = twin.fit(xs, target, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert {weight.name for weight in twin.trainable_weights} == {"kernel", "recurrent_kernel", "bias"}
    for weight, old in zip(twin.trainable_weights, before, strict=True):
        assert np.abs(weight.numpy() - old).max() > 1e-4, weight.path


def test_training_leaves_the_ranges_alone():
    def ranges():
        return {(layer.name, name): quantizer.affine for layer in twin.layers
                for name, quantizer in getattr(layer, "quantizers", {}).items()}

    twin, xs = quantize_aware(network()), waves(40)[None]
    calibrate(twin, [xs])
    before = ranges()
    assert len(before) == 11
    twin.compile("adam", "mse")
    twin.fit(3 * xs, 3 * xs[:, :, :2], epochs=2, verbose=0)
    assert ranges() == before


@pytest.mark.parametrize("affine", [Affine(0.1, 0), Affine(0.1, -128), Affine(0.1, 126), Affine(0.1, 127)], ids=str)
@pytest.mark.parametrize("wanted", [1e-6, 0.04, 3.0, 1e6])
def test_the_constant_input_is_held_by_the_integers_and_never_zero(affine, wanted):
    """Zero would divide the bias by nothing; with zero point 127 only negative integers are left."""
    one = representable_one(wanted, affine)
    integer = one / affine.scale + affine.zero_point
    assert one != 0 and integer == pytest.approx(round(integer), abs=1e-3) and -128 <= round(integer) <= 127
    if affine.zero_point <= 0 and 0.1 <= wanted <= 12.7:
        assert one == pytest.approx(wanted, abs=0.05)
