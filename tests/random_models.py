"""Keras models drawn at random, with streams to drive them: what users hand over, and now and then what cannot stream.

A number makes a draw: the same number gives the same model, weights, streams and numeric form.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_models.layer_calls import layer_calls
from keras_models.numeric_form import NumericForm
from keras_models.supported_layers import ACTIVATIONS, OUTPUT_ACTIVATIONS

STREAMS, STEPS, TOKENS = 3, 30, 11
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 31, 32, 48, 64, 100, 128)
FORMS = (NumericForm("float32"), NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16"))
REFUSED_SHARE = 0.25
LARGEST = 1000.0  # of what a layer puts out
SMALLEST_STATE = 0.05  # far below 1/128 a state is 0 in int8
SHAKEN, LARGEST_GROWTH = 2.0**-20, 100  # a relative change of the readings, and how many times it may come out


@dataclass(frozen=True)
class RandomModel:
    """One draw.

    Attributes:
        data: by input name, (STREAMS, STEPS, features) float32, or (STREAMS, STEPS) int32 for tokens.
        refused: the name of the layer or operation that has no form as a time step; None where all have.
        form, state: what to convert to.
    """

    seed: int
    model: keras.Model
    data: dict[str, np.ndarray]
    refused: str | None
    form: NumericForm
    state: str

    @property
    def inputs(self) -> Any:
        """The data as the model takes it."""
        arrays = [self.data[tensor._keras_history.operation.name] for tensor in self.model.inputs]
        return arrays[0] if len(arrays) == 1 else arrays

    def __str__(self):
        kinds = ", ".join(type(layer).__name__ for layer in self.model.layers)
        return f"draw {self.seed}: {self.form.name}, state {self.state}, of {kinds}"


class Unsuited(Exception):
    """What was drawn is no model to test by: Keras itself cannot run it, or no weights were found that suit it."""


def random_model(seed: int) -> RandomModel:
    """The draw with this number; what is unsuited is drawn anew."""
    for attempt in range(10):
        try:
            return _drawn(seed, np.random.default_rng([seed, attempt] if attempt else seed))
        except Unsuited:
            continue
    raise RuntimeError(f"draw {seed}: ten times drawn, ten times unsuited")


def _drawn(seed: int, rng: np.random.Generator) -> RandomModel:
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    drawing = _Drawing(rng)
    form, state = drawing.one_of(FORMS), drawing.one_of(("external", "internal"))
    model, data = drawing.model(refused=drawing.chance(REFUSED_SHARE))
    draw = RandomModel(seed, model, data, drawing.refused, form, state)
    _randomize_weights(model, drawing.rng)
    if draw.refused is None:
        return _tamed(draw, drawing.rng)
    if drawing.poisoned is not None:
        _poison(model.get_layer(drawing.poisoned))
    return draw


class _Drawing:
    """Draws the layers one by one. Tensors are symbolic, (batch, timesteps, features) until `timed` is lost."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.refused = self.poisoned = None
        self.data: dict[str, np.ndarray] = {}
        self.count = 0

    def one_of(self, values):
        return values[self.rng.integers(len(values))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def size(self) -> int:
        """Small ones more often."""
        return self.one_of(SIZES[: self.one_of((6, 10, len(SIZES)))])

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def model(self, refused: bool) -> tuple[keras.Model, dict[str, np.ndarray]]:
        self.steps = STEPS if self.chance(0.2) else None
        self.stateful = self.chance(0.1)
        x = self.joined_inputs()
        inputs = list(self.tensors)
        depth = self.one_of((1, 1, 1, 2, 2, 3, 4))
        place = self.one_of(range(depth)) if refused else None
        last_step = self.chance(0.3)
        for level in range(depth):
            x = self.light_layers(x)
            if level == place:
                x = self.refused_piece(x)
                if len(x.shape) < 3:  # its time is gone
                    last_step = False
                    break
            x = self.recurrent(x, return_sequences=level < depth - 1 or not last_step)
        outputs = [self.head(x) for _ in range(self.one_of((1, 1, 1, 2, 3)))]
        name = self.name("drawn")
        ends = (ends[0] if len(ends) == 1 else ends for ends in (inputs, outputs))
        return keras.Model(*ends, name=name), self.data

    # Inputs

    def joined_inputs(self):
        self.tensors = []
        values = [self.input() for _ in range(self.one_of((1, 1, 1, 2, 3)))]
        return values[0] if len(values) == 1 else layers.Concatenate(name=self.name("inputs"))(values)

    def input(self):
        """A stream of readings, or of tokens and their embedding."""
        batch = STREAMS if self.stateful else None
        if self.chance(0.2):
            mask_zero = self.chance(0.3)
            x = keras.Input(batch_shape=(batch, self.steps), dtype="int32", name=self.name("ids"))
            self.data[x.name] = self.rng.integers(int(mask_zero), TOKENS, (STREAMS, STEPS)).astype(np.int32)
            self.tensors.append(x)
            return layers.Embedding(TOKENS, self.size(), mask_zero=mask_zero, name=self.name("embedding"))(x)
        features = self.size()
        x = keras.Input(batch_shape=(batch, self.steps, features), name=self.name("readings"))
        steps = self.rng.normal(0, 0.4, (STREAMS, STEPS, features))
        waves = np.sin(np.cumsum(steps, axis=1) + self.rng.uniform(0, 6, features)) + 0.2 * steps
        values = waves * self.one_of((0.1, 1.0, 1.0, 1.0, 10.0)) + self.one_of((0.0, 0.0, 1.0, -3.0))
        self.data[x.name] = values.astype(np.float32)
        self.tensors.append(x)
        return x

    # Recurrent layers

    def recurrent(self, x, return_sequences: bool):
        name = self.name("rnn")
        options = {"return_sequences": return_sequences, "stateful": self.stateful, "name": name}
        options["unroll"] = self.steps is not None and self.chance(0.3)
        if self.chance(0.25):
            cells = [self.cell() for _ in range(self.one_of((1, 1, 2, 3)))]
            if len(cells) == 1 and self.chance(0.7):
                return layers.RNN(cells[0], **options)(x)
            return layers.RNN(cells, **{**options, "stateful": False})(x)  # Keras runs no stateful stack of cells
        kind, cell_options = self.cell_options()
        kinds = {"SimpleRNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}
        return kinds[kind](self.size(), **cell_options, **options)(x)

    def cell(self):
        kind, options = self.cell_options()
        return getattr(layers, f"{kind}Cell")(self.size(), **options)

    def cell_options(self) -> tuple[str, dict[str, Any]]:
        kind = self.one_of(("SimpleRNN", "LSTM", "GRU"))
        options = {"use_bias": self.chance(0.8)}
        if self.chance(0.2):
            options |= {"dropout": 0.2, "recurrent_dropout": self.one_of((0.0, 0.2))}
        if self.chance(0.35):
            options["activation"] = self.one_of(ACTIVATIONS)
        if kind != "SimpleRNN" and self.chance(0.35):
            options["recurrent_activation"] = self.one_of(ACTIVATIONS)
        if kind == "GRU":
            options["reset_after"] = self.chance(0.6)
        if kind == "LSTM":
            options["unit_forget_bias"] = self.chance(0.8)
        return kind, options

    # Layers between them

    def light_layers(self, x):
        for _ in range(self.one_of((0, 0, 1, 1, 2, 3))):
            x = self.one_of((self.dense, self.dense, self.conv1d, self.normalization, self.dropout, self.activation,
                             self.skip, self.reshaped, self.nested))(x)
        return x

    def nested(self, x):
        """A model inside the model."""
        inside = keras.Input(x.shape[1:])
        return keras.Model(inside, self.one_of((self.dense, self.conv1d))(inside), name=self.name("nested"))(x)

    def dense(self, x):
        name, options = self.name("dense"), {"use_bias": self.chance(0.8)}
        if self.chance(0.5):
            options["activation"] = self.one_of(OUTPUT_ACTIVATIONS)
        if len(x.shape) == 3 and self.chance(0.3):
            return layers.TimeDistributed(layers.Dense(self.size(), **options), name=name)(x)
        return layers.Dense(self.size(), **options, name=name)(x)

    def conv1d(self, x):
        options = {"use_bias": self.chance(0.8), "dilation_rate": self.one_of((1, 1, 2, 3))}
        if self.chance(0.5):
            options["activation"] = self.one_of(ACTIVATIONS)
        name = self.name("conv1d")
        return layers.Conv1D(self.size(), self.one_of((1, 2, 3, 5)), padding="causal", **options, name=name)(x)

    def normalization(self, x):
        kind = self.one_of(("Normalization", "LayerNormalization", "BatchNormalization"))
        if kind == "Normalization":
            features = x.shape[-1]
            mean, variance = self.rng.normal(0, 1, features), self.rng.uniform(0.2, 2, features)
            options = {"mean": mean.tolist(), "variance": variance.tolist(), "invert": self.chance(0.2)}
        else:
            options = {"center": x.shape[-1] == 1 or self.chance(0.8), "scale": self.chance(0.8)}
        return getattr(layers, kind)(**options, name=self.name(kind.lower()))(x)

    def dropout(self, x):
        make = self.one_of((lambda **o: layers.Dropout(0.3, **o), lambda **o: layers.SpatialDropout1D(0.3, **o),
                            lambda **o: layers.GaussianNoise(0.1, **o), lambda **o: layers.Identity(**o),
                            lambda **o: layers.Masking(-77.0, **o), lambda **o: layers.ActivityRegularization(**o)))
        return make(name=self.name("passing"))(x)

    def activation(self, x):
        name = self.name("activation")
        make = self.one_of((lambda: layers.Activation(self.one_of(OUTPUT_ACTIVATIONS), name=name),
                            lambda: layers.Activation(self.one_of(OUTPUT_ACTIVATIONS), name=name),
                            lambda: layers.ReLU(max_value=self.one_of((None, 6)), name=name),
                            lambda: layers.LeakyReLU(self.one_of((0.1, 0.3)), name=name),
                            lambda: layers.ELU(name=name), lambda: layers.Softmax(name=name)))
        return make()(x)

    def skip(self, x):
        """A way around a Dense or a Conv1D."""
        around = self.one_of((self.dense, self.conv1d) if len(x.shape) == 3 else (self.dense,))(x)
        if self.chance(0.5):
            return layers.Concatenate(name=self.name("skip"))([x, around] if self.chance(0.5) else [around, x])
        others = [layers.Dense(x.shape[-1], name=self.name("dense"))(around), x]
        return layers.Add(name=self.name("skip"))(others if self.chance(0.7) else [*others, others[0], x])

    def reshaped(self, x):
        """To two axes of features and back, an element-wise layer between."""
        features = x.shape[-1]
        rows = self.one_of([n for n in range(1, features + 1) if features % n == 0])
        time = (-1,) if len(x.shape) == 3 else ()
        x = layers.Reshape((*time, rows, features // rows), name=self.name("reshape"))(x)
        x = self.one_of((lambda x: x, lambda x: layers.ReLU(name=self.name("activation"))(x),
                         lambda x: layers.Activation(self.one_of(ACTIVATIONS), name=self.name("activation"))(x),
                         lambda x: layers.Add(name=self.name("double"))([x, x])))(x)
        return layers.Reshape((*time, features), name=self.name("reshape"))(x)

    def head(self, x):
        """A Dense, or more; without it several outputs would be one tensor."""
        x = self.dense(x)
        for _ in range(self.one_of((0, 0, 1))):
            kinds = (self.normalization, self.activation, self.skip, self.reshaped)
            x = self.one_of(kinds)(x)
        if len(x.shape) == 2 and self.chance(0.1) and x.shape[-1] % 2 == 0:
            x = layers.Reshape((2, x.shape[-1] // 2), name=self.name("reshape"))(x)
        return x

    # What cannot stream

    def refused_piece(self, x):
        """A layer that has no form as a time step; `refused` says its name."""
        piece = self.one_of(REFUSED_PIECES)
        x = piece(self, x)
        self.refused = self.refused or x._keras_history.operation.name
        return x

    def poison(self, x):
        """A sound layer, whose weights will hold NaN."""
        self.poisoned = self.name("poisoned")
        return layers.Dense(4, name=self.poisoned)(x)

    def shared(self, x):
        layer = layers.Dense(x.shape[-1], name=self.name("shared"))
        return layer(layer(x))

    def forked(self, x):
        """A model of several outputs inside the model."""
        inside = keras.Input(x.shape[1:])
        outputs = [layers.Dense(3)(inside), layers.Dense(2)(inside)]
        return keras.Model(inside, outputs, name=self.name("forked"))(x)[0]

    def initial_state(self, x):
        start = layers.GRU(4, name=self.name("encoder"))(x)
        return layers.GRU(4, return_sequences=True, name=self.name("odd"))(x, initial_state=start)


def _odd(make: Callable[[str], Any]) -> Callable:
    return lambda drawing, x: make(drawing.name("odd"))(x)


class Doubled(layers.Layer):
    """A layer of the user's own."""

    def call(self, x):
        return 2.0 * x


REFUSED_PIECES = (
    _odd(lambda name: layers.Bidirectional(layers.GRU(3, return_sequences=True), name=name)),
    _odd(lambda name: layers.LSTM(3, go_backwards=True, return_sequences=True, name=name)),
    _odd(lambda name: layers.RNN(layers.GRUCell(3), go_backwards=True, return_sequences=True, name=name)),
    _odd(lambda name: lambda x: layers.GRU(3, return_sequences=True, return_state=True, name=name)(x)[0]),
    _odd(lambda name: layers.GRU(3, activation=lambda x: x * x, return_sequences=True, name=name)),
    _odd(lambda name: layers.Dense(3, activation="mish", name=name)),
    _odd(lambda name: layers.Conv1D(3, 3, padding="same", name=name)),
    _odd(lambda name: layers.Conv1D(3, 3, padding="valid", name=name)),
    _odd(lambda name: layers.Conv1D(3, 3, strides=2, padding="causal", name=name)),
    _odd(lambda name: layers.SeparableConv1D(3, 3, name=name)),
    _odd(lambda name: layers.MaxPooling1D(2, name=name)),
    _odd(lambda name: layers.AveragePooling1D(2, padding="same", name=name)),
    _odd(lambda name: layers.GlobalAveragePooling1D(name=name)),
    _odd(lambda name: layers.GlobalMaxPooling1D(name=name)),
    _odd(lambda name: layers.ZeroPadding1D(1, name=name)),
    _odd(lambda name: layers.UpSampling1D(2, name=name)),
    _odd(lambda name: lambda x: layers.Attention(name=name)([x, x])),
    _odd(lambda name: lambda x: layers.MultiHeadAttention(2, 3, name=name)(x, x)),
    _odd(lambda name: layers.Lambda(lambda x: x[:, ::-1], output_shape=lambda shape: shape, name=name)),
    _odd(lambda name: lambda x: layers.Multiply(name=name)([x, x])),
    _odd(lambda name: layers.UnitNormalization(name=name)),
    _odd(lambda name: layers.GroupNormalization(1, name=name)),
    _odd(lambda name: layers.PReLU(shared_axes=[1], name=name)),
    _odd(lambda name: layers.Rescaling(2.0, name=name)),
    _odd(lambda name: layers.LeakyReLU(0.2, dtype="float16", name=name)),
    _odd(lambda name: layers.ReLU(negative_slope=0.1, name=name)),
    _odd(lambda name: Doubled(name=name)),
    lambda drawing, x: x + 1.0,
    lambda drawing, x: x[:, :, :1],
    _Drawing.poison,
    _Drawing.shared,
    _Drawing.forked,
    _Drawing.initial_state,
)


# Weights


def _randomize_weights(model: keras.Model, rng: np.random.Generator) -> None:
    """Biases that are not zero, kernels of the usual size times a factor, statistics that do something."""
    gain = rng.choice([0.7, 1.0, 1.5])
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name == "embeddings":
            weight.assign(rng.normal(0, 0.5, weight.shape))
        elif weight.name in ("kernel", "recurrent_kernel"):
            weight.assign(gain * weight)


def _poison(layer: layers.Layer) -> None:
    kernel, *rest = layer.get_weights()
    kernel[0, 0] = np.nan
    layer.set_weights([kernel, *rest])


def _tamed(draw: RandomModel, rng: np.random.Generator) -> RandomModel:
    """The draw with weights by which every layer puts out numbers of an ordinary size.

    An exponential or linear activation in a loop runs away with the usual weights, a layer of a few relu units may be
    dead, and then has no range to observe, and gates from -1 to 1 may make chaos, in which a rounding grows and grows.
    """
    model = draw.model
    kept = [call for call in layer_calls(model) if not isinstance(call.layer, layers.InputLayer)]
    everything = keras.Model(model.input, [call.output for call in kept])
    for _ in range(40):
        try:
            values = [np.asarray(value) for value in everything(draw.inputs, training=False)]
        except ValueError as error:  # Keras' own layers refuse some of what can be drawn
            raise Unsuited from error
        reset_states(model)
        sizes = [np.max(np.abs(value)) for value in values]
        least = [SMALLEST_STATE if isinstance(call.layer, layers.RNN) else 0 for call in kept]
        if not all(np.isfinite(size) and size < LARGEST for size in sizes):
            _scale_weights(model, 0.5)
        elif any(size <= allowed for size, allowed in zip(sizes, least, strict=True)):
            _redraw_biases(model, rng)
        elif _growth(draw) > LARGEST_GROWTH:
            _scale_weights(model, 0.5)
        else:
            return draw
    raise Unsuited


def _growth(draw: RandomModel) -> float:
    """How many times larger a change of the readings is in the outputs, both by the largest value."""
    rng, shaken = np.random.default_rng(draw.seed), {}
    for name, values in draw.data.items():
        signs = rng.choice([-1, 1], values.shape)
        shaken[name] = values if values.dtype == np.int32 else (values * (1 + SHAKEN * signs)).astype(np.float32)
    outputs = []
    for data in (draw.data, shaken):
        outputs.append(keras.tree.flatten(draw.model(replace(draw, data=data).inputs, training=False)))
        reset_states(draw.model)
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(*outputs, strict=True)]
    return max(np.abs(a - b).max() / max(np.abs(a).max(), SMALLEST_STATE) for a, b in pairs) / SHAKEN


def _scale_weights(model: keras.Model, factor: float) -> None:
    for weight in model.weights:
        if weight.name in ("kernel", "recurrent_kernel", "bias"):
            weight.assign(factor * weight)


def _redraw_biases(model: keras.Model, rng: np.random.Generator) -> None:
    """Kernels too, of layers without a bias."""
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(rng.normal(0, 0.5, weight.shape))
        elif weight.name == "kernel":
            weight.assign(rng.permuted(np.asarray(weight).reshape(-1)).reshape(weight.shape) * rng.choice([-1, 1]))


def reset_states(model: keras.Model) -> None:
    """Back to zero, what stateful layers carry from call to call."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            for state in keras.tree.flatten(layer.states if isinstance(layer, layers.RNN) else layer.carried):
                state.assign(keras.ops.zeros_like(state))
