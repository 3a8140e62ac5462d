"""Bad input: each ends in one clear line and exit 2, or in rejected rows that are accounted for."""

import gzip
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from tests.pipeline.conftest import csv_text


def replaced(rows, row, cell, value):
    """The rows with one cell changed; `row` counts from 1."""
    rows[row - 1][cell] = value
    return rows


# Files that cannot be used at all


def test_empty_file(job):
    job.rows(job.seconds(60))
    job.text("", "b.csv")
    assert "b.csv: is empty" in job.refusal()


def test_header_only(job):
    job.rows(job.seconds(60))
    job.rows([], "b.csv")
    assert "b.csv: has a header but no rows" in job.refusal()


def test_wrong_delimiter_names_the_one_found(job):
    job.rows(job.seconds(60), delimiter=";")
    refusal = job.refusal()
    assert 'a.csv: has no column "time"' in refusal
    assert "the header holds ';': is data.delimiter = ',' right?" in refusal


def test_missing_column_names_those_present(job):
    job.rows(job.seconds(60), header="time,speed,weight,fault,note")
    assert 'a.csv: has no column "load"; present: time, speed, weight, fault, note' in job.refusal()


def test_no_files(job):
    assert "data.path: no files at" in job.refusal()


def test_broken_parquet(job):
    job.text(b"PAR1 this is not", "a.parquet")
    assert "a.parquet: is not readable as Parquet" in job.refusal()


def test_parquet_without_the_column(job):
    job.text("", "a.parquet")
    pq.write_table(pa.table({"time": ["2024-05-01"], "speed": [1.0]}), job.folder / "rows" / "a.parquet")
    assert 'a.parquet: has no column "load"; present: time, speed' in job.refusal()


def test_several_bad_files_are_counted(job):
    for name in ("a.csv", "b.csv", "c.csv"):
        job.text("", name)
    assert "a.csv: is empty" in (refusal := job.refusal()) and "(and 2 more like it)" in refusal


# Rows that cannot be used


BAD_CELLS = [
    (1, "fast", "speed", "not a number"),
    (1, "1_0", "speed", "not a number"),
    (1, "Inf", "speed", "not finite"),
    (2, "-inf", "load", "not finite"),
    (2, "1e999", "load", "not finite"),
    (2, "1e39", "load", "too large for float32"),
    (1, "50.001", "speed", "above max = 50 m/s"),
    (1, "-51", "speed", "below min = -50 m/s"),
    (0, "yesterday", "time", "not a time: expected ISO such as 2020-03-09 10:14:33, or seconds"),
    (0, "2024-02-30 10:00:00", "time", "not a time: expected ISO such as 2020-03-09 10:14:33, or seconds"),
    (0, "", "time", "time is missing"),
    (0, "2024-05-01 10:00:00", "time", "the time is there already with other values; its first row is kept"),
]


def test_rows_are_rejected_each_with_its_reason(job):
    rows = job.seconds(60)
    expected = []
    for row, (cell, value, column, reason) in enumerate(BAD_CELLS, start=4):
        replaced(rows, row, cell, value)
        shown = value if value != "2024-05-01 10:00:00" else "2024-05-01T10:00:00"
        expected.append({"file": "a.csv", "row": row, "column": column, "value": shown, "reason": reason})
    job.scenario(('step = "1s"', 'step = "1s"\nmax_gap = "1min"'))
    job.rows(rows)
    counts = job.manifest()["counts"]
    assert job.rejected() == expected
    assert (counts["rows_in"], counts["rows_kept"], counts["rows_rejected"]) == (60, 48, 12)
    assert "rows: 60 in = 48 kept + 12 rejected" in job.capsys.readouterr().out
    assert job.series()["observed"] == [True] * 3 + [False] * 12 + [True] * 45


def test_bytes_that_are_no_text(job):
    rows = replaced(job.seconds(60), 30, 1, "@@")
    job.rows(rows)
    path = job.folder / "rows" / "a.csv"
    path.write_bytes(path.read_bytes().replace(b"@@", b"\xff\xfe"))
    assert job.manifest()["counts"]["rows_rejected"] == 1
    assert (job.rejected()[0]["row"], job.rejected()[0]["reason"]) == (30, "not a number")


