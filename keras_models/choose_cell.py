"""Which recurrent cell? The GRU is trained first; another replaces it only where it is better in as many bytes.

Over several seeds each, judged by the validation part alone. What ships is the model of the scenario's own seed, not
that of the luckiest.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from pipeline.scenario import CellRace, ModelSettings

if TYPE_CHECKING:
    import keras

FIRST, OTHERS = "gru", ("lstm", "simple_rnn")


@dataclass(frozen=True)
class Run:
    """One training. `history`: a record per epoch; `error`: of the validation part, lower is better."""

    settings: ModelSettings
    model: keras.Model
    history: tuple[dict[str, float], ...]
    error: float


@dataclass(frozen=True)
class CellTrial:
    """A cell, trained once per seed.

    Attributes:
        run: the training with the scenario's own seed.
        bytes: of its integer file.
        errors: of the validation part, by seed; lower is better.
    """

    run: Run
    bytes: int
    errors: tuple[float, ...]

    @property
    def cell(self) -> str:
        return self.run.settings.cell

    @property
    def units(self) -> int:
        return self.run.settings.units

    @property
    def error(self) -> float:
        """Mean over the seeds."""
        return sum(self.errors) / len(self.errors)


@dataclass(frozen=True)
class CellChoice:
    """Every cell tried, the GRU first, and the rule it was judged by."""

    trials: tuple[CellTrial, ...]
    race: CellRace
    seeds: tuple[int, ...]

    @property
    def chosen(self) -> CellTrial:
        """The best of those that replace the GRU, else the GRU."""
        return min(filter(self.replaces, self.trials[1:]), key=lambda trial: trial.error, default=self.trials[0])

    def replaces(self, trial: CellTrial) -> bool:
        """Whether it takes no more bytes than the GRU, is better by the margin in the mean, and better with each seed.

        A NaN is never better.
        """
        gru = self.trials[0]
        each = all(ours < theirs for ours, theirs in zip(trial.errors, gru.errors, strict=True))
        return trial.bytes <= gru.bytes and each and trial.error <= gru.error * (1 - self.race.margin)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "chosen": self.chosen.cell,
            "metric": self.race.metric,
            "margin": self.race.margin,
            "seeds": list(self.seeds),
            "cells": [
                {"cell": one.cell, "units": one.units, "bytes": one.bytes, "errors": list(map(_finite, one.errors))}
                for one in self.trials
            ],
        }


def choose_cell(
    settings: ModelSettings,
    seed: int,
    attempt: Callable[[ModelSettings, int], Run],
    untrained: Callable[[ModelSettings], keras.Model],
    file_bytes: Callable[[keras.Model], int],
) -> CellChoice:
    """Trains every cell with every seed from `seed` on, the GRU with the units of the settings.

    Args:
        attempt: trains a cell with a seed.
        untrained: the model of a cell, for its size.
        file_bytes: of the integer file that a model becomes.
    """
    race = settings.auto or CellRace()
    seeds = tuple(range(seed, seed + race.seeds))

    def trial(cell: str, units: int) -> CellTrial:
        runs = [attempt(replace(settings, cell=cell, units=units), seed) for seed in seeds]
        return CellTrial(runs[0], file_bytes(runs[0].model), tuple(run.error for run in runs))

    trials = [trial(FIRST, settings.units)]
    for cell in OTHERS:
        units = most_units(
            lambda units, cell=cell: file_bytes(untrained(replace(settings, cell=cell, units=units))), trials[0].bytes
        )
        if units:
            trials.append(trial(cell, units))
    return CellChoice(tuple(trials), race, seeds)


def most_units(bytes_of: Callable[[int], int], limit: int) -> int:
    """The most units whose file has at most `limit` bytes, by halving; 0 where one unit is too many."""
    upper = 1
    while bytes_of(upper) <= limit:
        upper *= 2
    return upper // 2 + bisect_right(range(upper // 2 + 1, upper), limit, key=bytes_of)


def print_cells(choice: CellChoice, title: str) -> None:
    """The table the cell was chosen from."""
    seeds = [f"seed {seed}" for seed in choice.seeds]
    table = Table("cell", "units", "bytes", *seeds, "mean", "against GRU", title=title)
    for trial in choice.trials:
        mark = " (chosen)" if trial is choice.chosen else ""
        against = "-" if trial is choice.trials[0] else f"{trial.error / choice.trials[0].error - 1:+.2%}"
        errors = [f"{error:.4f}" for error in (*trial.errors, trial.error)]
        table.add_row(trial.cell + mark, str(trial.units), f"{trial.bytes:,}", *errors, against)
    table.caption = (
        f"{choice.race.metric} of the validation part; another cell replaces the GRU if it is better by "
        f"{choice.race.margin:.1%}, and with every seed, in at most as many bytes"
    )
    Console().print(table)


def _finite(error: float) -> float | None:
    """For JSON, which knows no NaN."""
    return round(error, 6) if math.isfinite(error) else None
