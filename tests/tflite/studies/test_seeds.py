"""The study over seeds: a row for each form, and which of them the quantize stage would keep."""

import json

import numpy as np
import pytest
from tiny_scenarios import anomaly_scenario, run_stages

import edgernn
from keras_models.numeric_form import NumericForm
from tflite.studies import seeds


def test_a_row_for_each_form(built_forecast, monkeypatch, capsys):
    monkeypatch.setattr(seeds, "SEEDS", (7,))
    monkeypatch.setattr(seeds, "FORMS", (NumericForm("int8"),))
    assert edgernn.main(["seeds", str(built_forecast.scenario), "--build", str(built_forecast.build)]) == 0
    (record,) = json.loads((built_forecast.build / "seeds" / f"{built_forecast.scenario.stem}.json").read_text())
    rows = {name for name in record if "," not in name or name.startswith("int8,") and name.count(",") == 1}
    assert rows == {"seed", "float32", "control", "int8, calibrated", "int8, fine-tuned", "int8, kept"}
    assert record["int8, kept"] in (record["int8, calibrated"], record["int8, fine-tuned"])
    assert np.isfinite(list(record.values())).all()
    assert "int8, kept" in capsys.readouterr().out


def test_a_scenario_that_is_only_calibrated(tmp_path, capsys):
    path = anomaly_scenario(tmp_path)
    before, heading, quantization = path.read_text().partition("[quantization]")
    path.write_text(before + heading + quantization.replace("epochs = 1", "epochs = 0"))
    assert edgernn.main(["seeds", str(path), "--build", str(tmp_path / "build")]) == 2
    assert "quantization.epochs: 0, so there is no fine-tuning to study" in capsys.readouterr().err
    assert not (tmp_path / "build").exists()


def test_a_score_with_trust(tmp_path, monkeypatch, recwarn):
    """The control learns its trust from the truth, the others from the float model's."""
    monkeypatch.setattr(seeds, "SEEDS", (7,))
    monkeypatch.setattr(seeds, "FORMS", (NumericForm("int8"),))
    path = anomaly_scenario(tmp_path)
    text = path.read_text().replace("[anomaly]\n", "[anomaly]\nrecentre = 20\n")
    path.write_text(text.replace("units = 4", 'units = 4\nloss = "geometric"\ntrust = true'))
    built = run_stages(path, tmp_path / "build", ("preprocess",))
    assert edgernn.main(["seeds", str(path), "--build", str(built.build)]) == 0
    (record,) = json.loads((built.build / "seeds" / f"{path.stem}.json").read_text())
    assert {"float32", "control", "int8, calibrated", "int8, fine-tuned", "int8, kept"} <= set(record)
    assert np.isfinite(list(record.values())).all()
    calibrated, finetuned = (record[f"int8, {name}"] for name in ("calibrated", "fine-tuned"))
    assert 0 <= record["int8, kept, events noticed"] <= 1 and record["int8, kept, false alarms in 100 hours"] >= 0
    difference = "int8, fine-tuned less calibrated"
    assert record[difference] == pytest.approx(finetuned - calibrated, abs=1e-12)  # of the same alarms that are judged
    assert record[f"{difference}, at least"] <= record[difference] <= record[f"{difference}, at most"]
    assert not [str(one.message) for one in recwarn if "Gradients do not exist" in str(one.message)]
