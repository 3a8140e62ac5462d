"""What does a Transformer of as many parameters cost on the same stream? Memory, time and quality beside the RNN.

Both ways to use it: the window encoded anew at every reading, and a cache of keys and values, which the caller shifts.
The recurrent network is the same network without the operators around it: features in, forecast out.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from keras_models.feature_encoding import FeatureEncoding, load_encoding
from keras_models.fit_model import fit_model
from keras_models.model_folder import load_model, seed_everything
from keras_models.shard_dataset import training_batches
from keras_models.trained_cell import with_trained_cell
from keras_models.transformer import StreamTransformer, build_transformer
from keras_models.validation_error import validation_error
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.build_record import require_record
from tflite.child_process import ChildFailure, run_in_child
from tflite.conversion import convert
from tflite.latency import percentiles
from tflite.memory import measure_any_arena
from tflite.transformer_forms import transformer_models

CONTEXTS = (64, 128, 256, 512, 1024)
RATES = (1.0, 0.3)  # of the scenario's learning rate; the better by the validation part counts
ROUNDS, SECONDS_A_ROUND, MOST_CALLS = 5, 0.1, 500
ARENA = 128 << 20  # bytes; more than any of them needs
REMEDY = "TensorFlow's converter or TFLite Micro does not take this form"


def against_transformer(scenario: Scenario, build_dir: Path, contexts: tuple[int, ...] = CONTEXTS) -> Path:
    """Trains the baseline as the scenario's model was, converts and measures; writes build/<scenario>/transformer.json.

    Raises:
        UserError: the dataset or the float model is missing, or the model is too small for a rival.
    """
    folder, scenario = Path(build_dir) / scenario.name, with_trained_cell(scenario, build_dir)
    (folder / "transformer.json").unlink(missing_ok=True)
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    encoding = load_encoding(folder / "model" / "encoding.json")
    plain = load_model(folder / "model" / f"{scenario.model.cell}.keras", made_by=f"edgernn train {scenario.path}")
    batches = training_batches(dataset_folder, dataset, encoding, scenario.model, scenario.seed)
    model, runs = _trained(scenario, encoding, plain.count_params(), batches, folder / "model" / "logs")
    windows = np.concatenate([features.numpy() for features, _ in batches[1]])
    float_record = require_record(folder / "model" / "float.json", kind=dict, made_by=f"edgernn train {scenario.path}")
    loss = float_record["lowest_val_loss"]
    quality = {"transformer": runs, "rnn": {"loss": loss, "rmse": _rmse(scenario, plain, batches[1])}}
    rnn = {
        "float32": convert(plain, activations="float32").tflite,
        "int8": convert(plain, activations="int8", representative=windows[: scenario.model.batch]).tflite,
    }
    record = {
        "scenario": scenario.name,
        "cell": scenario.model.cell,
        "parameters": {"rnn": plain.count_params(), "transformer": model.count_params()},
        "sizes": {name: getattr(model.sizes, name) for name in ("width", "blocks", "heads")},
        "quality": quality,
        "costs": _costs(rnn, _models(model, windows, contexts)),
    }
    _print(record)
    path = folder / "transformer.json"
    write_json(path, record)
    return path


def _trained(
    scenario: Scenario, encoding: FeatureEncoding, allowed: int, batches, logs: Path
) -> tuple[StreamTransformer, dict[str, Any]]:
    """The baseline of at most the allowed parameters at the better of the rates, and what every rate gave."""
    models, runs = [], []
    for factor in RATES:
        seed_everything(scenario.seed)
        try:
            model, settings = build_transformer(encoding, allowed, scenario.windows.length), scenario.model
        except ValueError as error:
            raise UserError(f"{scenario.path}: {error}") from error
        history = fit_model(
            model,
            *batches,
            epochs=settings.epochs,
            rate=settings.learning_rate * factor,
            patience=settings.patience,
            warmup=scenario.windows.warmup,
            weight_decay=settings.weight_decay,
            logs=logs / f"transformer_{factor:g}",
            loss=settings.loss,
            quantiles=encoding.quantiles,
        )
        models.append(model)
        loss, rmse = min(record["val_loss"] for record in history), _rmse(scenario, model, batches[1])
        runs.append({"learning_rate": settings.learning_rate * factor, "loss": round(loss, 6), "rmse": rmse})
    best = int(np.argmin([run["loss"] for run in runs]))
    return models[best], {**runs[best], "rates": runs}


def _rmse(scenario: Scenario, model: keras.Model, batches) -> float:
    """Of the forecast over the validation part, in standard deviations."""
    return round(validation_error("rmse", model, batches, scenario.windows.warmup), 6)


def _models(model: StreamTransformer, windows: np.ndarray, contexts) -> dict[str, dict[tuple[str, int], bytes]]:
    """By form of numbers; int8 is absent where the converter dies of it."""
    found = {}
    for name in ("float32", "int8"):
        try:
            given = (model.sizes, model.get_weights(), windows, contexts, name == "int8")
            found[name] = run_in_child(transformer_models, *given, seconds=900.0, remedy=REMEDY)
        except ChildFailure as failure:
            print(f"transformer, {name}: {failure}")
    return found


def _costs(rnn: dict[str, bytes], models: dict[str, dict[tuple[str, int], bytes]]) -> list[dict[str, Any]]:
    """A record per model: form, numbers, context, bytes, TFLite Micro's arena and what the caller holds, time."""
    cells = [("rnn", name, 0, model) for name, model in rnn.items()]
    cells += [(form, name, context, model) for name, ones in models.items() for (form, context), model in ones.items()]
    times = _times([model for *_, model in cells])
    records = []
    for (form, name, context, model), microseconds in zip(cells, times, strict=True):
        record = {"form": form, "activations": name, "context": context, "bytes": len(model), **microseconds}
        try:
            arena = run_in_child(measure_any_arena, model, ARENA, seconds=300.0, remedy=REMEDY)
            record |= {"arena_bytes": arena["total"], "arena_head_bytes": arena["head"]}
        except ChildFailure as failure:  # an operator it lacks: LiteRT alone runs it
            record["arena_problem"] = str(failure)[:200]
        records.append(record)
    gru = {record["activations"]: record["step_us"] for record in records if record["form"] == "rnn"}
    return [record | {"against_rnn": record["step_us"] / gru[record["activations"]]} for record in records]


