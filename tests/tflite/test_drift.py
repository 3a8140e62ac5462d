"""Free running, against a loop by hand."""

import os
import signal

import numpy as np
import pytest

from pipeline.user_error import UserError
from tflite.drift import FORMS, rmse, run_forms, run_stream
from tflite.runtimes import load_model


def test_run_stream_steps_freely_from_a_reset(gru_model):
    xs = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    runtime = load_model(gru_model, "tflm")
    expected = np.stack([runtime.step(x) for x in xs])
    outputs, _ = run_stream(runtime, xs)  # not reset by hand: run_stream does
    np.testing.assert_array_equal(outputs, expected)


def test_saturation_is_the_share_of_state_elements_at_a_limit(gru_model):
    xs = 30 * np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    _, share = run_stream(load_model(gru_model, "tflm"), xs)
    runtime, at_limit = load_model(gru_model, "tflm"), []
    for x in xs:
        runtime.step(x)
        at_limit.append(np.mean(np.abs(runtime.states["h0"].astype(int) + 0.5) > 127))
    assert 0 < np.mean(at_limit)
    assert share == pytest.approx(np.mean(at_limit), abs=0.1)  # every 16th step is looked at


def test_float_states_do_not_saturate(delay_model):
    from recurrent_models import Form, recurrent_model

    from tflite import convert

    model = convert(recurrent_model(Form((3,))), activations="float32").tflite
    assert run_stream(load_model(model), np.zeros((20, 3), np.float32))[1] == 0


def test_states_kept_inside_saturate_all_the_same():
    """They cannot be seen in the model itself, and are not for that reason taken to be fine."""
    from recurrent_models import Form, recurrent_model

    from tflite import convert

    xs = 100 * np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    model = recurrent_model(Form((3,), cell="SimpleRNN"))
    outside, inside = (convert(model, state=state, representative=[xs]) for state in ("external", "internal"))
    saturated = [run_forms(dict.fromkeys(FORMS, artifact), [xs])[0] for artifact in (outside, inside)]
    assert saturated[0][1] == saturated[1][1] > 0.1
    np.testing.assert_array_equal(saturated[0][0]["quantized"], saturated[1][0]["quantized"])


@pytest.fixture(scope="module")
def artifact():
    """A SimpleRNN that keeps its state inside: the state of one stream must not reach the next."""
    from recurrent_models import Form, recurrent_model

    from tflite import convert

    xs = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    return convert(recurrent_model(Form((3,), cell="SimpleRNN")), state="internal", representative=[xs])


def test_streams_shared_out_among_processes_run_as_each_by_itself(artifact, monkeypatch):
    streams = [np.random.default_rng(seed).normal(size=(60 + 7 * seed, 3)).astype(np.float32) for seed in range(5)]
    expected = [
        run_stream(load_model(artifact.tflite, runtime), xs)[0] for xs in streams for runtime in ("litert", "tflm")
    ]
    monkeypatch.setattr("tflite.drift.SHARE_STEPS", 600)
    monkeypatch.setattr("tflite.drift.run_stream", None)  # nothing runs in this process any more
    ran = run_forms(dict.fromkeys(FORMS, artifact), streams)
    for i, (outputs, _) in enumerate(ran):
        np.testing.assert_array_equal(outputs["quantized"], expected[2 * i])
        np.testing.assert_array_equal(outputs["quantized_tflm"], expected[2 * i + 1])


def test_a_share_whose_process_dies_is_told_in_one_line(artifact, monkeypatch):
    monkeypatch.setattr("tflite.drift.SHARE_STEPS", 100)
    monkeypatch.setattr("tflite.drift._run_share", die)
    with pytest.raises(UserError, match=r"^test_drift.die died in its process \(SIGKILL\); free some memory") as told:
        run_forms(dict.fromkeys(FORMS, artifact), [np.zeros((60, 3), np.float32)] * 2)
    assert "\n" not in str(told.value)


def die(artifacts, streams):
    os.kill(os.getpid(), signal.SIGKILL)


def test_rmse():
    assert rmse(np.array([1.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(np.sqrt((9 + 16) / 2))
    assert rmse(np.array([1.0, np.nan]), np.array([4.0, np.nan])) == 3
    assert np.isnan(rmse(np.array([1.0, np.nan]), np.array([4.0, 5.0])))
    assert np.isnan(rmse(np.array([1.0, 2.0]), np.array([4.0, np.nan])))
