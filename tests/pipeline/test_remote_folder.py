"""The dataset folder on a file system that only Beam can reach: the bytes of the local run, whole or absent."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import HadoopFileSystemOptions

import edgernn
from pipeline.__main__ import main
from tests.pipeline.bucket_file_system import BucketFileSystem, addresses, stored, tree
from tests.pipeline.test_engines import BY_TIME, RUNS
from tests.pipeline.test_engines import tree as local_tree

BUILD = "bucket://results/build"
DATASET = f"{BUILD}/pump/dataset"
ENGINES = ("multi_threading", "multi_processing", "Prism", "Flink")


def run(job, *options) -> int:
    return main([str(job.scenario_file), "--build", BUILD, *options])


def refusal(job) -> str:
    job.capsys.readouterr()
    assert run(job) == 2
    errors = job.capsys.readouterr().err
    assert errors.startswith("edgernn: ") and errors.count("\n") == 1, errors
    assert f"{DATASET}/dataset.json" not in addresses(DATASET)
    return errors


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_the_bytes_of_the_local_run(job, bucket, engine, monkeypatch):
    """Rows come from there as well; several units of work, rejected rows, leftovers of a run that was killed."""
    runner, options, needed = RUNS[engine]
    if needed is not None and not needed.exists():
        pytest.skip(f"{needed} is missing: `make engines` brings it")
    monkeypatch.setattr("pipeline.work_units.UNIT_BYTES", 2_000)
    monkeypatch.setattr("pipeline.work_units.SPAN_BINS", 40)
    # Every process that starts from here on knows the file system, as workers' images know theirs.
    (job.folder / "sitecustomize.py").write_text("import tests.pipeline.bucket_file_system\n")
    monkeypatch.setenv("PYTHONPATH", f"{job.folder}:{os.environ['PYTHONPATH']}")
    rows = job.seconds(180)
    rows[20][1] = "fast"
    job.scenario(BY_TIME)
    job.rows(rows[:100])
    job.rows([rows[5], *rows[100:140], *rows[160:]], "b.csv")
    job.manifest()
    for path in (job.folder / "rows").iterdir():
        stored(f"bucket://fleet/{path.name}").write_bytes(path.read_bytes())
    shutil.rmtree(job.folder / "rows")
    for killed in ("dataset.json", ".facts.jsonl", ".dealt/a-1.arrow", "streams/.part.0.tmp", "streams/part-9"):
        stored(f"{DATASET}/{killed}").write_bytes(b"of another run")
    job.scenario(BY_TIME, ('path = "rows"', 'path = "bucket://fleet/"'))
    assert run(job, "--runner", runner, "--", *options) == 0, job.capsys.readouterr().err
    assert f"{DATASET}/dataset.json" in job.capsys.readouterr().out
    assert tree(DATASET) == local_tree(job.dataset)
    assert len(pq.read_table(job.dataset / "streams")) > 100
    assert not list(Path(job.folder).rglob("bucket:*")), "an address was taken for a path"


def test_too_many_rejected_rows_are_told_with_the_first(job, bucket):
    job.scenario(("max_rejected = 0.5", "max_rejected = 0.0"))
    rows = job.seconds(60)
    rows[20][1] = "fast"
    job.rows(rows)
    assert f'first in a.csv row 21: "fast"; all are listed in {DATASET}/rejected' in refusal(job)


@pytest.mark.parametrize("doing", ["create", "rename"])
@pytest.mark.parametrize("what", ["", ".parquet", "dataset.json"])
def test_a_file_system_that_refuses(job, bucket, doing, what, monkeypatch):
    done = getattr(BucketFileSystem, doing)

    def forbidden(system, path, *others, **options):
        if what in str(path):
            raise RuntimeError("no permission")  # what clients raise is seldom an OSError
        return done(system, path, *others, **options)

    monkeypatch.setattr(BucketFileSystem, doing, forbidden)
    job.scenario()
    job.rows(job.seconds(60))
    assert "cannot be written (no permission)" in refusal(job)
    assert not [one for one in addresses(BUILD) if one.endswith(".tmp")]


def test_workers_that_cannot_reach_it_say_so(job, bucket):
    job.rows(job.seconds(60))
    job.scenario()
    assert run(job, "--", *RUNS["multi_processing"][1]) == 2
    errors = job.capsys.readouterr().err
    assert "edgernn: bucket://results/build/pump/dataset/" in errors and "Unable to get filesystem" in errors


def test_a_file_system_that_beam_does_not_know(job):
    job.rows(job.seconds(60))
    job.scenario()
    assert main([str(job.scenario_file), "--build", "nowhere://results"]) == 2
    errors = job.capsys.readouterr().err
    assert "nowhere://results/pump/dataset/.facts.jsonl: cannot be written" in errors and errors.count("\n") == 1


def test_file_systems_know_the_options_before_there_is_a_job(job, bucket, monkeypatch):
    """HDFS is reached by options alone, and rows are looked for before the pipeline is made."""
    asked = []

    def listed(system, prefix):
        asked.append(system.options.view_as(HadoopFileSystemOptions).hdfs_host)
        return []

    monkeypatch.setattr(BucketFileSystem, "_list", listed)
    job.scenario(('path = "rows"', 'path = "bucket://fleet/"'))
    assert run(job, "--", "--hdfs_host=namenode.example") == 2
    assert asked == ["namenode.example"]


def test_a_registered_set_stays_on_this_machine(job, bucket):
    job.scenario(('path = "rows"', 'set = "fleet"'), ("[split]", "[fleet]\nvehicles = 1\nhours = 1.0\n\n[split]"))
    assert 'data.set = "fleet" is brought to this machine' in refusal(job)


def test_later_stages_say_that_the_folder_must_be_copied(job, bucket, capsys):
    job.rows(job.seconds(60))
    job.scenario()
    assert run(job) == 0
    capsys.readouterr()
    assert edgernn.main(["train", str(job.scenario_file), "--build", BUILD]) == 2
    errors = capsys.readouterr().err
    assert f"--build {BUILD}: this stage works on this machine's disk; copy" in errors and errors.count("\n") == 1
    for name, content in tree(BUILD).items():
        place = job.folder / "copied" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    job.manifest()
    assert local_tree(job.folder / "copied") == local_tree(job.folder / "build")
