"""The artefact a device needs: the `.tflite` and artifact.json, which says what goes in and comes out."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.atomic_write import atomic_write, write_json
from pipeline.user_error import UserError
from tflite.runtimes import StepRuntime, load_model

FORMAT = 1
MANIFEST = "artifact.json"


@dataclass(frozen=True)
class Artifact:
    """`tflite`: the bytes of the model. `manifest`: the content of artifact.json."""

    tflite: bytes
    manifest: dict[str, Any]

    def save(self, folder: str | Path) -> Path:
        """Writes folder/<name>.tflite, model_card.md and, last, artifact.json; returns the path of the model."""
        from tflite.report.model_card import write_card  # reading an artefact needs none of the texts of reports

        path = Path(folder) / self.manifest["tflite"]
        with atomic_write(path) as temporary:
            temporary.write_bytes(self.tflite)
        write_card(path.parent, self.manifest)
        write_json(path.with_name(MANIFEST), self.manifest)
        return path


def read_artifact(folder: str | Path) -> Artifact:
    """The artefact saved in a folder.

    Raises:
        UserError: artifact.json is missing, damaged or of another version, or the model is not the one it speaks of.
    """
    manifest_path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(manifest_path.read_text())
        path, expected = manifest_path.with_name(manifest["tflite"]), manifest["sha256"]
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: not found; make it with `edgernn convert`") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{manifest_path}: damaged ({error}); make it again with `edgernn convert`") from error
    if manifest.get("format") != FORMAT:
        raise UserError(
            f"{manifest_path}: format {manifest.get('format')!r}, expected {FORMAT}; convert the model again"
        )
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise UserError(f"{path}: sha256 {actual[:12]}..., {MANIFEST} expects {expected[:12]}...; convert again")
    return Artifact(content, manifest)


def load(path: str | Path, runtime: str = "litert", **options: Any) -> StepRuntime:
    """Loads a model to step it.

    Args:
        path: a folder with artifact.json, or a `.tflite`.
        runtime: "litert" (option `kernels`: "default", "builtin", "reference"), "tflm" or "c" (generated C, compiled).

    Raises:
        UserError: the artefact is missing or damaged, or the runtime refuses it.
    """
    if Path(path).is_dir():
        return load_model(read_artifact(path).tflite, runtime, **options)
    return load_model(path, runtime, **options)
