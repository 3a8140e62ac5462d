"""The Transformer baseline on a tiny scenario: trained, converted both ways, measured, shown."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from keras_models.feature_encoding import load_encoding
from keras_models.shard_dataset import training_batches
from keras_models.transformer import build_transformer
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import load_scenario
from pipeline.user_error import UserError
from tflite.child_process import run_in_child
from tflite.report.transformer_pictures import transformer_note, transformer_pictures, transformer_rows
from tflite.studies import against_transformer as study
from tflite.transformer_forms import transformer_models

CONTEXTS = (8, 32)


@pytest.fixture(scope="module")
def record(built_forecast, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transformer")
    for part in ("dataset", "model"):
        shutil.copytree(built_forecast.folder / part, folder / "tiny" / part)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(study, "RATES", (1.0,))
        path = study.against_transformer(load_scenario(built_forecast.scenario), folder, CONTEXTS)
    assert path == folder / "tiny" / "transformer.json"
    return json.loads(path.read_text())


def of(record, form, numbers, key):
    return [one[key] for one in record["costs"] if (one["form"], one["activations"]) == (form, numbers)]


def test_the_rival_is_no_larger_and_was_trained_on_the_same(record):
    assert record["parameters"]["transformer"] <= record["parameters"]["rnn"]
    for one in record["quality"].values():
        assert 0 < one["loss"] < 5 and 0 < one["rmse"] < 5


@pytest.mark.parametrize("numbers", ["float32", "int8"])
def test_its_memory_grows_with_the_window_and_that_of_the_rnn_knows_none(record, numbers):
    window, cache = (of(record, form, numbers, "arena_bytes") for form in ("window", "cache"))
    assert of(record, "window", numbers, "context") == list(CONTEXTS)
    assert window[1] > window[0] and cache[1] > cache[0]
    assert window[1] > cache[1], "scores of all pairs of steps, not of the last with all"
    assert len(of(record, "rnn", numbers, "arena_bytes")) == 1 and of(record, "rnn", numbers, "against_rnn") == [1.0]
    assert min(of(record, "window", numbers, "step_us")) > 0


def test_a_rival_of_a_network_with_quantiles_learns_them_too(built_forecast, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RATES", (1.0,))
    scenario = load_scenario(built_forecast.scenario)
    folder, dataset = read_dataset(scenario, built_forecast.build)
    encoding = replace(load_encoding(built_forecast.folder / "model" / "encoding.json"), quantiles=(0.1, 0.9))
    batches = training_batches(folder, dataset, encoding, scenario.model, scenario.seed)
    model, runs = study._trained(scenario, encoding, 2000, batches, tmp_path)
    low, high = (model.predict(batches[1], verbose=0)[i] for i in (2, 3))
    assert 0 < runs["loss"] < 5 and low.mean() < high.mean()
    x = np.zeros((1, 6, encoding.width), np.float32)
    files = run_in_child(transformer_models, model.sizes, model.get_weights(), x, (6,), False)
    assert set(files) == {("window", 6), ("cache", 6)}


def test_the_file_says_what_keras_says(built_forecast):
    """Both ways, beside the model's own functions, on LiteRT."""
    encoding = load_encoding(built_forecast.folder / "model" / "encoding.json")
    model, rng = build_transformer(encoding, 2000, 6), np.random.default_rng(0)
    x = rng.normal(size=(1, 6, encoding.width)).astype(np.float32)
    files = run_in_child(transformer_models, model.sizes, model.get_weights(), x, (6,), False)
    expected = model.last_of_window(x)[0].numpy()
    window = Interpreter(model_content=files["window", 6]).get_signature_runner("step")(x=x)
    np.testing.assert_allclose(window["forecast"], expected, atol=1e-5)
    past = {name: tensor.numpy() for name, tensor in
            zip(("keys0", "values0", "keys1", "values1"), model.cache_of(x[:, :-1]), strict=True)}
    step = Interpreter(model_content=files["cache", 6]).get_signature_runner("step")
    outputs = step(x=x[:, -1], seen=np.zeros((1, 5), np.float32), **past)
    np.testing.assert_allclose(outputs["forecast"], expected, atol=1e-5)
    np.testing.assert_allclose(outputs["new_keys1"], model.cache_of(x)[2][:, -1:], atol=1e-5)


def test_the_report_shows_it(record):
    (picture,) = transformer_pictures(record)
    assert "Transformer" in picture.caption and "<svg" in picture.wide
    rows = transformer_rows(record)
    assert [row["kind"] for row in rows].count("shipped") == 2
    assert {row["context"] for row in rows} == {"any", "8", "32"}
    assert f"{record['quality']['transformer']['loss']:.4g}" in transformer_note(record)
    assert (transformer_pictures(None), transformer_rows(None), transformer_note(None)) == ([], [], "")


def test_a_form_that_does_not_convert_is_absent_not_zero(record):
    costs = [one for one in record["costs"] if one["activations"] == "float32"]
    costs = [{key: value for key, value in one.items() if key != "arena_bytes"} for one in costs]
    rows = transformer_rows(record | {"costs": costs})
    assert {row["arena"] for row in rows} == {"not measured"}
    assert transformer_pictures(record | {"costs": costs})


def test_no_model_yet(built_forecast, tmp_path):
    shutil.copytree(built_forecast.folder / "dataset", tmp_path / "tiny" / "dataset")
    with pytest.raises(UserError, match="edgernn train"):
        study.against_transformer(load_scenario(built_forecast.scenario), tmp_path)
