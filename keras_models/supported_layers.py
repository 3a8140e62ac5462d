"""Which Keras models have the form of a time step; every other is refused in one sentence: layer, reason, remedy.

A stream knows the present step and a state, nothing else. `FORMS` says what each layer must be like to have that form,
`REFUSED` why others cannot have it and what to use instead.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_models.layer_calls import Call, layer_calls, layer_of

# Of recurrent cells, Dense, Conv1D and Activation; softmax of Dense and Activation only.
ACTIVATIONS = (
    "linear",
    "tanh",
    "sigmoid",
    "hard_sigmoid",
    "relu",
    "relu6",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "silu",
    "gelu",
    "exponential",
    "leaky_relu",
    "hard_tanh",
    "hard_silu",
)
OUTPUT_ACTIVATIONS = (*ACTIVATIONS, "softmax")
_FUNCTIONS = [(name, getattr(keras.activations, name)) for name in OUTPUT_ACTIVATIONS]


class UnsupportedLayer(ValueError):
    """A layer, an option of it or its connection has no form in the step graph. The message names the layer."""


class Step(NamedTuple):
    """What one time step holds of a symbolic tensor.

    `shape`: the tensor's, (batch, timesteps, *features) if `timed`, else (batch, *features).
    """

    timed: bool
    shape: tuple[int | None, ...]

    @property
    def features(self) -> tuple[int | None, ...]:
        """The shape at one step, without the batch."""
        return self.shape[2:] if self.timed else self.shape[1:]


class Option(NamedTuple):
    """Which values of a layer's option have a form, and what to say of all others."""

    accepts: Callable[[Any], bool]
    remedy: str


@dataclass(frozen=True)
class Form:
    """What a layer must be like beyond its kind.

    Args:
        timed: it runs over time, so its input must have that axis.
        flat: it mixes features, so its input must have exactly one axis of them.
        joins: it takes several inputs; others take one.
        refuses: the reason against the layer with these inputs, or None.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    timed: bool = False
    flat: bool = False
    joins: bool = False
    refuses: Callable[[keras.layers.Layer, list[Step]], str | None] = lambda layer, sources: None


def is_recurrent(layer: keras.layers.Layer) -> bool:
    """Whether the layer is SimpleRNN, LSTM, GRU, or RNN over cells."""
    return type(layer) in RECURRENT


def activation_name(activation: Callable) -> str | None:
    """The name in `OUTPUT_ACTIVATIONS` of a Keras function; None for a function of the user's, whatever its name."""
    return next((name for name, function in _FUNCTIONS if function is activation), None)


def check_model(model: keras.Model) -> None:
    """Refuses a model that cannot be converted as it stands.

    Raises:
        UnsupportedLayer: a layer or the way it is connected has no form in the step graph.
        ValueError: the model is empty, not built or shows no layers, or weights hold NaN or infinity.
    """
    step_shapes(model)


def step_shapes(model: keras.Model) -> dict[str, Step]:
    """What one time step holds of each layer's output, by layer name.

    Raises:
        UnsupportedLayer, ValueError: as `check_model`.
    """
    calls = layer_calls(model)
    for call in calls:
        check_call(call)
        _check_weights(call.layer)
    steps = {}
    for layer, sources, output, _ in calls:
        before = [steps[layer_of(source).name] for source in sources]
        if layer.name in steps:
            raise _refusal(layer, "is used more than once; use a layer of its own at each place")
        _check_connection(layer, before)
        timed = layer.return_sequences if is_recurrent(layer) else all(step.timed for step in before)
        steps[layer.name] = Step(timed, output.shape)
    _check_inputs(model, calls)
    _check_outputs(model, steps)
    return steps


