"""The assets of the Android app: for each scenario the artefact, a recording and the card, known by their sha256."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.atomic_write import atomic_write, write_json
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import Scenario
from tflite.artifact import MANIFEST, read_artifact
from tflite.build_record import read_record
from tflite.phone.demo_stream import demo_recording

FORMAT = 1
INDEX = "index.json"


def android_assets(scenarios: Sequence[Scenario], build: Path, out: Path) -> Path:
    """Writes out/<scenario>/{*.tflite, artifact.json, recording.json, recording.bin, card.json} and out/index.json.

    `out` holds nothing else afterwards. index.json goes last: without it the app refuses the folder.

    Raises:
        UserError: an artefact or dataset is missing or damaged (the message says what makes it), or `out` cannot be
            written.
    """
    contents = {s.name: _contents(s, build) for s in scenarios}
    shutil.rmtree(out, ignore_errors=True)
    for folder, files in contents.items():
        for name, content in files.items():
            with atomic_write(out / folder / name) as temporary:
                temporary.write_bytes(content)
    sums = {
        folder: {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        for folder, files in contents.items()
    }
    write_json(out / INDEX, {"format": FORMAT, "folders": sums})
    return out / INDEX


def _contents(scenario: Scenario, build: Path) -> dict[str, bytes]:
    """The files of one scenario by name."""
    artifact = read_artifact(build / scenario.name / "tflite")
    dataset_folder, _ = read_dataset(scenario, build)
    recording = demo_recording(scenario, artifact, dataset_folder)
    data = scenario.data
    index = recording.index(round(1000 * data.step_seconds), round(1000 * data.max_gap_seconds))
    return {
        artifact.manifest["tflite"]: artifact.tflite,
        MANIFEST: _json(artifact.manifest),
        "recording.bin": recording.content(),
        "recording.json": _json(index),
        "card.json": _json(_card(scenario, build)),
    }


def _card(scenario: Scenario, build: Path) -> dict:
    """What the app tells of a model beside its manifest: budgets as `edgernn gates` left them, or none."""
    made_by = f"edgernn gates {scenario.path}"
    gates = read_record(build / scenario.name / "gates.json", kind=dict, made_by=made_by) or {}
    return {"budgets": gates.get("gates", [])}


def _json(content: dict) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()
