"""Rounding of weights by what it does to products: never worse than the nearest integers, and what is assigned is what
the integers stand for. Expected values by hand, in numpy."""

from itertools import product

import keras
import numpy as np
import pytest
from small_networks import network, sequential, waves

from keras_models import qat_model
from keras_models.affine_quantization import quantize_weights
from keras_models.qat_model import calibrate, quantize_aware
from keras_models.step_layers import StepLayer
from keras_models.weight_rounding import rounded_matrix
from tflite import convert

RNG = np.random.default_rng(11)
XS = waves(200, seed=3, batch=4)
FORMS = {"int8": ("int8", None), "int8, int16 state": ("int8", "int16"), "int16": ("int16", None)}


def correlated(inputs: int, rows: int = 400) -> np.ndarray:
    """Inputs that share three causes, as the units of a layer do."""
    return RNG.normal(size=(rows, 3)) @ RNG.normal(size=(3, inputs)) + 0.1 * RNG.normal(size=(rows, inputs))


def squared_error(xs: np.ndarray, integers: np.ndarray, scale: float, kernel: np.ndarray) -> float:
    return float(np.sum((xs @ (integers * scale - kernel)) ** 2))


def test_products_of_inputs_that_go_together_lose_most_of_the_error():
    xs, kernel = correlated(32), RNG.normal(size=(32, 6))
    scale = np.abs(kernel).max() / 127
    nearest = np.round(kernel / scale)
    found = rounded_matrix(kernel, scale, xs.T @ xs)
    assert squared_error(xs, found, scale, kernel) < 0.2 * squared_error(xs, nearest, scale, kernel)
    assert np.array_equal(found, np.round(found)) and np.abs(found).max() == 127


def test_no_single_step_is_better():
    xs, kernel = correlated(8), RNG.normal(size=(8, 3))
    scale = np.abs(kernel).max() / 127
    found = rounded_matrix(kernel, scale, xs.T @ xs)
    least, pinned = squared_error(xs, found, scale, kernel), np.unravel_index(np.abs(kernel).argmax(), kernel.shape)
    for i, j, step in product(range(8), range(3), (-1, 1)):
        if (i, j) == pinned:
            continue
        other = found.copy()
        other[i, j] += step
        assert squared_error(xs, other, scale, kernel) >= least - 1e-9


def test_inputs_that_have_nothing_in_common_leave_the_nearest():
    kernel = RNG.normal(size=(5, 4))
    scale = np.abs(kernel).max() / 127
    found = rounded_matrix(kernel, scale, np.diag([1.0, 4.0, 9.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, np.round(kernel / scale))


def test_beyond_the_scale_the_others_make_up_for_what_is_cut_off():
    """Two inputs that are always equal: the sum of their weights is all that counts."""
    kernel = np.array([[2.0], [0.5]])
    found = rounded_matrix(kernel, 1.0 / 127, np.ones((2, 2)) + 1e-6 * np.eye(2))
    assert found[0, 0] == 127 and found.sum() == pytest.approx(2.0 * 127, abs=127 * 0.51)
    assert np.abs(found).max() <= 127


@pytest.mark.parametrize("cell", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize("form", FORMS)
def test_weights_are_what_their_integers_stand_for(cell, form):
    """Whatever matrices are cut from the weights and turned, of every layer and form."""
    activations, state_dtype = FORMS[form]
    model = network(cell, units=8, head=3)
    twin, untouched = (quantize_aware(model, activations, state_dtype=state_dtype) for _ in range(2))
    calibrate(twin, [XS])
    changed = 0
    for ours, theirs in zip(step_layers(twin), step_layers(untouched), strict=True):
        for name, (kernel, bias) in ours.matrices().items():
            before = np.asarray(theirs.matrices()[name][0])
            integers, affine = quantize_weights(_rows(ours, name, kernel, bias))
            stood_for = integers[: len(before)] * np.float32(affine.scale)
            np.testing.assert_allclose(np.asarray(kernel), stood_for, atol=1e-3 * affine.scale)
            np.testing.assert_array_equal(np.asarray(bias), np.asarray(theirs.matrices()[name][1]))
            changed += np.count_nonzero(np.abs(np.asarray(kernel) - before) > 0.5001 * affine.scale)
    assert changed  # some of them not to the nearest integer


def step_layers(model) -> list[StepLayer]:
    return [layer for layer in model.layers if isinstance(layer, StepLayer) and layer.matrices()]


def _rows(layer, name, kernel, bias) -> np.ndarray:
    """The matrix that is quantized: beside a constant input the bias is its last row."""
    _, one = layer.weight_quantizers[name]
    kernel = np.asarray(kernel)
    if one is None or bias is None:
        return kernel
    return np.concatenate([kernel, np.asarray(bias)[None] / np.asarray(layer.one(one))])


@pytest.mark.parametrize("form", ["int8", "int16"])
def test_the_model_is_nearer_to_float(form, monkeypatch):
    """Than with the nearest integers, on readings it was not calibrated by."""
    model, unseen = network("GRU", units=16, head=4), waves(400, seed=9, batch=4)
    wanted = np.asarray(model(unseen))
    errors = []
    for _ in range(2):
        twin = quantize_aware(model, form)
        calibrate(twin, [XS])
        errors.append(np.sqrt(np.mean((np.asarray(twin(unseen, training=False)) - wanted) ** 2)))
        monkeypatch.setattr(qat_model, "round_weights", lambda layer, moments: None)
    assert errors[0] < errors[1]


def test_inputs_that_are_always_zero():
    """A relu that is closed for good leaves its range to the layer before it."""
    model = sequential(keras.layers.Dense(3, name="first"), keras.layers.ReLU(), keras.layers.Dense(2))
    model.get_layer("first").set_weights([0.1 * np.ones((3, 3)), np.full(3, -9.0)])
    twin = quantize_aware(model)
    calibrate(twin, [XS])
    assert np.isfinite(np.asarray(twin(XS, training=False))).all()


def test_a_calibration_that_fails_leaves_no_rounding_behind():
    twin = quantize_aware(network())
    with pytest.raises(ValueError, match="NaN"):
        calibrate(twin, [np.full_like(XS, np.nan)])
    assert not any(layer.moments for layer in step_layers(twin))
    calibrate(twin, [XS])
    assert not any(layer.moments for layer in step_layers(twin))


def test_the_model_of_the_user_is_left_alone():
    model = network("LSTM")
    before = model.get_weights()
    convert(model, activations="int8", representative=[XS[0]])
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
