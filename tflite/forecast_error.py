"""How good forecasts are, and what the simplest rivals would have said."""

import numpy as np

DAY_SECONDS, WEEK_SECONDS = 86400, 7 * 86400


def lead_truth(series: np.ndarray, leads: tuple[int, int]) -> np.ndarray:
    """(timesteps,) -> (timesteps, leads): the value each lead speaks of; NaN beyond the end."""
    first, last = leads
    padded = np.concatenate([series, np.full(last, np.nan, series.dtype)])
    return np.stack([padded[lead : lead + len(series)] for lead in range(first, last + 1)], axis=1)


def wape(truth: np.ndarray, forecast: np.ndarray) -> float:
    """Weighted absolute percentage error, sum |e| / sum |y|, over the elements whose truth is known.

    A forecast that is NaN where the truth is known makes the result NaN.
    """
    known = np.isfinite(truth)
    return float(np.abs(truth[known] - forecast[known]).sum() / np.abs(truth[known]).sum())


def nrmse(truth: np.ndarray, forecast: np.ndarray, spread: float) -> float:
    """Root mean squared error over `spread`, the standard deviation of the whole series, where the truth is known."""
    known = np.isfinite(truth)
    return float(np.sqrt(np.mean((truth[known].astype(np.float64) - forecast[known]) ** 2)) / spread)


def coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of the known elements within their interval, borders included; an interval that is NaN holds nothing."""
    known = np.isfinite(truth)
    return float(np.mean((low[known] <= truth[known]) & (truth[known] <= high[known])))


def seasonal_rivals(series: np.ndarray, leads: tuple[int, int], step_seconds: float) -> dict[str, np.ndarray]:
    """Forecasts (timesteps, leads) that repeat the value of the same time a day, and a week, before.

    A period shorter than the lead is repeated as often as needed: no rival sees a value after its own time. Where that
    reading is missing, the one a period earlier is taken.
    """
    rivals = {}
    for name, seconds in (("same time yesterday", DAY_SECONDS), ("same time last week", WEEK_SECONDS)):
        period = round(seconds / step_seconds)
        if period < 1 or period >= len(series):
            continue
        columns, filled = [], series.copy()
        for t in range(period, len(filled)):
            if np.isnan(filled[t]):
                filled[t] = filled[t - period]
        for lead in range(leads[0], leads[1] + 1):
            back = period * -(-lead // period) - lead
            columns.append(np.concatenate([np.full(back, np.nan), filled[: len(series) - back]]))
        rivals[name] = np.stack(columns, axis=1)
    return rivals
