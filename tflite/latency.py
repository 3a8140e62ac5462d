"""Time of one step: measured over real readings, summed up apart from the measuring."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tflite.runtimes.step_runtime import StepRuntime

WARM_UP_STEPS = 200


def step_latency(runtime: StepRuntime, xs: Sequence, rounds: int = 5, raw: bool = False) -> dict[str, float]:
    """Microseconds per step of `runtime` over the readings `xs`, state running on, warm-up excluded.

    Args:
        xs: readings, each as `runtime.step` takes it; at least one.
        rounds: how many times the whole of `xs` is stepped through, from a reset each time.
        raw: as `runtime.step` has it.

    Returns:
        {"p50": ..., "p99": ...} over all steps of all rounds. The clock's own call, about 0.05 us, is in it.
    """
    if len(xs) == 0 or rounds < 1:
        raise ValueError(f"expected readings and at least one round, got {len(xs)} readings, {rounds} rounds")
    step = partial(runtime.step, raw=True) if raw else runtime.step
    warm_up(step, xs)
    nanoseconds = []
    for _ in range(rounds):
        runtime.reset()
        nanoseconds += call_times(step, xs)
    return percentiles(nanoseconds)


def percentiles(nanoseconds: Sequence[int]) -> dict[str, float]:
    """{"p50", "p99"} in microseconds."""
    p50, p99 = np.percentile(np.asarray(nanoseconds, np.float64), [50, 99]) / 1000
    return {"p50": float(p50), "p99": float(p99)}


def interleaved_ratio(
    ours: Callable[[np.ndarray], object],
    rival: Callable[[np.ndarray], object],
    xs: Sequence[np.ndarray],
    rival_xs: Sequence[np.ndarray] | None = None,
    rounds: int = 21,
) -> dict[str, object]:
    """Our time against the rival's, in one process, in turns: both meet the same noise.

    Args:
        ours, rival: one step each, called with each reading in turn (functions that carry their state).
        xs: readings of a pass; `rival_xs` are the rival's own, as many, where it takes another form.
        rounds: rounds of one pass each; who goes first changes from round to round.

    Returns:
        {"ours": us per step, "rival": us per step (medians over rounds), "ratio": {"min", "median", "max"}};
        a ratio is formed within a round, below 1 means ours is faster.
    """
    rival_xs = xs if rival_xs is None else rival_xs
    ours_us, rival_us = [], []
    sides = ((ours, xs, ours_us), (rival, rival_xs, rival_us))
    for step, readings, _ in sides:
        warm_up(step, readings)
    for turn in range(rounds):
        for step, readings, times in sides if turn % 2 == 0 else sides[::-1]:
            times.append(pass_time(step, readings) / len(readings) / 1000)
    return ratio_figures(ours_us, rival_us)


@dataclass(frozen=True)
class Racer:
    """One of several that are timed in turns: `step` is called with `calls` of the readings `xs` a round, and carries
    its own state.
    """

    name: str
    step: Callable[[np.ndarray], object]
    xs: Sequence[np.ndarray]
    calls: int


def race(racers: Sequence[Racer], rounds: int = 21) -> dict[str, list[np.ndarray]]:
    """Name -> nanoseconds of every single call, an array a round; who goes first changes from round to round.

    A warm-up comes first. The clock's own call, about 0.05 us, is in each figure.
    """
    times: dict[str, list[np.ndarray]] = {racer.name: [] for racer in racers}
    for racer in racers:
        for x in racer.xs[: min(WARM_UP_STEPS, racer.calls)]:
            racer.step(x)
    for turn in range(rounds):
        for racer in racers if turn % 2 == 0 else racers[::-1]:
            start = turn * racer.calls
            xs = [racer.xs[place % len(racer.xs)] for place in range(start, start + racer.calls)]
            times[racer.name].append(np.asarray(call_times(racer.step, xs)))
    return times


def ratio_figures(ours: Sequence[float], rival: Sequence[float]) -> dict[str, object]:
    """Medians of both and {"min", "median", "max"} of the ratios, pair by pair."""
    ratios = np.asarray(ours) / np.asarray(rival)
    spread = {"min": float(ratios.min()), "median": float(np.median(ratios)), "max": float(ratios.max())}
    return {"ours": float(np.median(ours)), "rival": float(np.median(rival)), "ratio": spread}


def warm_up(step: Callable[[np.ndarray], object], xs: Sequence[np.ndarray]) -> None:
    """Steps until caches, branch predictors and lazy initialization have settled."""
    for count in range(WARM_UP_STEPS):
        step(xs[count % len(xs)])


def call_times(step: Callable[[np.ndarray], object], xs: Sequence[np.ndarray]) -> list[int]:
    """Nanoseconds of each single call."""
    clock = time.perf_counter_ns
    times = []
    for x in xs:
        start = clock()
        step(x)
        times.append(clock() - start)
    return times


def pass_time(step: Callable[[np.ndarray], object], xs: Sequence[np.ndarray]) -> int:
    """Nanoseconds of one pass over all of `xs`, without a clock call per step."""
    start = time.perf_counter_ns()
    for x in xs:
        step(x)
    return time.perf_counter_ns() - start
