"""The study of a long free run."""

import json
from types import SimpleNamespace

import numpy as np

import edgernn
from tflite.runtimes.step_runtime import TensorSpec
from tflite.studies import long_run
from tflite.studies.long_run import _pass


def test_a_forecaster_runs_on_without_a_reset(built_forecast, monkeypatch):
    monkeypatch.setattr(long_run, "STEPS", 200)
    assert edgernn.main(["long-run", str(built_forecast.scenario), "--build", str(built_forecast.build)]) == 0
    records = json.loads((built_forecast.folder / "long_run.json").read_text())
    real, shipped = (records.pop(form) for form in ("float32", "int8, shipped"))
    ((name, wide),) = records.items()
    assert name in ("int16, calibrated", "int16, fine-tuned")
    assert real["loss"] == real["state_rmse"] == 0 and real["steps"] >= 200
    assert 0 < wide["state_rmse"] < shipped["state_rmse"] < 0.1
    for one in (real, shipped, wide):
        assert one["stuck"] == 0 and np.isfinite([one["wape"], one["first"], one["last"]]).all()
    assert real["first"] != real["last"], "the first pass begins with zero states, the last where one ended"


def test_only_a_forecaster(built_anomaly, capsys):
    assert edgernn.main(["long-run", str(built_anomaly.scenario), "--build", str(built_anomaly.build)]) == 2
    assert "task = 'forecast'" in capsys.readouterr().err


def test_stuck_is_a_state_that_stays_at_a_limit():
    """Of four int8 elements one is always 127, one always -128, one 127 but once; a float state has no limits."""
    states = iter([{"h": np.int8([127, -128, 127, 5]), "c": np.float32([1e9])} for _ in range(8)])

    def step(x):
        runtime.states = next(states)
        if x == 3:
            runtime.states["h"][2] = 126
        return x[None]

    runtime = SimpleNamespace(
        step=step, state_specs=[TensorSpec("h", (4,), "int8", 0.5, 1), TensorSpec("c", (1,), "float32")]
    )
    _, reals, stuck = _pass(runtime, np.arange(8.0))
    assert stuck == 2 / 5
    np.testing.assert_array_equal(reals[3], [63, -64.5, 62.5, 2, 1e9])
