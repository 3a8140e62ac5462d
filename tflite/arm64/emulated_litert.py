"""The genuine LiteRT for ARM64 in an emulated Python."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tflite.arm64.emulated_step import EmulatedStep
from tflite.firmware.toolchain import MissingTool, tool

EMULATOR = "qemu-aarch64"
FOLDER = "arm64"  # of the build folder: what unpack.sh makes
PROJECT = Path(__file__).parents[2]


def require_arm64(build: Path) -> Path:
    """The folder with the ARM64 Python and its wheels.

    Raises:
        MissingTool: it is not there, nor the emulator or the cross-compiler.
    """
    folder = (Path(build) / FOLDER).resolve()
    if not (folder / "root" / "python").exists():
        raise MissingTool(f"{folder}: no ARM64 Python there; `make arm64` unpacks it")
    tool(EMULATOR), tool("aarch64-linux-gnu-gcc")
    return folder


@contextmanager
def emulated_litert(model: bytes, kernels: str, folder: Path) -> Iterator[EmulatedStep]:
    """A step model on LiteRT; `folder`: see `require_arm64`."""
    with tempfile.TemporaryDirectory(prefix="edgernn-") as place:
        path = Path(place, "model.tflite")
        path.write_bytes(model)
        command = [tool(EMULATOR), "-L", str(folder / "root"), str(folder / "root" / "python"),
                   "-m", "tflite.arm64.answer_steps", str(path), kernels]  # fmt: skip
        paths = {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(folder / "wheels")])}
        with EmulatedStep(model, command, cwd=PROJECT, env=os.environ | paths) as runtime:
            yield runtime


def litert_version(folder: Path) -> str:
    """Of the unpacked wheel."""
    return next(folder.glob("wheels/ai_edge_litert-*.dist-info")).name.split("-")[1].removesuffix(".dist")
