"""What a forecaster must beat though it costs nothing to train: ridge regression on lags, and nearest neighbours.

Both see the past readings of the target and nothing else, are fitted to the training part, chosen by the validation
part, and frozen before the test part.
"""

import numpy as np

from tflite.forecast_error import DAY_SECONDS, WEEK_SECONDS, lead_truth, wape

MOST_LAGS = 336  # a week of half hours
PENALTIES = (1.0, 10.0, 100.0, 1000.0)
NEIGHBOURS = (5, 10, 20, 40)
FEWEST_ORIGINS = 100  # less is no past to learn from
BLOCK = 512  # origins at a time, so that distances fit in memory


def learned_rivals(
    series: np.ndarray, part: np.ndarray, leads: tuple[int, int], step_seconds: float
) -> dict[str, np.ndarray]:
    """Forecasts (timesteps, leads) of the test part by name, NaN before it; no rival where the past is too short.

    Args:
        series: (timesteps,) readings, NaN = missing.
        part: (timesteps,) "train", "validation" or "test".
    """
    filled = _filled(series)
    truth = lead_truth(series, leads)
    rivals = {}
    for name, seconds, fitted in (
        ("ridge regression on lags", WEEK_SECONDS, _ridge),
        ("nearest neighbours", DAY_SECONDS, _neighbours),
    ):
        lags = min(round(seconds / step_seconds), MOST_LAGS)
        origins = _origins(part, leads[1], lags, truth)
        if lags < 2 or min(len(origins["train"]), len(origins["validation"])) < FEWEST_ORIGINS:
            continue
        past = np.lib.stride_tricks.sliding_window_view(filled, lags)  # row i ends with reading i + lags - 1
        forecasts = np.full(truth.shape, np.nan, series.dtype)
        slot = np.arange(len(series)) % max(round(DAY_SECONDS / step_seconds), 1)
        forecasts[origins["test"]] = fitted(past, lags - 1, truth, origins, slot)
        rivals[name] = forecasts
    return rivals


def _filled(series: np.ndarray) -> np.ndarray:
    """A missing reading is the last one before it, or the mean of all where there is none."""
    known = np.isfinite(series)
    last = np.maximum.accumulate(np.where(known, np.arange(len(series)), -1))
    return np.where(last >= 0, series[np.maximum(last, 0)], np.mean(series[known]) if known.any() else 0.0)


def _origins(part: np.ndarray, last_lead: int, lags: int, truth: np.ndarray) -> dict[str, np.ndarray]:
    """By part the steps to forecast from, all of whose lags are there and, but in the test part, all of whose truth."""
    behind = np.concatenate([part[last_lead:], np.full(min(last_lead, len(part)), "")])
    whole = (np.arange(len(part)) >= lags - 1) & np.isfinite(truth).all(axis=1)
    known = {name: np.flatnonzero(whole & (part == name) & (behind == name)) for name in ("train", "validation")}
    return known | {"test": np.flatnonzero((np.arange(len(part)) >= lags - 1) & (part == "test"))}


def _ridge(past: np.ndarray, offset: int, truth: np.ndarray, origins: dict, slot: np.ndarray) -> np.ndarray:
    """Linear in the lags (Hoerl and Kennard 1970); the penalty is chosen, then all that is no test is fitted."""

    def solved(fit: np.ndarray, penalty: float) -> tuple[np.ndarray, ...]:
        x, y = past[fit - offset].astype(np.float64), truth[fit].astype(np.float64)
        mean, std, level = x.mean(), x.std() or 1.0, y.mean(axis=0)
        x = (x - mean) / std
        gram = x.T @ x + penalty * np.eye(x.shape[1])
        return mean, std, level, np.linalg.solve(gram, x.T @ (y - level))

    def forecast(model: tuple, origin: np.ndarray) -> np.ndarray:
        mean, std, level, weights = model
        return (past[origin - offset] - mean) / std @ weights + level

    valid = origins["validation"]
    error = {p: wape(truth[valid], forecast(solved(origins["train"], p), valid)) for p in PENALTIES}
    whole = np.concatenate([origins["train"], valid])
    return forecast(solved(whole, min(error, key=error.get)), origins["test"])


def _neighbours(past: np.ndarray, offset: int, truth: np.ndarray, origins: dict, slot: np.ndarray) -> np.ndarray:
    """The mean of what followed the most similar days that ended at the same time of the day."""

    def forecast(known: np.ndarray, origin: np.ndarray, k: int) -> np.ndarray:
        result = np.empty((len(origin), truth.shape[1]))
        for now in np.unique(slot[origin]):
            places = np.flatnonzero(slot[origin] == now)
            candidates = known[slot[known] == now]
            days = past[candidates - offset]
            for block in np.array_split(places, -(-len(places) // BLOCK)):
                distance = _distances(past[origin[block] - offset], days)
                nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
                result[block] = truth[candidates[nearest]].mean(axis=1)
        return result

    valid = origins["validation"]
    error = {k: wape(truth[valid], forecast(origins["train"], valid, k)) for k in NEIGHBOURS}
    return forecast(np.concatenate([origins["train"], valid]), origins["test"], min(error, key=error.get))


def _distances(queries: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Squared distance (queries, days) but for a number that is the same for every day."""
    return (days**2).sum(axis=1) - 2 * queries @ days.T
