"""The Transformer baseline: three ways to compute it, causal, of as many parameters as asked for."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from plain_encoding import PLAIN

from keras_models.forecaster import build_forecaster
from keras_models.transformer import NEVER, build_transformer, parameters
from pipeline.scenario import ModelSettings

CONTEXT, STEPS = 6, 15


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build_transformer(PLAIN, 3000, CONTEXT)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, STEPS, PLAIN.width)).astype(np.float32)


def test_the_widest_with_at_most_the_parameters(model):
    assert model.count_params() == parameters(model.sizes) <= 3000
    assert build_transformer(PLAIN, model.count_params() - 1, CONTEXT).sizes.width == model.sizes.width - 2
    with pytest.raises(ValueError, match="at most 10 parameters"):
        build_transformer(PLAIN, 10, CONTEXT)


def test_it_says_all_that_a_recurrent_forecaster_says(x):
    settings = ModelSettings(cell="gru", units=4, epochs=1, batch=2, learning_rate=0.1, patience=1)
    encoding = replace(PLAIN, quantiles=(0.1, 0.9))
    ours, theirs = build_transformer(encoding, 3000, CONTEXT)(x), build_forecaster(settings, encoding)(x)
    assert [output.shape for output in ours] == [output.shape for output in theirs]


def test_steps_beside_a_cache_say_what_the_sequence_says(model, x):
    """From the first step on, before the cache is full, and long after."""
    sequence = [output.numpy() for output in model(x)]
    past = [np.zeros((2, CONTEXT - 1, model.sizes.width), np.float32) for _ in range(2 * model.sizes.blocks)]
    seen = np.full((2, CONTEXT - 1), NEVER, np.float32)
    for t in range(STEPS):
        outputs, rows = model.step(x[:, t], past, seen)
        for ours, theirs in zip(outputs, sequence, strict=True):
            np.testing.assert_allclose(ours, theirs[:, t], atol=1e-5)
        past = [np.concatenate([old[:, 1:], row], axis=1) for old, row in zip(past, rows, strict=True)]
        seen = np.concatenate([seen[:, 1:], np.zeros((2, 1), np.float32)], axis=1)


def test_a_window_encoded_anew_says_what_the_sequence_says_at_its_end(model, x):
    window = x[:, :CONTEXT]
    for ours, theirs in zip(model.last_of_window(window), model(window), strict=True):
        np.testing.assert_allclose(ours, theirs[:, -1], atol=1e-5)


def test_it_sees_neither_the_future_nor_beyond_its_layers_contexts(model, x):
    changed, reach = x.copy(), model.sizes.blocks * (CONTEXT - 1)
    changed[:, 3] += 1.0
    moved = np.abs(model(changed)[0].numpy() - model(x)[0].numpy()).max(axis=(0, 2)) > 0
    assert not moved[:3].any() and moved[3 : 3 + CONTEXT].all() and not moved[3 + reach + 1 :].any()


def test_the_cache_of_a_sequence_is_that_of_its_steps(model, x):
    _, rows = model.step(x[:, 0], [np.zeros((2, 1, model.sizes.width), np.float32)] * 4, np.full((2, 1), NEVER, "f"))
    for whole, row in zip(model.cache_of(x), rows, strict=True):
        np.testing.assert_allclose(whole[:, :1], row, atol=1e-5)
