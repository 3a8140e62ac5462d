"""Bounded weights: what the optimizer may not pass, and that training keeps to it."""

import keras
import numpy as np
import pytest
from tiny_scenarios import forecast_scenario, run_stages
from tiny_translation import translation_scenario

import edgernn
from keras_models.bounded_weights import BoundedWeights, bound_matrices
from keras_models.model_folder import load_model


def test_what_is_beyond_is_cut_to_the_bound():
    weights = np.array([[1.0, -1.0, 1.0, -5.0]], np.float32)  # root mean square sqrt(7)
    np.testing.assert_allclose(BoundedWeights(1.5)(weights), [[1, -1, 1, -1.5 * 7**0.5]], rtol=1e-6)
    np.testing.assert_array_equal(BoundedWeights(2.0)(weights), weights)
    assert BoundedWeights.from_config(BoundedWeights(2.5).get_config()).bound == 2.5


def test_matrices_only():
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4), keras.layers.Dense(2)])
    bound_matrices(model, 2.0)
    bounded = {weight.path for weight in model.trainable_variables if weight.constraint is not None}
    assert {path.rsplit("/", 1)[1] for path in bounded} == {"kernel", "recurrent_kernel"} and len(bounded) == 3


MODELS = {"translation": (translation_scenario, "embedding = 12"), "forecast": (forecast_scenario, "units = 4")}


@pytest.mark.parametrize("kind", MODELS)
def test_training_keeps_to_the_bound(kind, tmp_path):
    """The largest element of any trained matrix, over the root mean square of that matrix."""
    (make, line), largest = MODELS[kind], {}
    for bound in (None, 1.8):
        folder = tmp_path / str(bound)
        folder.mkdir()
        scenario = make(folder)
        if bound:
            scenario.write_text(scenario.read_text().replace(line, f"{line}\nweight_bound = {bound}"))
        built = run_stages(scenario, folder / "build", ("preprocess", "train"))
        model = load_model(built.build / built.scenario.stem / "model" / "gru.keras", made_by="edgernn train")
        matrices = [np.asarray(w) for w in model.trainable_variables if w.name != "bias"]
        largest[bound] = max(np.abs(one).max() / np.sqrt(np.mean(one**2)) for one in matrices)
    assert largest[1.8] < 1.8 * 1.05 < largest[None]  # the root mean square shrinks a little with what is cut


@pytest.mark.parametrize("bound", ["1.0", "-2", '"a"'])
def test_a_bound_that_leaves_nothing_is_refused(tmp_path, capsys, bound):
    scenario = translation_scenario(tmp_path, ("embedding = 12", f"embedding = 12\nweight_bound = {bound}"))
    assert edgernn.main(["preprocess", str(scenario), "--build", str(tmp_path / "build")]) == 2
    error = capsys.readouterr().err
    assert "model.weight_bound: expected a number above 1" in error and error.count("\n") == 1
