"""A model on ARM64 and on this machine: does LiteRT say the same, does generated C, and what does a step of C take?"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tflite.arm64.emulated_c import emulated_c
from tflite.arm64.emulated_litert import emulated_litert
from tflite.parity import parity
from tflite.runtimes import load_model
from tflite.validation_record import ARM64_BUILTIN, ARM64_GENERATED, ARM64_XNNPACK

STEPS = 2000
LITERT = ((ARM64_BUILTIN, "builtin", "litert (builtin)"), (ARM64_XNNPACK, "default", "tflm"))  # kernels, reference


def arm64_proof(
    model: bytes, xs: Iterable[np.ndarray | Mapping[str, np.ndarray]], quanta: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """{"parity": [a record of each of the three], "instructions": {"arm64": of the longest step of generated C}}.

    Every step from the same state, so that where none differs no stream of these readings does.

    Args:
        model: a step model with its states in sight.
        xs: readings, as `step` takes them raw.
        quanta: see `parity`.
        folder: see `require_arm64`.

    Raises:
        UserError: a tool is missing or fails, or an emulated model ends.
        ValueError: there is no C for the model.
    """
    xs = list(xs)[:STEPS]
    pairs = []
    for name, kernels, reference in LITERT:
        here = load_model(model, "tflm") if reference == "tflm" else load_model(model, kernels="builtin")
        with emulated_litert(model, kernels, folder) as runtime:
            pairs.append(_pair(name, reference, parity(runtime, here, xs, quanta)))
    with emulated_c(model) as (runtime, count):
        pairs.append(_pair(ARM64_GENERATED, "tflm", parity(runtime, load_model(model, "tflm"), xs, quanta)))
    return {"parity": pairs, "instructions": {"arm64": count.most}}


def _pair(runtime: str, reference: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {"runtime": runtime, "reference": reference, "state_forced": True, **figures}
