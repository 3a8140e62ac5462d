"""The contract of StepRuntime, for every runtime and every set of kernels."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from runtime_ways import WAYS

from pipeline.user_error import UserError
from tflite.runtimes import StepRuntime, TensorSpec, load_model

FEATURES, UNITS, OUTPUTS = 8, 32, 8


@pytest.fixture(params=[*WAYS, "c"])
def load(request):
    return lambda model: load_model(model, **WAYS.get(request.param, {"runtime": "c"}))


def readings(count, width=FEATURES, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (count, width)).astype(np.float32)


def run(runtime, xs):
    return np.stack([runtime.step(x) for x in xs])


def test_describes_its_ends(load, gru_model):
    runtime = load(gru_model)
    assert isinstance(runtime, StepRuntime)
    assert [(s.name, s.shape, s.dtype) for s in runtime.inputs] == [("x", (FEATURES,), "float32")]
    assert [(s.name, s.shape, s.dtype) for s in runtime.outputs] == [("y", (OUTPUTS,), "float32")]
    (state,) = runtime.state_specs
    assert (state.name, state.shape, state.dtype, state.scale, state.zero_point) == (
        "h0",
        (UNITS,),
        "int8",
        1 / 128,
        0,
    )


def test_steps_as_the_signature_runner_does(gru_model):
    """LiteRT's own slow way, by names, is the oracle for the fast one: same kernels, same bits."""
    oracle = Interpreter(model_content=gru_model, num_threads=1).get_signature_runner("step")
    runtime = load_model(gru_model)
    state = np.zeros((1, UNITS), np.int8)
    for x in readings(50):
        expected = oracle(x=x[None], h0=state)
        state = expected["h0"]
        np.testing.assert_array_equal(runtime.step(x), expected["y"][0])
        np.testing.assert_array_equal(runtime.states["h0"], state[0])


def test_runtimes_agree_on_the_first_step(load, gru_model):
    """From the reset state: 1 quantum (1/32) of rounding in LiteRT against the reference, at most."""
    expected = load_model(gru_model, kernels="reference").step(readings(1)[0])
    assert np.abs(load(gru_model).step(readings(1)[0]) - expected).max() <= 1 / 32 + 1e-6


def test_reset_equals_fresh_load(load, gru_model):
    runtime, xs = load(gru_model), readings(30)
    first = run(runtime, xs)
    runtime.reset()
    np.testing.assert_array_equal(runtime.states["h0"], np.zeros(UNITS, np.int8))
    np.testing.assert_array_equal(run(runtime, xs), first)
    np.testing.assert_array_equal(run(load(gru_model), xs), first)
    assert np.ptp(first, axis=0).max() > 0, "the model must react to its input for this test to mean anything"


def test_state_is_carried(load, gru_model):
    runtime, x = load(gru_model), readings(1)[0]
    assert not np.array_equal(runtime.step(x), runtime.step(x))


def test_instances_share_nothing(load, gru_model):
    alone = run(load(gru_model), readings(20))
    one, other = load(gru_model), load(gru_model)
    interleaved = []
    for x, noise in zip(readings(20), readings(20, seed=2), strict=True):
        interleaved.append(one.step(x))
        other.step(noise)
    np.testing.assert_array_equal(np.stack(interleaved), alone)


def test_results_and_states_are_copies(load, gru_model):
    runtime, xs = load(gru_model), readings(3)
    result, states = runtime.step(xs[0]), runtime.states
    kept, kept_state = result.copy(), states["h0"].copy()
    runtime.step(xs[1])
    np.testing.assert_array_equal(result, kept)
    np.testing.assert_array_equal(states["h0"], kept_state)
    before = runtime.states["h0"]
    runtime.states["h0"][:] = 99
    np.testing.assert_array_equal(runtime.states["h0"], before)


def test_set_states_resumes(load, gru_model):
    runtime, xs = load(gru_model), readings(20)
    run(runtime, xs[:10])
    snapshot = runtime.states
    expected = run(runtime, xs[10:])
    other = load(gru_model)
    other.set_states(snapshot)
    snapshot["h0"][:] = 0  # what was given must have been copied
    np.testing.assert_array_equal(run(other, xs[10:]), expected)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"h1": np.zeros(UNITS, np.int8)}, "state h1: unknown; the model has h0"),
        ({"h0": np.zeros(UNITS - 1, np.int8)}, r"h0: expected shape \(32,\), got \(31,\)"),
        ({"h0": np.zeros(UNITS, np.float32)}, "h0: expected dtype int8, got float32"),
    ],
)
def test_wrong_states(load, gru_model, states, message):
    with pytest.raises(UserError, match=message):
        load(gru_model).set_states(states)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(FEATURES - 1, np.float32), r"x: expected shape \(8,\), got \(7,\)"),
        (np.zeros(1, np.float32), r"x: expected shape \(8,\), got \(1,\)"),
        (np.float32(1), r"x: expected shape \(8,\), got \(\)"),
        (np.zeros((1, FEATURES), np.float32), r"x: expected shape \(8,\), got \(1, 8\)"),
        (np.zeros(FEATURES), "x: expected dtype float32, got float64"),
        (np.zeros(FEATURES, np.int8), "x: expected dtype float32, got int8"),
        (["a"] * FEATURES, "x: expected an array float32"),
        (None, "x: expected"),
        ({"z": np.zeros(FEATURES, np.float32)}, "expected exactly the inputs x, got z"),
    ],
)
def test_wrong_reading(load, gru_model, x, message):
    runtime = load(gru_model)
    before = runtime.states["h0"]
    with pytest.raises(UserError, match=message):
        runtime.step(x)
    np.testing.assert_array_equal(runtime.states["h0"], before)


