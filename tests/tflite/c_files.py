"""Generated C as files of a folder, and the system's compilers on them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tflite.codegen.compiled_step import STRICT

# Each once, by whatever name it is found.
FOUND = {str(Path(shutil.which(name)).resolve()): name for name in ("cc", "clang", "gcc") if shutil.which(name)}
COMPILERS = [*FOUND.values()]


def written(source, folder):
    for file, text in source.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def compiled(folder, *arguments, compiler="cc"):
    """What the compiler said; "" where nothing."""
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    done = subprocess.run([compiler, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 or done.stderr
    return done.stderr


def strictly_compiled(source, folder, compiler="cc", optimize="-O2"):
    """The object file <name>.o, compiled without a warning."""
    said = compiled(written(source, folder), *STRICT, optimize, "-c", f"{source.name}.c", compiler=compiler)
    assert said == ""
    return folder / f"{source.name}.o"
