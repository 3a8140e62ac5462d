"""Drift: how far a free-running model leaves a reference over a long stream, and whether its states saturate."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from rich.progress import track

from pipeline.user_error import UserError
from tflite.artifact import Artifact
from tflite.child_process import ChildFailure, run_in_child
from tflite.exposed_states import exposed_states
from tflite.runtimes import StepRuntime, load_model

FORMS = ("float", "ptq", "quantized")
# Every free run of a validation: the form of the model, and the runtime; `quantized` is what a scenario ships.
RUNS = {**{form: (form, "litert") for form in FORMS}, "quantized_tflm": ("quantized", "tflm")}
SHARE_STEPS = 1_000_000  # of all runs together, in a process of its own: half a minute, and it takes a second to begin


def run_stream(
    runtime: StepRuntime, xs: Sequence[np.ndarray], title: str = "", names: Sequence[str] = ()
) -> tuple[np.ndarray, float]:
    """Steps a model freely over (timesteps, features) from a reset.

    Args:
        names: the order of several outputs.

    Returns:
        Outputs (timesteps, outputs), those of several side by side, and the share of integer state elements at a limit
        of their type.
    """
    runtime.reset()
    limits = {s.name: np.iinfo(s.dtype) for s in runtime.state_specs if s.is_quantized}
    outputs = np.empty((len(xs), sum(output.shape[-1] for output in runtime.outputs)), np.float32)
    saturated = elements = 0
    for t, x in enumerate(track(xs, title, transient=True, disable=not sys.stderr.isatty())):
        output = runtime.step(x)
        outputs[t] = np.concatenate([output[name] for name in names]) if isinstance(output, dict) else output
        if limits and t % 16 == 0:  # every state of every step would cost more than the step itself
            for name, values in runtime.states.items():
                if name in limits:
                    saturated += int(np.sum((values == limits[name].min) | (values == limits[name].max)))
                    elements += values.size
    return outputs, saturated / max(elements, 1)


def rmse(values: np.ndarray, reference: np.ndarray) -> float:
    """Root mean squared difference of arrays of equal shape; NaN wherever one has it and the other has not."""
    both = ~(np.isnan(values) & np.isnan(reference))
    return float(np.sqrt(np.mean((values[both] - reference[both]) ** 2)))


def model_in_sight(artifact: Artifact) -> bytes:
    """The model itself, or where it keeps its states inside: the same operators with the states outside."""
    return exposed_states(artifact.tflite) if artifact.manifest["state"] == "internal" else artifact.tflite


def run_forms(artifacts: dict[str, Artifact], streams: Sequence[np.ndarray]) -> list[tuple[dict, float]]:
    """Steps every run freely over each stream (timesteps, features); long ones share out among the processor's cores.

    Returns:
        Of each stream the outputs (timesteps, outputs) by run, in the order of the manifest, and the saturated share of
        the shipped model's states.

    Raises:
        UserError: the process of a share died (memory ran out).
    """
    steps = len(RUNS) * sum(len(xs) for xs in streams)
    shares = min(len(streams), 1 + steps // SHARE_STEPS)
    if shares == 1:
        return _run_share(artifacts, streams)
    dealt = [streams[first::shares] for first in range(shares)]
    remedy = "free some memory and run it again, and report it with the command if it repeats"
    in_child = partial(run_in_child, _run_share, artifacts, seconds=None, remedy=remedy)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            ran = pool.map(in_child, dealt)
            answers = list(track(ran, "running", shares, transient=True, disable=not sys.stderr.isatty()))
    except ChildFailure as failure:
        raise UserError(str(failure)) from failure
    results: list = [None] * len(streams)
    for first, answer in enumerate(answers):
        results[first::shares] = answer
    return results


def _run_share(artifacts: dict[str, Artifact], streams: Sequence[np.ndarray]) -> list[tuple[dict, float]]:
    """`run_forms` in this process."""
    shipped = artifacts["quantized"]
    names = [output["name"] for output in shipped.manifest["outputs"]]
    models = {run: load_model(artifacts[form].tflite, runtime) for run, (form, runtime) in RUNS.items()}
    in_sight = model_in_sight(shipped)
    states = None if in_sight is shipped.tflite else load_model(in_sight)
    results = []
    for xs in streams:
        runs = {run: run_stream(model, xs, run, names) for run, model in models.items()}
        saturated = runs["quantized"][1] if states is None else run_stream(states, xs, "states", names)[1]
        results.append(({run: outputs for run, (outputs, _) in runs.items()}, saturated))
    return results


def drift_figures(outputs: dict[str, np.ndarray], saturated: float) -> dict[str, float]:
    """How far the shipped model, running free, leaves the float model, and LiteRT leaves TFLite Micro."""
    return {
        "steps": len(outputs["quantized"]),
        "rmse": rmse(outputs["quantized"], outputs["float"]),
        "rmse_tflm": rmse(outputs["quantized"], outputs["quantized_tflm"]),
        "saturated": saturated,
    }


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of several streams one after the other, by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
