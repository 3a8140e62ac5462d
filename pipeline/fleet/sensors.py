"""From what is to what is reported: offset, noise, resolution, dropouts, and the faults of sensors."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.fleet.faults import Fault, sensor_error
from pipeline.fleet.fleet_settings import HOUR, random_source
from pipeline.fleet.tyres import POSITIONS


@dataclass(frozen=True)
class Channel:
    """`offset`: largest of a sound sensor; `noise`: standard deviation; `resolution`: of the bus (the steps
    of SAE J1939-71, or near them); `lowest` it can say. All in `unit`.
    """

    name: str
    unit: str
    offset: float
    noise: float
    resolution: float
    lowest: float = 0.0


CHANNELS = (
    Channel("speed", "km/h", 0.0, 0.15, 0.1),
    Channel("engine_speed", "rpm", 0.0, 6.0, 1.0),
    Channel("engine_load", "%", 0.0, 0.7, 0.5),
    Channel("fuel_rate", "l/h", 0.0, 0.15, 0.05),
    Channel("coolant", "degC", 0.7, 0.12, 0.1, -60.0),
    Channel("fan", "rpm", 0.0, 8.0, 4.0),
    Channel("intake_depression", "kPa", 0.05, 0.03, 0.01),
    Channel("battery_voltage", "V", 0.05, 0.03, 0.01),
    Channel("battery_current", "A", 0.5, 0.6, 0.1, -1000.0),
    *(Channel(f"tyre_{position}", "kPa", 3.0, 0.8, 0.5) for position in POSITIONS),
    Channel("cargo", "degC", 0.3, 0.06, 0.05, -60.0),
    Channel("compressor", "kW", 0.0, 0.02, 0.01),
    Channel("door", "1", 0.0, 0.0, 1.0),
    Channel("ambient", "degC", 0.5, 0.1, 0.1, -60.0),
)
PLACE = {channel.name: place for place, channel in enumerate(CHANNELS)}
DROPOUTS = 0.5  # per channel and hour
DROPOUT_SECONDS = 4.0  # mean
_STEPS = np.array([[1 / channel.resolution] for channel in CHANNELS], np.float32)  # per unit
_NOISE = np.array([[channel.noise] for channel in CHANNELS], np.float32)
_LOWEST = np.array([[channel.lowest] for channel in CHANNELS], np.float32)
_OFFSET = np.array([[channel.offset] for channel in CHANNELS], np.float32)


class Sensors:
    """The sensors of one truck, hour after hour: what is random goes on where the last hour ended."""

    def __init__(self, seed: int, vehicle: int):
        self._random = random_source(seed, vehicle, "sensors")
        self._offset = _OFFSET * (2 * self._random.random((len(CHANNELS), 1), np.float32) - 1)
        self._held: dict[Fault, np.float32] = {}  # what a stuck sensor says

    def report(self, truth: np.ndarray, first: int, faults: Iterable[Fault] = ()) -> np.ndarray:
        """Readings (channels, seconds) float32, NaN = dropped out, of `truth` (overwritten) from second `first` on.

        `faults`: those present in these seconds; of parts that are no sensors too, which say the truth.
        """
        noise = self._random.standard_normal((len(CHANNELS), HOUR), np.float32)  # always an hour of it
        noise *= _NOISE
        truth += noise[:, : truth.shape[1]]
        truth += self._offset
        for fault in faults:
            if fault.kind == "drifting_sensor":
                part = fault.seconds_in(first, truth.shape[1])
                seconds = np.arange(part.start, part.stop) + first
                truth[PLACE[fault.channel], part] += sensor_error(fault, seconds).astype(np.float32)
        np.maximum(truth, _LOWEST, out=truth)
        truth *= _STEPS
        np.rint(truth, out=truth)
        truth /= _STEPS  # not times the resolution: 77 / 20 is the float nearest to 3.85, 77 * 0.05 is not
        self._held = {fault: held for fault, held in self._held.items() if fault.end > first}
        for fault in faults:
            if fault.kind == "stuck_sensor":
                part = fault.seconds_in(first, truth.shape[1])
                held = self._held.setdefault(fault, truth[PLACE[fault.channel], part.start])
                truth[PLACE[fault.channel], part] = held
        self._drop_out(truth)
        return truth

    def _drop_out(self, readings: np.ndarray) -> None:
        """Bursts of lost readings, each of one channel; their lengths are geometric, as of a two-state Markov channel
        (Gilbert, Capacity of a Burst-Noise Channel, 1960)."""
        number = self._random.poisson(DROPOUTS * len(CHANNELS))
        channels = self._random.integers(len(CHANNELS), size=number)
        starts = self._random.integers(HOUR, size=number)
        lengths = self._random.geometric(1 / DROPOUT_SECONDS, size=number)
        for channel, start, length in zip(channels, starts, lengths, strict=True):
            readings[channel, start : start + length] = np.nan
