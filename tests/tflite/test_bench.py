"""The rival is the very same function as the Keras layer, and the bench says what it measured."""

import numpy as np
import pytest

from keras_models.feature_encoding import FeatureEncoding
from keras_models.forecaster import build_forecaster
from pipeline.scenario import ModelSettings
from tflite import bench_runtimes, window_rivals
from tflite.bench_step import speed_checks
from tflite.budgets import check_budgets
from tflite.conversion import convert
from tflite.flatbuffer import read_flatbuffer
from tflite.onnx_rival import OPERATORS, BoundOnnxStep, OnnxStep, OnnxWindow, StepWeights, onnx_step, step_weights
from tflite.runtimes import load_model
from tflite.unrolled_window import unrolled_window

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
    expected, weights = np.concatenate([forecast, *quantiles], axis=1), step_weights(network.layers)
    np.testing.assert_allclose(stepped(OnnxStep(onnx_step(weights)), xs), expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(OnnxWindow(weights, STEPS).run(xs), expected[-1], atol=1e-5, rtol=0)


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


def test_a_window_of_onnx_ends_as_its_steps_do(network):
    xs, weights = sequence(), step_weights(network.layers)
    expected = stepped(OnnxStep(onnx_step(weights)), xs)[-1]
    np.testing.assert_allclose(OnnxWindow(weights, STEPS).run(xs), expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def float_gru():
    keras = pytest.importorskip("keras", reason="what is raced is made from a Keras model")
    keras.utils.set_random_seed(3)
    features = keras.Input((None, 8))
    state = keras.layers.GRU(6, return_sequences=True)(features)
    return keras.Model(features, [keras.layers.Dense(n)(state) for n in (3, 2)])


def test_a_window_in_one_graph_ends_as_its_steps_do(float_gru):
    """To the bit: the same operators on the same numbers. The state begins at 0 for each window."""
    step_model = convert(float_gru, activations="float32", state="external").tflite
    xs = np.random.default_rng(5).normal(size=(12, 8)).astype(np.float32)
    whole, steps = load_model(unrolled_window(step_model, 12)), load_model(step_model)
    for _ in range(2):
        steps.reset()
        expected = [steps.step(x) for x in xs][-1]
        given = whole.step(xs.reshape(-1))
        assert set(given) == set(expected)
        for name in given:
            np.testing.assert_array_equal(given[name], expected[name])


def test_the_first_steps_of_a_window_have_no_head(float_gru):
    step_model = convert(float_gru, activations="float32", state="external").tflite
    kinds = [[op.kind for op in read_flatbuffer(model).ops] for model in (step_model, unrolled_window(step_model, 5))]
    heads = 2
    assert kinds[1].count("FULLY_CONNECTED") == 5 * (kinds[0].count("FULLY_CONNECTED") - heads) + heads


@pytest.fixture
def race_of_few(monkeypatch):
    for name, value in (("ROUNDS", 2), ("CALLS", 3), ("WINDOW_CALLS", 1), ("KERAS_CALLS", 1)):
        monkeypatch.setattr(bench_runtimes, name, value)
    monkeypatch.setattr(bench_runtimes, "WINDOW", 6)
    monkeypatch.setattr(window_rivals, "WINDOW", 6)


def entries_of(gru_model, float_gru):
    readings = np.random.default_rng(2).normal(size=(9, 8)).astype(np.float32)
    return bench_runtimes.bench_runtimes("pump", "int8", gru_model, readings, float_gru, readings)


def test_entries(gru_model, float_gru, race_of_few, capsys):
    entries = entries_of(gru_model, float_gru)
    kinds = ("session.run", "io binding", "window of 6")
    onnx = [f"ONNX Runtime float GRU, {kind}" for kind in kinds]
    keras = [f"Keras predict_on_batch, {kind}" for kind in ("one step", "window of 6")]
    rivals = [*onnx[:2], keras[0], onnx[2], "LiteRT float GRU, window of 6", keras[1]]
    raced = {}
    for entry in entries:
        raced.setdefault(entry["name"], []).append(entry["rival_name"])
        assert 0 < entry["ratio"]["min"] <= entry["ratio"]["median"] <= entry["ratio"]["max"]
        for side in ("ours", "rival"):
            assert 0 < entry["latency_us"][side]["p50"] <= entry["latency_us"][side]["p99"]
    assert raced == {
        "pump: LiteRT int8 step": rivals, "pump: int8 as generated C": rivals,
        "pump: int8 on LiteRT's built-in kernels": rivals[:1], "pump: int8 on TFLM": rivals[:1],
    }  # fmt: skip
    bench_runtimes.print_race("pump", entries)
    assert "pump: int8 as generated C" in capsys.readouterr().out
    gates = check_budgets({"latency_ratio": 1e9, "window_ratio": 1e9}, {"models": [{"scenario": "pump"}]}, entries)
    own = [entry["ratio"]["median"] for entry in entries if entry["name"] == "pump: LiteRT int8 step"]
    assert [gate.measured for gate in gates] == [own[0], own[4]]


def test_without_a_compiler_there_is_no_generated_c(gru_model, float_gru, race_of_few, monkeypatch, capsys):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert not [entry for entry in entries_of(gru_model, float_gru) if "generated C" in entry["name"]]
    assert "warning: pump: int8 as generated C is left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("onnx", "window", "passed"),
    [(0.4, 0.025, [True, True]), (0.41, 0.01, [False, True]), (0.1, 0.026, [True, False]), (np.nan, 0, [False, True])],
)
def test_wanted_is_2_5_times_onnx_and_40_times_the_window(onnx, window, passed):
    """By LiteRT's step alone: of generated C, which is faster, the ratio does not count."""
    ratios = {"ONNX Runtime float GRU, session.run": onnx, "LiteRT float GRU, window of 96": window, "another": 9.0}
    entries = [{"name": f"GRU: {ours}", "rival_name": rival, "ratio": {"median": ratio * scale}}
               for ours, scale in (("int8 as generated C", 0.001), ("LiteRT int8 step", 1.0))
               for rival, ratio in ratios.items()]  # fmt: skip
    assert [check.passed for check in speed_checks(entries)] == passed
