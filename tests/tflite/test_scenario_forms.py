"""Scenarios of every cell, kind of numbers and place of the state, the whole road: what was built is what is told."""

import json
import shutil

import numpy as np
import pytest
from tiny_scenarios import EVERY_STAGE, anomaly_scenario, forecast_scenario, run_stages

import edgernn
from tflite import load
from tflite.validation_record import form_name, kernel_pairs

STAGES = (*EVERY_STAGE[:-2], "bench", *EVERY_STAGE[-2:])
AS_SHIPPED = 'activations = "int8"\nstate = "external"'
INSIDE = 'state = "internal"'
# By cell: maker, [quantization], name of the form, bytes of the states: 4 units of int8 or int16, the LSTM's cell state
# in int16, and 3 reals that stand for missing readings.
ROADS = {
    "lstm": (forecast_scenario, f'activations = "int8"\n{INSIDE}', "int8", 4 + 8 + 12),
    "gru": (forecast_scenario, f'activations = "int8"\nstate_dtype = "int16"\n{INSIDE}', "int8_state16", 8 + 12),
    "simple_rnn": (anomaly_scenario, 'activations = "int16"\nstate = "external"', "int16", None),
}


def scenario_of(folder, maker, cell, quantization, *changes):
    path = maker(folder)
    text = path.read_text()
    for old, new in (('cell = "gru"', f'cell = "{cell}"'), (AS_SHIPPED, quantization), *changes):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def read(path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module", params=ROADS)
def road(request, tmp_path_factory):
    """(what was built, cell, name of the form, bytes of the states)"""
    maker, quantization, form, state_bytes = ROADS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    scenario = scenario_of(folder, maker, request.param, quantization)
    return run_stages(scenario, folder / "build", STAGES), request.param, form, state_bytes


def test_every_record_names_what_was_built(road):
    built, cell, form, _ = road
    assert built.status == dict.fromkeys(STAGES, 0)
    manifest, quantization = read(built.folder / "tflite" / "artifact.json"), read(built.folder / "model" / "qat.json")
    shipped, plain = read(built.folder / "validation.json")["models"]
    state = "external" if form == "int16" else "internal"
    assert manifest["tflite"] == f"{built.scenario.stem}_{cell}_{form}_{state}.tflite"
    assert form_name(manifest) == form_name(shipped) == quantization["form"] == form
    assert form_name(plain) == "float32"
    assert {manifest["state"], shipped["state"], plain["state"]} == {state}
    assert [trial["form"] for trial in quantization["trials"]] == [form]
    assert f"{cell}_{form}_{state}" in (built.folder / "report.html").read_text()
    assert {gate["model"] for gate in read(built.folder / "gates.json")["gates"]} == {f"{cell}_{form}_{state}"}


def test_the_rival_is_the_same_cell(road):
    built, cell, form, _ = road
    kind = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}[cell]
    rows = read(built.folder / "bench.json")
    own = [row["rival_name"] for row in rows if row["name"] == f"{built.scenario.stem}: LiteRT {form} step"]
    assert own[0] == f"ONNX Runtime float {kind}, session.run"
    assert f"LiteRT float {kind}, window of 96" in own and f"ONNX Runtime float {kind}, window of 96" in own
    assert f"{built.scenario.stem}: {form} as generated C" in {row["name"] for row in rows}


def test_every_step_is_compared_from_the_same_state_wherever_that_is_kept(road):
    """A quantum; two of the fused LSTM, another kernel in either runtime."""
    built, cell, form, state_bytes = road
    for record in read(built.folder / "validation.json")["models"]:
        assert [pair["state_forced"] for pair in record["parity"]] == [True] * 3 + [False] * 3 * (form != "int16")
        states = {name for name in record["parity"][0]["by_tensor"] if name[0] in "hc"}
        assert states == {"h0", "c0"} if cell == "lstm" else states >= {"h0"}
        assert len(kernel_pairs(record)) == 2
        assert max(pair["max_lsb"] for pair in kernel_pairs(record)) <= (2 if cell == "lstm" else 1)
        if state_bytes is not None and record["activations"] != "float32":
            assert record["memory"]["state_bytes"] == state_bytes


def test_the_runtimes_agree_on_the_task(road):
    built, *_ = road
    metric = read(built.folder / "validation.json")["models"][0]["metric"]
    assert metric["quantized"] == pytest.approx(metric["quantized_tflm"], rel=0.02)
    assert metric["quantized"] == pytest.approx(metric["float"], rel=0.1)


def test_reset_is_a_fresh_load(road):
    built, *_ = road
    runtime = load(built.folder / "tflite", runtime="tflm")
    xs = np.random.default_rng(0).normal(50, 20, (120, *runtime.inputs[0].shape)).astype(np.float32)
    first = [runtime.step(x) for x in xs]
    runtime.reset()
    np.testing.assert_array_equal([runtime.step(x) for x in xs], first)
    assert len(np.unique(first)) > 10, "nothing moves"


@pytest.mark.parametrize("road", ["lstm"], indirect=True)
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('activations = "', 'activations = "int16" # "', "edgernn quantize"),
        ('state = "internal"', 'state = "external"', "state='internal'"),
    ],
)
def test_a_scenario_changed_since_its_quantization_is_one_line(road, tmp_path, capsys, old, new, told):
    built, *_ = road
    scenario = tmp_path / built.scenario.name
    scenario.write_text(built.scenario.read_text().replace(old, new))
    shutil.copytree(built.scenario.parent / "rows", tmp_path / "rows")
    shutil.copytree(built.build, tmp_path / "build")
    capsys.readouterr()
    assert edgernn.main(["convert", str(scenario), "--build", str(tmp_path / "build")]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_the_stage_chooses_the_form(tmp_path):
    """Forms are tried until one is as good as float to the last digit; the same is shipped as if it was asked for."""
    auto = 'activations = "auto"\nstate = "external"'
    # So that fine-tuning does change the model, and the order of its batches the result.
    gentle = ("epochs = 1\nlearning_rate = 0.001", "epochs = 3\nlearning_rate = 0.0003")
    budgets = ("[budgets]\n", "[budgets]\nmetric_loss = 0.0\n")
    scenario = scenario_of(tmp_path, forecast_scenario, "simple_rnn", auto, gentle, budgets)
    built = run_stages(scenario, tmp_path / "build")
    quantization, manifest = read(built.folder / "model" / "qat.json"), read(built.folder / "tflite" / "artifact.json")
    losses = {trial["form"]: trial["finetuned"] for trial in quantization["trials"]}
    best = min(losses, key=losses.get)
    assert quantization["good_enough"] or list(losses) == ["int8", "int8_state16", "int16"]
    assert form_name(manifest) == quantization["form"] == best
    assert read(built.folder / "gates.json")["gates"][0]["model"] == f"simple_rnn_{best}_external"
    page = (built.folder / "report.html").read_text()
    assert all(f'scope="row">{form}<' in page for form in losses) and f"units · {best} · external state" in page
    again = tmp_path / "again"
    again.mkdir()
    named = f'activations = "{manifest["activations"]}"'
    named += f'\nstate_dtype = "{manifest["state_dtype"]}"' if "state_dtype" in manifest else ""
    scenario = scenario_of(again, forecast_scenario, "simple_rnn", f'{named}\nstate = "external"', gentle)
    asked = run_stages(scenario, again / "build", ("preprocess", "train", "quantize", "convert"))
    assert read(asked.folder / "tflite" / "artifact.json")["sha256"] == manifest["sha256"]
