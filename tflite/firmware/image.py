"""Images of a model for a core: the replay, which is run, and the bare one, which is weighed."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource
from tflite.firmware.cores import Core
from tflite.firmware.toolchain import PREFIX, run, tool
from tflite.step_graph import Tensor

SOURCES = Path(__file__).with_name("c")
NAME = "model"  # of every model in C, so that replay.c and bare.c serve all
FLAGS = ("-std=gnu11", "-mthumb", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra",
         "-Werror")
LINK = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", "-Tfirmware.ld")
OPTIMIZE = "-O2"
TYPES = {"int8": "b", "int16": "h", "float32": "f"}
WEIGHTS = re.compile(r"t\d+")  # constants of the model in generated C
HARNESS = ("startup.c", "replay.c", "bare.c", "semihosting.h", "firmware.ld")


@dataclass(frozen=True)
class Sizes:
    """Bytes of an image: what is in flash (of it: weights), and RAM without the stack."""

    text: int
    rodata: int
    data: int
    bss: int
    weights: int
    frames: int  # of the stack, of what calls the step

    @property
    def flash(self) -> int:
        return self.text + self.rodata + self.data


def write_sources(source: CSource, folder: Path, core: Core) -> None:
    """Everything the compiler needs, put into a folder.

    Raises:
        UserError: an end of the model of a type the replay does not make.
    """
    for name in HARNESS:
        shutil.copy(SOURCES / name, folder / name)
    for file, text in source.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "ends.h").write_text(ends_header(source), encoding="utf-8")
    regions = zip(("flash (rx)", "ram (rwx)"), (core.flash, core.ram), strict=True)
    lines = [f"    {name} : ORIGIN = {address:#x}, LENGTH = {size}K" for name, (address, size) in regions]
    (folder / "memory.ld").write_text("MEMORY\n{\n" + "\n".join(lines) + "\n}\n", encoding="utf-8")


def build(folder: Path, core: Core, program: str, defines: Sequence[str] = (), optimize: str = OPTIMIZE) -> Path:
    """Compiles <program>.c, the start-up and the model in the folder; the path of the ELF.

    Raises:
        UserError: no cross-compiler, or it refuses.
    """
    elf = folder / f"{program}.elf"
    flags = (*core.flags, *FLAGS, *defines)
    gcc, what = tool(f"{PREFIX}gcc"), f"{PREFIX}gcc for {core.name}"
    objects = []
    for name, own in (("startup", "-Os"), (program, "-Os"), (NAME, optimize)):
        run([gcc, *flags, own, "-fstack-usage", "-c", f"{name}.c", "-o", f"{name}.o"], what, folder)
        objects.append(f"{name}.o")
    run([gcc, *flags, *LINK, *objects, "-lm", "-o", elf.name], what, folder)
    return elf


def sizes(elf: Path) -> Sizes:
    """What an image built by `build` weighs, by section."""
    listed = run([tool(f"{PREFIX}size"), "-A", "-d", str(elf)], f"{PREFIX}size")
    by_section = {line.split()[0]: int(line.split()[1]) for line in listed.splitlines() if line.startswith(".")}
    symbols = [line.split() for line in run([tool(f"{PREFIX}nm"), "-S", str(elf)], f"{PREFIX}nm").splitlines()]
    weights = sum(int(parts[1], 16) for parts in symbols if len(parts) == 4 and WEIGHTS.fullmatch(parts[3]))
    frames = sum(_frame(elf.parent / f"{part}.su", function)
                 for part, function in (("startup", "start"), (elf.stem, "main")))
    text = by_section[".vectors"] + by_section[".text"] + by_section.get(".ARM.exidx", 0)
    rest = (by_section.get(name, 0) for name in (".rodata", ".data", ".bss"))
    return Sizes(text, *rest, weights, frames)


def _frame(usage: Path, function: str) -> int:
    """Bytes of stack of a function, as the compiler says (-fstack-usage)."""
    for line in usage.read_text(encoding="utf-8").splitlines():
        place, size, _ = line.split("\t")
        if place.endswith(f":{function}"):
            return int(size)
    raise ValueError(f"{usage}: nothing about {function}")


def entry_of(elf: Path, function: str, prefix: str = PREFIX) -> int:
    """The address of a function; `prefix`: of the binutils."""
    for line in run([tool(f"{prefix}nm"), "--defined-only", str(elf)], f"{prefix}nm").splitlines():
        address, _, name = line.split()
        if name == function:
            return int(address, 16)
    raise ValueError(f"{elf}: no {function}")


def ends_header(source: CSource) -> str:
    """ends.h: the arrays the model is stepped on, and tables of inputs, outputs and states, each sorted by name."""
    arguments = "".join(f", {kind}_{name}" for kind, side in (("in", source.inputs), ("out", source.outputs))
                        for _, name, _ in side)
    arrays = [f"static {_declared(kind, name, tensor)};" for kind, side in (("in", source.inputs),
              ("out", source.outputs)) for _, name, tensor in side]
    states = [(told, name, tensor) for told, name, tensor in source.members if not tensor.variable]
    tables = [_table("INPUTS", "in_", source.inputs), _table("OUTPUTS", "out_", source.outputs),
              _table("STATES", "state.", states)]
    elements = sum(_size(tensor) for _, _, tensor in source.inputs)
    return "\n".join([
        '#include <stdint.h>\n\n#include "model.h"\n',
        *arrays,
        f"\n#define STEP(state) {NAME}_step(state{arguments})",
        f"#define ELEMENTS {elements}\n",
        "typedef struct {\n    void *data;\n    uint16_t size, bytes;\n    char type;\n} end_t;\n",
        *tables, ""])  # fmt: skip


def _declared(kind: str, name: str, tensor: Tensor) -> str:
    if tensor.dtype not in TYPES:
        raise UserError(f"{name}: the replay makes readings of {', '.join(TYPES)}, not of {tensor.dtype}")
    return f"{'float' if tensor.dtype == 'float32' else tensor.dtype + '_t'} {kind}_{name}[{_size(tensor)}]"


def _table(table: str, prefix: str, ends: Sequence[tuple[str, str, Tensor]]) -> str:
    """A macro, so that what a program does not use costs nothing and states may be taken of a variable `state`."""
    rows = [f"{{{prefix}{name}, {_size(tensor)}, sizeof {prefix}{name}, '{TYPES[tensor.dtype]}'}}"
            for _, name, tensor in sorted(ends, key=lambda end: end[0])]
    return f"#define {table} {{{', '.join([*rows, '{0, 0, 0, 0}'])}}}"


def _size(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape))