def test_rows_with_another_number_of_fields(job):
    rows = job.seconds(60)
    rows[19] = ["2024-05-01 10:00:19", "1"]
    rows[29] = ["x", "1", "2", "3", "4", "5"]
    rows[39][1] = "late"
    job.rows(rows)
    assert job.manifest()["counts"]["rows_kept"] == 57
    assert [(row["row"], row["reason"]) for row in job.rejected()] == [
        (20, "has 2 fields, expected 5"),
        (30, "has 6 fields, expected 5"),
        (40, "not a number"),  # the number of a later row does not shift
    ]


def test_missing_readings_are_no_reason_to_reject(job):
    rows = job.seconds(60)
    for row, cell in enumerate(["", "NA", "nan", "NaN", "null", " ", "N/A", "None"], start=30):
        replaced(rows, row, 1, cell)
    job.rows(rows)
    assert job.manifest()["counts"]["rows_rejected"] == 0
    series = job.series()
    assert [math.isnan(value) for value in series["speed"]] == [False] * 29 + [True] * 8 + [False] * 23
    assert not any(math.isnan(value) for value in series["load"])


def test_too_many_rejected_rows_stop_the_job(job):
    job.scenario(("max_rejected = 0.5", "max_rejected = 0.03"))
    rows = job.seconds(60)
    for row in (10, 20):
        replaced(rows, row, 1, "fast")
    job.rows(replaced(rows, 5, 2, "heavy"))
    refusal = job.refusal()
    assert "3 of 60 rows rejected, more than data.max_rejected = 0.03" in refusal
    assert '2 because: column "speed" not a number, first in a.csv row 10: "fast"' in refusal
    assert [row["row"] for row in job.rejected()] == [5, 10, 20]


def test_all_rows_rejected(job):
    job.scenario(("max_rejected = 0.5", "max_rejected = 1.0"))
    rows = job.seconds(60)
    for row in rows:
        row[0] = row[0].replace("2024-05-01", "May 1st")
    job.rows(rows)
    assert "60 of 60 rows rejected, none is left" in job.refusal()


def test_rows_are_numbered_over_many_blocks(job, monkeypatch):
    monkeypatch.setattr("pipeline.read_csv.BLOCK_BYTES", 400)
    rows = replaced(job.seconds(60), 50, 1, "fast")
    rows[19] = ["short"]
    job.rows(rows)
    job.manifest()
    assert [row["row"] for row in job.rejected()] == [20, 50]


# Times


def test_duplicates_in_two_files_of_one_stream(job):
    job.scenario(('stream = "file"', 'stream = "note"'))
    job.rows(job.seconds(60))
    double = job.seconds(30, 31)
    double[0][1] = "49.0"
    job.rows(double, "b.csv")
    assert job.manifest()["counts"]["rows_rejected"] == 1
    assert (job.rejected()[0]["file"], job.rejected()[0]["row"]) == ("b.csv", 1)
    assert job.series()["speed"][30] != 49.0


def test_rows_out_of_order_are_sorted_and_counted(job):
    rows = job.seconds(60)
    job.rows([*rows[:10], *rows[20:], *rows[10:20]])
    assert job.manifest()["counts"]["rows_out_of_order"] == 10
    assert "10 out of order" in job.capsys.readouterr().out
    times = job.series()["time"]
    assert times == sorted(times) and len(times) == 60


def test_gap_longer_than_allowed_starts_a_new_segment(job):
    job.rows(job.seconds(60))
    job.rows([*job.seconds(30), *job.seconds(41, 80)], "b.csv")
    counts = job.manifest()["counts"]
    assert (counts["segments"], counts["bins"], counts["missing_bins"]) == (3, 60 + 30 + 39, 0)
    assert job.series()["segment"] == [0] * 60 + [0] * 30 + [1] * 39
    assert "streams: 2 in 3 segments" in job.capsys.readouterr().out


def test_gap_as_long_as_allowed_is_bridged_and_marked(job):
    job.rows([*job.seconds(50), *job.seconds(59, 80)])
    counts = job.manifest()["counts"]
    assert (counts["bins"], counts["missing_bins"], counts["segments"]) == (80, 9, 1)
    assert job.series()["observed"] == [True] * 50 + [False] * 9 + [True] * 21


