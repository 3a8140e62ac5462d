"""The assets of the Android app: of each scenario the artefact, its card and what it must say, known by sha256."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.atomic_write import atomic_write, write_json
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import Scenario
from pipeline.text.text_scenario import TextScenario
from tflite.artifact import MANIFEST, Artifact, read_artifact
from tflite.build_record import read_record
from tflite.phone.demo_stream import demo_recording
from tflite.phone.translated_pairs import demo_sentences, translated_pairs
from tflite.translation.translator_artifact import TranslatorArtifact, read_translator

FORMAT = 1
INDEX = "index.json"


def android_assets(scenarios: Sequence[Scenario | TextScenario], build: Path, out: Path) -> Path:
    """Writes out/<scenario>/{*.tflite, artifact.json, card.json} and out/index.json; of a stream's scenario also
    recording.json and recording.bin, of a translation's pairs.json.

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


def _contents(scenario: Scenario | TextScenario, build: Path) -> dict[str, bytes]:
    """The files of one scenario by name."""
    read, replayed = (read_translator, _pairs) if scenario.task == "translate" else (read_artifact, _recording)
    artifact = read(build / scenario.name / "tflite")
    return {
        artifact.manifest["tflite"]: artifact.tflite,
        MANIFEST: _json(artifact.manifest),
        "card.json": _json(_card(scenario, build)),
        **replayed(scenario, artifact, build),
    }


def _recording(scenario: Scenario, artifact: Artifact, build: Path) -> dict[str, bytes]:
    dataset_folder, _ = read_dataset(scenario, build)
    recording = demo_recording(scenario, artifact, dataset_folder)
    step_ms, max_gap_ms = (round(1000 * s) for s in (scenario.data.step_seconds, scenario.data.max_gap_seconds))
    return {"recording.bin": recording.content(), "recording.json": _json(recording.index(step_ms, max_gap_ms))}


def _pairs(scenario: TextScenario, artifact: TranslatorArtifact, build: Path) -> dict[str, bytes]:
    pairs = translated_pairs(artifact, demo_sentences(scenario, build))
    return {"pairs.json": _json({"format": FORMAT, "pairs": pairs})}


def _card(scenario: Scenario | TextScenario, build: Path) -> dict:
    """What the app tells of a model beside its manifest: budgets as `edgernn gates` left them, or none."""
    made_by = f"edgernn gates {scenario.path}"
    gates = read_record(build / scenario.name / "gates.json", kind=dict, made_by=made_by) or {}
    return {"budgets": gates.get("gates", [])}


def _json(content: dict) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()
