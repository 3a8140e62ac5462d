"""The fused LSTM written straight into the schema: what LiteRT and TensorFlow Lite Micro make of it."""

import keras
import numpy as np
import pytest
from fused_lstm_models import CASES, FEATURES, UNITS, fused_model, run
from runtime_ways import WAYS

from keras_models.affine_quantization import Affine, quantize_weights
from keras_models.fused_lstm import bias_affine
from tflite.flatbuffer import operator_names, read_flatbuffer, write_flatbuffer
from tflite.lower_fused_lstm import as_vector, lower_fused_lstm
from tflite.memory import arena_bytes
from tflite.runtimes import load_model
from tflite.step_graph import StepGraphBuilder

CASE = CASES["mild"]
STEPS = 400


def keras_outputs(weights: tuple, sequence: np.ndarray) -> np.ndarray:
    """(steps, units) of the float layer over float32 (steps, features)."""
    layer = keras.layers.LSTM(UNITS, return_sequences=True)
    layer.build((None, None, sequence.shape[1]))
    layer.set_weights(weights)
    return np.asarray(layer(sequence[None])[0])


@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_lstm_of_keras(way):
    """Gates, transposes and biases at their places: float32 to rounding, int8 to a few quanta of h."""
    weights, readings = CASE.weights(), CASE.readings(80)[:40]
    sequence = CASE.x.dequantize(readings)
    expected = keras_outputs(weights, sequence)
    real = run(load_model(fused_model(CASE, weights, quantized=False), **WAYS[way]), sequence)
    np.testing.assert_allclose(real["y"], expected, atol=2e-6)
    integers = run(load_model(fused_model(CASE, weights), **WAYS[way]), readings)
    assert np.abs(CASE.h.dequantize(integers["y"]) - expected).max() < 4 * CASE.h.scale


@pytest.mark.parametrize("quantized", [True, False], ids=["int8", "float32"])
@pytest.mark.parametrize("way", WAYS)
def test_reset_is_the_beginning(way, quantized):
    """The zero point of h is not 0: a reset to integer 0 would show."""
    readings = CASE.readings(60) if quantized else CASE.x.dequantize(CASE.readings(60))
    runtime = load_model(fused_model(CASE, CASE.weights(), quantized), **WAYS[way])
    first = [runtime.step(reading, raw=True)["y"] for reading in readings]
    runtime.reset()
    again = [runtime.step(reading, raw=True)["y"] for reading in readings]
    np.testing.assert_array_equal(first, again)
    assert CASE.h.zero_point != 0 and not np.array_equal(first[0], runtime.step(readings[0], raw=True)["y"])


def test_states_are_inside_and_the_output_is_h():
    model = fused_model(CASE, CASE.weights())
    runtime = load_model(model, "tflm")
    results = run(runtime, CASE.readings(20))
    assert runtime.state_specs == ()
    assert operator_names(model) == ["PACK", "UNIDIRECTIONAL_SEQUENCE_LSTM", "RESHAPE"]
    np.testing.assert_array_equal(results["y"], results["h"])


def test_runtimes_agree():
    """All kernels of LiteRT on every bit; TensorFlow Lite Micro, free-running, to 1 of h and a little of c."""
    readings, model = CASE.readings(STEPS), fused_model(CASE, CASE.weights())
    results = {way: run(load_model(model, **WAYS[way]), readings) for way in WAYS}
    for way in ("litert-builtin", "litert-reference"):
        for name, values in results["litert-default"].items():
            np.testing.assert_array_equal(results[way][name], values)
    h, c = (np.abs(results["tflm"][n].astype(int) - results["litert-default"][n]) for n in "hc")
    assert h.max() <= 1 and np.mean(h > 0) < 0.05 and c.max() * CASE.c.scale < 0.01


@pytest.mark.parametrize("way", WAYS)
def test_a_variable_may_be_a_state_of_the_graph(way):
    """Then its caller carries it: the same integers, and it can be set."""
    builder = StepGraphBuilder()
    builder.inputs.append(("x", builder.tensor("x", FEATURES, CASE.x)))
    lstm = lower_fused_lstm(builder, "lstm", "x", CASE.weights(), CASE.h, CASE.c)
    builder.outputs.append(("y", as_vector(builder, lstm.output)))
    builder.states += [("h0", lstm.h, lstm.h), ("c0", lstm.c, lstm.c)]
    outside = load_model(write_flatbuffer(builder.build()), **WAYS[way])
    readings = CASE.readings(40)
    expected = run(load_model(fused_model(CASE, CASE.weights()), **WAYS[way]), readings)
    for reading, y in zip(readings[:30], expected["y"], strict=False):
        np.testing.assert_array_equal(outside.step(reading, raw=True), y)
    outside.set_states({"h0": expected["h"][4], "c0": expected["c"][4]})
    np.testing.assert_array_equal(outside.step(readings[5], raw=True), expected["y"][5])


