"""Pictures of a forecaster: weeks of forecast against truth, where the error lies, and what int8 changes."""

from dataclasses import dataclass

import numpy as np

from tflite.report.calendar_text import (
    WEEKDAYS,
    date_text,
    hour_of_day,
    month_text,
    span_text,
    weekday,
)
from tflite.report.picture import PALETTE, draw_lines, draw_picture, end_labels, key_above, name_lines, note

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Series:
    """The trace of one stream.

    Attributes:
        time: (rows,) datetime64[ms].
        lines: name to (rows,) float64 in the target's unit; `truth` always.
        unit: the target's unit.
        lead: how far ahead the forecasts look, as text.
        ours: what the shipped model is called, by its numbers: `int8`.
        step_seconds: the grid.
    """

    time: np.ndarray
    lines: dict
    unit: str
    lead: str
    ours: str
    step_seconds: float

    def has(self, *names):
        return all(name in self.lines and np.isfinite(self.lines[name]).any() for name in names)

    def error(self, name):
        """(rows,) absolute error, NaN where truth or forecast is missing."""
        return np.abs(self.lines[name] - self.lines["truth"])


def main_series(scenario, trace, ours):
    """The stream with the most rows; of several equal ones the first by name."""
    names, counts = np.unique(trace["stream"], return_counts=True)
    rows = trace["stream"] == names[np.argmax(counts)]
    target = scenario.forecast.targets[0] if scenario.forecast.targets else None
    unit = next((column.unit for column in scenario.columns if column.name == target), "") or "units"
    lines = {name: values[rows] for name, values in trace.items() if name not in ("stream", "time")}
    lead = span_text(scenario.forecast.last_lead * scenario.data.step_seconds)
    return Series(trace["time"][rows], lines, unit, lead, ours, scenario.data.step_seconds)


def wape(truth, forecast):
    """Weighted absolute percentage error: sum |forecast - truth| / sum |truth|, rows where both are known."""
    known = np.isfinite(truth) & np.isfinite(forecast)
    total = np.abs(truth[known]).sum()
    return np.abs(forecast - truth)[known].sum() / total if total else np.nan


def forecast_pictures(scenario, trace, ours):
    """All pictures of the trace of a forecaster.

    Args:
        scenario: the Scenario.
        trace: the columns of trace.parquet (see Evidence).
        ours: what the shipped model is called, by its numbers: `int8`.

    Returns:
        {"weeks": [...], "error": [...], "quantization": [...]}; empty where the trace lacks the columns.
    """
    series = main_series(scenario, trace, ours)
    weeks = []
    if series.has("truth", "quantized"):
        weeks = [_week_picture(series, *window) for window in contrasting_windows(series)]
    return {"weeks": weeks, "error": _error_pictures(series), "quantization": _difference_pictures(series)}


def contrasting_windows(series):
    """Pick the busiest, the quietest and the worst forecast stretch of the trace.

    Returns:
        list of (name, heading, first row, end row); stretches are whole weeks from Monday when the trace
        holds three, else whole days, else thirds of the trace. No stretch is shown twice.
    """
    stretch, starts = _stretches(series)
    scored = []
    for begin, end in starts:
        truth, ours = series.lines["truth"][begin:end], series.lines["quantized"][begin:end]
        if np.isfinite(truth).mean() > 0.9 and np.isfinite(ours).mean() > 0.9:
            scored.append((begin, end, np.nanmean(truth), wape(truth, ours)))
    if not scored:
        return []
    chosen = {}
    for name, key in (
        ("busiest", lambda s: -s[2]),
        ("quietest", lambda s: s[2]),
        ("worst forecast", lambda s: -np.nan_to_num(s[3])),
    ):
        chosen.setdefault(min(scored, key=key)[:2], []).append(name)
    return [
        (names[0].split()[0], f"{' and '.join(names).capitalize()} {stretch}", begin, end)
        for (begin, end), names in chosen.items()
    ]


