"""From raw readings to the features a network sees, and from its outputs back to real units.

The same arithmetic exists twice: here over whole arrays, for training; and as operators of the step graph
(tflite.lower_sensors), so that a device feeds raw readings and cannot get it wrong.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.atomic_write import write_json
from pipeline.scenario import Scenario, usual_periods
from pipeline.user_error import UserError

CLIP = 5.0  # standard deviations; a reading beyond says "very far" and must not widen the integer range of the rest
# Share of the median standard deviation over streams: a channel that rested while it was learned may move later.
STD_FLOOR = 0.1
SECONDS_PER_UNIT = {
    "hour_of_day": 3600.0,
    "hour_of_week": 3600.0,
    "day_of_week": 86400.0,
    "day_of_year": 86400.0,
    "us_holiday": math.inf,  # a flag does not run on
}


@dataclass(frozen=True)
class FeatureEncoding:
    """How x, (features,) raw readings, becomes network input and how forecasts become real units.

    The first len(mean) columns are measured and standardized; the rest are calendar columns, encoded as sine and
    cosine of each cycle. `readings` is None where mean and std are fixed; else the device learns both from that many
    readings of each channel after a reset, and mean is 0, std the floor below which a learned one is not taken.
    `targets` index the measured columns; a network forecast holds lead after lead, each with every target. `inputs`
    index those the network reads, None: all.
    `lags`: in steps; the readings of the targets so long before the times forecast are features too, lag after lag,
    each like a forecast. `level`: the one target is fed and forecast as the distance to its mean over the readings that
    lags reach back to. `usual`: what was usual at the times forecast is fed too, one for each output behind the lags: a
    mean over all periods of the longest lag, in which the newest counts so much. `quantiles`: put out beside the
    forecast, the median. `shifts`: for each of them, what is added to the network's quantile of every lead and target,
    in standard deviations.
    """

    columns: tuple[str, ...]
    units: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    readings: int | None
    cycles: tuple[tuple[int, float], ...]
    advance: tuple[float, ...]
    targets: tuple[int, ...]
    leads: tuple[int, int]
    non_negative: bool
    inputs: tuple[int, ...] | None = None
    lags: tuple[int, ...] = ()
    level: bool = False
    quantiles: tuple[float, ...] = ()
    shifts: tuple[tuple[float, ...], ...] = ()
    usual: float | None = None

    @property
    def measured(self) -> int:
        return len(self.mean)

    @property
    def width(self) -> int:
        """Number of network features."""
        taps = len(self.lags) + (self.usual is not None)
        return len(self.read) + 2 * len(self.cycles) + taps * self.outputs

    @property
    def read(self) -> tuple[int, ...]:
        """The measured columns that the network reads."""
        return tuple(range(self.measured)) if self.inputs is None else self.inputs

    @property
    def only_read(self) -> tuple[int, ...]:
        """Those of them that are no targets: nothing but the readings themselves says how they are."""
        return tuple(column for column in self.read if column not in self.targets)

    @property
    def lead_count(self) -> int:
        return self.leads[1] - self.leads[0] + 1

    @property
    def outputs(self) -> int:
        """Numbers in a network forecast."""
        return self.lead_count * len(self.targets)

    @property
    def memory(self) -> int:
        """Readings before the newest that lags reach back to."""
        return max(self.lags) - self.leads[0] if self.lags else 0

    @property
    def history(self) -> int:
        """Readings before the first that has features: `memory`, and those until what is usual has settled."""
        return self.memory + usual_periods(self.usual) * max(self.lags, default=0)

    def standardize(self, readings: np.ndarray, mean=None, std=None) -> np.ndarray:
        """(..., measured) readings in real units -> standard deviations from the mean, clipped; NaN stays NaN."""
        mean, std = (self.mean, self.std) if mean is None else (mean, np.maximum(std, self.std))
        standardized = (readings - np.float32(mean)) * (1 / np.asarray(std, np.float32))
        return np.clip(standardized, -CLIP, CLIP).astype(np.float32)

    def encode(self, x: np.ndarray, mean=None, std=None) -> np.ndarray:
        """(..., columns) raw -> (..., width) features without lags; `mean`, `std` where learned per stream."""
        standardized = self.standardize(x[..., : self.measured], mean, std)[..., list(self.read)]
        if not self.cycles:
            return standardized
        weights, phase = self.angles
        angles = x[..., self.measured :].astype(np.float32) @ weights + phase
        return np.concatenate([standardized, np.sin(angles)], axis=-1).astype(np.float32)

    def levels(self, features: np.ndarray) -> np.ndarray:
        """(timesteps, features without lags) -> (timesteps - memory, 1): the level, standardized; 0 without."""
        if not self.level:
            return np.zeros((len(features) - self.memory, 1), np.float32)
        sums = np.cumsum(np.append(0.0, features[:, self.targets[0]].astype(np.float64)))
        means = (sums[self.memory + 1 :] - sums[: -self.memory - 1]) / (self.memory + 1)
        return means[:, None].astype(np.float32)

    def with_lags(self, features: np.ndarray) -> np.ndarray:
        """(timesteps, features without lags) -> (timesteps - history, width); none missing."""
        if not self.lags:
            return features
        levels, readings = self.levels(features), features[:, list(self.targets)]
        now, features = np.arange(self.memory, len(features))[:, None], features.copy()
        features[self.memory :, list(self.targets)] -= levels
        leads = np.arange(self.leads[0], self.leads[1] + 1)
        lagged = [readings[now + leads - lag].reshape(len(now), -1) - levels for lag in self.lags]
        if self.usual is not None:
            lagged.append(self.usual_at_leads(readings[self.memory :] - levels))
        return np.concatenate([features[self.memory :], *lagged], axis=1)[self.history - self.memory :]

    def usual_at_leads(self, above: np.ndarray) -> np.ndarray:
        """(timesteps, 1) distances to the level -> (timesteps, leads): what was usual at the time of each lead.

        It begins with the first period as it was, and is 0 while there is none.
        """
        period, usual = max(self.lags), above.astype(np.float64)
        for first in range(period, len(usual), period):
            now = usual[first : first + period]
            before = usual[first - period : first - period + len(now)]
            usual[first : first + period] = before + self.usual * (now - before)
        leads = np.arange(self.leads[0], self.leads[1] + 1)
        padded = np.concatenate([np.zeros((period, 1)), usual])
        return padded[np.arange(len(above))[:, None] + leads, 0].astype(np.float32)

    @property
    def angles(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrix (calendar columns, 2 * cycles) and phase (2 * cycles,): sin(value @ matrix + phase) is sin, cos."""
        weights = np.zeros((len(self.columns) - self.measured, 2 * len(self.cycles)), np.float32)
        for i, (column, period) in enumerate(self.cycles):
            weights[column, 2 * i : 2 * i + 2] = 2 * np.pi / period
        return weights, np.tile(np.array([0, np.pi / 2], np.float32), len(self.cycles))

    def decode(self, forecast: np.ndarray) -> np.ndarray:
        """(..., leads * targets) network forecast -> (..., leads, targets) real units (fixed mean and std only)."""
        shaped = forecast.reshape(*forecast.shape[:-1], self.lead_count, len(self.targets))
        real = shaped * np.float32(self.std)[list(self.targets)] + np.float32(self.mean)[list(self.targets)]
        return np.maximum(real, 0) if self.non_negative else real

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))


