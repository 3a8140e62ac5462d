"""`edgernn bench-step`: a bare step model, the int8 GRU of the matrix, against its rivals and our goals.

The models of the scenarios do more in a step than their rivals: they standardize, denormalize, score. Here both do the
same.
"""

from pathlib import Path

import numpy as np

from pipeline.atomic_write import write_json
from tflite.bench import Entry
from tflite.bench_runtimes import bench_runtimes, print_race
from tflite.contract import CheckResult
from tflite.matrix import FEATURES, OUTPUTS, UNITS, MatrixForm, check_line, convert_form, float_model, matrix_stream

FORM = MatrixForm("gru", "int8", "external")
STEPS = 2000
RESULT = "bench_step.json"
# How many times as long a rival takes as a step on LiteRT, at least: median of rounds.
WANTED = {"ONNX Runtime float GRU, session.run": 2.5, "LiteRT float GRU, window of 96": 40.0}


def bench_step(build: Path) -> bool:
    """Prints the race and writes build/bench_step.json; whether LiteRT's step is as much faster as it should be."""
    xs = np.ascontiguousarray(matrix_stream()[:STEPS])
    name = f"GRU, {FEATURES} inputs, {UNITS} units, Dense {OUTPUTS}"
    entries = bench_runtimes(name, FORM.activations, convert_form(FORM), xs, float_model(FORM.cell), xs)
    print_race(name, entries)
    write_json(Path(build) / RESULT, entries)
    checks = speed_checks(entries)
    for check in checks:
        print(f"{'ok' if check.passed else 'FAILED'} {check_line(check.record())}")
    return all(check.passed for check in checks)


def speed_checks(entries: list[Entry]) -> list[CheckResult]:
    """LiteRT's step against each rival of `WANTED`: our time as a share of the rival's, and the largest allowed.

    Raises:
        StopIteration: a rival did not race.
    """
    ours = [entry for entry in entries if ": LiteRT " in entry["name"]]
    return [
        CheckResult(
            f"step against {rival}",
            "litert default",
            next(entry["ratio"]["median"] for entry in ours if entry["rival_name"] == rival),
            1 / least,
            "of its time",
        )
        for rival, least in WANTED.items()
    ]
