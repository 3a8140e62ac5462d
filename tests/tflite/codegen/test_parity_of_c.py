"""Generated C runs freely beside TensorFlow Lite Micro: every output and state of every step, bit for bit.

Float operators too: C rounds every operation as the reference kernels do, in the same order, and calls the same
library's exp, tanh and sin. FLOAT_TOLERANCE is for what a free run makes of a library that differs by an ulp a call.
"""

import dataclasses
import itertools

import contract_models as models
import numpy as np
import pytest
from sensor_oracle import forecaster
from test_lower_sensors import DEMAND, LEARNED, PUMP, SCORE3, demand_stream, missing_some, pump_stream

from keras_models import quantize_aware
from keras_models.qat_model import calibrate
from tflite import convert
from tflite.exposed_states import exposed_states
from tflite.runtimes import load_model
from tflite.seeded_stream import wander

STEPS = 10_000
FLOAT_TOLERANCE = 1e-5  # of the largest value, over a free run
CELLS, INTEGERS = ("simple_rnn", "gru", "lstm"), ("int8", "state16", "int16")


def in_step(content, xs):
    """Steps both; yields (ours, theirs) of every output and state."""
    ours, theirs = load_model(content, "c"), load_model(content, "tflm")
    for x in xs:
        y = ours.step(x), theirs.step(x)
        yield {"y": y[0], **ours.states}, {"y": y[1], **theirs.states}


def assert_same_bits(content, xs):
    seen = []
    for step, (ours, theirs) in enumerate(in_step(content, xs)):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert ours[name].dtype == theirs[name].dtype
            assert np.array_equal(ours[name], theirs[name]), f"{name} differs in step {step}"
        seen.append(ours["y"])
    assert np.ptp(seen, axis=0).max() > 0, "the model must react for this test to mean anything"


@pytest.mark.parametrize("state", models.STATES)
@pytest.mark.parametrize(("cell", "numbers"), itertools.product(CELLS, INTEGERS))
def test_integers(cell, numbers, state):
    """States kept inside are exposed, so that all are compared: also those of the fused LSTM."""
    content, _ = models.artifact(cell, numbers, state)
    assert_same_bits(exposed_states(content) if state == "internal" else content, wander(STEPS, models.FEATURES, 7))


@pytest.mark.parametrize(("cell", "numbers"), [("lstm", "int8"), ("gru", "int16")])
def test_states_that_stay_inside(cell, numbers):
    content, _ = models.artifact(cell, numbers, "internal")
    runtime, xs = load_model(content, "c"), wander(300, models.FEATURES, 8)
    assert runtime.states == {}
    assert_same_bits(content, xs)
    first = [runtime.step(x) for x in xs]
    runtime.reset()
    np.testing.assert_array_equal([runtime.step(x) for x in xs], first)


@pytest.mark.parametrize("cell", CELLS)
def test_floats(cell):
    content, _ = models.artifact(cell, "float32", "external")
    pairs = list(in_step(content, wander(STEPS, models.FEATURES, 7)))
    for name in pairs[0][0]:
        ours, theirs = (np.stack([pair[side][name] for pair in pairs]) for side in (0, 1))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=FLOAT_TOLERANCE * np.abs(theirs).max())


SHELLS = {
    "demand": (DEMAND, None, demand_stream),
    "pump": (PUMP, SCORE3, pump_stream),
    "learned on the device": (LEARNED, SCORE3, pump_stream),
    "a delay line": (dataclasses.replace(PUMP, leads=(5, 5)), SCORE3, pump_stream),
}


@pytest.mark.parametrize("activations", ["int8", "int16", "float32"])
@pytest.mark.parametrize("shell", SHELLS)
def test_raw_readings_in_real_units_or_a_score_out(shell, activations):
    """The sensor shell: missing readings, standardization, calendar, delay line, score; floats around integers."""
    encoding, score, stream = SHELLS[shell]
    net = forecaster(encoding)
    if activations != "float32":
        net = quantize_aware(net, activations)
        calibrate(net, [encoding.encode(stream(600))[None]])
    content = convert(net, activations=activations, encoding=encoding, score=score).tflite
    pairs = list(in_step(content, missing_some(stream(2000))))
    for name in pairs[0][0]:
        ours, theirs = (np.stack([pair[side][name] for pair in pairs]) for side in (0, 1))
        scale = np.abs(theirs.astype(np.float64)).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=FLOAT_TOLERANCE * scale, err_msg=name)
