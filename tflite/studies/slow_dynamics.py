"""Does a slow state stall? A GRU follows an exponential moving average of its input, in every integer form.

An int8 state stops moving when its update is under half a quantum; with a time constant of 150 steps that is most of
the time. Every form streams the same 20,000 steps on LiteRT, one step per invoke, and is compared with the truth.
"""

from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_models.choose_form import FORMS
from keras_models.model_folder import seed_everything
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate, quantize_aware
from pipeline.atomic_write import write_json
from tflite.conversion import convert
from tflite.drift import rmse, run_stream
from tflite.runtimes import load_model

TIME_CONSTANTS = (40, 150)
STEPS, TIMESTEPS, STREAMS, BATCH, UNITS = 20_000, 600, 256, 32, 12
EPOCHS, RATE = 30, 1e-2
FINETUNING_EPOCHS, FINETUNING_RATE = 30, 5e-3


def slow_dynamics(build_dir: Path, seed: int = 3) -> Path:
    """Trains, quantizes and streams; prints a table and writes build/slow.json: RMSE by time constant and form."""
    table = Table("time constant", "form", "calibrated", "fine-tuned", "best / float", title="RMSE of a moving average")
    records = []
    for time_constant in TIME_CONSTANTS:
        record = _study(time_constant, seed)
        records.append(record)
        name, control = f"{time_constant} steps", record["control"]
        table.add_row(name, "float32", f"{record['float32']:.4f}", f"{control:.4f} (trained on)", "-")
        for form in FORMS:
            one = record[form.name]
            best = min(one.values()) / record["float32"]
            table.add_row("", form.name, f"{one['calibrated']:.4f}", f"{one['finetuned']:.4f}", f"{best:.2f}")
    Console().print(table)
    path = Path(build_dir) / "slow.json"
    write_json(path, records)
    return path


def moving_average(x: np.ndarray, time_constant: float) -> np.ndarray:
    """y[t] = y[t-1] + (x[t] - y[t-1]) / time_constant along axis 1, from zero."""
    y, state = np.empty_like(x), np.zeros_like(x[:, 0])
    for t in range(x.shape[1]):
        state = state + (x[:, t] - state) / time_constant
        y[:, t] = state
    return y


def levels(streams: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Inputs (streams, steps, 1): a level in [-1, 1] held for some 300 steps, and noise."""
    changes = rng.random((streams, steps)) < 1 / 300
    changes[:, 0] = True
    held = np.maximum.accumulate(np.where(changes, np.arange(steps), 0), axis=1)
    values = np.take_along_axis(rng.uniform(-1, 1, (streams, steps)), held, axis=1)
    return (values + rng.normal(0, 0.1, values.shape))[..., None].astype(np.float32)


def _study(time_constant: int, seed: int) -> dict:
    seed_everything(seed)
    rng = np.random.default_rng(seed)
    x, stream = levels(STREAMS, TIMESTEPS, rng), levels(1, STEPS, rng)
    y, truth = moving_average(x, time_constant), moving_average(stream, time_constant)[0]
    model = _network(time_constant, rng)
    _fit(model, x, y, EPOCHS, RATE)

    def error(artifact) -> float:
        return rmse(run_stream(load_model(artifact.tflite), stream[0])[0], truth)

    record = {"time_constant": time_constant, "float32": error(convert(model, activations="float32"))}
    control = keras.models.clone_model(model)
    control.set_weights(model.get_weights())
    _fit(control, x, y, FINETUNING_EPOCHS, FINETUNING_RATE)
    record["control"] = error(convert(control, activations="float32"))
    for form in FORMS:
        record[form.name] = _forms_errors(model, form, x, y, error)
    return record


def _forms_errors(model: keras.Model, form: NumericForm, x, y, error) -> dict[str, float]:
    qat = quantize_aware(model, form.activations, state_dtype=form.state_dtype)
    calibrate(qat, [x])
    calibrated = error(convert(qat))
    _fit(qat, x, y, FINETUNING_EPOCHS, FINETUNING_RATE)
    return {"calibrated": calibrated, "finetuned": error(convert(qat))}


def _network(time_constant: int, rng: np.random.Generator) -> keras.Model:
    """GRU and Dense; the update gates start at time constants up to the wanted one (Tallec & Ollivier 2018)."""
    inputs = keras.Input((None, 1))
    gru = keras.layers.GRU(UNITS, return_sequences=True)
    model = keras.Model(inputs, keras.layers.Dense(1)(gru(inputs)), name="moving_average")
    bias = np.zeros((2, 3 * UNITS), np.float32)
    bias[0, :UNITS] = np.log(rng.uniform(1, 2 * time_constant, UNITS))
    gru.cell.bias.assign(bias)
    return model


def _fit(model: keras.Model, x, y, epochs: int, rate: float) -> None:
    """In place; the rate falls to nothing along a cosine."""
    steps = epochs * (len(x) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss="mse")
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0)
