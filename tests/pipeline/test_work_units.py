"""However the rows are dealt out, the same dataset comes together."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.pipeline.test_preprocess import read_windows

BY_TIME = (
    'by = "rows"\ntrain = 45\nvalidation = 15',
    'by = "time"\nvalidation = 2024-05-01T10:03:00\ntest = 2024-05-01T10:05:00',
)


def content(job):
    """Everything in a dataset, without which shard it lies in."""
    manifest = job.manifest()
    del manifest["files"]
    windows = {part: read_windows(job.dataset, part) for part in ("train", "validation")}
    tidy = {part: sorted((stream, start, x.tobytes()) for stream, start, x in all) for part, all in windows.items()}
    series = {name: [str(value) for value in values] for name, values in job.series().items()}
    return manifest, tidy, series, sorted(map(str, job.rejected()))


def rows_of_a_fleet(job):
    """Two vehicles over seven minutes, in three files that overlap, with holes, repeats and contradictions."""
    draw = np.random.default_rng(3)
    rows = [row for row in job.seconds(420) if draw.random() > 0.1]
    rows = rows[:150] + rows[190:]
    for number, row in enumerate(rows):
        row[4] = "ab"[number % 7 > 3]
    job.rows(rows[:200])
    job.rows([*rows[150:330], ["2024-05-01 10:01:00", "1", "1", "0", "a"]], "b.csv")
    job.rows([rows[place] for place in draw.permutation(np.arange(300, len(rows)))], "c.csv")


@pytest.mark.parametrize("unit_bytes, span_bins, ahead", [(1_000, 40, 0), (3_000, 41, 23), (20_000, 64, 0)])
def test_any_units_and_spans_give_the_same_content(job, monkeypatch, unit_bytes, span_bins, ahead):
    known = ('unit = "N"', f'unit = "N"\nrole = "known"\nahead = "{ahead}s"') if ahead else BY_TIME
    job.scenario(('stream = "file"', 'stream = "note"'), BY_TIME, *[known] * bool(ahead))
    rows_of_a_fleet(job)
    expected = content(job)
    assert expected[0]["counts"]["rows_merged"] > 20 and expected[0]["counts"]["segments"] == 4
    assert {tuple(one["files"]) for one in expected[0]["overlaps"]} == {("a.csv", "b.csv"), ("b.csv", "c.csv")}
    monkeypatch.setattr("pipeline.work_units.UNIT_BYTES", unit_bytes)
    monkeypatch.setattr("pipeline.work_units.SPAN_BINS", span_bins)
    assert content(job) == expected
    assert len(pq.ParquetDataset(job.dataset / "streams").files) == 1 + sum(
        path.stat().st_size for path in (job.folder / "rows").iterdir()
    ) // unit_bytes


def test_no_unit_holds_a_long_stream(job, monkeypatch):
    """Memory is bounded by spans of time, not by the length of a drive."""
    job.scenario(BY_TIME)
    job.rows(job.seconds(600))
    monkeypatch.setattr("pipeline.work_units.UNIT_BYTES", 2_000)
    monkeypatch.setattr("pipeline.work_units.SPAN_BINS", 40)
    job.manifest()
    held = [len(table) for table in map(pq.read_table, pq.ParquetDataset(job.dataset / "streams").files)]
    assert sum(held) == 600 and max(held) <= 200 and len(held) == 12
