"""Keras models to stateful TensorFlow Lite: lowered to a step graph, then written; no converter that could crash."""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_models.anomaly_score import ALARM, AnomalyScore
from keras_models.feature_encoding import FeatureEncoding
from keras_models.inline_models import inlined
from keras_models.layer_calls import layer_calls, layer_of
from keras_models.legacy_models import keras3_model
from keras_models.model_folder import load_model
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import QuantizedModel, calibrate
from keras_models.step_fused_lstm import StepFusedLSTM
from keras_models.step_model import step_model
from tflite.artifact import FORMAT, Artifact
from tflite.flatbuffer import write_flatbuffer
from tflite.graph_operators import dequantize
from tflite.integer_ends import with_integer_ends
from tflite.lower_model import lower_model
from tflite.lower_sensors import SensorGraph
from tflite.step_graph import StepGraph, StepGraphBuilder

STATES = ("external", "internal")
ENDS = ("real", "integer")
WEIGHTS = ("float32", "float16", "int8")
# Zero states are not what a stream's states are like: ranges seen in fewer steps are 25 to 40 times worse.
WARM_UP = 10


def convert(
    model: keras.Model | str | Path,
    *,
    activations: str | None = None,
    state: str = "external",
    state_dtype: str | None = None,
    weights: str | None = None,
    ends: str = "real",
    representative: Iterable[np.ndarray | Mapping[str, np.ndarray]] | None = None,
    encoding: FeatureEncoding | None = None,
    score: AnomalyScore | None = None,
    name: str | None = None,
) -> Artifact:
    """Converts a recurrent Keras model to a model of one time step.

    Args:
        model: Functional or Sequential, of `quantize_aware` and calibrated, or plain; of Keras 3 or tf_keras; or the
            path of a saved one.
        activations: "float32", "int8" or "int16"; the model's own by default, "int8" of a plain one.
        state: "external": the state goes in and out of every step; "internal": the model keeps it, and has a
            signature `reset`.
        state_dtype: "int16" with activations "int8": int16 states with int8 matrix products, for slow dynamics.
        weights: of a float32 model on the phone: "float16", or "int8" (dynamic range: LiteRT quantizes the inputs of
            the products itself). TensorFlow Lite Micro runs neither.
        ends: "integer" leaves inputs and outputs as the integers behind them, for a device without floats; `load` then
            quantizes and dequantizes beside the model, by the same scales.
        representative: arrays (timesteps, features), or dicts of them by input name, to calibrate a plain model for
            integers. They are streamed from zero states; equal lengths are fastest.
        encoding: puts raw readings in and real units out of the graph; without it x is the model's own input.
        score: with `encoding`: the output is the anomaly score, not the forecast.
        name: file name of the artefact without `.tflite`; default `<model>_<activations>_<state>`, where <model> is
            its name or that of its file.

    Raises:
        ValueError: an argument is not known, or contradicts the model; weights hold NaN; a range was never observed.
        UnsupportedLayer: a layer has no time-step form.
    """
    _check_choice("state", state, STATES)
    _check_choice("ends", ends, ENDS)
    stem = Path(model).stem if isinstance(model, str | Path) else model.name
    model = load_model(Path(model), made_by="model.save") if isinstance(model, str | Path) else keras3_model(model)
    form = _form(model, activations, state_dtype)
    weights = weights or ("float32" if form.is_float else "int8")
    _check_choice("weights", weights, WEIGHTS if form.is_float else ("int8",))
    model = _in_form(model, form, state, representative)
    shell = SensorGraph(model, encoding, score, state) if encoding else None
    graph = shell.build() if shell else step_graph(model, state=state, weights=weights)
    if ends == "integer":
        graph = with_integer_ends(graph)
    content = write_flatbuffer(graph, state)
    name = name or _name(stem, form, weights, state)
    manifest = {
        "format": FORMAT,
        "name": name,
        "tflite": f"{name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "activations": form.activations,
        **({"state_dtype": form.state_dtype} if form.state_dtype else {}),
        "weights": weights,
        "state": state,
        **_ends(graph, encoding, shell),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "ai-edge-litert")},
    }
    if score is not None:
        manifest["threshold"] = ALARM
    return Artifact(content, manifest)


def step_graph(model: keras.Model, *, state: str = "external", weights: str = "float32") -> StepGraph:
    """One time step of a model of step layers: real inputs and outputs named as in the model, states h0, c0, h1, ..."""
    builder = StepGraphBuilder()
    for name, tensor in zip(_input_names(model), model.inputs, strict=True):
        name, dtype = "x" if len(model.inputs) == 1 else name, "int32" if "int" in tensor.dtype else "float32"
        width = tensor.shape[-1] if len(tensor.shape) > 2 else 1
        builder.inputs.append((name, builder.tensor(f"input/{name}", width, dtype=dtype)))
    sources = {name: graph for name, (_, graph) in zip(_input_names(model), builder.inputs, strict=True)}
    outputs = lower_model(builder, model, sources, state=state, weights=weights)
    names = ["y"] if len(outputs) == 1 else model.output_names
    builder.outputs += [(name, dequantize(builder, output)) for name, output in zip(names, outputs, strict=True)]
    return builder.build()


def _form(model: keras.Model, activations: str | None, state_dtype: str | None) -> NumericForm:
    """The numbers to compute with: what was asked for, where that does not contradict the model."""
    if not isinstance(model, QuantizedModel):
        return NumericForm(activations or "int8", state_dtype)
    asked = NumericForm(activations or model.form.activations, state_dtype or model.form.state_dtype)
    if asked != model.form:
        raise ValueError(
            f"activations={asked.name!r}: the model was made by quantize_aware for {model.form.name!r}; "
            "convert it so, or make another from the float model"
        )
    return asked


