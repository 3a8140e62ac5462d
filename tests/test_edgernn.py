"""The command line: exit status, one line for what is wrong, files of a user's own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import edgernn
from tflite import bench_runtimes, load


@pytest.fixture
def shipped(built_forecast, tmp_path):
    path = tmp_path / "model.tflite"
    shutil.copy(built_forecast.folder / "tflite" / "tiny_gru_int8_external.tflite", path)
    return path


@pytest.fixture
def plain(tmp_path):
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, layers.GRU(4, return_sequences=True)(x), name="plain")
    model.save(tmp_path / "plain.keras")
    np.save(tmp_path / "streams.npy", np.random.default_rng(0).normal(size=(2, 50, 3)).astype(np.float32))
    return tmp_path / "plain.keras"


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert edgernn.main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgernn: ") and error.count("\n") == 1, error
    return error


def test_validate_a_sound_file(shipped, capsys):
    assert edgernn.main(["validate", str(shipped)]) == 0
    assert "model.tflite" in capsys.readouterr().out


@pytest.mark.parametrize("size", [0, 3, 7, 100, 1500, -100])
def test_validate_a_truncated_file(shipped, capsys, size):
    shipped.write_bytes(shipped.read_bytes()[:size])
    assert "model.tflite" in refusal(capsys, "validate", shipped)


def test_validate_what_is_no_model(tmp_path, capsys):
    (tmp_path / "text.tflite").write_text("time,count\n" * 100)
    assert "text.tflite" in refusal(capsys, "validate", tmp_path / "text.tflite")
    assert "none.tflite" in refusal(capsys, "validate", tmp_path / "none.tflite")


@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_convert_a_keras_file(plain, tmp_path, activations):
    status = edgernn.main(["convert", str(plain), "--activations", activations, "--out", str(tmp_path / "out"),
                           "--representative", str(tmp_path / "streams.npy")])
    assert status == 0
    assert load(tmp_path / "out", runtime="tflm").step(np.zeros(3, np.float32)).shape == (4,)


@pytest.mark.parametrize(
    ("options", "name", "form"),
    [
        ("--activations int16", "plain_int16_external", ("int16", "int8", "external")),
        ("--state-dtype int16 --state internal", "plain_int8_state16_internal", ("int8", "int8", "internal")),
        ("--activations float32 --weights float16 --name pump", "pump", ("float32", "float16", "external")),
    ],
)
def test_convert_options_of_a_keras_file(plain, tmp_path, capsys, options, name, form):
    out, representative = tmp_path / "out", tmp_path / "streams.npy"
    given = ["convert", plain, *options.split(), "--representative", representative, "--out", out]
    assert edgernn.main([str(argument) for argument in given]) == 0
    assert capsys.readouterr().out == f"{out / name}.tflite\n"
    manifest = json.loads((out / "artifact.json").read_text())
    assert (manifest["activations"], manifest["weights"], manifest["state"]) == form
    assert manifest.get("state_dtype") == ("int16" if "--state-dtype" in options else None)
    assert load(out).step(np.zeros(3, np.float32)).shape == (4,)


def test_convert_refuses_in_one_line(plain, tmp_path, capsys):
    assert "representative" in refusal(capsys, "convert", plain)
    assert "none.keras" in refusal(capsys, "convert", tmp_path / "none.keras")
    np.save(tmp_path / "flat.npy", np.zeros((50, 3)))
    assert "flat.npy" in refusal(capsys, "convert", plain, "--representative", tmp_path / "flat.npy")
    np.save(tmp_path / "wide.npy", np.zeros((2, 50, 4)))
    assert "(timesteps, 3)" in refusal(capsys, "convert", plain, "--representative", tmp_path / "wide.npy")
    (tmp_path / "taken").write_text("a file")
    assert "taken" in refusal(capsys, "convert", plain, "--activations", "float32", "--out", tmp_path / "taken")


def test_convert_an_unsupported_model(tmp_path, capsys):
    keras.Sequential([keras.Input((None, 3)), layers.Bidirectional(layers.LSTM(4), name="both")]).save(
        tmp_path / "lstm.keras"
    )
    error = refusal(capsys, "convert", tmp_path / "lstm.keras", "--activations", "float32")
    assert "lstm.keras" in error and "both" in error


def test_bench_a_keras_file(tmp_path, capsys, monkeypatch):
    for name, value in (("ROUNDS", 1), ("CALLS", 3), ("WINDOW_CALLS", 1), ("KERAS_CALLS", 1)):
        monkeypatch.setattr(bench_runtimes, name, value)
    streams, path = tmp_path / "streams.npy", tmp_path / "pump.keras"
    model = keras.Sequential([keras.Input((None, 3)), layers.GRU(4, return_sequences=True), layers.Dense(2)])
    model.save(path)
    np.save(streams, np.random.default_rng(0).normal(size=(2, 100, 3)).astype(np.float32))
    arguments = ["bench", path, "--representative", streams, "--build", tmp_path]
    assert edgernn.main([str(argument) for argument in arguments]) == 0
    rivals = {entry["rival_name"] for entry in json.loads((tmp_path / "bench" / "pump.json").read_text())}
    assert {"ONNX Runtime float GRU, session.run", "LiteRT float GRU, window of 96"} <= rivals


def test_bench_refuses_in_one_line(plain, tmp_path, capsys):
    streams = tmp_path / "streams.npy"
    assert "--representative" in refusal(capsys, "bench", plain)
    assert "50 timesteps, expected 96" in refusal(capsys, "bench", plain, "--representative", streams)
    np.save(streams, np.ones((2, 100, 3)))
    assert "at least one Dense" in refusal(capsys, "bench", plain, "--representative", streams, "--build", tmp_path)
    assert not (tmp_path / "bench").exists()
    assert "none.keras" in refusal(capsys, "bench", tmp_path / "none.keras", "--representative", streams)


@pytest.mark.parametrize("stage", ["train", "quantize", "convert", "validate", "gates", "report", "bench"])
def test_a_scenario_that_is_not_there(stage, tmp_path, capsys):
    assert "none.toml" in refusal(capsys, stage, tmp_path / "none.toml")


def test_a_broken_budget_is_exit_status_1(built_forecast, tmp_path, capsys):
    scenario = tmp_path / "tiny.toml"
    scenario.write_text(built_forecast.scenario.read_text().replace("bytes = 16000", "bytes = 10"))
    assert edgernn.main(["gates", str(scenario), "--build", str(built_forecast.build)]) == 1
    assert "bytes" in "".join(capsys.readouterr())


@pytest.mark.parametrize("own", [True, False])
def test_training_begins_anew_once_with_memory_that_is_kept(tmp_path, own):
    """Every process says what it was begun with; what the user has set stays, and nothing begins anew."""
    (tmp_path / "sitecustomize.py").write_text("import os; print(os.environ.get('GLIBC_TUNABLES'))")
    given = {"PYTHONPATH": str(tmp_path)} | ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"} if own else {})
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"} | given
    command = [sys.executable, "-m", "edgernn", "train", str(tmp_path / "none.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(edgernn.__file__).parent)
    said = ended.stdout.splitlines()
    assert ended.returncode == 2 and "none.toml" in ended.stderr
    assert len(said) == (1 if own else 2)
    assert ("mmap_max=0" in said[-1]) is not own


def test_unknown_stage():
    with pytest.raises(SystemExit) as caught:
        edgernn.main(["fly"])
    assert caught.value.code == 2
