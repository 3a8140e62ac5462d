"""The bytes of a model, and of the steps to check by, as C++ arrays."""

import textwrap

import numpy as np

from tflite.codegen.c_source import identifier
from tflite.codegen.step_writer import C_TYPES, c_number
from tflite.micro.golden_steps import STEPS, GoldenSteps
from tflite.micro.include_guard import guarded
from tflite.runtimes.step_signature import StepSignature

WIDTH = 120


def model_header(name: str, model: bytes, arena: int, signature: StepSignature, head: str) -> str:
    """The text of <name>_model.h."""
    places = "\n".join(f"constexpr int {c} = {place};" for c, place in _places(name, signature))
    return guarded(f"{name}_model_h", f"""{head}
/* At a multiple of 16 bytes, as the interpreter needs it. */
extern const unsigned char {name}_model[{len(model)}];
constexpr int {name}_model_bytes = {len(model)};

/* The smallest arena that took the model and a step, on a 64-bit host whose interpreter records its allocations. A
   32-bit target needs less: pointers are half as wide; probe there, from this down. */
constexpr int {name}_arena_bytes = {arena};

/* Places among interpreter.input(...) and interpreter.output(...). A state is both: real 0 (the zero point of an
   integer) before the first step, then what the step before put out. */
{places}
""")


def model_source(name: str, model: bytes, head: str) -> str:
    """The text of <name>_model.cc."""
    values = _filled(", ".join(map(str, model)))
    return f"""{head}
#include "{name}_model.h"

alignas(16) const unsigned char {name}_model[{len(model)}] = {{
{values}
}};
"""


def golden_header(name: str, steps: GoldenSteps, head: str) -> str:
    """The text of <name>_golden.h."""
    arrays = "\n".join(f"extern {_declared(c, values)};" for c, values in _arrays(name, steps))
    return guarded(f"{name}_golden_h", f"""{head}
#include <stdint.h>

/* Steps from a reset: [step][element] of what goes in, what comes out and the states after the step. */
constexpr int {name}_golden_steps = {STEPS};
{arrays}
""")


def golden_source(name: str, steps: GoldenSteps, head: str) -> str:
    """The text of <name>_golden.cc."""
    arrays = "\n".join(_defined(c, values) for c, values in _arrays(name, steps))
    return f'{head}\n#include "{name}_golden.h"\n\n#include <math.h>\n\n{arrays}'


def _places(name: str, signature: StepSignature) -> list[tuple[str, int]]:
    sides = {"input": (*signature.inputs, *signature.states_in), "output": (*signature.outputs, *signature.states_out)}
    return [
        (c, port.position)
        for side, ports in sides.items()
        for c, port in zip(_distinct(f"{name}_{side}_", [port.spec.name for port in ports]), ports, strict=True)
    ]


def _arrays(name: str, steps: GoldenSteps) -> list[tuple[str, np.ndarray]]:
    return list(zip(_distinct(f"{name}_golden_", [*steps.by_name]), steps.by_name.values(), strict=True))


def _distinct(prefix: str, names: list[str]) -> list[str]:
    """C identifiers; those that would be equal have their place behind them."""
    words = [identifier(prefix + name) for name in names]
    return [word if words.count(word) == 1 else f"{word}_{place}" for place, word in enumerate(words)]


def _declared(c: str, values: np.ndarray) -> str:
    return f"const {C_TYPES[values.dtype.name]} {c}[{len(values)}][{max(1, values.shape[1])}]"


def _defined(c: str, values: np.ndarray) -> str:
    rows = ("\n".join(["{", _filled(", ".join(map(c_number, row))), "}"]) for row in values)
    return f"{_declared(c, values)} = {{\n{','.join(rows)}\n}};\n"


def _filled(numbers: str) -> str:
    return textwrap.fill(numbers, WIDTH, initial_indent="  ", subsequent_indent="  ")
