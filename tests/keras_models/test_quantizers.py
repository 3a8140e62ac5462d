"""Fake quantizers of TFMOT inside Keras 3 layers, against TensorFlow's kernels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, quantize_weights
from keras_models.quantizers import TensorQuantizer, WeightQuantizer, fixed_fake_quant

VALUES = np.random.default_rng(0).normal(0.5, 2, (50, 4)).astype(np.float32)


def layer():
    return keras.layers.Layer(name="owner")


def test_range_is_the_exact_range_of_everything_seen():
    quantizer = TensorQuantizer(layer(), "tensor")
    for part in np.split(VALUES, 5):
        quantizer(part, observe=True)
    low, high = quantizer.affine.range
    step = quantizer.affine.scale
    assert low == pytest.approx(VALUES.min(), abs=step) and high == pytest.approx(VALUES.max(), abs=step)
    assert step == pytest.approx((VALUES.max() - VALUES.min()) / 255, rel=1 / 4096)  # a scale has 12 bits


def test_without_observing_the_range_stays_and_values_saturate():
    quantizer = TensorQuantizer(layer(), "tensor")
    quantizer(VALUES, observe=True)
    before = quantizer.affine
    far = quantizer(100 * VALUES, observe=False).numpy()
    assert quantizer.affine == before
    assert (far.min(), far.max()) == pytest.approx(before.range, rel=1e-4)


def test_values_are_those_of_the_kernel():
    quantizer = TensorQuantizer(layer(), "tensor")
    quantizer(VALUES, observe=True)
    expected = tf.quantization.fake_quant_with_min_max_vars(VALUES, VALUES.min(), VALUES.max())
    np.testing.assert_array_equal(quantizer(VALUES, observe=False), expected)


def test_a_range_that_never_moved_is_named():
    quantizer = TensorQuantizer(layer(), "candidate")
    with pytest.raises(ValueError, match="candidate.*calibrate"):
        _ = quantizer.affine
    quantizer(np.zeros((2, 2), np.float32), observe=True)
    with pytest.raises(ValueError, match="candidate.*calibrate"):
        _ = quantizer.affine


def test_settled_the_range_is_that_of_the_converted_tensor():
    """Fake quantization then gives the very reals the integers stand for."""
    quantizer = TensorQuantizer(layer(), "tensor")
    quantizer(VALUES, observe=True)
    quantizer.settle(1.0, np.inf)
    affine = quantizer.affine
    integers = affine.quantize(VALUES)
    ours = quantizer(VALUES, observe=False).numpy()
    assert np.mean(np.abs(ours - affine.dequantize(integers)) > affine.scale * 1e-3) < 0.01  # ties
    quantizer.settle(1.0, np.inf)
    assert quantizer.affine == affine, "settled twice is settled once"


def test_settling_narrows_only():
    quantizer = TensorQuantizer(layer(), "tensor")
    quantizer(np.array([-1.0, 9.0], np.float32), observe=True)
    quantizer.settle(1.0, 3.0)
    assert quantizer.affine.range == pytest.approx((-1, 3), abs=4 / 255)


def test_settling_keeps_the_share_asked_for():
    quantizer = TensorQuantizer(layer(), "tensor")
    quantizer(np.array([-1.0, 9.0], np.float32), observe=True)
    quantizer.settle(0.5, np.inf)
    assert quantizer.affine.range == pytest.approx((-0.5, 4.5), abs=5 / 255)


def test_weights_follow_their_values_also_in_evaluation():
    quantizer = WeightQuantizer(layer(), "kernel")
    for scale in (1, 10, 0.1):
        weights = scale * VALUES
        integers, affine = quantize_weights(weights)  # what is shipped; proven in test_affine_quantization.py
        ours = quantizer(weights).numpy()
        assert np.mean(np.abs(ours - affine.dequantize(integers)) > affine.scale * 1e-3) < 0.01  # ties
        assert np.abs(ours - weights).max() <= 0.52 * affine.scale + np.abs(weights).max() / 4096


def test_the_gradient_passes_inside_the_range_and_stops_outside():
    quantizer = TensorQuantizer(layer(), "tensor")
    quantizer(np.array([-1.0, 1.0], np.float32), observe=True)
    values = tf.constant([-5.0, -0.5, 0.3, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = quantizer(values, observe=False)
    np.testing.assert_array_equal(tape.gradient(result, values), [0, 1, 1, 0])


@pytest.mark.parametrize(("affine", "low", "high"), [(SIGMOID_OUTPUT, 0, 255 / 256), (TANH_OUTPUT, -1, 127 / 128)])
def test_what_the_kernels_dictate(affine, low, high):
    values = np.linspace(-1.5, 1.5, 999, dtype=np.float32)
    result = fixed_fake_quant(values, affine).numpy()
    assert (result.min(), result.max()) == (low, high)
    inside = (values > low) & (values < high)
    assert np.abs(result - values)[inside].max() <= affine.scale / 2 * 1.001
