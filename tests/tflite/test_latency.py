"""Statistics exactly; the measuring with a clock of the test's own."""

import numpy as np
import pytest

from tflite import latency
from tflite.latency import WARM_UP_STEPS, Racer, interleaved_ratio, percentiles, race, ratio_figures, step_latency


class Clock:
    """Nanoseconds that pass only when a step says so."""

    def __init__(self):
        self.now = 0

    def perf_counter_ns(self):
        return self.now


class Runtime:
    """Takes `cost(call)` nanoseconds per step."""

    def __init__(self, clock, cost):
        self.clock, self.cost, self.calls, self.resets = clock, cost, 0, 0

    def reset(self):
        self.resets += 1

    def step(self, x):
        self.clock.now += self.cost(self.calls)
        self.calls += 1


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


def test_percentiles():
    assert percentiles([1000] * 98 + [5000, 9000]) == {"p50": 1.0, "p99": pytest.approx(5.04)}


def test_warm_up_is_not_counted(clock):
    runtime = Runtime(clock, lambda call: 1_000_000 if call < WARM_UP_STEPS else 2000)
    assert step_latency(runtime, [np.zeros(1)] * 10, rounds=3) == {"p50": 2.0, "p99": 2.0}
    assert runtime.resets == 3
    assert runtime.calls == WARM_UP_STEPS + 30


@pytest.mark.parametrize(("xs", "rounds"), [([], 3), ([np.zeros(1)], 0)])
def test_nothing_to_measure(clock, xs, rounds):
    with pytest.raises(ValueError, match="expected readings and at least one round"):
        step_latency(Runtime(clock, lambda call: 1), xs, rounds)


def test_ratio_is_formed_within_a_round():
    figures = ratio_figures([1.0, 4.0, 3.0], [2.0, 4.0, 4.0])
    assert figures == {"ours": 3.0, "rival": 4.0, "ratio": {"min": 0.5, "median": 0.75, "max": 1.0}}


def test_interleaved_ratio_takes_turns(clock):
    order = []

    def named(name, cost):
        def step(x):
            clock.now += cost
            if not order or order[-1] != name:
                order.append(name)

        return step

    figures = interleaved_ratio(named("ours", 1000), named("rival", 4000), [0] * 5, [1] * 5, rounds=4)
    assert figures == {"ours": 1.0, "rival": 4.0, "ratio": {"min": 0.25, "median": 0.25, "max": 0.25}}
    # warm-up of both, then: ours rival | rival ours | ours rival | rival ours
    assert order == ["ours", "rival", "ours", "rival", "ours", "rival", "ours"]


def test_a_race_takes_turns_and_keeps_every_call(clock):
    order = []

    def racer(name, cost, xs, calls):
        def step(x):
            clock.now += cost * x
            order.append((name, x))

        return Racer(name, step, xs, calls)

    times = race([racer("a", 10, [1, 2, 3], 2), racer("b", 100, [1], 1)], rounds=3)
    assert {name: [list(calls) for calls in rounds] for name, rounds in times.items()} == {
        "a": [[10, 20], [30, 10], [20, 30]], "b": [[100], [100], [100]]
    }  # fmt: skip
    warmed = [("a", 1), ("a", 2), ("b", 1)]
    assert order == [*warmed, ("a", 1), ("a", 2), ("b", 1), ("b", 1), ("a", 3), ("a", 1), ("a", 2), ("a", 3), ("b", 1)]