def _times(models: list[bytes]) -> list[dict[str, float]]:
    """{"step_us": median of one reading} on LiteRT, one thread, all models in turns; the shift of a cache included."""
    calls = [_call(model) for model in models]
    paces = [_pace(call) for call in calls]
    nanoseconds = [[] for _ in models]
    for _ in track(range(ROUNDS), "time", disable=not sys.stderr.isatty(), transient=True):
        for call, pace, taken in zip(calls, paces, nanoseconds, strict=True):
            for _ in range(pace):
                start = time.perf_counter_ns()
                call()
                taken.append(time.perf_counter_ns() - start)
    return [{"step_us": percentiles(taken)["p50"]} for taken in nanoseconds]


def _pace(call: Callable[[], None]) -> int:
    """Calls in a round, at least two; by a call that is not counted."""
    call()
    start = time.perf_counter()
    call()
    return int(min(max(SECONDS_A_ROUND / (time.perf_counter() - start), 2), MOST_CALLS))


def _call(model: bytes) -> Callable[[], None]:
    """One reading of zeros; caches and windows move on in place, as the caller of the model has to."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=model, num_threads=1).get_signature_runner("step")
    inputs = {
        name: np.zeros(one["shape"], one["dtype"]) for name, one in runner.get_input_details().items()
    }

    def call() -> None:
        outputs = runner(**inputs)
        for name, values in inputs.items():
            new = outputs.get(name, outputs.get(f"new_{name}"))
            if values.ndim == 3:
                values[:, :-1] = values[:, 1:]
                values[:, -1:] = 0 if new is None else new
            elif new is not None:  # a state of the recurrent network
                inputs[name] = new

    return call


def _print(record: dict[str, Any]) -> None:
    columns = ("network", "numbers", "window", "file", "arena", "a reading", "against the RNN")
    table = Table(*columns, title=f"{record['scenario']}: one thread of LiteRT, arena of TFLite Micro")
    names = {"rnn": record["cell"], "window": "Transformer, window anew", "cache": "Transformer, cache"}
    for one in record["costs"]:
        arena = f"{one['arena_bytes']:,} B" if "arena_bytes" in one else "not measured"
        context, times = str(one["context"] or "any"), (f"{one['step_us']:,.1f} us", f"{one['against_rnn']:,.1f} x")
        table.add_row(names[one["form"]], one["activations"], context, f"{one['bytes']:,} B", arena, *times)
    loss = {name: f"{one['loss']:.4f}, rmse {one['rmse']:.4f}" for name, one in record["quality"].items()}
    counts = record["parameters"]
    table.caption = (
        f"validation loss {loss['rnn']} ({record['cell']}, {counts['rnn']:,} parameters), {loss['transformer']} "
        f"(Transformer, {counts['transformer']:,})"
    )
    Console().print(table)
