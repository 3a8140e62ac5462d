"""`edgernn firmware`: models on every emulated core, held against TensorFlow Lite Micro and against what they cost."""

import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from tflite.firmware.baseline import differences, record
from tflite.firmware.cores import CORES
from tflite.firmware.measure import Figures, measure
from tflite.firmware.reference_models import reference_models
from tflite.firmware.toolchain import versions

Measured = dict[tuple[str, str], Figures]


def firmware(is_recording: bool = False) -> bool:
    """Prints the table of the reference models; whether all are TFLM's and cost what the baseline says.

    Args:
        is_recording: what was measured becomes the baseline.

    Raises:
        UserError: the cross-compiler, the emulator or a compiler of this machine is missing or fails.
    """
    measured: Measured = {}
    for model in reference_models():
        for figures in measure(model.content(), [CORES[name] for name in model.cores]):
            measured[model.name, figures.core] = figures
    print_figures("generated C on emulated cores", measured)
    found, tools = list(failures(measured).values()), versions()
    if is_recording and not found:
        record(measured, tools)
    else:
        found += differences(measured, tools)
    for line in found:
        print(f"FAILED {line}")
    return not found


def failures(measured: Measured) -> dict[tuple[str, str], str]:
    """(model, core) -> a line, where its integers are not TFLM's or two ways of counting its instructions disagree."""
    lines = {}
    for key, figures in measured.items():
        name, replayed = " on ".join(key), figures.replayed
        if not figures.is_equal:
            lines[key] = (f"{name}: its outputs are not TensorFlow Lite Micro's (crc32 {replayed.crc:08x}, expected "
                          f"{figures.expected_crc:08x})")
        elif not figures.clock_agrees:
            lines[key] = (f"{name}: {replayed.mean:.1f} instructions a step by the plugin, {replayed.clock:.1f} by the "
                          "core's clock")
    return lines


def print_figures(title: str, measured: Mapping[tuple[str, str], Figures]) -> None:
    tools = versions()
    columns = ("model", "core", "equals TFLM", "instructions", "mean", "by the clock", "flash", "weights", "RAM")
    table = Table(*columns, "stack", title=title)
    for (model, core), one in measured.items():
        table.add_row(
            model, core, "yes" if one.is_equal else "[red]no", f"{one.instructions:,}", f"{one.replayed.mean:,.1f}",
            f"{one.replayed.clock:,.1f}", f"{one.flash:,}", f"{one.sizes.weights:,}", f"{one.ram:,}", f"{one.stack:,}",
        )  # fmt: skip
    table.caption = (
        f"arm-none-eabi-gcc {tools['compiler']} -O2, QEMU {tools['emulator']}; instructions: of the longest step; "
        "bytes: flash and RAM of an image of start-up, init and step alone, RAM with the stack, of it by watermark"
    )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
