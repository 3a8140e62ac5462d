"""Do errors of a quantized state add up? A forecaster's test stream, repeated to 100,000 steps without a reset."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from keras_models.feature_encoding import load_encoding
from keras_models.finetune_qat import attempt
from keras_models.model_folder import load_model
from keras_models.numeric_form import NumericForm
from keras_models.shard_dataset import training_batches
from keras_models.trained_cell import with_trained_cell
from pipeline.atomic_write import write_json
from pipeline.dataset_folder import read_dataset
from pipeline.recorded_streams import recorded_streams
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.artifact import read_artifact
from tflite.conversion import convert
from tflite.drift import rmse
from tflite.forecast_error import lead_truth, wape
from tflite.runtimes import StepRuntime
from tflite.runtimes import load_model as load_step_model

STEPS = 100_000


def long_run(scenario: Scenario, build_dir: Path) -> Path:
    """Streams the float model, what the scenario ships, and the int16 form `quantize` makes of it; prints a table.

    Writes build/<scenario>/long_run.json: by form WAPE over all steps, of the first and of the last repetition, its
    loss against float, the RMSE of the states against the float model's, and the share of state elements at a limit
    of their type in every step of the last repetition.

    Raises:
        UserError: the scenario is no forecast, or a stage before is missing.
    """
    if scenario.task != "forecast":
        raise UserError(f"{scenario.path}: a long run repeats a forecast's test stream; expected task = 'forecast'")
    folder, scenario = Path(build_dir) / scenario.name, with_trained_cell(scenario, build_dir)
    dataset_folder, dataset = read_dataset(scenario, build_dir)
    encoding = load_encoding(folder / "model" / "encoding.json")
    plain = load_model(folder / "model" / f"{scenario.model.cell}.keras", made_by=f"edgernn train {scenario.path}")
    batches = partial(training_batches, dataset_folder, dataset, encoding, scenario.model, scenario.seed)
    wide = attempt(scenario, plain, None, NumericForm("int16"), batches, folder / "logs" / "long_run")
    shipped = read_artifact(folder / "tflite")
    models = {
        "float32": read_artifact(folder / "tflite" / "float32").tflite,
        f"{shipped.manifest['activations']}, shipped": shipped.tflite,
        f"int16, {wide.kept_name}": convert(wide.kept.model, encoding=encoding).tflite,
    }
    stream = next(stream for stream in recorded_streams(scenario, dataset_folder) if stream.tested.any())
    xs, target, count = stream.x[stream.tested], encoding.targets[0], len(encoding.targets)
    truth = lead_truth(xs[:, target], encoding.leads)
    repetitions = -(-STEPS // len(xs))
    records, float_states, float_wape = {}, None, None
    for name, model in models.items():
        passes = [_pass(runtime, xs) for runtime in [load_step_model(model)] for _ in range(repetitions)]
        errors = [wape(truth, outputs[:, ::count]) for outputs, _, _ in passes]
        states = np.concatenate([states for _, states, _ in passes])
        if float_states is None:
            float_states, float_wape = states, np.mean(errors)
        records[name] = {
            "steps": repetitions * len(xs),
            "wape": float(np.mean(errors)),
            "first": errors[0],
            "last": errors[-1],
            "loss": float(np.mean(errors) / float_wape - 1),
            "state_rmse": rmse(states, float_states),
            "stuck": passes[-1][2],
        }
    _print(scenario, records)
    path = folder / "long_run.json"
    write_json(path, records)
    return path


def _pass(runtime: StepRuntime, xs: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """From where the runtime stands: outputs, states as real numbers, share of state elements always at a limit."""
    outputs, states, at_limit = [], [], True
    for x in xs:
        output = runtime.step(x)
        outputs.append(output["forecast"] if isinstance(output, dict) else output)  # others: its quantiles
        now, reals, limits = runtime.states, [], []
        for spec in runtime.state_specs:
            values = now[spec.name]
            reals.append(spec.dequantize(values) if spec.is_quantized else values)
            ends = np.iinfo(spec.dtype) if spec.is_quantized else None
            limits.append((values == ends.min) | (values == ends.max) if ends else np.zeros(values.shape, bool))
        states.append(np.concatenate(reals))
        at_limit = at_limit & np.concatenate(limits)
    return np.stack(outputs), np.stack(states), float(np.mean(at_limit))


def _print(scenario: Scenario, records: dict[str, dict]) -> None:
    steps = next(iter(records.values()))["steps"]
    table = Table(
        "form", "WAPE", "first pass", "last pass", "against float", "state RMSE", "stuck states",
        title=f"{scenario.name}: {steps:,} steps without a reset",
    )  # fmt: skip
    for name, one in records.items():
        errors = (f"{one[key]:.4f}" for key in ("wape", "first", "last"))
        table.add_row(name, *errors, f"{one['loss']:+.2%}", f"{one['state_rmse']:.4f}", f"{one['stuck']:.1%}")
    Console().print(table)