def check_layer(layer: keras.layers.Layer) -> None:
    """Refuses a layer of another kind, with another option or dtype than the step graph computes.

    Raises:
        UnsupportedLayer: names the layer and the reason.
    """
    form = FORMS.get(type(layer))
    if form is None:
        raise _refusal(layer, REFUSED.get(type(layer)) or _unknown(layer))
    _check_part(layer, layer, form)
    kinds, parts = _parts(layer)
    for part in parts:
        if type(part) not in kinds:
            allowed = ", ".join(kind.__name__ for kind in kinds)
            raise _refusal(layer, f"runs {type(part).__name__} at each step, which has no form there; use {allowed}")
        _check_part(layer, part, kinds[type(part)])


# A layer by itself


def _parts(layer) -> tuple[Mapping[type, Form], list]:
    """What the layer runs at each step, and the kinds that may stand there."""
    if type(layer) is layers.TimeDistributed:
        return {layers.Dense: FORMS[layers.Dense]}, [layer.layer]
    if type(layer) is layers.RNN:
        return CELLS, layer.cell.cells if type(layer.cell) is layers.StackedRNNCells else [layer.cell]
    return {}, []


def _check_part(layer, part, form: Form) -> None:
    """`part` is the layer or what it runs inside; the message names the layer."""
    for option, (accepts, remedy) in form.options.items():
        value = getattr(part, option)
        if not accepts(value):
            inside = "" if part is layer else f" of {type(part).__name__}"
            raise _refusal(layer, f"has {option}={_text(value)}{inside}, which {remedy}")
    if isinstance(part, layers.InputLayer):
        return
    policy = part.dtype_policy
    if getattr(policy, "quantization_mode", None):
        raise _refusal(layer, "is quantized by Keras already; give the model as it was before model.quantize()")
    if {policy.compute_dtype, policy.variable_dtype} != {"float32"}:
        raise _refusal(layer, f"has the dtype {policy.name!r}; build it with dtype='float32' and load its weights")
    if getattr(part, "lora_enabled", False):
        raise _refusal(layer, "has LoRA weights beside its own; train it without enable_lora()")


def _text(value) -> str:
    """A value as it stands in the user's code; a function of the user's with its module."""
    if not hasattr(value, "__name__"):
        return repr(value)
    return repr(value.__name__ if value in vars(keras.activations).values() else f"{value.__module__}.{value.__name__}")


def _check_weights(layer) -> None:
    values = {weight.path: weight for weight in layer.weights}
    if type(layer) is layers.Normalization:
        values |= {"mean": layer.mean, "variance": layer.variance}  # no weights where they were given as numbers
    for name, value in values.items():
        if not np.isfinite(np.asarray(value)).all():
            raise ValueError(f"layer {layer.name!r}: the weights {name!r} hold NaN or infinity; train it again")


def _unknown(layer) -> str:
    if keras.saving.get_registered_name(type(layer)).startswith("edgernn>"):
        return "is quantization-aware already; give the model it was made from"
    if type(layer).__module__.split(".")[0] != "keras":
        return "is a custom layer, whose Python code has no form as a time step; build it from Keras layers"
    return f"has no form as a time step; supported are {', '.join(kind.__name__ for kind in FORMS)}"


def _refusal(layer, reason: str) -> UnsupportedLayer:
    return UnsupportedLayer(f"layer {layer.name!r} ({type(layer).__name__}) {reason}")


# The layers in their graph


def check_call(call: Call) -> None:
    """Refuses a call whose layer, or the way it is given its inputs, has no form; UnsupportedLayer says which."""
    kind = type(call.layer).__name__
    if not isinstance(call.layer, layers.Layer):
        remedy = OPERATIONS.get(kind, "use Keras layers")
        raise UnsupportedLayer(f"operation {call.layer.name!r} ({kind}) is no layer and has no integer form; {remedy}")
    check_layer(call.layer)
    if call.options.get("training"):
        raise _refusal(call.layer, "is called with training=True, so its output is random; call it without")
    if len(call.sources) > 1 and not FORMS[type(call.layer)].joins:
        what = "an initial state" if is_recurrent(call.layer) else "several inputs"
        raise _refusal(call.layer, f"is given {what}; give it one input: the state of a stream starts at zero")


