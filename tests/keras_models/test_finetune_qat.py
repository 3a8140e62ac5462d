"""An attempt at a form: what fine-tuning starts from, and how far a model is from float."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from keras_models.feature_encoding import load_encoding
from keras_models.finetune_qat import attempt, taught_by
from keras_models.model_folder import load_model
from keras_models.numeric_form import NumericForm
from keras_models.shard_dataset import training_batches
from pipeline.dataset_folder import read_dataset
from pipeline.scenario import load_scenario


@pytest.fixture(scope="module")
def trained(built_forecast):
    """The scenario, its float model, and what gives its batches."""
    scenario = load_scenario(built_forecast.scenario)
    folder, dataset = read_dataset(scenario, built_forecast.build)
    models = built_forecast.folder / "model"
    encoding, model = load_encoding(models / "encoding.json"), load_model(models / "gru.keras", made_by="the test")
    return scenario, model, partial(training_batches, folder, dataset, encoding, scenario.model, scenario.seed)


def tried(trained, folder, **settings):
    scenario, model, batches = trained
    scenario = replace(scenario, quantization=replace(scenario.quantization, **settings))
    return attempt(scenario, model, None, NumericForm("int8"), batches, folder)


def test_fine_tuning_starts_where_calibration_ends(trained, tmp_path):
    alone = tried(trained, tmp_path, epochs=0)
    both = tried(trained, tmp_path, epochs=3, learning_rate=1e-3)
    for ours, theirs in zip(alone.calibrated.model.get_weights(), both.calibrated.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert alone.finetuned is None and not alone.history and alone.kept is alone.calibrated
    assert len(both.history) == 3 and both.finetuned is not None
    still = tried(trained, tmp_path, epochs=1, learning_rate=1e-12)
    for ours, theirs in zip(still.calibrated.model.get_weights(), still.finetuned.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_distance_of_a_forecast(trained, tmp_path):
    """The mean absolute difference behind the warm-up, by batch; the loss is that from the truth."""
    scenario, model, batches = trained
    one = tried(trained, tmp_path, epochs=0).calibrated
    distances, losses = [], []
    for features, (truth, _) in batches()[1]:
        ours, floats, truth = (
            np.asarray(values)[:, scenario.windows.warmup :]
            for values in (one.model.predict_on_batch(features)[0], model.predict_on_batch(features)[0], truth)
        )
        distances.append(np.abs(ours - floats).mean())
        losses.append(np.nanmean(np.abs(ours - truth)))
    assert one.distance == pytest.approx(np.mean(distances), rel=1e-5)
    assert one.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert 0 < one.distance < one.loss


def test_the_teacher_is_the_float_model(trained):
    _, model, batches = trained
    features, taught = next(iter(taught_by(model, batches()[1])))
    for ours, theirs in zip(taught, model.predict_on_batch(features), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
