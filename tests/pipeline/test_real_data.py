"""The shipped scenarios on the real data sets, where a local copy is at hand."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.data_sets import DATA_SETS

ROOT = Path(__file__).parents[2]


def copies(name):
    """The folder with a local copy of the set; skips where there is none."""
    for folder in (os.environ.get("EDGERNN_DATA"), ROOT / "build" / "data"):
        if folder and all((Path(folder) / name / file).exists() for file in DATA_SETS[name].files):
            return str(folder)
    pytest.skip(f"no local copy of {name}: neither in EDGERNN_DATA nor in build/data")


def run(scenario, data, tmp_path):
    path = ROOT / "scenarios" / f"{scenario}.toml"
    assert main([str(path), "--build", str(tmp_path), "--data", copies(data)]) == 0
    return tmp_path / scenario / "dataset", json.loads(
        (tmp_path / scenario / "dataset/dataset.json").read_text()
    )


def test_demand_has_every_hour(tmp_path):
    folder, manifest = run("demand", "bikeshare", tmp_path)
    assert manifest["counts"]["rows_kept"] == manifest["counts"]["bins"] == 78_421
    assert manifest["counts"]["rows_rejected"] == manifest["counts"]["missing_bins"] == 0
    test = pq.read_table(folder / "streams", filters=[("part", "=", "test")])
    assert len(test) == 365 * 24 + 1
    assert manifest["statistics"]["count"]["max"] < 1_986  # the record hour lies after the training part


def test_taxi_follows_the_protocol(tmp_path):
    """Two lines of types are no rows; the test part begins with row 10,000."""
    folder, manifest = run("taxi", "nyc_taxi", tmp_path)
    counts = manifest["counts"]
    assert (counts["rows_kept"], counts["rows_rejected"], counts["missing_bins"]) == (17_520, 2, 0)
    test = pq.read_table(folder / "streams", filters=[("part", "=", "test")])
    assert len(test) == 17_520 - 10_000


def test_skab_follows_the_protocol(tmp_path):
    folder, manifest = run("skab", "skab", tmp_path)
    counts = manifest["counts"]
    assert (counts["rows_in"], counts["rows_rejected"], len(manifest["streams"])) == (37_401, 0, 34)
    observed = pq.read_table(folder / "streams", filters=[("observed", "=", True)])
    test = observed.filter(pq.filters_to_expression([("part", "=", "test")]))
    assert len(observed) - len(test) == 34 * 400
    assert len(test) == 23_801
    assert round(sum(test["anomaly"].to_pylist()) / len(test), 3) == 0.537


CAROBD_PLACES = {1: "rpm", 2: "VEHICLE_SPEED", 5: "COOLANT_TEMPERATURE", 21: "CONTROL_MODULE_VOLTAGE"}


def test_carobd_is_not_shifted_by_a_column(tmp_path):
    """Every data row ends in a comma: a naive reader makes the clock of the engine its speed, and so on, silently."""
    folder = Path(os.environ.get("EDGERNN_DATA", "")) / "carobd" / "obdiidata"
    if not folder.is_dir():
        pytest.skip("no copy of carobd in EDGERNN_DATA")
    scenario = tmp_path / "carobd.toml"
    text = (ROOT / "tests/pipeline/carobd.toml").read_text()
    scenario.write_text(text.replace('path = "obdiidata"', f'path = "{folder}"'))
    assert main([str(scenario), "--build", str(tmp_path)]) == 0
    dataset = tmp_path / "carobd" / "dataset"
    counts = json.loads((dataset / "dataset.json").read_text())["counts"]
    assert counts["rows_in"] == counts["rows_kept"] + counts["rows_merged"] + counts["rows_rejected"] == 155_219
    rejected = pq.read_table(dataset / "rejected").to_pylist()
    assert sorted((row["file"], row["row"], row["reason"]) for row in rejected) == [
        ("idle1.csv.gz", 1213, "has 17 fields, expected 28"),
        ("live16.csv.gz", 3082, "has 18 fields, expected 28"),
        ("ufpe4.csv.gz", 1349, "has 23 fields, expected 28"),
    ]
    for drive in ("drive1", "live6", "long3"):
        expected = carobd_by_hand(folder / f"{drive}.csv.gz")
        chosen = [("stream", "=", f"{drive}.csv.gz"), ("observed", "=", True)]
        series = pq.read_table(dataset / "streams", filters=chosen).sort_by("time")
        assert series["time"].cast(pa.int64()).to_pylist() == [second * 1000 for second in expected]
        for place, name in CAROBD_PLACES.items():
            means = [np.mean([row[place] for row in rows]) for rows in expected.values()]
            np.testing.assert_allclose(series[name].to_numpy(), means, rtol=1e-6)
        assert np.isnan(series["WARM_UPS_SINCE_CODES_CLEARED"].to_numpy()).all() == (drive == "live6")


def carobd_by_hand(path):
    """Second -> its rows as lists of numbers, cut at commas; of rows that agree in what the scenario reads, one."""
    read = (1, 2, 4, 5, 8, 21, 26)
    seconds, seen = {}, set()
    with gzip.open(path, "rt") as file:
        for line in file.readlines()[1:]:
            row = [float(cell) for cell in line.split(",") if cell.strip()]
            if len(row) < 24:
                continue  # cut short, or empty
            told = (row[0], *(row[place] for place in read if place < len(row)))
            if told not in seen:
                seconds.setdefault(int(row[0]), []).append(row)
            seen.add(told)
    return dict(sorted(seconds.items()))
