"""The good road of the whole job, on small files."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from pipeline import load_scenario
from pipeline.fetch_data import sha256_of

tensorflow_missing = "TensorFlow is not installed: the shards cannot be read back with it"


def tree(folder):
    """Relative path -> bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_windows(folder, part):
    """All windows of a part as (stream, start, x), read with TensorFlow."""
    tf = pytest.importorskip("tensorflow", reason=tensorflow_missing)
    files = sorted(str(path) for path in (folder / "windows").glob(f"{part}-*"))
    windows = []
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        windows.append(
            (
                feature["stream"].bytes_list.value[0].decode(),
                feature["start"].int64_list.value[0],
                np.array(feature["x"].float_list.value, np.float32),
            )
        )
    return windows  # fmt: skip


def test_dataset(job):
    """One job over two streams, looked at from all sides (a job takes most of a second)."""
    job.rows(job.seconds(60))
    job.rows(job.seconds(100, 170), "b.csv")
    manifest = job.manifest()
    check_manifest(job, manifest)
    check_streams(job)
    check_statistics(job, manifest)
    check_windows(job, manifest)


def check_manifest(job, manifest):
    assert manifest["streams"] == ["a.csv", "b.csv"]
    assert (
        manifest["counts"]["rows_in"] == manifest["counts"]["rows_kept"] == manifest["counts"]["bins"] == 130
    )
    assert manifest["windows"] == {"length": 8, "stride": 3, "warmup": 2, "last_lead": 2}
    assert manifest["split"] == {"by": "rows", "train": 45, "validation": 15}
    assert [(one["name"], one["role"]) for one in manifest["columns"]] == [
        ("speed", "input"), ("load", "input"), ("fault", "label")]  # fmt: skip
    assert manifest["source"]["sha256"]["a.csv"] == sha256_of(job.folder / "rows" / "a.csv")
    found = {name: sha256_of(job.dataset / name) for name in tree(job.dataset) if name != "dataset.json"}
    assert manifest["files"] == found and len(found) == 8 + 2 + 1 + 1
    assert str(job.folder) not in json.dumps(manifest)


def check_streams(job):
    series = job.series()
    assert series["stream"] == ["a.csv"] * 60 + ["b.csv"] * 70
    assert series["part"] == (["train"] * 30 + ["validation"] * 15 + ["test"] * 15) + (
        ["train"] * 30 + ["validation"] * 15 + ["test"] * 25
    )
    assert series["fault"][:60] == [0.0] * 50 + [1.0] * 10
    assert all(series["observed"]) and set(series["rows"]) == {1}


def check_statistics(job, manifest):
    """Against numpy, from the rows themselves: only the training rows count."""
    rows = job.seconds(30) + job.seconds(100, 130)
    for place, name in ((1, "speed"), (2, "load")):
        values = np.array([row[place] for row in rows], np.float32).astype(np.float64)
        statistics = manifest["statistics"][name]
        assert statistics["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert statistics["std"] == pytest.approx(values.std(), rel=1e-12)
        assert (statistics["min"], statistics["max"]) == (values.min(), values.max())
        assert statistics["missing_share"] == 0.0
    assert "fault" not in manifest["statistics"]


def check_windows(job, manifest):
    """Every window, values and place; none of its steps lies outside its part."""
    begin = 1714557600000  # 2024-05-01 10:00:00
    spans = {
        "train": {"a.csv": (0, 30), "b.csv": (100, 130)},
        "validation": {"a.csv": (30, 45), "b.csv": (130, 145)},
    }
    for part, streams in spans.items():
        found = sorted(read_windows(job.dataset, part), key=lambda window: window[:2])
        expected = [(stream, second) for stream, (first, last) in streams.items()
                    for second in range(first, last - 10 + 1, 3)]  # fmt: skip
        assert [(stream, (start - begin) / 1000) for stream, start, _ in found] == expected
        assert manifest["counts"]["windows"][part] == len(expected) == 2 * {"train": 7, "validation": 2}[part]
        for (_, second), (_, _, x) in zip(expected, found, strict=True):
            rows = [row[1:3] for row in job.seconds(second, second + 10)]
            np.testing.assert_array_equal(x.reshape(10, 2), np.array(rows, np.float32))


def test_same_rows_same_bytes(job, monkeypatch):
    """A second run, elsewhere, with the files found in another order, over leftovers of other runs."""
    for name, first in (("a.csv", 0), ("b.csv", 200), ("c.csv", 400)):
        job.rows(job.seconds(first, first + 60), name)
    assert job.run() == 0
    first = tree(job.dataset)
    elsewhere = job.folder / "elsewhere" / "pump" / "dataset"
    (elsewhere / "windows").mkdir(parents=True)
    (elsewhere / "windows" / "train-00000-of-00099.tfrecord").write_text("of another run")
    (elsewhere / "windows" / ".train-00001-of-00008.tfrecord.1.tmp").write_text("of a killed run")
    monkeypatch.setattr("pipeline.preprocess.beam.Create", _reversed_create())
    assert job.run("elsewhere") == 0
    assert tree(elsewhere) == first


def _reversed_create():
    from pipeline.quiet_beam import beam

    original = beam.Create
    return lambda values: original(list(reversed(values)))


def test_parquet_and_csv_give_the_same_dataset(job):
    job.rows(job.seconds(60))
    from_csv = job.manifest()
    csv = job.folder / "rows" / "a.csv"
    table = pa.csv.read_csv(csv)
    assert table.schema.field("time").type == pa.timestamp("s")
    csv.unlink()
    pq.write_table(table, job.folder / "rows" / "a.parquet")
    job.scenario(('stream = "file"', 'stream = "note"'))
    from_parquet = job.manifest()
    assert from_parquet["statistics"] == from_csv["statistics"]
    assert from_parquet["streams"] == ["ok"]


def test_scenario_without_streams_has_one(job):
    job.scenario(('stream = "file"\n', ""))
    job.rows(job.seconds(30))
    job.rows(job.seconds(30, 60), "b.csv")
    manifest = job.manifest()
    assert manifest["streams"] == ["pump"] and manifest["counts"]["missing_bins"] == 0


def test_stream_column(job):
    job.scenario(('stream = "file"', 'stream = "note"'))
    rows = job.seconds(120)
    for number, row in enumerate(rows):
        row[4] = "ab"[number % 2]
    job.rows(rows)
    manifest = job.manifest()
    assert manifest["streams"] == ["a", "b"]
    assert manifest["counts"]["missing_bins"] == 2 * 59


def test_old_dataset_is_gone_when_the_new_one_is_refused(job):
    job.rows(job.seconds(60))
    assert job.run() == 0
    job.rows(job.seconds(9))
    assert "no train window" in job.refusal()


def test_paths_of_the_scenario_are_relative_to_it(job, monkeypatch):
    job.rows(job.seconds(60))
    job.scenario()
    monkeypatch.chdir("/")
    assert load_scenario(job.scenario_file).path == job.scenario_file
    job.manifest()
    job.scenario(('path = "rows"', 'path = "rows/*.csv"'))
    shutil.copy(job.folder / "rows" / "a.csv", job.folder / "rows" / "notes.txt")
    assert job.manifest()["streams"] == ["a.csv"]
