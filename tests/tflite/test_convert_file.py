"""`convert_file`: an artefact, or one line, whatever the file does to the process that opens it."""

import zipfile

import dying_conversions
import keras
import numpy as np
import pytest
import tf_keras

from pipeline.user_error import UserError
from tflite import convert_file as module
from tflite import load
from tflite.convert_file import convert_file


def stack(of=keras, layer=None):
    cell = layer or of.layers.GRU(4, return_sequences=True, name="cell")
    return of.Sequential([of.layers.InputLayer((None, 3), name="x"), cell, of.layers.Dense(2)], name="stack")


def message(path, out, **options) -> str:
    with pytest.raises(UserError) as caught:
        convert_file(path, "float32", None, out, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    assert not out.exists(), "nothing is written"
    return text


@pytest.fixture
def path(tmp_path):
    stack().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.mark.parametrize(("of", "name"), [(keras, "model.keras"), (tf_keras, "model.h5")])
def test_converts(tmp_path, of, name):
    model, x = stack(of), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    model.save(tmp_path / name)
    written = convert_file(tmp_path / name, "float32", None, tmp_path / "out")
    assert written == tmp_path / "out" / "model_float32_external.tflite" and written.is_file()
    runtime = load(tmp_path / "out")
    np.testing.assert_allclose([runtime.step(step) for step in x], model.predict(x[None], verbose=0)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("death", "words"),
    [(dying_conversions.segfault, r"died .*SIGSEGV"), (dying_conversions.hang, "stopped after 5 s"),
     (dying_conversions.fail, "raised KeyError: .*a defect")],
)
def test_death_of_the_conversion_is_one_line(path, tmp_path, monkeypatch, death, words):
    monkeypatch.setattr(module, "_artifact", death)
    with pytest.raises(UserError, match=f"model.keras: .*{words}.*; check the file"):
        convert_file(path, "float32", None, tmp_path / "out", seconds=5)
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_fit_into_memory(path, tmp_path):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["config.json"] = files["config.json"].replace(b'"units": 4', b'"units": 40000')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert "OOM" in message(path, tmp_path / "out", megabytes=4096)


def test_a_refusal_names_file_and_layer(tmp_path):
    layer = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True), name="odd")
    stack(layer=layer).save(tmp_path / "model.keras")
    assert "layer 'odd' (Bidirectional) reads the future" in message(tmp_path / "model.keras", tmp_path / "out")
