"""The command: two files, or one line that says why not and nothing written."""

import numpy as np
import pytest
from c_files import compiled
from step_models import StepModelWriter
from test_flatbuffer import tiny

import edgernn
from tflite.codegen import compiled_step
from tflite.codegen.codegen import codegen
from tflite.runtimes import load_model


def refusal(arguments, capsys) -> str:
    """The line the command leaves; it wrote nothing."""
    assert edgernn.main(["codegen", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("edgernn: ")
    return said.err


@pytest.fixture
def model(gru_model, tmp_path):
    path = tmp_path / "truck-gru.tflite"
    path.write_bytes(gru_model)
    return path


def test_writes_a_header_and_a_source(model, tmp_path, capsys):
    out = tmp_path / "out"
    assert edgernn.main(["codegen", str(model), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out / 'truck_gru.c'}\n"
    assert sorted(path.name for path in out.iterdir()) == ["truck_gru.c", "truck_gru.h"]
    assert compiled(out, "-std=c99", "-Werror", "-c", "truck_gru.c") == ""
    first = [path.read_bytes() for path in sorted(out.iterdir())]
    codegen(model, out)
    assert [path.read_bytes() for path in sorted(out.iterdir())] == first


def test_the_name_can_be_chosen(model, tmp_path):
    assert codegen(model, tmp_path / "out", "fan").name == "fan.c"
    assert "int fan_step(" in (tmp_path / "out/fan.h").read_text()


def per_channel():
    writer = StepModelWriter()
    x = writer.tensor("x", [1, 3], np.int8, 0.1)
    w = writer.tensor("w", scale=[0.1, 0.2], data=np.ones((2, 3), np.int8))
    y = writer.tensor("y", [1, 2], np.int8, 0.1)
    writer.op("FULLY_CONNECTED", [x, w], [y])
    return writer.write({"x": x}, {"y": y})


def unequal_state():
    writer = StepModelWriter()
    x, before, after = (writer.tensor(name, [1, width]) for name, width in (("x", 3), ("before", 1), ("after", 3)))
    writer.op("ADD", [x, before], [after])
    return writer.write({"x": x, "h": before}, {"y": after, "h": after})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"not a model at all, but long enough", "not a .tflite"),
        (tiny("GELU"), "operator 0 GELU: has no C"),
        (tiny("FLOOR"), "operator 0 FLOOR is not one the step graph holds"),
        (per_channel(), "per channel"),
        (unequal_state(), "state h"),
    ],
    ids=["empty", "text", "no C", "unknown", "per channel", "state"],
)
def test_a_model_without_c(content, message, tmp_path, capsys):
    path, out = tmp_path / "model.tflite", tmp_path / "out"
    path.write_bytes(content)
    told = refusal([path, "--out", out], capsys)
    assert str(path) in told and message in told
    assert not out.exists()


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.99])
def test_a_model_cut_short(gru_model, kept, tmp_path, capsys):
    path, out = tmp_path / "model.tflite", tmp_path / "out"
    path.write_bytes(gru_model[: int(kept * len(gru_model))])
    assert str(path) in refusal([path, "--out", out], capsys)
    assert not out.exists()


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert "cannot be read" in refusal([tmp_path / "no.tflite"], capsys)


def test_a_place_that_cannot_be_written(model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal([model, "--out", tmp_path / "file"], capsys)


def test_no_compiler(gru_model, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ValueError, match="no C compiler found .no-such-compiler.; install gcc or clang"):
        load_model(gru_model, "c")


def test_a_compiler_that_refuses(gru_model, monkeypatch):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(ValueError, match="compiling the model failed .exit status 1."):
        load_model(gru_model, "c")


def test_a_model_is_compiled_once(gru_model):
    compiled_step._library.cache_clear()
    load_model(gru_model, "c"), load_model(gru_model, "c")
    assert compiled_step._library.cache_info().misses == 1
