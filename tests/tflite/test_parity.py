"""Parity counts in quanta what differs after one step from one state; checked with runtimes that differ by design."""

import numpy as np
import pytest

from tflite.parity import parity
from tflite.runtimes import TensorSpec, load_model


class Scripted:
    """A runtime that says `outputs[t]` and has the states `states[t]` after step t."""

    def __init__(self, outputs, states, dtype="int8"):
        self.script = list(zip(outputs, states, strict=True))
        self.inputs = (TensorSpec("x", (1,), "float32"),)
        self.outputs = (TensorSpec("y", np.shape(outputs[0]), "float32"),)
        self.state_specs = (TensorSpec("h0", np.shape(states[0]), dtype, 0.5 if dtype == "int8" else 0.0),)
        self.given, self.reset_count = [], 0
        self.reset()

    def reset(self):
        self.reset_count, self.time = self.reset_count + 1, 0
        self.states = {"h0": np.zeros(self.state_specs[0].shape, self.state_specs[0].dtype)}

    def set_states(self, states):
        self.given.append(states["h0"].copy())

    def step(self, x, raw=False):
        output, state = self.script[self.time]
        self.time += 1
        self.states = {"h0": np.asarray(state, self.state_specs[0].dtype)}
        return np.asarray(output, np.float32)


XS = [np.zeros(1, np.float32)] * 2
OUT, STATE = [[1.0, 2.0], [3.0, 4.0]], [[5, 6], [7, 8]]


def test_a_model_against_itself_is_zero(gru_model):
    xs = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    figures = parity(load_model(gru_model, "tflm"), load_model(gru_model, "tflm"), xs)
    assert figures == {"steps": 20, "max_lsb": 0.0, "by_tensor": {"y": 0.0, "h0": 0.0}, "mismatched": 0.0}


def test_states_come_from_the_reference_before_each_step():
    ours, reference = Scripted(OUT, [[1, 1], [1, 1]]), Scripted(OUT, STATE)
    parity(ours, reference, XS)
    np.testing.assert_array_equal(ours.given, [[0, 0], [5, 6]])
    assert reference.reset_count == 2, "started from reset, whatever the reference did before"


def test_one_quantum_of_an_integer_is_one():
    figures = parity(Scripted(OUT, [[5, 6], [7, 7]]), Scripted(OUT, STATE), XS)
    assert (figures["max_lsb"], figures["by_tensor"]) == (1.0, {"y": 0.0, "h0": 1.0})
    assert figures["mismatched"] == 1 / 8


def test_several_steps_of_a_finer_integer_count_as_one():
    """Of int16 beside int8: 256 of them are one."""
    ours = Scripted(OUT, [[5, 6 - 128], [7, 8]], dtype="int16")
    figures = parity(ours, Scripted(OUT, STATE, dtype="int16"), XS, {"h0": 256.0})
    assert figures["by_tensor"] == {"y": 0.0, "h0": 0.5} and figures["mismatched"] == 0


def test_integers_do_not_wrap_around():
    figures = parity(Scripted(OUT, [[-128, 6], [7, 8]]), Scripted(OUT, [[127, 6], [7, 8]]), XS)
    assert figures["max_lsb"] == 255


def test_floats_in_the_quanta_behind_them():
    ours = Scripted([[1.0, 2.5], [3.0, 4.0]], STATE)
    figures = parity(ours, Scripted(OUT, STATE), XS, {"y": np.array([[0.1, 0.25]])})
    assert figures["by_tensor"]["y"] == pytest.approx(2.0)
    assert figures["mismatched"] == 1 / 8


def test_floats_without_a_quantum_in_rounding():
    """1e-5 of the largest element, or of 1, counts as one; half of that does not count as a mismatch."""
    ours = Scripted([[1.0, 2.00008], [3.0, 4.00001]], STATE)
    figures = parity(ours, Scripted(OUT, STATE), XS)
    assert figures["by_tensor"]["y"] == pytest.approx(0.00008 / (1e-5 * 2), rel=0.01)
    assert figures["mismatched"] == 1 / 8


def test_an_element_whose_quantum_is_zero_still_counts():
    figures = parity(Scripted([[1.0, 3.0], [3.0, 4.0]], STATE), Scripted(OUT, STATE), XS, {"y": np.array([[0.1, 0.0]])})
    assert figures["max_lsb"] == pytest.approx(1 / (1e-5 * 2), rel=1e-3)


@pytest.mark.parametrize(("one", "other"), [(np.nan, 2.0), (2.0, np.nan), (np.inf, 2.0), (np.inf, -np.inf)])
def test_not_a_number_never_passes(one, other):
    figures = parity(Scripted([[1.0, one], OUT[1]], STATE), Scripted([[1.0, other], OUT[1]], STATE), XS)
    assert figures["max_lsb"] == np.inf and figures["mismatched"] == 1 / 8


@pytest.mark.parametrize("both", [np.nan, np.inf, -np.inf])
def test_the_same_on_both_sides_is_no_difference(both):
    figures = parity(Scripted([[1.0, both], OUT[1]], STATE), Scripted([[1.0, both], OUT[1]], STATE), XS)
    assert figures["max_lsb"] == 0


def test_no_steps():
    assert parity(Scripted(OUT, STATE), Scripted(OUT, STATE), [])["steps"] == 0
