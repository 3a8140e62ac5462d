"""States inside the model: the same integers as outside, kept, reset, shared with nobody, and read back as states."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from runtime_ways import WAYS
from state_graphs import DELAY_FORMS, delay_graph, delayed, lstm_graph, lstm_outputs
from step_models import running_sum_step

from keras_models.affine_quantization import Affine
from tflite.flatbuffer import read_flatbuffer, write_flatbuffer
from tflite.runtimes import load_model
from tflite.state_variables import keep_states_inside, take_states_out
from tflite.step_graph import Op, StepGraphBuilder

STEPS = 40


@pytest.fixture(params=WAYS)
def load(request):
    return lambda model: load_model(model, **WAYS[request.param])


def readings(width=3, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (STEPS, width)).astype(np.float32)


def run(runtime, xs):
    """name -> (timesteps, width)."""
    results = [runtime.step(x) for x in xs]
    return {name: np.stack([result[name] for result in results]) for name in results[0]}


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("form", DELAY_FORMS)
def test_inside_as_outside(load, form):
    """A delay line, whose states leave through each other's entries, in every dtype and with odd zero points."""
    graph, xs = delay_graph(form), readings()
    inside = load(write_flatbuffer(graph, state="internal"))
    assert (inside.states, inside.state_specs, inside.signature.has_resources) == ({}, (), True)
    results = run(inside, xs)
    assert_same(results, run(load(write_flatbuffer(graph)), xs))
    total, late = delayed(xs)
    quantum = DELAY_FORMS[form].scale if DELAY_FORMS[form] else 1e-6
    np.testing.assert_allclose(results["sum"], total, rtol=0, atol=3 * quantum)  # errors of every step, halved at each
    np.testing.assert_allclose(results["late"], late, rtol=0, atol=3 * quantum)


@pytest.mark.parametrize("form", DELAY_FORMS)
def test_reset_and_instances(load, form):
    content, xs = write_flatbuffer(delay_graph(form), state="internal"), readings()
    alone = run(load(content), xs)
    one, other = load(content), load(content)
    interleaved = []
    for x, noise in zip(xs, readings(seed=1), strict=True):
        interleaved.append(one.step(x))
        other.step(noise)
    np.testing.assert_array_equal([result["late"] for result in interleaved], alone["late"])
    other.reset()
    other.reset()
    assert_same(run(other, xs), alone)


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_the_fused_lstm_is_reset_too(load, quantized, with_state):
    """Its state is in variable tensors, that of `with_state` in a resource variable beside them."""
    runtime, xs = load(write_flatbuffer(lstm_graph(quantized, with_state), state="internal")), readings(4)[:, None]
    assert (runtime.signature.has_variables, runtime.signature.has_resources) == (True, with_state)
    hidden = np.stack([runtime.step(x)["h"] if with_state else runtime.step(x) for x in xs])
    np.testing.assert_allclose(hidden[:, 0], lstm_outputs(xs[:, 0]), rtol=0, atol=3 / 128 if quantized else 1e-6)
    for _ in range(2):
        runtime.reset()
        results = [runtime.step(x) for x in xs]
        np.testing.assert_array_equal([r["h"] if with_state else r for r in results], hidden)
        if with_state:
            np.testing.assert_allclose(results[-1]["sum"], hidden.sum(axis=0), rtol=0, atol=1e-5)


def test_signature_reset_before_the_first_step():
    """On a phone nobody runs a step first; LiteRT as it is, without our runtime."""
    interpreter = Interpreter(model_content=write_flatbuffer(delay_graph("int8 high"), state="internal"))
    step, reset = (interpreter.get_signature_runner(key) for key in ("step", "reset"))
    reset()
    x = readings()[:1]
    first = step(x=x)["sum"]
    assert not np.array_equal(step(x=x)["sum"], first)
    reset()
    np.testing.assert_array_equal(step(x=x)["sum"], first)


@pytest.mark.parametrize("form", DELAY_FORMS)
def test_read_back(form):
    graph = delay_graph(form)
    inside, outside = (write_flatbuffer(graph, state=state) for state in ("internal", "external"))
    again = read_flatbuffer(inside)
    assert [name for name, _, _ in again.states] == ["s0", "s1", "s2"]
    assert again.states[1][2] == again.states[0][1], "what s1 becomes is what s0 was"
    assert write_flatbuffer(again, state="internal") == inside
    assert write_flatbuffer(again) == outside == write_flatbuffer(read_flatbuffer(outside))


