"""Step layers without recurrence: in float32 Keras' own; the constants and ranges of the integer forms."""

import keras
import numpy as np
import pytest
from keras import layers
from small_networks import functional, sequential, waves

from keras_models.affine_quantization import Affine, quantize_weights
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import QuantizedModel, calibrate
from keras_models.step_layers import (
    StepActivation,
    StepAdd,
    StepConcatenate,
    StepConv1D,
    StepDense,
    StepEmbedding,
    balanced_one,
    producer,
    steps_of_one,
)
from keras_models.step_model import step_model

FLOAT, INT8, INT16 = NumericForm("float32"), NumericForm("int8"), NumericForm("int16")
XS, TOKENS = waves(12, batch=2), np.random.default_rng(0).integers(0, 7, (2, 12))
CONV = {"padding": "causal"}

MODELS = {
    "dense": lambda: sequential(layers.Dense(4)),
    "dense without bias": lambda: sequential(layers.Dense(4, use_bias=False, activation="relu")),
    "dense behind the last step": lambda: sequential(layers.GRU(3), layers.Dense(4, activation="tanh")),
    "dense at each step": lambda: sequential(layers.TimeDistributed(layers.Dense(4, activation="sigmoid"))),
    "dense softmax": lambda: sequential(layers.TimeDistributed(layers.Dense(4, activation="softmax"))),
    "convolution": lambda: sequential(layers.Conv1D(4, 3, **CONV)),
    "dilated convolution": lambda: sequential(layers.Conv1D(4, 3, dilation_rate=2, activation="relu", **CONV)),
    "convolution without bias": lambda: sequential(layers.Conv1D(2, 2, use_bias=False, activation="gelu", **CONV)),
    "convolution of one step": lambda: sequential(layers.Conv1D(4, 1, **CONV)),
    "convolution longer than the stream": lambda: sequential(layers.Conv1D(4, 7, dilation_rate=3, **CONV)),
    "stack of convolutions": lambda: sequential(layers.Conv1D(4, 2, **CONV), layers.Conv1D(3, 2, **CONV)),
    "activations": lambda: sequential(*(layers.Activation(kind) for kind in ("tanh", "relu", "sigmoid", "gelu"))),
    "activation layers": lambda: sequential(layers.ReLU(), layers.ReLU(6), layers.LeakyReLU(0.1), layers.ELU(),
                                            layers.Softmax()),
    "sum": lambda: functional(lambda x: layers.Dense(3)(x), lambda x, d: layers.Add()([x, d, x])),
    "side by side": lambda: functional(lambda x: layers.Dense(2)(x), lambda x, d: layers.Concatenate()([x, d])),
}


@pytest.mark.parametrize("name", MODELS)
def test_equals_keras(name):
    model = MODELS[name]()
    expected = np.asarray(model(XS))
    assert expected.std() > 0.01
    np.testing.assert_allclose(np.asarray(step_model(model, FLOAT)(XS)), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_embedding(dtype):
    """Keras takes tokens as floats too; that is what `keras.Input((None,))` makes."""
    model = sequential(layers.Embedding(7, 3), layers.Dense(2), shape=(None,), dtype=dtype)
    tokens = TOKENS.astype(dtype)
    np.testing.assert_allclose(np.asarray(step_model(model, FLOAT)(tokens)), np.asarray(model(tokens)), atol=1e-6)
    twin = calibrated(model, INT8, tokens)
    np.testing.assert_allclose(np.asarray(twin(tokens)), np.asarray(model(tokens)), atol=0.05)


def calibrated(model, form, data=XS):
    twin = step_model(model, form, QuantizedModel)
    calibrate(twin, [data])
    return twin


def test_masks_go_as_in_keras():
    """Through sums and joins, not through a convolution, which has masked steps under its kernel."""
    tokens = TOKENS.copy()
    tokens[0, 8:] = 0

    def masks_after(make):
        ids = keras.Input((None,), dtype="int32")
        model = keras.Model(ids, make(layers.Embedding(7, 3, mask_zero=True)(ids)))
        return [getattr(twin(tokens), "_keras_mask", None) for twin in (model, step_model(model, FLOAT))]

    cases = {
        "embedding": lambda e: e,
        "sum": lambda e: layers.Add()([e, layers.Dense(3)(e)]),
        "side by side": lambda e: layers.Concatenate()([e, layers.Dense(2)(e)]),
        "convolution": lambda e: layers.Conv1D(2, 2, **CONV)(e),
        "last step": lambda e: layers.GRU(2)(e),
        "sequence": lambda e: layers.GRU(2, return_sequences=True)(e),
    }
    for name, make in cases.items():
        expected, ours = masks_after(make)
        if expected is None:
            assert ours is None, name
        else:
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected), err_msg=name)
    assert masks_after(cases["convolution"])[0] is None and masks_after(cases["sum"])[0] is not None


