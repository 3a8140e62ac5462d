"""The folder build/<scenario>/dataset, as the stages after preprocess find it."""

import json
from pathlib import Path

from pipeline.place import is_remote
from pipeline.scenario import Scenario
from pipeline.user_error import UserError


def read_dataset(scenario: Scenario, build_dir: str | Path) -> tuple[Path, dict]:
    """The dataset folder and the content of its dataset.json, which is written last.

    Raises:
        UserError: it is missing or damaged: the preprocess stage has not finished.
    """
    folder = Path(build_dir) / scenario.name / "dataset"
    path, remedy = folder / "dataset.json", f"make it with `edgernn preprocess {scenario.path}`"
    try:
        return folder, json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; {remedy}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error}); {remedy}") from error


def local_build(build_dir: str) -> Path:
    """The build folder of the stages after preprocess.

    Raises:
        UserError: it lies on a file system of Beam, where only preprocess writes.
    """
    if is_remote(build_dir):
        raise UserError(
            f"--build {build_dir}: this stage works on this machine's disk; copy <scenario>/dataset from there into"
            " a folder here, build/<scenario>/dataset by default, and name that"
        )
    return Path(build_dir)
