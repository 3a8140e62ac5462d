"""How good alarms are against labelled events: which were noticed, how soon, how often there was an alarm for nothing.

An event is a run of rows of one label other than 0; an alarm is where it begins. An event is detected by an alarm that
begins within it, so that one that never ends detects nothing; an alarm that begins outside of every event is false.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Event:
    """`code`: its label; `delay`: seconds to the first alarm within it, None: there was none; `blamed`: the channel
    that contributed most when it was raised, where that is known."""

    code: int
    delay: float | None
    blamed: str | None = None


@dataclass(frozen=True)
class EventCount:
    """What happened on some streams: `false_alarms` within `hours` without an event."""

    events: tuple[Event, ...]
    false_alarms: int
    hours: float

    def __add__(self, other: "EventCount") -> "EventCount":
        return EventCount(
            self.events + other.events, self.false_alarms + other.false_alarms, self.hours + other.hours
        )


def count_events(
    label: np.ndarray,
    alarm: np.ndarray,
    judged: np.ndarray,
    step_seconds: float,
    blamed: np.ndarray | None = None,
) -> EventCount:
    """Events and false alarms of one stream.

    Args:
        label: (timesteps,) codes, 0 = normal, NaN = as the row before. alarm, judged: (timesteps,) bool; only what
            begins in a judged row counts.
        blamed: (timesteps,) names of the channel that contributes most.
    """
    codes = _filled(label)
    onsets = np.flatnonzero(alarm & ~np.concatenate([[False], alarm[:-1]]) & judged)
    events = []
    for begin, end in _runs(codes):
        if codes[begin] and judged[begin]:
            within = onsets[(onsets >= begin) & (onsets < end)]
            first = int(within[0]) if len(within) else None
            delay = None if first is None else (first - begin) * step_seconds
            name = None if first is None or blamed is None else str(blamed[first])
            events.append(Event(int(codes[begin]), delay, name))
    normal = judged & (codes == 0)
    return EventCount(tuple(events), int(normal[onsets].sum()), float(normal.sum() * step_seconds / 3600))


def _filled(label: np.ndarray) -> np.ndarray:
    known = np.maximum.accumulate(np.where(np.isnan(label), -1, np.arange(len(label))))
    return np.where(known < 0, 0, label[known]).astype(int)


def _runs(codes: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(codes)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(codes)], strict=True))


def event_figures(count: EventCount, kinds: tuple[str, ...] = ()) -> dict:
    """number, recall, median_delay (seconds; a missed event counts as never), false_alarms, hours,
    false_alarms_per_100_hours, and the first three of each kind.

    A figure that does not exist is left out: a recall without events, a median delay where half are missed, a rate
    without normal hours.

    Args:
        kinds: names of the labels 1, 2, ...
    """
    figures = {**_noticed(count.events), "false_alarms": count.false_alarms, "hours": round(count.hours, 3)}
    if count.hours:
        figures["false_alarms_per_100_hours"] = 100 * count.false_alarms / count.hours
    codes = sorted({event.code for event in count.events})
    if len(codes) > 1 or kinds:
        names = {code: kinds[code - 1] if code <= len(kinds) else f"label {code}" for code in codes}
        figures["kinds"] = {
            names[code]: _noticed([event for event in count.events if event.code == code]) for code in codes
        }
    return figures


def _noticed(events) -> dict:
    delays = sorted(np.inf if event.delay is None else event.delay for event in events)
    figures = {"number": len(delays)}
    if delays:
        figures["recall"] = float(np.mean(np.isfinite(delays)))
        median = delays[len(delays) // 2]  # the upper of two: never better than it is
        if np.isfinite(median):
            figures["median_delay"] = float(median)
    blamed = Counter(event.blamed for event in events if event.blamed)
    if blamed:
        figures["blamed"] = dict(blamed.most_common(3))
    return figures
