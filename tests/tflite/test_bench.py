"""The rival is the very same function as the Keras GRU, and the bench says what it measured."""

import json

import numpy as np
import pytest

from tflite import bench
from tflite.onnx_rival import BoundOnnxStep, GRUStepWeights, OnnxStep, gru_step_weights, onnx_gru_step
from tflite.runtimes import load_model

FEATURES, UNITS, OUTPUTS, STEPS = 5, 12, 4, 40


@pytest.fixture(scope="module", params=[True, False], ids=["reset_after", "reset_before"])
def network(request):
    """A Keras GRU with two heads and biases that are not zero."""
    keras = pytest.importorskip("keras", reason="the GRU that ONNX Runtime is compared with is a Keras one")
    keras.utils.set_random_seed(3)
    features = keras.Input((None, FEATURES))
    gru = keras.layers.GRU(
        UNITS, return_sequences=True, reset_after=request.param, bias_initializer="uniform"
    )
    state = gru(features)
    heads = [keras.layers.Dense(n, bias_initializer="uniform")(state) for n in (OUTPUTS - 1, 1)]
    return keras.Model(features, heads)


def sequence():
    return np.random.default_rng(0).normal(0, 2, (STEPS, FEATURES)).astype(np.float32)


def stepped(rival, xs):
    return np.stack([rival.step(x).copy() for x in xs])


@pytest.mark.parametrize("rival_class", [OnnxStep, BoundOnnxStep])
def test_onnx_equals_keras(network, rival_class):
    xs = sequence()
    expected = np.concatenate([np.asarray(head)[0] for head in network(xs[None])], axis=-1)
    rival = rival_class(onnx_gru_step(gru_step_weights(network.layers)))
    np.testing.assert_allclose(stepped(rival, xs), expected, atol=1e-5, rtol=0)
    rival.reset()
    np.testing.assert_allclose(stepped(rival, xs), expected, atol=1e-5, rtol=0)


def random_weights(features=FEATURES):
    def normal(*shape):
        return np.random.default_rng(1).normal(0, 0.3, shape).astype(np.float32)

    return GRUStepWeights(
        normal(features, 3 * UNITS),
        normal(UNITS, 3 * UNITS),
        normal(2, 3 * UNITS),
        normal(UNITS, OUTPUTS),
        normal(OUTPUTS),
    )


def test_shell_of_real_units():
    weights, xs = random_weights(), sequence()
    mean, std = np.arange(FEATURES, dtype=np.float32), np.full(FEATURES, 4, np.float32)
    scale, offset = np.full(OUTPUTS, 3, np.float32), np.full(OUTPUTS, -7, np.float32)
    bare = stepped(OnnxStep(onnx_gru_step(weights)), (xs - mean) / std)
    shelled = stepped(OnnxStep(onnx_gru_step(weights, mean, std, scale, offset)), xs)
    np.testing.assert_allclose(shelled, bare * 3 - 7, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kinds", [["Dense"], ["GRU"], ["GRU", "GRU", "Dense"]])
def test_other_networks_are_refused(kinds):
    layers = [type(kind, (), {})() for kind in kinds]
    with pytest.raises(ValueError, match="expected one GRU and at least one Dense"):
        gru_step_weights(layers)


def test_entries(gru_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "ROUNDS", 3)
    readings = np.random.default_rng(2).normal(size=(50, 8)).astype(np.float32)
    entries = bench.bench_step(
        "int8 step", load_model(gru_model), readings, random_weights(), sequence()[:1].repeat(50, 0)
    )
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
