"""What each stage reads of a scenario file, one small file per stage: make redoes a stage only when its own changed."""

import json
from dataclasses import asdict
from pathlib import Path

from pipeline.atomic_write import write_json
from pipeline.scenario import Scenario

# Every stage also depends on what the stages before it made.
SECTIONS = {
    "preprocess": ("data", "fleet", "inject", "columns", "split", "windows", "normalize", "forecast"),
    "train": ("task", "seed", "model", "anomaly"),
    "quantize": ("quantization",),
    "gates": ("budgets", "published", "card"),  # the report comes after the gates
}
TRANSLATION = {
    "preprocess": ("data", "split", "subwords"),
    "train": ("task", "seed", "model"),
    "quantize": ("quantization",),
    "gates": ("budgets", "card"),
}


def write_stage_inputs(scenario: Scenario, build_dir: Path) -> Path:
    """Writes build/<scenario>/stages/<stage>.json, each only if its content changed; returns the folder."""
    folder = Path(build_dir) / scenario.name / "stages"
    everything = json.loads(json.dumps(asdict(scenario), default=str))
    for stage, sections in (TRANSLATION if scenario.task == "translate" else SECTIONS).items():
        path, content = folder / f"{stage}.json", {section: everything[section] for section in sections}
        if stage == "quantize" and scenario.quantization.activations == "auto":  # the budget chooses the form
            content["metric_loss"] = scenario.budgets.get("metric_loss")
        if not path.is_file() or json.loads(path.read_text()) != content:
            write_json(path, content)
    return folder
