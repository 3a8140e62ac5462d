"""Drift: how far a free-running model leaves a reference over a long stream, and whether its states saturate."""

import sys
from collections.abc import Sequence

import numpy as np
from rich.progress import track

from tflite.artifact import Artifact
from tflite.exposed_states import exposed_states
from tflite.runtimes import StepRuntime, load_model

FORMS = ("float", "ptq", "quantized")
# Every free run of a validation: the form of the model, and the runtime; `quantized` is what a scenario ships.
RUNS = {**{form: (form, "litert") for form in FORMS}, "quantized_tflm": ("quantized", "tflm")}


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


def run_forms(artifacts: dict[str, Artifact], xs: np.ndarray, title: str) -> tuple[dict[str, np.ndarray], float]:
    """Outputs (timesteps, outputs) of every run over a stream, in the order of the manifest; saturated share of the
    shipped model's states."""
    outputs, saturated = {}, {}
    for run, (form, runtime) in RUNS.items():
        model = load_model(artifacts[form].tflite, runtime)
        names = [output["name"] for output in artifacts[form].manifest["outputs"]]
        outputs[run], saturated[run] = run_stream(model, xs, f"{title} {run}", names)
    shipped = artifacts["quantized"]
    in_sight = model_in_sight(shipped)
    if in_sight is not shipped.tflite:
        _, saturated["quantized"] = run_stream(load_model(in_sight), xs, f"{title} states", names)
    return outputs, saturated["quantized"]


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
