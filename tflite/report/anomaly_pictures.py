"""Pictures of an anomaly detector: every stream at a glance, then a few with score, alarms and readings."""

from dataclasses import dataclass

import numpy as np

from tflite.report.calendar_text import elapsed_unit
from tflite.report.picture import PALETTE, draw_picture, note

MOST_STREAMS, MOST_READINGS, THRESHOLD = 60, 8, 1.0
SCORE_TICKS = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True)
class Stream:
    """The trace of one stream.

    Attributes:
        name: as in the data.
        seconds: (rows,) since its first row.
        fault, alarm: (rows,) bool, the label and what the detector says.
        scores: name to (rows,) float64; an alarm starts at 1.0.
        readings: column name to (rows,) float64.
        f1: pointwise F1 over the rows that have a score, were observed and, if
            the trace names parts, are of the test part; NaN without any fault.
        false_alarms: share of faultless rows with an alarm.
    """

    name: str
    seconds: np.ndarray
    fault: np.ndarray
    alarm: np.ndarray
    scores: dict
    readings: dict
    f1: float
    false_alarms: float


def read_streams(trace):
    """Split the columns of trace.parquet (see Evidence) into a list of Stream, ordered by name."""
    streams = []
    for name in np.unique(trace["stream"]):
        rows = trace["stream"] == name
        time = trace["time"][rows]
        fault, alarm = np.nan_to_num(trace["label"][rows]) > 0.5, np.nan_to_num(trace["alarm"][rows]) > 0.5
        scores = {key: trace[f"score_{key}"][rows] for key in ("float", "quantized") if f"score_{key}" in trace}
        readings = {key.removeprefix("x: "): trace[key][rows] for key in trace if key.startswith("x: ")}
        scored = np.isfinite(scores["quantized"]) if "quantized" in scores else np.ones(rows.sum(), bool)
        if "observed" in trace:
            scored &= trace["observed"][rows] > 0.5
        if "part" in trace:
            scored &= trace["part"][rows] == "test"
        streams.append(
            Stream(
                str(name),
                (time - time[0]) / np.timedelta64(1, "s"),
                fault,
                alarm,
                scores,
                readings,
                *_quality(fault[scored], alarm[scored]),
            )
        )
    return streams


def _quality(fault, alarm):
    hits, wrong, missed = (fault & alarm).sum(), (~fault & alarm).sum(), (fault & ~alarm).sum()
    f1 = 2 * hits / (2 * hits + wrong + missed) if fault.any() else np.nan
    return float(f1), float(wrong / (~fault).sum()) if (~fault).any() else 0.0


def anomaly_pictures(scenario, trace, ours):
    """All pictures of the trace of a detector.

    Args:
        scenario: the Scenario; its columns give the units.
        trace: the columns of trace.parquet (see Evidence).
        ours: what the shipped model is called, by its numbers: `int8`.

    Returns:
        {"overview": [...], "streams": [...]}
    """
    streams = read_streams(trace)
    units = {column.name: column.unit for column in scenario.columns}
    chosen = [
        _stream_picture(number, why, stream, units, ours) for number, (why, stream) in enumerate(contrast(streams))
    ]
    return {"overview": [_overview_picture(streams, ours)], "streams": chosen}