def rounded(layer) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and bias of a calibrated layer of one product."""
    (weights,) = layer.matrices().values()
    return tuple(map(np.asarray, weights))


def test_int8_product_by_hand():
    """y = saturate(round(M * sum((x - zx) * w) + zy)), the bias a row of w over a constant input."""
    model = sequential(layers.Dense(4, name="head"))
    twin = calibrated(model, INT8)
    head, source = twin.get_layer("head"), twin.get_layer("quantize_x")
    x, y = source.quantizers["output"].affine, head.quantizers["output"].affine
    one = float(head.one("input"))
    kernel, bias = rounded(head)
    matrix, scale = quantize_weights(np.concatenate([kernel, bias[None] / one]))
    integers = x.quantize(np.concatenate([XS, np.full_like(XS[..., :1], one)], axis=-1)).astype(np.int64)
    real = (integers - x.zero_point) @ matrix.astype(np.int64) * (x.scale * scale.scale / y.scale) + y.zero_point
    expected = y.dequantize(np.clip(np.floor(real + 0.5), -128, 127))
    ours = np.asarray(twin(XS))
    assert np.abs(ours - expected).max() <= y.scale * 1.001 and np.mean(np.abs(ours - expected) > y.scale / 2) < 0.02
    np.testing.assert_allclose(ours, np.asarray(model(XS)), atol=0.06)


def test_int16_product_by_hand():
    model = sequential(layers.Dense(4, name="head"))
    twin = calibrated(model, INT16)
    kernel, bias = rounded(twin.get_layer("head"))
    x, y = (twin.get_layer(name).quantizers["output"].affine for name in ("quantize_x", "head"))
    weights, scale = quantize_weights(kernel)
    expected = x.dequantize(x.quantize(XS)) @ scale.dequantize(weights) + bias
    np.testing.assert_allclose(np.asarray(twin(XS)), expected, rtol=0, atol=1.1 * y.scale + 2e-6)


def test_a_large_bias_does_not_disturb_the_calibration():
    """The constant input beside it is chosen by the ranges: while they are observed, small weights still count."""
    model = sequential(layers.Dense(4, name="head"))
    model.layers[0].bias.assign([30.0, -30.0, 0.0, 0.0])
    model.layers[0].kernel.assign(np.full((3, 4), 0.1))  # less than half a quantum of a row of 30s
    observed = calibrated(model, INT8).get_layer("head").quantizers["output"].affine
    expected = np.asarray(model(XS))
    assert expected.max() > 30.35 and observed.range[1] == pytest.approx(expected.max(), abs=observed.scale)


@pytest.mark.parametrize("form", [INT8, INT16], ids=lambda form: form.name)
@pytest.mark.parametrize("name", MODELS)
def test_integers_are_near(name, form):
    """A few quanta of 8 or 16 bits of each layer's range."""
    model = MODELS[name]()
    expected, ours = np.asarray(model(XS)), np.asarray(calibrated(model, form)(XS))
    # int16 has int8 weights all the same
    assert np.sqrt(np.mean((ours - expected) ** 2)) < (0.04 if form is INT8 else 0.015) * expected.std()


@pytest.mark.parametrize("kind", ["tanh", "sigmoid"])
def test_int16_tables_get_no_power_of_two(kind):
    """Products and sums have power-of-two scales in int16, LOGISTIC and TANH must not: a QUANTIZE stands between."""
    twin = calibrated(functional(lambda x: layers.Dense(3, name="head")(x), lambda x, d: layers.Add(name="sum")([x, d]),
                                 lambda x, d, s: layers.Activation(kind, name="bend")(s)), INT16)
    octave = np.log2(twin.get_layer("bend").quantizers["activation_input"].affine.scale)
    assert abs(octave - round(octave)) > 1.4e-3
    for layer in ("quantize_x", "head", "sum"):
        assert np.log2(twin.get_layer(layer).quantizers["output"].affine.scale) % 1 == 0


