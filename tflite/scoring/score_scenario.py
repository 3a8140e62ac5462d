"""A scenario's shipped model over its whole recorded history."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.dataset_folder import read_dataset
from pipeline.scenario import Scenario
from tflite.artifact import read_artifact
from tflite.scoring.history import History, find_history
from tflite.scoring.score import score
from tflite.scoring.score_file import named_inputs


def score_scenario(
    scenario: Scenario,
    build_dir: str | Path,
    runner: str = "FnApiRunner",
    runner_options: Sequence[str] = (),
    **options: str,
) -> str:
    """Writes build/<scenario>/scores/ and scores.json from the streams of the dataset; see `score`.

    Raises:
        UserError: the dataset or the model is missing or damaged.
    """
    folder = Path(build_dir) / scenario.name
    dataset_folder, _ = read_dataset(scenario, build_dir)
    artifact = read_artifact(folder / "tflite")
    columns, inputs = named_inputs(artifact.manifest, None, folder / "tflite")
    gap = round(scenario.data.max_gap_seconds * 1000)
    history = History(find_history(dataset_folder / "streams"), "time", "stream", columns, gap)
    return score(artifact.tflite, inputs, history, folder, runner, runner_options, **options)
