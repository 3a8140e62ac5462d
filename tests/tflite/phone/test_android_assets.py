"""What the Android app is given: the files, their sums, and a recording whose answers are stepped anew by hand."""

import hashlib
import json
import shutil

import numpy as np
import pytest

import edgernn
from pipeline.scenario import load_scenario
from tflite import load
from tflite.phone.android_assets import android_assets
from tflite.phone.recording import Recording
from tflite.phone.replay import replay


@pytest.fixture(scope="module")
def assets(built_anomaly, built_forecast, tmp_path_factory):
    """Of both tiny scenarios, written as one app's assets."""
    out, build = tmp_path_factory.mktemp("phone") / "assets", tmp_path_factory.mktemp("both")
    for built in (built_anomaly, built_forecast):
        shutil.copytree(built.folder, build / built.folder.name)
    scenarios = [load_scenario(built.scenario) for built in (built_anomaly, built_forecast)]
    android_assets(scenarios, build, out)
    return scenarios, build, out


def read_recording(folder):
    index, content = json.loads((folder / "recording.json").read_text()), (folder / "recording.bin").read_bytes()
    assert len(content) == index["bytes"]
    arrays, begin = {}, 0
    for array in index["arrays"]:
        values = np.frombuffer(content, np.dtype(array["dtype"]), index["rows"] * array["width"], begin)
        arrays[array["name"]] = values.reshape(index["rows"], array["width"])
        begin += values.nbytes
    assert begin == len(content)
    return index, arrays


def test_every_file_is_in_the_index_with_its_sum(assets):
    _, _, out = assets
    index = json.loads((out / "index.json").read_text())
    found = {
        folder.name: {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        for folder in out.iterdir()
        if folder.is_dir()
    }
    assert index == {"format": 1, "folders": found}
    assert set(found) == {"pump", "tiny"}
    assert {"artifact.json", "card.json", "recording.bin", "recording.json"} < set(found["pump"])


def test_the_same_build_gives_the_same_bytes_and_nothing_stale_stays(assets, tmp_path):
    scenarios, build, out = assets
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.tflite").write_bytes(b"old")
    android_assets(scenarios, build, tmp_path)
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "index.json").read_bytes() == (out / "index.json").read_bytes()


@pytest.mark.parametrize("name", ["pump", "tiny"])
def test_answers_are_those_of_a_model_stepped_by_hand(assets, name):
    _, _, out = assets
    index, arrays = read_recording(out / name)
    model = load(out / name, kernels="builtin")
    output = model.outputs[0].name
    missing = np.full(arrays["x"].shape[1], np.nan, np.float32)
    last, restarts, bridged = None, 0, 0
    for time, x, expected in zip(arrays["time"][:, 0], arrays["x"], arrays[f"output/{output}"], strict=True):
        if last is None or time - last > index["max_gap_ms"]:
            model.reset()
            restarts += 1
        else:
            while (last := last + index["step_ms"]) < time:
                model.step(missing)
                bridged += 1
        said = model.step(x)
        np.testing.assert_array_equal(said[output] if isinstance(said, dict) else said, expected)
        last = time
    if name == "pump":
        assert restarts == 2 and bridged > 0 and np.isnan(arrays["x"]).any()


def test_the_card_holds_the_gates(assets):
    _, build, out = assets
    card = json.loads((out / "pump" / "card.json").read_text())
    assert card["budgets"] == json.loads((build / "pump" / "gates.json").read_text())["gates"]


def test_a_missing_artefact_is_one_line_and_leaves_what_was_there(assets, tmp_path, capsys):
    scenarios, _, _ = assets
    out = tmp_path / "assets"
    out.mkdir()
    (out / "index.json").write_text("{}")
    arguments = ["android-assets", str(scenarios[0].path), "--build", str(tmp_path / "none"), "--out", str(out)]
    assert edgernn.main(arguments) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "artifact.json: not found; make it with `edgernn convert`" in message
    assert (out / "index.json").read_text() == "{}"


class Counter:
    """A model that says how many steps it took since its reset, and how many of them had a reading."""

    class outputs:  # noqa: N801
        name = "y"

    outputs = (outputs,)

    def reset(self):
        self.steps = self.read = 0

    def step(self, x):
        self.steps += 1
        self.read += int(not np.isnan(x).any())
        return np.array([self.steps, self.read], np.float32)


def test_a_gap_resets_and_a_hole_is_stepped_through():
    time = np.array([0, 10, 40, 90, 100]) * 100
    said = replay(Counter(), time, np.zeros((5, 1), np.float32), step_ms=1000, max_gap_ms=3000)["y"]
    assert said.tolist() == [[1, 1], [2, 2], [5, 3], [1, 1], [2, 2]]


def test_a_recording_is_laid_out_as_its_index_says():
    recording = Recording(
        np.array([5, 6]), np.array([[1, np.nan], [3, 4]]), {"y": np.array([[7], [8]])}, {"fault": np.array([0, 1])}
    )
    index = recording.index(step_ms=1000, max_gap_ms=2000)
    assert [(a["name"], a["dtype"], a["width"]) for a in index["arrays"]] == [
        ("time", "int64", 1), ("x", "float32", 2), ("output/y", "float32", 1), ("truth/fault", "float32", 1)
    ]  # fmt: skip
    content = recording.content()
    assert index["bytes"] == len(content) == 2 * 8 + 4 * 4 + 2 * 4 + 2 * 4
    assert np.frombuffer(content, "<i8", 2).tolist() == [5, 6]
    np.testing.assert_array_equal(np.frombuffer(content, "<f4", 4, 16), np.float32([1, np.nan, 3, 4]))
