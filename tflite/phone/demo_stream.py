"""The part of a scenario's test streams that the app shows, with what can go wrong on a device put into it."""

from collections.abc import Iterator

import numpy as np

from pipeline.recorded_streams import RecordedStream, recorded_streams
from pipeline.scenario import Scenario
from pipeline.user_error import UserError
from tflite.artifact import Artifact
from tflite.phone.recording import Recording
from tflite.phone.replay import replay
from tflite.runtimes import load_model

BINS = {"anomaly": 1800, "forecast": 504}
BEFORE_FAULT = 900
# Where rows or readings are lost, as shares of the bins: a gap, a hole that is bridged, a silent sensor.
GAP, HOLE, SILENT = 1 / 18, 1 / 4, 1 / 3
SILENT_BINS = 30


def demo_recording(scenario: Scenario, artifact: Artifact, dataset_folder) -> Recording:
    """The first piece of the test part in which the model notices a fault, or else the first piece there is.

    Outputs are LiteRT's built-in kernels', which give the same integers on every machine.

    Raises:
        UserError: no row was kept for the test.
    """
    first = None
    for piece in _pieces(scenario, recorded_streams(scenario, dataset_folder)):
        made = _answered(scenario, artifact, piece)
        first = first or made
        if scenario.task == "forecast" or _noticed(made, scenario):
            return made
    if first is None:
        raise UserError(f"{scenario.path}: no test rows to show; give the test part more of the rows")
    return first


def _pieces(scenario: Scenario, streams: Iterator[RecordedStream]) -> Iterator[RecordedStream]:
    """Of each stream the first labelled fault of its test part with the run-up, which may lie before that part; where
    none is labelled, the beginning of the test part."""
    for stream in streams:
        tested = np.flatnonzero(stream.tested)
        if not len(tested):
            continue
        faults = [tested[values[tested] > 0] for values in stream.labels.values()]
        begins = min((rows[0] for rows in faults if len(rows)), default=tested[0] + BEFORE_FAULT) - BEFORE_FAULT
        yield stream.since(max(int(begins), 0))


def _answered(scenario: Scenario, artifact: Artifact, stream: RecordedStream) -> Recording:
    bins = min(BINS[scenario.task], len(stream.x))
    step_ms, max_gap_ms = (round(1000 * s) for s in (scenario.data.step_seconds, scenario.data.max_gap_seconds))
    time, x = stream.time[:bins].astype("datetime64[ms]").astype(np.int64), stream.x[:bins].copy()
    labels = {name: values[:bins] for name, values in stream.labels.items()}
    kept = stream.observed[:bins].copy()
    if scenario.task == "anomaly":
        longest = max_gap_ms // step_ms
        gap, hole, silent = (int(share * bins) for share in (GAP, HOLE, SILENT))
        x[silent : silent + SILENT_BINS, 0] = np.nan
        kept[hole : hole + longest // 2] = False
        kept[gap : gap + 3 * longest] = False
    time, x = time[kept], x[kept]
    said = replay(load_model(artifact.tflite, kernels="builtin"), time, x, step_ms, max_gap_ms)
    return Recording(time, x, said, {name: values[kept] for name, values in labels.items()})


def _noticed(recording: Recording, scenario: Scenario) -> bool:
    """An alarm during a fault, and none before it."""
    fault = np.any([values > 0 for values in recording.truth.values()], axis=0)
    said = recording.outputs
    alarm = said["alarm"][:, 0] > 0.5 if "alarm" in said else said["score"][:, 0] >= 1.0
    return bool(fault.any() and (alarm & fault).any() and not alarm[: int(np.argmax(fault))].any())
