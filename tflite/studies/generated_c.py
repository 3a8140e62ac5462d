"""Does generated C part from TensorFlow Lite Micro? Every cell and form over 100,000 steps, and what a step takes."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from pipeline.atomic_write import write_json
from tflite.codegen.c_source import generate
from tflite.codegen.compiled_step import c_compiler, code_bytes, size_program
from tflite.exposed_states import exposed_states
from tflite.latency import interleaved_ratio
from tflite.matrix import FEATURES, MatrixForm, convert_form, matrix_forms
from tflite.parity import outputs_and_states
from tflite.runtimes import load_model
from tflite.seeded_stream import wander

STEPS, TIMED_STEPS = 100_000, 500
SEED = 1
FLOAT_TOLERANCE = 1e-5  # of the largest value: libraries differ by an ulp a call


def generated_c(build: Path) -> bool:
    """Prints the table and writes build/generated_c.json; whether all integers were equal and all floats near.

    A record each: form, steps, share of elements (outputs and states, also those kept inside) that differ, the largest
    difference in terms of the largest value, us per step of both through Python, bytes of code and constants.

    Raises:
        UserError: no C compiler, or no `size`.
    """
    c_compiler(), size_program()  # said at once, not after minutes
    forms = [form for form in matrix_forms() if form.weights is None]
    records = [_measured(form) for form in forms]
    write_json(Path(build) / "generated_c.json", records)
    _print(records)
    return all(_passed(record) for record in records)


def _measured(form: MatrixForm) -> dict[str, object]:
    content, xs = convert_form(form), wander(STEPS, FEATURES, SEED)
    exposed = exposed_states(content)
    ours, theirs = (load_model(exposed, runtime) for runtime in ("c", "tflm"))
    different = elements = 0
    error = largest = 0.0
    for x in xs:
        pair = (outputs_and_states(runtime, {"x": x}) for runtime in (ours, theirs))
        a, b = (np.concatenate([values.ravel().astype(np.float64) for values in one.values()]) for one in pair)
        different, elements = different + int(np.sum(~(a == b))), elements + a.size
        error, largest = max(error, float(np.abs(a - b).max())), max(largest, float(np.abs(b).max()))
    timed = interleaved_ratio(load_model(content, "c").step, load_model(content, "tflm").step, list(xs[:TIMED_STEPS]))
    return {
        "form": form.name,
        "is_float": form.activations == "float32",
        "steps": STEPS,
        "different": different / elements,
        "largest_difference": error / largest,
        "us": {"c": timed["ours"], "tflm": timed["rival"]},
        "code_bytes": code_bytes(generate(content, "step_model")),
    }


def _passed(record: dict[str, object]) -> bool:
    """NaN never passes."""
    return record["different"] == 0 or (record["is_float"] and record["largest_difference"] <= FLOAT_TOLERANCE)


def _print(records: list[dict[str, object]]) -> None:
    columns = Column("form", no_wrap=True), "elements that differ", "C step", "TFLM step", "code"
    table = Table(*columns, title=f"generated C, {STEPS:,} steps")
    for record in records:
        times = [f"{record['us'][runtime]:.2f} us" for runtime in ("c", "tflm")]
        differ = f"{record['different']:.3%}" if _passed(record) else f"[red]{record['different']:.3%}"
        table.add_row(record["form"], differ, *times, f"{record['code_bytes']:,} bytes")
    Console().print(table)