def contrast(streams):
    """Pick up to four streams that show the detector at its best and its worst: list of (why, Stream)."""
    labelled = sorted((s for s in streams if np.isfinite(s.f1)), key=lambda s: (-s.f1, s.name))
    wanted = []
    if labelled:
        wanted = [
            ("Best stream", labelled[0]),
            ("Middle of the field", labelled[len(labelled) // 2]),
            ("Worst stream", labelled[-1]),
        ]
    wanted.append(("Most false alarms", max(streams, key=lambda s: (s.false_alarms, s.name))))
    chosen = {}
    for why, stream in wanted:
        chosen.setdefault(stream.name, (why, stream))
    return list(chosen.values())


def runs(mask, seconds):
    """Stretches where `mask` holds: list of (start, duration), each up to one grid step past its last row."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    ends = np.append(seconds, seconds[-1] + step)
    return [
        (float(seconds[begin]), float(ends[end] - seconds[begin]))
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def _f1_text(stream):
    return f"{stream.f1:.2f}" if np.isfinite(stream.f1) else "no fault"


def _overview_picture(streams, ours):
    ranked = sorted(streams, key=lambda s: (-np.nan_to_num(s.f1, nan=-1.0), s.name))[:MOST_STREAMS]
    size, unit = elapsed_unit(_last_second(ranked))
    left_out = f" The best {MOST_STREAMS} of {len(streams)} streams." if len(streams) > MOST_STREAMS else ""
    caption = (
        f"Every stream at a glance, best F1 first: blue above is the labelled fault, orange below is the "
        f"{ours} model's alarm, grey has no score yet. The number is the F1 of that stream.{left_out}"
    )
    alt = caption + " " + "; ".join(f"{stream.name} {_f1_text(stream)}" for stream in ranked) + "."

    def paint(figure, narrow):
        axes = figure.subplots()
        for row, stream in enumerate(ranked):
            _paint_row(axes, row, stream, stream.seconds / size)
        length = 14 if narrow else 30
        axes.set_yticks(range(len(ranked)), [_clip(stream.name, length) for stream in ranked], fontsize=7.5)
        axes.set_ylim(len(ranked) - 0.4, -0.6)
        axes.set_xlim(0, _last_second(ranked) / size)
        axes.set_xlabel(f"time since the stream's start, {unit}")
        axes.tick_params(axis="y", length=0)
        axes.grid(False)
        axes.spines["left"].set_visible(False)

    height = 0.8 + 0.185 * len(ranked)
    return draw_picture("all_streams", paint, alt=alt, caption=caption, wide_height=height, narrow_height=height)


def _last_second(streams):
    return max(max(stream.seconds[-1] for stream in streams), 1.0)


def _paint_row(axes, row, stream, seconds):
    """One stream as a band: fault above, alarm below, grey where there is no score."""
    axes.broken_barh(runs(np.ones(len(seconds), bool), seconds), (row - 0.38, 0.76), color=PALETTE["band"])
    axes.broken_barh(runs(stream.fault, seconds), (row - 0.38, 0.38), color=PALETTE["float"])
    axes.broken_barh(runs(stream.alarm, seconds), (row, 0.38), color=PALETTE["ours"])
    if "quantized" in stream.scores:
        silent = ~np.isfinite(stream.scores["quantized"])
        axes.broken_barh(runs(silent, seconds), (row - 0.38, 0.76), color=PALETTE["rule"])
    style = {"va": "center", "fontsize": 7.5, "color": PALETTE["soft"]}
    note(axes, _f1_text(stream), (1, row), (5, 0), ("axes fraction", "data"), **style)


def _clip(text, length):
    return text if len(text) <= length else "…" + text[-(length - 1) :]


def _stream_picture(number, why, stream, units, ours):
    readings = dict(list(stream.readings.items())[:MOST_READINGS])
    size, unit = elapsed_unit(stream.seconds[-1])
    caption = (
        f"{why}: {stream.name}. F1 {_f1_text(stream)}, false alarms on {100 * stream.false_alarms:.1f} % of "
        f"its faultless time. Alarm where the score is above {THRESHOLD}; blue shading is the labelled fault."
    )
    alt = f"{caption} Below the score, the readings {', '.join(readings) or '(none recorded)'}."

    def paint(figure, narrow):
        ratios = [0.42, 2.6] + [0.72] * len(readings)
        panels = figure.subplots(len(ratios), 1, sharex=True, gridspec_kw={"height_ratios": ratios}, squeeze=False)[
            :, 0
        ]
        seconds = stream.seconds / size
        _paint_strips(panels[0], stream, seconds)
        _paint_score(panels[1], stream, seconds, ours)
        for axes, (name, values) in zip(panels[2:], readings.items(), strict=True):
            _paint_reading(axes, name, units.get(name) or "", values, seconds)
        for axes in panels[1:]:
            for start, length in runs(stream.fault, seconds):
                axes.axvspan(start, start + length, color=PALETTE["fault"], alpha=0.35, linewidth=0, zorder=-1)
        panels[-1].set_xlabel(f"time since the stream's start, {unit}")
        panels[0].set_xlim(0, _last_second([stream]) / size)
        figure.get_layout_engine().set(h_pad=0.01, hspace=0.02)

    height = 2.3 + 0.42 * len(readings)
    return draw_picture(f"stream_{number}", paint, alt=alt, caption=caption, wide_height=height, narrow_height=height)


def _paint_strips(axes, stream, seconds):
    for row, (mask, colour) in enumerate(((stream.fault, "float"), (stream.alarm, "ours"))):
        axes.broken_barh(runs(mask, seconds), (row - 0.35, 0.7), color=PALETTE[colour])
    axes.set_yticks([0, 1], ["fault", "alarm"], fontsize=7.5)
    for label, colour in zip(axes.get_yticklabels(), ("float", "ours"), strict=True):
        label.set_color(PALETTE[colour])
    axes.set_ylim(1.6, -0.6)
    axes.tick_params(axis="both", length=0)
    axes.grid(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _paint_score(axes, stream, seconds, ours):
    from matplotlib.ticker import NullLocator

    lines = [("float", "float", "float", 2.4, 0.5), ("quantized", ours, "ours", 1.1, 1)]
    lines = [line for line in lines if line[0] in stream.scores]
    for key, _, colour, width, alpha in lines:
        score = np.maximum(stream.scores[key], SCORE_TICKS[0])
        axes.plot(seconds, score, color=PALETTE[colour], linewidth=width, alpha=alpha)
    axes.axhline(THRESHOLD, color=PALETTE["ink"], linewidth=0.9, linestyle=(0, (4, 3)))
    note(axes, "threshold 1.0", (0, THRESHOLD), (4, 3), ("axes fraction", "data"), fontsize=7.5)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, max(high * 1.8, 3 * THRESHOLD))  # room for the names of the lines
    ticks = [tick for tick in SCORE_TICKS if low <= tick <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("score")
    for place, (_, text, colour, _, _) in enumerate(reversed(lines)):
        note(axes, text, (1, 1), (-6 - 30 * place, -9), ha="right", color=PALETTE[colour])


def _paint_reading(axes, name, unit, values, seconds):
    axes.plot(seconds, values, color=PALETTE["truth"], linewidth=0.8)
    known = values[np.isfinite(values)]
    if known.size:
        low, high = np.quantile(known, [0.002, 0.998])
        room = (high - low) or max(abs(high), 1.0)
        axes.set_ylim(low - 0.1 * room, high + 0.55 * room)
        ticks = sorted({low, high})
        axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks], fontsize=7)
    title = f"{name}, {unit}" if unit else name
    note(axes, title, (0, 1), (4, -8), fontsize=7.5, color=PALETTE["ink"])
    axes.grid(False)
    axes.tick_params(axis="x", length=0)
