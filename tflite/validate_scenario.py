"""The validate stage: the recorded streams through every form of the model, one step per invoke, state fed back."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from keras_models.feature_encoding import load_encoding
from pipeline.atomic_write import atomic_write, write_json
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import RecordedStream, recorded_streams
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.alarm_verdict import judge_alarms
from tflite.artifact import Artifact, read_artifact
from tflite.build_record import require_record
from tflite.drift import FORMS, model_in_sight
from tflite.emulated_figures import emulated_figures
from tflite.ethos_u import estimate, npu_program
from tflite.flatbuffer import operator_names, read_flatbuffer
from tflite.forecast_verdict import judge_forecasts
from tflite.latency import step_latency
from tflite.memory import arena_bytes
from tflite.parity import parity
from tflite.quanta import output_quanta
from tflite.runtimes import load_model
from tflite.step_graph import Tensor
from tflite.time_constant import stall_warnings
from tflite.validation_table import print_record

PARITY_STEPS = 8000
LATENCY_STEPS = 2000
PACE_STEPS = 2000  # in which a state is seen to move, or not
WIDE = 256  # steps of int16 in one of int8 over the same range
KERNELS = {"builtin": "litert (builtin)", "reference": "litert (reference)", "default": "xnnpack (LiteRT default)"}


def validate_scenario(scenario: Scenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/trace.parquet and validation.json.

    Raises:
        UserError: a model or the dataset of the stages before is missing or damaged.
    """
    folder = Path(build_dir) / scenario.name
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    for stale in ("validation.json", "trace.parquet"):  # an interrupted run must not leave the last one's proof
        (folder / stale).unlink(missing_ok=True)
    artifacts = dict(
        zip(FORMS, (read_artifact(folder / "tflite" / place) for place in ("float32", "ptq", "")), strict=True)
    )
    encoding = load_encoding(folder / "model" / "encoding.json")
    streams = list(recorded_streams(scenario, dataset_folder))
    tested = _tested_streams(scenario, streams)
    if scenario.task == "forecast":
        figures, trace = judge_forecasts(scenario, encoding, artifacts, tested)
    else:
        figures, trace = judge_alarms(scenario, encoding, artifacts, streams, dataset)
    xs = np.concatenate([stream.x[stream.tested] for stream in tested])
    seconds = require_record(folder / "tflite" / "seconds.json", kind=dict, made_by=f"edgernn convert {scenario.path}")
    figures["ptq_bytes"] = len(artifacts["ptq"].tflite)
    shipped = artifacts["quantized"]
    npu = {"ethos_u": estimate(*npu_program(shipped.tflite))}
    record = {"scenario": scenario.name, **figures, **_proof(shipped, xs), **npu, **seconds}
    in_sight = model_in_sight(shipped)
    emulated = emulated_figures(
        scenario, shipped.tflite, in_sight, xs[:PARITY_STEPS], _quanta(in_sight, shipped), build_dir
    )
    record |= emulated | {"parity": record["parity"] + emulated.pop("parity", [])}
    float_record = {
        "scenario": scenario.name,
        **_proof(artifacts["float"], xs),
        "metric": {"name": figures["metric"]["name"], "float": figures["metric"]["float"]},
    }
    with atomic_write(folder / "trace.parquet") as temporary:
        pyarrow.parquet.write_table(pa.table(trace), temporary, compression="zstd")
    path = folder / "validation.json"
    write_json(path, {"models": [record, float_record]})
    print_record(record)
    for warning in stall_warnings(shipped.tflite, xs[:PACE_STEPS]):
        print(f"warning: {warning}")
    return path


def _proof(artifact: Artifact, xs: np.ndarray) -> dict[str, Any]:
    """What does not depend on the task: bytes, operators, parity, memory, latency."""
    model, manifest = artifact.tflite, artifact.manifest
    states = _state_tensors(model_in_sight(artifact))
    arena = arena_bytes(model)
    return {
        **{key: manifest[key] for key in ("cell", "activations", "state_dtype", "state", "bytes") if key in manifest},
        "ops": operator_names(model),
        "parity": _parity(artifact, xs[:PARITY_STEPS]),
        "memory": {
            "arena_bytes": arena["total"],
            "arena_head_bytes": arena["head"],
            "arena_tail_bytes": arena["tail"],
            "state_bytes": sum(tensor.shape[-1] * np.dtype(tensor.dtype).itemsize for tensor in states.values()),
        },
        "latency_us": step_latency(load_model(model, "litert"), list(xs[:LATENCY_STEPS])),
    }


def _parity(artifact: Artifact, xs: np.ndarray) -> list[dict[str, Any]]:
    """LiteRT and its delegate against TFLite Micro, every step from the same state.

    States that the model keeps inside cannot be set: that is done to the same operators with the states outside, and
    the model itself is compared running freely.
    """
    model, in_sight = artifact.tflite, model_in_sight(artifact)
    pairs = [_pair(in_sight, kernels, xs, _quanta(in_sight, artifact), state_forced=True) for kernels in KERNELS]
    if in_sight is not model:
        pairs += [_pair(model, kernels, xs, _quanta(model, artifact), state_forced=False) for kernels in KERNELS]
    return pairs


def _pair(model: bytes, kernels: str, xs: np.ndarray, quanta: dict, state_forced: bool) -> dict[str, Any]:
    figures = parity(load_model(model, kernels=kernels), load_model(model, "tflm"), xs, quanta)
    return {"runtime": KERNELS[kernels], "reference": "tflm", "state_forced": state_forced, **figures}


def _quanta(model: bytes, artifact: Artifact) -> dict[str, Any]:
    """What counts as one, by output and state: of an int16 state beside int8 activations what that is in int8."""
    graph, quanta = read_flatbuffer(model), {}
    if artifact.manifest["activations"] == "int8":
        quanta = {name: WIDE for name, tensor in _state_tensors(model).items() if tensor.dtype == "int16"}
    return quanta | output_quanta(graph)


def _state_tensors(model: bytes) -> dict[str, Tensor]:
    graph = read_flatbuffer(model)
    return {name: graph.tensor(read) for name, read, _ in graph.states}


def _tested_streams(scenario: Scenario, streams: list[RecordedStream]) -> list[RecordedStream]:
    """Those that reach into the test part; UserError where none does."""
    streams = [stream for stream in streams if stream.tested.any()]
    if not streams:
        raise UserError(f"{scenario.path}: split: no stream has a row in the test part; move the split")
    return streams
