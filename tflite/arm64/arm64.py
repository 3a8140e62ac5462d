"""`edgernn arm64`: models of every cell on emulated ARM64, held against this machine and TensorFlow Lite Micro."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from pipeline.atomic_write import write_json
from tflite.arm64.arm64_proof import STEPS, arm64_proof
from tflite.arm64.emulated_c import PREFIX
from tflite.arm64.emulated_litert import EMULATOR, litert_version, require_arm64
from tflite.conversion import convert
from tflite.firmware.toolchain import run, tool
from tflite.matrix import FEATURES, MatrixForm, quantized_form
from tflite.runtimes import load_model
from tflite.seeded_stream import wander
from tflite.validation_record import ARM64_BUILTIN, ARM64_GENERATED, ARM64_XNNPACK

FORMS = (MatrixForm("gru", "int8", "external"), MatrixForm("gru", "int8", "external", "int16"),
         MatrixForm("gru", "int16", "external"), MatrixForm("lstm", "int8", "external"),
         MatrixForm("simple_rnn", "int8", "external"))  # fmt: skip
XNNPACK_QUANTA = 8  # it rounds products and sums its own way
WIDE = 256  # steps of an int16 state in one of the int8 activations beside it
SEED = 1


def arm64(build: Path) -> bool:
    """Prints the table and writes build/arm64.json; whether the built-in kernels and the C gave the very integers.

    Raises:
        UserError: a tool or the ARM64 Python is missing, or fails.
    """
    folder = require_arm64(build)
    forms = track(FORMS, "forms", transient=True, disable=not sys.stderr.isatty())
    records = [{"form": form.name, **_proof(form, folder)} for form in forms]
    versions = {
        "litert": litert_version(folder),
        "compiler": run([tool(f"{PREFIX}gcc"), "-dumpfullversion"], f"{PREFIX}gcc").strip(),
        "emulator": run([tool(EMULATOR), "--version"], EMULATOR).split()[2],
    }
    write_json(Path(build) / "arm64.json", {"versions": versions, "steps": STEPS, "forms": records})
    _print(records, versions)
    return all(_passed(record) for record in records)


def _proof(form: MatrixForm, folder: Path) -> dict[str, Any]:
    model = convert(quantized_form(form), state=form.state, ends="integer").tflite
    runtime = load_model(model, "tflm")
    wide = [spec.name for spec in runtime.state_specs if spec.dtype == "int16" and form.activations == "int8"]
    (spec,) = runtime.inputs
    xs = [spec.quantize(x) for x in wander(STEPS, FEATURES, SEED)]
    return arm64_proof(model, xs, dict.fromkeys(wide, WIDE), folder)


def _passed(record: dict[str, Any]) -> bool:
    """NaN never passes."""
    largest = {pair["runtime"]: pair["max_lsb"] for pair in record["parity"]}
    return largest[ARM64_BUILTIN] == largest[ARM64_GENERATED] == 0 and largest[ARM64_XNNPACK] <= XNNPACK_QUANTA


def _print(records: list[dict[str, Any]], versions: dict[str, str]) -> None:
    title = f"LiteRT {versions['litert']} and generated C on emulated ARM64, {STEPS:,} steps"
    columns = ("form", "built-in from x86", "C from TFLM", "XNNPACK from TFLM", "instructions")
    table = Table(*columns, title=title)
    for record in records:
        largest = {pair["runtime"]: pair["max_lsb"] for pair in record["parity"]}
        quanta = [f"{largest[name]:g}" for name in (ARM64_BUILTIN, ARM64_GENERATED, ARM64_XNNPACK)]
        mark = "" if _passed(record) else "[red]"
        table.add_row(mark + record["form"], *quanta, f"{record['instructions']['arm64']:,}")
    tools = f"{PREFIX}gcc {versions['compiler']} -O2, QEMU {versions['emulator']}"
    table.caption = f"{tools}; largest difference in quanta; instructions of the longest step of the C"
    Console(width=None if sys.stdout.isatty() else 140).print(table)