def load_encoding(path: Path) -> FeatureEncoding:
    """The encoding saved beside a trained model.

    Raises:
        UserError: it is missing or damaged.
    """

    def frozen(value):
        return tuple(frozen(v) for v in value) if isinstance(value, list) else value

    try:
        return FeatureEncoding(**{key: frozen(value) for key, value in json.loads(Path(path).read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); make it with `edgernn train`") from error


def fit_encoding(scenario: Scenario, dataset: dict) -> FeatureEncoding:
    """The encoding by the statistics of the training rows in dataset.json."""
    columns, measured = scenario.inputs, [c for c in scenario.inputs if c.calendar is None]
    calendars = columns[len(measured) :]
    names = [column.name for column in measured]
    by_name = {column.name: column for column in measured}
    mean, std = _location_and_scale(scenario, dataset, names)
    return FeatureEncoding(
        columns=tuple(c.name for c in columns),
        units=tuple(c.unit for c in columns),
        mean=mean,
        std=std,
        readings=scenario.normalize.rows if scenario.normalize.by == "stream" else None,
        cycles=tuple((i, period) for i, c in enumerate(calendars) for period in c.cycles),
        advance=tuple(scenario.data.step_seconds / SECONDS_PER_UNIT[c.calendar] for c in calendars),
        targets=tuple(names.index(target) for target in scenario.forecast.targets),
        leads=(scenario.forecast.first_lead, scenario.forecast.last_lead),
        non_negative=all(by_name[target].minimum == 0 for target in scenario.forecast.targets),
        inputs=tuple(names.index(name) for name in scenario.forecast.inputs) or None,
        lags=scenario.lag_steps,
        level=scenario.forecast.level,
        usual=scenario.forecast.usual,
        quantiles=tuple(quantile for quantile in scenario.forecast.quantiles if quantile != 0.5),
    )


def _location_and_scale(scenario: Scenario, dataset: dict, names: list[str]):
    """Mean and std of each measured column; 0 and the floor where each stream has its own."""
    if scenario.normalize.by == "stream":
        scales = [[stream[name]["std"] for name in names] for stream in dataset["stream_statistics"].values()]
        floor = STD_FLOOR * np.median(scales, axis=0)
        overall = np.array([dataset["statistics"][name]["std"] for name in names])
        return (0.0,) * len(names), tuple(float(f) for f in np.where(floor > 0, floor, STD_FLOOR * overall))
    statistics = [dataset["statistics"][name] for name in names]
    return tuple(s["mean"] for s in statistics), tuple(s["std"] for s in statistics)


def fill_missing(features: np.ndarray) -> np.ndarray:
    """Each NaN of (timesteps, features) becomes the last value before it, or 0 (the mean) where there is none."""
    known = np.where(np.isnan(features), 0, np.arange(1, len(features) + 1)[:, None])
    last = np.maximum.accumulate(known, axis=0)
    with_mean = np.concatenate([np.zeros_like(features[:1]), features])
    return np.take_along_axis(with_mean, last, axis=0)


def stream_statistics(dataset: dict, encoding: FeatureEncoding):
    """stream name -> (mean, std) of its measured columns, or (None, None) where the encoding fixes both."""
    if encoding.readings is None:
        return lambda stream: (None, None)
    names = encoding.columns[: encoding.measured]
    by_stream = {
        stream: tuple(np.array([columns[name][key] for name in names], np.float32) for key in ("mean", "std"))
        for stream, columns in dataset["stream_statistics"].items()
    }
    return by_stream.__getitem__
