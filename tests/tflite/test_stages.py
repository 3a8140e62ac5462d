"""The stages one after the other over tiny scenarios: what they leave; repeated, missing, damaged, interrupted."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from tiny_scenarios import forecast_scenario, run_stages

import edgernn
from tflite import load


def files(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def copy(built_forecast, tmp_path):
    """The built scenario in a place of its own."""
    shutil.copytree(built_forecast.build, tmp_path / "build")
    return tmp_path / "build"


def stage(name, built, build):
    return edgernn.main([name, str(built.scenario), "--build", str(build)])


def one_line(capsys):
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("edgernn: ")]
    assert len(lines) == 1 and "Traceback" not in error, error
    return lines[0]


def test_the_whole_road_of_a_forecast(built_forecast):
    assert built_forecast.status == dict.fromkeys(built_forecast.status, 0)
    ours, ptq = load(built_forecast.folder / "tflite"), load(built_forecast.folder / "tflite" / "ptq")
    for runtime in (ours, ptq):
        forecast = runtime.step(np.array([50.0, 10.0, 3.0], np.float32))
        assert forecast.shape == (3,) and (forecast >= 0).all()
    shipped, plain = json.loads((built_forecast.folder / "validation.json").read_text())["models"][:2]
    assert (shipped["activations"], plain["activations"]) == ("int8", "float32")
    assert shipped["bytes"] == len((built_forecast.folder / "tflite" / "tiny_gru_int8_external.tflite").read_bytes())
    assert {"float", "ptq", "quantized"} <= set(shipped["metric"])
    assert 0 < shipped["metric"]["float"] < 2 and shipped["drift"]["steps"] == 552 - 360
    assert "<html" in (built_forecast.folder / "report.html").read_text()


def test_the_whole_road_of_an_anomaly_score(built_anomaly):
    assert built_anomaly.status == dict.fromkeys(built_anomaly.status, 0)
    shipped = json.loads((built_anomaly.folder / "validation.json").read_text())["models"][0]
    assert shipped["metric"]["name"] == "f1" and {"far", "mar"} <= set(shipped)
    assert shipped["metric"]["float"] > 0.5, "a channel lifted by twenty standard deviations must be found"


def test_the_metric_is_that_of_the_shipped_model(built_forecast):
    """WAPE by a loop over the device's own calls."""
    import pyarrow.parquet as pq

    table = pq.read_table(built_forecast.folder / "dataset" / "streams").sort_by("time")
    xs = np.stack([table[name].to_numpy() for name in ("count", "temperature", "hour_of_day")], 1).astype(np.float32)
    part = np.array(table["part"].to_pylist())
    runtime = load(built_forecast.folder / "tflite")
    forecasts = np.stack([runtime.step(x) for x in xs])
    errors = total = 0.0
    for t in np.flatnonzero(part == "test"):
        for i, lead in enumerate((1, 2, 3)):
            if t + lead < len(xs) and np.isfinite(xs[t + lead, 0]):
                errors += abs(xs[t + lead, 0] - forecasts[t, i])
                total += abs(xs[t + lead, 0])
    shipped = json.loads((built_forecast.folder / "validation.json").read_text())["models"][0]
    assert shipped["metric"]["quantized"] == pytest.approx(errors / total, rel=1e-4)


def test_twice_from_clean_gives_the_same_bytes(built_forecast, tmp_path):
    again = run_stages(built_forecast.scenario, tmp_path / "build", ("preprocess", "train", "quantize", "convert"))
    ours, theirs = (files(one.folder / "tflite") for one in (built_forecast, again))
    for name in ours.keys() - {"seconds.json", "model_card.md"}:  # the report adds what was measured to the card
        assert ours[name] == theirs[name], name


def test_missing_readings_of_the_target(tmp_path):
    """The model fills them itself; a rival that repeats one that is missing must not stop the validation."""
    built = run_stages(forecast_scenario(tmp_path, missing="count"), tmp_path / "build",
                       ("preprocess", "train", "quantize", "convert", "validate"))
    metric = json.loads((built.folder / "validation.json").read_text())["models"][0]["metric"]
    figures = [metric[form] for form in ("float", "ptq", "quantized")] + list(metric["rivals"].values())
    assert np.isfinite(figures).all()


@pytest.mark.parametrize(
    ("missing", "name", "made_by"),
    [
        ("dataset", "train", "edgernn preprocess"),
        ("dataset", "quantize", "edgernn preprocess"),
        ("dataset", "convert", "edgernn preprocess"),
        ("dataset", "validate", "edgernn preprocess"),
        ("model/gru.keras", "quantize", "edgernn train"),
        ("model/gru.keras", "convert", "edgernn train"),
        ("model/gru_qat.keras", "convert", "edgernn quantize"),
        ("tflite", "validate", "edgernn convert"),
        ("model/encoding.json", "validate", "edgernn train"),
        ("validation.json", "gates", "edgernn validate"),
        ("validation.json", "report", "edgernn validate"),
    ],
)
def test_the_stage_before_is_missing(built_forecast, copy, capsys, missing, name, made_by):
    path = copy / "tiny" / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    capsys.readouterr()
    assert stage(name, built_forecast, copy) == 2
    assert made_by in one_line(capsys)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", None], ids=["empty", "a few bytes", "cut short"])
