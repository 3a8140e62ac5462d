"""python -m pipeline.bench.contestant NAME FOLDER OUT ROWS: one run in a process of its own, measured from inside.

Prints one line of JSON: the seconds from after the imports to the last file, and the peak of memory in MB.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path

CONTESTANTS = {
    "edgernn": "pipeline.bench.edgernn_run",
    "pyarrow": "pipeline.bench.pyarrow_script",
    "polars": "pipeline.bench.polars_script",
}


def main(name: str, folder: str, out: str, rows: str) -> None:
    run = importlib.import_module(CONTESTANTS[name]).run
    Path(out).mkdir(parents=True)
    began = time.perf_counter()
    run(Path(folder), Path(out), int(rows))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
