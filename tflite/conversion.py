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
from keras_models.model_folder import load_model
from keras_models.qat_cells import QuantLayer
from keras_models.qat_model import calibrate, quantize_aware
from keras_models.supported_layers import check_model
from tflite.artifact import FORMAT, Artifact
from tflite.flatbuffer import write_flatbuffer
from tflite.lower_layers import dequantize, lower_model
from tflite.lower_sensors import SensorGraph
from tflite.step_graph import StepGraph, StepGraphBuilder

ACTIVATIONS, STATES = ("float32", "int8"), ("external",)


def convert(
    model: keras.Model | str | Path,
    *,
    activations: str = "int8",
    state: str = "external",
    representative: Iterable[np.ndarray | Mapping[str, np.ndarray]] | None = None,
    encoding: FeatureEncoding | None = None,
    score: AnomalyScore | None = None,
    name: str | None = None,
) -> Artifact:
    """Converts a recurrent Keras model to a model of one time step.

    Args:
        model: Functional or Sequential, of `quantize_aware` and calibrated, or plain; or the path of a `.keras`.
        activations: "float32" (a plain model) or "int8".
        state: "external": the state goes in and out of every step.
        representative: arrays (timesteps, features), or dicts of them by input name, to calibrate a plain model for
            int8. They are streamed from zero states; equal lengths are fastest.
        encoding: puts raw readings in and real units out of the graph; without it x is the model's own input.
        score: with `encoding`: the output is the anomaly score, not the forecast.
        name: file name of the artefact without `.tflite`; default `<model>_<activations>_<state>`.

    Raises:
        ValueError: an argument is not known, or contradicts the model; weights hold NaN; a range was never observed.
        UnsupportedLayer: a layer has no time-step form.
    """
    _check_choice("activations", activations, ACTIVATIONS)
    _check_choice("state", state, STATES)
    if not isinstance(model, keras.Model):
        model = load_model(Path(model), made_by="model.save")
    model = _in_form(model, activations, representative)
    shell = SensorGraph(model, encoding, score) if encoding else None
    graph = shell.build() if shell else step_graph(model)
    content = write_flatbuffer(graph)
    name = name or f"{model.name}_{activations}_{state}"
    manifest = {
        "format": FORMAT,
        "name": name,
        "tflite": f"{name}.tflite",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "activations": activations,
        "state": state,
        **_ends(graph, encoding, shell),
        "versions": {package: version(package) for package in ("tensorflow", "keras", "ai-edge-litert")},
    }
    if score is not None:
        manifest["threshold"] = ALARM
    return Artifact(content, manifest)


def step_graph(model: keras.Model) -> StepGraph:
    """One time step of `model`: float32 inputs and outputs named as in the model, states h0, h1, ..."""
    builder = StepGraphBuilder()
    for name, tensor in zip(_input_names(model), model.inputs, strict=True):
        name = "x" if len(model.inputs) == 1 else name
        builder.inputs.append((name, builder.tensor(f"input/{name}", tensor.shape[-1])))
    sources = {name: graph for name, (_, graph) in zip(_input_names(model), builder.inputs, strict=True)}
    outputs = lower_model(builder, model, sources)
    names = ["y"] if len(outputs) == 1 else model.output_names
    builder.outputs += [(name, dequantize(builder, output)) for name, output in zip(names, outputs, strict=True)]
    return builder.build()


def _in_form(model: keras.Model, activations: str, representative) -> keras.Model:
    """The model with float or with calibrated int8 layers, as `activations` asks."""
    quantized = any(isinstance(layer, QuantLayer) for layer in model.layers)
    if activations == "float32":
        if quantized:
            raise ValueError(
                "activations='float32': the model is quantization-aware; convert the model it was made from"
            )
        check_model(model)
        return model
    if quantized:
        return model
    if representative is None:
        raise ValueError("activations='int8' of a plain model: expected representative=<arrays (timesteps, features)>")
    twin = quantize_aware(model, activations)
    batches = _batches(_checked_stream(stream, model) for stream in representative)
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
    arrays = [np.asarray(by_name[name], np.float32) for name in names]
    for array, tensor in zip(arrays, model.inputs, strict=True):
        features = tensor.shape[-1]
        if array.ndim != 2 or array.shape[1] != features or len(array) == 0:
            raise ValueError(f"representative: expected arrays (timesteps, {features}), got shape {array.shape}")
    if len({len(array) for array in arrays}) != 1:
        raise ValueError("representative: expected inputs of one length per stream")
    return arrays


def _check_choice(argument: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{argument}={value!r}: expected one of {', '.join(map(repr, allowed))}")


def _ends(graph: StepGraph, encoding: FeatureEncoding | None, shell: SensorGraph | None) -> dict[str, list]:
    """inputs, outputs and states of the manifest; shapes without the batch of 1."""

    def end(name, tensor, **more):
        tensor = graph.tensor(tensor)
        return {"name": name, "shape": list(tensor.shape[1:]), "dtype": tensor.dtype, **more}

    inputs = [end(name, tensor) for name, tensor in graph.inputs]
    outputs = [end(name, tensor) for name, tensor in graph.outputs]
    if encoding is not None:
        columns = zip(encoding.columns, encoding.units, strict=True)
        inputs[0]["columns"] = [{"name": name, "unit": unit} for name, unit in columns]
        outputs[0] |= shell.output_form
    states = []
    for name, read, _ in graph.states:
        affine = graph.tensor(read).affine
        states.append(end(name, read, **({"scale": affine.scale, "zero_point": affine.zero_point} if affine else {})))
    return {"inputs": inputs, "outputs": outputs, "states": states}
