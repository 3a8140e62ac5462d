"""What the compiler for Ethos-U says of our models; its own figures are not ours to test."""

import importlib.util
import json

import contract_models as models
import pytest
from step_models import quantized_gru_step
from test_flatbuffer import tiny

import edgernn
from pipeline.user_error import UserError
from tflite import ethos_u
from tflite.ethos_u import ACCELERATOR, estimate, npu_program


@pytest.fixture(scope="module")
def estimated():
    """The record of a form by cell, numbers and state; real ends."""
    return lambda *form: estimate(*npu_program(models.artifact(*form)[0]))


@pytest.mark.parametrize(
    "form", [("gru", "int8", "external"), ("gru", "state16", "external"), ("lstm", "int8", "internal")]
)
def test_all_but_the_real_ends_runs_on_the_npu(estimated, form):
    record = estimated(*form)
    assert record["estimate"] is True and record["accelerator"] == ACCELERATOR
    assert [(entry["operator"], entry["count"]) for entry in record["on_cpu"]] == [("DEQUANTIZE", 1), ("QUANTIZE", 1)]
    assert record["on_npu"] == record["operators"] - 2
    assert record["cycles"] > 0 and record["sram_bytes"] > 0 and record["flash_bytes"] > 0


def test_with_integer_ends_all_of_it(gru_model):
    record = estimate(*npu_program(quantized_gru_step(float_io=False)))
    assert record["on_cpu"] == [] and record["on_npu"] == record["operators"]
    larger = estimate(*npu_program(quantized_gru_step(units=96, float_io=False)))
    assert larger["macs"] > 3 * record["macs"] and larger["flash_bytes"] > 3 * record["flash_bytes"]


def test_states_inside_are_taken_out(estimated):
    """Variables would be the CPU's, and with them every operator's input."""
    inside, outside = estimated("gru", "int8", "internal"), estimated("gru", "int8", "external")
    assert inside == outside


def test_of_floats_nothing_runs_on_it(estimated):
    record = estimated("simple_rnn", "float32", "external")
    assert record["on_npu"] == 0 and "cycles" not in record
    assert {entry["reason"] for entry in record["on_cpu"]} == {"Operation has tensor with unsupported DataType Float32"}


def test_the_command(gru_model, tmp_path, capsys):
    path = tmp_path / "pump.tflite"
    path.write_bytes(gru_model)
    assert edgernn.main(["ethos-u", str(path), "--accelerator", "ethos-u85-256"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "pump on ethos-u85-256" in said and "not measured" in said and "cycles" in said


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"not a model at all, but long enough", "not a .tflite")]
)
def test_bad_models(content, message, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert edgernn.main(["ethos-u", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(path) in said and message in said


def test_a_model_cut_short(gru_model, tmp_path, capsys):
    path = tmp_path / "model.tflite"
    path.write_bytes(gru_model[: len(gru_model) // 2])
    assert edgernn.main(["ethos-u", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(path) in said


def test_an_unknown_accelerator(gru_model, tmp_path, capsys):
    path = tmp_path / "pump.tflite"
    path.write_bytes(gru_model)
    assert edgernn.main(["ethos-u", str(path), "--accelerator", "ethos-u99"]) == 2
    assert "expected one of ethos-u55-32, ethos-u55-64" in capsys.readouterr().err


def test_no_compiler(monkeypatch):
    monkeypatch.setattr(ethos_u, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="ethos-u-vela, is not installed; run `make env`"):
        estimate(tiny(), ["TANH"])
    assert importlib.util.find_spec("ethosu") is not None


def test_the_scenario_s_record(built_forecast):
    record = json.loads((built_forecast.folder / "validation.json").read_text())["models"][0]
    assert record["ethos_u"]["estimate"] is True
    assert record["ethos_u"]["operators"] == len(record["ops"])