def test_one_far_time_does_not_make_a_huge_grid(job):
    job.rows(replaced(job.seconds(60), 60, 0, "9999-12-31 23:59:59"))
    assert job.manifest()["counts"]["bins"] == 60


# Columns


def test_column_without_any_reading(job):
    rows = job.seconds(60)
    for row in rows:
        row[2] = ""
    job.rows(rows)
    assert 'column "load" has no reading in the training rows' in job.refusal()


def test_constant_column(job):
    rows = job.seconds(60)
    for row in rows:
        row[2] = "4.1"
    job.rows(rows)
    assert 'column "load" is 4.1 N in every training row' in job.refusal()


def test_column_constant_in_the_training_rows_only(job):
    rows = job.seconds(60)
    for row in rows[:30]:
        row[2] = "4.1"
    job.rows(rows)
    assert 'column "load" is 4.1 N in every training row' in job.refusal()


def test_column_constant_in_one_stream_only(job):
    job.scenario(*job.anomaly, ("[forecast]", '[normalize]\nby = "stream"\nrows = 20\n\n[forecast]'))
    rows = job.seconds(60)
    for row in rows:
        row[2] = "4.1"
    job.rows(rows, "still.csv")
    job.rows(job.seconds(60), "moving.csv")
    manifest = job.manifest()
    assert manifest["stream_statistics"]["still.csv"]["load"]["std"] == 0.0
    assert manifest["stream_statistics"]["moving.csv"]["load"]["std"] > 0.5


def test_fewer_rows_than_one_window(job):
    job.rows(job.seconds(9))
    refusal = job.refusal()
    assert "no train window: one takes 10 steps (windows.length 8 + last lead 2)" in refusal
    assert "the longest train part of a segment has 9" in refusal


def test_no_validation_window(job):
    job.rows(job.seconds(35))
    assert "no validation window" in job.refusal()


# Places


def test_build_folder_that_cannot_be_written(job):
    job.rows(job.seconds(60))
    (job.folder / "build").write_text("a file stands where the folder should be")
    assert job.run() == 2
    assert "cannot be written" in job.capsys.readouterr().err


def test_disk_that_fills_up(job, monkeypatch):
    def full(shards, stream, part, windows):
        shards._files[shards.windows[part][0]].write(b"half a shard")
        raise OSError(28, "No space left on device")

    job.rows(job.seconds(60))
    monkeypatch.setattr("pipeline.write_shards.UnitShards.add_windows", full)
    assert "cannot be written (No space left on device)" in job.refusal()


def test_unknown_runner(job):
    job.rows(job.seconds(60))
    job.scenario()
    assert main([str(job.scenario_file), "--build", str(job.folder / "build"), "--runner", "NoRunner"]) == 2
    assert 'runner "NoRunner"' in job.capsys.readouterr().err


# Files that break off, change, or contradict themselves


