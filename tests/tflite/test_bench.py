"""The rival is the very same function as the Keras layer, and the bench says what it measured."""

import json

import numpy as np
import pytest

from keras_models.feature_encoding import FeatureEncoding
from keras_models.forecaster import build_forecaster
from pipeline.scenario import ModelSettings
from tflite import bench
from tflite.onnx_rival import OPERATORS, BoundOnnxStep, OnnxStep, StepWeights, onnx_step, step_weights
from tflite.runtimes import load_model

FEATURES, UNITS, OUTPUTS, STEPS = 5, 12, 4, 40


NETWORKS = {
    "gru": ("GRU", {}),
    "gru_reset_before": ("GRU", {"reset_after": False}),
    "lstm": ("LSTM", {"unit_forget_bias": False}),
    "simple_rnn": ("SimpleRNN", {}),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """A recurrent Keras layer with two heads; biases that are not zero and weights that saturate no gate."""
    keras = pytest.importorskip("keras", reason="what ONNX Runtime is compared with is a Keras layer")
    keras.utils.set_random_seed(3)
    kind, options = NETWORKS[request.param]
    features = keras.Input((None, FEATURES))
    recurrent = getattr(keras.layers, kind)(UNITS, return_sequences=True, bias_initializer="uniform", **options)
    state = recurrent(features)
    heads = [keras.layers.Dense(n, bias_initializer="uniform")(state) for n in (OUTPUTS - 1, 1)]
    model = keras.Model(features, heads)
    source = np.random.default_rng(4)
    recurrent.set_weights([source.normal(0, 0.4, weights.shape) for weights in recurrent.get_weights()])
    return model


def sequence():
    return np.random.default_rng(0).normal(0, 2, (STEPS, FEATURES)).astype(np.float32)


def stepped(rival, xs):
    return np.stack([rival.step(x).copy() for x in xs])


@pytest.mark.parametrize("rival_class", [OnnxStep, BoundOnnxStep])
def test_onnx_equals_keras(network, rival_class):
    xs = sequence()
    expected = np.concatenate([np.asarray(head)[0] for head in network(xs[None])], axis=-1)
    rival = rival_class(onnx_step(step_weights(network.layers)))
    np.testing.assert_allclose(stepped(rival, xs), expected, atol=1e-5, rtol=0)
    rival.reset()
    np.testing.assert_allclose(stepped(rival, xs), expected, atol=1e-5, rtol=0)


def test_onnx_equals_a_forecaster_with_a_hidden_layer():
    """All outputs but `following`, which the rival is spared."""
    encoding = FeatureEncoding(
        columns=("speed", "load"), units=("m/s", "N"), mean=(0.0, 0.0), std=(1.0, 1.0), readings=None, cycles=(),
        advance=(), targets=(0,), leads=(1, 3), non_negative=False, quantiles=(0.1, 0.9))  # fmt: skip
    settings = ModelSettings(cell="gru", units=7, epochs=1, batch=1, learning_rate=1.0, patience=1, hidden=6)
    network = build_forecaster(settings, encoding)
    xs = np.random.default_rng(0).normal(size=(STEPS, encoding.width)).astype(np.float32)
    forecast, _, *quantiles = (np.asarray(head)[0] for head in network(xs[None]))
    rival = OnnxStep(onnx_step(step_weights(network.layers)))
    np.testing.assert_allclose(stepped(rival, xs), np.concatenate([forecast, *quantiles], axis=1), atol=1e-5, rtol=0)


def random_weights(cell="GRU", features=FEATURES):
    def normal(*shape):
        return np.random.default_rng(1).normal(0, 0.3, shape).astype(np.float32)

    width = UNITS * len(OPERATORS[cell][2])
    bias = normal(2, width) if cell == "GRU" else normal(width)
    return StepWeights(
        cell, normal(features, width), normal(UNITS, width), bias, normal(UNITS, OUTPUTS), normal(OUTPUTS)
    )


def test_shell_of_real_units():
    weights, xs = random_weights(), sequence()
    mean, std = np.arange(FEATURES, dtype=np.float32), np.full(FEATURES, 4, np.float32)
    scale, offset = np.full(OUTPUTS, 3, np.float32), np.full(OUTPUTS, -7, np.float32)
    bare = stepped(OnnxStep(onnx_step(weights)), (xs - mean) / std)
    shelled = stepped(OnnxStep(onnx_step(weights, mean, std, scale, offset)), xs)
    np.testing.assert_allclose(shelled, bare * 3 - 7, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kinds", [["Dense"], ["GRU"], ["GRU", "LSTM", "Dense"], ["LSTM", "LSTM", "Dense"]])
def test_other_networks_are_refused(kinds):
    layers = [type(kind, (), {})() for kind in kinds]
    with pytest.raises(ValueError, match="expected one of SimpleRNN, GRU, LSTM and at least one Dense"):
        step_weights(layers)


@pytest.mark.parametrize(("cell", "kind"), [("GRU", "GRU"), ("LSTM", "LSTM"), ("SimpleRNN", "RNN")])
def test_entries(gru_model, tmp_path, monkeypatch, capsys, cell, kind):
    monkeypatch.setattr(bench, "ROUNDS", 3)
    readings = np.random.default_rng(2).normal(size=(50, 8)).astype(np.float32)
    entries = bench.bench_step(
        "int8 step", load_model(gru_model), readings, random_weights(cell), sequence()[:1].repeat(50, 0)
    )
    ways = ["session.run", "io binding"]
    assert [entry["rival_name"] for entry in entries] == [f"ONNX Runtime float {kind}, {way}" for way in ways]
    assert [set(entry) for entry in entries] == [{"name", "unit", "ours", "rival", "rival_name", "ratio"}] * 2
    for entry in entries:
        assert 0 < entry["ratio"]["min"] <= entry["ratio"]["median"] <= entry["ratio"]["max"]
        assert entry["ours"] > 0 and entry["rival"] > 0
    bench.write_bench(entries, tmp_path / "bench.json")
    assert json.loads((tmp_path / "bench.json").read_text()) == entries
    bench.print_bench(entries)
    assert "int8 step" in capsys.readouterr().out


def test_readings_and_features_pair_up(gru_model):
    with pytest.raises(ValueError, match="expected as many features as readings, got 7 and 50"):
        bench.bench_step("x", load_model(gru_model), np.zeros((50, 8)), random_weights(), sequence()[:7])
