"""Inputs computed from the time of a grid bin, as the file writes it; a device computes the same."""

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


def us_holiday(times: np.ndarray) -> np.ndarray:
    """1 on a day on which federal offices of the United States rest (5 U.S.C. 6103 as of 2020), else 0.

    A holiday of fixed date that falls on a Saturday is observed on the Friday before, on a Sunday on the Monday after;
    both days are 1.
    """
    days = times.astype("datetime64[ms]").astype("datetime64[D]")
    years = np.unique(np.concatenate([days.astype("datetime64[Y]"), (days + 1).astype("datetime64[Y]")]))
    return np.isin(days, [day for year in years for day in _us_holidays(year)]).astype(np.float64)


# Month and day; month, weekday (0: Monday) and which of the month it is (-1: the last).
_FIXED = ((1, 1), (7, 4), (11, 11), (12, 25))
_FLOATING = ((1, 0, 3), (2, 0, 3), (5, 0, -1), (9, 0, 1), (10, 0, 2), (11, 3, 4))


def _us_holidays(year: np.datetime64) -> list[np.datetime64]:
    found = []
    for month, day in _FIXED:
        date = (year + np.timedelta64(month - 1, "M")).astype("datetime64[D]") + (day - 1)
        observed = {5: date - 1, 6: date + 1}.get(int(_weekday(date)), date)
        found += [date, observed]
    for month, weekday, which in _FLOATING:
        first = (year + np.timedelta64(month - 1 + (which < 0), "M")).astype("datetime64[D]")
        number = which if which < 0 else which - 1
        found.append(first + (weekday - _weekday(first)) % 7 + 7 * number)
    return found


def _weekday(days: np.ndarray) -> np.ndarray:
    return (days.astype(np.int64) + 3) % 7


CALENDARS = {
    "hour_of_day": hour_of_day,
    "day_of_week": day_of_week,
    "hour_of_week": hour_of_week,
    "day_of_year": day_of_year,
    "us_holiday": us_holiday,
}


def calendar_values(name: str, times: np.ndarray) -> np.ndarray:
    """Epoch milliseconds (bins,) -> float64 (bins,) of the calendar `name`."""
    return CALENDARS[name](times)
