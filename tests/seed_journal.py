"""Seeds proven one after the other in a child process, and what became of each: one that kills it is named."""

import json
import signal
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tflite.child_process import ChildFailure, run_in_child


def outcomes(
    seeds: Sequence[int], journal: Path, prove: Callable[[int], str], seconds: float, megabytes: int
) -> dict[int, str]:
    """By seed what `prove` returned, or what is wrong: the process it ended is told, the others go on in another.

    Args:
        seconds: of the processor, for one seed.
    """
    found, left = {}, list(seeds)
    while left:
        death = "no outcome"
        try:
            limits = {"seconds": seconds * (len(left) + 1), "megabytes": megabytes}
            run_in_child(journal_outcomes, left, journal, prove, seconds, **limits)
        except ChildFailure as failure:
            death = f"{failure}\n{failure.log[-1000:]}"
        journalled = dict(map(json.loads, journal.read_text().splitlines()))
        found |= {seed: outcome or death for seed, outcome in journalled.items() if seed in left}
        left = [seed for seed in left if seed not in found]
    return found


def journal_outcomes(seeds: Sequence[int], journal: Path, prove: Callable[[int], str], seconds: float) -> None:
    """Writes a line [seed, outcome] for each into `journal`, and before it [seed, null]: whoever reads it knows which
    seed ended this process, by a crash of its own or by the timer at its limit."""
    with journal.open("a") as lines:
        for seed in seeds:
            print(json.dumps([seed, None]), file=lines, flush=True)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                outcome = prove(seed)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                outcome = f"{type(error).__name__}: {error}\n{''.join(traceback.format_tb(error.__traceback__)[-3:])}"
            print(json.dumps([seed, outcome]), file=lines, flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
