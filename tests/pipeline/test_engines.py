"""The same bytes from every engine: the embedded runner's are the measure, the others run the same job."""

from pathlib import Path

import pytest

from pipeline.__main__ import main

ENGINES = Path(__file__).parents[2] / "build" / "engines"
PRISM, FLINK, SPARK = ENGINES / "prism", ENGINES / "flink-job-server.jar", ENGINES / "spark-job-server.jar"
RUNS = {
    "multi_threading": ("FnApiRunner", ["--direct_running_mode=multi_threading", "--direct_num_workers=2"], None),
    "multi_processing": ("FnApiRunner", ["--direct_running_mode=multi_processing", "--direct_num_workers=2"], None),
    "embedded job service": ("PortableRunner", ["--job_endpoint=embed", "--environment_type=LOOPBACK"], None),
    "Prism": ("PrismRunner", [f"--prism_location={PRISM}"], PRISM),
    "Flink": ("FlinkRunner", [f"--flink_job_server_jar={FLINK}", "--parallelism=2"], FLINK),
    "Spark": (
        "SparkRunner",
        [f"--spark_job_server_jar={SPARK}", "--spark_master_url=local[2]", "--environment_type=LOOPBACK"],
        SPARK,
    ),
}


BY_TIME = (
    'by = "rows"\ntrain = 45\nvalidation = 15',
    'by = "time"\nvalidation = 2024-05-01T10:01:00\ntest = 2024-05-01T10:02:00\nembargo = "5s"',
)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The job servers of Flink and Spark hang up on the worker's last threads when a job is done.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("engine", RUNS)
def test_the_engine_gives_the_bytes_of_the_embedded_run(job, engine, monkeypatch):
    runner, options, needed = RUNS[engine]
    if needed is not None and not needed.exists():
        pytest.skip(f"{needed} is missing: `make engines` brings it")
    monkeypatch.setattr("pipeline.work_units.UNIT_BYTES", 2_000)
    monkeypatch.setattr("pipeline.work_units.SPAN_BINS", 40)
    job.scenario(('stream = "file"', 'stream = "note"'), BY_TIME)
    rows = job.seconds(180)
    for number, row in enumerate(rows):
        row[4] = "abc"[number % 3]
    rows[20][1] = "fast"
    job.rows(rows[:100])
    job.rows([rows[5], *rows[100:140], *rows[160:]], "b.csv")
    counts = job.manifest()["counts"]
    assert (counts["rows_rejected"], counts["rows_merged"], counts["segments"]) == (1, 1, 6)
    assert len(list((job.dataset / "streams").iterdir())) > 2
    arguments = [str(job.scenario_file), "--build", str(job.folder / "other"), "--runner", runner, "--", *options]
    assert main(arguments) == 0
    assert tree(job.folder / "other" / "pump" / "dataset") == tree(job.dataset)
