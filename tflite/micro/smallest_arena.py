"""The smallest arena in which TensorFlow Lite Micro allocates a model and steps it."""

import tempfile
from pathlib import Path

from tflite.child_process import ChildDied, run_in_child
from tflite.runtimes.tflm import TflmRuntime, arena_for

QUANTUM = 16  # bytes: the arena's alignment
SECONDS = 60.0


def smallest_arena(model: bytes) -> int:
    """Bytes, found by bisection.

    In a child process: too small an arena can be written past its end. Of this 64-bit host, whose interpreter records
    its allocations besides: a 32-bit target needs less.

    Raises:
        ChildFailure: the model does not run in any arena.
    """
    low, high = 0, -(-arena_for(model) // QUANTUM) * QUANTUM
    with tempfile.TemporaryDirectory(prefix="edgernn-") as folder:
        journal = Path(folder, "tried")
        while high - low > QUANTUM:
            try:
                low, high = run_in_child(bisect, model, low, high, journal, seconds=SECONDS)
            except ChildDied:
                low, high = map(int, journal.read_text().split())  # it was tried, and is too small
    while not run_in_child(allocates, model, high, seconds=SECONDS):  # alone, after no failure in the same process
        high += QUANTUM
    return high


def bisect(model: bytes, low: int, high: int, journal: Path) -> tuple[int, int]:
    """The bounds, QUANTUM apart. `journal` says before each try what they are if it kills this process."""
    while high - low > QUANTUM:
        middle = (low + high) // 2 // QUANTUM * QUANTUM
        journal.write_text(f"{middle} {high}")
        low, high = (low, middle) if allocates(model, middle) else (middle, high)
    return low, high


def allocates(model: bytes, size: int) -> bool:
    """Whether an arena of this size is enough for a step; it may kill the process where it is not."""
    try:
        runtime = TflmRuntime(model, arena_bytes=size)
        runtime.step({spec.name: spec.reset_value() for spec in runtime.inputs}, raw=True)
    except RuntimeError:
        return False
    return True
