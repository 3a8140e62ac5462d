"""A job stopped at any moment leaves nothing like a dataset; run again it gives the same bytes."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Stops the process itself just before it gives the n-th file its final name.
STOPPED = """
import itertools, os, signal, sys
files, replace = itertools.count(), os.replace
def stop(old, new):
    if next(files) == int(sys.argv[1]):
        os.kill(os.getpid(), int(sys.argv[2]))
    replace(old, new)
os.replace = stop
from pipeline.__main__ import main
sys.exit(main(sys.argv[3:]))
"""
FIRST_DEALT, FIRST_SHARD, MIDDLE_SHARD, FACTS, MANIFEST = 1, 2, 9, 14, 15  # 0: whether the folder can be written


@pytest.mark.parametrize(
    "file, stop, status",
    [
        (FIRST_SHARD, signal.SIGINT, 130),
        (MANIFEST, signal.SIGINT, 130),
        (FIRST_DEALT, signal.SIGKILL, -signal.SIGKILL),
        (MIDDLE_SHARD, signal.SIGKILL, -signal.SIGKILL),
        (FACTS, signal.SIGKILL, -signal.SIGKILL),
        (MANIFEST, signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_stopped_and_run_again(job, file, stop, status):
    job.rows(job.seconds(60))
    before = job.manifest() and {path: path.read_bytes() for path in job.dataset.rglob("*") if path.is_file()}
    arguments = [str(job.scenario_file), "--build", str(job.folder / "build")]
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(file), str(int(stop)), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert not (job.dataset / "dataset.json").exists()
    if stop == signal.SIGINT:
        assert done.stderr == "edgernn: interrupted\n"
    job.manifest()
    assert {path: path.read_bytes() for path in job.dataset.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("seconds", [2.2, 2.6, 3.0, 3.4])
def test_killed_at_any_moment(job, seconds):
    """From outside, wherever the job is then: what lies there afterwards is whole or not used."""
    job.rows(job.seconds(60))
    before = job.manifest() and {path: path.read_bytes() for path in job.dataset.rglob("*") if path.is_file()}
    command = [sys.executable, "-m", "pipeline", str(job.scenario_file), "--build", str(job.folder / "build")]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL) as running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(seconds)
        running.kill()
    if (job.dataset / "dataset.json").exists():
        assert {path: path.read_bytes() for path in job.dataset.rglob("*") if path.is_file()} == before
    job.manifest()
    assert {path: path.read_bytes() for path in job.dataset.rglob("*") if path.is_file()} == before
