"""Layers and activations that have no integer kernel in every runtime, as float32 operators that both have."""

import keras
import numpy as np

from tflite.step_graph import StepGraphBuilder


class _Reals:
    """Float32 operators over tensor names, named after one prefix."""

    def __init__(self, builder: StepGraphBuilder, prefix: str):
        self.builder, self.prefix = builder, prefix

    def __call__(self, kind: str, *inputs, width: int | None = None, **options) -> str:
        """Adds an operator; numbers and arrays among the inputs become constants."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        first = next(one for one in inputs if isinstance(one, str))
        shape = (*self.builder.shape(first)[:-1], width or self.builder.width(first))
        result = self.builder.tensor(f"{self.prefix}/{kind.lower()}", shape=shape)
        return self.builder.op(kind, names, result, **options)

    def constant(self, values) -> str:
        return self.builder.constant(f"{self.prefix}/constant", np.atleast_2d(np.asarray(values, np.float32)))


def real_activation(builder: StepGraphBuilder, kind: str, x: str, prefix: str) -> str:
    """The Keras activation `kind` of a float32 tensor (1, ..., width)."""
    return ACTIVATIONS[kind](_Reals(builder, prefix), x)


def _hard_sigmoid(op, x):
    return op("MUL", op("RELU6", op("ADD", x, 3.0)), 1 / 6)


def _elu(op, x):
    """Not the operator ELU: LiteRT's reference kernels lack it."""
    return op("ADD", op("RELU", x), op("SUB", op("EXP", op("MINIMUM", x, 0.0)), 1.0))


def _selu(op, x):
    alpha, scale = 1.6732632423543772, 1.0507009873554805  # of Klambauer et al. 2017, as in keras.activations.selu
    below = op("MUL", op("SUB", op("EXP", op("MINIMUM", x, 0.0)), 1.0), alpha * scale)
    return op("ADD", op("MUL", op("RELU", x), scale), below)


def _softplus(op, x):
    """log(1 + exp(x)), without overflow: max(x, 0) + log(1 + exp(-|x|))."""
    return op("ADD", op("RELU", x), op("LOG", op("ADD", op("EXP", op("NEG", op("ABS", x))), 1.0)))


def _gelu(op, x):
    """x Phi(x) = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2, erfc to 1.5e-7 by Abramowitz and Stegun 7.1.26."""
    size = op("ABS", x)
    scaled = op("MUL", size, 1 / np.sqrt(2))
    t = op("DIV", 1.0, op("ADD", op("MUL", scaled, 0.3275911), 1.0), width=op.builder.width(x))
    polynomial = op("MUL", t, 1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = op("MUL", op("ADD", polynomial, coefficient), t)
    tail = op("MUL", polynomial, op("EXP", op("NEG", op("MUL", scaled, scaled))))
    return op("SUB", op("RELU", x), op("MUL", op("MUL", size, tail), 0.5))


ACTIVATIONS = {
    "linear": lambda op, x: x,
    "sigmoid": lambda op, x: op("LOGISTIC", x),
    "tanh": lambda op, x: op("TANH", x),
    "relu": lambda op, x: op("RELU", x),
    "relu6": lambda op, x: op("RELU6", x),
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": lambda op, x: op("MAXIMUM", op("MINIMUM", x, 1.0), -1.0),
    "hard_silu": lambda op, x: op("MUL", x, _hard_sigmoid(op, x)),
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": lambda op, x: op("DIV", x, op("ADD", op("ABS", x), 1.0)),
    "silu": lambda op, x: op("MUL", x, op("LOGISTIC", x)),
    "gelu": _gelu,
    "exponential": lambda op, x: op("EXP", x),
    "leaky_relu": lambda op, x: op("LEAKY_RELU", x, alpha=0.2),  # the slope of keras.activations.leaky_relu
    "softmax": lambda op, x: op("SOFTMAX", x, beta=1.0),
}


def real_layer(builder: StepGraphBuilder, layer: keras.layers.Layer, x: str) -> str:
    """A layer that computes on real numbers, over a float32 tensor (1, ..., width)."""
    lower = next(lower for kind, lower in LAYERS.items() if isinstance(layer, kind))
    return lower(_Reals(builder, layer.name), layer, x)


def _activation(op, layer, x):
    return ACTIVATIONS[keras.activations.serialize(layer.activation)](op, x)


def _normalization(op, layer, x):
    """(x - mean) / std, or back."""
    mean, variance = (np.asarray(part).reshape(-1) for part in (layer.mean, layer.variance))
    std = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        return op("ADD", op("MUL", x, std), mean)
    return op("MUL", op("SUB", x, mean), 1 / std)


def _batch_normalization(op, layer, x):
    """At inference one factor and one offset per channel."""
    factor = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    factor = factor * (np.asarray(layer.gamma) if layer.scale else 1.0)
    offset = (np.asarray(layer.beta) if layer.center else 0.0) - np.asarray(layer.moving_mean) * factor
    return op("ADD", op("MUL", x, factor), offset)


def _layer_normalization(op, layer, x):
    axis = op.builder.constant("axes", np.array([1], np.int32))
    centred = op("SUB", x, op("MEAN", x, axis, width=1, keepDims=True))
    variance = op("MEAN", op("MUL", centred, centred), axis, width=1, keepDims=True)
    result = op("MUL", centred, op("RSQRT", op("ADD", variance, layer.epsilon)))
    if layer.scale:
        result = op("MUL", result, np.asarray(layer.gamma))
    return op("ADD", result, np.asarray(layer.beta)) if layer.center else result


def _relu(op, layer, x):
    return op("RELU" if layer.max_value is None else "RELU6", x)


LAYERS = {
    keras.layers.Activation: _activation,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: lambda op, layer, x: op("LEAKY_RELU", x, alpha=float(layer.negative_slope)),
    keras.layers.ELU: lambda op, layer, x: _elu(op, x),
    keras.layers.Softmax: lambda op, layer, x: op("SOFTMAX", x, beta=1.0),
    keras.layers.Normalization: _normalization,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.LayerNormalization: _layer_normalization,
}
