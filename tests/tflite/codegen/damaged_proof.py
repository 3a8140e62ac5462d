"""What must hold of every damaged model: it is refused, or TensorFlow Lite Micro runs it and the C of it gives the same
bits, clean under the sanitizers."""

import pickle
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from c_files import compiled, written
from drawn_readings import drawn_readings
from mutated_models import mutated

from pipeline.user_error import UserError
from tflite.codegen.c_source import CSource
from tflite.codegen.checked_source import checked_source
from tflite.codegen.compiled_step import STRICT
from tflite.codegen.step_writer import C_TYPES
from tflite.runtimes import load_model
from tflite.runtimes.step_signature import read_step_signature

STEPS = 12
REFUSED, GENERATED = "refused", "generated"
SANITIZERS = ("-g", "-O0", "-ffp-contract=off", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
NAME = "damaged"


@dataclass(frozen=True)
class Run:
    """`inputs` and `expected`: bytes of what goes into all steps, and of what TensorFlow Lite Micro makes of it."""

    source: CSource
    inputs: bytes
    expected: list[list[np.ndarray]]


def generate_and_run(folder: Path, seed: int) -> str:
    """Mutates one of the files in folder/sound; writes folder/<seed>.c where there is C for it, then folder/<seed>.run.

    What the command does in a child ends where the C is written: a process that dies later is a finding.
    """
    sound = sorted((folder / "sound").iterdir())
    content = mutated(sound[seed // 2 % len(sound)].read_bytes(), seed)
    try:
        two_names = [name for name, _ in read_step_signature(content).unnamed_states]  # refused, if not said to be none
        source = checked_source(content, NAME, two_names)
    except UserError as error:
        assert "\n" not in str(error), error
        return REFUSED
    except Exception:  # noqa: BLE001 - the command makes its one line of any
        return REFUSED
    (folder / f"{seed}.c").write_text(source.source)
    runtime = load_model(content, "tflm")
    names = [name for name in runtime.states if name in {member for member, _, _ in source.members}]
    inputs, expected = [], []
    for x in drawn_readings(runtime, seed, STEPS):
        y = runtime.step(x, raw=True)
        results = y if isinstance(y, dict) else {source.outputs[0][0]: y}
        inputs += [np.ascontiguousarray(x[name], tensor.dtype).tobytes() for name, _, tensor in source.inputs]
        expected.append([results[name] for name, *_ in source.outputs] + [runtime.states[name] for name in names])
    (folder / f"{seed}.run").write_bytes(pickle.dumps((Run(source, b"".join(inputs), expected), names)))
    return GENERATED


def prove_run(folder: Path, seed: int) -> None:
    """Raises AssertionError where the C of a seed does not compile, does what it must not, or gives other bits."""
    run, states = pickle.loads((folder / f"{seed}.run").read_bytes())
    place = folder / str(seed)
    place.mkdir()
    written(run.source, place)
    (place / "main.c").write_text(_main(run.source, states))
    said = compiled(place, *STRICT, *SANITIZERS, f"{NAME}.c", "main.c", "-lm", "-o", "main")
    assert said == "", said
    done = subprocess.run([place / "main"], input=run.inputs, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    ours = done.stdout
    for step, results in enumerate(run.expected):
        for theirs in results:
            part, ours = ours[: theirs.nbytes], ours[theirs.nbytes :]
            values = np.frombuffer(part, theirs.dtype).reshape(theirs.shape)
            np.testing.assert_array_equal(values, theirs, err_msg=f"step {step}")
    assert ours == b""


def _main(source: CSource, states: list[str]) -> str:
    """Reads the inputs of step after step, writes outputs and states."""
    ends = [(c, tensor) for _, c, tensor in (*source.inputs, *source.outputs)]
    arrays = "".join(f"static {C_TYPES[t.dtype]} a_{c}[{max(1, int(np.prod(t.shape)))}];\n" for c, t in ends)
    read = " && ".join(f"fread(a_{c}, sizeof a_{c}, 1, stdin) == 1" for _, c, _ in source.inputs)
    places = [f"a_{c}" for _, c, _ in source.outputs]
    places += [f"state.{c}" for name, c, _ in source.members if name in states]
    write = "".join(f"        fwrite({place}, sizeof {place}, 1, stdout);\n" for place in places)
    arguments = ", ".join(["&state", *(f"a_{c}" for c, _ in ends)])
    return f"""#include <stdio.h>
#include "{NAME}.h"
{arrays}static {NAME}_state state;
int main(void)
{{
    {NAME}_init(&state);
    while ({read}) {{
        if ({NAME}_step({arguments})) return 2;
{write}    }}
    return 0;
}}
"""
