"""The table of labelled events: what was noticed, how soon, and how often there was an alarm for nothing."""

from tflite.figure_text import figure_text

RUNS = (("float", "float32"), ("quantized", "{} shipped"))


def event_rows(record, ours):
    """Rows of the table: dicts of name, kind (`shipped`, `ours`, `rival` or `part`), number, recall, delay, false and
    blamed as text; the shipped model is followed by its figures of each kind of event.

    Args:
        record: validation record.
        ours: what the shipped model is called, by its numbers: `int8`.
    """
    events = record.get("events") or {}
    rows = [_row(events[run], name.format(ours), _kind(run)) for run, name in RUNS if run in events]
    kinds = (events.get("quantized") or {}).get("kinds") or {}
    rows += [_row(figures, name.replace("_", " "), "part") for name, figures in sorted(kinds.items())]
    rivals = events.get("rivals") or {}
    return rows + [_row(figures, name, "rival") for name, figures in sorted(rivals.items())]


def _kind(run):
    return "shipped" if run == "quantized" else "ours"


def _row(figures, name, kind):
    rate, delay = figures.get("false_alarms_per_100_hours"), figures.get("median_delay")
    return {
        "name": name,
        "kind": kind,
        "number": figure_text(figures.get("number"), ""),
        "recall": figure_text(figures.get("recall"), "%"),
        "delay": "not half of them" if delay is None else figure_text(delay, "s"),
        "false": "" if kind == "part" else figure_text(rate, ""),
        "blamed": ", ".join(f"{channel} {count}" for channel, count in (figures.get("blamed") or {}).items()),
    }
