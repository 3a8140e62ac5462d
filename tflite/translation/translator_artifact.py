"""The artefact of a translator: one `.tflite` with both signatures, two for TensorFlow Lite Micro, artifact.json."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.atomic_write import atomic_write, write_json
from pipeline.text.unigram import UnigramTokenizer
from pipeline.user_error import UserError
from tflite.artifact import FORMAT, MANIFEST


@dataclass(frozen=True)
class TranslatorArtifact:
    """`tflite`: the file with both signatures. `micro`: by signature, a file whose only signature `step` it is.
    `manifest`: the content of artifact.json.
    """

    tflite: bytes
    micro: dict[str, bytes]
    manifest: dict[str, Any]

    def save(self, folder: str | Path) -> Path:
        """Writes the three files, then artifact.json; returns the path of the first."""
        path = Path(folder) / self.manifest["tflite"]
        files = {self.manifest["tflite"]: self.tflite}
        files |= {self.manifest["micro"][name]["tflite"]: content for name, content in self.micro.items()}
        for name, content in files.items():
            with atomic_write(path.with_name(name)) as temporary:
                temporary.write_bytes(content)
        write_json(path.with_name(MANIFEST), self.manifest)
        return path


def read_translator(folder: str | Path) -> TranslatorArtifact:
    """The artefact saved in a folder.

    Raises:
        UserError: artifact.json is missing, damaged or of something else, or a file is not the one it speaks of.
    """
    path, remedy = Path(folder) / MANIFEST, "make it with `edgernn convert SCENARIO`"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or manifest.get("task") != "translate":
            raise UserError(f"{path}: not of a translator of format {FORMAT}; {remedy}")
        UnigramTokenizer.of(manifest["tokenizer"])
        content = _checked(path, manifest)
        micro = {name: _checked(path, entry) for name, entry in manifest["micro"].items()}
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: not found; {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{path}: damaged ({error}); {remedy}") from error
    return TranslatorArtifact(content, micro, manifest)


def _checked(path: Path, entry: dict[str, Any]) -> bytes:
    content = path.with_name(entry["tflite"]).read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != entry["sha256"]:
        raise UserError(
            f"{path.with_name(entry['tflite'])}: sha256 {actual[:12]}..., {MANIFEST} expects"
            f" {entry['sha256'][:12]}...; convert again"
        )
    return content
