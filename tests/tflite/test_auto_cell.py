"""`cell = "auto"` on the whole road: the cell is known only after training, and every stage follows it."""

import json
import shutil

import numpy as np
import pytest
from tiny_scenarios import anomaly_scenario, forecast_scenario, run_stages

import edgernn
from tflite import load

STAGES = ("preprocess", "train", "quantize", "convert", "validate", "bench", "gates", "report")
AUTO = 'cell = "auto"\nauto = { seeds = 1, margin = 0.0, metric = "rmse" }'


def automatic(path, cell=AUTO):
    path.write_text(path.read_text().replace('cell = "gru"', cell).replace("epochs = 2", "epochs = 1"))
    return path


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auto")
    return run_stages(automatic(forecast_scenario(folder)), folder / "build", STAGES)


def read(path):
    return json.loads(path.read_text())


def test_every_stage_works_and_names_the_chosen_cell(road):
    assert road.status == dict.fromkeys(STAGES, 0)
    manifest = read(road.folder / "tflite" / "artifact.json")
    choice, cell = manifest["cell_choice"], manifest["cell"]
    assert cell == choice["chosen"] and (road.folder / "model" / f"{cell}_qat.keras").exists()
    assert manifest["tflite"] == f"tiny_{cell}_int8_external.tflite"
    chosen = next(one for one in choice["cells"] if one["cell"] == cell)
    assert manifest["units"] == chosen["units"]
    assert read(road.folder / "validation.json")["models"][0]["cell"] == cell
    assert load(road.folder / "tflite").step(np.array([50.0, 10.0, 3.0], np.float32)).shape == (3,)
    page, card = ((road.folder / name).read_text() for name in ("report.html", "tflite/model_card.md"))
    assert "The GRU was trained first" in page and "The GRU was trained first" in card


def test_the_others_have_at_most_the_bytes_of_the_gru_and_no_unit_less_than_fits(road):
    manifest = read(road.folder / "tflite" / "artifact.json")
    cells = {one["cell"]: one for one in manifest["cell_choice"]["cells"]}
    assert list(cells) == ["gru", "lstm", "simple_rnn"] and cells["gru"]["units"] == 4
    assert all(one["bytes"] <= cells["gru"]["bytes"] and len(one["errors"]) == 1 for one in cells.values())
    assert cells["simple_rnn"]["units"] > cells["lstm"]["units"] > 0, "it has one matrix where the LSTM has four"
    assert manifest["bytes"] == cells[manifest["cell"]]["bytes"], "the size it was compared by is that it ships with"


def test_the_gru_of_the_race_is_that_of_a_scenario_that_names_it(built_anomaly, tmp_path):
    """Also with an anomaly score; a margin of 100 % keeps the GRU."""
    scenario = anomaly_scenario(tmp_path)
    race = 'cell = "auto"\nauto = { seeds = 1, margin = 1.0 }'
    scenario.write_text(scenario.read_text().replace('cell = "gru"', race))
    auto = run_stages(scenario, tmp_path / "build", ("preprocess", "train"))
    assert set(auto.status.values()) == {0}
    for name in ("score.json", "encoding.json"):
        assert read(auto.folder / "model" / name) == read(built_anomaly.folder / "model" / name)


@pytest.mark.parametrize("stage", ["quantize", "convert", "bench"])
@pytest.mark.parametrize("content", [None, "{", '{"cell": "gru", "units": 4}'])
def test_a_choice_that_is_not_there(road, tmp_path, capsys, stage, content):
    shutil.copytree(road.build, tmp_path / "build")
    record = tmp_path / "build" / "tiny" / "model" / "float.json"
    record.unlink() if content is None else record.write_text(content)
    capsys.readouterr()
    assert edgernn.main([stage, str(road.scenario), "--build", str(tmp_path / "build")]) == 2
    assert "float.json" in (error := capsys.readouterr().err) and "edgernn train" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ('cell = "gru"\nauto = { seeds = 2 }', 'model.auto: goes with cell = "auto" only'),
        ('cell = "auto"\nauto = { seeds = 0 }', "model.auto.seeds"),
        ('cell = "auto"\nauto = { margin = 2.0 }', "model.auto.margin"),
        ('cell = "auto"\nauto = { metric = "f1" }', "model.auto.metric: expected one of loss, rmse"),
    ],
)
def test_wrong_settings(tmp_path, capsys, model, said):
    scenario = automatic(forecast_scenario(tmp_path), model)
    assert edgernn.main(["train", str(scenario), "--build", str(tmp_path / "build")]) == 2
    assert said in capsys.readouterr().err
