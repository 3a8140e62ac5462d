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

# Bins beside those in which a score that learns its machine is silent (`anomaly.settle`, `anomaly.recentre`).
BINS = {"anomaly": 3000, "forecast": 504}
BEFORE_FAULT = 900
# Where rows or readings are lost, as shares of those bins: a gap; after the silence a hole that is bridged, a silent
# sensor.
GAP, HOLE, SILENT = 1 / 18, 1 / 5, 1 / 4
SILENT_BINS = 30
# A score so high is an alarm in kernels that round otherwise, too.
PLAIN = 2.0


def demo_recording(scenario: Scenario, artifact: Artifact, dataset_folder) -> Recording:
    """The beginning of the test part of a forecast; of an anomaly score the first piece of the test part that shows all
    an alarm can show, or else most of it (see `_worth`).

    Outputs are LiteRT's built-in kernels', which give the same integers on every machine.

    Raises:
        UserError: no row was kept for the test, or no piece of it raises an alarm.
    """
    best, best_worth = None, ()
    for piece in _pieces(scenario, recorded_streams(scenario, dataset_folder)):
        made = _answered(scenario, artifact, piece)
        if scenario.task == "forecast":
            return made
        worth = _worth(made)
        if worth > best_worth:
            best, best_worth = made, worth
        if all(worth):
            break
    if best is None:
        raise UserError(f"{scenario.path}: no test rows to show; give the test part more of the rows")
    if not any(best_worth):
        raise UserError(
            f"{scenario.path}: expected an alarm to show, the model raises none around the first fault of any test "
            f"stream; let the table [anomaly] allow more false alarms, or train longer"
        )
    return best


def _silent_bins(scenario: Scenario) -> int:
    """Bins after a reset without a score."""
    anomaly = scenario.anomaly
    return anomaly.settle + (anomaly.recentre or 0) if anomaly else 0


def _pieces(scenario: Scenario, streams: Iterator[RecordedStream]) -> Iterator[RecordedStream]:
    """Of each stream the first labelled fault of its test part with the run-up, which may lie before that part; where
    none is labelled, the beginning of the test part."""
    run_up = BEFORE_FAULT + _silent_bins(scenario)
    for stream in streams:
        tested = np.flatnonzero(stream.tested)
        if not len(tested):
            continue
        faults = [tested[values[tested] > 0] for values in stream.labels.values()]
        begins = min((rows[0] for rows in faults if len(rows)), default=tested[0] + run_up) - run_up
        yield stream.since(max(int(begins), 0))


def _answered(scenario: Scenario, artifact: Artifact, stream: RecordedStream) -> Recording:
    settling = _silent_bins(scenario)
    bins = min(settling + BINS[scenario.task], len(stream.x))
    step_ms, max_gap_ms = (round(1000 * s) for s in (scenario.data.step_seconds, scenario.data.max_gap_seconds))
    time, x = stream.time[:bins].astype("datetime64[ms]").astype(np.int64), stream.x[:bins].copy()
    labels = {name: values[:bins] for name, values in stream.labels.items()}
    kept = stream.observed[:bins].copy()
    if scenario.task == "anomaly":
        longest = max_gap_ms // step_ms
        gap, hole, silent = (int(share * max(bins - settling, 0)) for share in (GAP, HOLE, SILENT))
        hole, silent = settling + hole, settling + silent
        x[silent : silent + SILENT_BINS, 0] = np.nan
        kept[hole : hole + longest // 2] = False
        kept[gap : gap + 3 * longest] = False
    time, x = time[kept], x[kept]
    said = replay(load_model(artifact.tflite, kernels="builtin"), time, x, step_ms, max_gap_ms)
    return Recording(time, x, said, {name: values[kept] for name, values in labels.items()})


def _worth(recording: Recording) -> tuple[bool, bool, bool, bool]:
    """What a recording shows, the most wanted first: an alarm in a fault, or at all where none is labelled; none before
    it; plainly so; and its end."""
    said = recording.outputs
    score = said["score"][:, 0]
    alarm = said["alarm"][:, 0] > 0.5 if "alarm" in said else score >= 1.0
    fault = np.any([values > 0 for values in recording.truth.values()], axis=0) & np.ones(len(alarm), bool)
    begins = int(np.argmax(fault))
    raised = alarm & fault if fault.any() else alarm
    if not raised.any():
        return False, False, False, False
    ended = not alarm[int(np.argmax(raised)) :].all()
    return True, not alarm[:begins].any(), bool(score[raised].max() >= PLAIN), ended
