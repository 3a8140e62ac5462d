"""What the reference models cost when it was last recorded, and by how much they may differ."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.atomic_write import write_json
from pipeline.scenario import CORE_FIGURES
from pipeline.user_error import UserError
from tflite.firmware.measure import Figures

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.01


def record(measured: Mapping[tuple[str, str], Figures], versions: Mapping[str, str], path: Path = BASELINE) -> None:
    """Writes the figures of (model, core) and the versions of compiler and emulator."""
    figures = {f"{model} on {core}": {name: getattr(one, name) for name in CORE_FIGURES}
               for (model, core), one in measured.items()}
    write_json(path, {"versions": dict(versions), "figures": figures})


def differences(
    measured: Mapping[tuple[str, str], Figures], versions: Mapping[str, str], path: Path = BASELINE
) -> list[str]:
    """A line for each figure more than 1 % off its record, for each without one, and for other versions of the tools.

    Raises:
        UserError: there is no baseline, or it is damaged.
    """
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        known, tools = recorded["figures"], recorded["versions"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no baseline can be read; record one with `edgernn firmware --record`") from error
    lines = [f"{tool} {version}: the baseline was recorded with {tools.get(tool)}" for tool, version in versions.items()
             if tools.get(tool) != version]
    for (model, core), figures in measured.items():
        before = known.get(f"{model} on {core}", {})
        for name in CORE_FIGURES:
            now, then = getattr(figures, name), before.get(name)
            if then is None:
                lines.append(f"{model} on {core}: no {name} in the baseline")
            elif not abs(now - then) <= TOLERANCE * then:
                lines.append(f"{model} on {core}: {now:,} {name}, {now / then - 1:+.1%} of the baseline's {then:,}")
    return lines
