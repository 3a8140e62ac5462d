"""artifact.json and its model: saved, loaded, and every way they can be damaged."""

import json

import numpy as np
import pytest
from recurrent_models import Form, recurrent_model, stream

from pipeline.user_error import UserError
from tflite import convert, load
from tflite.artifact import read_artifact


@pytest.fixture(scope="module")
def artifact():
    return convert(recurrent_model(Form((3,))), activations="float32", name="pump")


@pytest.fixture
def folder(artifact, tmp_path):
    artifact.save(tmp_path / "out")
    return tmp_path / "out"


def refusal(folder):
    with pytest.raises(UserError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    return message


def test_save_and_load(artifact, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["artifact.json", "model_card.md", "pump.tflite"]
    again = read_artifact(folder)
    assert again.tflite == artifact.tflite and again.manifest == artifact.manifest
    for runtime in ("litert", "tflm"):
        from_folder, from_file = load(folder, runtime), load(folder / "pump.tflite", runtime)
        for x in stream(5, 3):
            np.testing.assert_array_equal(from_folder.step(x), from_file.step(x))


def test_nothing_is_written_where_nothing_can_be(artifact, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        artifact.save(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "a file"


def test_another_model_than_it_speaks_of(folder):
    model = folder / "pump.tflite"
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    assert "sha256" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]", b"{}", b"null", b'{"tflite": 3}'])
def test_damaged_manifest(folder, content):
    (folder / "artifact.json").write_bytes(content)
    assert "damaged" in refusal(folder)


@pytest.mark.parametrize("format_number", [0, 2, "1", None])
def test_another_format(folder, format_number):
    path = folder / "artifact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": format_number}))
    assert f"format {format_number!r}, expected 1" in refusal(folder)


def test_a_manifest_without_its_sum(folder):
    path = folder / "artifact.json"
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    path.write_text(json.dumps(manifest))
    refusal(folder)


@pytest.mark.parametrize("name", ["artifact.json", "pump.tflite"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    assert f"{name}: not found" in refusal(folder)


def test_an_empty_folder_and_no_folder(tmp_path):
    assert "not found" in refusal(tmp_path)
    assert refusal(tmp_path / "none")