def test_parts_side_by_side_share_one_quantization():
    twin = calibrated(functional(lambda x: layers.Dense(2, name="small")(x),
                                 lambda x, d: layers.Concatenate(name="both")([d, x])), INT8)
    (quantizer,) = {id(q): q for q in twin.get_layer("both").quantizers.values()}.values()
    expected = np.concatenate([np.asarray(twin.get_layer(name).output_quantizer.affine.range) for name in (
        "small", "quantize_x")])
    assert quantizer.affine.range == pytest.approx((expected.min(), expected.max()), abs=quantizer.affine.scale)


def test_the_layer_behind_those_that_only_pass_on():
    x = keras.Input((None, 3))
    dense = layers.Dense(4)
    tensor = layers.GaussianNoise(0.1)(layers.Dropout(0.5)(layers.Reshape((-1, 4))(dense(x))))
    assert producer(tensor) is dense


def test_readers_of_one_tensor_share_their_constant_input():
    """That of the reader whose biases are the largest beside its weights, as near as an integer is to it."""
    model = functional(lambda x: layers.Dense(1, name="a")(x), lambda x, a: layers.Dense(1, name="b")(x),
                       lambda x, a, b: layers.SimpleRNN(1, name="c")(x), lambda x, a, b, c: [a, b, c])
    for name, bias in {"a": 0.1, "b": 1.5, "c": 0.3}.items():
        kernel, *recurrent, _ = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([np.ones_like(kernel), *recurrent, np.array([bias])])
    twin = calibrated(model, INT8)
    affine = twin.get_layer("quantize_x").quantizers["output"].affine
    for name in "abc":
        assert float(twin.get_layer(name).one("input")) == affine.dequantize(affine.quantize(1.5))


@pytest.mark.parametrize("affine", [
    Affine(0.1, 0), Affine(0.1, -128), Affine(0.1, 126), Affine(0.1, 127), Affine(0.1, 0, 16)], ids=str)
@pytest.mark.parametrize("wanted", [1e-6, 0.04, 3.0, 1e6])
def test_the_constant_input_is_held_by_the_integers_and_never_zero(affine, wanted):
    """Zero would divide the bias by nothing; with zero point 127 only negative integers are left."""
    steps = steps_of_one(wanted, affine)
    assert steps != 0 and affine.minimum_integer <= steps + affine.zero_point <= affine.maximum_integer
    if affine.zero_point <= 0 and 0.1 <= wanted <= 12.7:
        assert steps * affine.scale == pytest.approx(wanted, abs=0.05)


def test_balanced_one_makes_the_bias_row_as_large_as_the_weights():
    matrix, bias = np.array([[0.5, -2.0]]), np.array([8.0, 1.0])
    one = balanced_one([(matrix, bias)])
    assert np.abs(bias / one).max() == np.abs(matrix).max()
    assert balanced_one([(matrix, bias), (4 * matrix, bias)]) == 1.0, "over all matrices beside it"


@pytest.mark.parametrize(("matrix", "bias"), [([[1.0]], [0.0]), ([[0.0]], [3.0])])
def test_balanced_one_never_is_zero(matrix, bias):
    assert balanced_one([(np.array(matrix), np.array(bias))]) == 1.0


@pytest.mark.parametrize("layer", [
    StepDense(INT8, 4, "relu", use_bias=False, name="odd"),
    StepConv1D(INT16, 4, 3, dilation_rate=2, activation="tanh", use_bias=False, name="odd"),
    StepEmbedding(INT8, 7, 3, mask_zero=True, name="odd"),
    StepActivation(NumericForm("int8", "int16"), "tanh", name="odd"),
    StepAdd(FLOAT, name="odd"),
    StepConcatenate(INT16, name="odd"),
], ids=lambda layer: type(layer).__name__)
def test_configuration_makes_the_same_layer(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config() and again.form == layer.form and again.name == "odd"


@pytest.mark.parametrize("name", ["dense", "dilated convolution", "side by side"])
def test_shapes(name):
    model = MODELS[name]()
    assert step_model(model, INT8).output_shape == model.output_shape
