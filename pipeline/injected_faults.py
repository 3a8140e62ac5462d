"""Faults written into recorded readings, with labels: a semi-synthetic test part where nothing recorded is broken.

What sensors are known to do: stand still, be off by a constant, drift away (of an engine's coolant sensor: Neto et al.,
Detecting Anomalies in the Engine Coolant Sensor Using One-Class Classifiers, IEEE VTC-Fall 2019).
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.injection_settings import KINDS, FaultInjection
from pipeline.resample_rows import Series
from pipeline.split_rows import TEST, Parts
from pipeline.window_rows import part_runs


@dataclass(frozen=True)
class InjectedFault:
    """`code`: 1 + the place of its kind in `KINDS`; `begin`: the first step that is wrong; `sign`: 1 or -1."""

    code: int
    begin: int
    sign: int


def draw_injected(injection: FaultInjection, stream: str, run: int, step: float) -> InjectedFault:
    """The fault of one run of a stream, `step` seconds a step; every other stream and run has its own."""
    source = np.random.default_rng([injection.seed, run, *stream.encode()])
    code, later, sign = 1 + int(source.integers(len(KINDS))), source.random(), 1 if source.random() < 0.5 else -1
    return InjectedFault(code, round(injection.sound_seconds * (1 + later / 2) / step), sign)


def inject_faults(
    series: Series, parts: Parts, stream: str, injection: FaultInjection, label: str, step: float
) -> Series:
    """The whole stream with its test part broken: `injection.column` is changed, the column `label` says where.

    A run that ends before its fault begins stays sound. Missing readings stay missing.
    """
    readings, codes = series.values[injection.column].copy(), np.zeros(len(series.rows), np.float32)
    for run, (first, last) in enumerate(part_runs(series, parts, TEST)):
        fault = draw_injected(injection, stream, run, step)
        place = slice(first + fault.begin, last + 1)
        readings[place] = broken(readings[place], fault, injection, step)
        codes[place] = fault.code
    return replace(series, values={**series.values, injection.column: readings, label: codes})


def broken(readings: np.ndarray, fault: InjectedFault, injection: FaultInjection, step: float) -> np.ndarray:
    """What the sensor says from the fault on instead of `readings` (steps,)."""
    if KINDS[fault.code - 1] == "stuck":
        known = readings[~np.isnan(readings)]
        return np.where(np.isnan(readings), readings, known[0] if len(known) else np.nan).astype(np.float32)
    drifted = injection.drift * np.arange(len(readings)) * step / 60
    error = injection.offset if KINDS[fault.code - 1] == "offset" else drifted
    steps = np.rint((readings + fault.sign * error) / injection.resolution)
    return (steps * injection.resolution).astype(np.float32)
