"""A model of whatever making, from a file or the folder of an artefact: what works on it does so in a child process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.user_error import UserError
from tflite.artifact import read_artifact
from tflite.child_process import ChildFailure, run_in_child
from tflite.runtimes.model_bytes import read_model

SECONDS, MEGABYTES = 60.0, 4096


@dataclass(frozen=True)
class ForeignModel:
    """`label` names it in messages, `stem` is its file's name without `.tflite`."""

    content: bytes
    label: str
    stem: str

    def given_to(self, function: Callable[..., Any], *args: Any, made_for: str = "TensorFlow Lite Micro") -> Any:
        """function(content, *args), in a child process.

        Raises:
            UserError: the function raised it, or died or hung: one line that names the model.
        """
        try:
            return run_in_child(function, self.content, *args, seconds=SECONDS, megabytes=MEGABYTES)
        except UserError as error:
            raise UserError(f"{self.label}: {str(error).removeprefix('model: ')}") from error
        except ChildFailure as failure:
            raise UserError(f"{self.label}: damaged or not made for {made_for}; convert the model again") from failure


def foreign_model(path: Path) -> ForeignModel:
    """The model at a path, a `.tflite` or the folder of an artefact.

    Raises:
        UserError: missing, or certainly no `.tflite`.
    """
    if path.is_dir():
        artifact = read_artifact(path)
        return ForeignModel(artifact.tflite, str(path), Path(artifact.manifest["tflite"]).stem)
    content, label = read_model(path)
    return ForeignModel(content, label, path.stem)