def _check_connection(layer, sources: list[Step]) -> None:
    form = FORMS[type(layer)]
    for source in sources:
        if form.timed and not source.timed:
            raise _refusal(layer, "runs over time, which is gone here; use return_sequences=True in the layers before")
        if form.flat and len(source.features) != 1:
            raise _refusal(layer, _not_flat(source))
    reason = form.refuses(layer, sources)
    if reason:
        raise _refusal(layer, reason)


def _not_flat(source: Step) -> str:
    if source.features:
        return f"gets the shape {source.shape}, expected one axis of features; put a Reshape before it"
    return (
        f"gets the shape {source.shape}, expected inputs (batch, timesteps, features): the time dimension is missing; "
        f"use keras.Input((None, {source.shape[-1] or 1}))"
    )


def _check_inputs(model, calls: list[Call]) -> None:
    """Every input is used, and either as numbers or as tokens."""
    readers = {layer_of(tensor).name: set() for tensor in model.inputs}
    for layer, sources, *_ in calls:
        for name in (layer_of(source).name for source in sources):
            if type(layer) is layers.Embedding and name not in readers:
                raise _refusal(layer, "looks up what a layer computed; let it read an input of the model")
            readers.setdefault(name, set()).add(type(layer))
    for name in (layer_of(tensor).name for tensor in model.inputs):
        if not readers[name]:
            raise UnsupportedLayer(f"input {name!r} has no way to an output; leave it out (a stream needs no mask)")
        if layers.Embedding in readers[name] and len(readers[name]) > 1:
            raise UnsupportedLayer(f"input {name!r} is read by an Embedding and by others; use an input for each")


def _check_outputs(model, steps: dict[str, Step]) -> None:
    """The outputs are different layers with a features axis."""
    names = [layer_of(tensor).name for tensor in model.outputs]
    for tensor, name in zip(model.outputs, names, strict=True):
        if isinstance(layer_of(tensor), layers.InputLayer):
            raise UnsupportedLayer(f"output {name!r} is an input of the model; leave it out")
        if names.count(name) > 1:
            raise UnsupportedLayer(f"output {name!r} stands twice; leave one out")
        if not steps[name].features:
            raise UnsupportedLayer(f"output {name!r} has the shape {steps[name].shape}, without features; add a Dense")


def _refuse_input(layer, sources: list[Step]) -> str | None:
    shape = layer.batch_shape
    if len(shape) not in (2, 3) or not all(shape[2:]):
        return f"has the shape {shape}, expected (batch, timesteps, features); use keras.Input((None, features))"
    if layer.dtype != "float32" and "int" not in layer.dtype:
        return f"has the dtype {layer.dtype!r}; use float32, or int32 for tokens"
    return None


def _refuse_other_axes(layer, sources: list[Step]) -> str | None:
    """The layer's `axis` must be the last."""
    rank = len(sources[0].shape)
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if [axis % rank for axis in axes] == [rank - 1]:
        return None
    return f"works along axis={', '.join(map(str, axes)) or None}; use axis=-1, the features of one step"


def _refuse_mixed(layer, sources: list[Step]) -> str | None:
    """Joined are streams, or tensors without time."""
    if len({source.timed for source in sources}) > 1:
        return "joins a stream and a tensor without time; use the same return_sequences on all ways to it"
    return None


def _refuse_concatenate(layer, sources: list[Step]) -> str | None:
    return _refuse_mixed(layer, sources) or _refuse_other_axes(layer, sources)


def _refuse_add(layer, sources: list[Step]) -> str | None:
    shapes = {source.features for source in sources}
    if len(shapes) == 1:
        return _refuse_mixed(layer, sources)
    return f"adds the shapes {', '.join(map(str, sorted(shapes)))}; make them equal, with a Dense"