def test_stacked_lstms_pass_the_sequence_on():
    """One operator after the other, nothing in between; as two models one after the other."""
    first, second = CASE.weights(), CASE.weights(seed=5, features=UNITS)
    builder = StepGraphBuilder()
    builder.inputs.append(("x", builder.tensor("x", FEATURES, CASE.x)))
    lower = lower_fused_lstm(builder, "lower", "x", first, CASE.h, CASE.c)
    upper = lower_fused_lstm(builder, "upper", lower.output, second, CASE.h, CASE.c)
    builder.outputs.append(("y", as_vector(builder, upper.output)))
    model = write_flatbuffer(builder.build())
    assert operator_names(model) == ["PACK", *["UNIDIRECTIONAL_SEQUENCE_LSTM"] * 2, "RESHAPE"]
    runtime, readings = load_model(model, "tflm"), CASE.readings(30)
    stacked = [runtime.step(reading, raw=True) for reading in readings]
    between = run(load_model(fused_model(CASE, first), "tflm"), readings)["y"]
    upper_case = type(CASE)(CASE.gain, CASE.bias, CASE.h, CASE.h, CASE.c)
    np.testing.assert_array_equal(stacked, run(load_model(fused_model(upper_case, second), "tflm"), between)["y"])


def test_biases_and_weights_in_the_file():
    """A bias is the layer's own, rounded in the scale of the sums over x; each gate has its scale."""
    weights = CASE.weights()
    graph = read_flatbuffer(fused_model(CASE, weights))
    op = next(op for op in graph.ops if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM")
    for gate in range(4):
        part = slice(gate * UNITS, (gate + 1) * UNITS)
        kernel, recurrent_kernel, bias = (graph.tensor(op.inputs[place + gate]) for place in (1, 5, 12))
        for tensor, matrix in ((kernel, weights[0]), (recurrent_kernel, weights[1])):
            values, affine = quantize_weights(matrix[:, part].T)
            np.testing.assert_array_equal(tensor.data, values)
            assert tensor.affine == affine
        assert bias.data.dtype == np.int32 and bias.affine == bias_affine(CASE.x, kernel.affine)
        np.testing.assert_allclose(bias.data * bias.affine.scale, weights[2][part], atol=bias.affine.scale / 2)


def test_a_layer_without_bias():
    kernel, recurrent_kernel, bias = CASE.weights()
    models = [fused_model(CASE, (kernel, recurrent_kernel, b)) for b in (None, np.zeros_like(bias))]
    assert models[0] == models[1]


def test_what_it_refuses():
    kernel, recurrent_kernel, bias = CASE.weights()
    with pytest.raises(ValueError, match="layer 'lstm': the weights hold NaN"):
        fused_model(CASE, (kernel, recurrent_kernel * np.nan, bias))
    builder = StepGraphBuilder()
    builder.tensor("x", FEATURES, CASE.x)
    with pytest.raises(ValueError, match="cell state: expected int16"):
        lower_fused_lstm(builder, "lstm", "x", CASE.weights(), CASE.h, Affine(2.0**-16, 0, 16))


def test_it_is_small():
    """8 readings, 32 units and a FULLY_CONNECTED head of 8, int8 all through: 6 kB are weights."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((8, 128), (32, 128), (128,))]
    builder = StepGraphBuilder()
    builder.inputs.append(("x", builder.tensor("x", 8, CASE.x)))
    lstm = lower_fused_lstm(builder, "lstm", "x", weights, CASE.h, CASE.c)
    values, affine = quantize_weights(rng.normal(0, 0.3, (8, 32)).astype(np.float32))
    bias = Affine(CASE.h.scale * affine.scale, 0, 32)
    head = [builder.constant("kernel", values, affine), builder.constant("bias", np.arange(8, dtype=np.int32), bias)]
    builder.op("FULLY_CONNECTED", [lstm.output, *head], builder.tensor("y", 8, Affine(0.02, 0)))
    builder.outputs.append(("y", "y"))
    model = write_flatbuffer(builder.build())
    assert len(model) < 8_600 and arena_bytes(model)["total"] < 2_720
