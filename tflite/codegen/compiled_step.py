"""Generated C in this process: compiled by the system's C compiler to a shared library."""

import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource

COMPILERS = ("cc", "gcc", "clang")
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion")
# No fused multiply-add: floats are to be rounded as the reference kernels round them. What this machine has beyond
# the least of its kind may be used, as the library never leaves it.
FLAGS = (*STRICT, "-O3", "-ffp-contract=off", "-fPIC", "-shared")
NATIVE = ("-march=native",) if platform.machine() == "x86_64" else ()
SECONDS = 120.0


def c_compiler() -> str:
    """The C compiler: $CC, or the first of `COMPILERS` there is.

    Raises:
        UserError: there is none.
    """
    wanted = (os.environ["CC"],) if os.environ.get("CC") else COMPILERS
    found = next(filter(None, map(shutil.which, wanted)), None)
    if found is None:
        raise UserError(f"no C compiler found ({', '.join(wanted)}); install gcc or clang, or name one in CC")
    return found


def compile_step(source: CSource) -> ctypes.PyDLL:
    """The library of <name>_init and <name>_step; the same source is compiled once in a process.

    A call keeps the interpreter's lock: a step is over sooner than the lock is given up and taken again.

    Raises:
        UserError: there is no C compiler, or it refuses.
    """
    return _library(c_compiler(), source)


def size_program() -> str:
    """GNU binutils' `size`.

    Raises:
        UserError: there is none.
    """
    found = shutil.which("size")
    if found is None:
        raise UserError("`size` not found, which tells the bytes of compiled code; install GNU binutils")
    return found


def code_bytes(source: CSource) -> int:
    """Bytes of code and constants of the step on this machine, optimized for size, without the C library.

    Raises:
        UserError: as `compile_step` and `size_program`.
    """
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        place = Path(folder, f"{source.name}.o")
        _compile(c_compiler(), source, Path(folder), *STRICT, "-Os", "-c", "-o", str(place), f"{source.name}.c")
        listed = subprocess.run([size_program(), str(place)], capture_output=True, text=True, check=True)
    return int(listed.stdout.splitlines()[1].split()[0])


@cache
def _library(compiler: str, source: CSource) -> ctypes.PyDLL:
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:  # a library that is loaded needs no file any more
        place = Path(folder, f"{source.name}.so")
        _compile(compiler, source, Path(folder), *FLAGS, *NATIVE, "-o", str(place), f"{source.name}.c", "-lm")
        return ctypes.PyDLL(str(place))


def _compile(compiler: str, source: CSource, folder: Path, *arguments: str) -> None:
    """Both files written to the folder, and the compiler run there; UserError where it refuses."""
    for file, text in source.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    try:
        done = subprocess.run([compiler, *arguments], cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{compiler}: compiling the model failed ({error})") from error
    if done.returncode:
        lines = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
        told = next((line for line in lines if "error" in line), lines[0])
        raise UserError(f"{compiler}: compiling the model failed ({told}); another compiler can be named in CC")
