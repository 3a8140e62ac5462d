"""The command: two files, or one line that says why not and nothing written."""

import copy
import shutil

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from c_files import compiled
from step_models import StepModelWriter, running_sum_step
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


def without_a_fixed_shape():
    writer = StepModelWriter()
    x, y = writer.tensor("x", [1, -1]), writer.tensor("y", [1, -1])
    writer.op("TANH", [x], [y])
    return writer.write({"x": x}, {"y": y})


def signatures(*keys, subgraph=0):
    """One signature a key, each of that subgraph; the model has two."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(running_sum_step(), 0))
    model.signatureDefs = [copy.copy(model.signatureDefs[0]) for _ in keys]
    for signature, key in zip(model.signatureDefs, keys, strict=True):
        signature.signatureKey, signature.subgraphIndex = key, subgraph
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"not a model at all, but long enough", "not a .tflite"),
        (tiny("GELU"), "operator 0 GELU: has no C"),
        (tiny("FLOOR"), "operator 0 FLOOR is not one the step graph holds"),
        (per_channel(), "per channel"),
        (unequal_state(), "state h"),
        (without_a_fixed_shape(), "tensor x has no fixed shape: (1, -1)"),
        (signatures("encode", "decode"), "no signature `step` (found: decode, encode)"),
        (signatures("step", subgraph=1), "signature `step` is subgraph 1, expected 0"),
    ],
    ids=["empty", "text", "no C", "unknown", "per channel", "state", "shape", "two programs", "another program"],
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


def two_names():
    """A state that enters as h_in and leaves as h_out, or a reading and a result that are alike."""
    writer = StepModelWriter()
    x, before, after = (writer.tensor(name, [1, 2]) for name in ("x", "before", "after"))
    y = writer.tensor("y", [1, 3])
    row = writer.tensor("row", data=np.ones((3, 2), np.float32))
    writer.op("ADD", [x, before], [after], schema.AddOptionsT())
    writer.op("FULLY_CONNECTED", [after, row, -1], [y], schema.FullyConnectedOptionsT())
    return writer.write({"x": x, "h_in": before}, {"y": y, "h_out": after})


def test_a_state_with_two_names_has_c_if_it_is_none(tmp_path, capsys):
    path, out = tmp_path / "pump.tflite", tmp_path / "out"
    path.write_bytes(two_names())
    told = refusal([path, "--out", out], capsys)
    assert f"{path}: input h_in and output h_out look like a state, but have two names" in told
    assert "--reading h2: the model has no such input; it reads x, h_in" in refusal(
        [path, "--out", out, "--reading", "h2"], capsys
    )
    assert not out.exists()
    assert edgernn.main(["codegen", str(path), "--out", str(out), "--reading", "h_in"]) == 0
    assert capsys.readouterr().out == f"{out / 'pump.c'}\n"
    assert "h_in[" in (out / "pump.h").read_text().split("pump_state;")[1]


@pytest.mark.parametrize(("missing", "message"), [("size", "install GNU binutils"), ("cc", "install gcc or clang")])
def test_the_study_without_its_programs(missing, message, monkeypatch, tmp_path, capsys):
    which = shutil.which
    gone = {"size": ("size",), "cc": compiled_step.COMPILERS}[missing]
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(compiled_step.shutil, "which", lambda name: None if name in gone else which(name))
    assert edgernn.main(["generated-c", "--build", str(tmp_path / "build")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and message in said
    assert not (tmp_path / "build").exists()


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
