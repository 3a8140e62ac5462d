"""What budgets ask of emulated devices: Cortex-M cores and ARM64. A machine without the tools says so instead."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scenario import Scenario
from tflite.arm64.arm64_proof import arm64_proof
from tflite.arm64.emulated_litert import require_arm64
from tflite.firmware.core_figures import core_figures
from tflite.firmware.toolchain import MissingTool, require_tools


def emulated_figures(
    scenario: Scenario, content: bytes, in_sight: bytes, xs: np.ndarray, quanta: Mapping[str, Any], build: Path
) -> dict[str, Any]:
    """"instructions", "flash", "ram" by device and "parity" on ARM64; "not_measured": device -> the tool it lacks.

    Args:
        content: what the scenario ships; `in_sight`: the same with its states outside.
        xs: (timesteps, columns) recorded readings; quanta: see `parity`.

    Raises:
        UserError: a tool fails.
    """
    figures: dict[str, Any] = {"not_measured": {}}
    if scenario.cores:
        try:
            require_tools()
            figures |= core_figures(content, scenario.cores)
        except MissingTool as missing:
            figures["not_measured"]["cores"] = str(missing)
    if scenario.arm64:
        try:
            proof = arm64_proof(in_sight, list(xs), quanta, require_arm64(build))
            figures["parity"] = proof["parity"]
            figures["instructions"] = {**figures.get("instructions", {}), **proof["instructions"]}
        except MissingTool as missing:
            figures["not_measured"]["arm64"] = str(missing)
    for device, reason in figures["not_measured"].items():
        print(f"warning: {device}: not measured here ({reason})")
    return figures if figures["not_measured"] else {key: figures[key] for key in figures if key != "not_measured"}