@pytest.mark.parametrize(("model", "name"), [("gru.keras", "quantize"), ("gru_qat.keras", "convert")])
def test_a_damaged_model(built_forecast, copy, capsys, model, name, content):
    path = copy / "tiny" / "model" / model
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    capsys.readouterr()
    assert stage(name, built_forecast, copy) == 2
    assert model in one_line(capsys)


def test_a_damaged_artefact_given_to_validate(built_forecast, copy, capsys):
    path = copy / "tiny" / "tflite" / "tiny_gru_int8_external.tflite"
    path.write_bytes(path.read_bytes()[:2000])
    capsys.readouterr()
    assert stage("validate", built_forecast, copy) == 2
    assert "sha256" in one_line(capsys)


@pytest.mark.parametrize("name", ["preprocess", "train", "quantize", "convert", "validate"])
def test_a_file_where_a_folder_should_be(built_forecast, copy, capsys, name):
    """The build folder itself cannot be made."""
    shutil.rmtree(copy)
    copy.write_text("a file")
    capsys.readouterr()
    assert stage(name, built_forecast, copy) == 2
    assert str(copy) in one_line(capsys)
    assert copy.read_text() == "a file"


@pytest.mark.parametrize(("name", "taken"), [("train", "model"), ("convert", "tflite")])
def test_a_file_where_the_folder_of_a_stage_should_be(built_forecast, copy, name, taken):
    """A stage clears its own place: what lies there is replaced by its folder, or refused in one line."""
    path = copy / "tiny" / taken
    shutil.rmtree(path)
    path.write_text("a file")
    assert stage(name, built_forecast, copy) in (0, 2)


INTERRUPTED = [
    ("train", "keras_models.train.fit_model", "model/gru.keras"),
    ("train", "keras_models.train.save_model", "model/gru.keras"),
    ("quantize", "keras_models.finetune_qat.fit_model", "model/gru_qat.keras"),
    ("quantize", "keras_models.finetune_qat.save_model", "model/gru_qat.keras"),
    ("quantize", "keras.Model.save", "model/gru_qat.keras"),
    ("convert", "tflite.convert_scenario.convert", "tflite/artifact.json"),
    ("convert", "tflite.artifact.write_json", "tflite/artifact.json"),
    ("validate", "tflite.validate_scenario.recorded_streams", "validation.json"),
    ("validate", "tflite.validate_scenario.write_json", "validation.json"),
]
BEFORE = {"train": ("dataset",), "quantize": ("dataset", "model/gru.keras", "model/encoding.json"),
          "convert": ("dataset", "model"), "validate": ("dataset", "model", "tflite")}


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("name", "where", "result"), INTERRUPTED)
def test_interrupted(built_forecast, copy, capsys, monkeypatch, name, where, result):
    """130; no result of the stage that looks whole, old ones included; all of the stages before is as it was."""
    folder = copy / "tiny"
    kept = {path: digest for path, digest in files(folder).items() if path.startswith(BEFORE[name])}
    monkeypatch.setattr(where, stop)
    capsys.readouterr()
    assert stage(name, built_forecast, copy) == 130
    assert capsys.readouterr().err.endswith("edgernn: interrupted\n")
    assert not (folder / result).exists()
    after = files(folder)
    assert {path: after.get(path) for path in kept} == kept
    assert not [path for path in after if path.endswith(".tmp")]


def test_run_again_after_an_interruption(built_forecast, copy, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("tflite.artifact.write_json", stop)
        assert stage("convert", built_forecast, copy) == 130
    assert stage("validate", built_forecast, copy) == 2
    assert stage("convert", built_forecast, copy) == 0
    ours, before = files(copy / "tiny" / "tflite"), files(built_forecast.folder / "tflite")
    later = {"seconds.json": "", "model_card.md": ""}  # a time, and what the report adds
    assert ours | later == before | later


def test_a_form_the_model_was_not_quantized_for(built_forecast, copy, tmp_path, capsys):
    """The scenario was changed since the stage before: exit 2 and the key, never a traceback or another model."""
    scenario = tmp_path / "tiny.toml"
    text = built_forecast.scenario.read_text()
    scenario.write_text(text.replace('activations = "int8"', 'activations = "int16"'))
    shutil.copytree(built_forecast.scenario.parent / "rows", tmp_path / "rows")
    capsys.readouterr()
    assert edgernn.main(["convert", str(scenario), "--build", str(copy)]) == 2
    assert "quantization.activations" in one_line(capsys)
    assert not (copy / "tiny" / "tflite" / "artifact.json").exists()
