"""A translation over seeds: every seed goes the whole road, and the figures are those of its own validation."""

import json

import edgernn
from tflite.translation import seeds_stage


def test_each_seed_has_the_figures_of_its_validation(built, monkeypatch, capsys):
    monkeypatch.setattr(seeds_stage, "SEEDS", (5, 6))
    assert edgernn.main(["seeds", str(built.scenario), "--build", str(built.build)]) == 0
    name, folder = built.scenario.stem, built.build / "seeds"
    records = json.loads((folder / f"{name}.json").read_text())
    assert [record["seed"] for record in records] == [5, 6]
    for record in records:
        (found, _) = json.loads((folder / str(record["seed"]) / name / "validation.json").read_text())["models"]
        assert record["shipped, BLEU"] == found["metric"]["quantized"]
        assert record["float32, exact"] == found["exact_match"]["float"]
        assert record["calibrated, sentences as float"] == found["identity"]["ptq"]
        assert record["beam of 6, exact"] == found["beam"]["exact_match"]
    histories = [(folder / seed / name / "model" / "history.csv").read_text() for seed in ("5", "6")]
    assert histories[0] != histories[1]
    # The scenario's own seed is trained as by the stages themselves.
    assert histories[0] == (built.build / name / "model" / "history.csv").read_text()
    assert "spread" in capsys.readouterr().out


def test_without_a_dataset(tmp_path, built, capsys):
    assert edgernn.main(["seeds", str(built.scenario), "--build", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "edgernn preprocess" in error
