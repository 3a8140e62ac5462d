"""The benchmark compares like with like: the scripts find the same grid, windows and statistics as the stage."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.bench import edgernn_run, pyarrow_script
from pipeline.bench.bench_preprocess import bench_preprocess
from pipeline.bench.fleet_rows import CHANNELS, VEHICLES, write_fleet

ROWS = VEHICLES * 1500
KEYS = [("stream", "ascending"), ("time", "ascending")]


@pytest.fixture(scope="module", params=["parquet", "csv"])
def fleet(request, tmp_path_factory):
    """(folder of the rows, the stage's dataset folder, its dataset.json)."""
    folder = tmp_path_factory.mktemp(request.param) / "fleet"
    write_fleet(folder, ROWS, request.param)
    edgernn_run.run(folder, folder / "ours", ROWS)
    dataset = folder / "ours" / "fleet" / "dataset"
    return folder, dataset, json.loads((dataset / "dataset.json").read_text())


def test_pyarrow_script_does_the_same(fleet, tmp_path):
    folder, dataset, manifest = fleet
    statistics = pyarrow_script.run(folder, tmp_path, ROWS)
    ours, theirs = pq.read_table(dataset / "streams").sort_by(KEYS), pq.read_table(tmp_path / "streams.parquet")
    assert ours["time"].to_pylist() == theirs["time"].to_pylist()
    assert ours["part"].to_pylist() == theirs["part"].to_pylist()
    for place, name in enumerate(CHANNELS):
        np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-6)
        assert manifest["statistics"][name]["mean"] == pytest.approx(statistics["mean"][place], rel=1e-6)
        assert manifest["statistics"][name]["std"] == pytest.approx(statistics["std"][place], rel=1e-6)
    for part in ("train", "validation"):
        assert manifest["counts"]["windows"][part] == len(pq.read_table(tmp_path / f"{part}.parquet"))
    assert manifest["counts"]["rows_rejected"] == len(pq.read_table(tmp_path / "rejected.parquet"))


def test_polars_script_does_the_same(fleet, tmp_path):
    pytest.importorskip("polars", reason="polars comes with the development extras")
    from pipeline.bench import polars_script

    folder, dataset, manifest = fleet
    statistics = polars_script.run(folder, tmp_path, ROWS)
    ours = pq.read_table(dataset / "streams").sort_by(KEYS)
    theirs = pq.read_table(tmp_path / "streams.parquet").sort_by([("vehicle", "ascending"), ("second", "ascending")])
    assert ours["time"].cast("timestamp[us]").to_pylist() == theirs["second"].cast("timestamp[us]").to_pylist()
    for name in CHANNELS:
        np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-6)
        assert manifest["statistics"][name]["mean"] == pytest.approx(statistics[f"{name} mean"], rel=1e-5)
    for part in ("train", "validation"):
        assert manifest["counts"]["windows"][part] == len(pq.read_table(tmp_path / f"{part}.parquet"))


def test_entries_are_complete():
    pytest.importorskip("polars", reason="polars comes with the development extras")
    entries = bench_preprocess(rows=ROWS, many_rows=2 * ROWS, rounds=1)
    assert [entry["name"] for entry in entries[:5:4]] == ["preprocess-parquet", "preprocess-csv"]
    assert all(entry["ours"] > 0 and entry["rival"] > 0 for entry in entries)
