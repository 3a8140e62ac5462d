"""The cell of a trained model: with `cell = "auto"` it is known only after training."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.scenario import CELLS, Scenario
from pipeline.user_error import UserError


def with_trained_cell(scenario: Scenario, build_dir: Path) -> Scenario:
    """The scenario with the cell and units that training chose; as it is where it names the cell itself.

    Raises:
        UserError: the choice is not there or damaged: the train stage has not finished.
    """
    if scenario.model.cell != "auto":
        return scenario
    record = _float_record(scenario, build_dir)
    return replace(scenario, model=replace(scenario.model, cell=record["cell"], units=record["units"]))


def cell_choice(scenario: Scenario, build_dir: Path) -> dict[str, Any]:
    """{"cell_choice": the table the cell was chosen from}, or {} where the scenario named it."""
    return {"cell_choice": _float_record(scenario, build_dir)["cell_choice"]} if scenario.model.cell == "auto" else {}


def _float_record(scenario: Scenario, build_dir: Path) -> dict[str, Any]:
    path = Path(build_dir) / scenario.name / "model" / "float.json"
    remedy = f"make it with `edgernn train {scenario.path}`"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["cell"] not in CELLS or type(record["units"]) is not int or type(record["cell_choice"]) is not dict:
            raise ValueError('expected the keys "cell", "units" and "cell_choice" of a cell chosen by training')
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; {remedy}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged, or of another scenario ({error!r}); {remedy}") from error
    return record
