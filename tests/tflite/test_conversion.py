"""`convert`: the step model says what the Keras model says, on every runtime, and refuses what it cannot say."""

import dataclasses
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers
from recurrent_models import FORMS, Form, randomize, recurrent_model, stream
from runtime_ways import WAYS

from keras_models import quantize_aware
from keras_models.numeric_form import NumericForm
from keras_models.qat_model import calibrate
from pipeline.user_error import UserError
from tflite import convert, load
from tflite.conversion import step_graph
from tflite.flatbuffer import write_flatbuffer
from tflite.parity import parity
from tflite.quanta import output_quanta
from tflite.runtimes import load_model

STEPS = 1000
SMALL = Form((4,))
FLOAT, INT8, INT8_STATE16, INT16 = (
    NumericForm("float32"), NumericForm("int8"), NumericForm("int8", "int16"), NumericForm("int16"))
INTEGERS = (INT8, INT8_STATE16, INT16)
DEEP = [form for form in FORMS if len(form.units) > 1]
CASES = [*((form, INT8) for form in FORMS), *((form, numeric) for form in DEEP for numeric in (INT8_STATE16, INT16))]
forms = pytest.mark.parametrize("form", FORMS, ids=str)
numerics = pytest.mark.parametrize("numeric", INTEGERS, ids=lambda numeric: numeric.name)
cases = pytest.mark.parametrize(("form", "numeric"), CASES, ids=[f"{form}-{numeric.name}" for form, numeric in CASES])
ways = pytest.mark.parametrize("way", WAYS)


@cache
def calibrated(form: Form, numeric: NumericForm = INT8) -> keras.Model:
    model = quantize_aware(recurrent_model(form), numeric.activations, state_dtype=numeric.state_dtype)
    calibrate(model, [np.stack([stream(200, form.features, seed) for seed in (5, 6)])])
    return model


@cache
def integer_graph(form: Form, numeric: NumericForm):
    return step_graph(calibrated(form, numeric))


def run(model: bytes, xs, way="litert-default"):
    runtime = load_model(model, **WAYS[way])
    return np.stack([runtime.step(x) for x in xs])


def raw_steps(model: bytes, xs, states, way):
    """Every integer of every step, the states forced to `states[t]`."""
    runtime = load_model(model, **WAYS[way])
    results = []
    for x, before in zip(xs, states, strict=True):
        runtime.set_states(before)
        outputs = runtime.step(x, raw=True)
        results.append({**outputs, **runtime.states})
    return results


def with_all_tensors_out(graph):
    """The graph with every activation as an output `t<number>`, and their tensors by that name."""
    ends = {tensor for _, _, tensor in graph.states} | {tensor for _, tensor in graph.outputs}
    inner = [name for op in graph.ops for name in op.outputs if name not in ends]
    extra = tuple((f"t{i}", name) for i, name in enumerate(inner))
    wide = dataclasses.replace(graph, outputs=graph.outputs + extra)
    return wide, dict(wide.outputs) | {name: written for name, _, written in graph.states}


def own_states(model: bytes, xs):
    """The states before each step of a free run on TFLite Micro."""
    runtime, states = load_model(model, "tflm"), []
    for x in xs:
        states.append(runtime.states)
        runtime.step(x)
    return states


def real(values, affine):
    values = np.asarray(values, np.float64)
    return values if affine is None else (values - affine.zero_point) * np.float64(np.float32(affine.scale))


EXACT = {
    "QUANTIZE": lambda a: a,
    "DEQUANTIZE": lambda a: a,
    "BATCH_MATMUL": lambda a, b: a @ np.swapaxes(b, -1, -2),
    "FULLY_CONNECTED": lambda a, b, bias=0.0: a @ np.swapaxes(b, -1, -2) + bias,
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "LOGISTIC": lambda a: 1 / (1 + np.exp(-a)),
    "TANH": np.tanh,
}
# Quanta, by width of the output. 0.52 and not 0.5: the kernels round the rescaled product twice, so a value within 2 %
# of a quantum of a tie may go to the other side. int16 LOGISTIC and TANH look up a table with linear interpolation.
OFF_BY = {8: {}, 16: {"LOGISTIC": 6.0, "TANH": 12.0}}


