"""The shipped scenarios on the real data sets, where a local copy is at hand."""

import json
import os
from pathlib import Path

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


def test_skab_follows_the_protocol(tmp_path):
    folder, manifest = run("skab", "skab", tmp_path)
    counts = manifest["counts"]
    assert (counts["rows_in"], counts["rows_rejected"], len(manifest["streams"])) == (37_401, 0, 34)
    observed = pq.read_table(folder / "streams", filters=[("observed", "=", True)])
    test = observed.filter(pq.filters_to_expression([("part", "=", "test")]))
    assert len(observed) - len(test) == 34 * 400
    assert len(test) == 23_801
    assert round(sum(test["anomaly"].to_pylist()) / len(test), 3) == 0.537