@pytest.mark.parametrize(("quantized", "with_state"), [(False, True), (True, False), (True, True)])
def test_read_the_fused_lstm_back(quantized, with_state):
    graph = lstm_graph(quantized, with_state)
    content = write_flatbuffer(graph, state="internal")
    again = read_flatbuffer(content)
    assert write_flatbuffer(again, state="internal") == content
    (lstm,) = (op for op in again.ops if op.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM")
    assert lstm.inputs.count("") == 9 and len(lstm.intermediates) == (5 if quantized else 0)
    assert sum(tensor.variable for tensor in again.tensors) == 2
    assert [name for name, _, _ in again.states] == (["total"] if with_state else [])


def test_without_states_there_is_nothing_to_reset():
    graph = lstm_graph(quantized=False)
    assert write_flatbuffer(graph, state="internal") == write_flatbuffer(graph)
    with pytest.raises(ValueError, match="state: expected one of external, internal, got 'inside'"):
        write_flatbuffer(graph, state="inside")


def test_one_zero_for_states_of_one_form():
    _, reset = keep_states_inside(delay_graph("int8 high"))
    (zero,) = (tensor for tensor in reset.tensors if tensor.data is not None)
    assert (zero.shape, zero.dtype, zero.affine) == ((1, 3), "int8", DELAY_FORMS["int8 high"])
    assert np.all(zero.data == 17)


def test_a_model_of_another_writer():
    graph = read_flatbuffer(running_sum_step())
    assert [name for name, _, _ in graph.states] == ["total"]
    runtime = load_model(write_flatbuffer(graph))
    assert [runtime.step(np.ones(3, np.float32))[0] for _ in range(3)] == [1, 2, 3]


def test_state_kept_in_another_way():
    step, reset = keep_states_inside(delay_graph())
    read = next(op for op in step.ops if op.kind == "READ_VARIABLE")
    twice = replace(step, ops=(*step.ops, Op("ASSIGN_VARIABLE", (read.inputs[0], "total"), ())))
    never = replace(step, ops=tuple(op for op in step.ops if op.kind != "ASSIGN_VARIABLE"))
    for changed in (twice, never):
        with pytest.raises(ValueError, match="state 's0' is kept inside in another way than one READ, then one ASSIGN"):
            take_states_out(changed, [reset])
    late = replace(step, ops=tuple(sorted(step.ops, key=lambda op: op.kind == "READ_VARIABLE")))
    with pytest.raises(ValueError, match="reads 's0' before it is written"):
        take_states_out(late, [reset])


def test_state_that_does_not_start_at_zero():
    step, reset = keep_states_inside(delay_graph())
    ones = tuple(t if t.data is None else replace(t, data=np.ones_like(t.data)) for t in reset.tensors)
    for resets in ([], [replace(reset, tensors=ones)], [replace(reset, ops=reset.ops[:2])]):
        with pytest.raises(ValueError, match="is kept inside and does not start at 0"):
            take_states_out(step, resets)


def test_an_output_and_an_input_that_are_the_state(load):
    """y is the state as it was, the state becomes the reading itself: a delay of one step with no operator at all."""
    builder = StepGraphBuilder()
    affine = Affine(1 / 4, 50)
    x, before = builder.tensor("x", 2, affine), builder.tensor("before", 2, affine)
    builder.inputs.append(("x", x))
    builder.outputs.append(("y", before))
    builder.states.append(("s", before, x))
    runtime = load(write_flatbuffer(builder.build(), state="internal"))
    late = [runtime.step(np.full(2, value, np.float32))[0] for value in (1, 2, 3)]
    runtime.reset()
    assert late == [0, 1, 2] and runtime.step(np.ones(2, np.float32))[0] == 0


def test_a_step_that_resets_or_reads_out_of_order():
    step, reset = keep_states_inside(delay_graph("float32"))
    again = replace(step, ops=(*step.ops, step.ops[0]))
    with pytest.raises(ValueError, match="reset in the middle of a step"):
        take_states_out(again, [reset])
    last = next(place for place, op in enumerate(step.ops) if op.kind == "READ_VARIABLE")
    late = (*step.ops[:last], *step.ops[last + 1 :], step.ops[last])
    with pytest.raises(ValueError, match="before it is written"):
        take_states_out(replace(step, ops=late), [reset])