@cases
def test_every_integer_operator_is_the_nearest_integer_of_exact_arithmetic(form, numeric):
    """On TFLite Micro."""
    graph = integer_graph(form, numeric)
    wide, by_name = with_all_tensors_out(graph)
    xs = stream(STEPS // 4, form.features)
    model = write_flatbuffer(wide)
    states = own_states(model, xs)
    steps = raw_steps(model, xs, states, "tflm")
    stacked = {by_name[name]: np.stack([step[name] for step in steps])[:, None] for name in steps[0]}
    stacked |= {read: np.stack([s[name] for s in states])[:, None] for name, read, _ in graph.states}
    stacked[graph.inputs[0][1]] = xs[:, None]
    stacked |= {tensor.name: tensor.data for tensor in graph.tensors if tensor.data is not None}
    checked = 0
    for op in graph.ops:
        affine = graph.tensor(op.outputs[0]).affine
        if affine is None or op.kind not in EXACT:
            continue
        inputs = [real(stacked[name], graph.tensor(name).affine) for name in op.inputs]
        exact = EXACT[op.kind](*inputs) / np.float32(affine.scale) + affine.zero_point
        exact = np.clip(exact, affine.minimum_integer, affine.maximum_integer)
        assert np.abs(stacked[op.outputs[0]] - exact).max() <= OFF_BY[affine.bits].get(op.kind, 0.52), op
        checked += 1
    assert checked >= 4 * len(form.units)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_runtimes_give_the_same_bits(form):
    """LiteRT's reference and built-in kernels equal TFLite Micro in every element of a free run: 0 quanta, no
    tolerance. Only the built-in TANH of int16, which an LSTM's cell state needs, is another."""
    model, xs = write_flatbuffer(integer_graph(form, INT8)), stream(STEPS, form.features)
    expected = run(model, xs, "tflm")
    np.testing.assert_array_equal(run(model, xs, "litert-reference"), expected)
    if form.cell != "LSTM":
        np.testing.assert_array_equal(run(model, xs, "litert-builtin"), expected)
    assert np.ptp(expected, axis=0).min() > 0


@pytest.mark.parametrize("numeric", [INT8_STATE16, INT16], ids=lambda numeric: numeric.name)
@pytest.mark.parametrize("form", DEEP, ids=str)
def test_runtimes_give_the_same_int16(form, numeric):
    """State forced equal. LiteRT's reference kernel rounds an int16 product that is a tie away from zero, TFLite
    Micro's upwards: about one of 2**17 values, and what that becomes within the step."""
    graph, xs = integer_graph(form, numeric), stream(STEPS, form.features)
    model = write_flatbuffer(graph)
    record = parity(load_model(model, kernels="reference"), load_model(model, "tflm"), xs, output_quanta(graph))
    assert record["mismatched"] < 1e-3
    assert numeric is INT16 or record["max_lsb"] == 0


@cases
def test_the_quantized_model_is_the_step_model(form, numeric):
    """What the model says of a sequence, TFLite Micro says step by step: every bit."""
    model, xs = calibrated(form, numeric), stream(30, form.features)
    expected = np.asarray(model(xs[None], training=False))[0]
    ours = run(write_flatbuffer(integer_graph(form, numeric)), xs, "tflm")
    np.testing.assert_array_equal(ours if form.return_sequences else ours[-1], expected)


@pytest.mark.parametrize("numeric", (INT8, INT8_STATE16), ids=lambda numeric: numeric.name)
@pytest.mark.parametrize("cell", ["GRU", "LSTM", "SimpleRNN"])
def test_learned_ranges_are_those_of_the_step_model(cell, numeric):
    """Every bit, biases beside constant inputs too, after training moved every range by some percent."""
    model = quantize_aware(recurrent_model(Form((5, 4), cell=cell)), "int8", state_dtype=numeric.state_dtype)
    xs, rng = stream(200, 3), np.random.default_rng(2)
    calibrate(model, [xs[None]])
    before = run(convert(model).tflite, xs, "tflm")
    learned = [weight for weight in model.trainable_weights if weight.name.endswith("_stretch")]
    for weight in learned:
        weight.assign(rng.uniform(-0.15, 0.15))
    ours = run(convert(model).tflite, xs, "tflm")
    np.testing.assert_array_equal(ours, model.predict(xs[None], verbose=0)[0])
    assert len(learned) > 4 and (ours != before).any()


@forms
@pytest.mark.parametrize("way", ["litert-default", "tflm"])
def test_float32_is_the_keras_model(form, way):
    """Streamed against Keras' own layer over the sequence; 1e-5 of the largest output: the order of float sums."""
    every = recurrent_model(dataclasses.replace(form, return_sequences=True))
    model = recurrent_model(form)
    xs = stream(300, form.features)
    expected = every.predict(xs[None], verbose=0)[0]
    ours = run(convert(model, activations="float32").tflite, xs, way)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@numerics
@pytest.mark.parametrize("cell", ["GRU", "LSTM", "SimpleRNN"])
def test_integers_stay_near_the_float_model(cell, numeric):
    """Free running; a calibration that went wrong is off by more than these shares of the output's span."""
    model, xs = recurrent_model(Form((16,), cell=cell), gain=0.8), stream(STEPS, 3)
    artifact = convert(model, activations=numeric.activations, state_dtype=numeric.state_dtype,
                       representative=[stream(500, 3, seed) for seed in (5, 6)])
    expected = model.predict(xs[None], verbose=0)[0]
    error = np.sqrt(np.mean((run(artifact.tflite, xs, "tflm") - expected) ** 2))
    assert error < {8: 0.04, 16: 0.01}[numeric.product_bits] * np.ptp(expected)


@ways
@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_only_the_last_step_streams_every_prefix(way, activations):
    form = Form((6,), return_sequences=False)
    twin = calibrated(form) if activations == "int8" else recurrent_model(form)
    xs = stream(30, form.features)
    prefixes = np.concatenate([twin(xs[None, : t + 1], training=False) for t in (0, 1, 4, 29)])
    ours = run(convert(twin, activations=activations).tflite, xs, way)[[0, 1, 4, 29]]
    # The phone's default kernels round otherwise, and run freely here: 3 % of the span.
    tolerance = 1e-5 if activations == "float32" else 0.03 if way == "litert-default" else 0
    np.testing.assert_allclose(ours, prefixes, rtol=0, atol=tolerance * np.ptp(prefixes))


def test_last_step_and_every_step_are_one_step_model():
    last, every = Form((6,), return_sequences=False), Form((6,))
    twin = quantize_aware(recurrent_model(every))
    twin.set_weights(calibrated(last).get_weights())
    assert convert(twin).tflite == convert(calibrated(last)).tflite


@ways
def test_chunks_reset_and_fresh_load(way):
    """A state taken out and put into another instance goes on as if nothing happened; reset is a fresh load."""
    artifact, xs = convert(calibrated(SMALL)), stream(60, 3)
    whole = run(artifact.tflite, xs, way)
    one, chunks, states = None, [], None
    for chunk in np.split(xs, [7, 8, 40]):
        one = load_model(artifact.tflite, **WAYS[way])
        if states is not None:
            one.set_states(states)
        chunks += [one.step(x) for x in chunk]
        states = one.states
    np.testing.assert_array_equal(np.stack(chunks), whole)
    one.reset()
    np.testing.assert_array_equal(np.stack([one.step(x) for x in xs]), whole)


# Without the int8 LSTM, which inside is an operator of its own.
INSIDE = [(cell, numeric) for cell in ("GRU", "LSTM", "SimpleRNN") for numeric in (FLOAT, *INTEGERS)
          if (cell, numeric.product_bits) != ("LSTM", 8)]


@ways
@pytest.mark.parametrize(("cell", "numeric"), INSIDE, ids=[f"{cell}-{numeric.name}" for cell, numeric in INSIDE])
def test_state_inside_is_the_state_outside(cell, numeric, way):
    """Every bit, and after a reset again."""
    form, xs = Form((5, 4), cell=cell), stream(40, 3)
    model = recurrent_model(form) if numeric.is_float else calibrated(form, numeric)
    inside, outside = (convert(model, activations=numeric.activations, state_dtype=numeric.state_dtype, state=state)
                       for state in ("internal", "external"))
    assert inside.manifest["state"] == "internal"
    expected, runtime = run(outside.tflite, xs, way), load_model(inside.tflite, **WAYS[way])
    assert runtime.state_specs == ()
    for _ in range(2):
        np.testing.assert_array_equal([runtime.step(x) for x in xs], expected)
        runtime.reset()


def test_same_model_same_bytes():
    first = convert(recurrent_model(SMALL), representative=[stream(100, 3)])
    again = convert(recurrent_model(SMALL), representative=[stream(100, 3)])
    assert first.tflite == again.tflite and first.manifest == again.manifest


def test_manifest(tmp_path):
    artifact = convert(calibrated(SMALL), name="pump")
    path = artifact.save(tmp_path)
    manifest = artifact.manifest
    assert path == tmp_path / "pump.tflite" and path.stat().st_size == manifest["bytes"] == len(artifact.tflite)
    assert manifest["inputs"] == [{"name": "x", "shape": [3], "dtype": "float32"}]
    assert manifest["outputs"] == [{"name": "y", "shape": [2], "dtype": "float32"}]
    assert manifest["states"] == [{"name": "h0", "shape": [4], "dtype": "int8", "scale": 1 / 128, "zero_point": 0}]
    xs = stream(20, 3)
    loaded = load(tmp_path)
    np.testing.assert_array_equal(np.stack([loaded.step(x) for x in xs]), run(artifact.tflite, xs))


def test_two_outputs_by_name():
    x = keras.Input((None, 3), name="x")
    state = layers.GRU(4, return_sequences=True)(x)
    model = keras.Model(x, [layers.Dense(2, name="b")(state), layers.Dense(1, name="a")(state)])
    randomize(model, 3)
    runtime = load_model(convert(model, activations="float32").tflite)
    xs = stream(20, 3)
    b, a = model.predict(xs[None], verbose=0)
    steps = [runtime.step(x) for x in xs]
    np.testing.assert_allclose([s["a"] for s in steps], a[0], atol=1e-5)
    np.testing.assert_allclose([s["b"] for s in steps], b[0], atol=1e-5)


def test_plain_model_is_calibrated_as_the_quantization_aware_one():
    """PTQ is QAT with zero epochs: the same bytes."""
    streams = [stream(100, 3, seed) for seed in (5, 6)]
    twin = quantize_aware(recurrent_model(SMALL))
    calibrate(twin, [np.stack(streams)])
    assert convert(recurrent_model(SMALL), representative=streams).tflite == convert(twin).tflite


def test_representative_streams_of_any_length_from_an_iterator():
    lengths = (100, 100, 30, 12)
    model = convert(recurrent_model(SMALL), representative=(stream(n, 3, n) for n in lengths))
    assert load_model(model.tflite).step(np.zeros(3, np.float32)).shape == (2,)


def test_representative_by_input_name():
    """The public promise: arrays, or dicts by input name."""
    xs = stream(100, 3)
    by_name = convert(recurrent_model(SMALL), representative=[{"x": xs}])
    assert by_name.tflite == convert(recurrent_model(SMALL), representative=[xs]).tflite


@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_an_input_nobody_named(activations):
    """keras.Input((None, 3)) and Sequential: how most models are written."""
    model = keras.Sequential([keras.Input((None, 3)), layers.GRU(4, return_sequences=True), layers.Dense(2)])
    xs = stream(100, 3)
    artifact = convert(model, activations=activations, representative=[xs])
    expected = model.predict(xs[None], verbose=0)[0]
    np.testing.assert_allclose(run(artifact.tflite, xs), expected, atol=1e-5 if activations == "float32" else 0.1)


def test_readings_that_are_never_positive():
    """The constant beside x, which carries the bias, must then be negative: no integer above zero exists."""
    model, xs = recurrent_model(Form((4,), features=1), gain=0.8), -np.abs(stream(300, 1)) - 0.1
    expected = model.predict(xs[None], verbose=0)[0]
    ours = run(convert(model, representative=[xs]).tflite, xs)
    assert np.sqrt(np.mean((ours - expected) ** 2)) < 0.05 * np.ptp(expected)


def test_paths(tmp_path):
    calibrated(SMALL).save(tmp_path / "qat.keras")
    assert convert(tmp_path / "qat.keras").tflite == convert(calibrated(SMALL)).tflite
    with pytest.raises(UserError, match="none.keras: not found"):
        convert(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes((tmp_path / "qat.keras").read_bytes()[:1000])
    with pytest.raises(UserError, match="bad.keras: not a Keras model"):
        convert(tmp_path / "bad.keras")
