"""The programs the firmware needs: the cross-compiler and its tools, the emulator, a compiler of this machine."""

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from pipeline.user_error import UserError
from tflite.codegen.compiled_step import c_compiler

PREFIX = "arm-none-eabi-"
EMULATOR = "qemu-system-arm"
REMEDY = "`make system-packages` installs it"
SECONDS = 120.0
PLUGIN = Path(__file__).with_name("c") / "instruction_counter.c"


class MissingTool(UserError):
    """A program that this machine lacks."""


def tool(name: str) -> str:
    """The path of a program.

    Raises:
        MissingTool: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise MissingTool(f"{name} not found; {REMEDY}")
    return found


def run(command: list[str], what: str, folder: Path | None = None) -> str:
    """What a program prints.

    Raises:
        UserError: it does not start, takes too long or fails; with the first line of its error.
    """
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{what} failed ({error})") from error
    if done.returncode:
        lines = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
        raise UserError(f"{what} failed: {next((line for line in lines if 'error' in line), lines[0])}")
    return done.stdout


def require_tools() -> None:
    """Raises MissingTool where the cross-compiler or the emulator is not to be had: before time is spent; UserError
    where the emulator's plugin is not.
    """
    tool(f"{PREFIX}gcc"), tool(EMULATOR), instruction_counter()


def versions() -> dict[str, str]:
    """{"compiler": "12.2.1", "emulator": "7.2.22"}."""
    compiler = run([tool(f"{PREFIX}gcc"), "-dumpfullversion"], f"{PREFIX}gcc")
    emulator = run([tool(EMULATOR), "--version"], EMULATOR)
    return {"compiler": compiler.strip(), "emulator": re.search(r"version (\S+)", emulator)[1]}


@cache
def instruction_counter() -> Path:
    """The plugin of QEMU that counts instructions, compiled for this machine; kept while the process lives.

    Raises:
        UserError: there is no C compiler, or it refuses.
    """
    folder = tempfile.TemporaryDirectory(prefix="edgernn-")
    _kept.append(folder)
    place = Path(folder.name, "instruction_counter.so")
    flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-fPIC", "-shared")
    run([c_compiler(), *flags, "-o", str(place), os.fspath(PLUGIN)], "compiling the instruction counter")
    return place


_kept: list[tempfile.TemporaryDirectory] = []
