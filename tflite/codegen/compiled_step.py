"""Generated C in this process: compiled by the system's C compiler to a shared library."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource

COMPILERS = ("cc", "gcc", "clang")
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion")
# No fused multiply-add: floats are to be rounded as the reference kernels round them.
FLAGS = (*STRICT, "-O3", "-ffp-contract=off", "-fPIC", "-shared")
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


def compile_step(source: CSource) -> ctypes.CDLL:
    """The library of <name>_init and <name>_step; the same source is compiled once in a process.

    Raises:
        UserError: there is no C compiler, or it refuses.
    """
    return _compiled(c_compiler(), source.name, source.header, source.source)


@cache
def _compiled(compiler: str, name: str, header: str, source: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:  # a library that is loaded needs no file any more
        for suffix, text in (("h", header), ("c", source)):
            Path(folder, f"{name}.{suffix}").write_text(text, encoding="utf-8")
        library = Path(folder, f"{name}.so")
        command = [compiler, *FLAGS, "-o", str(library), f"{name}.c", "-lm"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{compiler}: compiling the model failed ({error})") from error
        if done.returncode:
            first = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
            told = next((line for line in first if "error" in line), first[0])
            raise UserError(f"{compiler}: compiling the model failed ({told}); another compiler can be named in CC")
        return ctypes.CDLL(str(library))
