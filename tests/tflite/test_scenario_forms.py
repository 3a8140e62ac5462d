"""Scenarios of every cell, kind of numbers and place of the state, the whole road: what was built is what is told."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_scenarios import EVERY_STAGE, anomaly_scenario, forecast_scenario, run_stages

import edgernn
from tflite import load
from tflite.validation_record import form_name, kernel_pairs

STAGES = (*EVERY_STAGE[:-2], "bench", *EVERY_STAGE[-2:])
AS_SHIPPED = 'activations = "int8"\nstate = "external"'
INSIDE = 'state = "internal"'
WIDE_STATE = f'activations = "int8"\nstate_dtype = "int16"\n{INSIDE}'
# With lags, quantiles, a hidden layer and the calendar of a later time.
LATER = (
    ("leads = [1, 3]", 'leads = [1, 3]\nlags = ["12h", "24h"]\nquantiles = [0.1, 0.5, 0.9]'),
    ("length = 24", "length = 60"),
    ("units = 4", "units = 4\nhidden = 6"),
    ("cycles = [24.0]", 'cycles = [24.0]\nahead = "3h"'),
    ("[budgets]\n", "[budgets]\nnrmse = 3.0\ncoverage_gap = 1.0\nmetric_points = 1.0\n"),
)
BEFORE = ("cycles = [24.0]", 'cycles = [24.0]\nahead = "-3h"')
TRUST = (("units = 4", 'units = 4\nloss = "geometric"\ntrust = true'), ("[anomaly]\n", "[anomaly]\nrecentre = 20\n"))
# By cell: maker, [quantization], name of the form, bytes of the states: 4 units of int8 or int16, the LSTM's cell state
# in int16, 3 reals that stand for missing readings, and the 23 that lags reach back to.
ROADS = {
    "lstm": (forecast_scenario, f'activations = "int8"\n{INSIDE}', "int8", 4 + 8 + 12, BEFORE),
    "gru": (forecast_scenario, WIDE_STATE, "int8_state16", 8 + 12 + 4 * 23, *LATER),
    "simple_rnn": (anomaly_scenario, 'activations = "int16"\nstate = "external"', "int16", None, *TRUST),
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
    maker, quantization, form, state_bytes, *changes = ROADS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    scenario = scenario_of(folder, maker, request.param, quantization, *changes)
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
        assert len(kernel_pairs(record)) == 1
        assert max(pair["max_lsb"] for pair in kernel_pairs(record)) <= (2 if cell == "lstm" else 1)
        if state_bytes is not None and record["activations"] != "float32":
            assert record["memory"]["state_bytes"] == state_bytes


@pytest.mark.parametrize("road", ["lstm"], indirect=True)
def test_a_calendar_of_a_time_before_is_told_and_shown(road):
    built, *_ = road
    told = read(built.folder / "tflite" / "artifact.json")["inputs"][0]["columns"]
    assert [one.get("ahead_seconds") for one in told] == [None, None, -10800.0]
    assert "calendar, hour_of_day, 3 h before" in (built.folder / "report.html").read_text().replace("\u00a0", " ")


def test_the_runtimes_agree_on_the_task(road):
    built, *_ = road
    metric = read(built.folder / "validation.json")["models"][0]["metric"]
    assert metric["quantized"] == pytest.approx(metric["quantized_tflm"], rel=0.02)
    assert metric["quantized"] == pytest.approx(metric["float"], rel=0.1)


@pytest.mark.parametrize("road", ["gru"], indirect=True)
def test_intervals_are_measured_gated_and_shown(road):
    built, *_ = road
    record = read(built.folder / "validation.json")["models"][0]
    assert record["coverage"]["nominal"] == 0.8 and 0 < record["interval_width"]["quantized"]
    assert record["coverage"]["quantized"] == pytest.approx(record["coverage"]["quantized_tflm"], abs=0.02)
    assert {"same time last week", "same time yesterday"} <= set(record["nrmse"]["rivals"])
    gates = {gate["budget"]: gate for gate in read(built.folder / "gates.json")["gates"]}
    assert gates["coverage_gap"]["measured"] == pytest.approx(abs(record["coverage"]["quantized"] - 0.8))
    assert gates["nrmse"]["measured"] == record["nrmse"]["quantized"]
    manifest = read(built.folder / "tflite" / "artifact.json")
    assert [one["name"] for one in manifest["outputs"]] == ["forecast", "quantile_10", "quantile_90"]
    assert [one.get("ahead_seconds") for one in manifest["inputs"][0]["columns"]] == [None, None, 10800.0]
    page = (built.folder / "report.html").read_text()
    assert "calendar, hour_of_day, 3 h ahead" in page.replace("\u00a0", " ")
    assert "80.00\u00a0% promised" in page and "lie in the shaded interval" in page


@pytest.mark.parametrize("road", ["gru"], indirect=True)
def test_the_error_of_each_lead_is_told_and_drawn(road):
    """As the trace has it, which holds the first and the last lead, moved to the times they speak of."""
    built, *_ = road
    record = read(built.folder / "validation.json")["models"][0]
    table = pq.read_table(built.folder / "trace.parquet").sort_by([("stream", "ascending"), ("time", "ascending")])
    trace = {name: column.to_numpy() for name, column in zip(table.column_names, table.columns, strict=True)}
    assert record["by_lead"]["seconds"] == [3600.0, 7200.0, 10800.0]
    for lead, column in ((1, "quantized_lead1"), (3, "quantized")):
        error = total = 0.0
        for stream in np.unique(trace["stream"]):
            rows = np.flatnonzero(trace["stream"] == stream)[lead:]  # said within the test part
            truth = trace["truth"][rows].astype(float)
            error += np.nansum(np.abs(truth - trace[column][rows]))
            total += np.nansum(np.abs(truth))
        assert record["by_lead"]["wape"]["quantized"][lead - 1] == pytest.approx(error / total, rel=1e-5)
    assert record["by_lead"]["wape"]["rivals"].keys() == record["metric"]["rivals"].keys()
    assert "by how far ahead the forecast looks" in (built.folder / "report.html").read_text()


def test_reset_is_a_fresh_load(road):
    built, *_ = road
    runtime = load(built.folder / "tflite", runtime="tflm")
    xs = np.random.default_rng(0).normal(50, 20, (120, *runtime.inputs[0].shape)).astype(np.float32)

    def outputs():
        said = [runtime.step(x) for x in xs]
        return [np.concatenate(list(one.values())) if isinstance(one, dict) else one for one in said]

    first = outputs()
    runtime.reset()
    np.testing.assert_array_equal(outputs(), first)
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
