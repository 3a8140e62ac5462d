"""Dates and spans of time as the report writes them, in English whatever the machine's locale."""

import numpy as np

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPANS = ((86400.0, "day"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def date_text(time, year=True):
    """`7 May 2019` from a datetime64."""
    date = np.datetime64(time, "D").item()
    return f"{date.day} {MONTHS[date.month - 1]}" + (f" {date.year}" if year else "")


def month_text(time):
    """`May 19` from a datetime64."""
    date = np.datetime64(time, "D").item()
    return f"{MONTHS[date.month - 1]} {date.year % 100:02d}"


def weekday(time):
    """0 (Monday) to 6 from a datetime64."""
    return np.datetime64(time, "D").item().weekday()


def hour_of_day(times):
    """Hours 0 to 23 of datetime64 values, as the data file writes them."""
    return (times.astype("datetime64[h]").astype(np.int64) % 24).astype(int)


def span_text(seconds):
    """`24 h`, `30 s`, `1.5 min`: a span in the largest unit in which it is at least 1 (days from 3 on)."""
    for size, unit in SPANS:
        if seconds >= size * (3 if unit == "day" else 1):
            count = seconds / size
            return f"{count:g} {unit}{'s' if unit == 'day' else ''}"
    return f"{seconds * 1000:g} ms"


def elapsed_unit(seconds):
    """(seconds per unit, unit) in which to draw a span of so many seconds: four units or more fit in."""
    return next(((size, unit) for size, unit in SPANS if seconds >= 4 * size), SPANS[-1])
