"""Lags, quantiles and a hidden layer in the graph, against numpy and Keras' own layers."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_models import quantize_aware
from keras_models.feature_encoding import FeatureEncoding, fill_missing
from keras_models.forecaster import build_forecaster
from keras_models.qat_model import calibrate
from pipeline.scenario import ModelSettings
from tflite import convert
from tflite.flatbuffer import read_flatbuffer
from tflite.parity import parity
from tflite.quanta import output_quanta
from tflite.runtimes import load_model

WAYS = {"litert": {}, "litert-builtin": {"kernels": "builtin"}, "tflm": {"runtime": "tflm"}}
STEPS, QUANTILES = 60, (0.05, 0.25, 0.9)
NAMES = ("quantile_5", "quantile_25", "quantile_90")
# Two leads of two targets in another order than the columns; the lag of 3 reaches up to the newest reading.
ENCODING = FeatureEncoding(
    columns=("speed", "load", "hour"), units=("m/s", "N", "h"), mean=(10.0, -1.0), std=(2.0, 0.5), readings=None,
    cycles=((0, 24.0),), advance=(1.0,), targets=(1, 0), leads=(2, 3), non_negative=False, lags=(3, 7),
    quantiles=QUANTILES, shifts=((-0.5, 0.0, 0.2, -0.1), (0.1,) * 4, (0.3, 0.0, -0.4, 2.0)))  # fmt: skip
SETTINGS = ModelSettings(cell="gru", units=5, epochs=1, batch=1, learning_rate=1.0, patience=1, hidden=6)


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(4)
    model, rng = build_forecaster(SETTINGS, ENCODING), np.random.default_rng(4)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.3 if weight.name == "bias" else 1 / np.sqrt(weight.shape[0]), weight.shape))
    return model


def stream(seed=1):
    rng, hours = np.random.default_rng(seed), np.arange(STEPS) + 5.0
    waves = np.sin(hours[:, None] / [4, 7]) * [3, 0.6] + rng.normal(0, 0.3, (STEPS, 2))
    return np.concatenate([waves + [10, -1], hours[:, None] % 24], axis=1).astype(np.float32)


def expected(net, xs, encoding=ENCODING):
    """Forecast and quantiles from the first step on whose lags are all real readings, by hand."""
    readings = np.clip((xs[:, :2] - encoding.mean) / encoding.std, -5, 5)
    angle = 2 * np.pi * xs[:, 2:] / 24
    past, oldest = readings[:, [1, 0]], max(encoding.lags) - encoding.leads[0]
    rows = []
    for t in range(len(xs)):
        seen = [past[t + lead - lag] if t + lead >= lag else np.zeros(2) for lag in (3, 7) for lead in (2, 3)]
        rows.append(np.concatenate([readings[t], np.sin(angle[t]), np.cos(angle[t]), *seen]))
    forecast, _, *quantiles = (out[0] for out in net(np.float32(rows)[None]))
    std, mean = np.tile([0.5, 2.0], 2), np.tile([-1.0, 10.0], 2)
    real = [np.asarray(forecast) * std + mean]
    for head, shift in zip(quantiles, encoding.shifts, strict=True):
        real.append((np.asarray(head) + shift) * std + mean)
    median, lowest, low, high = real
    low = np.minimum(low, median)
    return np.stack([median, np.minimum(lowest, low), low, np.maximum(high, median)]), oldest


def run(artifact, xs, options):
    runtime = load_model(artifact.tflite, **options)
    outputs = [runtime.step(x) for x in xs]
    assert list(outputs[0]) == ["forecast", *NAMES] == [one["name"] for one in artifact.manifest["outputs"]]
    return np.stack([[output[name] for output in outputs] for name in ("forecast", *NAMES)])


@pytest.mark.parametrize("way", WAYS)
def test_the_graph_says_what_numpy_says(net, way):
    """Also in the steps whose lags reach before the reset: they are the mean there, zero standard deviations."""
    xs = stream()
    outputs = run(convert(net, activations="float32", encoding=ENCODING), xs, WAYS[way])
    truth, _ = expected(net, xs)
    np.testing.assert_allclose(outputs, truth, rtol=0, atol=1e-4 * np.abs(truth).max())
    assert (np.diff(outputs[[1, 2, 0, 3]], axis=0) >= 0).all(), "quantiles cross"
    free = (truth[1] < truth[2]).mean()
    assert 0.05 < free < 0.95, "both an order that was there and one that had to be made"


def test_training_sees_the_same_lags(net):
    """The window of training from its first step on is the stream from the step at which the lags are filled."""
    xs = stream()
    features = ENCODING.with_lags(fill_missing(ENCODING.encode(xs)))
    assert features.shape == (STEPS - ENCODING.memory, ENCODING.width)
    readings = (xs[:, [1, 0]] - [-1, 10]) / [0.5, 2.0]
    np.testing.assert_allclose(features[:, -8:-4], np.hstack([readings[4:-1], readings[5:]]), atol=1e-5)
    np.testing.assert_allclose(features[:, -4:], np.hstack([readings[:-5], readings[1:-4]]), atol=1e-5)


def test_forecasts_and_quantiles_below_zero_are_none_where_there_cannot_be(net):
    encoding, xs = dataclasses.replace(ENCODING, non_negative=True), stream()
    outputs = run(convert(net, activations="float32", encoding=encoding), xs, {})
    truth = np.maximum(expected(net, xs)[0], 0)
    np.testing.assert_allclose(outputs, truth, rtol=0, atol=1e-4 * truth.max())
    assert (outputs == 0).any() and (outputs > 0).any()


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_reading_enters_the_lags_as_it_was_forecast(net, way):
    xs, model = stream(), load_model(convert(net, activations="float32", encoding=ENCODING).tflite, **WAYS[way])
    holes = xs.copy()
    holes[20, 1] = np.nan
    for x in holes[:20]:
        model.step(x)
    said = model.states["last_forecast"][1]
    model.step(holes[20])
    np.testing.assert_allclose(model.states["past"][-2], np.clip(said, -5, 5), rtol=1e-6)
    assert all(np.isfinite(list(model.step(x).values())).all() for x in holes[21:])


def test_int8_inside(net):
    """As shipped: quantiles still do not cross, every runtime within a quantum, close to float, few bytes of state."""
    xs = stream()
    qat = quantize_aware(net, "int8")
    calibrate(qat, [ENCODING.with_lags(fill_missing(ENCODING.encode(stream(seed))))[None] for seed in (1, 2)])
    artifact = convert(qat, encoding=ENCODING)
    outputs, truth = run(artifact, xs, {}), expected(net, xs)[0]
    assert (np.diff(outputs[[1, 2, 0, 3]], axis=0) >= 0).all()
    assert np.sqrt(np.mean((outputs - truth) ** 2)) < 0.1 * truth.std()
    runtimes = load_model(artifact.tflite, kernels="reference"), load_model(artifact.tflite, "tflm")
    figures = parity(*runtimes, xs, output_quanta(read_flatbuffer(artifact.tflite)))
    assert figures["max_lsb"] <= 1, figures["by_tensor"]
    states = {state["name"]: state["shape"] for state in artifact.manifest["states"]}
    assert states["past"] == [2 * (7 - 2)]
    assert [one.get("quantile") for one in artifact.manifest["outputs"]] == [None, *QUANTILES]


@pytest.mark.parametrize("way", WAYS)
def test_a_level_is_taken_out_and_put_back(way):
    """Lifting a stream by a constant lifts every output by it, also where the network has never been; numpy agrees."""
    encoding = dataclasses.replace(ENCODING, targets=(1,), level=True, quantiles=(), shifts=())
    model = build_forecaster(SETTINGS, encoding)
    xs, lifted = stream(), stream()
    lifted[:, 1] += 0.75
    runtime = load_model(convert(model, activations="float32", encoding=encoding).tflite, **WAYS[way])
    outputs = np.stack([runtime.step(x) for x in xs])[encoding.memory :]
    readings = (xs[:, :2] - encoding.mean) / encoding.std
    levels = np.array([readings[t - 5 : t + 1, 1].mean() for t in range(5, STEPS)])
    features = encoding.with_lags(encoding.encode(xs))
    np.testing.assert_allclose(features[:, 1], readings[5:, 1] - levels, atol=1e-5)
    np.testing.assert_allclose(features[:, -1], readings[1:-4, 1] - levels, atol=1e-5)
    np.testing.assert_allclose(features[:, 0], readings[5:, 0], atol=1e-5)
    runtime.reset()
    moved = np.stack([runtime.step(x) for x in lifted])[encoding.memory :]
    first = 25  # the state has forgotten that before the reset there was no level
    np.testing.assert_allclose(moved[first:], outputs[first:] + 0.75, atol=2e-3)
    truth = np.asarray(model(features[None])[0][0]) + levels[:, None]
    np.testing.assert_allclose(outputs[first:], truth[first:] * 0.5 - 1, atol=2e-3)


def test_a_missing_reading_is_replaced_on_the_level(net):
    """By the forecast the network made of it, put back on the level."""
    encoding = dataclasses.replace(ENCODING, targets=(1,), level=True, quantiles=(), shifts=())
    model, xs = build_forecaster(SETTINGS, encoding), stream()
    runtime = load_model(convert(model, activations="float32", encoding=encoding).tflite)
    for x in xs:
        runtime.step(x)
    readings = (xs[-6:, 1] + 1) / 0.5
    following = np.asarray(model(encoding.with_lags(encoding.encode(xs))[None])[1][0, -1])
    expected = following + [0, readings.mean()]
    np.testing.assert_allclose(runtime.states["last_forecast"][:2], expected, atol=2e-3)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_usual_is_a_ring_that_moves_with_every_reading(way):
    """One share of the newest at each place; numpy begins with the first readings, a device with zeros."""
    encoding = dataclasses.replace(ENCODING, targets=(1,), level=True, usual=0.4, quantiles=(), shifts=())
    model, xs = build_forecaster(SETTINGS, encoding), stream()
    runtime = load_model(convert(model, activations="float32", encoding=encoding).tflite, **WAYS[way])
    outputs = np.stack([runtime.step(x) for x in xs])
    period, memory, ring = 7, encoding.memory, np.zeros(STEPS + 7)
    readings = np.concatenate([np.zeros(memory), (xs[:, 1] + 1) / 0.5])
    levels = np.array([readings[t : t + memory + 1].mean() for t in range(STEPS)])
    for t in range(STEPS):
        ring[t + period] = 0.6 * ring[t] + 0.4 * (readings[t + memory] - levels[t])
    usual = np.stack([ring[t + 2 : t + 4] for t in range(STEPS)])
    features = encoding.with_lags(encoding.encode(xs))
    assert encoding.history == memory + 5 * period and features.shape == (STEPS - encoding.history, encoding.width)
    left = np.abs(features[-6:, -2:] - usual[-6:]).max()
    assert left < 2 * 0.6**7 * np.abs(usual).max(), "what numpy began with is nearly forgotten"
    features[:, -2:] = usual[encoding.history :]
    truth = np.asarray(model(features[None])[0][0]) + levels[encoding.history :, None]
    first = 10  # steps more until the network's state has forgotten how it began
    np.testing.assert_allclose(outputs[encoding.history + first :], truth[first:] * 0.5 - 1, atol=5e-3)
