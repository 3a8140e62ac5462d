"""The published figures that scenarios/taxi.toml quotes, recomputed from the predictions their authors ship."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline import load_scenario
from tflite.forecast_error import lead_truth, nrmse, wape

SCENARIO = Path(__file__).parents[2] / "scenarios" / "taxi.toml"
FIRST, LEAD = 10_000, 5
FILES = {
    "k nearest neighbours": "plainKNN_pred",
    "HTM": "TM_pred",
    "LSTM-6000": "LSTM6000_pred_DERIVED",
    "LSTM-3000": "LSTM3000_pred_DERIVED",
    "LSTM-1000": "LSTM1000_pred_DERIVED",
    "echo state network": "esn_online_pred",
    "TDNN": "tdnn_pred",
    "extreme learning machine": "elm_pred",
    "ARIMA": "ARIMA_pred",
}


@pytest.fixture(scope="module")
def mirror():
    folder = Path(os.environ.get("EDGERNN_DATA", "/nowhere")) / "nyc_taxi"
    if not (folder / "baseline_predictions").is_dir():
        pytest.skip("no predictions of others: EDGERNN_DATA/nyc_taxi/baseline_predictions is not there")
    with open(folder / "nyc_taxi.csv", newline="") as file:
        counts = np.array([float(row["passenger_count"]) for row in list(csv.DictReader(file))[2:]])
    return folder / "baseline_predictions", counts


def predictions(path, steps):
    """(steps,) what was said at each step of the one LEAD later, NaN where nothing was."""
    said = np.full(steps, np.nan)
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    if "prediction_t_plus_5" in rows[0]:
        for row in rows:
            said[int(row["iteration"])] = float(row["prediction_t_plus_5"])
        return said
    values = [row["prediction-5step"] for row in rows[2:]]
    said[: len(values)] = [float(value) if value not in ("", "None") else np.nan for value in values]
    return said


def test_every_published_method_has_a_file_here():
    assert {one.name for one in load_scenario(SCENARIO).published} == set(FILES)


@pytest.mark.parametrize("method", FILES)
def test_published_figures(mirror, method):
    folder, counts = mirror
    quoted = next(one for one in load_scenario(SCENARIO).published if one.name == method)
    said = predictions(folder / f"nyc_taxi_{FILES[method]}.csv.gz", len(counts))[FIRST:]
    truth = lead_truth(counts, (LEAD, LEAD))[FIRST:, 0]
    truth[~np.isfinite(said)] = np.nan
    assert np.isfinite(truth).sum() > 7000
    assert wape(truth, said) == pytest.approx(quoted.value, abs=0.0006)
    assert nrmse(truth, said, counts.std()) == pytest.approx(quoted.nrmse, abs=0.002)
