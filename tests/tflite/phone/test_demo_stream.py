"""Which piece of the test streams the app shows, and what is lost in it."""

from dataclasses import replace

import numpy as np
import pytest

import edgernn
from pipeline.recorded_streams import RecordedStream
from pipeline.scenario import load_scenario
from tflite.phone import demo_stream
from tflite.phone.demo_stream import BEFORE_FAULT, BINS, demo_recording

SETTLING = 2000
FAULT = 5000


@pytest.fixture
def scenario(built_anomaly):
    """The tiny scenario with a score that is silent while it learns its machine."""
    loaded = load_scenario(built_anomaly.scenario)
    return replace(loaded, anomaly=replace(loaded.anomaly, recentre=SETTLING))


def stream(name: str, bins: int = 9000, labelled: bool = True) -> RecordedStream:
    """A stream whose test part is its second half; the fault lasts for 1,000 bins."""
    index = np.arange(bins)
    return RecordedStream(
        name=name,
        segment=0,
        time=index * np.timedelta64(1, "s") + np.datetime64("2024-01-01", "ms"),
        part=np.where(index < bins // 2, "train", "test"),
        observed=np.ones(bins, bool),
        x=np.full((bins, 2), float(name), np.float32),
        labels={"fault": ((index >= FAULT) & (index < FAULT + 1000) & labelled).astype(np.float32)},
    )


@pytest.fixture
def shown(monkeypatch, scenario):
    """Of streams by the reading they are full of, the score of each row: which recording is chosen."""

    def choose(scores: dict[int, object], labelled: bool = True):
        def said(model, time, x, step_ms, max_gap_ms):
            bins = (time - np.datetime64("2024-01-01", "ms").astype(np.int64)) // 1000
            return {"score": np.float32([[score] for score in map(scores[int(x[0, 1])], bins)])}

        streams = [stream(str(name), labelled=labelled) for name in scores]
        monkeypatch.setattr(demo_stream, "recorded_streams", lambda *_: iter(streams))
        monkeypatch.setattr(demo_stream, "load_model", lambda *_, **__: None)
        monkeypatch.setattr(demo_stream, "replay", said)
        return demo_recording(scenario, type("Artifact", (), {"tflite": b""}), None)

    return choose


def between(first: int, end: int, score: float = 5.0):
    """A score over bins of the stream."""
    return lambda index: score if first <= index < end else 0.1


SILENT = between(0, 0)
ENDED, GOES_ON = between(FAULT + 90, FAULT + 900), between(FAULT + 90, 9000)
FAINT, FALSE = between(FAULT + 90, FAULT + 900, 1.2), between(FAULT - 90, FAULT + 900)
OUTSIDE = between(FAULT - 90, FAULT - 30)


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ([SILENT, ENDED, ENDED], 1),
        ([GOES_ON, ENDED], 1),
        ([FAINT, GOES_ON], 1),
        ([FALSE, FAINT], 1),
        ([OUTSIDE, FALSE], 1),
        ([SILENT, FAINT, FAINT], 1),
        ([GOES_ON, SILENT], 0),
    ],
)
def test_the_first_stream_that_shows_most_of_an_alarm_is_chosen(shown, scores, chosen):
    assert shown(dict(enumerate(scores))).x[0, 1] == chosen


def test_without_labels_any_alarm_is_one(shown):
    score = between(4700, 4800)
    assert shown({0: SILENT, 1: score}, labelled=False).x[0, 1] == 1


def test_the_score_speaks_before_anything_more_is_lost(shown):
    recording = shown({0: ENDED})
    seconds = (recording.time - recording.time[0]) // 1000
    assert seconds[-1] + 1 == SETTLING + BINS["anomaly"]
    fault = int(np.argmax(recording.truth["fault"]))
    assert seconds[fault] == BEFORE_FAULT + SETTLING
    gap, hole = np.flatnonzero(np.diff(seconds) > 1)
    assert np.diff(seconds)[gap] > 10 >= np.diff(seconds)[hole] > 1
    settled = seconds[gap + 1] + SETTLING
    silent = np.flatnonzero(np.isnan(recording.x[:, 0]))
    assert settled < seconds[hole] < seconds[silent[0]] and silent[-1] < fault


def test_no_alarm_anywhere_is_one_line_and_leaves_what_was_there(built_anomaly, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo_stream, "replay", lambda model, time, *_: {"score": np.zeros((len(time), 1), np.float32)})
    (tmp_path / "index.json").write_text("{}")
    build = str(built_anomaly.folder.parent)
    arguments = ["android-assets", str(built_anomaly.scenario), "--build", build, "--out", str(tmp_path)]
    assert edgernn.main(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "expected an alarm to show, the model raises none" in message
    assert (tmp_path / "index.json").read_text() == "{}"
