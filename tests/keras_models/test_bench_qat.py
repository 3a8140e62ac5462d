"""The bench says what it measured, and both models were trained for it."""

import keras
import numpy as np

from keras_models import bench_qat


def test_entry(monkeypatch):
    monkeypatch.setattr(bench_qat, "ROUNDS", 3)
    epochs, clock = [], iter(np.cumsum([0, 9, 0, 9, 0, 2, 0, 4, 0, 4, 0, 6, 0, 3, 0, 3]))
    monkeypatch.setattr(bench_qat.time, "perf_counter", lambda: float(next(clock)))

    class Counted:
        def __init__(self, name):
            self.name = name

        def compile(self, *args):
            assert args == ("adam", "mse")

        def fit(self, xs, ys, batch_size, verbose):
            assert len(xs) == len(ys) == 100 and batch_size == bench_qat.BATCH
            epochs.append(self.name)

    values = np.zeros((100, 2, 1), np.float32)
    entry = bench_qat.bench_epoch("QAT", Counted("ours"), Counted("rival"), "plain", values, values)
    assert epochs == ["ours", "rival", "ours", "rival", "rival", "ours", "ours", "rival"]
    # Seconds of an epoch of two batches: ours 2, 6, 3 after the first, the rival's 4, 4, 3.
    assert entry == {
        "name": "QAT",
        "unit": "ms/batch",
        "ours": 1500.0,
        "rival": 2000.0,
        "rival_name": "plain",
        "ratio": {"min": 0.5, "median": 1.0, "max": 1.5},
    }


def test_every_cell(monkeypatch):
    """A twin that is the plain model itself: an entry for each cell, of times that passed."""
    for name, value in {"ROUNDS": 1, "TIMESTEPS": 3, "UNITS": 2, "BATCH": 2, "BATCHES": 2}.items():
        monkeypatch.setattr(bench_qat, name, value)
    entries = bench_qat.bench_cells(keras.models.clone_model)
    assert [entry["rival_name"] for entry in entries] == [f"keras.layers.{cell}" for cell in bench_qat.CELLS]
    assert all(entry["ours"] > 0 and entry["ratio"]["min"] > 0 for entry in entries)
