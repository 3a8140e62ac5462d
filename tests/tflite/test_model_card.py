"""The model card: what it says of a scenario, of a user's own model, and what it must not make up."""

import json
import re
from dataclasses import replace

import pytest
from recurrent_models import Form, recurrent_model
from synthetic_build import FORECAST_RECORD, make_anomaly, make_forecast, write

import edgernn
from pipeline.scenario import CardText
from tflite import convert
from tflite.report.evidence import gather_evidence
from tflite.report.model_card import CARD, model_card


def card_of(made):
    """As the report writes it; drawing the page would take seconds."""
    evidence = gather_evidence(*made)
    known = {"dataset": evidence.dataset, "record": evidence.record, "models": evidence.models}
    return model_card(evidence.artifact, scenario=made[0], **known)


def section(card, title):
    return re.search(rf"\n## {title}\n\n(.*?)(?=\n\n## |\Z)", card, re.DOTALL)[1]


def test_a_forecaster_says_all_that_was_measured(tmp_path):
    card = card_of(make_forecast(tmp_path))
    assert "licence: BSD-2-Clause" in section(card, "Data") and "| count | rides/h | input | 200 |" in card
    assert "training before 1 Sep 2017" in section(card, "Protocol")
    quality = section(card, "Quality")
    assert "| int8 shipped | 14.10 % | +0.71 % | 12,344 B |" in quality
    assert "| same hour last week | 30.20 % | - | - |" in quality
    assert "up to 24 h ahead" in section(card, "Intended use")
    assert "hurt someone" in section(card, "Must not be used for")
    origin = section(card, "How it was made")
    assert "cd" * 32 in origin and "ab" * 32 in origin and "seed: 7" in origin and "keras: 3.15.1" in origin
    assert "9,216 B" in section(card, "Form and bytes")


def test_a_training_with_disruptions_says_so(tmp_path):
    scenario, build = make_forecast(tmp_path)
    assert "disruptions" not in card_of((scenario, build))
    disrupted = replace(scenario, model=replace(scenario.model, disruptions=0.8))
    assert "a factor off for a while in 80% of the training windows" in card_of((disrupted, build))


def test_the_report_leaves_it_beside_the_model_and_shows_it(built_forecast):
    card = (built_forecast.folder / "tflite" / CARD).read_text()
    metric = json.loads((built_forecast.folder / "validation.json").read_text())["models"][0]["metric"]
    assert f"| int8 shipped | {100 * metric['quantized']:.2f} % |" in section(card, "Quality")
    page = (built_forecast.folder / "report.html").read_text().replace("\u00a0", " ")
    assert section(card, "Intended use").removeprefix("- ") in page
    beside = (built_forecast.folder / "tflite" / "ptq" / CARD).read_text()
    assert section(beside, "Quality").strip() == "Not measured yet." and "seed: 5" in beside


def test_a_detector_says_its_false_alarms_and_events(tmp_path):
    quality = section(card_of(make_anomaly(tmp_path)), "Quality")
    assert "| int8 shipped | 0.83 | +1.19 % | 21.00 % | 18.00 % | 14,000 B |" in quality
    assert "| shut valve | 5 | 80.00 % |" in quality


@pytest.mark.parametrize("maker", [make_forecast, make_anomaly])
def test_no_time_is_in_it_and_the_same_input_gives_the_same_bytes(tmp_path, maker):
    scenario, build = maker(tmp_path)
    first = card_of((scenario, build))
    path = build / scenario.name / "validation.json"
    validation = json.loads(path.read_text())
    for record in validation["models"]:
        record |= {"latency_us": {"p50": 123.0, "p99": 456.0}, "convert_seconds": 7.8}
    write(path, validation)
    assert card_of((scenario, build)) == first


@pytest.mark.parametrize("figure", ["metric", "memory", "bytes"])
def test_a_figure_nobody_measured_is_not_in_it(tmp_path, figure):
    scenario, build = make_forecast(tmp_path)
    record = {key: value for key, value in FORECAST_RECORD.items() if key != figure}
    write(build / "demand" / "validation.json", {"models": [record]})
    card = card_of((scenario, build))
    shown = {"metric": "14.10 %", "memory": "9,216 B", "bytes": "12,344 B"}[figure]
    assert shown not in card and "None" not in card and "nan" not in card.lower()
    if figure == "metric":
        assert section(card, "Quality").strip() == "Not measured yet."


def test_the_authors_own_words_come_first(tmp_path):
    scenario, build = make_anomaly(tmp_path)
    text = CardText(intended_use=("Pump 7.",), not_for=("Pump 8.",), limits=("Only water.",), data_licence="CC0")
    card = card_of((replace(scenario, card=text), build))
    assert section(card, "Intended use") == "- Pump 7."
    assert section(card, "Must not be used for").startswith("- Pump 8.\n- ")
    assert section(card, "Limits").startswith("- Only water.\n- ")
    assert "licence: CC0" in section(card, "Data")


def test_a_user_s_own_model_gets_a_card_with_what_is_known(tmp_path):
    artifact = convert(recurrent_model(Form((3,))), activations="float32", name="pump")
    artifact.save(tmp_path)
    card = (tmp_path / CARD).read_text()
    assert artifact.manifest["sha256"] in card and f"file: {len(artifact.tflite):,} B" in card
    assert section(card, "Quality").strip() == "Not measured yet."
    assert section(card, "Intended use") == "- Not stated by its author."
    assert section(card, "Data") == "Not known to the conversion."
    assert "seed" not in card and "licence" not in card and "WAPE" not in card


def test_a_card_that_is_no_text_is_refused(tmp_path, capsys):
    scenario, _ = make_forecast(tmp_path)
    scenario.path.write_text(scenario.path.read_text() + '\n[card]\nlimits = "none"\n')
    assert edgernn.main(["report", str(scenario.path), "--build", str(tmp_path / "build")]) == 2
    assert "card.limits: expected a list" in capsys.readouterr().err


def test_bars_in_names_do_not_break_tables():
    manifest = {"tflite": "m.tflite", "inputs": [{"name": "a|b", "shape": [2], "dtype": "float32"}]}
    assert "| input | a\\|b | 2 | float32 |" in model_card(manifest)
