"""The cores the firmware is built for, and the machines that QEMU has of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """A Cortex-M core.

    `flags`: of the compiler. `machine`: QEMU's name of a board with it. `flash`, `ram`: (address, kilobytes) there, of
    which no more is used than a small device has. `nanoseconds`: of a tick of its SysTick in QEMU.
    """

    name: str
    flags: tuple[str, ...]
    machine: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    nanoseconds: float


SOFT, HARD = ("-mfloat-abi=soft",), ("-mfloat-abi=hard",)
MPS2 = {"flash": (0, 512), "ram": (0x20000000, 32), "nanoseconds": 40.0}

CORES = {
    core.name: core
    for core in (
        Core("m0", ("-mcpu=cortex-m0", *SOFT), "microbit", (0, 256), (0x20000000, 16), 62.5),
        Core("m3", ("-mcpu=cortex-m3", *SOFT), "mps2-an385", **MPS2),
        Core("m4", ("-mcpu=cortex-m4", *HARD, "-mfpu=fpv4-sp-d16"), "mps2-an386", **MPS2),
        Core("m7", ("-mcpu=cortex-m7", *HARD, "-mfpu=fpv5-sp-d16"), "mps2-an500", **MPS2),
        Core("m33", ("-mcpu=cortex-m33", *HARD, "-mfpu=fpv5-sp-d16"), "mps2-an505", (0x10000000, 512),
             (0x38000000, 32), 50.0),
        Core("m55", ("-mcpu=cortex-m55", *HARD), "mps3-an547", (0, 512), (0x20000000, 32), 31.25),
    )
}  # fmt: skip
