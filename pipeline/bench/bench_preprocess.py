"""The preprocess stage in turns with the scripts, each run in a process of its own, on rows made up for it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.bench.fleet_rows import write_fleet
from pipeline.user_error import UserError

ROWS, MANY_ROWS, ROUNDS = 2_000_000, 20_000_000, 3
RIVALS = {"pyarrow": "pyarrow + numpy script", "polars": "polars script"}
OURS = "edgernn"
Entry = dict[str, object]
Runs = dict[str, list[dict[str, float]]]


def bench_preprocess(rows: int = ROWS, many_rows: int = MANY_ROWS, rounds: int = ROUNDS) -> list[Entry]:
    """Entries {name, unit, ours, rival, rival_name, ratio{min, median, max}}: seconds and peak memory.

    Seconds begin after the imports and end with the last file. The last entries hold ten times the rows against ours
    on the rows themselves, in seconds for a million rows.
    """
    with tempfile.TemporaryDirectory() as place:
        runs = {kind: _in_turns(Path(place) / kind, kind, rows, rounds) for kind in ("parquet", "csv")}
        many = _one_run(OURS, write_fleet(Path(place) / "many", many_rows, "parquet").parent, many_rows)
    entries = []
    for kind, by_name in runs.items():
        for rival, rival_name in RIVALS.items():
            for key, unit, name in (("seconds", "s", ""), ("peak_mb", "MB", "-memory")):
                sides = ([one[key] for one in by_name[who]] for who in (OURS, rival))
                entries.append(_entry(f"preprocess-{kind}{name}", unit, *sides, rival_name))
    few = [one["seconds"] / rows * 1e6 for one in runs["parquet"][OURS]]
    large = [many["seconds"] / many_rows * 1e6] * rounds
    entries.append(_entry(f"preprocess-parquet, {many_rows:,} rows", "s/M rows", large, few, f"ours, {rows:,} rows"))
    peaks = [one["peak_mb"] for one in runs["parquet"][OURS]]
    memory = [many["peak_mb"]] * rounds
    return [
        *entries,
        _entry(f"preprocess-parquet-memory, {many_rows:,} rows", "MB", memory, peaks, f"ours, {rows:,} rows"),
    ]


def _in_turns(folder: Path, kind: str, rows: int, rounds: int) -> Runs:
    """The runs of each contestant; who goes first changes from round to round."""
    write_fleet(folder, rows, kind)
    runs: Runs = {name: [] for name in (OURS, *RIVALS)}
    for turn in range(rounds):
        names = list(runs)
        for name in names[turn % 3 :] + names[: turn % 3]:
            runs[name].append(_one_run(name, folder, rows))
    return runs


def _one_run(name: str, folder: Path, rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [sys.executable, "-m", "pipeline.bench.contestant", name, str(folder), f"{out}/results", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"the benchmark's {name} run failed: {reason}; polars comes with the development extras")
    return json.loads(done.stdout)


def _entry(name: str, unit: str, ours: list[float], rival: list[float], rival_name: str) -> Entry:
    ratios = np.asarray(ours) / np.asarray(rival)
    spread = {"min": float(ratios.min()), "median": float(np.median(ratios)), "max": float(ratios.max())}
    sides = {"ours": float(np.median(ours)), "rival": float(np.median(rival))}
    return {"name": name, "unit": unit, **sides, "rival_name": rival_name, "ratio": spread}
