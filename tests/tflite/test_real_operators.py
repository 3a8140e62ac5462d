"""Float32 operators for layers and activations without integer kernels: Keras' own numbers, on both runtimes."""

import keras
import numpy as np
import pytest
from keras import layers
from runtime_ways import WAYS

from keras_models.supported_layers import OUTPUT_ACTIVATIONS
from tflite.flatbuffer import operator_names, write_flatbuffer
from tflite.real_operators import ACTIVATIONS, LAYERS, real_activation, real_layer
from tflite.runtimes import load_model
from tflite.step_graph import StepGraphBuilder

WIDTH = 5
# Small ones, the ends of linear pieces, and numbers at which a careless formula loses its digits or overflows.
READINGS = np.concatenate([
    np.linspace(-8, 8, 161), [0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 1e-6, -1e-6, 20.0, -20.0, 60.0, -60.0],
]).astype(np.float32)
ways = pytest.mark.parametrize("way", WAYS)


def rows(values=READINGS, width=WIDTH):
    """(n, width): every value once in every place."""
    return np.stack([np.roll(values, place) for place in range(width)], axis=1)


def stepped(lower, xs, way):
    """Output of a graph of `lower`, (builder, tensor) -> tensor, for every row of `xs`, and the model."""
    builder = StepGraphBuilder()
    x = builder.tensor("x", shape=(1, *xs.shape[1:]))
    builder.inputs.append(("x", x))
    builder.outputs.append(("y", lower(builder, x)))
    model = write_flatbuffer(builder.build())
    runtime = load_model(model, **WAYS[way])
    return np.stack([runtime.step(x) for x in xs]), model


def assert_equal_to_rounding(ours, expected):
    """1e-6 of 1 or of the number itself, whichever is larger."""
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_every_supported_activation_is_here():
    assert set(ACTIVATIONS) == set(OUTPUT_ACTIVATIONS)


@ways
@pytest.mark.parametrize("kind", sorted(set(ACTIVATIONS) - {"linear"}))
def test_activations(kind, way):
    xs = np.minimum(rows(), 20) if kind == "exponential" else rows()  # XNNPACK's exp(60) is 2.5e-6 off
    ours, _ = stepped(lambda builder, x: real_activation(builder, kind, x, "a"), xs, way)
    expected = np.asarray(keras.activations.get(kind)(xs))
    assert np.isfinite(ours).all()
    assert_equal_to_rounding(ours, expected)


def test_linear_is_no_operator():
    builder = StepGraphBuilder()
    x = builder.tensor("x", WIDTH)
    assert real_activation(builder, "linear", x, "a") == x and not builder.ops


@ways
@pytest.mark.parametrize("kind", ["gelu", "hard_silu", "softplus"])
def test_activations_of_two_axes_of_features(kind, way):
    xs = rows(width=6).reshape(-1, 3, 2)
    ours, _ = stepped(lambda builder, x: real_activation(builder, kind, x, "a"), xs, way)
    assert_equal_to_rounding(ours, np.asarray(keras.activations.get(kind)(xs)))


def drawn(layer):
    """The layer, built, every weight random and positive."""
    if not layer.built:
        layer.build((None, None, WIDTH))
    rng = np.random.default_rng(3)
    for weight in layer.weights:
        if "float" in weight.dtype:
            weight.assign(rng.uniform(0.3, 1.7, weight.shape))
    return layer


def adapted(**options):
    layer = layers.Normalization(**options)
    layer.adapt(np.random.default_rng(4).normal(3, 2, (50, WIDTH)).astype(np.float32))
    return layer


MADE = {
    "Activation": lambda: layers.Activation("elu"),
    "ReLU": lambda: layers.ReLU(),
    "ReLU6": lambda: layers.ReLU(max_value=6),
    "LeakyReLU": lambda: layers.LeakyReLU(0.07),
    "ELU": lambda: layers.ELU(),
    "Softmax": lambda: layers.Softmax(),
    "Normalization, adapted": adapted,
    "Normalization, given": lambda: layers.Normalization(mean=[1.0] * 4 + [2.0], variance=[0.5] * 5),
    "Normalization, inverted": lambda: adapted(invert=True),
    "Normalization, one number": lambda: layers.Normalization(mean=1.5, variance=4.0),
    "Normalization, constant column": lambda: layers.Normalization(mean=[1.0] * 5, variance=[0.0, 1.0, 1.0, 1.0, 1.0]),
    "BatchNormalization": lambda: layers.BatchNormalization(),
    "BatchNormalization, plain": lambda: layers.BatchNormalization(center=False, scale=False, epsilon=0.1),
    "LayerNormalization": lambda: layers.LayerNormalization(),
    "LayerNormalization, plain": lambda: layers.LayerNormalization(center=False, scale=False, epsilon=0.1),
}


def test_every_layer_is_here():
    assert {type(make()) for make in MADE.values()} == set(LAYERS)


@ways
@pytest.mark.parametrize("case", MADE)
def test_layers(case, way):
    layer = drawn(MADE[case]())
    # Not all but equal, which LayerNormalization would divide by next to nothing.
    xs = np.random.default_rng(5).normal(0.5, 2, (200, WIDTH)).astype(np.float32)
    expected = np.asarray(layer(xs[None], training=False))[0]
    ours, _ = stepped(lambda builder, x: real_layer(builder, layer, x), xs, way)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6 * max(1, np.abs(expected).max()))
    assert np.ptp(ours, axis=0).min() > 0


def test_batch_normalization_is_two_operators():
    layer = drawn(layers.BatchNormalization())
    _, model = stepped(lambda builder, x: real_layer(builder, layer, x), rows()[:1], "tflm")
    assert operator_names(model) == ["MUL", "ADD"]
