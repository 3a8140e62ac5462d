"""`edgernn matrix`: every cell in every form, converted, loaded, proven and timed; one row each.

The models are untrained, seeded, and driven by a seeded stream: what is proven is the conversion, not a task.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from keras_models.qat_model import calibrate, quantize_aware
from pipeline.atomic_write import write_json
from tflite.contract import REFERENCE, RUNTIMES, CheckResult, check_contract, open_on
from tflite.conversion import convert
from tflite.exposed_states import exposed_states
from tflite.flatbuffer import read_flatbuffer
from tflite.latency import step_latency
from tflite.memory import measure_arena
from tflite.parity import FLOAT_QUANTUM, parity
from tflite.quanta import output_quanta
from tflite.seeded_stream import wander
from tflite.stream_trace import trace

CELLS = {"simple_rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
FEATURES, UNITS, OUTPUTS = 8, 32, 8
SEED = 0
PARITY_STEPS, XNNPACK_STEPS, CONTRACT_STEPS, LATENCY_STEPS = 10_000, 2_000, 500, 1_000
CALIBRATION = (8, 250)  # streams, steps
PHONE = ("float16", "int8")  # weights of a float32 model, which TFLite Micro does not run
RESULT = "matrix.json"

# Allowed sizes in bytes, file and arena, by form; the arena is that with integer ends, as a device without floats has
# it. And seconds of a conversion of two GRU layers of 64 units, ranges included.
ALLOWED_BYTES = {"gru_int8_external": (8_000, 4_500), "lstm_int8_internal": (9_000, 2_700)}
CONVERSION_UNITS, CONVERSION_SECONDS = (64, 64), 10.0


@dataclass(frozen=True)
class MatrixForm:
    """One row: the arguments of `convert`."""

    cell: str
    activations: str
    state: str
    state_dtype: str | None = None
    weights: str | None = None

    @property
    def name(self) -> str:
        """`gru_int8_state16_internal`, `lstm_weights_float16_external`."""
        numbers = f"weights_{self.weights}" if self.weights else self.activations
        return "_".join(part for part in (self.cell, numbers, self.state_dtype and "state16", self.state) if part)

    @property
    def runtimes(self) -> tuple[str, ...]:
        return tuple(name for name in RUNTIMES if self.weights is None or name != REFERENCE)


def matrix_forms() -> list[MatrixForm]:
    """The 18 forms, int8 with int16 state beside them, and the variants for the phone."""
    forms = []
    for cell in CELLS:
        for activations, state_dtype in (("float32", None), ("int8", None), ("int8", "int16"), ("int16", None)):
            forms += [MatrixForm(cell, activations, state, state_dtype) for state in ("external", "internal")]
        forms += [MatrixForm(cell, "float32", "external", weights=weights) for weights in PHONE]
    return forms


def matrix(build: Path) -> bool:
    """Prints the table and writes build/matrix.json; whether every form and every size passed."""
    quiet = not sys.stderr.isatty()
    rows = [measure_form(form) for form in track(matrix_forms(), "forms", transient=True, disable=quiet)]
    figures = [*_size_figures(rows), _conversion_figure()]
    write_json(Path(build) / RESULT, {"forms": rows, "figures": [figure.record() for figure in figures]})
    _print(rows, figures)
    return all(row["passed"] for row in rows) and all(figure.passed for figure in figures)


def convert_form(form: MatrixForm) -> bytes:
    """The .tflite of one row."""
    source = float_model(form.cell) if form.activations == "float32" else quantized_form(form)
    return convert(
        source, activations=form.activations, state=form.state, state_dtype=form.state_dtype, weights=form.weights
    ).tflite


def quantized_form(form: MatrixForm) -> keras.Model:
    """The calibrated model of one integer row."""
    return _quantized(form)[0]


def measure_form(form: MatrixForm) -> dict[str, Any]:
    """The record of one form; a figure that its runtimes cannot give is absent."""
    artifact, reals = convert_form(form), _float_outputs(form.cell)
    xs = [{"x": x} for x in matrix_stream()]
    expected = None if form.weights else reals if form.activations == "float32" else _quantized(form)[1]
    checks = check_contract(
        artifact,
        xs[:CONTRACT_STEPS],
        runtimes=form.runtimes,
        sequence=None if expected is None else {"y": expected[:CONTRACT_STEPS]},
        float_outputs={"y": reals[:CONTRACT_STEPS]},
    )
    row = {
        "form": form.name,
        "bytes": len(artifact),
        "latency_us": {
            name: step_latency(open_on(artifact, name), matrix_stream()[:LATENCY_STEPS])["p50"]
            for name in ("litert default", "litert builtin")
        },
        "passed": all(check.passed for check in checks),
        "contract": [check.record() for check in checks],
    }
    if REFERENCE in form.runtimes:
        row |= {"arena_bytes": measure_arena(artifact)["total"], "parity": _parities(artifact, xs, expected)}
    return row


def _parities(artifact: bytes, xs: list, expected: np.ndarray) -> dict[str, dict[str, float] | float]:
    """Largest differences from TFLite Micro in quanta: a step of LiteRT from the same state, and the Keras model.

    LiteRT's are told apart: "int16" of states in int16, "other" of outputs and other states.
    """
    outside, quanta = exposed_states(artifact), output_quanta(read_flatbuffer(artifact))
    reference = open_on(outside, REFERENCE)
    wide = {spec.name for spec in reference.state_specs if spec.dtype == "int16"}
    parities = {}
    for name, steps in (("litert reference", PARITY_STEPS), ("litert default", XNNPACK_STEPS)):
        by_tensor = parity(open_on(outside, name), reference, xs[:steps], quanta)["by_tensor"]
        parts = {"other": set(by_tensor) - wide, "int16": wide}
        parities[name] = {part: max(by_tensor[one] for one in names) for part, names in parts.items() if names}
    streamed = trace(open_on(artifact, REFERENCE), xs)["y"]
    quantum = quanta.get("y", FLOAT_QUANTUM * max(1.0, float(np.max(np.abs(expected)))))
    return {**parities, "keras": float(np.max(np.abs(streamed - expected) / quantum))}


@cache
def matrix_stream() -> np.ndarray:
    return wander(PARITY_STEPS, FEATURES, SEED)


@cache
def float_model(cell: str) -> keras.Model:
    keras.utils.set_random_seed(SEED)
    return _network(cell, (UNITS,))


def _network(cell: str, units: tuple[int, ...]) -> keras.Model:
    x = values = keras.Input((None, FEATURES), name="x")
    for width in units:
        values = CELLS[cell](width, return_sequences=True)(values)
    return keras.Model(x, keras.layers.Dense(OUTPUTS)(values), name=cell)


@cache
def _float_outputs(cell: str) -> np.ndarray:
    return float_model(cell).predict(matrix_stream()[None], verbose=0)[0]


def _quantized(form: MatrixForm) -> tuple[keras.Model, np.ndarray]:
    """The calibrated model, and what it says of the stream; only the fused LSTM depends on where the state is kept."""
    is_fused = form.cell == "lstm" and form.activations == "int8" and form.state == "internal"
    return _quantized_model(form.cell, form.activations, form.state_dtype, "internal" if is_fused else "external")


@cache
def _quantized_model(cell: str, activations: str, state_dtype: str | None, state: str) -> tuple:
    model = quantize_aware(float_model(cell), activations, state_dtype=state_dtype, state=state)
    calibrate(model, [np.stack(_calibration_streams())])
    return model, model.predict(matrix_stream()[None], verbose=0)[0]


def _calibration_streams() -> list[np.ndarray]:
    streams, steps = CALIBRATION
    return [wander(steps, FEATURES, SEED + 1 + stream) for stream in range(streams)]


def _size_figures(rows: list[dict]) -> Iterator[CheckResult]:
    sizes, forms = ({one["form"]: one["bytes"] for one in rows}, {form.name: form for form in matrix_forms()})
    for name, (allowed, arena) in ALLOWED_BYTES.items():
        yield CheckResult(f"{name}: flatbuffer", "file", sizes[name], allowed, "bytes")
        model = convert(_quantized(forms[name])[0], state=forms[name].state, ends="integer").tflite
        yield CheckResult(f"{name}, integer ends: flatbuffer", "file", len(model), allowed, "bytes")
        yield CheckResult(f"{name}, integer ends: TFLM arena", REFERENCE, measure_arena(model)["total"], arena, "bytes")


def _conversion_figure() -> CheckResult:
    model = _network("gru", CONVERSION_UNITS)
    start = time.perf_counter()
    convert(model, activations="int8", representative=_calibration_streams())
    label = " x ".join(map(str, (len(CONVERSION_UNITS), CONVERSION_UNITS[0])))
    return CheckResult(
        f"conversion of a {label} GRU, ranges included", "file", time.perf_counter() - start, CONVERSION_SECONDS, "s"
    )


def _print(rows: list[dict], figures: list[CheckResult]) -> None:
    columns = ("form", "bytes", "TFLM arena", "LiteRT us", "builtin us", "REF-TFLM", "Keras-TFLM", "XNNPACK-TFLM")
    table = Table(*columns, "contract", title=f"{FEATURES} inputs, {UNITS} units, Dense {OUTPUTS}")
    for row in rows:
        parities = row.get("parity", {})
        quanta = [_quanta_text(parities.get(key)) for key in ("litert reference", "keras", "litert default")]
        passed = sum(check["passed"] for check in row["contract"])
        table.add_row(
            row["form"],
            f"{row['bytes']:,}",
            f"{row['arena_bytes']:,}" if "arena_bytes" in row else "-",
            *(f"{row['latency_us'][name]:.1f}" for name in ("litert default", "litert builtin")),
            *quanta,
            f"{passed} of {len(row['contract'])}",
        )
    table.caption = (
        f"differences: largest of {PARITY_STEPS:,} steps (XNNPACK {XNNPACK_STEPS:,}), in quanta, LiteRT's with the "
        "state forced equal; after the stroke those of int16 states, 256 of which are a quantum of an int8 product"
    )
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for row in rows:
        for check in row["contract"]:
            if not check["passed"]:
                console.print(f"FAILED {row['form']}: {check_line(check)}")
    for figure in figures:
        console.print(f"{'ok' if figure.passed else 'FAILED'} {check_line(figure.record())}")


def _quanta_text(figures: dict[str, float] | float | None) -> str:
    if figures is None:
        return "-"
    figures = figures.values() if isinstance(figures, dict) else [figures]
    return " / ".join(f"{figure:.3g}" for figure in figures)


def check_line(check: dict[str, Any]) -> str:
    """One check as text, from its record."""
    allowed = "" if check["allowed"] is None else f" (allowed {check['allowed']:g})"
    return f"{check['check']} on {check['runtime']}: {check['figure']:.4g} {check['unit']}{allowed}"
