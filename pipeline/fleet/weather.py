"""Weather along a truck's way: air temperature and sunshine by the second."""

from dataclasses import dataclass

import numpy as np

from pipeline.fleet.fleet_settings import HOUR, random_source

WARMEST = 15.0  # o'clock; the air lags the sun
SUNRISE, SUNSET = 5.0, 21.0
CLEAR_SKY = 850.0  # W/m2 on a horizontal roof at noon
STAYS = 0.8  # share of this hour's deviation left an hour later


@dataclass(frozen=True)
class Weather:
    """The region of one truck: `mean` and half the daily range `swing` (degC), then by the hour a deviation from that
    (degC) and the share of the sun that the clouds let through."""

    mean: float
    swing: float
    deviation: np.ndarray
    clearness: np.ndarray

    def at(self, seconds: np.ndarray, begin: float) -> tuple[np.ndarray, np.ndarray]:
        """Air temperature (degC) and sunshine (W/m2), both (seconds,).

        A day is a sine through the warmest hour (de Wit's form: Campbell and Norman, An Introduction to Environmental
        Biophysics, 1998, equation 2.2), the sun half a sine from rise to set.
        """
        hours = np.arange(len(self.deviation)) * float(HOUR)
        clock = (begin + seconds) / HOUR % 24
        day = self.mean + self.swing * np.cos(2 * np.pi * (clock - WARMEST) / 24)
        air = day + np.interp(seconds, hours, self.deviation)
        height = np.maximum(np.sin(np.pi * (clock - SUNRISE) / (SUNSET - SUNRISE)), 0.0)
        day_time = (clock > SUNRISE) & (clock < SUNSET)
        return air, CLEAR_SKY * height * day_time * np.interp(seconds, hours, self.clearness)


def draw_weather(seed: int, vehicle: int, seconds: int) -> Weather:
    """The weather of one truck for so long; a longer one begins the same."""
    source = random_source(seed, vehicle, "weather")
    mean, swing = source.uniform(12.0, 22.0), source.uniform(3.0, 7.0)
    drawn = source.random((seconds // HOUR + 2, 2))
    deviation, last = np.empty(len(drawn)), 0.0
    for hour, (step, _) in enumerate(drawn):  # first-order autoregression
        last = STAYS * last + 1.5 * (2 * step - 1)
        deviation[hour] = last
    return Weather(mean, swing, deviation, 0.2 + 0.8 * drawn[:, 1])
