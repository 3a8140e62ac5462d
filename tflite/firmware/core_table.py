"""What models cost on emulated cores: the table, and what is wrong with it."""

import sys

from rich.console import Console
from rich.table import Table

from tflite.firmware.image import OPTIMIZE
from tflite.firmware.measure import Figures
from tflite.firmware.toolchain import versions

Measured = dict[tuple[str, str], Figures]  # by (model, core)


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


def print_figures(title: str, measured: Measured) -> None:
    """The table of what was measured."""
    tools = versions()
    columns = ("model", "core", "equals TFLM", "instructions", "mean", "by the clock", "flash", "weights", "RAM")
    table = Table(*columns, "stack", title=title)
    for (model, core), one in measured.items():
        table.add_row(
            model, core, "yes" if one.is_equal else "[red]no", f"{one.instructions:,}", f"{one.replayed.mean:,.1f}",
            f"{one.replayed.clock:,.1f}", f"{one.flash:,}", f"{one.sizes.weights:,}", f"{one.ram:,}", f"{one.stack:,}",
        )  # fmt: skip
    table.caption = (
        f"arm-none-eabi-gcc {tools['compiler']} {OPTIMIZE} unless named, QEMU {tools['emulator']}; instructions: of "
        "the longest step; bytes: flash and RAM of an image of start-up, init and step alone, RAM with the stack, of "
        "it by watermark"
    )
    Console(width=None if sys.stdout.isatty() else 140).print(table)
