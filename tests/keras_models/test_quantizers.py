"""Fake quantizers of TFMOT inside Keras 3 layers, against TensorFlow's kernels and numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_models.affine_quantization import SIGMOID_OUTPUT, TANH_OUTPUT, quantize_weights
from keras_models.quantizers import FixedQuantizer, TensorQuantizer, WeightQuantizer, WidenedQuantizer, weight_scale

VALUES = np.random.default_rng(0).normal(0.5, 2, (50, 4)).astype(np.float32)


def tensor_quantizer(name="tensor", values=None, **options):
    """A quantizer that saw `values`."""
    quantizer = TensorQuantizer(keras.layers.Layer(name="owner"), name, **options)
    if values is not None:
        quantizer(np.asarray(values, np.float32), observe=True)
    return quantizer


def is_nearly_everywhere(ours, expected, step):
    """Equal but at ties, which a float32 quotient may round to the other side."""
    return np.mean(np.abs(np.asarray(ours) - expected) > step * 0.01) < 0.02


def test_range_is_the_exact_range_of_everything_seen():
    quantizer = tensor_quantizer()
    for part in np.split(VALUES, 5):
        quantizer(part, observe=True)
    low, high = quantizer.affine.range
    step = quantizer.affine.scale
    assert low == pytest.approx(VALUES.min(), abs=step) and high == pytest.approx(VALUES.max(), abs=step)
    assert step == pytest.approx((VALUES.max() - VALUES.min()) / 255, rel=1 / 2048)  # 12 bits, the last one set


def test_int16_range_is_symmetric():
    quantizer = tensor_quantizer(values=[-1.0, 3.3], bits=16)
    assert quantizer.affine.zero_point == 0
    assert quantizer.affine.range == pytest.approx((-3.3, 3.3), rel=1 / 2048)


def test_power_of_two():
    """May be asked for after the tensor was declared: only then it is known who reads it."""
    quantizer = tensor_quantizer(values=[-1.0, 3.3], bits=16)
    quantizer.power_of_two = True
    assert quantizer.affine.scale == 4 / 32768


@pytest.mark.parametrize("bits", [8, 16])
def test_without_observing_the_range_stays_and_values_saturate(bits):
    quantizer = tensor_quantizer(values=VALUES, bits=bits)
    quantizer.settle()
    before = quantizer.affine
    far = quantizer(100 * VALUES, observe=False).numpy()
    assert quantizer.affine == before
    assert (far.min(), far.max()) == pytest.approx(before.range, rel=1e-4)


def test_values_are_those_of_the_kernel():
    quantizer = tensor_quantizer(values=VALUES)
    expected = tf.quantization.fake_quant_with_min_max_vars(VALUES, VALUES.min(), VALUES.max())
    np.testing.assert_array_equal(quantizer(VALUES, observe=False), expected)


@pytest.mark.parametrize("options", [{}, {"bits": 16}, {"power_of_two": True}])
def test_a_range_that_never_moved_is_named(options):
    quantizer = tensor_quantizer("candidate", **options)
    with pytest.raises(ValueError, match="layer 'owner', tensor 'candidate'.*calibrate on streams that move it"):
        _ = quantizer.affine
    quantizer(np.zeros((2, 2), np.float32), observe=True)
    with pytest.raises(ValueError, match="candidate.*calibrate"):
        quantizer.settle()
    assert not quantizer.is_settled


@pytest.mark.parametrize("options", [{}, {"bits": 16}, {"power_of_two": True}, {"bits": 16, "power_of_two": True}])
def test_settled_the_range_is_that_of_the_converted_tensor(options):
    """Fake quantization then gives the very reals the integers stand for; of an int16 it leaves the rounding out."""
    quantizer = tensor_quantizer(values=VALUES, **options)
    assert not quantizer.is_settled
    quantizer.settle()
    assert quantizer.is_settled
    affine, form = quantizer.affine, quantizer.form
    expected = affine.dequantize(affine.quantize(VALUES))
    if affine.bits == 8:
        assert is_nearly_everywhere(quantizer(VALUES, observe=False), expected, affine.scale)
    else:
        np.testing.assert_allclose(quantizer(VALUES, observe=False), expected, atol=0.51 * affine.scale)
    assert (float(form.scale), int(form.zero_point), form.bits) == (affine.scale, affine.zero_point, affine.bits)
    quantizer.settle()
    assert quantizer.affine == affine, "settled twice is settled once"


def learner(values, stretch=0.0, product=None):
    quantizer = tensor_quantizer(values=values)
    quantizer.product = product
    quantizer.learn()
    quantizer.settle()
    (variable,) = quantizer.layer.trainable_weights
    variable.assign(stretch)
    return quantizer, variable


@pytest.mark.parametrize("stretch", [-0.3, -1e-3, 0.0, 4e-4, 0.2])
def test_a_learned_range_is_that_of_the_converted_tensor(stretch):
    calibrated = tensor_quantizer(values=VALUES).affine
    quantizer, _ = learner(VALUES, stretch)
    affine, form = quantizer.affine, quantizer.form
    assert affine.scale == pytest.approx(calibrated.scale * (1 + stretch), rel=1 / 2048)
    assert affine.zero_point == calibrated.zero_point
    assert np.frexp(affine.scale)[0] * 4096 % 2 == 1, "the last of 12 bits is set"
    assert (float(form.scale), int(form.zero_point), form.bits) == (affine.scale, affine.zero_point, 8)
    expected = affine.dequantize(affine.quantize(VALUES))
    assert is_nearly_everywhere(quantizer(VALUES, observe=False), expected, affine.scale)


@pytest.mark.parametrize(("factor", "wider"), [(0.3, True), (20, False)])
def test_a_range_learns_what_its_values_need(factor, wider):
    """Wider where most values saturate, finer where the range is twenty times as wide as they need."""
    values = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    quantizer, variable = learner(factor * values)
    start = variable.numpy()
    for _ in range(30):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((quantizer(values) - values) ** 2)
        variable.assign_sub(0.02 * np.sign(tape.gradient(loss, variable.value)))
    assert (variable.numpy() > start + 0.1) if wider else (variable.numpy() < start - 0.1)


def test_the_gradient_of_a_learned_scale():
    """That of Esser et al. 2020: rounded minus real steps inside, the last step outside, times what one step is."""
    quantizer, variable = learner([-1.0, 1.0])
    scale, zero_point = quantizer.affine.scale, quantizer.affine.zero_point
    values = np.array([0.3, -0.71, 5.0, -5.0], np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer(values) * [1.0, 10.0, 100.0, 1000.0])
    steps = values[:2] / scale
    expected = [*(np.round(steps) - steps), 127 - zero_point, -128 - zero_point] @ np.array([1, 10, 100, 1000]) * scale
    assert float(tape.gradient(loss, variable.value)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("stretches", [(0.1, 0.0), (0.0, -0.1), (0.21, 0.13)])
def test_learned_too_the_factor_of_a_product_has_a_short_quotient_with_it(stretches):
    product, _ = learner([-1.0, 3.3], stretches[0])
    factor, _ = learner([-0.7, 0.1], stretches[1], product=product)
    quotient = factor.affine.scale / product.affine.scale
    assert np.frexp(quotient)[0] * 4096 % 2 == 1
    assert np.float64(np.float32(factor.affine.scale) / np.float32(product.affine.scale)) == quotient


def test_a_learned_range_never_vanishes():
    assert learner(VALUES, -3.0)[0].affine.scale > 0


def test_forgotten_it_is_as_it_was_at_first():
    quantizer = tensor_quantizer(values=[-100.0, 200.0])
    quantizer.settle()
    quantizer.learn()
    quantizer.layer.trainable_weights[0].assign(0.5)
    quantizer.forget()
    assert not quantizer.is_settled
    quantizer(VALUES, observe=True)
    assert quantizer.affine == tensor_quantizer(values=VALUES).affine


def test_settling_narrows_only():
    quantizer = tensor_quantizer(values=[-1.0, 9.0])
    quantizer.settle(3.0)
    assert quantizer.affine.range == pytest.approx((-1, 3), abs=4 / 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_factor_of_a_product_has_a_short_quotient_with_it(bits):
    product, factor = (tensor_quantizer(values=values, bits=bits) for values in ([-1.0, 3.3], [-0.7, 0.1]))
    factor.product = product
    product.settle()
    factor.settle()
    quotient = factor.affine.scale / product.affine.scale
    significand, _ = np.frexp(quotient)
    assert significand * 4096 == int(significand * 4096)
    span = 0.8 / 255 if bits == 8 else 0.7 / 32767
    assert factor.affine.scale == pytest.approx(span, rel=1 / 2048)


@pytest.mark.parametrize("scale", [1, 10, 0.1, 0])
def test_weights_follow_their_values_also_in_evaluation(scale):
    quantizer, weights = WeightQuantizer(keras.layers.Layer(name="owner"), "kernel"), scale * VALUES
    quantizer(5 * VALUES)  # what was before leaves no trace
    integers, affine = quantize_weights(weights)  # what is shipped; proven in test_affine_quantization.py
    assert float(weight_scale(tf.constant(weights, tf.float32))) == affine.scale
    ours = quantizer(weights.astype(np.float32)).numpy()
    assert is_nearly_everywhere(ours, affine.dequantize(integers), affine.scale)
    assert np.abs(ours - weights).max() <= 0.52 * affine.scale + np.abs(weights).max() / 4096


@pytest.mark.parametrize("scale", np.linspace(1, 2, 8))
def test_the_gradient_passes_to_all_weights(scale):
    """Also to the largest, which is beyond 127 quanta wherever the scale was shortened downwards."""
    weights = tf.constant(scale * VALUES, tf.float32)
    quantizer = WeightQuantizer(keras.layers.Layer(name="owner"), "kernel")
    with tf.GradientTape() as tape:
        tape.watch(weights)
        result = quantizer(weights)
    np.testing.assert_array_equal(tape.gradient(result, weights), np.ones_like(VALUES))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_gradient_passes_inside_the_range_and_stops_outside(bits):
    quantizer = tensor_quantizer(values=[-1.0, 1.0], bits=bits)
    quantizer.settle()
    values = tf.constant([-5.0, -0.5, 0.3, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = quantizer(values, observe=False)
    np.testing.assert_array_equal(tape.gradient(result, values), [0, 1, 1, 0])


@pytest.mark.parametrize(("affine", "low", "high"), [
    (SIGMOID_OUTPUT[8], 0, 255 / 256), (TANH_OUTPUT[8], -1, 127 / 128),
    (SIGMOID_OUTPUT[16], -1, 32767 / 32768), (TANH_OUTPUT[16], -1, 32767 / 32768),
])
def test_what_the_kernels_dictate(affine, low, high):
    values = np.linspace(-1.5, 1.5, 999, dtype=np.float32)
    quantizer = FixedQuantizer(affine)
    quantizer.settle(0.1)  # changes nothing
    result = quantizer(values).numpy()
    assert quantizer.is_settled and (result.min(), result.max()) == (low, high)
    inside = (values > low) & (values < high)
    assert np.abs(result - values)[inside].max() <= affine.scale / 2 * 1.001
    assert (float(quantizer.form.scale), int(quantizer.form.zero_point)) == (affine.scale, affine.zero_point)


def test_widened_to_16_bits_every_int8_is_itself():
    source = tensor_quantizer(values=[-0.2, 5.0])
    source.settle()
    wide = WidenedQuantizer(source, 16)
    reals = source.affine.dequantize(np.arange(-128, 128))
    np.testing.assert_array_equal(wide.affine.dequantize(wide.affine.quantize(reals)), reals)
    np.testing.assert_array_equal(wide(reals), reals)
    assert wide.affine.zero_point == 0 and float(wide.form.scale) == wide.affine.scale


def test_narrowed_to_8_bits_only_the_last_half_step_saturates():
    source = tensor_quantizer(values=[-3.0, 2.0], bits=16)
    source.settle()
    narrow = WidenedQuantizer(source, 8)
    reals = source.affine.dequantize(np.arange(-32768, 32768, 7))
    ours = narrow(reals).numpy()
    assert is_nearly_everywhere(ours, narrow.affine.dequantize(narrow.affine.quantize(reals)), narrow.affine.scale)
    assert np.abs(ours - reals).max() <= narrow.affine.scale * 1.001
    inside = reals < 126 * narrow.affine.scale
    assert np.abs(ours - reals)[inside].max() <= narrow.affine.scale * 0.501


def test_a_widened_range_is_settled_with_its_source():
    source = tensor_quantizer(values=[-3.0, 2.0], bits=8)
    wide = WidenedQuantizer(source, 16)
    assert not wide.is_settled
    wide(np.array([100.0], np.float32), observe=True)
    source.settle()
    limit = 256 * source.affine.scale
    assert wide.is_settled and wide.affine.range == pytest.approx((-limit, limit), rel=1e-3)
