"""`edgernn validate model.tflite`: what a model of one time step is; whether LiteRT and TFLite Micro agree on it."""

from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.user_error import UserError
from tflite.child_process import ChildFailure
from tflite.flatbuffer import operator_names, read_flatbuffer
from tflite.latency import step_latency
from tflite.memory import arena_bytes
from tflite.parity import parity
from tflite.quanta import output_quanta
from tflite.runtimes import load_model, probe

STEPS = 5000
SEED = 0


def validate_file(path: Path) -> None:
    """Prints operators, states, memory, latency and the parity of LiteRT against TFLite Micro on seeded noise.

    Raises:
        UserError: the file is missing, damaged, or a runtime refuses it; it is tried in a child process first.
    """
    for runtime in ("litert", "tflm"):
        probe(path, runtime)
    model = path.read_bytes()
    litert, tflm = load_model(model), load_model(model, "tflm")
    table = Table(title=f"{path.name}, {len(model):,} bytes", show_header=False)
    for name, kinds in (("inputs", litert.inputs), ("outputs", litert.outputs), ("states", litert.state_specs)):
        table.add_row(name, "\n".join(f"{s.name} {s.dtype} {s.shape}" for s in kinds) or "-")
    try:
        table.add_row("operators", ", ".join(f"{n} {kind}" for kind, n in Counter(operator_names(model)).items()))
        table.add_row("TFLM arena", f"{arena_bytes(model)['total']:,} bytes on this 64-bit host")
    except ChildFailure as failure:
        raise UserError(f"{path}: {failure}") from failure
    xs = _noise(litert, STEPS)
    latency = step_latency(litert, xs[:1000])
    table.add_row("LiteRT step", f"p50 {latency['p50']:.1f} us, p99 {latency['p99']:.1f} us")
    for kernels in ("builtin", "default"):
        figures = parity(load_model(model, kernels=kernels), tflm, xs, _quanta(model))
        table.add_row(
            f"LiteRT ({kernels}) against TFLM",
            f"{figures['max_lsb']:g} quanta at most, "
            f"{figures['mismatched']:.3%} of elements differ, {figures['steps']:,} steps",
        )
    Console().print(table)


def _quanta(model: bytes) -> dict[str, np.ndarray]:
    """Quanta of the float outputs, where the model is made of operators whose quanta can be followed."""
    try:
        return output_quanta(read_flatbuffer(model))
    except ValueError:
        return {}


def _noise(runtime, steps: int) -> list:
    """Seeded standard normal readings for every input."""
    rng = np.random.default_rng(SEED)
    readings = []
    for _ in range(steps):
        x = {spec.name: rng.normal(size=spec.shape).astype(np.float32) for spec in runtime.inputs}
        x = {s.name: s.quantize(x[s.name]) if s.is_quantized else x[s.name] for s in runtime.inputs}
        readings.append(x)
    return readings