def test_truncated_gzip(job):
    job.rows(job.seconds(60))
    packed = gzip.compress(csv_text(job.seconds(3_000)).encode())
    job.text(packed[: len(packed) // 2], "b.csv.gz")
    assert "b.csv.gz: cannot be read (Truncated compressed stream)" in job.refusal()


def test_not_gzip_at_all(job):
    job.text(csv_text(job.seconds(60)), "a.csv.gz")
    assert "a.csv.gz: cannot be read" in job.refusal()


def test_truncated_parquet(job):
    job.rows(job.seconds(60))
    job.text("", "b.parquet")
    pq.write_table(pa.table({"time": ["2024-05-01"] * 1000}), path := job.folder / "rows" / "b.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert "b.parquet: is not readable as Parquet" in job.refusal()


def test_file_that_changes_while_it_is_read(job, monkeypatch):
    from pipeline import read_rows

    def growing(path, scenario, malformed):
        yield from csv_batches(path, scenario, malformed)
        with open(path, "a") as file:
            file.write("2024-05-01 10:01:00,1,1,0,ok\n")

    csv_batches = read_rows.csv_batches
    job.rows(job.seconds(60))
    monkeypatch.setattr("pipeline.read_rows.csv_batches", growing)
    assert "a.csv: changed while it was read" in job.refusal()


def test_times_with_and_without_an_offset(job):
    job.rows(replaced(job.seconds(60), 30, 0, "2024-05-01T10:00:29+02:00"))
    assert "a.csv: some times have an offset from UTC and some have none" in job.refusal()


def test_times_with_different_offsets_are_brought_to_utc(job):
    rows = [[f"{row[0]}Z", *row[1:]] for row in job.seconds(60)]
    job.rows(replaced(rows, 30, 0, "2024-05-01T12:00:29+02:00"))
    assert job.manifest()["counts"]["bins"] == 60


def test_clock_that_jumps_back(job):
    rows = job.seconds(60)
    job.rows([*rows[:40], *job.seconds(20, 30), *rows[40:]])
    counts = job.manifest()["counts"]
    assert (counts["rows_merged"], counts["rows_out_of_order"], counts["bins"]) == (10, 10, 60)
    assert "10 merged with the same row" in job.capsys.readouterr().out


def test_a_contradiction_can_be_kept(job):
    rows = [*job.seconds(60), ["2024-05-01 10:00:05", "20", "5", "0", "ok"]]
    job.scenario(('step = "1s"', 'step = "1s"\nsame_time = "keep"'))
    job.rows(rows)
    assert job.manifest()["counts"]["rows_kept"] == 61
    assert job.series()["speed"][5] == np.float32((float(rows[5][1]) + 20) / 2)


def test_overlapping_files_are_named(job):
    job.scenario(('stream = "file"', 'stream = "note"'))
    job.rows(job.seconds(60))
    job.rows(job.seconds(50, 80), "b.csv")
    manifest = job.manifest()
    assert manifest["overlaps"] == [{"stream": "ok", "files": ["a.csv", "b.csv"], "rows": 10}]
    assert "a.csv and b.csv overlap in 10 rows of the stream ok" in job.capsys.readouterr().out


def test_line_longer_than_a_block(job, monkeypatch):
    monkeypatch.setattr("pipeline.read_csv.BLOCK_BYTES", 4_000)
    rows = job.seconds(60)
    rows[30][4] = "x" * 20_000
    job.rows(rows)
    assert "a.csv: is not readable as CSV: a line is longer than 4,000 bytes" in job.refusal()


@pytest.mark.parametrize(
    "name, begin, told",
    [
        ("a.csv", b"2024-05-01 10:00:30,1,1,0,", "is not readable as CSV: a line is longer than 4,194,304 bytes"),
        ("a.jsonl.gz", b'{"time": "', "row 1: longer than 1,048,576 bytes"),
    ],
)
def test_one_line_of_256_mb_is_not_held(job, name, begin, told):
    """In a process of its own, which takes 170 MB (JSON Lines) and 300 MB (CSV) for any file."""
    job.scenario()
    job.text("", name)
    path = job.folder / "rows" / name
    with open(path, "wb") if name == "a.csv" else gzip.open(path, "wb", compresslevel=1) as file:
        file.write(csv_text(job.seconds(30)).encode() if name == "a.csv" else b"")
        file.write(begin)
        for _ in range(256):
            file.write(b"x" * (1 << 20))
    command = [sys.executable, "-c", PEAK, str(job.scenario_file), "--build", str(job.folder / "build")]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    error, peak = done.stderr.splitlines()
    assert f"{name}: {told}" in error, error
    assert int(peak) / 1024 < 420


# Not ru_maxrss, which a process takes over from the one that started it.
PEAK = """
import re, sys
from pathlib import Path
from pipeline.__main__ import main
status = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1], file=sys.stderr)
sys.exit(status)
"""


def test_header_that_is_no_text(job):
    job.text(csv_text(job.seconds(60), "time,sp@eed,load,fault,note").encode().replace(b"@", b"\xee"))
    assert 'a.csv: has no column "speed"' in job.refusal()


def test_text_that_is_no_utf8_beside_the_columns(job):
    rows = replaced(job.seconds(60), 30, 4, "@@")
    job.rows(rows)
    path = job.folder / "rows" / "a.csv"
    path.write_bytes(path.read_bytes().replace(b"@@", b"\xff\xfe"))
    assert job.manifest()["counts"]["rows_kept"] == 60


def test_header_without_end(job):
    job.text("time,speed" + "x" * (5 << 20))
    assert "a.csv: is not readable as CSV: no header in the first" in job.refusal()
