"""Inputs computed from the time of a grid bin, UTC as written in the file; a device computes the same."""

import numpy as np

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MONDAY_MS = 4 * DAY_MS  # 1970-01-05


def hour_of_day(times: np.ndarray) -> np.ndarray:
    """Hours since midnight, [0, 24)."""
    return times % DAY_MS / HOUR_MS


def day_of_week(times: np.ndarray) -> np.ndarray:
    """Days since Monday 00:00, [0, 7)."""
    return (times - MONDAY_MS) % (7 * DAY_MS) / DAY_MS


def hour_of_week(times: np.ndarray) -> np.ndarray:
    """Hours since Monday 00:00, [0, 168)."""
    return (times - MONDAY_MS) % (7 * DAY_MS) / HOUR_MS


def day_of_year(times: np.ndarray) -> np.ndarray:
    """Days since January 1st 00:00, [0, 366)."""
    stamps = times.astype("datetime64[ms]")
    return (stamps - stamps.astype("datetime64[Y]").astype("datetime64[ms]")).astype(np.int64) / DAY_MS


CALENDARS = {
    "hour_of_day": hour_of_day,
    "day_of_week": day_of_week,
    "hour_of_week": hour_of_week,
    "day_of_year": day_of_year,
}


def calendar_values(name: str, times: np.ndarray) -> np.ndarray:
    """Epoch milliseconds (bins,) -> float64 (bins,) of the calendar `name`."""
    return CALENDARS[name](times)
