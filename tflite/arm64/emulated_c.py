"""Generated C compiled for ARM64, its instructions counted."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

from tflite.arm64.emulated_litert import EMULATOR
from tflite.arm64.emulated_step import EmulatedStep
from tflite.codegen.c_source import CSource, generate
from tflite.codegen.step_writer import C_TYPES
from tflite.firmware.image import NAME, entry_of
from tflite.firmware.toolchain import instruction_counter, run, tool
from tflite.runtimes.step_signature import read_step_signature

PREFIX = "aarch64-linux-gnu-"
# As the firmware: floats are rounded one by one. Static: the libraries of the compiler, whatever the ARM64 root holds.
FLAGS = ("-std=gnu11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-static")


@dataclass
class StepCount:
    """Instructions of the longest step; known when the program has ended."""

    most: int = 0


@contextmanager
def emulated_c(model: bytes) -> Iterator[tuple[EmulatedStep, StepCount]]:
    """The C of a step model.

    Raises:
        UserError: a tool is missing or fails.
        ValueError: there is no C for the model; the message names the operator.
    """
    source = generate(model, NAME)
    with tempfile.TemporaryDirectory(prefix="edgernn-") as name:
        folder = Path(name)
        for file, text in (source.files | {"main.c": _main(source, model)}).items():
            (folder / file).write_text(text, encoding="utf-8")
        gcc = f"{PREFIX}gcc"
        run([tool(gcc), *FLAGS, "main.c", f"{NAME}.c", "-lm", "-o", "main"], gcc, folder)
        counted = folder / "counted"
        entry = entry_of(folder / "main", f"{NAME}_step", PREFIX)
        plugin = f"{instruction_counter()},entry={entry:#x},out={counted}"
        count = StepCount()
        with EmulatedStep(model, [tool(EMULATOR), "-plugin", plugin, str(folder / "main")]) as runtime:
            yield runtime, count
        count.most = int(counted.read_text().split()[2])


def _main(source: CSource, model: bytes) -> str:
    """Answers as `answer_steps` does; the specs of the signature say in which order."""
    inputs, outputs, states = read_step_signature(model).specs
    called = {told: c for told, c, _ in (*source.inputs, *source.outputs)}
    kept = {told: f"state.{c}" for told, c, _ in source.members}
    ends = [(called[spec.name], tensor) for spec in (*inputs, *outputs)
            for told, _, tensor in (*source.inputs, *source.outputs) if told == spec.name]  # fmt: skip
    arrays = "".join(f"static {C_TYPES[tensor.dtype]} a_{c}[{max(1, prod(tensor.shape))}];\n" for c, tensor in ends)
    told = [*(kept[spec.name] for spec in states), *(f"a_{called[spec.name]}" for spec in inputs)]
    answered = [*(f"a_{called[spec.name]}" for spec in outputs), *(kept[spec.name] for spec in states)]
    read = " && ".join(f"fread({place}, sizeof {place}, 1, stdin) == 1" for place in told)
    write = "".join(f"        fwrite({place}, sizeof {place}, 1, stdout);\n" for place in answered)
    order = [c for _, c, _ in (*source.inputs, *source.outputs)]
    return f"""#include <stdio.h>
#include "{NAME}.h"
{arrays}static {NAME}_state state;
int main(void)
{{
    {NAME}_init(&state);
    while ({read}) {{
        if ({NAME}_step({", ".join(["&state", *(f"a_{c}" for c in order)])})) {{
            return 2;
        }}
{write}        fflush(stdout);
    }}
    return 0;
}}
"""
