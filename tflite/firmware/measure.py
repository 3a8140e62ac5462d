"""A model on a core: is it the model TensorFlow Lite Micro runs, and what does it cost?"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tflite.codegen.c_source import CSource, generate
from tflite.firmware.cores import Core
from tflite.firmware.emulator import Replay, replay
from tflite.firmware.golden_stream import golden_crc
from tflite.firmware.image import NAME, OPTIMIZE, Sizes, build, sizes, write_sources

STEPS = 1000
CLOCK_SLACK = 12.0  # instructions a step between the plugin and the clock: the call, reading the clock, whole ticks


@dataclass(frozen=True)
class Figures:
    """One model on one core.

    `instructions`: of the longest step, from its entry to its return. `flash`: bytes of the bare image, `weights` of
    them. `ram`: bytes of its variables and of the stack, from the reset to the deepest call.
    """

    core: str
    replayed: Replay
    sizes: Sizes
    expected_crc: int

    @property
    def instructions(self) -> int:
        return self.replayed.most

    @property
    def flash(self) -> int:
        return self.sizes.flash

    @property
    def stack(self) -> int:
        return self.replayed.stack + self.sizes.frames

    @property
    def ram(self) -> int:
        return self.sizes.data + self.sizes.bss + self.stack

    @property
    def is_equal(self) -> bool:
        """Whether each output of each step and the last states are TensorFlow Lite Micro's."""
        return self.replayed.crc == self.expected_crc

    @property
    def clock_agrees(self) -> bool:
        """Whether the core's own clock counted the instructions that the plugin did."""
        return abs(self.replayed.clock - self.replayed.mean) <= CLOCK_SLACK


def measure(
    content: bytes, cores: Iterable[Core], steps: int = STEPS, optimize: str = OPTIMIZE
) -> Iterator[Figures]:
    """Replays a model of integers, or of floats that only come in and go out, on cores.

    Raises:
        UserError: a tool is missing or fails; an end of the model of a type the replay does not make.
        ValueError: there is no C for the model; the message names the operator.
    """
    source, expected = generate(content, NAME), golden_crc(content, steps)
    for core in cores:
        yield measure_source(source, core, expected, steps, optimize)


def measure_source(
    source: CSource, core: Core, expected_crc: int, steps: int, optimize: str = OPTIMIZE
) -> Figures:
    """The same of one core, of C that was generated with the name of `image.NAME`."""
    with tempfile.TemporaryDirectory(prefix="edgernn-") as name:
        folder = Path(name)
        write_sources(source, folder, core)
        bare = sizes(build(folder, core, "bare", optimize=optimize))
        elf = build(folder, core, "replay", [f"-DSTEPS={steps}"], optimize)
        replayed = replay(elf, core, steps)
    return Figures(core.name, replayed, bare, expected_crc)
