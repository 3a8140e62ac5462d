"""A replay image on an emulated core: what it says of itself, and how many instructions its steps took."""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.user_error import UserError
from tflite.firmware.cores import Core
from tflite.firmware.image import NAME, entry_of
from tflite.firmware.toolchain import EMULATOR, instruction_counter, tool

SECONDS = 300.0
SAID = ("crc", "ticks", "stack")


@dataclass(frozen=True)
class Replay:
    """Of all steps of a replay.

    `least`, `most`, `mean`: instructions of a step, by the plugin. `clock`: their mean by the core's SysTick while an
    instruction takes a nanosecond, a few more: the call and the reading of the clock. `stack`: bytes, by watermark.
    `hits`: address -> instructions executed there within steps.
    """

    crc: int
    least: int
    most: int
    mean: float
    clock: float
    stack: int
    hits: Mapping[int, int]


def replay(elf: Path, core: Core, steps: int) -> Replay:
    """Runs a replay image built for this many steps.

    Raises:
        UserError: no emulator, it does not take the plugin, or the image stops with a fault.
    """
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        counted = Path(folder, "counted")
        plugin = f"{instruction_counter()},entry={entry_of(elf, f'{NAME}_step'):#x},out={counted}"
        said = _run(elf, core, plugin)
        counts = [list(map(int, line.split())) for line in counted.read_text().splitlines()] if counted.exists() else []
    if not counts or counts[0][0] != steps:
        seen = counts[0][0] if counts else "no"
        raise UserError(f"{EMULATOR}: the plugin counted {seen} steps of {steps}; QEMU 6.0 to 8.2 is needed")
    _, least, most, total = counts[0]
    clock = said["ticks"] * core.nanoseconds / steps
    return Replay(said["crc"], least, most, total / steps, clock, said["stack"], dict(counts[1:]))


def _run(elf: Path, core: Core, plugin: str) -> dict[str, int]:
    """The numbers an image says before it leaves with status 0."""
    command = [tool(EMULATOR), "-machine", core.machine, "-nographic", "-monitor", "none", "-serial", "none",
               "-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-plugin", plugin,
               "-kernel", str(elf)]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{EMULATOR} for {core.name} failed ({error})") from error
    lines = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    said = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    if done.returncode or not set(SAID) <= set(said):
        told = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
        raise UserError(f"{EMULATOR} for {core.name} failed: {told}")
    return said
