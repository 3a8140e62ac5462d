"""The same rows in every form they come in from the field give the same series."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.pipeline.bucket_file_system import stored
from tests.pipeline.conftest import HEADER, csv_text


def series_of(job):
    """What was recorded, without the name of the stream, which follows the name of the file."""
    job.manifest()
    return {name: values for name, values in job.series().items() if name != "stream"}


@pytest.fixture
def plain(job):
    job.rows(job.seconds(60))
    expected = series_of(job)
    (job.folder / "rows" / "a.csv").unlink()
    return expected


def reordered(rows):
    return csv_text([[row[4], row[2], row[0], row[3], row[1]] for row in rows], "note,load,time,fault,speed")


FORMS = {
    "byte order mark": lambda rows: "\ufeff" + csv_text(rows),
    "quoted": lambda rows: csv_text([[f'"{cell}"' for cell in row] for row in rows], HEADER.replace("load", '"load"')),
    "delimiter in quotes": lambda rows: csv_text([[*row[:4], '"a, b"'] for row in rows]),
    "comma after each row": lambda rows: csv_text([[*row, ""] for row in rows]),
    "comma after each line": lambda rows: csv_text([[*row, ""] for row in rows], HEADER + ","),
    "spaces": lambda rows: csv_text([[row[0], *(f"  {cell} " for cell in row[1:])] for row in rows]),
    "Windows": lambda rows: csv_text(rows).replace("\n", "\r\n"),
    "units in the header": lambda rows: csv_text(rows, "time,speed [m/s], load (N),fault (),note"),
    "other order": reordered,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_csv_in_every_form(job, plain, form):
    job.text(FORMS[form](job.seconds(60)))
    assert series_of(job) == plain


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiters(job, plain, delimiter):
    job.scenario(('stream = "file"', f'stream = "file"\ndelimiter = {json.dumps(delimiter)}'))
    job.rows(job.seconds(60), delimiter=delimiter)
    assert series_of(job) == plain


def test_gzip(job, plain):
    job.text(gzip.compress(csv_text(job.seconds(60)).encode()), "a.csv.gz")
    assert series_of(job) == plain


def test_parquet(job, plain):
    table = pa.csv.read_csv(io.BytesIO(csv_text(job.seconds(60)).encode()))
    (job.folder / "rows").mkdir(exist_ok=True)
    pq.write_table(table.select([4, 1, 0, 3, 2]), job.folder / "rows" / "a.parquet", row_group_size=7)
    assert series_of(job) == plain


@pytest.mark.parametrize("name, pack", [("a.jsonl", bytes), ("a.ndjson.gz", gzip.compress)])
def test_json_lines(job, plain, name, pack):
    objects = [dict(zip(HEADER.split(","), row, strict=True)) for row in job.seconds(60)]
    for number, one in enumerate(objects):
        if number % 2:
            one |= {"speed": float(one["speed"]), "fault": int(one["fault"]), "other": [1]}
    lines = [json.dumps(one) for one in objects]
    job.text(pack(("\n".join([*lines[:30], "", *lines[30:]]) + "\n").encode()), name)
    assert series_of(job) == plain


def test_lines_that_are_no_objects_are_rejected(job):
    lines = [json.dumps(dict(zip(HEADER.split(","), row, strict=True))) for row in job.seconds(60)]
    lines[9], lines[19], lines[29] = lines[9][:-3], "[1, 2]", lines[29].replace('"speed": "', '"speed": "x')
    job.text("\n".join(lines), "a.jsonl")
    assert job.manifest()["counts"]["rows_kept"] == 57
    assert [(row["row"], row["column"], row["reason"]) for row in job.rejected()] == [
        (10, "", "is not a JSON object"),
        (20, "", "is not a JSON object"),
        (30, "speed", "not a number"),
    ]


def test_a_line_without_end_is_one_clear_line(job, monkeypatch):
    monkeypatch.setattr("pipeline.read_json_lines.LINE_BYTES", 1000)
    job.text('{"time": "' + "1" * 2000, "a.jsonl")
    assert "a.jsonl: row 1: longer than 1,000 bytes" in job.refusal()


@pytest.mark.parametrize(
    "unit, time",
    [
        ("s", lambda second: f"{1714557600 + second}"),
        ("s", lambda second: f"{1714557600 + second}.0"),
        ("ms", lambda second: f"{(1714557600 + second) * 1000}"),
        ("s", lambda second: f"2024-05-01T12:{second // 60:02d}:{second % 60:02d}+02:00"),
        ("s", lambda second: f"2024-05-01T10:{second // 60:02d}:{second % 60:02d}.000Z"),
    ],
)
def test_times(job, plain, unit, time):
    job.scenario(('step = "1s"', f'step = "1s"\ntime_unit = "{unit}"'))
    job.rows([[time(second), *row[1:]] for second, row in enumerate(job.seconds(60))])
    assert series_of(job) == plain


def test_seconds_since_the_start_of_a_drive(job, plain):
    job.rows([[f"{second}", *row[1:]] for second, row in enumerate(job.seconds(60))])
    since_start = series_of(job)
    assert (np.diff(since_start.pop("time")) == np.timedelta64(1, "s")).all()
    assert since_start == {name: values for name, values in plain.items() if name != "time"}


def test_column_under_another_name(job, plain):
    job.scenario(('name = "speed"', 'name = "speed"\nheader = "v (km/h)"'))
    job.rows(job.seconds(60), header="time,v (km/h),load,fault,note")
    assert series_of(job) == plain


def test_optional_column(job):
    job.scenario(('name = "load"', 'name = "load"\noptional = true'))
    job.rows(job.seconds(60))
    job.rows([[row[0], row[1], row[3]] for row in job.seconds(60)], "b.csv", header="time,speed,fault")
    job.rows([row[:2] + row[3:4] for row in job.seconds(60)], "c.csv", header="time,speed,fault,load")
    counts = job.manifest()["counts"]
    assert (counts["rows_kept"], counts["rows_rejected"]) == (180, 0)
    assert [np.isnan(value) for value in job.series()["load"]] == [False] * 60 + [True] * 120


def test_rows_that_all_end_early_lack_columns(job):
    job.rows([row[:3] for row in job.seconds(60)])
    assert 'a.csv: has no column "fault"; present: time, speed, load' in job.refusal()


def test_unit_in_the_header_against_the_scenario(job):
    job.rows(job.seconds(60), header="time,speed (km/h),load,fault,note")
    assert 'a.csv: the column "speed (km/h)" is in km/h, the scenario says unit = "m/s"' in job.refusal()


def test_column_that_is_there_twice(job):
    job.rows(job.seconds(60), header="time,speed,load,fault,speed [m/s]".replace("speed,", "speed [m/s],"))
    assert 'a.csv: the column "speed" is there 2 times' in job.refusal()


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_ten_thousand_columns(job, plain, kind):
    header = HEADER + "," + ",".join(f"c{index}" for index in range(10_000 - 5))
    text = csv_text([[*row, *["1"] * (10_000 - 5)] for row in job.seconds(60)], header)
    if kind == "csv":
        job.text(text)
    elif kind == "jsonl":
        lines = [line.split(",") for line in text.splitlines()]
        job.text("".join(json.dumps(dict(zip(lines[0], line, strict=True))) + "\n" for line in lines[1:]), "a.jsonl")
    else:
        (job.folder / "rows").mkdir(exist_ok=True)
        pq.write_table(pa.csv.read_csv(io.BytesIO(text.encode())), job.folder / "rows" / "a.parquet")
    assert series_of(job) == plain


@pytest.mark.parametrize("pattern", ["bucket://fleet/", "bucket://fleet/*.csv.gz"])
def test_any_file_system_of_beam(job, bucket, plain, pattern):
    stored("bucket://fleet/a.csv.gz").write_bytes(gzip.compress(csv_text(job.seconds(60)).encode()))
    stored("bucket://fleet/notes.txt").write_bytes(b"no rows")
    job.scenario(('path = "rows"', f'path = "{pattern}"'))
    assert series_of(job) == plain
    assert job.series()["stream"][0] == "a.csv.gz"


def test_nothing_on_a_file_system_of_beam(job, bucket):
    job.scenario(('path = "rows"', 'path = "bucket://fleet/*.csv"'))
    assert "data.path: no files at bucket://fleet/*.csv" in job.refusal()


def test_a_file_elsewhere_that_changes_while_it_is_read(job, bucket, monkeypatch):
    from pipeline import read_rows

    def growing(path, scenario, malformed):
        yield from csv_batches(path, scenario, malformed)
        stored(path).write_bytes(stored(path).read_bytes() + b"2024-05-01 10:01:00,1,1,0,ok\n")

    csv_batches = read_rows.csv_batches
    stored("bucket://fleet/a.csv").write_bytes(csv_text(job.seconds(60)).encode())
    monkeypatch.setattr("pipeline.read_rows.csv_batches", growing)
    job.scenario(('path = "rows"', 'path = "bucket://fleet/"'))
    assert "bucket://fleet/a.csv: changed while it was read" in job.refusal()


def test_unknown_file_system(job):
    job.scenario(('path = "rows"', 'path = "nowhere://fleet/*.csv"'))
    assert "data.path: nowhere://fleet/*.csv cannot be read" in job.refusal()
