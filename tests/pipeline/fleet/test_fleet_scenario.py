"""A simulated fleet as the data of a scenario."""

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from fleet_rows import columns, tables

from pipeline import load_scenario
from pipeline.__main__ import main

TRUCK = (Path(__file__).parents[3] / "scenarios" / "truck.toml").read_text()
SMALL = (
    ("vehicles = 84", "vehicles = 3"),
    ("hours = 4.3", "hours = 0.5"),
    ("healthy_hours = 2.4", "healthy_hours = 0.3"),
    ("fault_hours = 0.8", "fault_hours = 0.1"),
    ("train = 8640", "train = 1000"),
    ("validation = 900", "validation = 300"),
)


def scenario(folder, *changes):
    text = TRUCK
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "small_truck.toml"
    path.write_text(text)
    return path


def test_every_reading_arrives_in_its_column(tmp_path):
    """A row a second on a grid of a second: the streams are the simulated rows, none moved."""
    path = scenario(tmp_path, *SMALL)
    assert main([str(path), "--build", str(tmp_path / "build")]) == 0
    dataset = tmp_path / "build/small_truck/dataset"
    counts = json.loads((dataset / "dataset.json").read_text())["counts"]
    assert (counts["rows_in"], counts["rows_kept"]) == (5400, 5400)
    streams = pq.read_table(dataset / "streams").sort_by([("stream", "ascending"), ("time", "ascending")])
    settings = load_scenario(path)
    for vehicle, table in tables(settings.fleet, range(3)).items():
        found = columns(streams.filter(pc.equal(streams["stream"], f"truck-{vehicle:05d}")))
        for column in settings.columns:
            expected = table[column.name].to_numpy().astype(np.float32)
            assert np.array_equal(found[column.name], expected, equal_nan=True), column.name
    assert pq.read_table(tmp_path / "build/data/small_truck/labels.parquet").num_rows >= 3


def test_a_smaller_fleet_leaves_nothing_of_the_bigger_one(tmp_path):
    for vehicles in (5, 3):
        path = scenario(tmp_path, ("vehicles = 84", f"vehicles = {vehicles}"), *SMALL[1:])
        assert main([str(path), "--build", str(tmp_path / "build")]) == 0
    manifest = json.loads((tmp_path / "build/small_truck/dataset/dataset.json").read_text())
    assert manifest["streams"] == ["truck-00000", "truck-00001", "truck-00002"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[fleet]\n", "[flete]\n"), 'flete: unknown key; did you mean "fleet"?'),
        (("vehicles = 84 ", "vehicles = 0 "), "fleet.vehicles: expected a whole number"),
        (("healthy_hours", "healthy_days"), 'fleet.healthy_days: unknown key; did you mean "healthy_hours"?'),
        (('set = "fleet"', 'path = "rows"'), "[fleet]"),
    ],
)
def test_what_a_scenario_says_wrong(tmp_path, capsys, change, message):
    assert main([str(scenario(tmp_path, change)), "--build", str(tmp_path / "build")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "build").exists()


def test_a_fleet_needs_its_table(tmp_path, capsys):
    begin, end = TRUCK.index("[fleet]"), TRUCK.index("[[columns]]")
    (tmp_path / "no_fleet.toml").write_text(TRUCK[:begin] + TRUCK[end:])
    assert main([str(tmp_path / "no_fleet.toml"), "--build", str(tmp_path / "build")]) == 2
    assert "data.set" in capsys.readouterr().err
