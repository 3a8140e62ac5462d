"""The study of memory on a tiny scenario and on files of one's own: record, reuse, picture, refusals."""

import json
import shutil

import keras
import numpy as np
import pytest

import edgernn
from keras_models.recall_task import RecallTask
from pipeline.scenario import load_scenario
from pipeline.user_error import UserError
from tflite.report.horizon_pictures import horizon_pictures
from tflite.studies import memory_horizon as study

TASK = RecallTask(lags=(1, 2), symbols=3, units=4, steps=3, tested=20)


@pytest.fixture(scope="module")
def measured(built_forecast, tmp_path_factory):
    """(build folder, record of horizon.json)"""
    folder = tmp_path_factory.mktemp("horizon")
    for part in ("dataset", "model"):
        shutil.copytree(built_forecast.folder / part, folder / "tiny" / part)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(study, "SEEDS", (7,))
        path = study.scenario_horizon(load_scenario(built_forecast.scenario), folder, TASK)
    return folder, json.loads(path.read_text())


def test_the_record_of_a_scenario(measured):
    gradient, recall = measured[1]["gradient"], measured[1]["recall"]
    assert len(gradient["norms"]) == 24 and gradient["streams"] == 12, "its windows of the validation part"
    shares = np.array(gradient["norms"]) / max(gradient["norms"])
    assert (shares[shares.argmax() : gradient["horizon"] + 1] >= gradient["share"]).all()
    assert gradient["beyond"] == (gradient["horizon"] == 23)
    assert list(recall["cells"]) == ["gru", "lstm", "simple_rnn"] and recall["chance"] == pytest.approx(1 / 3)
    for one in recall["cells"].values():
        assert np.shape(one["accuracy"]) == (1, 2) and (one["horizon"] is None or one["horizon"] in recall["lags"])


def test_recall_is_measured_once_for_all_scenarios_and_anew_for_another_task(measured, monkeypatch):
    folder, record = measured
    monkeypatch.setattr(study, "SEEDS", (7,))
    monkeypatch.setattr(study, "recall_accuracy", lambda *_: pytest.fail("trained again"))
    assert study._recall(TASK, folder / "recall.json") == record["recall"]
    monkeypatch.setattr(study, "recall_accuracy", lambda task, cell, seed: [0.95, 0.5 if cell == "gru" else 0.99])
    other = study._recall(RecallTask(lags=(1, 4)), folder / "other.json")
    assert {cell: one["horizon"] for cell, one in other["cells"].items()} == {"simple_rnn": 4, "gru": 1, "lstm": 4}


def test_pictures(measured):
    gradient, recall = horizon_pictures(measured[1], "1 h")
    assert f"{measured[1]['gradient']['horizon']} steps of 1 h" in gradient.caption
    assert "one of 3 symbols" in recall.caption and "LSTM" in recall.wide
    assert horizon_pictures(None, "1 h") == []


@pytest.fixture
def own(tmp_path):
    x = keras.Input((None, 2))
    keras.Model(x, keras.layers.GRU(3)(x)).save(tmp_path / "own.keras")
    np.save(tmp_path / "streams.npy", np.random.default_rng(0).normal(size=(2, 9, 2)))
    return tmp_path


def test_a_file_of_ones_own(own, monkeypatch):
    monkeypatch.setattr(study, "recall_accuracy", lambda *_: [1.0, 1.0])
    path = study.file_horizon(own / "own.keras", own, own / "streams.npy", TASK)
    assert path == own / "horizon" / "own.json" and len(json.loads(path.read_text())["gradient"]["norms"]) == 9


def test_refusals(own, capsys):
    assert edgernn.main(["horizon", str(own / "own.keras"), "--build", str(own)]) == 2
    assert "--representative NPY" in capsys.readouterr().err
    np.save(own / "wide.npy", np.zeros((2, 9, 3)))
    np.save(own / "nan.npy", np.full((2, 9, 2), np.nan))
    for name in ("wide.npy", "nan.npy"):
        with pytest.raises(UserError, match=rf"{name}: .* finite numbers \(streams, timesteps, 2\)"):
            study.file_horizon(own / "own.keras", own, own / name, TASK)
    dead = keras.models.load_model(own / "own.keras")
    dead.set_weights([np.zeros_like(weight) for weight in dead.get_weights()])
    dead.save(own / "dead.keras")
    with pytest.raises(UserError, match="dead.keras: the gradient of its output is not finite, or 0"):
        study.file_horizon(own / "dead.keras", own, own / "streams.npy", TASK)
    assert not (own / "horizon").exists()


def test_the_scenario_s_model_is_missing(built_forecast, tmp_path):
    with pytest.raises(UserError, match="edgernn preprocess"):
        study.scenario_horizon(load_scenario(built_forecast.scenario), tmp_path, TASK)