def _stretches(series):
    time = series.time
    days = time.astype("datetime64[D]")
    mondays = days - ((days.astype(np.int64) + 3) % 7) * DAY
    for name, groups in (("week", mondays), ("day", days)):
        _, first, counts = np.unique(groups, return_index=True, return_counts=True)
        whole = [(int(i), int(i + n)) for i, n in zip(first, counts, strict=True) if n >= 24 and n == counts.max()]
        if len(whole) >= 3:
            return name, whole
    third = max(len(time) // 3, 1)
    return "stretch", [(begin, begin + third) for begin in range(0, len(time) - third + 1, third)]


def _week_picture(series, name, heading, begin, end):
    time = series.time[begin:end]
    lines = {key: values[begin:end] for key, values in series.lines.items()}
    scores = {key: wape(lines["truth"], lines[key]) for key in ("float", "quantized") if key in lines}
    spoken = {"float": "float", "quantized": series.ours}
    said = ", ".join(f"{spoken[key]} {100 * value:.1f} %" for key, value in scores.items())
    span = f"{date_text(time[0], year=False)} to {date_text(time[-1])}"
    caption = f"{heading}, {span}, forecast {series.lead} ahead. Error (WAPE) of these days: {said}.{_held(lines)}"
    low, high = np.nanmin(lines["truth"]), np.nanmax(lines["truth"])
    alt = (
        f"Line chart, {span}: measured {series.unit} between {low:.0f} and {high:.0f}, with the "
        f"float and the {series.ours} forecast on top. WAPE {said}."
    )

    def paint(figure, narrow):
        axes = figure.subplots()
        _shade_days(axes, time, narrow)
        axes.fill_between(time, lines["truth"], color=PALETTE["truth"], alpha=0.14, linewidth=0)
        if {"low", "high"} <= lines.keys():
            axes.fill_between(time, lines["low"], lines["high"], color=PALETTE["ours"], alpha=0.22, linewidth=0)
        axes.plot(time, lines["truth"], color=PALETTE["truth"], linewidth=1.0)
        if "float" in scores:
            axes.plot(time, lines["float"], color=PALETTE["float"], linewidth=4, alpha=0.4)
        axes.plot(time, lines["quantized"], color=PALETTE["ours"], linewidth=1.1)
        shown = [("truth", "truth"), ("float", "float"), ("quantized", series.ours)]
        labels = [(key, text, PALETTE["ours" if key == "quantized" else key]) for key, text in shown if key in lines]
        axes.set_ylabel(series.unit)
        axes.set_ylim(min(0, low * 1.05), None)
        axes.margins(x=0)
        if narrow:
            key_above(axes, [label[1:] for label in labels])
        else:
            end_labels(axes, [(_last(lines[key]), text, colour) for key, text, colour in labels])

    return draw_picture(f"week_{name}", paint, alt=alt, caption=caption, wide_height=2.9, narrow_height=2.5)


def _held(lines):
    """How much of the truth lies in the band between the outermost quantiles, or "" where there is none."""
    if not {"low", "high"} <= lines.keys():
        return ""
    known = np.isfinite(lines["truth"]) & np.isfinite(lines["low"]) & np.isfinite(lines["high"])
    inside = (lines["low"] <= lines["truth"]) & (lines["truth"] <= lines["high"])
    return f" {100 * np.mean(inside[known]):.0f} % of them lie in the shaded interval." if known.any() else ""


def _last(values):
    known = values[np.isfinite(values)]
    return float(known[-1]) if known.size else 0.0


def _shade_days(axes, time, narrow):
    """Band every second day and name the days under the axis; spans below two days keep the usual ticks."""
    days = np.arange(time[0].astype("datetime64[D]"), time[-1].astype("datetime64[D]") + DAY)
    if not 2 <= len(days) <= 16:
        return
    for day in days[::2]:
        axes.axvspan(day, day + DAY, color=PALETTE["band"], linewidth=0, zorder=-1)
    axes.set_xticks(
        [day + np.timedelta64(12, "h") for day in days],
        [WEEKDAYS[weekday(day)] + ("" if narrow else f" {date_text(day, year=False)}") for day in days],
    )
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(days[0], days[-1] + DAY)


def _error_pictures(series):
    names = [
        ("quantized", f"{series.ours}, {series.lead} ahead", "ours"),
        ("float", f"float, {series.lead} ahead", "float"),
        ("quantized_lead1", f"{series.ours}, {span_text(series.step_seconds)} ahead", "lead"),
    ]
    names += [(key, key.removeprefix("rival: "), "rival") for key in sorted(series.lines) if key.startswith("rival: ")][
        :1
    ]
    names = [name for name in names if series.has(name[0])]
    if not series.has("truth", "quantized") or np.isnan(wape(series.lines["truth"], series.lines["quantized"])):
        return []
    pictures = []
    span_days = (series.time[-1] - series.time[0]) / DAY
    if series.step_seconds < 86400 and span_days >= 2:
        pictures.append(_hour_picture(series, names))
    if span_days >= 75:
        pictures.append(_month_picture(series, [name for name in names if name[0] != "quantized_lead1"]))
    return pictures


def _hour_picture(series, names):
    hours = hour_of_day(series.time)
    profile = {key: np.array([_mean(series.error(key)[hours == hour]) for hour in range(24)]) for key, _, _ in names}
    worst = int(np.nan_to_num(profile["quantized"], nan=-1.0).argmax())
    caption = (
        f"Mean absolute error by hour of the day, over the whole trace. The {series.ours} model errs most at "
        f"{worst}:00, by {profile['quantized'][worst]:.3g} {series.unit}."
    )

    def paint(figure, narrow):
        axes = figure.subplots()
        draw_lines(axes, range(24), names, profile)
        axes.set_xticks(range(0, 24, 3), [f"{hour}:00" for hour in range(0, 24, 3)])
        axes.set_xlim(0, 23)
        axes.set_ylim(0, None)
        axes.set_ylabel(f"mean error, {series.unit}")
        name_lines(axes, narrow, names, {key: profile[key][-1] for key, _, _ in names})

    return draw_picture("error_by_hour", paint, alt=caption, caption=caption, wide_height=2.6, narrow_height=2.7)


def _mean(values):
    known = values[np.isfinite(values)]
    return known.mean() if known.size else np.nan


def _month_picture(series, names):
    months = series.time.astype("datetime64[M]")
    shown, counts = np.unique(months, return_counts=True)
    shown = shown[counts > counts.max() / 4]  # a few stray days are no month
    truth = series.lines["truth"]
    profile = {
        key: np.array([100 * wape(truth[months == month], series.lines[key][months == month]) for month in shown])
        for key, _, _ in names
    }
    worst = int(np.nan_to_num(profile["quantized"], nan=-1.0).argmax())
    caption = (
        f"Error (WAPE) month by month, {series.lead} ahead. Worst month for the {series.ours} model: "
        f"{month_text(shown[worst])} with {profile['quantized'][worst]:.1f} %."
    )

    def paint(figure, narrow):
        axes = figure.subplots()
        places = np.arange(len(shown))
        for key, _, colour in reversed(names):
            size, alpha = (7, 0.4) if key == "float" else (3.5, 1)
            style = {"color": PALETTE[colour], "linewidth": 1.4, "alpha": alpha, "clip_on": False}
            axes.plot(places, profile[key], marker="o", markersize=size, **style)
        every = max(1, len(shown) // (6 if narrow else 12))
        axes.set_xticks(places[::every], [month_text(month) for month in shown[::every]])
        axes.set_xlim(0, len(shown) - 1)
        axes.set_ylim(0, None)
        axes.set_ylabel("WAPE, %")
        name_lines(axes, narrow, names, {key: profile[key][-1] for key, _, _ in names})

    return draw_picture("error_by_month", paint, alt=caption, caption=caption, wide_height=2.6, narrow_height=2.7)


def _difference_pictures(series):
    """How far the shipped model is from float, and how small that is beside the forecast's own error."""
    if not series.has("truth", "float", "quantized"):
        return []
    difference = series.lines["quantized"] - series.lines["float"]
    difference, error = difference[np.isfinite(difference)], series.error("float")
    error = error[np.isfinite(error)]
    if not difference.size or not error.size:
        return []
    reach = np.quantile(np.abs(difference), [0.5, 0.95])
    typical = np.median(error)
    caption = (
        f"What {series.ours} changes. First: {series.ours} forecast minus float forecast; half of all steps "
        f"lie within ±{reach[0]:.3g} {series.unit}, 95 % within ±{reach[1]:.3g}. Second: the same "
        f"differences beside the float model's own error (median {typical:.3g} {series.unit}), on a "
        "logarithmic axis."
    )

    def paint(figure, narrow):
        left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
        _paint_difference(left, difference, reach, series)
        _paint_sizes(right, np.abs(difference), error, series)

    return [draw_picture("ours_minus_float", paint, alt=caption, caption=caption, wide_height=2.7, narrow_height=4.6)]


def _paint_difference(axes, difference, reach, series):
    edge = max(float(np.quantile(np.abs(difference), 0.998)), 1e-9)
    axes.hist(
        np.clip(difference, -edge, edge),
        bins=np.linspace(-edge, edge, 62),
        color=PALETTE["ours"],
        alpha=0.85,
        weights=np.full(len(difference), 100 / len(difference)),
    )
    axes.axvline(0, color=PALETTE["ink"], linewidth=0.8)
    axes.axvspan(-reach[1], reach[1], color=PALETTE["band"], zorder=-1, linewidth=0)
    note(axes, "95 % of steps", (-reach[1], 1), (3, -10), ("data", "axes fraction"), color=PALETTE["soft"])
    axes.set_xlim(-edge, edge)
    axes.set_xlabel(f"{series.ours} minus float, {series.unit}")
    axes.set_ylabel("steps, %")


def _paint_sizes(axes, difference, error, series):
    positive = np.concatenate([difference[difference > 0], error[error > 0]])
    if not positive.size:
        axes.set_axis_off()
        return
    edges = np.geomspace(max(np.quantile(positive, 0.005), positive.max() / 1e5), positive.max() * 1.01, 48)
    for values, colour in ((difference, "ours"), (error, "float")):
        clipped = np.clip(values, edges[0], edges[-1])
        heights, _ = np.histogram(clipped, edges, weights=np.full(len(values), 100 / max(len(values), 1)))
        axes.stairs(heights, edges, fill=True, color=PALETTE[colour], alpha=0.35)
        axes.stairs(heights, edges, color=PALETTE[colour], linewidth=1.2)
    key_above(axes, [(f"{series.ours} against float", PALETTE["ours"]), ("float against truth", PALETTE["float"])])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(f"absolute difference, {series.unit}")
    axes.set_ylabel("steps, %")
