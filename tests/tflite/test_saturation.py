"""Which tensors of a step stand at the ends of their integers, and how often: counted by hand, in any state form."""

from dataclasses import replace

import numpy as np
import pytest
from state_graphs import UNITS, delay_graph, lstm_graph
from step_models import running_sum_step

from keras_models.affine_quantization import Affine
from tflite.exposed_states import exposed_states
from tflite.flatbuffer import write_flatbuffer
from tflite.runtimes import load_model
from tflite.saturation import saturations
from tflite.seeded_stream import wander

STEPS = 100


def by_name(model, xs):
    return {one.name: one for one in saturations(model, [{"x": x} for x in xs])}


def states(model, xs):
    """name -> (steps, ...) of the integers of every state, stepped by the runtime."""
    runtime, seen = load_model(exposed_states(model), kernels="reference"), []
    for x in xs:
        runtime.step(x, raw=True)
        seen.append(runtime.states)
    return {name: np.stack([one[name] for one in seen]) for name in seen[0]}


@pytest.mark.parametrize("state", ["external", "internal"])
@pytest.mark.parametrize("form", ["int8", "int8 low", "int16"])
def test_share_of_a_state(form, state):
    """Of steps and elements; readings of twice the range saturate some of both."""
    xs = 8 * wander(STEPS, 3)
    model = write_flatbuffer(delay_graph(form), state=state)
    found = by_name(model, xs)
    for name, values in states(model, xs).items():
        limits = np.iinfo(values.dtype)
        share = np.mean((values == limits.min) | (values == limits.max))
        assert found[name].is_state and found[name].share == pytest.approx(share) and 0.1 < share < 1


def test_of_operators():
    """Readings of +-6 saturate int8 of 1/32 at the input, not what is halved of it."""
    xs = np.full((STEPS, 3), 6, np.float32)
    found = by_name(write_flatbuffer(delay_graph("int8")), xs)
    assert list(found) == ["s0", "s1", "s2", "0 QUANTIZE", "1 MUL"]
    assert (found["0 QUANTIZE"].share, found["1 MUL"].share) == (1, 0)
    assert not found["0 QUANTIZE"].is_state and found["s0"].share == 1


def test_for_good():
    """What comes to an end and stays there; not what always stood there, nor what comes and goes."""
    model = write_flatbuffer(delay_graph("int8"))
    late = np.concatenate([np.zeros((STEPS // 2 - 20, 3)), np.full((STEPS // 2 + 20, 3), 6)]).astype(np.float32)
    late[:, 1] = 6
    late[::3, 2] = -6
    assert by_name(model, late)["s0"].stuck == 1
    assert by_name(model, late[:, [1, 1, 2]])["s0"].stuck == 0


def test_states_of_the_fused_lstm():
    """Those its operator keeps, by the names they have when exposed; and what is left of its gates."""
    model, xs = write_flatbuffer(lstm_graph(True)), 4 * wander(STEPS, 4)[:, None]
    found, seen = by_name(model, xs), states(model, xs)
    assert [name for name, one in found.items() if one.is_state] == ["h0", "c0"]
    gates = {"1 cell output", "1 forget gate", "1 candidate", "1 output gate"}
    assert gates <= set(found) and found["1 candidate"].share > 0
    for name, values in seen.items():
        assert values.shape == (STEPS, UNITS)
        share = np.mean(np.abs(values.astype(int) + 0.5) > np.iinfo(values.dtype).max)
        assert found[name].share == pytest.approx(share)


def test_bounded_as_tanh():
    """A state in [-1, 1) is at most a quantum off at an end; a cell state in that range may have lost more."""
    graph = delay_graph("int8")
    tensors = tuple(replace(tensor, affine=tensor.affine and Affine(1 / 128, 0)) for tensor in graph.tensors)
    unit = replace(graph, tensors=tensors)
    cell = replace(unit, states=tuple((name.replace("s", "c"), *ends) for name, *ends in unit.states))
    xs = wander(STEPS, 3)
    assert by_name(write_flatbuffer(unit), xs)["s0"].bounded
    assert not by_name(write_flatbuffer(cell), xs)["c0"].bounded
    assert not by_name(write_flatbuffer(graph), xs)["s0"].bounded


def test_nothing_to_saturate():
    assert saturations(running_sum_step(), [{"x": np.ones(3, np.float32)}] * 5) == []
    assert saturations(write_flatbuffer(delay_graph("int8")), []) == []