def test_list_and_mapping_are_taken(load, gru_model):
    x = readings(1)[0]
    expected = load(gru_model).step(x)
    np.testing.assert_array_equal(load(gru_model).step([float(value) for value in x]), expected)
    np.testing.assert_array_equal(load(gru_model).step({"x": x}), expected)


def test_strided_reading(load, gru_model):
    wide = readings(1, 2 * FEATURES)[0]
    expected = load(gru_model).step(wide[::2].copy())
    np.testing.assert_array_equal(load(gru_model).step(wide[::2]), expected)


def test_raw_and_real_agree(load, integer_gru_model):
    real, raw = load(integer_gru_model), load(integer_gru_model)
    (x_spec,), (y_spec,) = real.inputs, real.outputs
    for x in readings(20):
        integers = raw.step(x_spec.quantize(x), raw=True)
        assert integers.dtype == np.int8
        np.testing.assert_array_equal(real.step(x), (integers.astype(np.float32) + 5) / 32)
        np.testing.assert_array_equal(real.states["h0"], raw.states["h0"])
    assert (y_spec.scale, y_spec.zero_point) == (1 / 32, -5)


def test_integer_ends_equal_float_ends(load, gru_model, integer_gru_model):
    """Quantizing in Python is quantizing in the graph."""
    np.testing.assert_allclose(
        run(load(integer_gru_model), readings(20)), run(load(gru_model), readings(20)), atol=1e-6, rtol=0
    )


def test_raw_wants_the_integers(load, integer_gru_model):
    with pytest.raises(UserError, match="x: expected dtype int8, got float32"):
        load(integer_gru_model).step(readings(1)[0], raw=True)


def test_nan_is_refused_where_python_quantizes(load, integer_gru_model):
    with pytest.raises(UserError, match="NaN"):
        load(integer_gru_model).step(np.full(FEATURES, np.nan, np.float32))


def test_nan_passes_a_float_model(load, delay_model):
    runtime = load(delay_model)
    ends = {"a": np.array([np.nan, 1], np.float32), "b": np.ones(2, np.float32)}
    np.testing.assert_array_equal(runtime.step(ends)["total"], np.array([np.nan, 2], np.float32))


def test_several_ends_and_a_delay_line(load, delay_model):
    runtime = load(delay_model)
    late = []
    for step in range(1, 6):
        result = runtime.step({"a": np.full(2, step, np.float32), "b": np.zeros(2, np.float32)})
        np.testing.assert_array_equal(result["total"], np.full(2, step, np.float32))
        late.append(result["late"][0])
    assert late == [0, 0, 1, 2, 3]
    assert {name: values[0] for name, values in runtime.states.items()} == {"s0": 5, "s1": 4}


def test_several_inputs_want_names(load, delay_model):
    with pytest.raises(UserError, match="the model has inputs a, b; pass a dict by these names"):
        load(delay_model).step(np.zeros(2, np.float32))


def test_state_inside(load, sum_model):
    runtime, other = load(sum_model), load(sum_model)
    one = np.ones(3, np.float32)
    assert runtime.states == {}
    assert [runtime.step(one)[0] for _ in range(3)] == [1, 2, 3]
    assert other.step(one)[0] == 1
    runtime.reset()
    assert [runtime.step(one)[0] for _ in range(3)] == [1, 2, 3]


def test_unknown_runtime_and_kernels(gru_model):
    with pytest.raises(UserError, match="runtime: expected one of litert, tflm, c, got 'gpu'"):
        load_model(gru_model, "gpu")
    with pytest.raises(UserError, match="kernels: expected one of default, builtin, reference, got 'fast'"):
        load_model(gru_model, kernels="fast")


def test_quantize_as_the_kernel_does():
    spec = TensorSpec("x", (6,), "int8", 0.5, 3)
    real = np.array([0.25, -0.25, 0.2, 1e9, -np.inf, 0], np.float32)
    np.testing.assert_array_equal(spec.quantize(real), np.array([4, 2, 3, 127, -128, 3], np.int8))
    np.testing.assert_array_equal(
        spec.dequantize(np.array([4, 2], np.int8)), np.array([0.5, -0.5], np.float32)
    )