def _refuse_softmax(layer, sources: list[Step]) -> str | None:
    is_softmax = activation_name(layer.activation) == "softmax"
    return _not_flat(sources[0]) if is_softmax and len(sources[0].features) != 1 else None


def _refuse_reshape(layer, sources: list[Step]) -> str | None:
    """Only features are reshaped; behind return_sequences=False, all is features."""
    source = sources[0]
    if not source.timed:
        return None
    shape = layer.compute_output_shape(source.shape)
    same_steps = len(shape) > 2 and shape[1] == source.shape[1] and None not in shape[2:]
    if same_steps and math.prod(shape[2:]) == math.prod(source.features):
        return None
    return f"makes {shape} of {source.shape}, which moves values between time steps; use Reshape((-1, features))"


def _refuse_flatten(layer, sources: list[Step]) -> str | None:
    if sources[0].timed:
        return "joins the steps of the sequence, a stream has one at a time; use return_sequences=False before it"
    return None


# The tables


def _only(*values) -> Callable[[Any], bool]:
    return lambda value: value in values


def _one_of(names: tuple[str, ...]) -> Option:
    remedy = f"has no form as a time step; use, by name, {', '.join(names[:-1])} or {names[-1]}"
    return Option(lambda value: activation_name(value) in names, remedy)


_ACTIVATION = {"activation": _one_of(ACTIVATIONS)}
_GATED = {**_ACTIVATION, "recurrent_activation": _one_of(ACTIVATIONS)}
_FORWARD = {
    "go_backwards": Option(_only(False), "reads the sequence from its end, a stream has none; use go_backwards=False"),
    "return_state": Option(_only(False), "gives out the state, which the stream keeps; use return_state=False"),
}
_CHANNELS_LAST = {"data_format": Option(_only("channels_last"), "has no form as a time step; use 'channels_last'")}
_CAUSAL = {
    "padding": Option(_only("causal"), "reads steps to come or drops some; use padding='causal'"),
    "strides": Option(_only((1,)), "drops time steps; use strides=1"),
    "groups": Option(_only(1), "has no form as a time step; use groups=1"),
}
_PLAIN_RELU = {
    "max_value": Option(_only(None, 6), "has no form as a time step; use None or 6"),
    "negative_slope": Option(_only(0), "has no form as a time step; use LeakyReLU"),
    "threshold": Option(_only(0), "has no form as a time step; use threshold=0"),
}
_OFF = Option(_only(False), "has no form as a time step; use False")

CELLS = {
    layers.SimpleRNNCell: Form(_ACTIVATION),
    layers.LSTMCell: Form(_GATED),
    layers.GRUCell: Form(_GATED),
}

FORMS = {
    layers.InputLayer: Form({"optional": _OFF, "sparse": _OFF, "ragged": _OFF}, refuses=_refuse_input),
    layers.SimpleRNN: Form({**_ACTIVATION, **_FORWARD}, timed=True, flat=True),
    layers.LSTM: Form({**_GATED, **_FORWARD}, timed=True, flat=True),
    layers.GRU: Form({**_GATED, **_FORWARD}, timed=True, flat=True),
    layers.RNN: Form(_FORWARD, timed=True, flat=True),
    layers.Dense: Form({"activation": _one_of(OUTPUT_ACTIVATIONS)}, flat=True),
    layers.TimeDistributed: Form(timed=True, flat=True),
    layers.Conv1D: Form({**_ACTIVATION, **_CAUSAL, **_CHANNELS_LAST}, timed=True, flat=True),
    layers.Embedding: Form(timed=True),
    layers.Normalization: Form(flat=True, refuses=_refuse_other_axes),
    layers.LayerNormalization: Form({"rms_scaling": _OFF}, flat=True, refuses=_refuse_other_axes),
    layers.BatchNormalization: Form({"renorm": _OFF}, flat=True, refuses=_refuse_other_axes),
    layers.Activation: Form({"activation": _one_of(OUTPUT_ACTIVATIONS)}, refuses=_refuse_softmax),
    layers.ReLU: Form(_PLAIN_RELU),
    layers.LeakyReLU: Form(),
    layers.ELU: Form({"alpha": Option(_only(1), "has no form as a time step; use alpha=1")}),
    layers.Softmax: Form(flat=True, refuses=_refuse_other_axes),
    layers.Concatenate: Form(flat=True, joins=True, refuses=_refuse_concatenate),
    layers.Add: Form(joins=True, refuses=_refuse_add),
    layers.Reshape: Form(refuses=_refuse_reshape),
    layers.Flatten: Form(_CHANNELS_LAST, refuses=_refuse_flatten),
    layers.Masking: Form(),
    layers.Identity: Form(),
    layers.Dropout: Form(),
    layers.SpatialDropout1D: Form(),
    layers.AlphaDropout: Form(),
    layers.GaussianDropout: Form(),
    layers.GaussianNoise: Form(),
    layers.ActivityRegularization: Form(),
}
RECURRENT = (layers.SimpleRNN, layers.LSTM, layers.GRU, layers.RNN)

