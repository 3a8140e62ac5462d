"""Any converted model over any history on its grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.beam_job import use_file_systems
from pipeline.user_error import UserError
from tflite.artifact import MANIFEST, read_artifact
from tflite.runtimes.model_bytes import read_model
from tflite.runtimes.step_signature import read_step_signature
from tflite.scoring.history import History, find_history
from tflite.scoring.litert_handler import Inputs
from tflite.scoring.score import score


def score_file(
    model: str | Path,
    place: str | Path,
    folder: str | Path,
    *,
    time: str = "time",
    stream: str | None = "stream",
    columns: Sequence[str] | None = None,
    max_gap_seconds: float | None = None,
    runner: str = "FnApiRunner",
    runner_options: Sequence[str] = (),
    **options: str,
) -> str:
    """Scores history with a .tflite, or with the artefact in a folder; see `score`.

    Args:
        place: a Parquet file, or a folder of them; it and `folder` here or on a file system of Beam.
        columns: the history's columns in the order the model reads them; default: as artifact.json names them.
        max_gap_seconds: a longer hole starts anew from a reset; default: none does.

    Raises:
        UserError: what is missing or cannot be used.
    """
    use_file_systems(runner_options)
    content, manifest = _read(Path(model))
    columns, inputs = named_inputs(manifest, columns, model)
    gap = None if max_gap_seconds is None else round(max_gap_seconds * 1000)
    history = History(find_history(place), time, stream, columns, gap)
    return score(content, inputs, history, folder, runner, runner_options, **options)


def _read(model: Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes, and the manifest or, where there is none, the names and widths of the inputs in its form."""
    if model.is_dir():
        artifact = read_artifact(model)
        return artifact.tflite, artifact.manifest
    if (model.parent / MANIFEST).is_file():
        artifact = read_artifact(model.parent)
        if artifact.manifest["tflite"] == model.name:
            return artifact.tflite, artifact.manifest
    content, _ = read_model(model)
    specs, _, _ = read_step_signature(content).specs
    return content, {"inputs": [{"name": spec.name, "shape": list(spec.shape)} for spec in specs]}


def named_inputs(
    manifest: dict[str, Any], columns: Sequence[str] | None, model: str | Path
) -> tuple[tuple[str, ...], Inputs]:
    """The columns to read, and which of them each input takes.

    Raises:
        UserError: nobody says which columns the model reads.
    """
    inputs = manifest["inputs"]
    if columns is not None:
        if len(inputs) != 1:
            names = ", ".join(one["name"] for one in inputs)
            raise UserError(f"{model}: has inputs {names}; --columns can name those of a single input only")
        return tuple(columns), ((inputs[0]["name"], tuple(range(len(columns)))),)
    if not all("columns" in one for one in inputs):
        raise UserError(f"{model}: nothing says which columns it reads; name them in its order with --columns a,b,c")
    names, parts = [], []
    for one in inputs:
        parts.append((one["name"], tuple(range(len(names), len(names) + len(one["columns"])))))
        names += [column["name"] for column in one["columns"]]
    return tuple(names), tuple(parts)
