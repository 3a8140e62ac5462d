"""Time constants measured from outside, on states whose time constant is known; and the warning that follows."""

import numpy as np
import pytest
from following_states import WIDTH, following
from state_graphs import lstm_graph
from step_models import running_sum_step

from tflite.flatbuffer import write_flatbuffer
from tflite.runtimes import load_model
from tflite.seeded_stream import wander
from tflite.time_constant import LEAST_DISPLACEMENT, stall_warnings, state_paces


def rows(count=800, gain=0.8):
    return [{"x": x} for x in gain * wander(count, WIDTH, seed=2)]


@pytest.mark.parametrize("state", ["external", "internal"])
@pytest.mark.parametrize(("steps", "dtype"), [(5, "int8"), (10, "int8"), (25, "int8"), (5, "int16"), (400, "int16")])
def test_the_time_constant_is_found(steps, dtype, state):
    (pace,) = state_paces(following(steps, dtype, state), rows())
    assert (pace.name, pace.dtype) == ("level", dtype)
    # (1 - 1 / steps) is left after a step.
    np.testing.assert_allclose(pace.steps, -1 / np.log(1 - 1 / steps), rtol=0.25)


@pytest.mark.parametrize("steps", [16, 40])
def test_the_gap_is_where_the_state_stops(steps):
    """Towards a constant target it is as far as half a quantum of update allows."""
    model = following(steps)
    (pace,) = state_paces(model, rows())
    runtime, target = load_model(model, "tflm"), np.full(WIDTH, 1.5, np.float32)
    for _ in range(20 * steps):
        reached = runtime.step(target)
    np.testing.assert_allclose(pace.gap, target - reached, rtol=0.35)


def test_a_slow_int8_state_is_told_of():
    (warning,) = stall_warnings(following(40), rows())
    assert warning.startswith("state level: 4 of 4 elements have a time constant of up to ")
    assert "0.016 (int8)" in warning and warning.endswith('convert with state_dtype="int16"')
    assert stall_warnings(following(40), [row["x"] for row in rows()]) == [warning], "readings without their name"
    assert stall_warnings(following(40, "int16"), rows()) == []
    assert stall_warnings(following(4), rows()) == []


def test_a_state_that_never_moves_at_all():
    """Its update is below half a quantum whatever the readings: no spread to compare with, still told of."""
    (pace,) = state_paces(following(400), rows(gain=0.5))
    assert pace.spread == 0 and np.all(np.isinf(pace.steps))
    assert f"more than {pace.longest_measured:.0f} steps" in pace.warning
    assert pace.gap.max() == pytest.approx(LEAST_DISPLACEMENT * pace.quantum)


def test_an_int16_state_can_be_too_slow_as_well():
    (warning,) = stall_warnings(following(6000, "int16"), rows())
    assert warning.endswith('convert with activations="float32"')


def test_a_fast_state_of_small_spread_is_no_stall():
    """Few quanta are a matter of resolution."""
    assert stall_warnings(following(2), rows(gain=0.02)) == []


def test_the_fused_lstm_is_looked_into():
    xs = [{"x": x[None]} for x in wander(300, 4)]
    assert [pace.name for pace in state_paces(write_flatbuffer(lstm_graph(True)), xs)] == ["h0", "c0"]


def test_nothing_to_measure():
    assert state_paces(running_sum_step(), [{"x": np.ones(3, np.float32)}] * 100) == []
    assert state_paces(following(4), rows(10)) == []