_WHOLE_SEQUENCE = "reads the whole sequence at once, a stream has one step; use an LSTM or GRU, whose state remembers"
_POOLS_ALL = "pools over the whole sequence, a stream has one step; use a recurrent layer with return_sequences=False"
_OTHER_STEPS = "makes another number of time steps, a stream has one out for one in; "
_ONE_BY_ONE = "has no integer form; use Add or Concatenate"
_NORMALIZE = "has no form as a time step; use LayerNormalization or BatchNormalization"
_CONVOLVE = "has no form as a time step; use Conv1D(padding='causal')"

REFUSED = {
    layers.Bidirectional: (
        "reads the future of the sequence, a stream has none; use a forward LSTM or GRU, stacked if need be"
    ),
    **dict.fromkeys(
        (layers.Attention, layers.AdditiveAttention, layers.MultiHeadAttention, layers.GroupQueryAttention),
        _WHOLE_SEQUENCE,
    ),
    **dict.fromkeys((layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D), _POOLS_ALL),
    **dict.fromkeys(
        (layers.AveragePooling1D, layers.MaxPooling1D, layers.Cropping1D, layers.ZeroPadding1D),
        _OTHER_STEPS + "use Conv1D(padding='causal', strides=1), or resample the data",
    ),
    layers.UpSampling1D: _OTHER_STEPS + "resample the data",
    layers.RepeatVector: _OTHER_STEPS + "use return_sequences=True before it",
    layers.Permute: "moves time to another axis; keep (batch, timesteps, features)",
    **dict.fromkeys((layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D), _CONVOLVE + " and an LSTM behind it"),
    **dict.fromkeys((layers.SeparableConv1D, layers.DepthwiseConv1D, layers.Conv1DTranspose), _CONVOLVE),
    **dict.fromkeys((layers.Multiply, layers.Subtract, layers.Average, layers.Dot), _ONE_BY_ONE),
    **dict.fromkeys((layers.Maximum, layers.Minimum), _ONE_BY_ONE),
    **dict.fromkeys((layers.GroupNormalization, layers.RMSNormalization, layers.UnitNormalization), _NORMALIZE),
    layers.SpectralNormalization: _NORMALIZE,
    layers.Rescaling: "has no form as a time step; use Normalization(mean=..., variance=...)",
    layers.PReLU: "has no form as a time step; use LeakyReLU",
    layers.EinsumDense: "has no form as a time step; use Dense",
    layers.Lambda: "runs Python code, which has no form as a time step; use Keras layers",
}

# Operations of Keras on symbolic tensors, by the name of their class.
OPERATIONS = {
    "Add": "use layers.Add",
    "Concatenate": "use layers.Concatenate",
    "GetItem": "use return_sequences=False for the last step, an input of its own for a part of the features",
    "Reshape": "use layers.Reshape",
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "Softmax"), "use layers.Activation"),
}