def _in_form(model: keras.Model, form: NumericForm, state: str, representative) -> keras.Model:
    """The model of step layers, calibrated where it computes with integers."""
    if isinstance(model, QuantizedModel):
        fused = [layer.name for layer in model.layers if isinstance(layer, StepFusedLSTM)]
        if fused and state == "external":
            raise ValueError(
                f"layer {fused[0]!r} computes as the fused LSTM, which keeps its state inside: convert with "
                "state='internal', or make the model by quantize_aware(..., state='external')"
            )
        return model
    if form.is_float:
        return step_model(model, form)
    if representative is None:
        raise ValueError(
            f"activations={form.activations!r} of a plain model: expected representative=<arrays (timesteps, features)>"
        )
    model = inlined(model)  # streams are checked by the layers that read them
    twin = step_model(model, form, QuantizedModel, state=state)
    batches = list(_batches(_checked_stream(stream, model) for stream in representative))
    if not batches:
        raise ValueError("representative holds no stream; expected arrays (timesteps, features)")
    calibrate(twin, (batch if len(batch) > 1 else batch[0] for batch in batches))
    return twin


def _input_names(model: keras.Model) -> list[str]:
    return [tensor._keras_history.operation.name for tensor in model.inputs]


def _batches(streams: Iterable[list[np.ndarray]], size: int = 64) -> Iterable[list[np.ndarray]]:
    """Neighbours of equal length together, (streams, timesteps, features) per input: far fewer calls of the model."""
    batch = []
    for stream in streams:
        if batch and (len(batch) == size or len(batch[0][0]) != len(stream[0])):
            yield [np.stack(arrays) for arrays in zip(*batch, strict=True)]
            batch = []
        batch.append(stream)
    if batch:
        yield [np.stack(arrays) for arrays in zip(*batch, strict=True)]


def _checked_stream(stream: Any, model: keras.Model) -> list[np.ndarray]:
    """One representative stream as an array per model input; `x` also names a single input."""
    names = _input_names(model)
    by_name = stream if isinstance(stream, Mapping) else {names[0]: stream}
    if set(by_name) == {"x"} and len(names) == 1:
        by_name = {names[0]: by_name["x"]}
    if set(by_name) != set(names):
        raise ValueError(f"representative: expected the inputs {', '.join(names)}, got {', '.join(map(str, by_name))}")
    arrays = [_checked_array(name, by_name[name], tensor) for name, tensor in zip(names, model.inputs, strict=True)]
    for call in layer_calls(model):
        if isinstance(call.layer, keras.layers.Embedding):
            name, tokens = layer_of(call.sources[0]).name, call.layer.input_dim
            array = arrays[names.index(name)]
            if array.min() < 0 or array.max() >= tokens:
                raise ValueError(f"representative, input {name!r}: expected tokens from 0 to {tokens - 1}")
    if len({len(array) for array in arrays}) != 1:
        raise ValueError("representative: expected inputs of one length per stream")
    return arrays


def _checked_array(name: str, values: Any, tensor: keras.KerasTensor) -> np.ndarray:
    """What a representative stream says of one input, in the form of the input's tensor."""
    problem = f"representative, input {name!r}:"
    try:
        array = np.asarray(values).astype(tensor.dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{problem} expected an array of numbers ({error})") from error
    features, steps = tensor.shape[2:], tensor.shape[1] or WARM_UP
    if array.shape[1:] != features or not array.ndim:
        expected = ", ".join(["timesteps", *map(str, features)])
        raise ValueError(f"{problem} expected arrays ({expected}), got shape {array.shape}")
    if len(array) < steps:
        raise ValueError(
            f"{problem} a stream of {len(array)} steps is shorter than the warm-up of {steps}; "
            "expected longer streams, so that the states move as they will on the device"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{problem} holds NaN or infinity; fill missing readings first")
    if "int" in tensor.dtype and not np.array_equal(array, values):
        raise ValueError(f"{problem} expected whole numbers, tokens of an embedding")
    return array


def _name(stem: str, form: NumericForm, weights: str, state: str) -> str:
    """Weights are told where they are not those that go with the activations."""
    plain = weights == ("float32" if form.is_float else "int8")
    return "_".join([stem, form.name, *([] if plain else ["weights", weights]), state])


def _check_choice(argument: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{argument}={value!r}: expected one of {', '.join(map(repr, allowed))}")


def _ends(graph: StepGraph, encoding: FeatureEncoding | None, shell: SensorGraph | None) -> dict[str, list]:
    """inputs, outputs and states of the manifest; shapes without the batch of 1."""

    def end(name, tensor):
        tensor = graph.tensor(tensor)
        affine = {"scale": tensor.affine.scale, "zero_point": tensor.affine.zero_point} if tensor.affine else {}
        return {"name": name, "shape": list(tensor.shape[1:]), "dtype": tensor.dtype, **affine}

    inputs = [end(name, tensor) for name, tensor in graph.inputs]
    outputs = [end(name, tensor) for name, tensor in graph.outputs]
    if encoding is not None:
        columns = zip(encoding.columns, encoding.units, strict=True)
        inputs[0]["columns"] = [{"name": name, "unit": unit} for name, unit in columns]
        outputs = [output | shell.output_form.get(output["name"], {}) for output in outputs]
    return {"inputs": inputs, "outputs": outputs, "states": [end(name, read) for name, read, _ in graph.states]}
