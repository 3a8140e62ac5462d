"""The fleet as files, by the command line, and as a Beam source."""

import hashlib
import json

import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to
from fleet_rows import tables

import edgernn
from pipeline.fleet.fleet_settings import FleetSettings
from pipeline.fleet.fleet_source import SimulateFleet
from pipeline.fleet.simulate_fleet import ROWS, simulate_fleet
from pipeline.quiet_beam import beam

OPTIONS = ["--vehicles", "4", "--hours", "0.6", "--seed", "5", "--healthy-hours", "0.1", "--fault-hours", "0.1"]
SETTINGS = FleetSettings(vehicles=4, hours=0.6, seed=5, healthy_hours=0.1, fault_hours=0.1)


def simulate(folder, *options):
    return edgernn.main(["simulate", str(folder), *OPTIONS, *options])


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(capsys, folder, *options):
    capsys.readouterr()
    assert simulate(folder, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("edgernn: ") and error.count("\n") == 1, error
    return error


def test_files(tmp_path, capsys):
    assert simulate(tmp_path / "a") == 0
    assert "8,640 rows of 4 vehicles" in capsys.readouterr().out
    written = tree(tmp_path / "a")
    names = [f"rows/truck-{vehicle:05d}.parquet" for vehicle in range(4)]
    assert sorted(written) == ["fleet.json", "labels.parquet", *names]
    for vehicle, table in tables(SETTINGS, range(4)).items():
        assert pq.read_table(tmp_path / "a" / names[vehicle]).equals(table)


def test_the_same_settings_give_the_same_bytes_over_what_lay_there(tmp_path):
    assert simulate(tmp_path / "a") == 0
    assert simulate(tmp_path / "b", "--vehicles", "6", "--seed", "6", "--format", "csv") == 0
    (tmp_path / "b/rows/.truck-00000.parquet.1.tmp").write_text("of a killed run")
    assert simulate(tmp_path / "b") == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_fleet_made_in_parts(tmp_path):
    assert simulate(tmp_path / "whole") == 0
    assert simulate(tmp_path / "part", "--first", "2", "--vehicles", "2") == 0
    whole, part = tree(tmp_path / "whole"), tree(tmp_path / "part")
    for name in ("rows/truck-00002.parquet", "rows/truck-00003.parquet"):
        assert part[name] == whole[name]
    assert "rows/truck-00000.parquet" not in part


def test_labels_say_what_the_rows_say(tmp_path):
    assert simulate(tmp_path) == 0
    codes = json.loads((tmp_path / "fleet.json").read_text())["faults"]
    labels = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    assert len(labels) >= 4
    faulty = 0
    for label in labels:
        assert codes[label["fault"]] == label["code"] and (label["channel"] in ROWS.names)
        rows = pq.read_table(tmp_path / "rows" / f"{label['vehicle']}.parquet")
        within = rows.filter((pc.field("time") >= label["begin"]) & (pc.field("time") < label["end"]))
        assert set(within["fault"].to_pylist()) == {label["code"]}
        faulty += len(within)
    everything = [pq.read_table(path) for path in (tmp_path / "rows").iterdir()]
    assert faulty == sum(pc.sum(pc.greater(rows["fault"], 0)).as_py() for rows in everything)


def test_csv_says_the_same(tmp_path):
    assert simulate(tmp_path / "a", "--vehicles", "1", "--format", "csv") == 0
    kinds = {field.name: field.type for field in ROWS}
    read = pyarrow.csv.read_csv(
        tmp_path / "a/rows/truck-00000.csv", convert_options=pyarrow.csv.ConvertOptions(column_types=kinds)
    )
    assert read.combine_chunks().equals(tables(SETTINGS, range(1))[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vehicles", "0"], "vehicles: expected a whole number"),
        (["--hours", "0"], "hours: expected a number above 0"),
        (["--hours", "nan"], "hours: expected a number above 0"),
        (["--seed", "-1"], "seed: expected a whole number"),
        (["--fault-hours", "0"], "fault_hours: expected a number above 0"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, capsys, options, message):
    assert message in refusal(capsys, tmp_path / "new", *options)
    assert not (tmp_path / "new").exists()


def test_a_place_that_is_taken(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    assert "taken" in refusal(capsys, tmp_path / "taken")


def digest(rows):
    first = rows.slice(0, 1).to_pylist()[0]
    return first["vehicle"], first["time"].isoformat(), hashlib.sha256(rows.serialize()).hexdigest()


@pytest.mark.parametrize("at_once", [1, 3, 512])
def test_the_beam_source_gives_the_same_rows_however_it_is_cut(at_once):
    expected = [digest(rows) for _, rows in simulate_fleet(SETTINGS, range(4))]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        rows = pipeline | SimulateFleet(SETTINGS, at_once) | beam.Map(digest)
        assert_that(rows, equal_to(expected))
